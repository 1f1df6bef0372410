//! `serve`: schedules, several integrations, changed files, signals.

use std::time::Duration;

use duo_simulator::Fault;
use nix::sys::signal::Signal;

use crate::harness::{Setup, tenant};
use crate::served::Served;

fn configuration(setup: &Setup, name: &str, more: &str) -> String {
    let configuration = setup.configuration().replace("name = \"duo\"", &format!("name = \"{name}\""));
    format!("{configuration}[limits]\nvendor-budgets = false\n{more}")
}

fn runs(setup: &Setup, name: &str) -> i64 {
    let store = rusqlite::Connection::open(setup.path("data").join(format!("{name}.db")));
    store.and_then(|store| store.query_row("SELECT count(*) FROM run", [], |row| row.get(0))).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn integrations_run_side_by_side_on_their_own_schedules() {
    let setup = Setup::new(tenant(10)).await;
    let often = configuration(&setup, "often", "[schedule]\ninterval = \"1s\"\n");
    let nightly = configuration(&setup, "nightly", "[schedule]\ncron = \"0 3 1 1 *\"\n");
    let daily = configuration(&setup, "daily", "");
    let served = Served::start(&setup, &[("often", often), ("nightly", nightly), ("daily", daily)]);
    served.wait("three runs of the one", |_| runs(&setup, "often") >= 3);
    served.wait("one run of the other", |_| runs(&setup, "daily") == 1);
    assert_eq!(runs(&setup, "nightly"), 0, "it is not due");
    assert!(served.integration("nightly")["next_run"].as_str().unwrap().contains("-01-01T"));
    assert_eq!(served.run(&["run", "nightly"]).code, 0);
    assert_eq!(served.wait_for_the_end("nightly")["last_run"]["outcome"], "complete");
    let ended = served.run(&["run", "never"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("there is no integration `never`"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_files_take_effect_and_a_broken_one_is_shown() {
    let setup = Setup::new(tenant(10)).await;
    let served = Served::start(&setup, &[("one", configuration(&setup, "one", ""))]);
    served.wait_for_the_end("one");
    let file = |name: &str| setup.path("integrations").join(name);

    std::fs::write(file("two.toml"), configuration(&setup, "two", "")).unwrap();
    served.wait("the new one", |served| served.status()["integrations"].as_array().unwrap().len() == 2);
    std::fs::write(file("one.toml"), "name = \"one\"\nconnector = ").unwrap();
    served.wait("the complaint", |served| !served.integration("one")["message"].is_null());
    assert_eq!(served.integration("one")["state"], "idle", "the former configuration stays");
    // The same text in another file is no problem, and begins no run.
    std::fs::remove_file(file("one.toml")).unwrap();
    std::fs::write(file("uno.toml"), configuration(&setup, "one", "")).unwrap();
    served.wait("no complaint", |served| served.integration("one")["message"].is_null());
    assert_eq!(runs(&setup, "one"), 1);
    std::fs::remove_file(file("uno.toml")).unwrap();
    std::fs::write(file("one.toml"), configuration(&setup, "one", "")).unwrap();
    std::fs::write(file("three.toml"), "name = \"three\"\nconnector = \"none\"\n").unwrap();
    served.wait("the unusable one", |served| served.status()["integrations"].as_array().unwrap().len() == 3);
    assert_eq!(served.integration("three")["state"], "unusable");
    assert_eq!(served.integration("three")["message"], "there is no connector `none`");
    std::fs::remove_file(file("two.toml")).unwrap();
    std::fs::remove_file(file("three.toml")).unwrap();
    served.wait("the end of two", |served| served.status()["integrations"].as_array().unwrap().len() == 1);

    // SIGHUP reads everything again.
    std::fs::write(file("one.toml"), configuration(&setup, "one", "[schedule]\ninterval = \"1s\"\n"))
        .unwrap();
    served.signal(Signal::SIGHUP);
    served.wait("runs by the new schedule", |_| runs(&setup, "one") >= 3);
    assert!(served.integration("one")["message"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_keeps_the_page_in_flight_and_the_next_start_resumes_the_run() {
    let setup = Setup::new(tenant(3000)).await;
    setup.simulator.inject_at("/admin/v1/users", Fault::Slow(Duration::from_millis(400)), 1000);
    let served = Served::start(&setup, &[("duo", configuration(&setup, "duo", ""))]);
    // The first request belongs to `check`.
    let pages = || setup.simulator.recorded().iter().filter(|one| one.query.contains("limit=300")).count();
    served.wait("a page on its way", |_| pages() >= 3);
    let (status, took) = served.terminate();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    let asked = pages();
    assert!(asked < 10, "the run ended before the signal");
    let store = rusqlite::Connection::open(setup.path("data/duo.db")).unwrap();
    let kept = |store: &rusqlite::Connection| -> (i64, bool) {
        let sql = "SELECT (SELECT pages FROM run_stream WHERE stream = 'users' AND run_id = 1),
                          (SELECT finished_at IS NOT NULL FROM run WHERE id = 1)";
        store.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    assert_eq!(kept(&store), (asked as i64, false), "every requested page was kept");

    let served = Served::again(&setup);
    // Until then it shows the run that was stopped.
    served
        .wait("the end of the run", |served| served.integration("duo")["last_run"]["outcome"] == "complete");
    assert_eq!(kept(&store), (11, true), "the same run was resumed");
    assert_eq!(pages(), 11, "no page was requested twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_serve_uses_a_folder_and_only_its_owner_may_open_its_socket() {
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::new(tenant(10)).await;
    let before = setup.run(&["status"]);
    assert_eq!(before.code, 1);
    assert!(before.stderr.contains("no `serve` answers at"), "{before:?}");
    // Made by hand, or by an earlier version.
    std::fs::create_dir_all(setup.path("connectors/installed")).unwrap();
    std::fs::create_dir(setup.path("data")).unwrap();
    std::fs::write(setup.path("data/serve.lock"), "").unwrap();
    for (path, mode) in [("data", 0o755), ("data/serve.lock", 0o666), ("connectors/installed", 0o777)] {
        std::fs::set_permissions(setup.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let served = Served::start(&setup, &[]);
    for path in ["data", "data/control.sock", "data/serve.lock", "connectors/installed"] {
        let mode = std::fs::metadata(setup.path(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{path} {mode:o}");
    }
    let second = setup.run(&["serve"]);
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains("another `serve` uses"), "{second:?}");
    assert!(served.run(&["status"]).stdout.contains("No integration"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_never_end_are_told_and_delay_nothing() {
    let setup = Setup::new(tenant(10)).await;
    let served = Served::start(&setup, &[("duo", configuration(&setup, "duo", ""))]);
    let file = |name: &str| setup.path("integrations").join(name);
    nix::unistd::mkfifo(&file("pipe.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    nix::unistd::mkfifo(&setup.path("connectors/duo.wasm"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::File::create(file("large.toml")).unwrap().set_len(3 << 30).unwrap();
    served.wait("the complaints", |served| served.status()["integrations"].as_array().unwrap().len() == 3);
    for (name, reason) in [("pipe", "it is not a regular file"), ("large", "it has more than 1024 KiB")] {
        let message = served.integration(name)["message"].to_string();
        assert!(message.contains(reason), "{message}");
    }
    assert_eq!(served.wait_for_the_end("duo")["last_run"]["outcome"], "complete");
    let (status, took) = served.terminate();
    assert!(status.success() && took < Duration::from_secs(10), "{status} {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirected_host_of_one_integration_is_no_problem_of_the_others() {
    let setup = Setup::new(tenant(10)).await;
    std::fs::create_dir_all(setup.path("connectors")).unwrap();
    std::fs::create_dir_all(setup.path("integrations")).unwrap();
    std::fs::copy(crate::sandbox::guest(), setup.path("connectors/hostile.wasm")).unwrap();
    let other = "name = \"other\"\nconnector = \"hostile\"\npaused = true\n[settings]\n\
                 host = \"good.example.com\"\nkey = { env = \"TEST_SECRET_KEY\" }\n";
    std::fs::write(setup.path("integrations/other.toml"), other).unwrap();
    let (host, url) = (&setup.simulator.options().host, setup.simulator.url());
    let own =
        configuration(&setup, "duo", "").replace(&format!("connect-to = {{ \"{host}\" = \"{url}\" }}\n"), "");
    assert!(!own.contains("connect-to"), "{own}");
    std::fs::write(setup.path("integrations/duo.toml"), own).unwrap();
    let served = Served::start_with(&setup, &["--connect-to", &format!("{host}={url}")]);
    assert_eq!(served.wait_for_the_end("duo")["last_run"]["outcome"], "complete");
    let other = served.integration("other");
    assert_eq!((&other["state"], &other["message"]), (&"paused".into(), &serde_json::Value::Null), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_log_or_the_folder_of_serve() {
    let setup = Setup::new(tenant(50)).await;
    let served = Served::start(&setup, &[("duo", configuration(&setup, "duo", ""))]);
    served.wait_for_the_end("duo");
    let secret = &setup.simulator.options().secret_key;
    assert!(!served.log().contains(secret.as_str()));
    assert!(!served.status().to_string().contains(secret.as_str()));
    for file in ["data/duo.db", "connectors/installed/duo.json"] {
        let bytes = std::fs::read(setup.path(file)).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_connector_does_not_affect_another_integration() {
    let setup = Setup::new(tenant(300)).await;
    std::fs::create_dir_all(setup.path("connectors")).unwrap();
    std::fs::copy(crate::sandbox::guest(), setup.path("connectors/hostile.wasm")).unwrap();
    let hostile = "name = \"hostile\"\nconnector = \"hostile\"\n[settings]\nhost = \"good.example.com\"\n\
                   key = { env = \"TEST_SECRET_KEY\" }\n[limits]\ncall-seconds = 2\ncompute-seconds = 0.5\n\
                   memory-mib = 64\npages = 50\n";
    let daily = configuration(&setup, "duo", "[schedule]\ninterval = \"1s\"\n");
    let served = Served::start(&setup, &[("hostile", hostile.to_owned()), ("duo", daily)]);
    let ended = served.wait_for_the_end("hostile");
    assert_eq!(ended["last_run"]["outcome"], "partial", "{ended}");
    served.wait("runs of the other one", |_| runs(&setup, "duo") >= 2);
    assert_eq!(served.integration("duo")["message"], serde_json::Value::Null);
    assert!(!served.log().contains(&setup.simulator.options().secret_key));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_the_vendor_is_shown_and_does_not_delay_the_end() {
    let setup = Setup::new(tenant(10)).await;
    setup.simulator.inject_at("/admin/v1/phones", Fault::TooManyRequests { retry_after: Some(600) }, 1);
    let served = Served::start(&setup, &[("duo", configuration(&setup, "duo", ""))]);
    served.wait("the wait", |served| !served.integration("duo")["progress"]["waits_until"].is_null());
    let shown = served.run(&["status"]).stdout;
    assert!(shown.contains("waiting for the vendor") && shown.contains("resumes "), "{shown}");
    // The other streams are read meanwhile.
    let pages = |served: &Served<'_>| served.integration("duo")["progress"]["pages"].as_u64().unwrap();
    served.wait("the other streams", |served| pages(served) >= 12);
    let (status, took) = served.terminate();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(4), "it waited for {took:?}, as long as for a page in flight");
}
