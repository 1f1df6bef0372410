//! A connector is swapped during a run: no page is lost, none is read twice, no call fails. A candidate that fails its trial never
//! becomes active, and one that fails its probation is rolled back.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use connector_host::BUNDLED;
use duo_simulator::Fault;
use serde_json::Value;

use crate::harness::{Setup, contents, row, tenant};
use crate::served::{Served, variant};

/// The configuration, without the vendor's rate limit: it would stretch the test to minutes.
fn configuration(setup: &Setup) -> String {
    format!("{}[limits]\nvendor-budgets = false\n", setup.configuration())
}

/// Requests for pages of users, so far.
fn pages_asked(setup: &Setup) -> usize {
    let recorded = setup.simulator.recorded();
    recorded.iter().filter(|one| one.path == "/admin/v1/users" && one.query.contains("limit=300")).count()
}

/// Pages of users by the version that read them.
fn versions(store: &Path) -> BTreeMap<String, u64> {
    let store = rusqlite::Connection::open(store).unwrap();
    let mut statement =
        store.prepare("SELECT version, pages FROM run_connector WHERE stream = 'users' AND run = 1").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())));
    rows.unwrap().map(Result::unwrap).collect()
}

fn install(served: &Served<'_>, file: &Path, more: &[&str]) -> crate::harness::Ended {
    let file = file.to_str().unwrap();
    served.run(&[&["connector", "install", file, "--name", "duo"], more].concat())
}

/// Version and state of the connectors.
fn connectors(served: &Served<'_>) -> Vec<(String, String)> {
    let status = served.status();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut rows: Vec<_> = status["connectors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (text(&row["version"]), text(&row["state"])))
        .collect();
    rows.sort();
    rows
}

fn rows(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(version, state)| ((*version).to_owned(), (*state).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_twice_and_rolled_back_in_the_middle_of_20_000_users() {
    let setup = Setup::new(tenant(20_000)).await;
    let v2 = variant(&setup.path(""), "0.2.0", "works", 1);
    let broken = variant(&setup.path(""), "0.3.0", "traps", 1);
    setup.simulator.inject_at("/admin/v1/users", Fault::Slow(Duration::from_millis(200)), 1000);
    let served = Served::start(&setup, &[("duo", configuration(&setup))]);

    served.wait("pages of users", |_| pages_asked(&setup) >= 5);
    let ended = install(&served, &v2, &[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("`duo` 0.2.0") && ended.stdout.contains("it serves `duo`"), "{ended:?}");
    let asked = pages_asked(&setup);
    assert!(asked < 40, "the run ended before the swap");
    served.wait("pages that the second one reads", |_| pages_asked(&setup) >= asked + 5);
    // It answers `check`, so it takes over; then it traps on every page.
    assert_eq!(install(&served, &broken, &[]).code, 0);
    served.wait("the roll-back", |served| {
        let message = served.status()["connector_message"].clone();
        message.as_str().is_some_and(|message| message.contains("was rolled back"))
    });
    let ended = served.wait_for_the_end("duo");

    assert_eq!(ended["last_run"]["outcome"], "complete", "no call failed: {ended}");
    assert_eq!(ended["message"], Value::Null);
    assert!(ended["connector"].as_str().unwrap().starts_with("duo 0.2.0 "), "{ended}");
    let expected = [("0.1.0", "installed"), ("0.2.0", "active"), ("0.3.0", "refused")];
    assert_eq!(connectors(&served), rows(&expected));
    let reason = row(&served.status()["connectors"], "version", "0.3.0")["reason"].clone();
    assert!(reason.as_str().unwrap().contains("this version can't read"), "{reason}");

    let versions = versions(&setup.path("data/duo.db"));
    assert_eq!(versions.values().sum::<u64>(), 67, "no page lost, none twice: {versions:?}");
    assert_eq!(
        versions.keys().collect::<Vec<_>>(),
        ["0.1.0", "0.2.0"],
        "both read, and the broken one nothing"
    );
    assert_eq!(pages_asked(&setup), 67, "no page was requested twice");
    setup.sync(0);
    assert_eq!(contents(&setup, "data/duo.db"), contents(&setup, "duo.db"), "exactly the tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_rolled_back_connector_are_read_again() {
    let setup = Setup::new(tenant(3000)).await;
    let forgets = variant(&setup.path(""), "0.4.0", "forgets", 1);
    setup.simulator.inject_at("/admin/v1/users", Fault::Slow(Duration::from_millis(500)), 1000);
    let served = Served::start(&setup, &[("duo", configuration(&setup))]);
    served.wait("pages of users", |_| pages_asked(&setup) >= 2);
    assert_eq!(install(&served, &forgets, &[]).code, 0);
    let ended = served.wait_for_the_end("duo");
    assert_eq!(ended["last_run"]["outcome"], "complete", "{ended} {}", served.log());
    let status = served.status();
    let message = status["connector_message"].as_str().unwrap();
    assert!(message.contains("the connector broke the contract"), "{message}");
    setup.sync(0);
    assert_eq!(contents(&setup, "data/duo.db"), contents(&setup, "duo.db"), "exactly the tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_flight_is_finished_by_the_connector_whose_cursors_it_has() {
    let setup = Setup::new(tenant(3000)).await;
    let other_cursors = variant(&setup.path(""), "0.5.0", "works", 2);
    setup.simulator.inject_at("/admin/v1/users", Fault::Slow(Duration::from_millis(500)), 1000);
    let served = Served::start(&setup, &[("duo", configuration(&setup))]);
    served.wait("pages of users", |_| pages_asked(&setup) >= 2);
    assert_eq!(install(&served, &other_cursors, &[]).code, 0);
    let ended = served.wait_for_the_end("duo");
    assert_eq!(ended["last_run"]["outcome"], "complete", "{ended}");
    assert_eq!(versions(&setup.path("data/duo.db")), BTreeMap::from([("0.1.0".to_owned(), 11)]));
    // The new connector reads the next run.
    assert_eq!(served.run(&["run", "duo"]).code, 0);
    let first = ended["last_run"]["started_at"].clone();
    served.wait("the second run", |served| served.integration("duo")["last_run"]["started_at"] != first);
    let store = rusqlite::Connection::open(setup.path("data/duo.db")).unwrap();
    let read_by: String = store
        .query_row("SELECT group_concat(DISTINCT version) FROM run_connector WHERE run = 2", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(read_by, "0.5.0");
}

/// The first one continues with its own cursors after another took over; then its pages are discarded.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_fails_after_another_took_over_is_replaced() {
    let setup = Setup::new(tenant(3000)).await;
    let tires = variant(&setup.path(""), "0.2.0", "tires", 1);
    let other_cursors = variant(&setup.path(""), "0.5.0", "works", 2);
    setup.simulator.inject_at("/admin/v1/users", Fault::Slow(Duration::from_millis(1500)), 1000);
    let served = Served::start(&setup, &[("duo", configuration(&setup))]);
    served.wait("a page of users", |_| pages_asked(&setup) >= 1);
    assert_eq!(install(&served, &tires, &[]).code, 0);
    assert_eq!(install(&served, &other_cursors, &[]).code, 0);
    served.wait("a few pages more", |_| pages_asked(&setup) >= 8);
    setup.simulator.heal();
    let ended = served.wait_for_the_end("duo");
    assert_eq!(ended["last_run"]["outcome"], "complete", "{ended} {}", served.log());
    setup.sync(0);
    assert_eq!(contents(&setup, "data/duo.db"), contents(&setup, "duo.db"), "exactly the tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_fails_never_becomes_active_and_the_reason_is_shown() {
    let setup = Setup::new(tenant(10)).await;
    let served = Served::start(&setup, &[("duo", configuration(&setup))]);
    served.wait_for_the_end("duo");
    let folder = setup.path("");
    for (version, does, said, hint) in [
        (
            "0.6.0",
            "checks",
            "its `check` for `duo` failed: the connector panicked",
            "report it to its author",
        ),
        (
            "0.7.0",
            "wants",
            "it requests access that the active connector lacks: the secret `another-key`",
            "--accept-new-access",
        ),
        ("0.9.0", "demands", "a setting of `duo` can't be used", "`another-name`: You would like to know."),
        (
            "0.8.0",
            "renames",
            "its manifest has the name `another`, and it would replace `duo`",
            "manifest says `duo`",
        ),
    ] {
        let ended = install(&served, &variant(&folder, version, does, 1), &[]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains(said) && ended.stderr.contains(hint), "{ended:?}");
        assert!(served.integration("duo")["connector"].as_str().unwrap().starts_with("duo 0.1.0 "));
    }
    let ended = served.run(&["connector", "install", folder.join("0.8.0-renames-1.wasm").to_str().unwrap()]);
    assert!(ended.stderr.contains("is not a name of a connector"), "{ended:?}");
    // A file in the folder is tried in the same way.
    std::fs::write(setup.path("connectors/duo.wasm"), b"\0asm\x0d\0\x01\0and no more").unwrap();
    served.wait("the refusal", |served| {
        served.status()["connector_message"]
            .as_str()
            .is_some_and(|message| message.contains("is not a WebAssembly component"))
    });
    // With consent the one that requests more access becomes active: it was kept.
    let wants = std::fs::read(variant(&folder, "0.7.0", "wants", 1)).unwrap();
    let digest = connector_sandbox::Digest::of(&wants).to_string();
    assert_eq!(served.run(&["connector", "activate", &digest]).code, 2);
    assert_eq!(served.run(&["connector", "activate", &digest, "--accept-new-access"]).code, 0);
    assert!(served.integration("duo")["connector"].as_str().unwrap().starts_with("duo 0.7.0 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_active_connector_is_installed_activated_rolled_back_and_kept_after_a_restart() {
    let setup = Setup::new(tenant(10)).await;
    let folder = setup.path("");
    let served = Served::start(&setup, &[("duo", configuration(&setup))]);
    served.wait_for_the_end("duo");
    let serving = |served: &Served<'_>| {
        let row = served.integration("duo");
        row["connector"].as_str().unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(served.run(&["connector", "rollback", "duo"]).code, 2, "there is nothing to go back to");
    // A file that appears in the folder is a candidate.
    std::fs::copy(variant(&folder, "0.2.0", "works", 1), setup.path("connectors/duo.wasm")).unwrap();
    served.wait("the dropped one", |served| serving(served) == "0.2.0");
    assert_eq!(install(&served, &variant(&folder, "0.3.0", "works", 1), &[]).code, 0);
    assert_eq!(serving(&served), "0.3.0");
    assert_eq!(served.run(&["connector", "rollback"]).code, 0);
    assert_eq!(serving(&served), "0.2.0");

    let digest_of = |version: &str| {
        row(&served.status()["connectors"], "version", version)["digest"].as_str().unwrap()[..12].to_owned()
    };
    let (first, third) = (digest_of("0.1.0"), digest_of("0.3.0"));
    assert_eq!(
        served.run(&["connector", "activate", &third]).code,
        0,
        "by hand, what was rolled back may serve"
    );
    assert_eq!(served.run(&["connector", "activate", &first]).code, 0);
    assert_eq!(serving(&served), "0.1.0");
    assert_eq!(served.run(&["connector", "activate", "ffff"]).code, 2);
    served.terminate();

    // It stays active after a restart, although another file is in the folder.
    let served = Served::again(&setup);
    assert_eq!(serving(&served), "0.1.0");
    let ended = served.run(&["connector", "list"]);
    assert_eq!(ended.stdout.matches("active").count(), 1, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_integration_refuses_every_other_connector() {
    let setup = Setup::new(tenant(10)).await;
    let pinned = connector_sandbox::Digest::of(BUNDLED[0].bytes);
    let configuration = format!("{}[provenance]\nsha256 = \"{pinned}\"\n", configuration(&setup));
    let served = Served::start(&setup, &[("duo", configuration)]);
    served.wait_for_the_end("duo");
    let ended = install(&served, &variant(&setup.path(""), "0.2.0", "works", 1), &[]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("`duo` does not trust it: its SHA-256 is"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_vendor_do_not_count_as_faults_of_the_connector() {
    let setup = Setup::new(tenant(10)).await;
    let served = Served::start(&setup, &[("duo", configuration(&setup))]);
    let first = served.wait_for_the_end("duo")["last_run"]["started_at"].clone();
    assert_eq!(install(&served, &variant(&setup.path(""), "0.2.0", "works", 1), &[]).code, 0);
    // `check` succeeds, then all requests for phones and tokens fail.
    for path in ["/admin/v1/phones", "/admin/v1/tokens"] {
        setup.simulator.inject_at(path, Fault::ServerError(500), 1000);
    }
    assert_eq!(served.run(&["run", "duo"]).code, 0);
    served.wait("the second run", |served| served.integration("duo")["last_run"]["started_at"] != first);
    let row = served.integration("duo");
    assert_eq!(row["last_run"]["outcome"], "partial", "{row}");
    assert!(row["connector"].as_str().unwrap().starts_with("duo 0.2.0 "), "{row}");
    assert_eq!(served.status()["connector_message"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probation_outlasts_a_reload_and_a_restart() {
    let setup = Setup::new(tenant(10)).await;
    let served = Served::start(&setup, &[("duo", configuration(&setup))]);
    served.wait_for_the_end("duo");
    assert_eq!(install(&served, &variant(&setup.path(""), "0.3.0", "traps", 1), &[]).code, 0);
    served.signal(nix::sys::signal::Signal::SIGHUP);
    served.terminate();
    let served = Served::again(&setup);
    assert_eq!(served.run(&["run", "duo"]).code, 0);
    served.wait("the roll-back", |served| !served.status()["connector_message"].is_null());
    let row = served.wait_for_the_end("duo");
    assert_eq!(row["last_run"]["outcome"], "complete", "{row}");
    assert!(row["connector"].as_str().unwrap().starts_with("duo 0.1.0 "), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_moved_while_it_runs_and_trust_can_be_withdrawn() {
    let setup = Setup::new(tenant(3000)).await;
    setup.simulator.inject_at("/admin/v1/users", Fault::Slow(Duration::from_millis(500)), 1000);
    let second = variant(&setup.path(""), "0.2.0", "works", 1);
    let digest = connector_sandbox::Digest::of(&std::fs::read(&second).unwrap());
    let served = Served::start(&setup, &[("duo", configuration(&setup))]);
    served.wait("pages of users", |_| pages_asked(&setup) >= 2);

    let pinned = format!("{}[provenance]\nsha256 = \"{digest}\"\n", configuration(&setup));
    std::fs::write(setup.path("integrations/duo.toml"), pinned).unwrap();
    served.wait("trust to be withdrawn", |served| served.integration("duo")["state"] == "unusable");
    let row = served.integration("duo");
    assert!(row["message"].as_str().unwrap().contains("its SHA-256 is"), "{row}");
    served.wait("the end of the run", |served| served.integration("duo")["progress"].is_null());
    let asked = pages_asked(&setup);
    assert!(asked < 10, "the run ended before the swap");
    let refused = served.run(&["run", "duo"]);
    assert!(refused.code == 2 && refused.stderr.contains("its SHA-256 is"), "{refused:?}");
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(pages_asked(&setup), asked, "a connector that is not trusted reads nothing");

    // The connector that it trusts resumes the run.
    assert_eq!(install(&served, &second, &[]).code, 0);
    served.wait("the end of the resumed run", |served| {
        served.integration("duo")["last_run"]["outcome"] == "complete"
    });
    let versions = versions(&setup.path("data/duo.db"));
    assert_eq!(versions.values().sum::<u64>(), 11, "{versions:?}");
    assert_eq!(versions.keys().collect::<Vec<_>>(), ["0.1.0", "0.2.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_integration_without_its_connector_begins_once_that_is_installed() {
    let setup = Setup::new(tenant(10)).await;
    let text = configuration(&setup).replace("connector = \"duo\"", "connector = \"another\"");
    let served = Served::start(&setup, &[("duo", text)]);
    assert_eq!(served.integration("duo")["message"], "there is no connector `another`");
    let renamed = variant(&setup.path(""), "0.8.0", "renames", 1);
    let ended = served.run(&["connector", "install", renamed.to_str().unwrap(), "--name", "another"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let row = served.wait_for_the_end("duo");
    assert_eq!(row["last_run"]["outcome"], "complete", "{row}");
    assert!(row["connector"].as_str().unwrap().starts_with("another 0.8.0 "), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_reaches_a_run_that_was_under_way_when_its_configuration_was_reloaded() {
    let setup = Setup::new(tenant(3000)).await;
    setup.simulator.inject_at("/admin/v1/users", Fault::Slow(Duration::from_millis(500)), 1000);
    let served = Served::start(&setup, &[("duo", configuration(&setup))]);
    served.wait("pages of users", |_| pages_asked(&setup) >= 2);
    served.signal(nix::sys::signal::Signal::SIGHUP);
    served.wait("it to be read again", |served| served.log().contains("configured again"));
    assert_eq!(install(&served, &variant(&setup.path(""), "0.2.0", "works", 1), &[]).code, 0);
    served.wait("the end of the resumed run", |served| {
        served.integration("duo")["last_run"]["outcome"] == "complete"
    });
    let versions = versions(&setup.path("data/duo.db"));
    assert_eq!(versions.values().sum::<u64>(), 11, "no page lost, none twice: {versions:?}");
    assert!(versions.contains_key("0.2.0"), "{versions:?}");
    assert_eq!(pages_asked(&setup), 11);
}
