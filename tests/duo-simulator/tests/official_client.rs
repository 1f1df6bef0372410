//! Duo's official Python client reads the simulated tenant, over TLS, with its own signing and paging.

#![expect(clippy::unwrap_used, reason = "a test")]

mod python;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use duo_simulator::tenant::{Kind, Tenant};
use duo_simulator::{Grant, SignatureVersion, Simulator, TenantOptions};
use serde_json::{Value, json};

/// The endpoints that the client has a method for, those aside that reveal secrets.
const READ: [&str; 35] = [
    "/admin/v1/users",
    "/admin/v1/users/{user_id}",
    "/admin/v1/users/{user_id}/groups",
    "/admin/v1/users/{user_id}/phones",
    "/admin/v1/users/{user_id}/tokens",
    "/admin/v1/users/{user_id}/webauthncredentials",
    "/admin/v1/users/{user_id}/u2ftokens",
    "/admin/v1/users/{user_id}/bypass_codes",
    "/admin/v1/groups",
    "/admin/v1/groups/{group_id}",
    "/admin/v2/groups/{group_id}",
    "/admin/v2/groups/{group_id}/users",
    "/admin/v1/phones",
    "/admin/v1/phones/{phone_id}",
    "/admin/v1/tokens",
    "/admin/v1/tokens/{token_id}",
    "/admin/v1/webauthncredentials",
    "/admin/v1/webauthncredentials/{webauthnkey}",
    "/admin/v1/u2ftokens",
    "/admin/v1/bypass_codes",
    "/admin/v3/integrations",
    "/admin/v3/integrations/{integration_key}",
    "/admin/v1/admins",
    "/admin/v1/admins/{admin_id}",
    "/admin/v1/admins/password_mgmt",
    "/admin/v1/admins/{admin_id}/password_mgmt",
    "/admin/v1/admins/allowed_auth_methods",
    "/admin/v1/administrative_units",
    "/admin/v2/policies",
    "/admin/v2/policies/summary",
    "/admin/v2/policies/{policy_key}",
    "/admin/v2/logs/authentication",
    "/admin/v1/info/summary",
    "/admin/v1/info/authentication_attempts",
    "/admin/v1/settings",
];

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_python), ignore = "there is no `python3`")]
async fn the_official_client_reads_the_whole_tenant() {
    let python =
        python::with_official_client(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("official-client"));
    let grants = [
        Grant::ResourceRead,
        Grant::AdministratorsRead,
        Grant::ReadLog,
        Grant::ReadInformation,
        Grant::Settings,
    ];
    let options = TenantOptions { users: 730, grants: grants.into(), ..TenantOptions::default() };
    let tenant = Tenant::new(&options);
    let simulator = Simulator::start_tls(options.clone()).await.unwrap();
    let ca_file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("official-client-ca.pem");
    std::fs::write(&ca_file, simulator.ca_pem().unwrap()).unwrap();
    let port: u16 = simulator.url().rsplit(':').next().unwrap().parse().unwrap();
    let now = tenant.now_ms();
    let arguments = json!({
        "host": options.host, "port": port, "integration_key": options.integration_key,
        "secret_key": options.secret_key, "ca_file": ca_file,
        "mintime": now - 179 * 86_400_000, "maxtime": now - 121_000,
    });
    let mut child = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/official_client.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(arguments.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();

    let counts = [
        ("users", Kind::User),
        ("user_ids", Kind::User),
        ("users_in_summary", Kind::User),
        ("users_v2_sha1", Kind::User),
        ("users_v2_sha512", Kind::User),
        ("groups", Kind::Group),
        ("phones", Kind::Phone),
        ("tokens", Kind::Token),
        ("webauthncredentials", Kind::WebauthnCredential),
        ("bypass_codes", Kind::BypassCode),
        ("integrations", Kind::Integration),
        ("admins", Kind::Administrator),
        ("password_mgmt", Kind::Administrator),
        ("administrative_units", Kind::AdministrativeUnit),
        ("policies", Kind::Policy),
        ("policies_in_summary", Kind::Policy),
    ];
    for (name, kind) in counts {
        assert_eq!(found[name], tenant.count(kind), "{name}: {found}");
    }
    assert_eq!(found["u2ftokens"], 0);
    let claims: Vec<_> = found.as_object().unwrap().iter().filter(|(_, value)| value.is_boolean()).collect();
    assert!(!claims.is_empty(), "{found}");
    for (name, value) in claims {
        assert_eq!(value, true, "{name}: {found}");
    }
    let window = tenant.first_event_at(now - 121_000) - tenant.first_event_at(now - 179 * 86_400_000);
    assert_eq!(found["events_in_window"], window);
    assert_eq!(found["memberships"], found["members"]);
    assert_eq!(found["events"], json!([1000, 1000]));
    for name in ["policies_v2_sha1", "policies_v2_sha512"] {
        assert_eq!(found[name], "Received 403 Access forbidden", "{name}: {found}");
    }
    assert_eq!(found["wrong_key"], "Received 401 Invalid signature in request credentials");

    let counters = simulator.counters();
    for endpoint in READ {
        assert!(counters.by_path.contains_key(endpoint), "{endpoint} was not read: {:?}", counters.by_path);
    }
    let recorded = simulator.recorded();
    for version in [SignatureVersion::V5, SignatureVersion::V2Sha1, SignatureVersion::V2Sha512] {
        assert!(recorded.iter().any(|request| request.signature == Some(version)), "{version:?}");
    }
    assert_eq!(counters.secret_touches, 0);
    assert_eq!(counters.by_path.get("other"), None);
    println!("Duo's official client read {found}");
}
