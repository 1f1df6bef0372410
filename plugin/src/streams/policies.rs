//! Stream `policies`: the rules of sign-ins, from `/admin/v2/policies`, then where they apply, from
//! `/admin/v2/policies/summary`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::applications::APPLICATION;
use super::list::{empty_page, no_answer, read_from};
use super::object::{Attributes, Fields, Object, entity, resource};
use super::{EntityRow, RelationRow, Stream};
use crate::api::{Client, Endpoint};
use crate::contract::{
    EntityType, Error, NormalForm, Page, Policy, Position, Problem, Progress, Relation, Resource,
};
use crate::lenient::{Field, Key, Leaves, List, Record, Words};
use crate::paging::offset::Cursor;
use crate::permission_group::{GRANT_RESOURCE_READ, PermissionGroup, first_of, require_v5};

const POLICY: &str = "policy";

pub(crate) const ENDPOINT: Endpoint<'_> =
    Endpoint { path: "/admin/v2/policies", permissions: GRANT_RESOURCE_READ, v5_only: true };
const SUMMARY: Endpoint<'_> = Endpoint { path: "/admin/v2/policies/summary", ..ENDPOINT };

/// In a cursor: the walk has reached [`SUMMARY`].
const SUMMARY_LIST: &str = "summary";

/// The largest page of other lists; undocumented for this list. Duo may serve less.
const LIMIT: u32 = 500;

/// Policies and where they apply.
pub(crate) static POLICIES: PermissionGroup = PermissionGroup {
    permissions: GRANT_RESOURCE_READ,
    edition_of: None,
    probe: |client| {
        require_v5(client, &ENDPOINT)?;
        first_of(client, &ENDPOINT)
    },
};

pub(super) static STREAM: Stream = Stream {
    name: "policies",
    title: "Policies",
    entities: &[EntityRow {
        entity_type: EntityType::Resource,
        source_type: POLICY,
        title: "Policies",
        fields: &[("is_global", "`is_global_policy`: applies if no other policy does")],
        attributes: &[
            ("user_auth_behavior", "What happens at a sign-in: `enforce`, `bypass` (no MFA) or `deny`"),
            (
                "new_user_behavior",
                "What happens if the user has no authenticator yet: `enroll`, `no-mfa` or `deny`",
            ),
            ("allowed_auth_list", "The authentication methods it allows"),
            ("blocked_auth_list", "The authentication methods it blocks"),
            (
                "settings",
                "All its settings, as `section.key=value`, sorted; the global policy gives those it leaves out",
            ),
        ],
    }],
    relations: &[RelationRow {
        parent: POLICY,
        privilege: "applies-to",
        child: APPLICATION,
        description: "The policy applies to the application: for all users if the attribute `whole_application` is \
                      true, and for the groups in `groups`, which Duo gives by name",
    }],
    optional: false,
    log: false,
    permission_group: &POLICIES,
    read,
};

fn read(client: &Client<'_>, position: &Position) -> Result<Page, Error> {
    require_v5(client, &ENDPOINT)?;
    let cursor = Cursor::at(position, Some(SUMMARY_LIST))?;
    if cursor.list.is_some() {
        return read_summary(client);
    }
    let mut page = read_from::<Rules>(client, &ENDPOINT, LIMIT, &cursor)?;
    if matches!(page.progress, Progress::Done(_)) {
        page.progress = Progress::More(Cursor::of(SUMMARY_LIST).to_string());
    }
    Ok(page)
}

/// A policy, as Duo serves it in the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rules {
    policy_key: Field<Key>,
    policy_name: Field<String>,
    is_global_policy: Field<bool>,
    sections: Field<Record<Sections>>,
}

/// The settings that get their own attributes, and all settings as leaves.
#[derive(Debug, Default)]
struct Sections {
    known: Known,
    leaves: Vec<(String, String)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Known {
    user_auth_behavior: Field<String>,
    new_user_behavior: Field<String>,
    allowed_auth_list: Field<Words>,
    blocked_auth_list: Field<Words>,
}

impl<'de> Deserialize<'de> for Sections {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = std::collections::BTreeMap::<String, serde_json::Value>::deserialize(deserializer)?;
        let mut known = Known::default();
        let mut leaves = Vec::new();
        for (section, value) in members {
            let of_section = |value: &serde_json::Value| Known::deserialize(value).unwrap_or_default();
            match section.as_str() {
                "authentication_policy" if value.is_object() => {
                    known.user_auth_behavior = of_section(&value).user_auth_behavior;
                }
                "new_user" if value.is_object() => {
                    known.new_user_behavior = of_section(&value).new_user_behavior
                }
                "authentication_methods" if value.is_object() => {
                    let Known { allowed_auth_list, blocked_auth_list, .. } = of_section(&value);
                    (known.allowed_auth_list, known.blocked_auth_list) =
                        (allowed_auth_list, blocked_auth_list);
                }
                _ => {}
            }
            if let Ok(Field::Value(Leaves(inner))) = Field::<Leaves>::deserialize(value) {
                leaves.extend(inner.into_iter().map(|(path, text)| match path.as_str() {
                    "" => (section.clone(), text),
                    path => (format!("{section}.{path}"), text),
                }));
            }
        }
        Ok(Self { known, leaves })
    }
}

impl Object for Rules {
    const KEY: &'static str = "policy_key";

    fn key(&self) -> &Field<Key> {
        &self.policy_key
    }

    fn hint(&self) -> Option<(&'static str, &Field<String>)> {
        Some(("policy_name", &self.policy_name))
    }

    fn map(self, key: String, client: &Client<'_>, page: &mut Page) {
        let mut fields = Fields { key: &key, now: client.now(), problems: &mut page.problems };
        let name = fields.take("policy_name", self.policy_name);
        let policy = Policy { is_global: fields.take("is_global_policy", self.is_global_policy) };
        let Sections { known, leaves } =
            fields.take("sections", self.sections).map(|Record(sections)| sections).unwrap_or_default();
        let mut attributes = Attributes::default();
        attributes.text("user_auth_behavior", fields.take("user_auth_behavior", known.user_auth_behavior));
        attributes.text("new_user_behavior", fields.take("new_user_behavior", known.new_user_behavior));
        for (name, field) in
            [("allowed_auth_list", known.allowed_auth_list), ("blocked_auth_list", known.blocked_auth_list)]
        {
            attributes.texts(name, fields.words(name, field));
        }
        let mut settings: Vec<String> =
            leaves.into_iter().map(|(path, text)| format!("{path}={text}")).collect();
        settings.sort();
        attributes.texts("settings", settings);
        page.entities.push(entity(
            POLICY,
            key,
            name,
            NormalForm::Resource(Resource::Policy(policy)),
            attributes,
        ));
    }
}

/// Where all policies apply.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Summary {
    policies: List<Applied>,
    response_is_truncated: Field<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Applied {
    policy_key: Field<Key>,
    policy_applies_to: List<Place>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Place {
    apply_type: Field<String>,
    app_integration_key: Field<Key>,
    group_name: Field<String>,
}

/// How a policy applies to an application.
#[derive(Default)]
struct Application {
    whole: bool,
    groups: Vec<String>,
}

fn read_summary(client: &Client<'_>) -> Result<Page, Error> {
    let reply = client.get::<Field<Record<Summary>>>(&SUMMARY, &[])?;
    let summary = match reply.response {
        Field::Value(Record(summary)) => summary,
        Field::Missing => return Err(no_answer(client, &SUMMARY, "missing")),
        Field::Malformed(what) => {
            return Err(no_answer(client, &SUMMARY, &format!("{what} instead of an object")));
        }
    };
    let mut page = empty_page(Progress::Done(None));
    let policies = match summary.policies {
        Field::Value(policies) => policies,
        Field::Missing => return Err(no_answer(client, &SUMMARY, "without `policies`")),
        Field::Malformed(what) => {
            return Err(no_answer(client, &SUMMARY, &format!("{what} instead of a list in `policies`")));
        }
    };
    if summary.response_is_truncated == Field::Value(true) {
        page.problems.push(Problem {
            source_id: None,
            field: Some("policy_applies_to".to_owned()),
            message:
                "Duo lists only some of the places where policies apply; `policy_key` of the applications is complete"
                    .to_owned(),
        });
    }
    for (index, policy) in policies.into_iter().enumerate() {
        let Field::Value(Record(Applied { policy_key: Field::Value(Key(key)), policy_applies_to })) = policy
        else {
            page.problems.push(Problem {
                source_id: None,
                field: Some("policy_key".to_owned()),
                message: format!("`policies[{index}]` of the summary has no readable key; it was left out"),
            });
            continue;
        };
        map_places(&key, policy_applies_to, client, &mut page);
    }
    Ok(page)
}

fn map_places(key: &str, places: List<Place>, client: &Client<'_>, page: &mut Page) {
    let mut fields = Fields { key, now: client.now(), problems: &mut page.problems };
    let mut applications: BTreeMap<String, Application> = BTreeMap::new();
    let places = fields.take("policy_applies_to", places).unwrap_or_default();
    for (index, place) in places.into_iter().enumerate() {
        let Field::Value(Record(Place {
            apply_type,
            app_integration_key: Field::Value(Key(application)),
            group_name,
        })) = place
        else {
            let message =
                format!("`policy_applies_to[{index}]` has no readable application key; it was left out");
            fields.problem("policy_applies_to", message);
            continue;
        };
        let application = applications.entry(application).or_default();
        let kind = fields.take("apply_type", apply_type).unwrap_or_default();
        match fields.take("group_name", group_name) {
            Some(group) => application.groups.push(group),
            None if kind == "app" || kind.is_empty() => application.whole = true,
            None => fields.problem("policy_applies_to", format!(
                "`policy_applies_to[{index}]` has the `apply_type` `{}` and no `group_name`; it was left out",
                kind.escape_debug()
            )),
        }
    }
    for (application, Application { whole, mut groups }) in applications {
        groups.sort();
        groups.dedup();
        let mut attributes = Attributes::default();
        attributes.boolean("whole_application", Some(whole));
        attributes.texts("groups", groups);
        let Attributes(attributes): Attributes = attributes;
        page.relations.push(Relation {
            parent: resource(POLICY, key),
            privilege: "applies-to".to_owned(),
            privilege_value: true,
            child: resource(APPLICATION, application),
            attributes,
        });
    }
}
