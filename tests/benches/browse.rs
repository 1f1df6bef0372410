//! What a page about 100,000 users costs: the store's answers to what the pages ask, and each rule of the insights.
//!
//! Not by criterion: the store takes a minute to fill, and each question is asked a few times only.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use connector_host::BUNDLED;
use connector_report::insights::{self, INSIGHTS};
use connector_sandbox::{Engine, EngineOptions, private_file};
use connector_store::{Entities, EntityRow, Key, PageCursor, Reader};
use connector_sync::NullObserver;
use connector_sync::active::ActiveIntegration;
use connector_sync::configuration::Configuration;
use connector_sync::integration::Integration;
use duo_simulator::{Simulator, TenantOptions};
use tokio_util::sync::CancellationToken;

const NAME: &str = "duo";

/// A store with a tenant of so many users.
async fn fill(folder: &std::path::Path, users: u32) -> Reader {
    let options = TenantOptions { users, events: Some(u64::from(users)), ..TenantOptions::default() };
    let simulator = Simulator::start(options).await.unwrap();
    private_file::replace(&folder.join("key"), simulator.options().secret_key.as_bytes()).unwrap();
    let text = format!(
        "name = \"{NAME}\"\nconnector = \"duo\"\n[settings]\napi-hostname = \"{host}\"\nintegration-key = \"{key}\"\n\
         secret-key = {{ file = \"key\" }}\n[network]\nconnect-to = {{ \"{host}\" = \"{url}\" }}\n\
         [limits]\nvendor-budgets = false\n",
        host = simulator.options().host,
        key = simulator.options().integration_key,
        url = simulator.url(),
    );
    std::fs::write(folder.join("duo.toml"), text).unwrap();
    let configuration = Configuration::load(&folder.join("duo.toml")).unwrap();
    let engine = Engine::new(&EngineOptions::default()).unwrap();
    let serving = ActiveIntegration::new(
        Integration::open(&engine, &configuration, BUNDLED).await.unwrap(),
        Vec::new(),
    );
    let (store, stop) = (folder.join("duo.db"), CancellationToken::new());
    let summary =
        connector_sync::run(Arc::new(serving), store.clone(), Arc::new(NullObserver), stop).await.unwrap();
    assert!(summary.complete);
    Reader::open(&store).unwrap()
}

/// The median time of a few times.
fn measure<T>(what: &str, times: usize, ask: impl Fn() -> T) -> T {
    let answer = ask();
    let mut took: Vec<Duration> = (0..times)
        .map(|_| {
            let begun = Instant::now();
            ask();
            begun.elapsed()
        })
        .collect();
    took.sort();
    let median = took.get(times / 2).copied().unwrap_or_default();
    println!("{:>9.2} ms  {what}", median.as_secs_f64() * 1000.0);
    answer
}

fn page(store: &Reader, search: &str, turn: PageCursor) -> Vec<EntityRow> {
    store.browse(NAME, &Entities { source_type: "user", search, turn, limit: 50 }).unwrap().rows
}

#[tokio::main]
async fn main() {
    // `cargo bench` passes `--bench`, `cargo test --benches` does not: then a small one shows that it works.
    let (users, times) =
        if std::env::args().any(|argument| argument == "--bench") { (100_000, 9) } else { (100, 1) };
    let folder = tempfile::tempdir().unwrap();
    let store = fill(folder.path(), users).await;
    println!("{users} users");
    measure("how many objects of each type", times, || store.type_counts(NAME).unwrap());
    let first = measure("the first page of users", times, || page(&store, "", PageCursor::First));
    let far = Key { name: "Zoé".to_owned(), source_id: String::new() };
    measure("a page near the end", times, || page(&store, "", PageCursor::After(far.clone())));
    measure("a search that finds many", times, || page(&store, "nguy", PageCursor::First));
    measure("a search that finds none", times, || page(&store, "no user has this", PageCursor::First));
    let user = first.first().unwrap();
    measure("what a user has", times, || store.linked(user, true, 200).unwrap());
    measure("what a user reaches", times, || store.access(user, 0, 101).unwrap());
    let applications =
        Entities { source_type: "application", search: "", turn: PageCursor::First, limit: 50 };
    let applications = store.browse(NAME, &applications).unwrap().rows;
    let application = applications.first().unwrap();
    measure("who reaches an application", times, || store.access(application, 0, 101).unwrap());
    for insight in INSIGHTS {
        measure(insight.name, times, || {
            insights::find(&store, insight, Some(NAME), Utc::now(), 100, 0).unwrap()
        });
    }
    measure("all charts", times, || insights::charts(&store, Some(NAME), Utc::now()).unwrap());
}
