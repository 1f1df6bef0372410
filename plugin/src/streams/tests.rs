use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::contract::{
    Entity, EntitySpec, EntityType, Error, ErrorKind, Expiry, MfaState, NormalForm, Page, Position, Progress,
    Relation, RelationSpec, Resource, Setting, Status, StreamSpec, UserAccess, UsesLeft,
};
use crate::describe;
use crate::test_host::{HOSTNAME, SECRET, TestHost, response, settings};

/// Stream, name and bytes. Recordings carry their year; what is documented only says so.
const FIXTURES: &[(&str, &str, &str)] = &[
    ("users", "users-2022", include_str!("../../tests/fixtures/users-2022.json")),
    ("users", "users-2026", include_str!("../../tests/fixtures/users-2026.json")),
    ("users", "users-minimal", include_str!("../../tests/fixtures/users-minimal.json")),
    ("users", "users-every-field", include_str!("../../tests/fixtures/users-every-field.json")),
    ("groups", "groups-2022", include_str!("../../tests/fixtures/groups-2022.json")),
    ("groups", "groups-documented", include_str!("../../tests/fixtures/groups-documented.json")),
    ("groups", "groups-every-field", include_str!("../../tests/fixtures/groups-every-field.json")),
    ("phones", "phones-2022", include_str!("../../tests/fixtures/phones-2022.json")),
    ("phones", "phones-2026", include_str!("../../tests/fixtures/phones-2026.json")),
    ("phones", "phones-every-field", include_str!("../../tests/fixtures/phones-every-field.json")),
    (
        "hardware-tokens",
        "hardware-tokens-2023",
        include_str!("../../tests/fixtures/hardware-tokens-2023.json"),
    ),
    (
        "hardware-tokens",
        "hardware-tokens-every-field",
        include_str!("../../tests/fixtures/hardware-tokens-every-field.json"),
    ),
    (
        "webauthn-credentials",
        "webauthn-credentials-2023",
        include_str!("../../tests/fixtures/webauthn-credentials-2023.json"),
    ),
    (
        "webauthn-credentials",
        "webauthn-credentials-every-field",
        include_str!("../../tests/fixtures/webauthn-credentials-every-field.json"),
    ),
    (
        "desktop-authenticators",
        "desktop-authenticators-every-field",
        include_str!("../../tests/fixtures/desktop-authenticators-every-field.json"),
    ),
    (
        "desktop-authenticators",
        "desktop-authenticators-other-names",
        include_str!("../../tests/fixtures/desktop-authenticators-other-names.json"),
    ),
    (
        "bypass-codes",
        "bypass-codes-documented",
        include_str!("../../tests/fixtures/bypass-codes-documented.json"),
    ),
    (
        "bypass-codes",
        "bypass-codes-every-field",
        include_str!("../../tests/fixtures/bypass-codes-every-field.json"),
    ),
    (
        "applications",
        "applications-documented",
        include_str!("../../tests/fixtures/applications-documented.json"),
    ),
    ("applications", "applications-v1-2022", include_str!("../../tests/fixtures/applications-v1-2022.json")),
    (
        "applications",
        "applications-every-field",
        include_str!("../../tests/fixtures/applications-every-field.json"),
    ),
    ("policies", "policies-documented", include_str!("../../tests/fixtures/policies-documented.json")),
    (
        "policies",
        "policies-summary-documented",
        include_str!("../../tests/fixtures/policies-summary-documented.json"),
    ),
    ("policies", "policies-every-field", include_str!("../../tests/fixtures/policies-every-field.json")),
    ("administrators", "administrators-2022", include_str!("../../tests/fixtures/administrators-2022.json")),
    (
        "administrators",
        "administrators-every-field",
        include_str!("../../tests/fixtures/administrators-every-field.json"),
    ),
    (
        "administrative-units",
        "administrative-units-documented",
        include_str!("../../tests/fixtures/administrative-units-documented.json"),
    ),
    (
        "administrative-units",
        "administrative-units-every-field",
        include_str!("../../tests/fixtures/administrative-units-every-field.json"),
    ),
    ("account", "account-2022", include_str!("../../tests/fixtures/account-2022.json")),
    ("account", "account-2026", include_str!("../../tests/fixtures/account-2026.json")),
    ("account", "account-every-field", include_str!("../../tests/fixtures/account-every-field.json")),
    (
        "application-usage",
        "application-usage-2020",
        include_str!("../../tests/fixtures/application-usage-2020.json"),
    ),
    (
        "application-usage",
        "application-usage-2026",
        include_str!("../../tests/fixtures/application-usage-2026.json"),
    ),
];

const ADMINISTRATORS: &str = include_str!("../../tests/fixtures/administrators-every-field.json");

fn read(host: &TestHost, settings: &[Setting], stream: &str, position: &Position) -> Result<Page, Error> {
    crate::read(host, settings, Some("DA1"), stream, position)
}

/// The page that Duo serves as `body`. What a stream asks for beside it is answered from another fixture.
fn read_with(settings: &[Setting], stream: &str, position: &Position, body: &str) -> Result<Page, Error> {
    let main = response(200, &[], body);
    let codes = stream == "bypass-codes";
    let host = TestHost::with(move |request| {
        let beside = codes && request.url.contains("/admin/v1/admins?");
        Ok(if beside { response(200, &[], ADMINISTRATORS) } else { main.clone() })
    });
    let page = read(&host, settings, stream, position);
    assert!(!format!("{page:?} {:?}", host.log).contains(SECRET));
    page
}

fn read_body(stream: &str, body: &str) -> Result<Page, Error> {
    read_with(&settings(), stream, &Position::Beginning, body)
}

fn read_fixture(stream: &str, name: &str, body: &str) -> Page {
    let position = match name {
        "applications-v1-2022" => Position::At("v2:offset=0;list=v1".into()),
        "policies-summary-documented" => Position::At("v2:offset=0;list=summary".into()),
        _ => Position::Beginning,
    };
    read_with(&settings(), stream, &position, body).unwrap()
}

/// The page for this `response`.
fn page_of(stream: &str, elements: &[Value]) -> Page {
    read_body(stream, &json!({ "stat": "OK", "response": elements }).to_string()).unwrap()
}

fn user(extra: Value) -> Value {
    merged(json!({ "user_id": "DU1", "username": "u1", "status": "active" }), extra)
}

fn merged(mut object: Value, extra: Value) -> Value {
    let members = object.as_object_mut().unwrap();
    members.extend(extra.as_object().unwrap().clone());
    object
}

fn identity(page: &Page) -> &crate::contract::Identity {
    match &page.entities[0].normal {
        NormalForm::Identity(identity) => identity,
        other => panic!("not an identity: {other:?}"),
    }
}

fn connection(page: &Page) -> &crate::contract::Connection {
    match &page.entities[0].normal {
        NormalForm::Connection(connection) => connection,
        other => panic!("not a connection: {other:?}"),
    }
}

#[test]
fn recorded_answers_have_this_normal_form() {
    for (stream, name, body) in FIXTURES {
        let page = read_fixture(stream, name, body);
        assert_eq!(page.problems, [], "{name}");
        insta::assert_debug_snapshot!(*name, page);
    }
}

#[test]
fn one_request_reads_a_page_as_large_as_duo_allows() {
    for (stream, url) in [
        ("users", "v1/users?limit=300&offset=600"),
        ("groups", "v1/groups?limit=500&offset=600"),
        ("phones", "v1/phones?limit=500&offset=600"),
        ("hardware-tokens", "v1/tokens?limit=500&offset=600"),
        ("webauthn-credentials", "v1/webauthncredentials?limit=500&offset=600"),
        ("desktop-authenticators", "v1/desktop_authenticators?limit=500&offset=600"),
        ("bypass-codes", "v1/bypass_codes?limit=500&offset=600"),
        ("applications", "v3/integrations?limit=500&offset=600"),
        ("policies", "v2/policies?limit=500&offset=600"),
        ("administrators", "v1/admins?limit=500&offset=600"),
        ("administrative-units", "v1/administrative_units?limit=50&offset=600"),
    ] {
        let host = TestHost::answering(200, &[], r#"{"stat":"OK","response":[]}"#);
        read(&host, &settings(), stream, &Position::At("v2:offset=600".into())).unwrap();
        let urls: Vec<String> = host.requests.take().into_iter().map(|request| request.url).collect();
        assert_eq!(urls, [format!("https://{HOSTNAME}/admin/{url}")]);
    }
}

#[test]
fn an_unknown_stream_and_a_foreign_cursor_are_refused_before_anything_is_sent() {
    let host = TestHost::default();
    let error = read(&host, &settings(), "calls\n", &Position::Beginning).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unexpected);
    assert_eq!(error.message, "there is no stream `calls\\n`");
    assert!(error.remedy.unwrap().starts_with("read one of `users`, `groups`, `phones`"));
    let error = read(&host, &settings(), "users", &Position::At("v3:x".into())).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidPosition);
}

#[test]
fn an_answer_without_a_list_is_an_error_and_never_an_empty_stream() {
    for body in [r#"{"stat":"OK"}"#, r#"{"stat":"OK","response":null}"#, r#"{"stat":"OK","response":""}"#] {
        let error = read_body("users", body).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unexpected);
        assert!(error.message.ends_with("`response` is missing"), "{}", error.message);
    }
    let error = read_body("users", r#"{"stat":"OK","response":{"user_id":"DU1"}}"#).unwrap_err();
    assert!(error.message.ends_with("`response` is an object instead of a list"), "{}", error.message);
}

// ---------------------------------------------------------------- users

#[test]
fn every_status_of_a_user_keeps_its_meaning_and_its_word() {
    let enrolled = Some(MfaState::Enrolled);
    for (word, status, mfa_state) in [
        ("active", Status::Active, enrolled),
        ("Active", Status::Active, enrolled),
        ("bypass", Status::Active, Some(MfaState::Bypassed)),
        ("disabled", Status::Disabled, enrolled),
        ("locked out", Status::Locked, enrolled),
        ("pending deletion", Status::PendingDeletion, enrolled),
        ("hibernating", Status::Other, enrolled),
    ] {
        let page = page_of("users", &[user(json!({ "status": word, "is_enrolled": true }))]);
        let identity = identity(&page);
        assert_eq!((identity.status, identity.mfa_state), (status, mfa_state), "{word}");
        assert_eq!(identity.vendor_status.as_deref(), Some(word));
        assert_eq!(page.problems, []);
    }
    let page = page_of("users", &[json!({ "user_id": "DU1" })]);
    assert_eq!((identity(&page).status, &identity(&page).vendor_status), (Status::Other, &None));
}

#[test]
fn the_state_of_mfa_is_unknown_where_duo_does_not_tell() {
    let state = |extra| identity(&page_of("users", &[user(extra)])).mfa_state;
    assert_eq!(state(json!({})), None);
    assert_eq!(state(json!({ "is_enrolled": null })), None);
    assert_eq!(state(json!({ "is_enrolled": 0 })), Some(MfaState::NotEnrolled));
    assert_eq!(state(json!({ "is_enrolled": "true" })), Some(MfaState::Enrolled));
}

#[test]
fn a_user_always_has_a_name() {
    let name = |extra| {
        let page = page_of("users", &[merged(json!({ "user_id": "DU1" }), extra)]);
        (page.entities[0].name.clone(), identity(&page).display_name.clone())
    };
    let all =
        json!({ "realname": "R N", "firstname": "F", "lastname": "L", "username": "u", "email": "e@x" });
    assert_eq!(name(all), ("R N".into(), Some("R N".into())));
    assert_eq!(name(json!({ "realname": "", "firstname": "F", "lastname": "L" })).0, "F L");
    assert_eq!(name(json!({ "firstname": null, "lastname": "L", "username": "u" })).0, "L");
    assert_eq!(name(json!({ "realname": " ", "username": "u", "email": "e@x" })), ("u".into(), None));
    assert_eq!(name(json!({ "username": "", "email": "e@x" })).0, "e@x");
    assert_eq!(name(json!({})).0, "DU1");
}

#[test]
fn aliases_come_in_their_order_and_once() {
    let aliases = |extra| identity(&page_of("users", &[user(extra)])).aliases.clone();
    let new =
        json!({ "aliases": { "alias10": "j", "alias2": "b", "alias1": "a", "alias3": "b", "alias4": null } });
    assert_eq!(aliases(new), ["a", "b", "j"]);
    assert_eq!(aliases(json!({ "alias1": "x", "alias2": "", "alias3": "y", "alias4": "x" })), ["x", "y"]);
    assert_eq!(aliases(json!({ "aliases": {}, "alias1": "x" })), ["x"]);
    assert_eq!(aliases(json!({ "aliases": { "alias1": "a" }, "alias1": "x" })), ["a"]);
    assert_eq!(aliases(json!({ "aliases": [] })), [""; 0]);
}

#[test]
fn each_group_of_a_user_is_a_relation_or_a_problem() {
    let groups = json!([{ "group_id": "DG1" }, {}, 5, { "group_id": [] }, null, { "group_id": "DG2" }]);
    let page = page_of("users", &[user(json!({ "groups": groups }))]);
    let children: Vec<&str> =
        page.relations.iter().map(|relation| relation.child.source_id.as_str()).collect();
    assert_eq!(children, ["all-users", "DG1", "DG2"]);
    assert!(
        page.relations.iter().all(|relation| relation.parent.source_id == "DU1" && relation.privilege_value)
    );
    let messages: Vec<&str> = page.problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "`groups[1]` has no `group_id`; this relation was left out",
            "`groups[2]` is a number; this relation was left out",
            "`groups[3]` has a list as its `group_id`; this relation was left out",
            "`groups[4]` is empty; this relation was left out",
        ]
    );
    for problem in &page.problems {
        assert_eq!((problem.source_id.as_deref(), problem.field.as_deref()), (Some("DU1"), Some("groups")));
    }
}

#[test]
fn an_object_without_its_key_is_named_and_its_neighbours_are_unharmed() {
    let elements = [
        user(json!({})),
        json!({ "username": "ghost" }),
        json!("DU3"),
        json!({ "user_id": {} }),
        json!({ "user_id": "" }),
        user(json!({ "user_id": "DU6" })),
    ];
    let page = page_of("users", &elements);
    let keys: Vec<&str> = page.entities.iter().map(|entity| entity.source_id.as_str()).collect();
    assert_eq!(keys, ["DU1", "DU6", "all-users"]);
    let left_out = "; it was left out, because nothing could refer to it";
    let expected = [
        "`response[1]` at offset 0 has no `user_id` (its `username` is `ghost`)",
        "`response[2]` at offset 0 is a text",
        "`response[3]` at offset 0 has an object as its `user_id`",
        "`response[4]` at offset 0 has no `user_id`",
    ];
    for (problem, expected) in page.problems.iter().zip(expected) {
        assert_eq!((problem.source_id.as_deref(), problem.field.as_deref()), (None, Some("user_id")));
        assert_eq!(problem.message, format!("{expected}{left_out}"));
    }
    assert_eq!(page.problems.len(), expected.len());
}

#[test]
fn a_field_of_a_wrong_type_is_left_out_and_named() {
    let page = page_of("users", &[user(json!({ "created": "yesterday", "notes": ["a"], "email": "e@x" }))]);
    assert_eq!(identity(&page).created, None);
    assert_eq!(identity(&page).emails, ["e@x"]);
    let problems: Vec<(Option<&str>, &str)> =
        page.problems.iter().map(|problem| (problem.field.as_deref(), problem.message.as_str())).collect();
    assert_eq!(
        problems,
        [
            (Some("notes"), "`notes` is a list instead of a text; it was left out"),
            (Some("created"), "`created` is a text instead of a whole number; it was left out"),
        ]
    );
}

// ---------------------------------------------------------------- groups

#[test]
fn every_status_of_a_group_keeps_its_meaning_and_its_word() {
    for (word, status, mfa_state) in [
        ("Active", Status::Active, None),
        ("active", Status::Active, None),
        ("Bypass", Status::Active, Some(MfaState::Bypassed)),
        ("Disabled", Status::Disabled, None),
        ("Hibernating", Status::Other, None),
    ] {
        let page = page_of("groups", &[json!({ "group_id": "DG1", "name": "g", "status": word })]);
        assert_eq!((connection(&page).status, connection(&page).mfa_state), (status, mfa_state), "{word}");
        assert_eq!(connection(&page).vendor_status.as_deref(), Some(word));
    }
}

#[test]
fn a_group_without_a_name_is_called_by_its_key() {
    assert_eq!(page_of("groups", &[json!({ "group_id": "DG1", "name": "" })]).entities[0].name, "DG1");
}

// ---------------------------------------------------------------- devices and codes

fn with(name: &str, value: &str) -> Vec<Setting> {
    let mut settings = settings();
    settings.push(Setting { name: name.to_owned(), value: value.to_owned() });
    settings
}

#[test]
fn phone_numbers_are_masked_to_their_last_digits_where_the_setting_says_so() {
    for (stream, object, shown) in [
        ("phones", json!({ "phone_id": "DP1", "number": "+15555550100" }), "+*******0100"),
        ("phones", json!({ "phone_id": "DP1", "number": "555-0100" }), "***-0100"),
        ("phones", json!({ "phone_id": "DP1", "number": "100" }), "100"),
        ("administrators", json!({ "admin_id": "DE1", "phone": "+15555550199" }), "+*******0199"),
    ] {
        let number = object.get("number").or(object.get("phone")).unwrap().as_str().unwrap().to_owned();
        let body = json!({ "stat": "OK", "response": [object] }).to_string();
        let whole = format!("{:?}", read_body(stream, &body).unwrap());
        assert!(whole.contains(&number), "{whole}");
        let masked = read_with(&with("mask-phone-numbers", "true"), stream, &Position::Beginning, &body);
        let masked = format!("{:?}", masked.unwrap());
        assert!(masked.contains(shown), "{masked}");
        assert!(shown == number || !masked.contains(&number), "{masked}");
    }
    // People write the number into the label too.
    for (label, shown) in
        [("Ann's iPhone 15 (555-555-0100)", "Ann's iPhone ** (***-***-0100)"), ("iPhone 15", "iPhone 15")]
    {
        let body = json!({ "stat": "OK", "response": [{ "phone_id": "DP1", "name": label }] }).to_string();
        let page =
            read_with(&with("mask-phone-numbers", "true"), "phones", &Position::Beginning, &body).unwrap();
        assert_eq!(page.entities[0].name, shown);
    }
}

#[test]
fn a_code_that_never_expires_is_told_from_one_that_says_nothing() {
    let code = |extra| {
        let page = page_of("bypass-codes", &[merged(json!({ "bypass_code_id": "DB1" }), extra)]);
        let NormalForm::Resource(Resource::BypassCode(code)) = page.entities[0].normal.clone() else {
            panic!()
        };
        (code.expires, code.uses_left, page.problems.len())
    };
    assert_eq!(
        code(json!({ "expiration": null, "reuse_count": null })),
        (Expiry::Never, UsesLeft::Unlimited, 0)
    );
    assert_eq!(code(json!({ "expiration": 5, "reuse_count": 1 })), (Expiry::At(5), UsesLeft::Times(1), 0));
    assert_eq!(code(json!({})), (Expiry::Unknown, UsesLeft::Unknown, 0));
    assert_eq!(code(json!({ "expiration": [], "reuse_count": -1 })), (Expiry::Unknown, UsesLeft::Unknown, 1));
}

#[test]
fn who_issued_a_code_costs_a_request_only_where_a_code_says_so_and_a_refusal_costs_nothing_else() {
    let urls = |admin_email: Value, status| {
        let code = json!({ "bypass_code_id": "DB1", "admin_email": admin_email });
        let body = json!({ "stat": "OK", "response": [code] }).to_string();
        let host = TestHost::with(move |request| {
            let forbidden = r#"{"code":40301,"message":"Access forbidden","stat":"FAIL"}"#;
            Ok(match request.url.contains("/admins?") {
                true if status == 403 => response(403, &[], forbidden),
                true => response(200, &[], ADMINISTRATORS),
                false => response(200, &[], &body),
            })
        });
        let page = read(&host, &settings(), "bypass-codes", &Position::Beginning).unwrap();
        let issued = page.relations.iter().filter(|relation| relation.privilege == "issued").count();
        (host.requests.borrow().len(), issued, page.problems.len(), page.entities.len())
    };
    assert_eq!(urls(Value::Null, 200), (1, 0, 0, 1));
    assert_eq!(urls("A@Example.com".into(), 200), (2, 1, 0, 1));
    assert_eq!(urls("gone@example.com".into(), 200), (2, 0, 0, 1));
    assert_eq!(urls("a@example.com".into(), 403), (2, 0, 0, 1));
}

// ---------------------------------------------------------------- applications

#[test]
fn where_version_3_is_refused_version_1_is_read_to_its_end() {
    let host = TestHost::with(|request| {
        let forbidden = r#"{"code":40301,"message":"Access forbidden","stat":"FAIL"}"#;
        if request.url.contains("/v3/") {
            return Ok(response(403, &[], forbidden));
        }
        let last = request.url.ends_with("offset=1");
        let metadata = if last { json!({}) } else { json!({ "next_offset": 1 }) };
        let application = json!({ "integration_key": if last { "DI2" } else { "DI1" }, "type": "rdp" });
        let body = json!({ "stat": "OK", "response": [application], "metadata": metadata });
        Ok(response(200, &[], &body.to_string()))
    });
    let first = read(&host, &settings(), "applications", &Position::Beginning).unwrap();
    let Progress::More(cursor) = first.progress else { panic!("{:?}", first.progress) };
    assert_eq!(cursor, "v2:offset=1;list=v1");
    let second = read(&host, &settings(), "applications", &Position::At(cursor)).unwrap();
    assert_eq!(second.entities[0].source_id, "DI2");
    assert_eq!(host.requests.borrow().len(), 3, "version 3 is not asked again");
    // Version 1: no groups means all users.
    assert_eq!(first.relations[0].parent.source_type, "all-users");

    let host = TestHost::answering(403, &[], r#"{"code":40301,"message":"Access forbidden","stat":"FAIL"}"#);
    let error = read(&host, &settings(), "applications", &Position::Beginning).unwrap_err();
    let both = vec!["Grant resource - Read".to_owned(), "Grant applications".to_owned()];
    assert_eq!(error.kind, ErrorKind::MissingPermission(both));
    let error = read(&host, &settings(), "applications", &Position::At("v2:offset=500".into())).unwrap_err();
    assert!(error.message.contains("/v3/"), "in mid-walk the version stays: {}", error.message);
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

// ---------------------------------------------------------------- policies

#[test]
fn a_policy_at_an_application_is_one_relation_however_often_it_applies() {
    let body = json!({ "stat": "OK", "response": { "policies": [{ "policy_key": "PO1", "policy_applies_to": [
        { "apply_type": "group_app", "app_integration_key": "DI1", "group_name": "b" },
        { "apply_type": "app", "app_integration_key": "DI1" },
        { "apply_type": "group_app", "app_integration_key": "DI1", "group_name": "a" },
        { "apply_type": "orbit", "app_integration_key": "DI2" },
        { "apply_type": "app" },
    ] }, { "policy_applies_to": [] }], "response_is_truncated": true } });
    let position = Position::At("v2:offset=0;list=summary".into());
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

// ---------------------------------------------------------------- units

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
    assert_eq!(keys, ["DM1", "DM3"]);
    assert_eq!(page.relations.len(), 2);
    assert_eq!(page.problems, []);
    assert_eq!(host.requests.borrow().len(), 3);
}

// ---------------------------------------------------------------- application usage

fn event(extra: Value) -> Value {
    let event = json!({
        "txid": "t", "timestamp": 100, "event_type": "authentication", "result": "success", "reason": "user_approved",
        "application": { "key": "DI1", "name": "VPN" }, "user": { "key": "DU1", "name": "u1", "groups": [] },
    });
    merged(event, extra)
}

fn usages(events: &[Value]) -> Page {
    read_body("application-usage", &json!({ "stat": "OK", "response": { "authlogs": events } }).to_string())
        .unwrap()
}

#[test]
fn events_are_folded_into_the_last_success_and_the_last_attempt() {
    let page = usages(&[
        event(json!({})),
        event(
            json!({ "timestamp": 300, "result": "denied", "reason": "no_response", "application": { "key": "DI1", "name": "New VPN" } }),
        ),
        event(json!({ "timestamp": 200 })),
        event(
            json!({ "timestamp": 250, "user": { "key": null, "name": "nobody" }, "result": "fraud", "reason": null }),
        ),
        event(json!({ "timestamp": 900, "event_type": "enrollment" })),
    ]);
    assert_eq!(page.problems, []);
    let [anybody, user] = page.usages.as_slice() else { panic!("{:?}", page.usages) };
    assert_eq!(
        (anybody.identity.as_ref(), user.identity.as_ref().unwrap().source_id.as_str()),
        (None, "DU1")
    );
    for usage in [anybody, user] {
        assert_eq!(usage.last_success, Some(200));
        let attempt = usage.last_attempt.as_ref().unwrap();
        assert_eq!((attempt.at, attempt.vendor_result.as_deref()), (300, Some("no_response")));
        assert_eq!(usage.resource_name.as_deref(), Some("New VPN"));
    }
    assert_eq!(user.identity_name.as_deref(), Some("u1"));
}

#[test]
fn an_event_that_can_not_be_placed_is_a_problem() {
    let page = usages(&[
        event(json!({ "application": null })),
        event(json!({ "timestamp": "soon" })),
        json!("odd"),
        json!(null),
        event(json!({ "txid": "t5" })),
    ]);
    assert_eq!(page.usages.len(), 2);
    let problems: Vec<(Option<&str>, Option<&str>)> = page
        .problems
        .iter()
        .map(|problem| (problem.source_id.as_deref(), problem.field.as_deref()))
        .collect();
    assert_eq!(
        problems,
        [(Some("t"), Some("application")), (Some("t"), Some("timestamp")), (None, None), (None, None)]
    );
}

#[test]
fn a_cursor_that_duo_refuses_starts_the_log_over_and_a_window_names_its_setting() {
    let body =
        r#"{"code":40002,"message":"Invalid request parameters","message_detail":"mintime","stat":"FAIL"}"#;
    let host = TestHost::answering(400, &[], body);
    let error = read(&host, &settings(), "application-usage", &Position::Beginning).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unexpected);
    assert!(error.remedy.unwrap().contains("log-days"));
    let now = host.now.timestamp();
    let cursor = format!("v1:since={0};from={0};to={1};next=1,a", now - 1000, now);
    let error = read(&host, &settings(), "application-usage", &Position::At(cursor)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidPosition);
}

// ---------------------------------------------------------------- all streams

#[test]
fn a_child_account_is_named_and_signed_in_every_request() {
    for stream in describe().streams {
        let host = TestHost::answering(200, &[], r#"{"stat":"OK","response":[]}"#);
        let _ = read(&host, &with("account-id", "DA012345678901234567"), &stream.name, &Position::Beginning);
        let requests = host.requests.take();
        assert!(!requests.is_empty());
        assert!(requests.iter().all(|request| request.url.contains("account_id=DA012345678901234567")));
    }
    let error =
        read(&TestHost::default(), &with("account-id", "DA&x=1"), "users", &Position::Beginning).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSetting("account-id".to_owned()));
}

/// The fields of each stream that are left out on purpose.
fn left_out(stream: &str) -> &'static [&'static str] {
    match stream {
        "users" => &[
            "date_of_birth",
            "phones",
            "tokens",
            "webauthncredentials",
            "desktop_authenticators",
            "desktoptokens",
            "alias1",
            "alias2",
            "alias3",
            "alias4",
        ],
        "groups" => &["mobile_otp_enabled", "push_enabled", "sms_enabled", "voice_enabled"],
        "phones" => &["predelay", "postdelay", "sms_passcodes_sent"],
        "applications" => &[
            "secret_key",
            "sso",
            "greeting",
            "enroll_policy",
            "ip_whitelist",
            "ip_whitelist_enroll_policy",
            "trusted_device_days",
            "visual_style",
            "missing_web_referer_policy",
            "web_referers_enabled",
        ],
        // The unit of an administrator says so too.
        "administrative-units" => &["admins"],
        _ => &[],
    }
}

#[test]
fn every_documented_field_is_mapped_or_left_out_on_purpose() {
    for (stream, name, body) in
        FIXTURES.iter().filter(|(stream, name, _)| name.ends_with("every-field") && *stream != "account")
    {
        for object in serde_json::from_str::<Value>(body).unwrap()["response"].as_array().unwrap() {
            let whole = page_of(stream, std::slice::from_ref(object));
            for field in object.as_object().unwrap().keys() {
                // Null and absent differ for codes that never expire, and not elsewhere. What implies another field
                // can't be told from it.
                let implied = field == "user_access" && object.get("groups_allowed").is_some();
                if object[field].is_null() && *stream != "bypass-codes" || implied {
                    continue;
                }
                let mut without = object.clone();
                without.as_object_mut().unwrap().remove(field);
                // A unit without its contents is asked for again, and then there is nothing to compare.
                let asked_again =
                    *stream == "administrative-units" && (field == "groups" || field == "integrations");
                let matters = asked_again || page_of(stream, &[without]) != whole;
                let by_nobody = field == "admin_email" && object[field].is_null();
                let says_nothing = by_nobody || left_out(stream).contains(&field.as_str());
                assert_eq!(matters, !says_nothing, "{name}: {field}");
            }
        }
    }
}

/// The names of the fields that are filled. `kind` and `status` always are.
fn filled(normal: &NormalForm) -> Vec<&'static str> {
    let mut filled = vec!["kind", "status"];
    let mut add = |name, is_filled| {
        if is_filled {
            filled.push(name);
        }
    };
    match normal {
        NormalForm::Identity(identity) => {
            add("username", identity.username.is_some());
            add("display_name", identity.display_name.is_some());
            add("given_name", identity.given_name.is_some());
            add("family_name", identity.family_name.is_some());
            add("emails", !identity.emails.is_empty());
            add("aliases", !identity.aliases.is_empty());
            add("external_id", identity.external_id.is_some());
            add("directory_key", identity.directory_key.is_some());
            add("vendor_status", identity.vendor_status.is_some());
            add("status_reason", identity.status_reason.is_some());
            add("mfa_state", identity.mfa_state.is_some());
            add("is_privileged", identity.is_privileged.is_some());
            add("created", identity.created.is_some());
            add("last_login", identity.last_login.is_some());
        }
        NormalForm::Connection(connection) => {
            add("description", connection.description.is_some());
            add("vendor_status", connection.vendor_status.is_some());
            add("mfa_state", connection.mfa_state.is_some());
            add("created", connection.created.is_some());
        }
        NormalForm::Resource(resource) => {
            filled.clear();
            let mut add = |name, is_filled| {
                if is_filled {
                    filled.push(name);
                }
            };
            match resource {
                Resource::Application(application) => {
                    add("application_type", application.application_type.is_some());
                    add("user_access", application.user_access != UserAccess::Unknown);
                    add("self_service", application.self_service.is_some());
                    add("policy_key", application.policy_key.is_some());
                }
                Resource::Authenticator(authenticator) => {
                    add("factor", true);
                    add("phishing_resistant", authenticator.phishing_resistant.is_some());
                    add("platform", authenticator.platform.is_some());
                    add("model", authenticator.model.is_some());
                    add("activated", authenticator.activated.is_some());
                    add("added", authenticator.added.is_some());
                    add("last_seen", authenticator.last_seen.is_some());
                }
                Resource::BypassCode(code) => {
                    add("created", code.created.is_some());
                    add("expires", code.expires != Expiry::Unknown);
                    add("uses_left", code.uses_left != UsesLeft::Unknown);
                    add("issued_by", code.issued_by.is_some());
                }
                Resource::Policy(policy) => add("is_global", policy.is_global.is_some()),
                Resource::Account(account) => add("edition", account.edition.is_some()),
                Resource::Other => {}
            }
        }
    }
    filled
}

fn type_of(normal: &NormalForm) -> EntityType {
    match normal {
        NormalForm::Identity(_) => EntityType::Identity,
        NormalForm::Connection(_) => EntityType::Connection,
        NormalForm::Resource(_) => EntityType::Resource,
    }
}

fn declared(specs: &[crate::contract::FieldSpec]) -> BTreeSet<String> {
    specs.iter().map(|spec| spec.name.clone()).collect()
}

#[test]
fn what_is_emitted_is_declared_and_what_is_declared_is_emitted() {
    for StreamSpec { name, entities, relations, usages, .. } in describe().streams {
        let pages: Vec<Page> = FIXTURES
            .iter()
            .filter(|(stream, ..)| *stream == name)
            .map(|(stream, name, body)| read_fixture(stream, name, body))
            .collect();
        let declared_types: BTreeSet<_> = entities.iter().map(|spec| &spec.source_type).collect();
        let emitted_types: BTreeSet<_> =
            pages.iter().flat_map(|page| &page.entities).map(|entity| &entity.source_type).collect();
        assert_eq!(emitted_types, declared_types, "{name}");
        assert_eq!(pages.iter().any(|page| !page.usages.is_empty()), usages, "{name}");
        for EntitySpec { entity_type, source_type, fields, attributes, .. } in &entities {
            let mut emitted_fields = BTreeSet::new();
            let mut emitted_attributes = BTreeSet::new();
            let of_type = |entity: &&Entity| entity.source_type == *source_type;
            for entity in pages.iter().flat_map(|page| &page.entities).filter(of_type) {
                assert_eq!(type_of(&entity.normal), *entity_type);
                emitted_fields.extend(filled(&entity.normal).into_iter().map(str::to_owned));
                emitted_attributes.extend(entity.attributes.iter().map(|attribute| attribute.name.clone()));
            }
            assert_eq!(emitted_fields, declared(fields), "{source_type}");
            assert_eq!(emitted_attributes, declared(attributes), "{source_type}");
        }
        let open = |r: &Relation| {
            let same = |spec: &&RelationSpec| {
                spec.parent == r.parent.source_type && spec.child == r.child.source_type
            };
            relations.iter().filter(same).any(|spec| spec.privilege == "*")
        };
        let emitted: BTreeSet<_> = pages
            .iter()
            .flat_map(|page| &page.relations)
            .map(|r| {
                let privilege = if open(r) { "*".to_owned() } else { r.privilege.clone() };
                (r.parent.source_type.clone(), privilege, r.child.source_type.clone())
            })
            .collect();
        let declared: BTreeSet<_> = relations
            .iter()
            .map(|spec| (spec.parent.clone(), spec.privilege.clone(), spec.child.clone()))
            .collect();
        assert_eq!(emitted, declared, "{name}");
    }
}

/// The lists whose objects are mapped one to one, and the key of each.
const KEYS: &[(&str, &str)] = &[
    ("users", "user_id"),
    ("groups", "group_id"),
    ("phones", "phone_id"),
    ("hardware-tokens", "token_id"),
    ("webauthn-credentials", "webauthnkey"),
    ("desktop-authenticators", "dakey"),
    ("bypass-codes", "bypass_code_id"),
    ("applications", "integration_key"),
    ("policies", "policy_key"),
    ("administrators", "admin_id"),
];

/// What each object of such a list becomes.
const OWN_TYPES: &[(&str, &str)] = &[
    ("users", "user"),
    ("groups", "group"),
    ("phones", "phone"),
    ("hardware-tokens", "hardware-token"),
    ("webauthn-credentials", "webauthn-credential"),
    ("desktop-authenticators", "desktop-authenticator"),
    ("bypass-codes", "bypass-code"),
    ("applications", "application"),
    ("policies", "policy"),
    ("administrators", "administrator"),
];

/// Any JSON, with Duo's own names among those of its members.
fn any_json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z ]{0,8}|active|bypass|[0-9]{1,3}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        4 => prop::sample::select(vec![
            "user_id", "username", "status", "groups", "group_id", "aliases", "created", "is_enrolled", "email",
            "custom_attributes", "name", "desc", "phone_id", "users", "capabilities", "last_seen", "token_id", "admins",
            "admin_id", "webauthnkey", "user", "admin", "dakey", "bypass_code_id", "expiration", "reuse_count",
            "admin_email", "integration_key", "type", "user_access", "groups_allowed", "adminapi_info", "policy_key",
            "sections", "authentication_methods", "allowed_auth_list", "policies", "policy_applies_to", "role",
            "hardtoken", "webauthncredentials", "admin_units", "admin_unit_id", "integrations", "u2ftokens",
            "registration_id", "authlogs", "application", "key", "timestamp", "result", "response", "metadata",
            "next_offset",
        ]).prop_map(str::to_owned),
        1 => "[a-z_]{1,8}",
    ];
    scalar.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(name.clone(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_duo_serves_each_object_is_an_entity_or_a_problem(
        elements in prop::collection::vec(any_json(), 0..12)
    ) {
        for (stream, key) in KEYS {
            let page = page_of(stream, &elements);
            // Everybody is not one of the elements; what lies inside an element is counted with it.
            let own = OWN_TYPES.iter().find(|(name, _)| name == stream).unwrap().1;
            let mapped = page.entities.iter().filter(|entity| entity.source_type == own).count();
            let lost = page.problems.iter().filter(|problem| {
                problem.source_id.is_none() && !problem.message.contains("`webauthncredentials[")
            });
            prop_assert_eq!(mapped + lost.count(), elements.len());
            for problem in &page.problems {
                prop_assert!(
                    problem.source_id.is_some()
                        || problem.field.as_deref() == Some(*key)
                        || problem.field.as_deref() == Some("webauthnkey")
                );
            }
            for entity in &page.entities {
                prop_assert!(!entity.name.trim().is_empty() && !entity.source_id.trim().is_empty());
            }
            let ends = page.relations.iter().flat_map(|relation| [&relation.parent, &relation.child]);
            for end in ends {
                prop_assert!(!end.source_id.trim().is_empty());
            }
        }
    }

    #[test]
    fn whatever_duo_answers_nothing_panics(response in any_json(), second in any::<bool>()) {
        let body = json!({ "stat": "OK", "response": response }).to_string();
        for stream in describe().streams {
            let list = match stream.name.as_str() {
                "applications" => "v1",
                "policies" => "summary",
                _ => "",
            };
            let position = match list {
                "" => Position::Beginning,
                _ if !second => Position::Beginning,
                list => Position::At(format!("v2:offset=0;list={list}")),
            };
            if let Err(error) = read_with(&settings(), &stream.name, &position, &body) {
                prop_assert!(!error.message.is_empty());
            }
        }
    }

    #[test]
    fn a_walk_sees_each_object_once_whatever_the_size_of_list_and_page(size in 0..40_usize, most in 1..15_usize) {
        let host = TestHost::with(move |request| {
            let (_, offset) = request.url.rsplit_once("offset=").unwrap();
            let offset: usize = offset.parse().unwrap();
            let end = size.min(offset + most);
            let elements: Vec<Value> = (offset..end).map(|n| json!({ "user_id": format!("DU{n}") })).collect();
            let mut metadata = json!({ "total_objects": size });
            if end < size {
                metadata["next_offset"] = json!(end);
            }
            let body = json!({ "stat": "OK", "response": elements, "metadata": metadata });
            Ok(response(200, &[], &body.to_string()))
        });
        let mut position = Position::Beginning;
        let mut seen = Vec::new();
        loop {
            let page = read(&host, &settings(), "users", &position).unwrap();
            prop_assert_eq!(page.total, Some(size as u64));
            let users = page.entities.into_iter().filter(|entity| entity.source_type == "user");
            seen.extend(users.map(|entity| entity.source_id));
            match page.progress {
                Progress::More(cursor) => position = Position::At(cursor),
                Progress::Done(bookmark) => {
                    prop_assert_eq!(bookmark, None);
                    break;
                }
            }
        }
        prop_assert_eq!(seen, (0..size).map(|n| format!("DU{n}")).collect::<Vec<_>>());
        // Each page but the first begins with the last object of the one before, where there is room for it.
        let due = if most == 1 || size <= most { size.div_ceil(most).max(1) } else { 1 + (size - most).div_ceil(most - 1) };
        prop_assert_eq!(host.requests.borrow().len(), due);
    }
}
