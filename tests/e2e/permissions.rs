//! A permission that is missing is told as such, and never as "empty".

use duo_simulator::{Grant, Grants, TenantOptions};

use crate::harness::{Setup, row, tenant};

#[tokio::test(flavor = "multi_thread")]
async fn check_shows_a_row_for_each_stream() {
    let setup = Setup::new(tenant(10)).await;
    let ended = setup.with_config("check", &["--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let report = ended.json();
    for (stream, permission) in [
        ("users", "Grant resource - Read"),
        ("applications", "Grant resource - Read"),
        ("administrators", "Grant administrators - Read"),
        ("account", "Grant read information"),
        ("application-usage", "Grant read log"),
    ] {
        let row = row(&report["streams"], "stream", stream);
        assert_eq!(row["access"], "readable");
        assert_eq!(row["permissions"][0], permission);
    }
    assert_eq!(setup.simulator.requests(), 7, "{:?}", setup.simulator.recorded());
    assert!(!setup.path("duo.db").exists(), "check keeps nothing");
    let text = setup.with_config("check", &[]).stdout;
    assert!(text.contains("Grant resource - Read") && text.contains("readable"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named_and_nothing_is_marked_as_gone() {
    let setup = Setup::new(tenant(20)).await;
    setup.sync(0);
    setup.simulator.set_grants([Grant::ReadInformation].into());

    let check = setup.with_config("check", &[]);
    assert_eq!(check.code, 3, "{check:?}");
    assert!(check.stdout.contains("permission missing"), "{check:?}");
    assert!(check.stdout.contains("Grant resource - Read"), "{check:?}");

    let summary = setup.sync(3);
    for stream in ["users", "groups"] {
        assert_eq!(row(&summary["streams"], "stream", stream)["state"], "skipped");
    }
    assert_eq!(setup.export().0.iter().filter(|entity| entity["source_type"] == "user").count(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_optional_streams_need_is_not_needed() {
    let grants = [Grant::ResourceRead, Grant::AdministratorsRead].into();
    let setup = Setup::new(TenantOptions { grants, ..tenant(20) }).await;
    setup.sync(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_stays_the_same_whether_its_id_may_be_read_or_not() {
    let with_id: Grants = [Grant::ResourceRead, Grant::AdministratorsRead, Grant::ReadInformation].into();
    let without_id: Grants = [Grant::ResourceRead, Grant::AdministratorsRead].into();
    for order in [[&with_id, &without_id, &with_id], [&without_id, &with_id, &without_id]] {
        let setup = Setup::new(TenantOptions { grants: order[0].clone(), ..tenant(20) }).await;
        let account = setup.sync(0)["account"].clone();
        for grants in &order[1..] {
            setup.simulator.set_grants((*grants).clone());
            let summary = setup.sync(0);
            assert_eq!(summary["account"], account);
            let rows = ["entities", "relations"].map(|name| summary[name].as_array().unwrap().clone());
            for row in rows.iter().flatten().filter(|row| row["source_type"] != "account") {
                assert_eq!([&row["new"], &row["changed"], &row["gone"]], [0, 0, 0], "{row}");
            }
            assert_eq!(setup.run(&["changes", "--store", "duo.db", "--json"]).stdout, "");
        }
        let (entities, relations) = setup.export();
        let accounts = entities.iter().filter(|entity| entity["source_type"] == "account");
        assert!(accounts.map(|entity| &entity["source_id"]).eq([&account]));
        let mut related = relations.iter().filter(|relation| relation["child"]["source_type"] == "account");
        assert!(
            related.clone().count() > 3 && related.all(|relation| relation["child"]["source_id"] == account)
        );
    }
}
