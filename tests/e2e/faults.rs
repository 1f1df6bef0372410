//! What goes wrong, when, and what comes of it: a table, in `snapshots/fault-matrix.snap`. Run with `--nocapture` to see it.
//!
//! Whatever happens, all that was read before is kept, and the next sync resumes and ends with the whole tenant.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use duo_simulator::{Fault, Simulator};
use serde_json::Value;

use crate::harness::{Ended, Setup, ended, row, tenant};

/// Three pages.
const USERS: u32 = 800;

/// A moment: which requests.
type Moment = (&'static str, fn(&str, &str) -> bool);

const MOMENTS: [Moment; 4] = [
    ("check", |path, query| path == "/admin/v1/groups" && query.contains("limit=1&")),
    ("first page", |path, query| path == "/admin/v1/users" && query.contains("offset=0")),
    ("mid-walk", |path, query| path == "/admin/v1/users" && !query.contains("offset=0")),
    ("log", |path, query| path.contains("/logs/") && query.contains("limit=1000")),
];

fn faults() -> Vec<(&'static str, Fault)> {
    let late = Duration::from_secs(30);
    vec![
        ("429", Fault::TooManyRequests { retry_after: None }),
        ("429, Retry-After: 1", Fault::TooManyRequests { retry_after: Some(1) }),
        ("500", Fault::ServerError(500)),
        ("502", Fault::ServerError(502)),
        ("503", Fault::ServerError(503)),
        ("HTML, 502", Fault::HtmlPage(502)),
        ("HTML, 200", Fault::HtmlPage(200)),
        ("invalid JSON", Fault::InvalidJson),
        ("truncated JSON", Fault::TruncatedBody),
        ("connection dropped", Fault::Reset),
        ("no answer", Fault::Slow(late)),
        ("answer stalls", Fault::Stalled(late)),
    ]
}

/// How a sync ended, in a few words.
fn outcome(ended: &Ended) -> String {
    let Ok(summary) = serde_json::from_str::<Value>(&ended.stdout) else {
        return format!("exit {}, no run", ended.code);
    };
    let streams = summary["streams"].as_array().unwrap().iter();
    let incomplete = streams.filter(|stream| stream["state"] != "complete");
    let incomplete: Vec<String> = incomplete
        .map(|one| {
            format!(
                "{} {} after {}",
                one["stream"].as_str().unwrap(),
                one["state"].as_str().unwrap(),
                one["pages"]
            )
        })
        .collect();
    let incomplete =
        if incomplete.is_empty() { String::new() } else { format!(", {}", incomplete.join(", ")) };
    if ended.code == 0 { "complete".to_owned() } else { format!("exit {}{incomplete}", ended.code) }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_at_every_moment() {
    let setup = Setup::new(tenant(USERS)).await;
    let configuration = setup.configuration().replace("attempts = 4", "attempts = 3");
    setup.configure(&format!("{configuration}[limits]\nvendor-budgets = false\nrequest-seconds = 0.4\n"));
    let mut table = format!("{:<22}{:<14}{:<50}{}\n", "fault", "moment", "once", "for ever");
    for (name, fault) in faults() {
        for (moment, which) in MOMENTS {
            let mut outcomes = Vec::new();
            for times in [1, u32::MAX] {
                let store =
                    format!("{}-{moment}-{times}.db", name.replace([',', ':', ' '], "")).replace(' ', "-");
                setup.simulator.inject_where(which, fault.clone(), times);
                let sync = || setup.with_config("sync", &["--json", "--store", &store]);
                outcomes.push(outcome(&sync()));
                // After the fault, nothing is lost, and nothing is there twice.
                setup.simulator.heal();
                let healed = sync();
                assert_eq!(healed.code, 0, "{name}, {moment}: {healed:?}");
                let seen = row(&healed.json()["entities"], "source_type", "user")["seen"].clone();
                assert_eq!(seen, USERS, "{name}, {moment}");
            }
            writeln!(table, "{name:<22}{moment:<14}{:<50}{}", outcomes[0], outcomes[1]).unwrap();
        }
    }
    println!("{table}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("fault-matrix", table));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_leaves_the_other_streams_complete() {
    let setup = Setup::new(tenant(20)).await;
    setup.configure(&format!("{}[limits]\nvendor-budgets = false\n", setup.configuration()));
    for (path, incomplete) in [
        ("/admin/v2/logs/", vec!["application-usage"]),
        ("/admin/v2/policies", vec!["policies"]),
        ("/admin/v1/administrative_units", vec!["administrative-units"]),
        ("/admin/v1/info/summary", vec!["account"]),
    ] {
        for fault in [Fault::TooManyRequests { retry_after: None }, Fault::ServerError(503)] {
            setup.simulator.inject_at(path, fault, u32::MAX);
            let summary = setup.sync(3);
            setup.simulator.heal();
            for stream in summary["streams"].as_array().unwrap() {
                let name = stream["stream"].as_str().unwrap();
                let expected = if incomplete.contains(&name) { "incomplete" } else { "complete" };
                assert_eq!(stream["state"], expected, "{path}: {stream}");
            }
        }
    }
    let gone: i64 = rusqlite::Connection::open(setup.path("duo.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM entity WHERE gone_run IS NOT NULL", [], |row| row.get(0))
        .unwrap();
    assert_eq!(gone, 0);
    setup.sync(0);
}

/// Syncs with a changed configuration, and expects it to end at once with this message and hint.
fn fails(setup: &Setup, said: &str, hint: &str) {
    let ended = setup.with_config("sync", &[]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let text = ended.stderr.replace('\n', " ");
    assert!(text.contains(said) && text.contains(hint), "{said:?} and {hint:?}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_on_the_way_to_the_vendor_names_its_cause() {
    let setup = Setup::with(Simulator::start_tls_expired(tenant(10)).await.unwrap());
    fails(&setup, "certificate", "expired");
    let setup = Setup::new(tenant(10)).await;
    let url = setup.simulator.url();
    setup.reconfigure(&url, "http://no-such-host.invalid:8080");
    fails(&setup, "no-such-host.invalid", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_store_names_its_cause_and_loses_no_page() {
    let setup = Setup::new(tenant(USERS)).await;
    setup.configure(&format!("{}[limits]\nvendor-budgets = false\n", setup.configuration()));
    std::fs::create_dir(setup.path("folder.db")).unwrap();
    let folder = setup.with_config("sync", &["--store", "folder.db"]);
    assert_eq!(folder.code, 2, "{folder:?}");
    assert!(folder.stderr.contains("could not open the store `folder.db`"), "{folder:?}");

    // Like a full disk: the system refuses to let files grow.
    let program = setup.command(&["sync", "--config", "duo.toml"]);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 800; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(setup.path(""))
        .env("TEST_SECRET_KEY", &setup.simulator.options().secret_key);
    let full = ended(&mut limited);
    assert_eq!(full.code, 1, "{full:?}");
    assert!(full.stderr.contains("the store `duo.db` failed"), "{full:?}");
    assert!(full.stderr.contains("free space on the disk"), "{full:?}");
    let summary = setup.sync(0);
    assert_eq!(summary["resumed"], true, "its pages stay");
    assert_eq!(row(&summary["entities"], "source_type", "user")["seen"], USERS);

    // Another program that holds a write transaction.
    let other = rusqlite::Connection::open(setup.path("duo.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let locked = setup.with_config("sync", &[]);
    assert_eq!(locked.code, 1, "{locked:?}");
    assert!(locked.stderr.contains("another program is writing to it"), "{locked:?}");
    other.execute_batch("ROLLBACK").unwrap();
    setup.sync(0);

    other.pragma_update(None, "user_version", 1000).unwrap();
    drop(other);
    let newer = setup.with_config("sync", &[]);
    assert_eq!(newer.code, 2, "{newer:?}");
    assert!(newer.stderr.contains("use the release that wrote it, or a later one"), "{newer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_takes_too_long_ends_and_the_next_one_resumes_it() {
    let setup = Setup::new(tenant(3000)).await;
    let limits = "[limits]\nvendor-budgets = false\nrun-seconds = ";
    setup.configure(&format!("{}{limits}2\n", setup.configuration()));
    setup.simulator.inject_at("/admin/v1/users", Fault::Slow(Duration::from_millis(400)), 1000);
    let ended = setup.with_config("sync", &[]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(
        ended.stdout.contains("The run reached its limit of 2 s (`run-seconds` under `[limits]`)"),
        "{ended:?}"
    );
    setup.simulator.heal();
    let summary = setup.sync(0);
    assert_eq!(summary["resumed"], true);
    assert_eq!(row(&summary["entities"], "source_type", "user")["seen"], 3000);
}
