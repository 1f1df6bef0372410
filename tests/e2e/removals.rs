//! Many objects that are missing at once.

use crate::harness::{Setup, row, tenant};

fn users(setup: &Setup) -> usize {
    setup.export().0.iter().filter(|entity| entity["source_type"] == "user").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_users_are_removed_only_by_a_second_run_that_agrees() {
    let setup = Setup::new(tenant(60)).await;
    setup.sync(0);
    (0..30).for_each(|_| setup.simulator.delete_user(0));

    let summary = setup.sync(3);
    let stream = row(&summary["streams"], "stream", "users");
    assert_eq!(stream["state"], "incomplete");
    let reason = stream["reason"].as_str().unwrap();
    assert!(reason.contains("30 of 60 objects of the type `user` are missing"), "{reason}");
    assert!(stream["hint"].as_str().unwrap().contains("removal-percent"), "{stream}");
    assert_eq!(row(&summary["entities"], "source_type", "user")["gone"], 0);
    assert_eq!(users(&setup), 60);

    let summary = setup.sync(0);
    assert_eq!(row(&summary["entities"], "source_type", "user")["gone"], 30);
    assert_eq!(users(&setup), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_confirm_that_the_users_were_deleted() {
    let setup = Setup::new(tenant(60)).await;
    setup.sync(0);
    (0..30).for_each(|_| setup.simulator.delete_user(0));
    let ended = setup.with_config("sync", &["--json", "--confirm-removals"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(row(&ended.json()["entities"], "source_type", "user")["gone"], 30);
    assert_eq!(users(&setup), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_set_another_limit() {
    let setup = Setup::new(tenant(60)).await;
    setup.configure(&format!("{}[store]\nremoval-percent = 60\n", setup.configuration()));
    setup.sync(0);
    (0..30).for_each(|_| setup.simulator.delete_user(0));
    setup.sync(0);
    assert_eq!(users(&setup), 30);
}
