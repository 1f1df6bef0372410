//! Stream `users`: identities and their memberships of groups, from one sweep of `/admin/v1/users`.
//!
//! What a user holds (phones, tokens, WebAuthn credentials, ...) is embedded in the same list, and belongs to the
//! streams of these objects. The fields left out, and why:
//!
//! | field | reason |
//! |---|---|
//! | `date_of_birth` | sensitive, and no concern of governance |
//! | `phones`, `tokens`, `u2ftokens`, `webauthncredentials`, `desktop_authenticators` | entities of other streams |
//! | `desktoptokens` | legacy form of `desktop_authenticators` |
//! | `alias1` to `alias4` | legacy view of `aliases`; used only where `aliases` says nothing |

use serde::Deserialize;

use super::{
    Attributes, EntityRow, Fields, GRANT_RESOURCE_READ, Object, RESOURCE, RelationRow, Stream, grant, groups,
    read_list, reference,
};
use crate::api::Endpoint;
use crate::contract::{
    AttributeValue, Entity, EntityType, Identity, IdentityKind, MfaState, NormalForm, Page, Status,
};
use crate::lenient::{Field, Leaves, List, Members, Record};

/// The source type of a user.
pub(super) const USER: &str = "user";

const ENDPOINT: Endpoint =
    Endpoint { path: "/admin/v1/users", permissions: GRANT_RESOURCE_READ, v5_only: false };

/// The largest page that Duo serves here.
const LIMIT: u32 = 300;

pub(super) static STREAM: Stream = Stream {
    name: "users",
    title: "Users",
    entities: &[EntityRow {
        entity_type: EntityType::Identity,
        source_type: USER,
        title: "Users",
        fields: &[
            ("kind", "always `human`"),
            ("username", "`username`: what the user signs in with"),
            ("display_name", "`realname`, else `firstname` and `lastname`"),
            ("given_name", "`firstname`"),
            ("family_name", "`lastname`"),
            ("emails", "`email`"),
            ("aliases", "`aliases`, else `alias1` to `alias4`: other names the user signs in with"),
            ("external_id", "`external_id`: the key in the directory the user came from"),
            ("directory_key", "`directory_key`: the directory sync that manages the user"),
            (
                "status",
                "`status`: `active` and `bypass` are active, `disabled` is disabled, `locked out` is locked, \
                 `pending deletion` is in the trash",
            ),
            ("vendor_status", "`status` as Duo has it"),
            ("status_reason", "`lockout_reason`"),
            (
                "mfa_state",
                "bypassed where `status` is `bypass`, else whether the user has an authenticator (`is_enrolled`)",
            ),
            ("is_privileged", "always false: administrators are not users in Duo"),
            ("created", "`created`"),
            ("last_login", "`last_login`: the last authentication with Duo"),
        ],
        attributes: &[
            ("notes", "Free text of the administrators"),
            ("is_enrolled", "Whether the user has an authenticator, in bypass too"),
            ("last_directory_sync", "When the directory sync last updated the user"),
            ("entra_federated_user_id", "The user's key in a federated Microsoft Entra ID"),
            ("enable_auto_prompt", "Whether Duo chooses the authenticator to ask for"),
            ("has_password", "Whether the user has a password in Duo's own directory"),
            ("password_last_updated", "When that password was last changed"),
            ("custom_attributes", "The account's own fields as `name=value`, sorted"),
        ],
    }],
    relations: &[RelationRow {
        parent: USER,
        privilege: "member",
        child: groups::GROUP,
        description: "The user is a member of the group (`groups` of the user)",
    }],
    optional: false,
    family: &RESOURCE,
    read: |client, position| read_list::<User>(client, &ENDPOINT, LIMIT, position),
};

/// A user, as Duo serves it in the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User {
    user_id: Field<String>,
    username: Field<String>,
    realname: Field<String>,
    firstname: Field<String>,
    lastname: Field<String>,
    email: Field<String>,
    status: Field<String>,
    lockout_reason: Field<String>,
    is_enrolled: Field<bool>,
    last_login: Field<i64>,
    created: Field<i64>,
    last_directory_sync: Field<i64>,
    directory_key: Field<String>,
    external_id: Field<String>,
    entra_federated_user_id: Field<String>,
    aliases: Field<Members>,
    alias1: Field<String>,
    alias2: Field<String>,
    alias3: Field<String>,
    alias4: Field<String>,
    notes: Field<String>,
    enable_auto_prompt: Field<bool>,
    has_password: Field<bool>,
    password_last_updated: Field<i64>,
    custom_attributes: Field<Leaves>,
    groups: List<Membership>,
}

/// A group of a user. All but its key is in the stream `groups`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Membership {
    group_id: Field<String>,
}

impl Object for User {
    const KEY: &'static str = "user_id";

    fn key(&mut self) -> Field<String> {
        std::mem::take(&mut self.user_id)
    }

    fn hint(&self) -> Option<(&'static str, &str)> {
        match &self.username {
            Field::Is(username) => Some(("username", username)),
            Field::Absent | Field::Wrong(_) => None,
        }
    }

    fn map(self, key: String, page: &mut Page) {
        let mut fields = Fields { key: &key, problems: &mut page.problems };
        let username = fields.take("username", self.username);
        let given_name = fields.take("firstname", self.firstname);
        let family_name = fields.take("lastname", self.lastname);
        let realname = fields.take("realname", self.realname);
        let display_name = realname.or_else(|| full_name(given_name.as_deref(), family_name.as_deref()));
        let email = fields.take("email", self.email);
        let name = [&display_name, &username, &email].into_iter().flatten().next().unwrap_or(&key).clone();

        let vendor_status = fields.take("status", self.status);
        let (status, bypassed) = status(vendor_status.as_deref().unwrap_or_default());
        let is_enrolled = fields.take("is_enrolled", self.is_enrolled);
        let enrolled = |yes| if yes { MfaState::Enrolled } else { MfaState::NotEnrolled };
        let mfa_state = if bypassed { Some(MfaState::Bypassed) } else { is_enrolled.map(enrolled) };

        let legacy = [
            ("alias1", self.alias1),
            ("alias2", self.alias2),
            ("alias3", self.alias3),
            ("alias4", self.alias4),
        ];
        let aliases = aliases(&mut fields, self.aliases, legacy);

        let mut attributes = Attributes::default();
        attributes.add("notes", fields.take("notes", self.notes), AttributeValue::Text);
        attributes.add("is_enrolled", is_enrolled, AttributeValue::Boolean);
        let synced = fields.take("last_directory_sync", self.last_directory_sync);
        attributes.add("last_directory_sync", synced, AttributeValue::Timestamp);
        let entra = fields.take("entra_federated_user_id", self.entra_federated_user_id);
        attributes.add("entra_federated_user_id", entra, AttributeValue::Text);
        let auto_prompt = fields.take("enable_auto_prompt", self.enable_auto_prompt);
        attributes.add("enable_auto_prompt", auto_prompt, AttributeValue::Boolean);
        let has_password = fields.take("has_password", self.has_password);
        attributes.add("has_password", has_password, AttributeValue::Boolean);
        let password_updated = fields.take("password_last_updated", self.password_last_updated);
        attributes.add("password_last_updated", password_updated, AttributeValue::Timestamp);
        let custom = fields.take("custom_attributes", self.custom_attributes).and_then(custom_attributes);
        attributes.add("custom_attributes", custom, AttributeValue::Texts);

        let identity = Identity {
            kind: IdentityKind::Human,
            username,
            display_name,
            given_name,
            family_name,
            emails: email.into_iter().collect(),
            aliases,
            external_id: fields.take("external_id", self.external_id),
            directory_key: fields.take("directory_key", self.directory_key),
            status,
            vendor_status,
            status_reason: fields.take("lockout_reason", self.lockout_reason),
            mfa_state,
            // Duo's administrators are a population of their own: see `/admin/v1/admins`.
            is_privileged: Some(false),
            created: fields.take("created", self.created),
            last_login: fields.take("last_login", self.last_login),
        };

        let memberships = fields.take("groups", self.groups).unwrap_or_default();
        for (index, membership) in memberships.into_iter().enumerate() {
            let fault = match membership {
                Field::Is(Record(Membership { group_id: Field::Is(group) })) => {
                    let user = reference(EntityType::Identity, USER, key.clone());
                    let group = reference(EntityType::Connection, groups::GROUP, group);
                    page.relations.push(grant(user, "member", group));
                    continue;
                }
                Field::Is(Record(Membership { group_id: Field::Absent })) => "has no `group_id`".to_owned(),
                Field::Is(Record(Membership { group_id: Field::Wrong(what) })) => {
                    format!("has {what} as its `group_id`")
                }
                Field::Absent => "is empty".to_owned(),
                Field::Wrong(what) => format!("is {what}"),
            };
            fields.problem("groups", format!("`groups[{index}]` {fault}; this membership was left out"));
        }

        let normal = NormalForm::Identity(identity);
        page.entities.push(Entity {
            source_type: USER.to_owned(),
            source_id: key,
            name,
            normal,
            attributes: attributes.0,
        });
    }
}

/// The status, and whether MFA is switched off. Duo sets `locked out` and `pending deletion` itself.
fn status(word: &str) -> (Status, bool) {
    match word.trim().to_ascii_lowercase().as_str() {
        "active" => (Status::Active, false),
        "bypass" => (Status::Active, true),
        "disabled" => (Status::Disabled, false),
        "locked out" => (Status::Locked, false),
        "pending deletion" => (Status::PendingDeletion, false),
        _ => (Status::Other, false),
    }
}

fn full_name(given: Option<&str>, family: Option<&str>) -> Option<String> {
    match (given, family) {
        (Some(given), Some(family)) => Some(format!("{given} {family}")),
        (given, family) => given.or(family).map(str::to_owned),
    }
}

/// The values of `aliases` in the order of their names, else the legacy ones; none twice.
fn aliases(
    fields: &mut Fields<'_>,
    members: Field<Members>,
    legacy: [(&'static str, Field<String>); 4],
) -> Vec<String> {
    let mut members = fields.take("aliases", members).unwrap_or_default().0;
    // `alias10` comes after `alias9`.
    members.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
    let mut values: Vec<String> = members
        .into_iter()
        .filter_map(|(name, value)| fields.take(&format!("aliases.{name}"), value))
        .collect();
    let legacy = legacy.map(|(name, value)| fields.take(name, value));
    if values.is_empty() {
        values.extend(legacy.into_iter().flatten());
    }
    let mut aliases: Vec<String> = Vec::with_capacity(values.len());
    for value in values {
        if !aliases.contains(&value) {
            aliases.push(value);
        }
    }
    aliases
}

fn custom_attributes(Leaves(leaves): Leaves) -> Option<Vec<String>> {
    let mut texts: Vec<String> = leaves
        .into_iter()
        .map(|(name, value)| if name.is_empty() { value } else { format!("{name}={value}") })
        .collect();
    texts.sort();
    (!texts.is_empty()).then_some(texts)
}
