//! What a swap costs: loading, an instance, and taking over in the middle of a sync of 20,000 users.
//!
//! Not by criterion: a swap happens once in a run. Each candidate is the bundled connector with one more custom section,
//! so that it is another component to the compiler and the cache.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use connector_host::BUNDLED;
use connector_sandbox::capabilities::ignore_waits;
use connector_sandbox::contract::api::Position;
use connector_sandbox::contract::http::Response;
use connector_sandbox::{Artifact, Connector, Engine, EngineOptions, Provenance, Source, private_file};
use connector_server::registry::{Consent, Registry, TRIAL};
use connector_sync::configuration::Configuration;
use connector_sync::integration::Integration;
use connector_sync::{Event, Observer, StreamOutcome, Summary};
use duo_simulator::{Simulator, TenantOptions};
use tokio_util::sync::CancellationToken;

/// Measurements of each kind.
const TIMES: u32 = 9;
/// Swaps in one sync.
const SWAPS: u32 = 6;

/// The bundled connector, made another component by a custom section.
fn candidate(number: u32) -> Artifact {
    let mut bytes = BUNDLED.first().unwrap().bytes.to_vec();
    bytes.extend([0, 7, 2, b'n', b'o']);
    bytes.extend(number.to_le_bytes());
    Artifact::new(Source::File(format!("candidate-{number}.wasm").into()), bytes.into(), None)
}

fn main() {
    // `cargo bench` passes `--bench`, `cargo test --benches` does not: then once is enough to see that it works.
    let times = if std::env::args().any(|argument| argument == "--bench") { TIMES } else { 1 };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let options = EngineOptions { cache: Some(folder.path().join("code")), ..EngineOptions::default() };
        loading(&options, times).await;
        swapping(&options, folder.path()).await;
    });
}

async fn loading(options: &EngineOptions, times: u32) {
    let engine = Engine::new(options).unwrap();
    let trust = Provenance::default();
    let (mut cold, mut cached, mut instances) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..times {
        for times in [&mut cold, &mut cached] {
            let start = Instant::now();
            Connector::load(&engine, candidate(number), &trust).await.unwrap();
            times.push(start.elapsed());
        }
    }
    let integration = in_memory(&engine).await;
    let groups = integration.manifest().stream("groups").unwrap().clone();
    for _ in 0..times * 100 {
        let start = Instant::now();
        integration
            .read(&groups, None, &Position::Beginning, &Arc::default(), &ignore_waits())
            .await
            .unwrap();
        instances.push(start.elapsed());
    }
    println!("cold compile, link, describe        {:>9.1} ms", median(&mut cold));
    println!("start from the cache                {:>9.1} ms", median(&mut cached));
    println!("a fresh instance, and an empty page {:>9.3} ms", median(&mut instances));
}

/// The bundled connector over an empty answer.
async fn in_memory(engine: &Engine) -> Integration {
    let text = "name = \"duo\"\nconnector = \"duo\"\n[settings]\napi-hostname = \"api-xxxxxxxx.duosecurity.com\"\n\
                integration-key = \"DIXXXXXXXXXXXXXXXXXX\"\nsecret-key = { file = \"key\" }\n\
                [limits]\nvendor-budgets = false\n";
    let folder = tempfile::tempdir().unwrap();
    private_file::replace(&folder.path().join("key"), b"Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep").unwrap();
    let configuration = Configuration::parse(text, Path::new("duo.toml"), folder.path()).unwrap();
    let mut integration = Integration::open(engine, &configuration, BUNDLED).await.unwrap();
    let body = br#"{"stat":"OK","response":[],"metadata":{"total_objects":0}}"#.to_vec();
    integration.answer_from_memory(Arc::new(move |_| {
        Ok(Response { status: 200, headers: vec![], body: body.clone() })
    }));
    integration
}

/// Counts pages.
#[derive(Default)]
struct Pages(AtomicU64);

impl Observer for Pages {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::PageKept { .. }) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn swapping(options: &EngineOptions, folder: &Path) {
    let tenant = TenantOptions { users: 20_000, ..TenantOptions::default() };
    let simulator = Simulator::start(tenant).await.unwrap();
    private_file::replace(&folder.join("key"), simulator.options().secret_key.as_bytes()).unwrap();
    let text = format!(
        "name = \"duo\"\nconnector = \"duo\"\n[settings]\napi-hostname = \"{host}\"\nintegration-key = \"{key}\"\n\
         secret-key = {{ file = \"key\" }}\n[network]\nconnect-to = {{ \"{host}\" = \"{url}\" }}\n\
         [limits]\nvendor-budgets = false\n",
        host = simulator.options().host,
        key = simulator.options().integration_key,
        url = simulator.url(),
    );
    let configuration = Configuration::parse(&text, Path::new("duo.toml"), folder).unwrap();
    let (failed, _) = tokio::sync::mpsc::unbounded_channel();
    let registry =
        Registry::open(Engine::new(options).unwrap(), BUNDLED, &folder.join("connectors"), TRIAL, failed)
            .unwrap();
    let serving = registry.attach(&configuration).await.unwrap();
    let pages = Arc::new(Pages::default());
    let observer: Arc<dyn Observer> = Arc::<Pages>::clone(&pages);
    let run =
        tokio::spawn(connector_sync::run(serving, folder.join("duo.db"), observer, CancellationToken::new()));

    let consent = Consent { explicit: true, new_access: false };
    let (mut swaps, mut taken) = (Vec::new(), 0);
    for number in 0..SWAPS {
        let before = pages.0.load(Ordering::Relaxed);
        while pages.0.load(Ordering::Relaxed) < before + 5 && !run.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let start = Instant::now();
        registry.swap("duo", candidate(1000 + number), consent).await.unwrap();
        if !run.is_finished() {
            swaps.push(start.elapsed());
            taken += 1;
        }
    }
    let summary = run.await.unwrap().unwrap();
    let failed = summary.streams.iter().filter(|one| one.outcome != StreamOutcome::Complete).count();
    let users: u64 = summary.connectors.iter().filter(|one| one.stream == "users").map(|one| one.pages).sum();
    println!(
        "swap: verify, compile, try, check    {:>8.1} ms (median of {taken}, while a sync runs)",
        median(&mut swaps)
    );
    println!("calls failed during {taken} swaps            {failed}");
    println!(
        "pages of 20,000 users                {users:>5} (67 are due), read by {} connectors",
        readers(&summary)
    );
}

fn readers(summary: &Summary) -> usize {
    let digests: std::collections::BTreeSet<_> = summary.connectors.iter().map(|one| &one.digest).collect();
    digests.len()
}

/// In milliseconds.
fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1000.0
}
