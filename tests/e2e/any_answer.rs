//! Whatever a vendor answers, the component in its sandbox says so: it never panics, traps or runs out of anything.

use std::sync::Arc;

use connector_host::BUNDLED;
use connector_sandbox::contract::api::Position;
use connector_sandbox::{Engine, EngineOptions};
use connector_sync::configuration::Configuration;
use connector_sync::{CallError, Integration};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

const HOST: &str = "api-12345678.duosecurity.com";

/// Any JSON with names that the vendor uses.
fn any_json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "user_id",
        "username",
        "groups",
        "group_id",
        "u2ftokens",
        "registration_id",
        "phone_id",
        "number",
        "users",
        "last_seen",
        "token_id",
        "admins",
        "admin_id",
        "webauthnkey",
        "dakey",
        "bypass_code_id",
        "expiration",
        "integration_key",
        "type",
        "adminapi_admins",
        "groups_allowed",
        "policy_key",
        "sections",
        "policies",
        "policy_applies_to",
        "role",
        "hardtoken",
        "admin_unit_id",
        "authlogs",
        "application",
        "key",
        "timestamp",
        "metadata",
        "next_offset",
        "stat",
        "response",
    ]);
    scalar.prop_recursive(5, 48, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(name.clone(), inner, 0..8).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_answered_the_component_lives() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "name = \"duo\"\nconnector = \"duo\"\n[settings]\napi-hostname = \"{HOST}\"\n\
         integration-key = \"DIXXXXXXXXXXXXXXXXXX\"\nsecret-key = {{ file = \"key\" }}\n\
         [limits]\nvendor-budgets = false\n"
    );
    connector_sandbox::private_file::replace(&folder.path().join("key"), "k".repeat(40).as_bytes()).unwrap();
    let configuration = Configuration::parse(&text, &folder.path().join("duo.toml"), folder.path()).unwrap();
    let engine = Engine::new(&EngineOptions::default()).unwrap();
    let mut integration = Integration::open(&engine, &configuration, BUNDLED).await.unwrap();
    let body = Arc::new(std::sync::Mutex::new(Vec::new()));
    let answered = Arc::clone(&body);
    integration.answer_from_memory(Arc::new(move |_| {
        let body = answered.lock().unwrap().clone();
        Ok(connector_sandbox::contract::http::Response { status: 200, headers: vec![], body })
    }));
    let streams = integration.manifest().streams.clone();
    let runtime = tokio::runtime::Handle::current();
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(48) });
    let outcome = tokio::task::block_in_place(|| {
        let cases = (any_json(), any::<bool>(), any::<prop::sample::Index>());
        runner.run(&cases, |(answer, enveloped, cut)| {
            let answer = if enveloped { json!({ "stat": "OK", "response": answer }) } else { answer };
            let mut bytes = answer.to_string().into_bytes();
            if !enveloped {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            *body.lock().unwrap() = bytes;
            for stream in &streams {
                for position in [Position::Beginning, Position::At("v2:offset=0;list=summary".to_owned())] {
                    let requests = Arc::default();
                    let ignore_waits = connector_sandbox::capabilities::ignore_waits();
                    let read = integration.read(stream, None, &position, &requests, &ignore_waits);
                    if let Err(CallError::Fault(fault)) = runtime.block_on(read) {
                        return Err(TestCaseError::fail(format!("{}: {fault}", stream.name)));
                    }
                }
            }
            Ok(())
        })
    });
    outcome.unwrap();
}
