//! What a whole sync costs: 20,000 users from the simulated tenant into a new store, by the real program.
//!
//! Requests, wall and CPU time and peak memory, as the operating system counts them for the finished process.
//! Not by criterion: a run takes seconds, and memory is half of what is asked.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use duo_simulator::tenant::Kind;
use duo_simulator::{Simulator, TenantOptions};
use nix::sys::resource::{UsageWho, getrusage};

/// Runs counted; the first one more fills the compilation cache.
const RUNS: usize = 5;

fn main() {
    // `cargo bench` passes `--bench`, `cargo test --benches` does not: then once is enough to see that it works.
    let runs = if std::env::args().any(|argument| argument == "--bench") { RUNS } else { 1 };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for users in [2_000, 20_000, 60_000] {
        let options = TenantOptions { users, ..TenantOptions::default() };
        let simulator = runtime.block_on(Simulator::start(options)).unwrap();
        measure(&simulator, runs);
        floor(&simulator);
    }
}

/// What a sync can not do without: the same bytes through `serde_json`, and as many rows into SQLite, page by page.
fn floor(simulator: &Simulator) {
    let tenant = simulator.tenant();
    let lists = [(Kind::User, 300), (Kind::Phone, 500), (Kind::WebauthnCredential, 500)];
    let (mut parse, mut insert, mut rows) = (Duration::ZERO, Duration::ZERO, 0_u64);
    let folder = tempfile::tempdir().unwrap();
    let mut store = rusqlite::Connection::open(folder.path().join("floor.db")).unwrap();
    store
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE entity (id INTEGER PRIMARY KEY, kind TEXT, key TEXT, object TEXT, UNIQUE (kind, key));
             CREATE TABLE relation (id INTEGER PRIMARY KEY, parent TEXT, child TEXT, UNIQUE (parent, child));",
        )
        .unwrap();
    for (kind, limit) in lists {
        let name = format!("{kind:?}");
        for start in (0..tenant.count(kind)).step_by(limit) {
            let end = tenant.count(kind).min(start + limit as u64);
            let page: Vec<_> = (start..end).filter_map(|index| tenant.object(kind, index)).collect();
            let bytes = serde_json::to_vec(&page).unwrap();
            let begun = Instant::now();
            let page: Vec<serde_json::Value> = serde_json::from_slice(&bytes).unwrap();
            parse += begun.elapsed();

            let begun = Instant::now();
            let transaction = store.transaction().unwrap();
            {
                let mut entity = transaction
                    .prepare_cached("INSERT INTO entity (kind, key, object) VALUES (?1, ?2, ?3)")
                    .unwrap();
                let mut relation = transaction
                    .prepare_cached("INSERT INTO relation (parent, child) VALUES (?1, ?2)")
                    .unwrap();
                for (number, object) in page.iter().enumerate() {
                    let key = format!("{}", start + number as u64);
                    // About as long as what is kept of an object.
                    entity.execute((&name, &key, &bytes.get(..600).map(String::from_utf8_lossy))).unwrap();
                    let related = match kind {
                        Kind::User => object["groups"].as_array().map_or(0, Vec::len) + 1,
                        _ => 1,
                    };
                    for child in 0..related {
                        relation.execute((format!("{name} {key}"), child.to_string())).unwrap();
                    }
                    rows += 1 + related as u64;
                }
            }
            transaction.commit().unwrap();
            insert += begun.elapsed();
        }
    }
    println!(
        "        the floor of it: serde_json {:.2} s, {rows} rows into SQLite {:.2} s",
        parse.as_secs_f64(),
        insert.as_secs_f64()
    );
}

fn measure(simulator: &Simulator, runs: usize) {
    let tenant = simulator.options();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("key"), &tenant.secret_key).unwrap();
    let configuration = format!(
        "name = \"duo\"\nconnector = \"duo\"\n[settings]\napi-hostname = \"{host}\"\nintegration-key = \"{key}\"\n\
         secret-key = {{ file = \"key\" }}\n[network]\nconnect-to = {{ \"{host}\" = \"{url}\" }}\n\
         [limits]\nvendor-budgets = false\n",
        host = tenant.host,
        key = tenant.integration_key,
        url = simulator.url(),
    );
    std::fs::write(path("duo.toml"), configuration).unwrap();

    let (mut walls, mut cpus, mut requests) = (Vec::new(), Vec::new(), 0);
    for run in 0..=runs {
        let store = path(&format!("{run}.db"));
        let (before, sent) = (children_cpu(), simulator.requests());
        let start = Instant::now();
        let status = Command::new(env!("CARGO_BIN_EXE_connector-host-under-test"))
            .args(["sync", "--config", "duo.toml", "--store"])
            .arg(&store)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{status}");
        requests = simulator.requests() - sent;
        if run > 0 {
            walls.push(start.elapsed());
            cpus.push(children_cpu() - before);
        }
    }
    // Of the largest child so far: sizes are measured in ascending order.
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss() / 1024;
    println!(
        "sync of {:>6} users: {requests:>3} requests, wall {:.2} s, cpu {:.2} s (medians of {runs}), peak memory {peak} MiB",
        tenant.users,
        median(&mut walls).as_secs_f64(),
        median(&mut cpus).as_secs_f64(),
    );
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// CPU time of all finished children.
fn children_cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let time = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec().unsigned_abs())
            + Duration::from_micros(time.tv_usec().unsigned_abs())
    };
    time(usage.user_time()) + time(usage.system_time())
}
