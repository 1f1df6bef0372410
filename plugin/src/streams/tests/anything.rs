//! Properties that hold for any JSON that Duo may serve.

use proptest::prelude::*;

use super::*;

/// The lists in which each object becomes one entity of its own type, and the key field of each list.
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

/// The source type of the objects of each of these lists.
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

/// Any JSON. Many of its member names are Duo's.
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
            // The entity of all users is not an element. Objects inside an element are not counted separately.
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
                list => Position::At(format!("v3:offset=0;list={list}")),
            };
            if let Err(error) = read_with(&settings(), &stream.name, &position, &body) {
                prop_assert!(!error.message.is_empty());
            }
        }
    }
}
