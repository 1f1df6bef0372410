use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::contract::{EntitySpec, ErrorKind, MfaState, NormalForm, Progress, Status, StreamSpec};
use crate::test_host::{HOSTNAME, SECRET, TestHost, response, settings};
use crate::{describe, read};

const FIXTURES: &[(&str, &str, &str)] = &[
    ("users", "users-2022", include_str!("../../tests/fixtures/users-2022.json")),
    ("users", "users-2026", include_str!("../../tests/fixtures/users-2026.json")),
    ("users", "users-minimal", include_str!("../../tests/fixtures/users-minimal.json")),
    ("users", "users-every-field", include_str!("../../tests/fixtures/users-every-field.json")),
    ("groups", "groups-2022", include_str!("../../tests/fixtures/groups-2022.json")),
    ("groups", "groups-documented", include_str!("../../tests/fixtures/groups-documented.json")),
    ("groups", "groups-every-field", include_str!("../../tests/fixtures/groups-every-field.json")),
];

fn read_body(stream: &str, body: &str) -> Result<Page, Error> {
    let host = TestHost::answering(200, &[], body);
    let page = read(&host, &settings(), stream, &Position::Beginning);
    assert!(!format!("{page:?} {:?}", host.log).contains(SECRET));
    page
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
        let page = read_body(stream, body).unwrap();
        assert_eq!(page.problems, [], "{name}");
        insta::assert_debug_snapshot!(*name, page);
    }
}

#[test]
fn one_request_reads_a_page_as_large_as_duo_allows() {
    for (stream, url) in [("users", "users?limit=300&offset=600"), ("groups", "groups?limit=500&offset=600")]
    {
        let host = TestHost::answering(200, &[], r#"{"stat":"OK","response":[]}"#);
        read(&host, &settings(), stream, &Position::At("v1:offset=600".into())).unwrap();
        let urls: Vec<String> = host.requests.take().into_iter().map(|request| request.url).collect();
        assert_eq!(urls, [format!("https://{HOSTNAME}/admin/v1/{url}")]);
    }
}

#[test]
fn an_unknown_stream_and_a_foreign_cursor_are_refused_before_anything_is_sent() {
    let host = TestHost::default();
    let error = read(&host, &settings(), "phones\n", &Position::Beginning).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unexpected);
    assert_eq!(error.message, "there is no stream `phones\\n`");
    assert_eq!(error.remedy.as_deref(), Some("read one of `users`, `groups`"));
    let error = read(&host, &settings(), "users", &Position::At("v2:x".into())).unwrap_err();
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
    assert_eq!(children, ["DG1", "DG2"]);
    assert!(
        page.relations.iter().all(|relation| relation.parent.source_id == "DU1" && relation.privilege_value)
    );
    let messages: Vec<&str> = page.problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "`groups[1]` has no `group_id`; this membership was left out",
            "`groups[2]` is a number; this membership was left out",
            "`groups[3]` has a list as its `group_id`; this membership was left out",
            "`groups[4]` is empty; this membership was left out",
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
    assert_eq!(keys, ["DU1", "DU6"]);
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

// ---------------------------------------------------------------- all streams

/// The fields that are left out on purpose, with the object of the fixture they were seen in.
const LEFT_OUT: &[&str] = &[
    "date_of_birth",
    "phones",
    "tokens",
    "u2ftokens",
    "webauthncredentials",
    "desktop_authenticators",
    "desktoptokens",
    "alias1",
    "alias2",
    "alias3",
    "alias4",
    "mobile_otp_enabled",
    "push_enabled",
    "sms_enabled",
    "voice_enabled",
];

#[test]
fn every_documented_field_is_mapped_or_left_out_on_purpose() {
    for (stream, name, body) in FIXTURES.iter().filter(|(_, name, _)| name.ends_with("every-field")) {
        let object = serde_json::from_str::<Value>(body).unwrap()["response"][0].clone();
        let whole = page_of(stream, std::slice::from_ref(&object));
        for field in object.as_object().unwrap().keys() {
            let mut without = object.clone();
            without.as_object_mut().unwrap().remove(field);
            let matters = page_of(stream, &[without]) != whole;
            assert_eq!(matters, !LEFT_OUT.contains(&field.as_str()), "{name}: {field}");
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
        NormalForm::Resource(resource) => panic!("no stream yields resources yet: {resource:?}"),
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
    for StreamSpec { name, entities, relations, .. } in describe().streams {
        let pages: Vec<Page> = FIXTURES
            .iter()
            .filter(|(stream, ..)| *stream == name)
            .map(|(stream, _, body)| read_body(stream, body).unwrap())
            .collect();
        for EntitySpec { entity_type, source_type, fields, attributes, .. } in &entities {
            let mut emitted_fields = BTreeSet::new();
            let mut emitted_attributes = BTreeSet::new();
            for entity in pages.iter().flat_map(|page| &page.entities) {
                assert_eq!((&entity.source_type, type_of(&entity.normal)), (source_type, *entity_type));
                emitted_fields.extend(filled(&entity.normal).into_iter().map(str::to_owned));
                emitted_attributes.extend(entity.attributes.iter().map(|attribute| attribute.name.clone()));
            }
            assert_eq!(emitted_fields, declared(fields), "{source_type}");
            assert_eq!(emitted_attributes, declared(attributes), "{source_type}");
        }
        let emitted: BTreeSet<_> = pages
            .iter()
            .flat_map(|page| &page.relations)
            .map(|r| (r.parent.source_type.clone(), r.privilege.clone(), r.child.source_type.clone()))
            .collect();
        let declared: BTreeSet<_> =
            relations.into_iter().map(|spec| (spec.parent, spec.privilege, spec.child)).collect();
        assert_eq!(emitted, declared, "{name}");
    }
}

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
            "custom_attributes", "name", "desc",
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
        for (stream, key) in [("users", "user_id"), ("groups", "group_id")] {
            let page = page_of(stream, &elements);
            let lost = page.problems.iter().filter(|problem| problem.source_id.is_none()).count();
            prop_assert_eq!(page.entities.len() + lost, elements.len());
            for problem in &page.problems {
                prop_assert!(problem.source_id.is_some() || problem.field.as_deref() == Some(key));
            }
            for entity in &page.entities {
                prop_assert!(!entity.name.trim().is_empty() && !entity.source_id.trim().is_empty());
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
            seen.extend(page.entities.into_iter().map(|entity| entity.source_id));
            match page.progress {
                Progress::More(cursor) => position = Position::At(cursor),
                Progress::Done(bookmark) => {
                    prop_assert_eq!(bookmark, None);
                    break;
                }
            }
        }
        prop_assert_eq!(seen, (0..size).map(|n| format!("DU{n}")).collect::<Vec<_>>());
        prop_assert_eq!(host.requests.borrow().len(), size.div_ceil(most).max(1));
    }
}
