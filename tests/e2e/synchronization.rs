//! The store has the objects of the tenant.

use std::collections::BTreeSet;

use duo_simulator::{Fault, TenantOptions};
use serde_json::{Value, json};

use crate::harness::{Setup, contents, row, tenant};

/// Source ids of one type.
fn ids(entities: &[Value], source_type: &str) -> BTreeSet<String> {
    let entities = entities.iter().filter(|entity| entity["source_type"] == source_type);
    entities.map(|entity| entity["source_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_user_group_and_membership_arrives_once() {
    for users in [10, 299, 300, 301, 1000] {
        let setup = Setup::new(tenant(users)).await;
        let summary = setup.sync(0);
        let (entities, relations) = setup.export();
        assert_eq!(ids(&entities, "user").len(), users as usize);
        let groups = ids(&entities, "group");
        assert_eq!(row(&summary["streams"], "stream", "groups")["total"], groups.len());
        let keys: BTreeSet<_> = entities
            .iter()
            .map(|entity| format!("{} {}", entity["source_type"], entity["source_id"]))
            .collect();
        assert_eq!(keys.len(), entities.len(), "nothing is there twice");
        assert_eq!(summary["problem_count"], 0, "{}", summary["problems"]);

        let mut seen = BTreeSet::new();
        let memberships = relations.iter().filter(|relation| relation["child"]["source_type"] == "group");
        for relation in memberships.filter(|relation| relation["privilege"] == "member") {
            assert_eq!(
                (&relation["privilege"], &relation["privilege_value"]),
                (&json!("member"), &json!(true))
            );
            assert!(ids(&entities, "user").contains(relation["parent"]["source_id"].as_str().unwrap()));
            assert!(groups.contains(relation["child"]["source_id"].as_str().unwrap()));
            assert!(seen.insert(relation.to_string()), "twice: {relation}");
        }
        assert!(!seen.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sync_reports_changes() {
    let setup = Setup::new(tenant(350)).await;
    setup.sync(0);
    let again = setup.sync(0);
    let users = row(&again["entities"], "source_type", "user");
    assert_eq!(
        (&users["seen"], &users["new"], &users["changed"], &users["gone"]),
        (&json!(350), &json!(0), &json!(0), &json!(0))
    );

    setup.simulator.delete_user(7);
    setup.simulator.delete_user(320);
    let third = setup.sync(0);
    let users = row(&third["entities"], "source_type", "user");
    assert_eq!((&users["seen"], &users["gone"]), (&json!(348), &json!(2)));
    assert_eq!(ids(&setup.export().0, "user").len(), 348);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_can_t_be_understood_is_named_and_its_neighbours_arrive() {
    let extra_users = vec![
        json!({ "username": "nobody", "status": "active" }),
        json!("not an object"),
        json!({ "user_id": "DUODD00000000000001", "username": "odd", "status": "on holiday", "email": { "work": "x" }, "groups": [{ "name": "keyless" }] }),
        json!({ "user_id": "DUODD00000000000002", "username": "fine", "status": "active" }),
    ];
    let setup = Setup::new(TenantOptions { extra_users, ..tenant(20) }).await;
    let summary = setup.sync(3);
    // Each of those without a key may be any known user, so nothing is marked as removed.
    assert_eq!(row(&summary["streams"], "stream", "users")["state"], "incomplete");
    let (entities, _) = setup.export();
    assert_eq!(ids(&entities, "user").len(), 22);
    let odd = entities.iter().find(|entity| entity["source_id"] == "DUODD00000000000001").unwrap();
    assert_eq!((&odd["status"], &odd["vendor_status"]), (&json!("other"), &json!("on holiday")));
    assert_eq!(summary["problem_count"], 4, "{}", summary["problems"]);
    let fields: Vec<_> =
        summary["problems"].as_array().unwrap().iter().map(|problem| problem["field"].as_str()).collect();
    assert!(fields.contains(&Some("user_id")) && fields.contains(&Some("email")), "{fields:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_faults_are_retried_with_fresh_signatures() {
    let setup = Setup::new(tenant(650)).await;
    // Else a refusal would slow it down for a minute.
    setup.configure(&format!("{}[limits]\nvendor-budgets = false\n", setup.configuration()));
    setup.simulator.inject_at("/admin/v1/users", Fault::TooManyRequests { retry_after: None }, 2);
    setup.simulator.inject_at("/admin/v1/groups", Fault::ServerError(503), 2);
    let summary = setup.sync(0);
    assert_eq!(ids(&setup.export().0, "user").len(), 650);
    assert_eq!(summary["requests"], setup.simulator.requests());
    let refused =
        setup.simulator.recorded().iter().filter(|request| matches!(request.status, 429 | 503)).count();
    assert_eq!(refused, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_keeps_failing_leaves_the_others_complete() {
    let setup = Setup::new(tenant(40)).await;
    setup.sync(0);
    setup.simulator.inject_at("/admin/v1/users", Fault::ServerError(500), 1000);
    let summary = setup.sync(3);
    assert_eq!(row(&summary["streams"], "stream", "groups")["state"], "complete");
    let users = row(&summary["streams"], "stream", "users");
    assert_eq!(users["state"], "incomplete");
    assert!(users["reason"].as_str().is_some_and(|reason| reason.contains("500")), "{users}");
    assert_eq!(ids(&setup.export().0, "user").len(), 40, "an incomplete stream marks nothing as gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_signature_versions_read_the_same() {
    let mut exports = Vec::new();
    for signature in ["v5", "v2-sha512", "v2-sha1"] {
        let setup = Setup::new(tenant(30)).await;
        // Version 2 is refused for policies, and applications have another shape there.
        let streams = "streams = [\"users\", \"groups\", \"phones\", \"bypass-codes\", \"administrators\"]";
        setup.reconfigure("[settings]\n", &format!("{streams}\n[settings]\n"));
        setup.reconfigure("[settings]\n", &format!("[settings]\nsignature = \"{signature}\"\n"));
        setup.sync(0);
        exports.push(contents(&setup, "duo.db"));
    }
    assert_eq!(exports[0], exports[1]);
    assert_eq!(exports[0], exports[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stream_can_be_read_alone() {
    let setup = Setup::new(tenant(30)).await;
    let ended = setup.with_config("sync", &["--json", "--stream", "groups"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.json()["streams"].as_array().unwrap().len(), 1);
    assert!(ids(&setup.export().0, "user").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_vendor_s_own_limits_nothing_is_refused() {
    // Three requests of the log, its probe included, where two a minute are allowed: the third one waits.
    let options = TenantOptions { rate_limits: true, events: Some(1500), ..tenant(5000) };
    let setup = Setup::new(options).await;
    let summary = setup.sync(0);
    let counters = setup.simulator.counters();
    assert_eq!(counters.by_status.keys().collect::<Vec<_>>(), [&200], "{counters:?}");
    assert_eq!(row(&summary["entities"], "source_type", "user")["seen"], 5000);
    let runs = setup.run(&["runs", "--store", "duo.db", "--json"]).json();
    let log = row(&runs[0]["streams"], "stream", "application-usage");
    assert!(log["waited_seconds"].as_f64().unwrap() > 30.0, "{log}");
    assert_eq!(log["retries"], 0, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_listed_and_a_budget_can_be_set() {
    let setup = Setup::new(tenant(700)).await;
    // Other figures than the manifest's.
    setup.configure(&format!(
        "{}[budgets]\nobjects = {{ requests = 30, per-seconds = 2 }}\nauthentication-log = {{ requests = 100, per-seconds = 1 }}\n",
        setup.configuration()
    ));
    setup.sync(0);
    assert_eq!(
        setup.run(&["changes", "--store", "duo.db", "--json"]).stdout,
        "",
        "there is no earlier complete read to compare with"
    );
    setup.simulator.delete_user(5);
    setup.simulator.tenant().rename_user(7);
    setup.sync(0);
    let changes = setup.run(&["changes", "--store", "duo.db", "--json"]).stdout;
    let changes: Vec<Value> = changes.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_users: Vec<_> = changes.iter().filter(|change| change["source_type"] == "user").collect();
    let kinds: BTreeSet<_> = of_users.iter().map(|change| change["kind"].as_str().unwrap()).collect();
    assert_eq!((of_users.len(), kinds), (2, BTreeSet::from(["changed", "removed"])), "{of_users:?}");
    let renamed = of_users.iter().find(|change| change["kind"] == "changed").unwrap();
    let username = row(&renamed["fields"], "field", "username");
    assert_eq!(username["to"], format!("{}.1", username["from"].as_str().unwrap()), "{renamed}");
    let shown = setup.run(&["changes", "--store", "duo.db", "--since", "1"]).stdout;
    assert!(shown.contains("  - user ") && shown.contains("      username: \""), "{shown}");
    setup.sync(0);
    let shown = setup.run(&["changes", "--store", "duo.db"]);
    assert!(shown.stdout.is_empty() && shown.stderr.contains("Nothing changed."), "{shown:?}");

    setup.reconfigure("objects = {", "nonsense = {");
    let refused = setup.with_config("sync", &[]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("has no budget `nonsense`"), "{refused:?}");
    assert!(refused.stderr.contains("its budgets are `objects`, `authentication-log`"), "{refused:?}");
}
