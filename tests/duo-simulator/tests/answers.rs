//! What the simulator answers over a socket, to requests right and wrong.

#![expect(clippy::unwrap_used, reason = "a test")]

use base64::Engine as _;
use chrono::Utc;
use duo_simulator::{Fault, Grant, Simulator, TenantOptions};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha512;

/// A request as a careful client sends it; tests change parts of it.
struct Ask<'a> {
    method: &'a str,
    target: &'a str,
    integration_key: String,
    secret_key: String,
    host: String,
    date: String,
}

impl<'a> Ask<'a> {
    fn new(simulator: &Simulator, target: &'a str) -> Self {
        let options = simulator.options();
        Self {
            method: "GET",
            target,
            integration_key: options.integration_key.clone(),
            secret_key: options.secret_key.clone(),
            host: options.host.clone(),
            date: Utc::now().to_rfc2822(),
        }
    }

    /// Signs in version 2 and sends.
    async fn send(self, simulator: &Simulator) -> (u16, Value) {
        let (path, query) = self.target.split_once('?').unwrap_or((self.target, ""));
        let text = [&self.date, self.method, &self.host, path, query].join("\n");
        let mut mac = Hmac::<Sha512>::new_from_slice(self.secret_key.as_bytes()).unwrap();
        mac.update(text.as_bytes());
        let digest: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let credentials = format!("{}:{digest}", self.integration_key);
        let authorization =
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credentials));
        let url = format!("{}{}", simulator.url(), self.target);
        let request = reqwest::Client::new().request(self.method.parse().unwrap(), url);
        let request = request.header("host", self.host).header("date", self.date);
        let response = request.header("authorization", authorization).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }
}

async fn simulator() -> Simulator {
    Simulator::start(TenantOptions::default()).await.unwrap()
}

#[tokio::test]
async fn credentials_are_told_apart() {
    let simulator = simulator().await;
    let ask = || Ask::new(&simulator, "/admin/v1/users?limit=1");
    let late = (Utc::now() - chrono::Duration::seconds(310)).to_rfc2822();
    let cases = [
        (ask(), 200, 0),
        (Ask { integration_key: "DIOTHER".to_owned(), ..ask() }, 401, 40102),
        (Ask { host: "api-other.duosecurity.com".to_owned(), ..ask() }, 401, 40102),
        (Ask { secret_key: "other".to_owned(), ..ask() }, 401, 40103),
        (Ask { date: late, ..ask() }, 401, 40105),
        (Ask { date: "yesterday".to_owned(), ..ask() }, 401, 40105),
        (Ask { method: "POST", ..ask() }, 405, 40501),
        (Ask { target: "/admin/v1/nothing", ..ask() }, 404, 40401),
        (Ask { target: "/admin/v1/users/DUNOBODY", ..ask() }, 404, 40401),
        (Ask { target: "/admin/v1/users?limit=0", ..ask() }, 400, 40002),
        (Ask { target: "/admin/v2/logs/authentication", ..ask() }, 400, 40001),
        // Version 5 only.
        (Ask { target: "/admin/v3/integrations?limit=1", ..ask() }, 403, 40301),
        (Ask { target: "/admin/v2/policies", ..ask() }, 403, 40301),
        // Not ticked by default.
        (Ask { target: "/admin/v1/settings", ..ask() }, 403, 40301),
    ];
    for (ask, status, code) in cases {
        let target = ask.target;
        let (got, body) = ask.send(&simulator).await;
        assert_eq!((got, body["code"].as_u64().unwrap_or(0)), (status, code), "{target}: {body}");
    }
    let unsigned = reqwest::get(format!("{}/admin/v1/users", simulator.url())).await.unwrap();
    assert_eq!(unsigned.status(), 401);
}

#[tokio::test]
async fn every_family_needs_its_permission() {
    let simulator = simulator().await;
    let families = [
        (Grant::ResourceRead, "/admin/v1/users"),
        (Grant::ResourceRead, "/admin/v1/groups"),
        (Grant::ResourceRead, "/admin/v1/phones"),
        (Grant::ResourceRead, "/admin/v1/tokens"),
        (Grant::ResourceRead, "/admin/v1/webauthncredentials"),
        (Grant::ResourceRead, "/admin/v1/desktop_authenticators"),
        (Grant::ResourceRead, "/admin/v1/bypass_codes"),
        (Grant::ResourceRead, "/admin/v1/integrations"),
        (Grant::AdministratorsRead, "/admin/v1/admins"),
        (Grant::AdministratorsRead, "/admin/v1/administrative_units"),
        (Grant::ReadInformation, "/admin/v1/info/summary"),
        (Grant::Settings, "/admin/v1/settings"),
    ];
    for (grant, target) in families {
        simulator.set_grants([grant].into());
        assert_eq!(Ask::new(&simulator, target).send(&simulator).await.0, 200, "{target}");
        let others = [
            Grant::ResourceRead,
            Grant::AdministratorsRead,
            Grant::ReadLog,
            Grant::ReadInformation,
            Grant::Settings,
            Grant::Applications,
        ];
        simulator.set_grants(others.into_iter().filter(|other| *other != grant).collect());
        let (status, body) = Ask::new(&simulator, target).send(&simulator).await;
        assert_eq!(status, 403, "{target}");
        assert_eq!(body, json!({ "code": 40301, "message": "Access forbidden", "stat": "FAIL" }));
    }
}

#[tokio::test]
async fn secrets_that_are_touched_are_counted() {
    let simulator = Simulator::start(TenantOptions {
        grants: [Grant::AdministratorsRead].into(),
        ..TenantOptions::default()
    })
    .await
    .unwrap();
    let (_, body) = Ask::new(&simulator, "/admin/v1/admins/activations").send(&simulator).await;
    let code = body["response"][0]["code"].as_str().unwrap().to_owned();
    assert!(simulator.planted_secrets().contains(&code));
    assert_eq!(simulator.counters().secret_touches, 1);
}

#[tokio::test]
async fn the_log_is_limited_to_two_requests_a_minute_where_limits_are_on() {
    let simulator =
        Simulator::start(TenantOptions { rate_limits: true, ..TenantOptions::default() }).await.unwrap();
    let now = Utc::now().timestamp_millis();
    let target = format!("/admin/v2/logs/authentication?maxtime={}&mintime={}", now, now - 86_400_000);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(Ask::new(&simulator, &target).send(&simulator).await.0);
    }
    assert_eq!(statuses, [200, 200, 429]);
}

#[tokio::test]
async fn faults_come_as_often_as_planned_and_where_planned() {
    let simulator = simulator().await;
    simulator.inject_at("/admin/v1/groups", Fault::TooManyRequests { retry_after: Some(7) }, 2);
    let mut statuses = Vec::new();
    for target in ["/admin/v1/groups", "/admin/v1/users", "/admin/v1/groups", "/admin/v1/groups"] {
        statuses.push(Ask::new(&simulator, target).send(&simulator).await.0);
    }
    assert_eq!(statuses, [429, 200, 429, 200]);
    assert_eq!(simulator.counters().by_status, [(200, 2), (429, 2)].into());
}

#[tokio::test]
async fn a_child_account_must_be_named() {
    let account_id = "DA012345678901234567";
    let options = TenantOptions { account_id: Some(account_id.to_owned()), ..TenantOptions::default() };
    let simulator = Simulator::start(options).await.unwrap();
    assert_eq!(Ask::new(&simulator, "/admin/v1/users").send(&simulator).await.0, 403);
    let target = format!("/admin/v1/users?account_id={account_id}");
    assert_eq!(Ask::new(&simulator, &target).send(&simulator).await.0, 200);
}
