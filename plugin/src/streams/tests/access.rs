//! Applications, service accounts, policies and administrative units.

use super::*;

#[test]
fn where_version_3_is_refused_version_1_is_read_to_its_end() {
    let host = TestHost::with(|request| {
        let forbidden = r#"{"code":40301,"message":"Access forbidden","stat":"FAIL"}"#;
        if request.url.contains("/v3/") {
            return Ok(response(403, &[], forbidden));
        }
        let last = request.url.ends_with("offset=1");
        let metadata = if last { json!({ "total_objects": 2 }) } else { json!({ "next_offset": 1 }) };
        let application = json!({ "integration_key": if last { "DI2" } else { "DI1" }, "type": "rdp" });
        let body = json!({ "stat": "OK", "response": [application], "metadata": metadata });
        Ok(response(200, &[], &body.to_string()))
    });
    let first = read(&host, &settings(), "applications", &Position::Beginning).unwrap();
    let Progress::More(cursor) = first.progress else { panic!("{:?}", first.progress) };
    assert!(cursor.starts_with("v3:offset=1;list=v1"), "{cursor}");
    let second = read(&host, &settings(), "applications", &Position::At(cursor)).unwrap();
    assert_eq!(second.entities[0].source_id, "DI2");
    assert_eq!(host.requests.borrow().len(), 3, "version 3 is not requested again");
    // Version 1: no groups means all users.
    assert_eq!(first.relations[0].parent.source_type, "all-users");

    let host = TestHost::answering(403, &[], r#"{"code":40301,"message":"Access forbidden","stat":"FAIL"}"#);
    let error = read(&host, &settings(), "applications", &Position::Beginning).unwrap_err();
    let both = vec!["Grant resource - Read".to_owned(), "Grant applications".to_owned()];
    assert_eq!(error.kind, ErrorKind::MissingPermission(both));
    let error = read(&host, &settings(), "applications", &Position::At("v3:offset=500".into())).unwrap_err();
    assert!(error.message.contains("/v3/"), "during a walk, the version does not change: {}", error.message);
}

#[test]
fn a_service_account_has_what_it_is_granted_and_is_privileged_where_it_writes() {
    let account = |flags: Value| {
        let object = merged(json!({ "integration_key": "DI1", "type": "adminapi" }), flags);
        let page = page_of("applications", &[object]);
        let grants: Vec<String> = page.relations.iter().map(|relation| relation.privilege.clone()).collect();
        assert!(page.relations.iter().all(|relation| relation.child.source_id == "DA1"));
        (grants.join(" "), identity(&page).is_privileged.unwrap())
    };
    assert!(!account(json!({ "adminapi_read_resource": 1, "adminapi_info": "1" })).1);
    assert_eq!(
        account(json!({ "adminapi_admins": true, "adminapi_read_log": 0, "adminapi_settings": null })),
        ("administrators-write".into(), true)
    );
    assert_eq!(account(json!({ "adminapi_write_new_thing": 1 })), ("write-new-thing".into(), true));
    assert_eq!(account(json!({ "adminapi_new_read": 1 })), ("new-read".into(), false));
}

#[test]
fn no_secret_of_an_application_gets_past_the_parser() {
    let mut text = String::new();
    for (stream, name, body) in FIXTURES {
        text.push_str(&format!("{:?}", read_fixture(stream, name, body)));
    }
    for secret in ["*1234", "pLaNtEd", "[REDACTED]", "client_secret", "secret_key"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[test]
fn a_policy_at_an_application_is_one_relation_however_often_it_applies() {
    let body = json!({ "stat": "OK", "response": { "policies": [{ "policy_key": "PO1", "policy_applies_to": [
        { "apply_type": "group_app", "app_integration_key": "DI1", "group_name": "b" },
        { "apply_type": "app", "app_integration_key": "DI1" },
        { "apply_type": "group_app", "app_integration_key": "DI1", "group_name": "a" },
        { "apply_type": "orbit", "app_integration_key": "DI2" },
        { "apply_type": "app" },
    ] }, { "policy_applies_to": [] }], "response_is_truncated": true } });
    let position = Position::At("v3:offset=0;list=summary".into());
    let page = read_with(&settings(), "policies", &position, &body.to_string()).unwrap();
    assert_eq!(page.progress, Progress::Done(None));
    assert_eq!(page.relations.len(), 2);
    let attributes = format!("{:?}", page.relations[0].attributes);
    assert!(
        attributes.contains("Boolean(true)") && attributes.contains(r#"Texts(["a", "b"])"#),
        "{attributes}"
    );
    assert_eq!(page.problems.len(), 4, "{:?}", page.problems);
}

#[test]
fn a_unit_that_does_not_say_what_is_in_it_is_asked_and_one_that_was_just_deleted_is_not_there() {
    let host = TestHost::with(|request| {
        Ok(match request.url.rsplit('/').next().unwrap() {
            "DM1" => response(
                200,
                &[],
                r#"{"stat":"OK","response":{"admin_unit_id":"DM1","name":"EMEA","groups":["DG1"],"integrations":[]}}"#,
            ),
            "DM2" => response(404, &[], r#"{"code":40401,"message":"Resource not found","stat":"FAIL"}"#),
            _ => response(
                200,
                &[],
                r#"{"stat":"OK","response":[{"admin_unit_id":"DM1"},{"admin_unit_id":"DM2"},{"admin_unit_id":"DM3","groups":[],"integrations":["DI1"]}]}"#,
            ),
        })
    });
    let page = read(&host, &settings(), "administrative-units", &Position::Beginning).unwrap();
    let keys: Vec<&str> = page.entities.iter().map(|entity| entity.source_id.as_str()).collect();
    assert_eq!(keys, ["DM3", "DM1"]);
    assert_eq!(page.relations.len(), 2);
    assert_eq!(page.problems, []);
    assert_eq!(host.requests.borrow().len(), 3);
}

/// The keys of the accounts on the page of `stream` that `body` answers, if `check` reported nothing.
fn accounts(stream: &str, body: &str) -> Vec<String> {
    let host = TestHost::answering(200, &[], body);
    let page = crate::read(&host, &settings(), None, stream, &Position::Beginning).unwrap();
    assert_eq!(host.requests.borrow().len(), 1, "no request is for the account's id");
    let children = page.relations.into_iter().map(|relation| relation.child);
    let children = children.filter(|child| child.source_type == "account").map(|child| child.source_id);
    let entities = page.entities.into_iter().filter(|entity| entity.source_type == "account");
    children.chain(entities.map(|entity| entity.source_id)).collect()
}

#[test]
fn the_key_of_the_account_does_not_depend_on_what_may_be_read() {
    let list = |object: Value| json!({ "stat": "OK", "response": [object] }).to_string();
    let administrator = list(json!({ "admin_id": "DE1", "role": "Owner" }));
    let application = list(json!({ "integration_key": "DI1", "type": "adminapi", "adminapi_info": 1 }));
    const WITH_ID: &str = r#"{"stat":"OK","response":{"account_id":"DAOSZ4YYK0VOGIA1JIYJ"}}"#;
    const WITHOUT_ID: &str = r#"{"stat":"OK","response":{"user_count":4}}"#;
    for (stream, body) in [
        ("administrators", administrator.as_str()),
        ("applications", &application),
        ("account", WITH_ID),
        ("account", WITHOUT_ID),
    ] {
        assert_eq!(accounts(stream, body), [HOSTNAME], "{stream}");
    }
}
