//! What the sandbox costs: one page of 300 users, natively and as a component; an instance; loading.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use connector_host::BUNDLED;
use connector_sandbox::capabilities::ignore_waits;
use connector_sandbox::contract::api::Position;
use connector_sandbox::contract::http::Response;
use connector_sandbox::{Connector, Engine, EngineOptions, Provenance, Source, private_file};
use connector_sync::configuration::Configuration;
use connector_sync::integration::Integration;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use duo_connector::contract as guest;
use duo_simulator::TenantOptions;
use duo_simulator::tenant::{Kind, Tenant};
use tokio::runtime::Runtime;

const HOST: &str = "api-xxxxxxxx.duosecurity.com";
const KEY: &str = "Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep";

/// A page of 300 users, as the simulated tenant serves it.
fn page() -> Vec<u8> {
    let tenant = Tenant::new(&TenantOptions { users: 5000, ..TenantOptions::default() });
    let users: Vec<_> = (0..300).filter_map(|index| tenant.object(Kind::User, index)).collect();
    let metadata = serde_json::json!({ "total_objects": 5000, "next_offset": 300, "prev_offset": 0 });
    let page = serde_json::json!({ "stat": "OK", "response": users, "metadata": metadata });
    page.to_string().into_bytes()
}

/// The connector as plain Rust, over the same answer from memory.
struct Native(guest::Response);

impl duo_connector::Host for Native {
    fn send(&self, _: &guest::Request) -> Result<guest::Response, guest::HttpError> {
        Ok(self.0.clone())
    }

    fn secret(&self, _: &str) -> Result<String, guest::SecretError> {
        Ok(KEY.to_owned())
    }

    fn log(&self, _: guest::Level, _: &str) {}

    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

async fn sandboxed(engine: &Engine, body: Vec<u8>) -> Integration {
    let folder = tempfile::tempdir().unwrap();
    private_file::replace(&folder.path().join("key"), KEY.as_bytes()).unwrap();
    let text = format!(
        "name = \"duo\"\nconnector = \"duo\"\n[settings]\napi-hostname = \"{HOST}\"\n\
         integration-key = \"DIXXXXXXXXXXXXXXXXXX\"\nsecret-key = {{ file = \"key\" }}\n\
         [limits]\nvendor-budgets = false\n"
    );
    let configuration = Configuration::parse(&text, &folder.path().join("duo.toml"), folder.path()).unwrap();
    let mut integration = Integration::open(engine, &configuration, BUNDLED).await.unwrap();
    let answer = Response { status: 200, headers: vec![], body };
    integration.answer_from_memory(Arc::new(move |_| Ok(answer.clone())));
    integration
}

fn one_page(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let body = page();
    let mut group = criterion.benchmark_group("page-of-300-users");
    group.throughput(Throughput::Bytes(body.len() as u64));

    let native = Native(guest::Response { status: 200, headers: vec![], body: body.clone() });
    let setting = |name: &str, value: &str| guest::Setting { name: name.to_owned(), value: value.to_owned() };
    let settings = [setting("api-hostname", HOST), setting("integration-key", "DIXXXXXXXXXXXXXXXXXX")];
    group.bench_function("native", |bencher| {
        bencher.iter(|| {
            let page =
                duo_connector::read(&native, &settings, None, "users", &guest::Position::Beginning).unwrap();
            assert_eq!(page.entities.len(), 301, "and everybody");
            black_box(page)
        });
    });

    let engine = Engine::new(&EngineOptions::default()).unwrap();
    let integration = runtime.block_on(sandboxed(&engine, body));
    let users = integration.manifest().stream("users").unwrap().clone();
    group.bench_function("sandbox", |bencher| {
        bencher.to_async(&runtime).iter(async || {
            let page = integration
                .read(&users, None, &Position::Beginning, &Default::default(), &ignore_waits())
                .await
                .unwrap();
            assert_eq!(page.entities.len(), 301, "and everybody");
            black_box(page)
        });
    });
    group.finish();
}

fn one_instance(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let engine = Engine::new(&EngineOptions::default()).unwrap();
    // A page without users: what is left is the instance, the call, the signature.
    let body = br#"{"stat":"OK","response":[],"metadata":{"total_objects":0}}"#.to_vec();
    let integration = runtime.block_on(sandboxed(&engine, body));
    let users = integration.manifest().stream("users").unwrap().clone();
    criterion.bench_function("instantiate-and-read-an-empty-page", |bencher| {
        bencher.to_async(&runtime).iter(async || {
            black_box(
                integration
                    .read(&users, None, &Position::Beginning, &Default::default(), &ignore_waits())
                    .await
                    .unwrap(),
            )
        });
    });
}

async fn load_bundled(engine: &Engine) -> Connector {
    let source = Source::Bundled(BUNDLED.first().copied().unwrap());
    Connector::read_and_load(engine, source, &Provenance::default()).await.unwrap()
}

fn load(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10);
    for (name, engine) in [
        ("compile", Engine::new(&EngineOptions { cache: None, ..EngineOptions::default() }).unwrap()),
        ("from-cache", Engine::new(&EngineOptions::default()).unwrap()),
    ] {
        // Fills the cache, where there is one.
        runtime.block_on(load_bundled(&engine));
        group.bench_function(name, |bencher| {
            bencher.to_async(&runtime).iter(async || load_bundled(&engine).await);
        });
    }
    group.finish();
}

criterion_group!(benches, one_page, one_instance, load);
criterion_main!(benches);
