//! The registry without `serve`, in an order and at moments that `serve` can't be made to keep.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use connector_host::BUNDLED;
use connector_sandbox::{Artifact, Digest, Engine, EngineOptions, Hint as _, Source};
use connector_server::registry::{Consent, Refusal, Registry};
use connector_sync::configuration::Configuration;
use connector_sync::probation::RolledBack;
use connector_sync::{Event, Observer, StreamOutcome, Summary};
use duo_simulator::Fault;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::harness::{Setup, tenant};
use crate::served::variant;

const BY_HAND: Consent = Consent { explicit: true, new_access: false };
const PATIENCE: Duration = Duration::from_secs(60);

fn engine(setup: &Setup) -> Engine {
    let cache = Some(setup.path("code"));
    Engine::new(&EngineOptions { cache, ..EngineOptions::default() }).unwrap()
}

fn registry(setup: &Setup, trial: Duration) -> (Arc<Registry>, UnboundedReceiver<RolledBack>) {
    let (sender, receiver) = unbounded_channel();
    (Registry::open(engine(setup), BUNDLED, &setup.path("connectors"), trial, sender).unwrap(), receiver)
}

fn configuration(setup: &Setup) -> Configuration {
    connector_sandbox::private_file::replace(
        &setup.path("key"),
        setup.simulator.options().secret_key.as_bytes(),
    )
    .unwrap();
    let text = setup.configuration().replace("{ env = \"TEST_SECRET_KEY\" }", "{ file = \"key\" }");
    let text = format!("{text}[limits]\nvendor-budgets = false\n");
    Configuration::parse(&text, Path::new("duo.toml"), &setup.path("")).unwrap()
}

fn candidate(setup: &Setup, version: &str, does: &str) -> Artifact {
    Artifact::read(Source::File(variant(&setup.path(""), version, does, 1))).unwrap()
}

/// Counts pages, and stops the run after so many.
struct Pages {
    kept: AtomicU64,
    most: u64,
    stop: CancellationToken,
}

impl Pages {
    fn until(most: u64) -> Arc<Self> {
        Arc::new(Self { kept: AtomicU64::new(0), most, stop: CancellationToken::new() })
    }
}

impl Observer for Pages {
    fn event(&self, event: Event<'_>) {
        if let Event::PageKept { stream, .. } = event
            && stream.name == "users"
            && self.kept.fetch_add(1, Ordering::Relaxed) + 1 >= self.most
        {
            self.stop.cancel();
        }
    }
}

/// Runs the integration, until so many pages of users were kept.
async fn run(registry: &Arc<Registry>, setup: &Setup, pages: u64) -> Summary {
    let serving = registry.attach(&configuration(setup)).await.unwrap();
    let observer = Pages::until(pages);
    let stop = observer.stop.clone();
    connector_sync::run(serving, setup.path("duo.db"), observer, stop).await.unwrap()
}

fn users(setup: &Setup) -> (i64, i64) {
    let store = rusqlite::Connection::open(setup.path("duo.db")).unwrap();
    let sql = "SELECT count(*), count(*) FILTER (WHERE source_id = 'DUINVENTED')
               FROM entities WHERE source_type = 'user'";
    store.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_failed_is_refused_also_where_another_took_over_before_the_rollback() {
    let setup = Setup::new(tenant(10)).await;
    let (registry, mut failed) = registry(&setup, PATIENCE);
    registry.attach(&configuration(&setup)).await.unwrap();
    let first = registry.list()[0].digest.clone();
    let broken = candidate(&setup, "0.3.0", "traps");
    registry.swap("duo", broken.clone(), BY_HAND).await.unwrap();
    let ended = run(&registry, &setup, u64::MAX).await;
    assert!(ended.complete, "it went back by itself: {ended:?}");
    let failure = failed.recv().await.unwrap();
    assert_eq!(failure.digest, broken.digest);

    // A third one takes over before the rollback is recorded.
    let third = candidate(&setup, "0.2.0", "works");
    let swapped = registry.swap("duo", third, BY_HAND).await.unwrap();
    assert_eq!(swapped.previous.as_deref(), Some(first.as_str()), "the failed one is not the previous one");
    assert!(
        registry.finish_rollback(&failure).await.unwrap().is_none(),
        "there is nothing to roll back any more"
    );
    let state = |version: &str| {
        let rows = registry.list();
        rows.iter().find(|row| row.version == version).map(|row| row.state.clone())
    };
    assert_eq!(state("0.2.0").as_deref(), Some("active"), "the third one is not rolled back in its place");
    assert_eq!(state("0.3.0").as_deref(), Some("refused"));

    // Once it is activated explicitly, its former failure no longer counts.
    registry.activate(&broken.digest.to_string(), false).await.unwrap();
    assert!(registry.finish_rollback(&failure).await.unwrap().is_none());
    assert_eq!(state("0.3.0").as_deref(), Some("active"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_recorded_state_no_connector_becomes_active_and_the_file_stays() {
    let setup = Setup::new(tenant(10)).await;
    let (registry, _failed) = registry(&setup, PATIENCE);
    let file = setup.path("connectors/installed/duo.json");
    std::fs::write(&file, "{\"active\": ").unwrap();
    let refused = registry.attach(&configuration(&setup)).await.err().unwrap();
    assert!(refused.to_string().contains("duo.json") && refused.hint().is_some(), "{refused}");
    let refused = registry.swap("duo", candidate(&setup, "0.2.0", "works"), BY_HAND).await.unwrap_err();
    assert!(matches!(refused, Refusal::Installed(_)), "{refused}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"active\": ");
    // Once it is repaired, it is read again.
    std::fs::write(&file, "{}").unwrap();
    registry.attach(&configuration(&setup)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_the_vendor_makes_wait_ends() {
    let setup = Setup::new(tenant(10)).await;
    let (registry, _failed) = registry(&setup, Duration::from_secs(1));
    registry.attach(&configuration(&setup)).await.unwrap();
    setup.simulator.inject_at("/admin/v1/groups", Fault::Slow(Duration::from_secs(20)), 100);
    let start = Instant::now();
    let refused = registry.swap("duo", candidate(&setup, "0.2.0", "works"), BY_HAND).await.unwrap_err();
    assert!(matches!(refused, Refusal::TooSlow { .. }), "{refused}");
    assert!(start.elapsed() < PATIENCE);
    assert_eq!(registry.list().len(), 1, "the candidate is not refused for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_rolled_back_connector_are_discarded_also_after_a_restart() {
    let setup = Setup::new(tenant(3000)).await;
    let invents = candidate(&setup, "0.4.0", "invents");
    let digest = invents.digest;
    {
        let (registry, _failed) = registry(&setup, PATIENCE);
        assert!(run(&registry, &setup, u64::MAX).await.complete);
        registry.swap("duo", invents, BY_HAND).await.unwrap();
        let stopped = run(&registry, &setup, 1).await;
        assert!(stopped.stopped, "{stopped:?}");
        assert_eq!(users(&setup).1, 1, "it invented a user");
        registry.roll_back("duo", "an operator rejected it").await.unwrap();
    }
    // Another process knows only what is on disk.
    let (registry, _failed) = registry(&setup, PATIENCE);
    let ended = run(&registry, &setup, u64::MAX).await;
    assert!(ended.resumed && ended.complete, "{ended:?}");
    assert_eq!(users(&setup), (3000, 0));
    let users = ended.entities.iter().find(|count| count.source_type == "user").unwrap();
    assert_eq!((users.seen, users.new, users.gone), (3000, 0, 0), "{users:?}");
    let store = rusqlite::Connection::open(setup.path("duo.db")).unwrap();
    let distrusted: (String, i64) = store
        .query_row(
            "SELECT digest, distrusted_pages FROM run_connector WHERE run = 2 AND stream = 'users'
             AND distrusted_pages > 0",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(distrusted, (digest.to_string(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_run_gives_no_cursor_to_a_connector_of_another_cursor_version() {
    let setup = Setup::new(tenant(3000)).await;
    let (registry, _failed) = registry(&setup, PATIENCE);
    assert!(run(&registry, &setup, 2).await.stopped);
    let other = Artifact::read(Source::File(variant(&setup.path(""), "0.5.0", "works", 2))).unwrap();
    registry.swap("duo", other, BY_HAND).await.unwrap();
    let asked = setup.simulator.recorded().len();
    let ended = run(&registry, &setup, u64::MAX).await;
    assert!(ended.resumed && ended.complete, "{ended:?}");
    let pages = ended.connectors.iter().filter(|one| one.stream == "users" && one.version == "0.5.0");
    assert_eq!(pages.map(|one| one.pages).sum::<u64>(), 11, "all pages are its own: {ended:?}");
    let recorded = setup.simulator.recorded();
    let refused = recorded.iter().skip(asked).filter(|one| one.query.contains("offset=598")).count();
    assert_eq!(refused, 1, "it was not called with the cursor of the other one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_only_the_rolled_back_connector_has_ends() {
    let setup = Setup::new(tenant(10)).await;
    let (registry, _failed) = registry(&setup, PATIENCE);
    registry.attach(&configuration(&setup)).await.unwrap();
    registry.swap("duo", candidate(&setup, "0.6.0", "extends"), BY_HAND).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, run(&registry, &setup, u64::MAX)).await.unwrap();
    for stream in &ended.streams {
        match &stream.outcome {
            StreamOutcome::Incomplete { reason, .. } => {
                assert_eq!(stream.stream, "extra");
                assert_eq!(
                    reason,
                    "its connector was rolled back, and the active one does not have the stream"
                );
            }
            outcome => assert_eq!(*outcome, StreamOutcome::Complete, "{}", stream.stream),
        }
    }
    assert!(!ended.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_becomes_a_plain_setting_is_new_access() {
    let setup = Setup::new(tenant(10)).await;
    let (registry, _failed) = registry(&setup, PATIENCE);
    registry.attach(&configuration(&setup)).await.unwrap();
    let relabels = candidate(&setup, "0.7.0", "relabels");
    let refused = registry.swap("duo", relabels, BY_HAND).await.unwrap_err();
    assert!(matches!(refused, Refusal::NewAccess(_)), "{refused}");
    assert!(refused.to_string().contains("the secret `secret-key` in clear"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_compared_with_the_bundled_connector_before_any_integration_is_attached() {
    let setup = Setup::new(tenant(10)).await;
    let (registry, _failed) = registry(&setup, PATIENCE);
    let wants = candidate(&setup, "0.7.0", "wants");
    let refused = registry.swap("duo", wants, BY_HAND).await.unwrap_err();
    assert!(matches!(refused, Refusal::NewAccess(_)), "{refused}");
    // An unattached integration takes part in the trial, too.
    let checks = candidate(&setup, "0.8.0", "checks");
    let mut pinned = configuration(&setup);
    pinned.provenance.sha256 = Some(checks.digest);
    let Err(error) = registry.attach(&pinned).await else { panic!("it trusts another one") };
    assert!(error.is_distrust(), "{error}");
    let refused = registry.swap("duo", checks, BY_HAND).await.unwrap_err();
    assert!(matches!(refused, Refusal::Check { .. }), "{refused}");

    let works = candidate(&setup, "0.2.0", "works");
    let digest = works.digest;
    let swapped = registry.swap("duo", works, BY_HAND).await.unwrap();
    let bundled = Digest::of(BUNDLED[0].bytes);
    assert_eq!(swapped.previous, Some(bundled.to_string()), "there is one to go back to");
    assert!(registry.attach(&pinned).await.is_err(), "it trusts only what it pins");
    pinned.provenance.sha256 = Some(digest);
    registry.attach(&pinned).await.unwrap();
}
