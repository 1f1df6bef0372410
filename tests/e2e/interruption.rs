//! Killed at any point, a run is resumed at its last page.

use std::process::Stdio;
use std::time::{Duration, Instant};

use duo_simulator::Fault;
use serde_json::json;

use crate::harness::{Setup, row, tenant};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_deleted_or_moved_during_a_run_is_told() {
    for moved in [None, Some("elsewhere.db")] {
        let setup = Setup::new(tenant(700)).await;
        setup.simulator.inject_at("/admin/v1/users", Fault::Slow(Duration::from_millis(300)), 1000);
        let child = setup.command(&["sync", "--config", "duo.toml"]).stderr(Stdio::piped()).spawn().unwrap();
        let pages =
            || setup.simulator.recorded().iter().filter(|one| one.query.contains("limit=300")).count();
        while pages() == 0 || !setup.path("duo.db").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        match moved {
            Some(name) => std::fs::rename(setup.path("duo.db"), setup.path(name)).unwrap(),
            None => std::fs::remove_file(setup.path("duo.db")).unwrap(),
        }
        let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("the store `duo.db` was moved, replaced or deleted during the run"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sync_goes_on_where_it_was() {
    let setup = Setup::new(tenant(1500)).await;
    let mut child = setup
        .command(&["sync", "--config", "duo.toml"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Three pages of users are asked for, then the vendor hangs, and the program is killed.
    let pages = |setup: &Setup| {
        let recorded = setup.simulator.recorded();
        recorded.iter().filter(|request| request.query.contains("limit=300")).count()
    };
    setup.simulator.inject_at("/admin/v1/users", Fault::Slow(Duration::from_millis(300)), 4);
    let start = Instant::now();
    while pages(&setup) < 3 {
        assert!(start.elapsed() < Duration::from_secs(60), "three pages take longer than a minute");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = pages(&setup);
    assert!(before < 5, "it was killed too late to test anything");

    let summary = setup.sync(0);
    assert_eq!(summary["resumed"], true);
    assert!(pages(&setup) - before < 5, "it did not start over");
    let users = row(&summary["entities"], "source_type", "user");
    assert_eq!((&users["seen"], &users["gone"]), (&json!(1500), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_keeps_the_page_in_flight_and_says_how_far_it_came() {
    let setup = Setup::new(tenant(3000)).await;
    setup.simulator.inject_at("/admin/v1/users", Fault::Slow(Duration::from_millis(300)), 1000);
    let child = setup
        .command(&["sync", "--config", "duo.toml", "--stream", "users"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pages = || setup.simulator.recorded().iter().filter(|one| one.query.contains("limit=300")).count();
    let start = Instant::now();
    while pages() < 3 {
        assert!(start.elapsed() < Duration::from_secs(60), "three pages take longer than a minute");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("Stopped. Every page read so far is kept"), "{said}");
    let asked = pages();
    assert!(asked < 10, "it was over too soon to test anything");

    let summary = setup.with_config("sync", &["--json", "--stream", "users"]).json();
    assert_eq!((&summary["resumed"], &summary["complete"]), (&json!(true), &json!(true)));
    assert_eq!(row(&summary["entities"], "source_type", "user")["seen"], json!(3000));
    assert_eq!(pages(), 11, "no page was asked for twice");
}
