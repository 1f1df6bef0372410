//! Every documented field is mapped, and the manifest declares every mapped field.

use std::collections::BTreeSet;

use super::*;

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
        // The administrators name their units too.
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
                // Null differs from absent only for bypass codes. Removing a field that another field implies has no
                // effect.
                let implied = field == "user_access" && object.get("groups_allowed").is_some();
                if object[field].is_null() && *stream != "bypass-codes" || implied {
                    continue;
                }
                let mut without = object.clone();
                without.as_object_mut().unwrap().remove(field);
                // A unit without its contents is requested again, so there is nothing to compare.
                let asked_again =
                    *stream == "administrative-units" && (field == "groups" || field == "integrations");
                let matters = asked_again || page_of(stream, &[without]) != whole;
                let without_issuer = field == "admin_email" && object[field].is_null();
                let says_nothing = without_issuer || left_out(stream).contains(&field.as_str());
                assert_eq!(matters, !says_nothing, "{name}: {field}");
            }
        }
    }
}

/// The names of the fields that have a value. `kind` and `status` always have one.
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
            add("is_privileged", connection.is_privileged.is_some());
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
