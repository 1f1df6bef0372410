//! What a whole sync costs, by the real program: beside the official Python client, which reads the same lists into memory and
//! keeps nothing, and beside the floor, which no sync can do without.
//!
//! Wall time, processor time and peak memory, as the operating system counts them for the finished process. Not by criterion: a
//! run takes seconds, and memory is half of what is asked. `--users N` measures a tenant of N users instead.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

mod child;
mod floor;
#[path = "../../duo-simulator/tests/python/mod.rs"]
mod python;

use std::path::{Path, PathBuf};
use std::process::Command;

use connector_sandbox::private_file;
use duo_simulator::{Simulator, TenantOptions};
use serde_json::json;

use crate::child::{Cost, medians, run};

/// Each program runs so often; one sync more fills the compilation cache.
const RUNS: usize = 3;
const SIZES: [u32; 3] = [2_000, 20_000, 100_000];
/// All streams that are lists: all but the log.
const LISTS: [&str; 12] = [
    "account",
    "users",
    "groups",
    "phones",
    "hardware-tokens",
    "webauthn-credentials",
    "desktop-authenticators",
    "bypass-codes",
    "applications",
    "administrators",
    "administrative-units",
    "policies",
];

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    // `cargo bench` passes `--bench`, `cargo test --benches` does not: then once is enough to see that it works.
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let asked: Vec<u32> = arguments
        .iter()
        .zip(arguments.iter().skip(1))
        .filter(|(option, _)| *option == "--users")
        .map(|(_, users)| users.parse().unwrap())
        .collect();
    let sizes = match (asked.is_empty(), is_bench) {
        (false, _) => asked,
        (true, true) => SIZES.to_vec(),
        (true, false) => vec![100],
    };
    let folder = tempfile::tempdir().unwrap();
    let python =
        Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    let python = python.then(|| python::with_official_client(&folder.path().join("python")));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for users in sizes {
        let options = TenantOptions { users, ..TenantOptions::default() };
        let simulator = runtime.block_on(Simulator::start_tls(options)).unwrap();
        let bench = Bench::new(&simulator, folder.path(), python.as_deref());
        bench.measure(if is_bench { RUNS } else { 1 });
    }
}

/// A tenant, and a folder with what reads it.
struct Bench<'a> {
    simulator: &'a Simulator,
    folder: PathBuf,
    python: Option<&'a Path>,
}

impl<'a> Bench<'a> {
    fn new(simulator: &'a Simulator, folder: &Path, python: Option<&'a Path>) -> Self {
        let tenant = simulator.options();
        let folder = folder.join(tenant.users.to_string());
        std::fs::create_dir(&folder).unwrap();
        private_file::replace(&folder.join("key"), tenant.secret_key.as_bytes()).unwrap();
        std::fs::write(folder.join("ca.pem"), simulator.ca_pem().unwrap()).unwrap();
        for (file, streams) in [("lists.toml", format!("streams = {LISTS:?}\n")), ("all.toml", String::new())]
        {
            let configuration = format!(
                "name = \"duo\"\nconnector = \"duo\"\n{streams}\
                 [settings]\napi-hostname = \"{host}\"\nintegration-key = \"{key}\"\nsecret-key = {{ file = \"key\" }}\n\
                 [network]\nconnect-to = {{ \"{host}\" = \"{url}\" }}\nca-file = \"ca.pem\"\n\
                 [limits]\nvendor-budgets = false\n",
                host = tenant.host,
                key = tenant.integration_key,
                url = simulator.url(),
            );
            std::fs::write(folder.join(file), configuration).unwrap();
        }
        Self { simulator, folder, python }
    }

    fn measure(&self, runs: usize) {
        self.sync("lists.toml", "warm-up.db");
        let (mut lists, mut first, mut second, mut official) = (vec![], vec![], vec![], vec![]);
        // One after the other, so that a machine that slows down slows all of them.
        for number in 0..runs {
            official.extend(self.official_client());
            lists.push(self.sync("lists.toml", &format!("lists-{number}.db")));
            let store = format!("all-{number}.db");
            first.push(self.sync("all.toml", &store));
            second.push(self.sync("all.toml", &store));
        }
        let (lists, first, second) = (medians(&lists), medians(&first), medians(&second));
        let users = self.simulator.options().users;
        println!("{users} users                     wall  processor     peak");
        row("first sync, the lists", &lists);
        row("first sync, with the log", &first);
        row("second sync, with the log", &second);
        let (parse, insert, rows) = floor::floor(self.simulator);
        println!(
            "  floor: serde_json {:.2} s, {rows} rows into SQLite {:.2} s",
            parse.as_secs_f64(),
            insert.as_secs_f64()
        );
        let size = std::fs::metadata(self.folder.join("lists-0.db")).unwrap().len();
        println!("  the lists take {} bytes a user in the store", size / u64::from(users));
        println!(
            "  first sync of the lists / floor, processor time: {:.2}",
            ratio(lists.processor, parse + insert)
        );
        if official.is_empty() {
            println!("  without `python3` there is no official client to compare with");
            return;
        }
        let official = medians(&official);
        row("the official client, the lists", &official);
        println!(
            "  first sync of the lists / the official client, wall time: {:.2}",
            ratio(lists.wall, official.wall)
        );
        println!(
            "  second sync / the official client, processor time: {:.2}",
            ratio(second.processor, official.processor)
        );
    }

    fn sync(&self, configuration: &str, store: &str) -> Cost {
        let mut command = Command::new(env!("CARGO_BIN_EXE_connector-host-under-test"));
        run(command.args(["sync", "--config", configuration, "--store", store]).current_dir(&self.folder))
    }

    fn official_client(&self) -> Option<Cost> {
        let tenant = self.simulator.options();
        let port: u16 = self.simulator.url().rsplit(':').next().unwrap().parse().unwrap();
        let arguments = json!({
            "host": tenant.host, "port": port, "integration_key": tenant.integration_key,
            "secret_key": tenant.secret_key, "ca_file": self.folder.join("ca.pem"),
        });
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/sync/official_client.py");
        Some(run(Command::new(self.python?).arg(script).arg(arguments.to_string())))
    }
}

fn row(what: &str, cost: &Cost) {
    let (wall, processor) = (cost.wall.as_secs_f64(), cost.processor.as_secs_f64());
    println!("  {what:<30} {wall:>7.2} s {processor:>7.2} s {:>4} MiB", cost.memory);
}

fn ratio(one: std::time::Duration, other: std::time::Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
