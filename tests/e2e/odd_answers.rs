//! Odd answers, and odd moments: nothing that was read is lost, and nothing looks removed that is there.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike};
use duo_simulator::{Fault, TenantOptions};
use serde_json::{Value, json};

use crate::harness::{Setup, row, tenant};

/// Whether a request reads a page of users after the first one.
fn is_later_page_of_users(path: &str, query: &str) -> bool {
    path == "/admin/v1/users" && query.contains("limit=300") && !query.ends_with("offset=0")
}

/// The number of pages of users that were requested.
fn pages_of_users(setup: &Setup) -> usize {
    let recorded = setup.simulator.recorded();
    recorded.iter().filter(|one| one.path == "/admin/v1/users" && one.query.contains("limit=300")).count()
}

/// The objects of each type that were removed in a run.
fn removed(summary: &Value) -> Vec<&Value> {
    let entities = summary["entities"].as_array().unwrap().iter();
    entities.filter(|row| row["gone"] != 0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_replaced_in_mid_run_ends_the_run_and_the_next_one_goes_on() {
    let setup = Setup::new(tenant(800)).await;
    setup.simulator.inject_where(is_later_page_of_users, Fault::InvalidSignature, u32::MAX);
    let refused = setup.with_config("sync", &["--json"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("40103") && refused.stderr.contains("hint:"), "{refused:?}");
    let users =
        |setup: &Setup| setup.export().0.into_iter().filter(|entity| entity["source_type"] == "user").count();
    assert_eq!(users(&setup), 300, "the page that was read is kept");

    setup.simulator.heal();
    let before = pages_of_users(&setup);
    let summary = setup.sync(0);
    assert_eq!(summary["resumed"], true);
    assert_eq!(pages_of_users(&setup) - before, 2, "the first page is not read again");
    assert_eq!((users(&setup), removed(&summary)), (800, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_check_could_not_ask_for_is_read_all_the_same() {
    let setup = Setup::new(tenant(20)).await;
    setup.configure(&format!("{}[limits]\nvendor-budgets = false\n", setup.configuration()));
    let is_probe = |path: &str, query: &str| path == "/admin/v1/groups" && query.contains("limit=1&");
    for (fault, access) in [
        (Fault::TooManyRequests { retry_after: None }, "rate-limited"),
        (Fault::ServerError(503), "unavailable"),
    ] {
        setup.simulator.inject_where(is_probe, fault, u32::MAX);
        let report = setup.with_config("check", &["--json"]).json();
        for stream in ["users", "groups", "bypass-codes"] {
            assert_eq!(row(&report["streams"], "stream", stream)["access"], access);
        }
        let summary = setup.sync(0);
        for stream in summary["streams"].as_array().unwrap() {
            assert_eq!(stream["state"], "complete", "{access}: {stream}");
        }
        setup.simulator.heal();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_a_deployment_lacks_is_skipped_unless_it_was_selected() {
    for status in [404, 405] {
        let setup = Setup::new(tenant(20)).await;
        for path in ["/admin/v1/bypass_codes", "/admin/v1/desktop_authenticators"] {
            setup.simulator.inject_at(path, Fault::ServerError(status), u32::MAX);
        }
        let summary = setup.sync(0);
        for stream in ["bypass-codes", "desktop-authenticators"] {
            let skipped = row(&summary["streams"], "stream", stream);
            assert_eq!(skipped["state"], "skipped", "{skipped}");
            assert!(skipped["reason"].as_str().unwrap().contains(&status.to_string()), "{skipped}");
        }
        assert_eq!(summary["complete"], true);
        setup.reconfigure("[settings]", "streams = [\"users\", \"bypass-codes\"]\n[settings]");
        let summary = setup.sync(3);
        assert_eq!(row(&summary["streams"], "stream", "bypass-codes")["state"], "skipped");
        assert_eq!(row(&summary["streams"], "stream", "users")["state"], "complete");
    }
}

/// Every text of `value` that looks like a time or a year.
fn times<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| times(element, found)),
        Value::Object(members) => members.values().for_each(|member| times(member, found)),
        Value::String(text) => {
            let (date, time) = text.split_once('T').unwrap_or_default();
            let is_date = date.contains('-') && date.chars().all(|c| c.is_ascii_digit() || "+-".contains(c));
            if is_date && time.contains(':') {
                found.push(text);
            }
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exported_times_are_rfc_3339_with_years_of_four_digits() {
    let user = |number: u32, time: Value| {
        json!({
            "user_id": format!("DUODD{number:015}"), "username": format!("odd{number}"), "status": "active",
            "created": time, "last_login": time, "last_directory_sync": time, "password_last_updated": time,
        })
    };
    let served =
        [json!(0), json!(-1), json!(1_545_605_961_000_i64), json!(i64::MAX), json!("+12018-12-23T22:59:21Z")];
    let extra_users: Vec<_> = (0..).zip(served).map(|(number, time)| user(number, time)).collect();
    let setup = Setup::new(TenantOptions { extra_users, ..tenant(60) }).await;
    let summary = setup.sync(0);
    setup.simulator.tenant().rename_user(3);
    setup.sync(0);
    let (entities, relations) = setup.export();
    let usages = std::fs::read_to_string(setup.path("out/usages.ndjson")).unwrap();
    let usages: Vec<Value> = usages.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |command: &str| {
        let ended = setup.run(&[command, "--store", "duo.db", "--json"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        let text = ended.stdout;
        match serde_json::from_str(&text) {
            Ok(document) => document,
            Err(_) => text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect(),
        }
    };
    let report = setup.run(&["report", "--store", "duo.db", "--json"]).json();
    let documents =
        [json!(entities), json!(relations), json!(usages), of("runs"), of("changes"), report, summary];
    for (document, is_dated) in documents.iter().zip([true, false, true, true, false, true, true]) {
        let mut found = Vec::new();
        times(document, &mut found);
        assert!(!is_dated || !found.is_empty(), "{document}");
        for text in found {
            let time = DateTime::parse_from_rfc3339(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!((2000..=9999).contains(&time.year()) && text.as_bytes()[4] == b'-', "{text}");
        }
    }
    let odd = |number: usize| row(&documents[0], "username", &format!("odd{number}")).clone();
    assert_eq!(odd(2)["last_login"], "2018-12-23T22:59:21Z");
    for number in [0, 1, 3, 4] {
        assert_eq!((&odd(number)["created"], &odd(number)["last_login"]), (&Value::Null, &Value::Null));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_in_the_trash_are_users_who_can_not_sign_in() {
    let user = |key: &str, status: &str| {
        json!({
            "user_id": key, "username": key, "status": status, "is_enrolled": true,
            "groups": [{ "group_id": "DGODD000000000000001", "name": "odd" }],
        })
    };
    let extra_users = vec![
        user("DUTRASH0000000000001", "pending deletion"),
        user("DUTRASH0000000000002", "deleted"),
        user("DUACTIVE000000000001", "active"),
    ];
    let setup = Setup::new(TenantOptions { extra_users, ..tenant(20) }).await;
    let summary = setup.sync(0);
    assert_eq!(row(&summary["entities"], "source_type", "user")["seen"], 23);
    let (entities, relations) = setup.export();
    let status = |key: &str| {
        let user = row(&json!(entities), "source_id", key).clone();
        (user["status"].clone(), user["vendor_status"].clone())
    };
    assert_eq!(status("DUTRASH0000000000001"), (json!("pending-deletion"), json!("pending deletion")));
    assert_eq!(status("DUTRASH0000000000002"), (json!("other"), json!("deleted")));
    let of = |key: &str| relations.iter().filter(|one| one["parent"]["source_id"] == key).count();
    assert_eq!((of("DUTRASH0000000000001"), of("DUTRASH0000000000002")), (2, 2), "its groups stay");
    let store = rusqlite::Connection::open(setup.path("duo.db")).unwrap();
    let mut query = store
        .prepare("SELECT DISTINCT username, can_sign_in FROM application_access WHERE username GLOB 'DU*'")
        .unwrap();
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))).unwrap();
    let can: BTreeSet<_> = rows.map(Result::unwrap).collect();
    let expected =
        [("DUACTIVE000000000001", true), ("DUTRASH0000000000001", false), ("DUTRASH0000000000002", false)];
    assert_eq!(can, expected.map(|(key, can)| (key.to_owned(), can)).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_only_a_user_names_is_no_relation_to_nothing() {
    let extra_users = vec![json!({
        "user_id": "DUODD000000000000001", "username": "odd", "status": "active",
        "phones": [{ "phone_id": "DPODD000000000000001", "number": "+15555550199" }],
    })];
    let setup = Setup::new(TenantOptions { extra_users, ..tenant(20) }).await;
    let summary = setup.sync(0);
    assert_eq!(summary["problem_count"], 0, "{summary}");
    let (entities, relations) = setup.export();
    assert_eq!(row(&json!(entities), "source_id", "DUODD000000000000001")["username"], "odd");
    let text = format!("{entities:?} {relations:?}");
    assert!(!text.contains("DPODD000000000000001"), "the list of phones has it as soon as it exists");
}

/// Moves all times that the store has an hour into the future, as if the clock had been an hour ahead.
fn advance_an_hour(setup: &Setup) {
    let store = rusqlite::Connection::open(setup.path("duo.db")).unwrap();
    for (table, column) in [
        ("run", "started_at"),
        ("run", "finished_at"),
        ("run_stream", "started_at"),
        ("run_stream", "ended_at"),
        ("run_page", "committed_at"),
        ("run_reader", "first_page_at"),
        ("run_reader", "last_page_at"),
    ] {
        let later = format!("strftime('%Y-%m-%dT%H:%M:%fZ', {column}, '+1 hour')");
        store.execute(&format!("UPDATE {table} SET {column} = {later}"), []).unwrap();
    }
    let mut query =
        store.prepare("SELECT DISTINCT bookmark FROM run_stream WHERE bookmark IS NOT NULL").unwrap();
    let bookmarks = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
    for bookmark in bookmarks.map(Result::unwrap).collect::<Vec<_>>() {
        let (since, to) = bookmark.split_once(";to=").unwrap();
        let later = format!("{since};to={}", to.parse::<i64>().unwrap() + 3600);
        store.execute("UPDATE run_stream SET bookmark = ?1 WHERE bookmark = ?2", [later, bookmark]).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_an_hour_between_two_runs_costs_nothing() {
    let setup = Setup::new(tenant(800)).await;
    setup.sync(0);
    let usages = |setup: &Setup| {
        setup.export();
        std::fs::read_to_string(setup.path("out/usages.ndjson")).unwrap().lines().count()
    };
    let before = usages(&setup);
    advance_an_hour(&setup);
    setup.simulator.delete_user(5);
    let summary = setup.sync(0);
    assert_eq!(summary["resumed"], false);
    assert_eq!(row(&summary["entities"], "source_type", "user")["gone"], 1);
    let log = row(&summary["streams"], "stream", "application-usage");
    assert_eq!(log["state"], "complete");
    assert!(log["window"]["from"].as_str().unwrap() < log["window"]["to"].as_str().unwrap(), "{log}");
    assert_eq!(usages(&setup), before);

    // A run that was interrupted before the clock was set back is resumed.
    setup.simulator.inject_where(is_later_page_of_users, Fault::InvalidSignature, u32::MAX);
    assert_eq!(setup.with_config("sync", &[]).code, 4);
    setup.simulator.heal();
    advance_an_hour(&setup);
    let summary = setup.sync(0);
    assert_eq!((&summary["resumed"], removed(&summary)), (&json!(true), vec![]));
    // What changed last is what the last run found, whatever the times of earlier runs say.
    setup.simulator.tenant().rename_user(7);
    setup.sync(0);
    let changes = setup.run(&["changes", "--store", "duo.db", "--json"]).stdout;
    assert_eq!((changes.lines().count(), changes.contains("\"changed\"")), (1, true), "{changes}");
}
