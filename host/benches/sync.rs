//! What a whole sync costs: 20,000 users from the simulated tenant into a new store, by the real program.
//!
//! Requests, wall and CPU time and peak memory, as the operating system counts them for the finished process.
//! Not by criterion: a run takes seconds, and memory is half of what is asked.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
    }
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
        let status = Command::new(env!("CARGO_BIN_EXE_connector-host"))
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
