//! What the simulator answers over a socket, to requests right and wrong.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod client;

use chrono::Utc;
use client::Ask;
use duo_simulator::tenant::{Kind, Tenant};
use duo_simulator::{Grant, SignatureVersion, Simulator, TenantOptions};
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;

const ALL: [Grant; 6] = [
    Grant::ResourceRead,
    Grant::AdministratorsRead,
    Grant::ReadLog,
    Grant::ReadInformation,
    Grant::Settings,
    Grant::Applications,
];

async fn simulator_with(options: TenantOptions) -> Simulator {
    Simulator::start(options).await.unwrap()
}

/// Every permission ticked.
async fn simulator() -> Simulator {
    simulator_with(TenantOptions { grants: ALL.into(), ..TenantOptions::default() }).await
}

fn log(from: i64, to: i64) -> String {
    format!("/admin/v2/logs/authentication?maxtime={to}&mintime={from}")
}

fn failure(code: u64, message: &str, detail: Option<&str>) -> Value {
    let mut body = json!({ "code": code, "message": message, "stat": "FAIL" });
    if let Some(detail) = detail {
        body["message_detail"] = detail.into();
    }
    body
}

#[tokio::test]
async fn credentials_are_told_apart() {
    let simulator = simulator().await;
    let ask = || Ask::new(&simulator, "/admin/v1/users?limit=1");
    let at = |seconds| (Utc::now() + chrono::Duration::seconds(seconds)).to_rfc2822();
    let unknown_key = failure(40102, "Invalid integration key in request credentials", None);
    let bad_signature = failure(40103, "Invalid signature in request credentials", None);
    let bad_timestamp = failure(40105, "Bad request timestamp", None);
    let cases = [
        (Ask { integration_key: "DIOTHER".to_owned(), ..ask() }, &unknown_key),
        (Ask { host: "api-other.duosecurity.com".to_owned(), ..ask() }, &unknown_key),
        (Ask { host: "127.0.0.1".to_owned(), ..ask() }, &unknown_key),
        (Ask { secret_key: "other".to_owned(), ..ask() }, &bad_signature),
        (Ask { date: at(-310), ..ask() }, &bad_timestamp),
        (Ask { date: at(310), ..ask() }, &bad_timestamp),
        (Ask { date: "yesterday".to_owned(), ..ask() }, &bad_timestamp),
    ];
    for (ask, expected) in cases {
        assert_eq!(ask.send(&simulator).await, (401, expected.clone()));
    }
    for version in [SignatureVersion::V2Sha1, SignatureVersion::V2Sha512, SignatureVersion::V5] {
        assert_eq!(Ask { version, ..ask() }.send(&simulator).await.0, 200, "{version:?}");
        assert_eq!(simulator.recorded().last().unwrap().signature, Some(version));
    }
    assert_eq!(Ask { date: at(-290), ..ask() }.send(&simulator).await.0, 200);
}

#[tokio::test]
async fn a_request_without_whole_credentials_is_refused() {
    let simulator = simulator().await;
    let url = format!("{}/admin/v1/users", simulator.url());
    let missing = failure(40101, "Missing request credentials", None);
    for authorization in [None, Some("Bearer x"), Some("Basic ?"), Some("Basic bm9jb2xvbg==")] {
        let mut request = client::http().build().unwrap().get(&url).header("host", &simulator.options().host);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401, "{authorization:?}");
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(body, missing, "{authorization:?}");
    }
}

#[tokio::test]
async fn nonsense_is_refused_and_named() {
    let simulator = simulator().await;
    let now = Utc::now().timestamp_millis();
    let invalid = |name| (400, failure(40002, "Invalid request parameters", Some(name)));
    let missing = |name| (400, failure(40001, "Missing required request parameters", Some(name)));
    let absent = || (404, failure(40401, "Resource not found", None));
    let cases = [
        ("/admin/v1/users?limit=0".to_owned(), invalid("limit")),
        ("/admin/v1/users?limit=-1".to_owned(), invalid("limit")),
        ("/admin/v1/users?limit=many".to_owned(), invalid("limit")),
        ("/admin/v1/groups?offset=-1".to_owned(), invalid("offset")),
        ("/admin/v1/users?user_id_list=DU1".to_owned(), invalid("user_id_list")),
        ("/admin/v1/administrative_units?admin_id=a&group_id=b".to_owned(), invalid("admin_id")),
        ("/admin/v2/logs/authentication".to_owned(), missing("mintime")),
        (format!("/admin/v2/logs/authentication?mintime={}", now - DAY_MS), missing("maxtime")),
        (log(now, now), invalid("mintime")),
        (log(now, now - 1), invalid("mintime")),
        (log(now - 181 * DAY_MS, now), invalid("mintime")),
        (format!("{}&next_offset=x", log(now - DAY_MS, now)), invalid("next_offset")),
        ("/admin/v1/nothing".to_owned(), absent()),
        ("/admin/v1/users/".to_owned(), absent()),
        ("/admin/v1/users/DUNOBODY".to_owned(), absent()),
        ("/admin/v1/users/DUNOBODY/groups".to_owned(), absent()),
        ("/admin/v2/groups/DGNOBODY/users".to_owned(), absent()),
        ("/admin/v3/integrations/DINOTHING".to_owned(), absent()),
        ("/admin/v1/admins/DENOBODY/password_mgmt".to_owned(), absent()),
    ];
    for (target, expected) in cases {
        assert_eq!(Ask::new(&simulator, &target).send(&simulator).await, expected, "{target}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = Ask { method, ..Ask::new(&simulator, "/admin/v1/users") }.send(&simulator).await;
        assert_eq!(answer, (405, failure(40501, "Method not allowed", None)), "{method}");
    }
}

#[tokio::test]
async fn the_newer_endpoints_refuse_the_older_signature() {
    let simulator = simulator().await;
    let key = simulator.options().integration_key.clone();
    for target in [
        "/admin/v2/integrations".to_owned(),
        "/admin/v2/policies".to_owned(),
        "/admin/v2/policies/summary".to_owned(),
        "/admin/v3/integrations".to_owned(),
        format!("/admin/v3/integrations/{key}"),
        format!("/admin/v1/integrations/{key}/skey"),
    ] {
        for version in [SignatureVersion::V2Sha1, SignatureVersion::V2Sha512] {
            let answer = Ask { version, ..Ask::new(&simulator, &target) }.send(&simulator).await;
            assert_eq!(answer, (403, failure(40301, "Access forbidden", None)), "{target}");
        }
        assert_eq!(Ask::new(&simulator, &target).send(&simulator).await.0, 200, "{target}");
    }
}

#[tokio::test]
async fn every_endpoint_needs_its_permission_and_no_other() {
    let options = TenantOptions { grants: ALL.into(), ..TenantOptions::default() };
    let tenant = Tenant::new(&options);
    let simulator = simulator_with(options.clone()).await;
    let key = |kind, field: &str| tenant.object(kind, 0).unwrap()[field].as_str().unwrap().to_owned();
    let (user, group) = (key(Kind::User, "user_id"), key(Kind::Group, "group_id"));
    let (administrator, policy) = (key(Kind::Administrator, "admin_id"), key(Kind::Policy, "policy_key"));
    let application = &options.integration_key;
    let now = Utc::now().timestamp_millis();
    let mut cases = vec![
        (Grant::ResourceRead, format!("/admin/v2/groups/{group}/users")),
        (Grant::ResourceRead, format!("/admin/v2/policies/{policy}")),
        (Grant::Applications, format!("/admin/v1/integrations/{application}/skey")),
        (Grant::AdministratorsRead, format!("/admin/v1/admins/{administrator}")),
        (Grant::AdministratorsRead, format!("/admin/v1/admins/{administrator}/password_mgmt")),
        (Grant::ReadLog, log(now - DAY_MS, now)),
        (Grant::Settings, "/admin/v1/settings".to_owned()),
    ];
    for part in [
        "groups",
        "phones",
        "tokens",
        "webauthncredentials",
        "bypass_codes",
        "desktopauthenticators",
        "u2ftokens",
    ] {
        cases.push((Grant::ResourceRead, format!("/admin/v1/users/{user}/{part}")));
    }
    for (kind, list, field) in [
        (Kind::User, "v1/users", "user_id"),
        (Kind::Group, "v1/groups", "group_id"),
        (Kind::Group, "v2/groups", "group_id"),
        (Kind::Phone, "v1/phones", "phone_id"),
        (Kind::Token, "v1/tokens", "token_id"),
        (Kind::WebauthnCredential, "v1/webauthncredentials", "webauthnkey"),
        (Kind::DesktopAuthenticator, "v1/desktop_authenticators", "dakey"),
        (Kind::BypassCode, "v1/bypass_codes", "bypass_code_id"),
        (Kind::Integration, "v1/integrations", "integration_key"),
        (Kind::Integration, "v2/integrations", "integration_key"),
        (Kind::Integration, "v3/integrations", "integration_key"),
        (Kind::Policy, "v2/policies", "policy_key"),
    ] {
        if list != "v2/groups" {
            cases.push((Grant::ResourceRead, format!("/admin/{list}")));
        }
        cases.push((Grant::ResourceRead, format!("/admin/{list}/{}", key(kind, field))));
    }
    cases.push((Grant::ResourceRead, "/admin/v1/u2ftokens".to_owned()));
    for part in ["summary", "global"] {
        cases.push((Grant::ResourceRead, format!("/admin/v2/policies/{part}")));
    }
    let unit = key(Kind::AdministrativeUnit, "admin_unit_id");
    for part in ["admins", "admins/activations", "admins/password_mgmt", "admins/allowed_auth_methods"] {
        cases.push((Grant::AdministratorsRead, format!("/admin/v1/{part}")));
    }
    for part in ["administrative_units".to_owned(), format!("administrative_units/{unit}")] {
        cases.push((Grant::AdministratorsRead, format!("/admin/v1/{part}")));
    }
    for part in ["summary", "authentication_attempts"] {
        cases.push((Grant::ReadInformation, format!("/admin/v1/info/{part}")));
    }
    for (grant, target) in &cases {
        simulator.set_grants([*grant].into());
        let (status, body) = Ask::new(&simulator, target).send(&simulator).await;
        assert_eq!(status, 200, "{target}: {body}");
        simulator.set_grants(ALL.into_iter().filter(|other| other != grant).collect());
        let answer = Ask::new(&simulator, target).send(&simulator).await;
        assert_eq!(answer, (403, failure(40301, "Access forbidden", None)), "{target}");
    }
}

#[tokio::test]
async fn a_tenant_can_be_without_roles_and_stingy_with_applications() {
    let options =
        TenantOptions { has_roles: false, applications_need_their_grant: true, ..TenantOptions::default() };
    let simulator = simulator_with(options).await;
    for target in ["/admin/v1/administrative_units", "/admin/v1/integrations", "/admin/v3/integrations"] {
        let answer = Ask::new(&simulator, target).send(&simulator).await;
        assert_eq!(answer, (403, failure(40301, "Access forbidden", None)), "{target}");
    }
    let (_, body) = Ask::new(&simulator, "/admin/v1/admins").send(&simulator).await;
    assert!(body["response"].as_array().unwrap().iter().all(|row| row.get("role").is_none()));
    simulator.set_grants([Grant::Applications].into());
    assert_eq!(Ask::new(&simulator, "/admin/v3/integrations").send(&simulator).await.0, 200);
}

#[tokio::test]
async fn lists_are_paged_within_limits_and_single_objects_are_not() {
    for null in [false, true] {
        let options = TenantOptions { users: 650, null_next_offset: null, ..TenantOptions::default() };
        let simulator = simulator_with(options).await;
        let ask = async |target: &str| Ask::new(&simulator, target).send(&simulator).await.1;
        let first = ask("/admin/v1/users").await;
        assert_eq!(first["response"].as_array().unwrap().len(), 100);
        assert_eq!(first["metadata"], json!({ "next_offset": 100, "total_objects": 650 }));
        let second = ask("/admin/v1/users?limit=1000&offset=300").await;
        assert_eq!(second["response"].as_array().unwrap().len(), 300);
        assert_eq!(second["metadata"], json!({ "next_offset": 600, "prev_offset": 0, "total_objects": 650 }));
        let last = ask("/admin/v1/users?limit=300&offset=600").await;
        assert_eq!(last["response"].as_array().unwrap().len(), 50);
        assert_eq!(last["metadata"].get("next_offset"), null.then_some(&Value::Null));
        let phones = ask("/admin/v1/phones?limit=1000").await;
        assert_eq!(phones["response"].as_array().unwrap().len(), 500);
        let beyond = ask("/admin/v1/users?limit=300&offset=9000").await;
        assert_eq!(beyond["response"], json!([]));
        let user = first["response"][0]["user_id"].as_str().unwrap();
        for target in [&format!("/admin/v1/users/{user}"), "/admin/v1/info/summary"] {
            let single = ask(target).await;
            assert!(single["response"].is_object() && single.get("metadata").is_none(), "{target}");
        }
    }
}

#[tokio::test]
async fn users_and_groups_are_looked_up() {
    let simulator = simulator().await;
    let ask = async |target: &str| Ask::new(&simulator, target).send(&simulator).await.1["response"].clone();
    let users = ask("/admin/v1/users").await;
    let (one, two) = (&users[0], &users[1]);
    let text = |object: &Value, field: &str| object[field].as_str().unwrap().to_owned();
    let list = |name: &str, of: [&Value; 2], field: &str| {
        let keys = format!("[\"{}\",\"{}\",\"unknown\"]", text(of[0], field), text(of[1], field));
        let escaped = keys.replace('[', "%5B").replace(']', "%5D").replace('"', "%22").replace(',', "%2C");
        format!("{name}={escaped}")
    };
    for query in [list("user_id_list", [one, two], "user_id"), list("username_list", [one, two], "username")]
    {
        assert_eq!(ask(&format!("/admin/v1/users?{query}")).await, json!([one, two]), "{query}");
    }
    let by_name = ask(&format!("/admin/v1/users?username={}", text(two, "username"))).await;
    assert_eq!(by_name, json!([two]));
    let email = text(two, "email").replace('@', "%40");
    assert_eq!(ask(&format!("/admin/v1/users?email={email}")).await, json!([two]));
    assert_eq!(ask("/admin/v1/users?username=nobody.at.all").await, json!([]));
    let groups = ask("/admin/v1/groups").await;
    let query = list("group_id_list", [&groups[1], &groups[0]], "group_id");
    assert_eq!(ask(&format!("/admin/v1/groups?{query}")).await, json!([groups[1], groups[0]]));
}

#[tokio::test]
async fn endpoints_that_reveal_secrets_do_so_and_are_counted() {
    let simulator = simulator().await;
    let (_, applications) = Ask::new(&simulator, "/admin/v3/integrations").send(&simulator).await;
    let applications = applications["response"].as_array().unwrap();
    let key = |row: &Value| row["integration_key"].as_str().unwrap().to_owned();
    let with_client = applications.iter().find(|row| row.get("sso").is_some()).unwrap();
    let client_id = with_client["sso"]["oauth_config"]["clients"][0]["client_id"].as_str().unwrap();
    let cases = [
        (format!("/admin/v1/integrations/{}/skey", key(&applications[1])), "/response/secret_key"),
        (
            format!("/admin/v2/integrations/oauth_cc/{}/client_secret/{client_id}", key(with_client)),
            "/response/client_secret",
        ),
        (
            format!("/admin/v2/integrations/oidc/{}/client_secret", key(with_client)),
            "/response/client_secret",
        ),
        ("/admin/v1/admins/activations".to_owned(), "/response/0/code"),
    ];
    let secrets = simulator.planted_secrets();
    for (touches, (target, pointer)) in (1..).zip(cases) {
        let (status, body) = Ask::new(&simulator, &target).send(&simulator).await;
        let secret = body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        assert!(status == 200 && secrets.contains(&secret), "{target}: {body}");
        assert_eq!(simulator.counters().secret_touches, touches, "{target}");
    }
}

#[tokio::test]
async fn each_class_of_requests_has_its_limit() {
    let simulator = simulator_with(TenantOptions {
        users: 10,
        rate_limits: true,
        grants: ALL.into(),
        ..TenantOptions::default()
    })
    .await;
    let now = Utc::now().timestamp_millis();
    let (_, users) = Ask::new(&simulator, "/admin/v1/users?limit=1").send(&simulator).await;
    let user = users["response"][0]["user_id"].as_str().unwrap();
    let cases = [
        // One page was read above.
        (199, format!("/admin/v1/users/{user}/groups")),
        (300, "/admin/v1/settings".to_owned()),
        (2, log(now - DAY_MS, now)),
    ];
    for (limit, target) in cases {
        for _ in 0..limit {
            assert_eq!(Ask::new(&simulator, &target).send(&simulator).await.0, 200, "{target}");
        }
        let response = Ask::new(&simulator, &target).response(&simulator).await.unwrap();
        assert_eq!(response.status(), 429, "{target}");
        assert!(response.headers().get("retry-after").is_none());
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(body, failure(42901, "Too Many Requests", None));
    }
}

#[tokio::test]
async fn a_child_account_must_be_named() {
    let account_id = "DA012345678901234567";
    let options = TenantOptions { account_id: Some(account_id.to_owned()), ..TenantOptions::default() };
    let simulator = simulator_with(options).await;
    for target in ["/admin/v1/users", "/admin/v1/users?account_id=DAOTHER"] {
        let answer = Ask::new(&simulator, target).send(&simulator).await;
        assert_eq!(answer, (403, failure(40301, "Access forbidden", Some("account_id"))), "{target}");
    }
    let target = format!("/admin/v1/users?account_id={account_id}");
    assert_eq!(Ask::new(&simulator, &target).send(&simulator).await.0, 200);
}

#[tokio::test]
async fn headers_are_those_of_recordings_and_the_clock_can_be_wrong() {
    let simulator = simulator().await;
    let ask = || Ask::new(&simulator, "/admin/v1/users");
    let response = ask().response(&simulator).await.unwrap();
    for (name, value) in [
        ("server", "Duo/1.0"),
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("pragma", "no-cache"),
        ("strict-transport-security", "max-age=31536000"),
    ] {
        assert_eq!(response.headers().get(name).unwrap(), value);
    }
    assert!(response.headers().get("content-encoding").is_none());
    let plain = response.bytes().await.unwrap();

    let response = Ask { gzip: true, ..ask() }.response(&simulator).await.unwrap();
    assert_eq!(response.headers().get("content-encoding").unwrap(), "gzip");
    let zipped = response.bytes().await.unwrap();
    assert!(zipped.starts_with(&[0x1f, 0x8b]) && zipped.len() < plain.len() / 2);

    simulator.set_clock_offset(3600);
    let response = ask().response(&simulator).await.unwrap();
    assert_eq!(response.status(), 401);
    let date = response.headers().get("date").unwrap().to_str().unwrap();
    let ahead = chrono::DateTime::parse_from_rfc2822(date).unwrap().timestamp() - Utc::now().timestamp();
    assert!((3590..=3600).contains(&ahead), "{ahead}");
    let date = (Utc::now() + chrono::Duration::hours(1)).to_rfc2822();
    assert_eq!(Ask { date, ..ask() }.send(&simulator).await.0, 200);
}

#[tokio::test]
async fn requests_are_counted_by_endpoint() {
    let simulator = simulator().await;
    let (_, users) = Ask::new(&simulator, "/admin/v1/users?limit=2").send(&simulator).await;
    for user in users["response"].as_array().unwrap() {
        let target = format!("/admin/v1/users/{}/groups", user["user_id"].as_str().unwrap());
        Ask::new(&simulator, &target).send(&simulator).await;
    }
    for target in ["/favicon.ico", "/admin/v1/nothing"] {
        Ask::new(&simulator, target).send(&simulator).await;
    }
    let counters = simulator.counters();
    let expected = [("/admin/v1/users", 1), ("/admin/v1/users/{user_id}/groups", 2), ("other", 2)]
        .map(|(path, count)| (path.to_owned(), count));
    assert_eq!(counters.by_path, expected.into());
    assert_eq!(counters.by_status, [(200, 3), (404, 2)].into());
    assert_eq!((counters.total, counters.peak_concurrent), (5, 1));
    let first = simulator.recorded().remove(0);
    assert_eq!((first.path.as_str(), first.query.as_str()), ("/admin/v1/users", "limit=2"));
}

#[tokio::test]
async fn a_deleted_user_is_gone() {
    let simulator = simulator().await;
    let ask = async |target: &str| Ask::new(&simulator, target).send(&simulator).await;
    let (_, before) = ask("/admin/v1/users?limit=2").await;
    simulator.delete_user(0);
    let (_, after) = ask("/admin/v1/users?limit=1").await;
    assert_eq!(after["response"][0], before["response"][1]);
    let gone = format!("/admin/v1/users/{}", before["response"][0]["user_id"].as_str().unwrap());
    assert_eq!(ask(&gone).await.0, 404);
}
