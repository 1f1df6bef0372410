//! Stream `users`: identities, their group memberships, and the connection of all users, from `/admin/v1/users`.
//!
//! The list also contains the phones, tokens, WebAuthn credentials and other devices of a user. They are read by their
//! own streams, because their own lists have more fields, and include devices without an owner. U2F registrations are
//! read here, because their own list was retired. The fields left out, and why:
//!
//! | field | reason |
//! |---|---|
//! | `date_of_birth` | sensitive, and not needed for governance |
//! | `phones`, `tokens`, `webauthncredentials`, `desktop_authenticators` | entities of other streams |
//! | `desktoptokens` | legacy form of `desktop_authenticators` |
//! | `alias1` to `alias4` | legacy view of `aliases`; used only if `aliases` has no values |

use serde::Deserialize;

use super::groups::GROUP;
use super::groups::RESOURCE;
use super::list::read_from;
use super::object::{Attributes, Fields, Object, connection, entity, grant, identity, nested, resource};
use super::{EntityRow, RelationRow, Stream};
use crate::api::{Client, Endpoint};
use crate::contract::{
    AttributeValue, Authenticator, AuthenticatorFactor, Connection, ConnectionKind, EntityType, Error,
    Identity, IdentityKind, MfaState, NormalForm, Page, Position, Resource, Status,
};
use crate::lenient::{Field, Key, Leaves, List, Members, Record};
use crate::moment::Moment;
use crate::paging::offset::Cursor;
use crate::permission_group::GRANT_RESOURCE_READ;

/// The source type of a user.
pub(super) const USER: &str = "user";
/// The source type of the connection of all users.
pub(super) const ALL_USERS: &str = "all-users";
/// The source type of a U2F registration.
const U2F_TOKEN: &str = "u2f-token";

const ENDPOINT: Endpoint<'_> =
    Endpoint { path: "/admin/v1/users", permissions: GRANT_RESOURCE_READ, v5_only: false };

/// The largest page that Duo serves here.
const LIMIT: u32 = 300;

pub(super) static STREAM: Stream = Stream {
    name: "users",
    title: "Users",
    entities: &[
        EntityRow {
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
                    "bypassed if `status` is `bypass`, otherwise whether the user has an authenticator \
                     (`is_enrolled`)",
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
        },
        EntityRow {
            entity_type: EntityType::Connection,
            source_type: ALL_USERS,
            title: "All users",
            fields: &[
                ("kind", "always `everyone`"),
                ("status", "always active"),
                ("description", "what it stands for"),
            ],
            attributes: &[],
        },
        EntityRow {
            entity_type: EntityType::Resource,
            source_type: U2F_TOKEN,
            title: "U2F tokens",
            fields: &[
                ("factor", "always `u2f`"),
                ("phishing_resistant", "always true"),
                ("added", "`date_added`"),
            ],
            attributes: &[],
        },
    ],
    relations: &[
        RelationRow {
            parent: USER,
            privilege: "member",
            child: GROUP,
            description: "The user is a member of the group (`groups` of the user)",
        },
        RelationRow { parent: USER, privilege: "member", child: ALL_USERS, description: "Every user" },
        RelationRow {
            parent: USER,
            privilege: "owns",
            child: U2F_TOKEN,
            description: "The user registered the token (`u2ftokens` of the user)",
        },
    ],
    optional: false,
    log: false,
    permission_group: &RESOURCE,
    read,
};

nested!(
    /// A group of a user. The stream `groups` has its other fields.
    Membership,
    group_id
);

nested!(
    /// The user of a device. Its other fields are partial, and `is_enrolled` is false even if the user is enrolled.
    UserOf,
    user_id
);

fn read(client: &Client<'_>, position: &Position) -> Result<Page, Error> {
    let cursor = Cursor::at(position, None)?;
    let mut page = read_from::<User>(client, &ENDPOINT, LIMIT, &cursor)?;
    if cursor.begins() == 0 {
        let everyone = Connection {
            kind: ConnectionKind::Everyone,
            description: Some("Every user of the account".to_owned()),
            status: Status::Active,
            vendor_status: None,
            mfa_state: None,
            is_privileged: None,
            created: None,
        };
        let everyone = NormalForm::Connection(everyone);
        let name = Some("All users".to_owned());
        page.entities.push(entity(ALL_USERS, ALL_USERS.to_owned(), name, everyone, Attributes::default()));
    }
    Ok(page)
}

/// A user, as Duo serves it in the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User {
    user_id: Field<Key>,
    username: Field<String>,
    realname: Field<String>,
    firstname: Field<String>,
    lastname: Field<String>,
    email: Field<String>,
    status: Field<String>,
    lockout_reason: Field<String>,
    is_enrolled: Field<bool>,
    last_login: Field<Moment>,
    created: Field<Moment>,
    last_directory_sync: Field<Moment>,
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
    password_last_updated: Field<Moment>,
    custom_attributes: Field<Leaves>,
    groups: List<Membership>,
    u2ftokens: List<U2fToken>,
}

/// A U2F registration of a user.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct U2fToken {
    registration_id: Field<Key>,
    date_added: Field<Moment>,
}

impl Object for User {
    const KEY: &'static str = "user_id";

    fn key(&self) -> &Field<Key> {
        &self.user_id
    }

    fn hint(&self) -> Option<(&'static str, &Field<String>)> {
        Some(("username", &self.username))
    }

    fn map(self, key: String, client: &Client<'_>, page: &mut Page) {
        let mut fields = Fields { key: &key, now: client.now(), problems: &mut page.problems };
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
        attributes.text("notes", fields.take("notes", self.notes));
        attributes.boolean("is_enrolled", is_enrolled);
        attributes
            .timestamp("last_directory_sync", fields.past("last_directory_sync", self.last_directory_sync));
        attributes.text(
            "entra_federated_user_id",
            fields.take("entra_federated_user_id", self.entra_federated_user_id),
        );
        attributes.boolean("enable_auto_prompt", fields.take("enable_auto_prompt", self.enable_auto_prompt));
        attributes.boolean("has_password", fields.take("has_password", self.has_password));
        attributes.timestamp(
            "password_last_updated",
            fields.past("password_last_updated", self.password_last_updated),
        );
        let custom = fields.take("custom_attributes", self.custom_attributes).and_then(custom_attributes);
        attributes.add("custom_attributes", custom, AttributeValue::Texts);

        let person = Identity {
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
            // Duo's administrators are not users: see `/admin/v1/admins`.
            is_privileged: Some(false),
            created: fields.past("created", self.created),
            last_login: fields.past("last_login", self.last_login),
        };

        let user = || identity(USER, &*key);
        page.relations.push(grant(user(), "member", connection(ALL_USERS, ALL_USERS)));
        for group in fields.keys("groups", self.groups) {
            page.relations.push(grant(user(), "member", connection(GROUP, group)));
        }
        let mut registered = Vec::new();
        let tokens = fields.take("u2ftokens", self.u2ftokens).unwrap_or_default();
        for (index, token) in tokens.into_iter().enumerate() {
            match token {
                Field::Value(Record(U2fToken { registration_id: Field::Value(Key(token)), date_added })) => {
                    let added = fields.past("u2ftokens.date_added", date_added);
                    let authenticator = Authenticator {
                        factor: AuthenticatorFactor::U2f,
                        phishing_resistant: Some(true),
                        platform: None,
                        model: None,
                        activated: None,
                        added,
                        last_seen: None,
                    };
                    let normal = NormalForm::Resource(Resource::Authenticator(authenticator));
                    page.relations.push(grant(user(), "owns", resource(U2F_TOKEN, &*token)));
                    registered.push(entity(U2F_TOKEN, token, None, normal, Attributes::default()));
                }
                _ => fields.problem(
                    "u2ftokens",
                    format!("`u2ftokens[{index}]` has no readable `registration_id`; it was left out"),
                ),
            }
        }

        let normal = NormalForm::Identity(person);
        page.entities.push(entity(USER, key, Some(name), normal, attributes));
        page.entities.extend(registered);
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

/// The values of `aliases` in the order of their names, or the legacy values if there are none; without duplicates.
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
