//! Two hundred syncs in one process, one after the other, while the vendor misbehaves at random: memory, file
//! descriptors, and whether the store is the tenant in the end. The vendor is a process of its own (this one), so that its
//! record of requests does not count.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a benchmark")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use connector_host::BUNDLED;
use connector_sandbox::{Engine, EngineOptions, private_file};
use connector_sync::NullObserver;
use connector_sync::active::ActiveIntegration;
use connector_sync::configuration::Configuration;
use connector_sync::integration::Integration;
use duo_simulator::{Fault, Simulator, TenantOptions};
use tokio_util::sync::CancellationToken;

const USERS: u32 = 2000;
const SYNCS: u64 = 200;

/// Numbers that look random, the same each time (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

fn fault(random: &mut Random) -> Fault {
    let faults = [
        Fault::TooManyRequests { retry_after: None },
        Fault::ServerError(500),
        Fault::ServerError(503),
        Fault::HtmlPage(502),
        Fault::HtmlPage(200),
        Fault::InvalidJson,
        Fault::TruncatedBody,
        Fault::Reset,
        Fault::WrongContent,
        Fault::Stalled(Duration::from_secs(5)),
    ];
    faults[usize::try_from(random.below(faults.len() as u64)).unwrap()].clone()
}

/// The process that syncs: once for each line it is sent, and answers with how that ended.
struct Syncing {
    process: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// The argument that makes this program that process; the folder comes after it.
const SYNCING: &str = "--syncing";

impl Syncing {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(SYNCING)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, orders, answers: BufReader::new(answers).lines() }
    }

    fn sync(&mut self) -> String {
        writeln!(self.orders, "sync").unwrap();
        self.answers.next().unwrap().unwrap()
    }

    /// Its resident memory in KiB, and its open file descriptors.
    fn used(&self) -> (u64, usize) {
        let id = self.process.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|text| text.trim().split(' ').next()?.parse().ok());
        (resident.unwrap_or(0), std::fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count))
    }
}

/// The other process.
async fn sync_for_each_line(folder: &Path) {
    let configuration = Configuration::load(&folder.join("duo.toml")).unwrap();
    let engine = Engine::new(&EngineOptions::default()).unwrap();
    let serving = Arc::new(ActiveIntegration::new(
        Integration::open(&engine, &configuration, BUNDLED).await.unwrap(),
        Vec::new(),
    ));
    for _ in std::io::stdin().lines() {
        let (store, stop) = (folder.join("duo.db"), CancellationToken::new());
        match connector_sync::run(Arc::clone(&serving), store, Arc::new(NullObserver), stop).await {
            Ok(summary) if summary.complete => println!("complete"),
            Ok(_) => println!("partial"),
            Err(_) => println!("failed"),
        }
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != SYNCING).skip(1);
    if let Some(folder) = arguments.next() {
        return sync_for_each_line(Path::new(&folder)).await;
    }
    let syncs = if std::env::args().any(|argument| argument == "--bench") { SYNCS } else { 3 };
    let folder = tempfile::tempdir().unwrap();
    let tenant = TenantOptions { users: USERS, events: Some(600), ..TenantOptions::default() };
    let simulator = Simulator::start(tenant).await.unwrap();
    private_file::replace(&folder.path().join("key"), simulator.options().secret_key.as_bytes()).unwrap();
    let text = format!(
        "name = \"duo\"\nconnector = \"duo\"\n[settings]\napi-hostname = \"{host}\"\nintegration-key = \"{key}\"\n\
         secret-key = {{ file = \"key\" }}\n[network]\nconnect-to = {{ \"{host}\" = \"{url}\" }}\n\
         [limits]\nvendor-budgets = false\nrequest-seconds = 0.3\n[retry]\nattempts = 3\nfirst-seconds = 0.01\n\
         longest-seconds = 0.02\n",
        host = simulator.options().host,
        key = simulator.options().integration_key,
        url = simulator.url(),
    );
    std::fs::write(folder.path().join("duo.toml"), text).unwrap();
    let mut syncing = Syncing::start(folder.path());

    let mut random = Random(0x50AC_50AC_50AC_50AC);
    let (mut complete, mut partial, mut failed) = (0, 0, 0);
    println!("{:>6} {:>12} {:>6}", "syncs", "memory", "files");
    for number in 1..=syncs {
        for _ in 0..random.below(12) {
            let (fault, times) = (fault(&mut random), 1 + random.below(5));
            // A request in so many, wherever it is.
            let every = 2 + random.below(12);
            let count = std::sync::atomic::AtomicU64::new(0);
            // A run whose `check` fails is none: mostly it is spared.
            let spares_check = random.below(10) > 0;
            let which = move |path: &str, query: &str| {
                !(spares_check && (query.contains("limit=1&") || path.contains("/info/")))
                    && count.fetch_add(1, std::sync::atomic::Ordering::Relaxed).is_multiple_of(every)
            };
            simulator.inject_where(which, fault, u32::try_from(times).unwrap());
        }
        simulator.delete_user(random.below(u64::from(USERS) / 2));
        simulator.tenant().restore_user(random.below(u64::from(USERS)));
        match syncing.sync().as_str() {
            "complete" => complete += 1,
            "partial" => partial += 1,
            _ => failed += 1,
        }
        simulator.heal();
        if number == 1 || number % 20 == 0 {
            let (memory, files) = syncing.used();
            println!("{number:>6} {:>8.1} MiB {files:>6}", memory as f64 / 1024.0);
        }
    }
    println!("{complete} complete, {partial} partial, {failed} that could not begin");
    // Once what is interrupted, and once all.
    let _ = syncing.sync();
    assert_eq!(syncing.sync(), "complete");
    let stored = rusqlite::Connection::open(folder.path().join("duo.db")).unwrap();
    let mut users = stored.prepare("SELECT source_id FROM entities WHERE source_type = 'user'").unwrap();
    let users: BTreeSet<String> =
        users.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(users, simulator.tenant().user_keys().into_iter().collect());
    println!("and the store is the tenant: {} users", users.len());
    drop(syncing.orders);
    assert!(syncing.process.wait().unwrap().success());
}
