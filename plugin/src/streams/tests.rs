//! Tests of the streams with recorded and documented answers, and their shared functions.

mod access;
mod anything;
mod counts;
mod declared;
mod devices;
mod lists;
mod people;
mod replaced;
mod usage;

use serde_json::{Value, json};

use crate::contract::{
    Entity, EntitySpec, EntityType, Error, ErrorKind, Expiry, MfaState, NormalForm, Page, Position, Progress,
    Relation, RelationSpec, Resource, Setting, Status, StreamSpec, UserAccess, UsesLeft,
};
use crate::describe;
use crate::test_host::{HOSTNAME, SECRET, TestHost, response, settings};

/// Stream, name and body. The name of a recording has its year; `documented` is an example from the documentation.
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

/// The page for the answer `body`. If a stream also requests the administrators, another fixture answers.
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

/// Where the list of a fixture begins.
fn position_of(fixture: &str) -> Position {
    match fixture {
        "applications-v1-2022" => Position::At("v3:offset=0;list=v1".into()),
        "policies-summary-documented" => Position::At("v3:offset=0;list=summary".into()),
        _ => Position::Beginning,
    }
}

fn read_fixture(stream: &str, name: &str, body: &str) -> Page {
    read_with(&settings(), stream, &position_of(name), body).unwrap()
}

/// The page for a `response` with these elements.
fn page_of(stream: &str, elements: &[Value]) -> Page {
    let metadata = json!({ "total_objects": elements.len() });
    read_body(stream, &json!({ "stat": "OK", "response": elements, "metadata": metadata }).to_string())
        .unwrap()
}

/// The pages of `stream` from its beginning to its end; an error if it ends with one.
fn walk(host: &TestHost, stream: &str) -> Result<Vec<Page>, Error> {
    let mut pages = Vec::new();
    let mut position = Position::Beginning;
    for _ in 0..40 {
        let page = read(host, &settings(), stream, &position)?;
        let progress = page.progress.clone();
        pages.push(page);
        match progress {
            Progress::More(cursor) => position = Position::At(cursor),
            Progress::Done(_) => return Ok(pages),
        }
    }
    panic!("the walk does not end");
}

fn with(name: &str, value: &str) -> Vec<Setting> {
    let mut settings = settings();
    settings.push(Setting { name: name.to_owned(), value: value.to_owned() });
    settings
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
