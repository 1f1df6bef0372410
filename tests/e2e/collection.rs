//! A whole tenant in the normal form: the requests that were sent, and the objects in the store, compared with the simulated tenant
//! and its counters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use duo_simulator::tenant::{Kind, Tenant};
use duo_simulator::{Fault, Grant, TenantOptions};
use rusqlite::Connection;
use serde_json::Value;

use crate::harness::{Setup, row, tenant};

const STREAMS: [&str; 13] = [
    "users",
    "groups",
    "phones",
    "hardware-tokens",
    "webauthn-credentials",
    "desktop-authenticators",
    "bypass-codes",
    "applications",
    "policies",
    "administrators",
    "administrative-units",
    "account",
    "application-usage",
];

/// All grants that reading needs.
const ALL: [Grant; 4] =
    [Grant::ResourceRead, Grant::AdministratorsRead, Grant::ReadLog, Grant::ReadInformation];

fn objects(tenant: &Tenant, kind: Kind) -> Vec<Value> {
    (0..tenant.count(kind)).map(|index| tenant.object(kind, index).unwrap()).collect()
}

fn states(summary: &Value) -> BTreeMap<String, String> {
    let streams = summary["streams"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    streams.iter().map(|stream| (text(&stream["stream"]), text(&stream["state"]))).collect()
}

fn open(setup: &Setup) -> Connection {
    Connection::open(setup.path("duo.db")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_of_5000_users_costs_at_most_80_requests() {
    let options = TenantOptions {
        groups: Some(100),
        applications: Some(40),
        administrators: Some(9),
        units: Some(3),
        events: Some(900),
        ..tenant(5000)
    };
    let setup = Setup::new(options).await;
    let summary = setup.sync(0);
    let counters = setup.simulator.counters();
    assert_eq!(summary["requests"], counters.total, "the summary has the number that the simulator counted");
    assert_eq!(counters.secret_touches, 0);
    let requests = setup.simulator.recorded();
    let log = requests.iter().filter(|request| request.path.contains("/logs/")).count() as u64;
    assert!(counters.total - log <= 80, "{:?}", counters.by_path);
    assert_eq!(counters.by_path["/admin/v1/users"], 17);
    // No call for one user, and nothing twice: but for the account, which `check` and its stream ask for, and the
    // administrators, whom bypass codes name by e-mail.
    let mut asked = BTreeMap::<_, u32>::new();
    for request in &requests {
        assert!(!request.path.starts_with("/admin/v1/users/"), "{request:?}");
        *asked.entry((request.path.as_str(), request.query.as_str())).or_default() += 1;
    }
    let twice: Vec<_> =
        asked.into_iter().filter(|(_, times)| *times > 1).map(|((path, _), _)| path).collect();
    assert_eq!(twice, ["/admin/v1/admins", "/admin/v1/info/summary"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_object_of_the_tenant_is_an_entity() {
    let setup = Setup::new(tenant(150)).await;
    let summary = setup.sync(0);
    assert_eq!(states(&summary).into_keys().collect::<BTreeSet<_>>(), STREAMS.map(str::to_owned).into());
    assert_eq!(summary["problem_count"], 0, "{}", summary["problems"]);
    let simulated = Tenant::new(setup.simulator.options());
    let (entities, relations) = setup.export();
    for (kind, source_type, key) in [
        (Kind::User, "user", "user_id"),
        (Kind::Group, "group", "group_id"),
        (Kind::Phone, "phone", "phone_id"),
        (Kind::Token, "hardware-token", "token_id"),
        (Kind::WebauthnCredential, "webauthn-credential", "webauthnkey"),
        (Kind::DesktopAuthenticator, "desktop-authenticator", "dakey"),
        (Kind::BypassCode, "bypass-code", "bypass_code_id"),
        (Kind::Integration, "application", "integration_key"),
        (Kind::Policy, "policy", "policy_key"),
        (Kind::Administrator, "administrator", "admin_id"),
        (Kind::AdministrativeUnit, "administrative-unit", "admin_unit_id"),
    ] {
        let expected: BTreeSet<_> =
            objects(&simulated, kind).iter().map(|object| object[key].as_str().unwrap().to_owned()).collect();
        let found = entities.iter().filter(|entity| entity["source_type"] == source_type);
        let found: BTreeSet<_> =
            found.map(|entity| entity["source_id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(found, expected, "{source_type}");
    }
    // Both ends of a relation are present.
    let keys: BTreeSet<_> =
        entities.iter().map(|entity| format!("{} {}", entity["source_type"], entity["source_id"])).collect();
    for relation in &relations {
        for end in [&relation["parent"], &relation["child"]] {
            let key = format!("{} {}", end["source_type"], end["source_id"]);
            assert!(keys.contains(&key), "{relation}");
        }
    }
    let account = row(&serde_json::json!(entities), "source_type", "account").clone();
    assert_eq!(account["source_id"], setup.simulator.options().host);
    assert_eq!(account["attributes"]["account_id"], "DASIMULATEDACCOUNT01");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_query_finds_who_reaches_an_application_and_through_what() {
    let setup = Setup::new(TenantOptions { events: Some(900), ..tenant(150) }).await;
    setup.sync(0);
    let simulated = Tenant::new(setup.simulator.options());
    let users = objects(&simulated, Kind::User);
    let groups = objects(&simulated, Kind::Group);
    let group_of = |key: &Value| groups.iter().find(|group| group["group_id"] == *key).unwrap();
    let database = open(&setup);
    let mut query = database
        .prepare(
            "SELECT username, through FROM application_access WHERE application = ?1 AND can_sign_in
             ORDER BY username, through",
        )
        .unwrap();
    let mut ways = BTreeSet::new();
    for application in objects(&simulated, Kind::Integration) {
        // The rule of the reference, over the tenant's own bytes.
        let mut expected = Vec::new();
        for user in users.iter().filter(|user| matches!(user["status"].as_str(), Some("active" | "bypass"))) {
            let name = user["username"].as_str().unwrap().to_owned();
            match application["user_access"].as_str().unwrap() {
                "ALL_USERS" => expected.push((name, "All users".to_owned())),
                "PERMITTED_GROUPS" => {
                    let mut permitted: Vec<&Value> =
                        application["groups_allowed"].as_array().unwrap().iter().collect();
                    permitted.sort_by_key(|key| key.to_string());
                    permitted.dedup();
                    for group in permitted {
                        let is_member =
                            user["groups"].as_array().unwrap().iter().any(|of| of["group_id"] == *group);
                        let group = group_of(group);
                        let works = !group["status"].as_str().unwrap().eq_ignore_ascii_case("disabled");
                        if is_member && works {
                            expected.push((name.clone(), group["name"].as_str().unwrap().to_owned()));
                        }
                    }
                }
                _ => {}
            }
        }
        expected.sort();
        let rows = query
            .query_map([application["name"].as_str().unwrap()], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        let found: Vec<(String, String)> = rows.map(Result::unwrap).collect();
        assert_eq!(found, expected, "{}", application["name"]);
        ways.insert((application["user_access"].as_str().unwrap().to_owned(), expected.is_empty()));
    }
    assert!(ways.contains(&("ALL_USERS".to_owned(), false)), "{ways:?}");
    assert!(ways.contains(&("PERMITTED_GROUPS".to_owned(), false)), "{ways:?}");
    assert!(ways.contains(&("NO_USERS".to_owned(), true)), "{ways:?}");
}

/// What may be read with which grants.
fn readable(grants: &[Grant]) -> BTreeSet<&'static str> {
    let needs = |stream: &str| match stream {
        "administrators" | "administrative-units" => Grant::AdministratorsRead,
        "account" => Grant::ReadInformation,
        "application-usage" => Grant::ReadLog,
        _ => Grant::ResourceRead,
    };
    STREAMS.into_iter().filter(|stream| grants.contains(&needs(stream))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_each_grant_taken_away_in_turn_the_rest_is_read_and_nothing_forbidden_looks_empty() {
    let mut cases: Vec<Vec<Grant>> =
        ALL.iter().map(|gone| ALL.into_iter().filter(|grant| grant != gone).collect()).collect();
    cases.extend([ALL.to_vec(), vec![Grant::ResourceRead], vec![]]);
    for grants in cases {
        let setup = Setup::new(TenantOptions { events: Some(100), ..tenant(30) }).await;
        setup.sync(0);
        let before = setup.export().0.len();
        setup.simulator.set_grants(grants.iter().copied().collect());
        let readable = readable(&grants);
        // Only what is optional may be missing in a whole run.
        let whole = grants.contains(&Grant::ResourceRead) && grants.contains(&Grant::AdministratorsRead);
        let code = if whole { 0 } else { 3 };

        let check = setup.with_config("check", &["--json"]);
        assert_eq!(check.code, code, "{grants:?} {check:?}");
        for stream in STREAMS {
            let report = check.json();
            let row = row(&report["streams"], "stream", stream);
            let expected = if readable.contains(stream) { "readable" } else { "permission-missing" };
            assert_eq!(row["access"], expected, "{grants:?} {row}");
        }
        let summary = setup.sync(code);
        for (stream, state) in states(&summary) {
            let expected = if readable.contains(stream.as_str()) { "complete" } else { "skipped" };
            assert_eq!(state, expected, "{grants:?} {stream}");
        }
        for stream in summary["streams"].as_array().unwrap() {
            if stream["state"] == "skipped" {
                assert!(stream["hint"].as_str().unwrap().contains("*Grant "), "{stream}");
            }
        }
        // No object that could not be read is removed, nor has the account another key where its id can't be read.
        assert!(setup.export().0.len() >= before, "{grants:?}");
        let gone: i64 = open(&setup)
            .query_row("SELECT count(*) FROM entity WHERE gone_run IS NOT NULL", [], |row| row.get(0))
            .unwrap();
        assert_eq!(gone, 0, "{grants:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_that_need_their_own_grant_name_both_candidates() {
    let setup = Setup::new(TenantOptions { applications_need_their_grant: true, ..tenant(20) }).await;
    let summary = setup.sync(3);
    let stream = row(&summary["streams"], "stream", "applications");
    assert_eq!(stream["state"], "skipped");
    let hint = stream["hint"].as_str().unwrap();
    assert!(hint.contains("*Grant resource - Read* or *Grant applications*"), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edition_without_roles_and_units_is_reported_as_one() {
    let setup = Setup::new(TenantOptions { has_roles: false, ..tenant(20) }).await;
    let summary = setup.sync(0);
    let stream = row(&summary["streams"], "stream", "administrative-units");
    assert_eq!(stream["state"], "skipped");
    assert!(stream["hint"].as_str().unwrap().contains("edition does not have this"), "{stream}");
    // Selected by name, it is missing.
    let by_name = setup.with_config("sync", &["--stream", "administrative-units", "--store", "units.db"]);
    assert_eq!(by_name.code, 3, "{by_name:?}");
    let check = setup.with_config("check", &["--json"]).json();
    assert_eq!(row(&check["streams"], "stream", "administrative-units")["access"], "not-in-edition");
    let (entities, relations) = setup.export();
    assert_eq!(entities.iter().filter(|entity| entity["source_type"] == "administrator").count(), 9);
    assert!(!entities.iter().any(|entity| entity["source_type"] == "admin-role"));
    assert!(!relations.iter().any(|relation| relation["privilege"] == "assigned"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_withdrawn_during_a_read_ends_the_stream_and_keeps_its_pages() {
    let setup = Setup::new(TenantOptions { events: Some(0), ..tenant(700) }).await;
    setup.reconfigure("connector = \"duo\"\n", "connector = \"duo\"\nstreams = [\"users\"]\n");
    setup.simulator.inject_at("/admin/v1/users", Fault::Slow(Duration::ZERO), 1);
    setup.simulator.inject_at("/admin/v1/users", Fault::Forbidden, 1);
    let summary = setup.sync(3);
    let stream = row(&summary["streams"], "stream", "users");
    assert_eq!(
        (stream["state"].as_str(), stream["pages"].as_u64()),
        (Some("incomplete"), Some(1)),
        "{stream}"
    );
    assert!(stream["hint"].as_str().unwrap().contains("*Grant resource - Read*"), "{stream}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_run_reads_only_the_end_of_the_log_and_knows_as_much() {
    let setup = Setup::new(TenantOptions { events: Some(900), ..tenant(60) }).await;
    let log_queries = || {
        let requests = setup.simulator.recorded().into_iter();
        let queries = requests
            .filter(|request| request.path.contains("/logs/") && request.query.contains("limit=1000"));
        queries.map(|request| request.query).collect::<Vec<_>>()
    };
    let time = |query: &str, name: &str| -> i64 {
        let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        value.unwrap().parse::<i64>().unwrap()
    };
    let usages = || {
        let database = open(&setup);
        let sql =
            "SELECT resource_source_id, identity_source_id, last_success, last_attempt, last_attempt_result,
                          resource_name, identity_name FROM usages ORDER BY 1, 2";
        let mut statement = database.prepare(sql).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..columns).map(|index| row.get::<_, Option<String>>(index)).collect::<Result<Vec<_>, _>>()
        });
        rows.unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    let first = setup.sync(0);
    let known = usages();
    assert!(
        known.iter().any(|row| row[5].as_deref() == Some("Old VPN")),
        "a deleted application keeps its name"
    );
    let second = setup.sync(0);
    assert_eq!(usages(), known);

    let [before, after] = <[String; 2]>::try_from(log_queries()).unwrap();
    let span = time(&before, "maxtime") - time(&before, "mintime");
    assert!((179 * 86_400_000..180 * 86_400_000).contains(&span), "{span}");
    let overlap = time(&before, "maxtime") - time(&after, "mintime");
    assert_eq!(overlap, 900_000);
    let now = chrono::Utc::now().timestamp_millis();
    assert!(now - time(&after, "maxtime") >= 120_000, "the last two minutes are not asked for");
    // Together they cover what the first one did, and more.
    let window = |summary: &Value, end: &str| {
        row(&summary["streams"], "stream", "application-usage")["window"][end].as_str().unwrap().to_owned()
    };
    assert_eq!(window(&first, "from"), window(&second, "from"));
    assert!(window(&first, "to") <= window(&second, "to"));

    // The view agrees with the events, and says what it does not know.
    let simulated = Tenant::new(setup.simulator.options());
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    for index in 0..simulated.event_count() {
        let event = simulated.event(index).unwrap();
        if event["result"] == "success" && event["event_type"] == "authentication" {
            let key = event["application"]["key"].as_str().unwrap().to_owned();
            last.insert(key, event["timestamp"].as_i64().unwrap());
        }
    }
    let database = open(&setup);
    let sql = "SELECT application_source_id, unixepoch(last_success), window_from, window_to, is_deleted FROM application_usage";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let window: (String, String) = (row.get(2)?, row.get(3)?);
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?, window, row.get::<_, bool>(4)?))
    });
    let mut found = BTreeMap::new();
    for row in rows.unwrap() {
        let (key, time, (from, to), is_deleted) = row.unwrap();
        assert!(from < to);
        assert_eq!(is_deleted, key == "DIDELETEDAPPLICATION");
        found.extend(time.map(|time| (key, time)));
    }
    // This tenant is a moment younger than the one that was read.
    assert_eq!(found.keys().collect::<Vec<_>>(), last.keys().collect::<Vec<_>>());
    for (key, time) in &last {
        assert!((0..=60).contains(&(time - found[key])), "{key}: {time} {}", found[key]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_is_refused_starts_the_log_over_after_its_bookmark() {
    let setup = Setup::new(TenantOptions { events: Some(1500), ..tenant(60) }).await;
    setup.configure(&format!("{}[limits]\nvendor-budgets = false\n", setup.configuration()));
    let refused = || Fault::FailWith200 { code: 40_002, message: "Invalid request parameters".to_owned() };
    let log = "/admin/v2/logs/authentication";
    // The probe and the first page are answered, the cursor of the second is refused.
    setup.simulator.inject_at(log, Fault::Slow(Duration::ZERO), 2);
    setup.simulator.inject_at(log, refused(), 1);
    let summary = setup.sync(0);
    assert_eq!(row(&summary["streams"], "stream", "application-usage")["pages"], 2);
    let queries = || {
        let requests = setup.simulator.recorded().into_iter().filter(|request| request.path == log);
        requests.map(|request| request.query).filter(|query| query.contains("limit=1000")).collect::<Vec<_>>()
    };
    assert_eq!(queries().iter().filter(|query| !query.contains("next_offset")).count(), 2, "{:?}", queries());

    // A cursor that is always refused ends the stream, and what was read stays.
    setup.simulator.inject_at(log, Fault::Slow(Duration::ZERO), 1);
    setup.simulator.inject_at(log, refused(), 1000);
    let summary = setup.sync(3);
    let stream = row(&summary["streams"], "stream", "application-usage");
    assert_eq!(stream["state"], "incomplete");
    assert!(stream["hint"].as_str().unwrap().contains("`log-days`"), "{stream}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_account_is_named_in_every_request() {
    let options = TenantOptions { account_id: Some("DACHILD0000000000001".to_owned()), ..tenant(30) };
    let setup = Setup::new(options).await;
    let refused = setup.with_config("check", &[]);
    assert_ne!(refused.code, 0, "without the account id the parent's keys open nothing: {refused:?}");
    setup.reconfigure("[settings]\n", "[settings]\naccount-id = \"DACHILD0000000000001\"\n");
    setup.sync(0);
    let (entities, _) = setup.export();
    let account = row(&serde_json::json!(entities), "source_type", "account").clone();
    assert_eq!(account["attributes"]["account_id"], "DACHILD0000000000001");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_old_signature_applications_are_read_from_version_1_and_policies_say_why_they_are_not() {
    let setup = Setup::new(tenant(30)).await;
    setup.reconfigure("[settings]\n", "[settings]\nsignature = \"v2-sha512\"\n");
    let summary = setup.sync(3);
    for (stream, state) in states(&summary) {
        assert_eq!(state, if stream == "policies" { "incomplete" } else { "complete" }, "{stream}");
    }
    let policies = row(&summary["streams"], "stream", "policies");
    assert!(policies["hint"].as_str().unwrap().contains("`signature` to `v5`"), "{policies}");
    assert!(setup.simulator.counters().by_path.contains_key("/admin/v1/integrations"));
}

#[tokio::test(flavor = "multi_thread")]
async fn masked_phone_numbers_never_reach_the_store() {
    let setup = Setup::new(tenant(60)).await;
    setup.reconfigure("[settings]\n", "[settings]\nmask-phone-numbers = true\n");
    setup.sync(0);
    let phones: Vec<Value> =
        setup.export().0.into_iter().filter(|entity| entity["source_type"] == "phone").collect();
    assert!(phones.iter().any(|phone| phone["attributes"]["number"].as_str().is_some()));
    let store = std::fs::read(setup.path("duo.db")).unwrap();
    for number in objects(&Tenant::new(setup.simulator.options()), Kind::Phone) {
        let number = number["number"].as_str().unwrap().as_bytes();
        assert!(number.is_empty() || !store.windows(number.len()).any(|window| window == number));
    }
}
