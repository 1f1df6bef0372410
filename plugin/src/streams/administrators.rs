//! Stream `administrators`: the administrators of the account, and their roles, from `/admin/v1/admins`.
//!
//! Duo has no list of roles: the stream returns each role that an administrator has, even one with an unknown name. If
//! `role` is missing, the edition has no roles, and every administrator may do everything.
//!
//! | field left out | reason |
//! |---|---|
//! | `hardtoken`, except its key | the stream `hardware-tokens` has the complete token |

use std::collections::BTreeMap;

use serde::Deserialize;

use super::account::ACCOUNT;
use super::list::{elements, map_element, read_list};
use super::object::{
    Attributes, Fields, Object, connection, entity, grant, identity, nested, phone_number, resource,
};
use super::tokens::HARDWARE_TOKEN;
use super::units::ADMINISTRATIVE_UNIT;
use super::webauthn_credentials::{CREDENTIALS, Credential, WEBAUTHN_CREDENTIAL};
use super::{EntityRow, RelationRow, Stream};
use crate::api::{Client, Endpoint, Listing};
use crate::contract::{
    Connection, ConnectionKind, EntityType, Error, Identity, IdentityKind, MfaState, NormalForm, Page,
    Position, Progress, Status,
};
use crate::lenient::{Field, Key, List, Record};
use crate::moment::Moment;
use crate::paging::offset::Cursor;
use crate::permission_group::{GRANT_ADMINISTRATORS_READ, PermissionGroup, first_of};

/// The source type of an administrator.
pub(super) const ADMINISTRATOR: &str = "administrator";
const ADMIN_ROLE: &str = "admin-role";

pub(crate) const ENDPOINT: Endpoint<'_> =
    Endpoint { path: "/admin/v1/admins", permissions: GRANT_ADMINISTRATORS_READ, v5_only: false };

/// The largest page of other lists; undocumented for this list. Duo may serve less.
const LIMIT: u32 = 500;
/// The role that may do everything.
const OWNER: &str = "Owner";

/// Administrators and their roles.
pub(crate) static ADMINISTRATORS: PermissionGroup = PermissionGroup {
    permissions: GRANT_ADMINISTRATORS_READ,
    edition_of: None,
    probe: |client| first_of(client, &ENDPOINT),
};

pub(super) static STREAM: Stream = Stream {
    name: "administrators",
    title: "Administrators",
    entities: &[
        EntityRow {
            entity_type: EntityType::Identity,
            source_type: ADMINISTRATOR,
            title: "Administrators",
            fields: &[
                ("kind", "always `human`"),
                ("username", "`email`: what the administrator signs in with"),
                ("display_name", "`name`"),
                ("emails", "`email`"),
                (
                    "status",
                    "`status`: `Active` is active, `Disabled` is disabled, `Expired` (by inactivity) is expired, \
                     `Pending Activation` is pending",
                ),
                ("vendor_status", "`status` as Duo has it"),
                (
                    "mfa_state",
                    "enrolled if Duo lists a hardware token or a WebAuthn credential; otherwise not known, because \
                     Duo does not say whether the phone of an administrator is an authenticator",
                ),
                ("is_privileged", "always true"),
                ("created", "`created`; not known for administrators from before October 2021"),
                ("last_login", "`last_login` to the Admin Panel"),
            ],
            attributes: &[
                ("role", "`role`; absent if the edition has no roles: every administrator is then an owner"),
                ("role_id", "Duo's key of the role"),
                ("subaccount_role", "The role in child accounts"),
                ("phone", "The phone number; only its last four digits if `mask-phone-numbers` is true"),
                ("restricted_by_admin_units", "Whether administrative units restrict the administrator"),
                ("password_change_required", "Whether the password must be changed at the next sign-in"),
            ],
        },
        EntityRow {
            entity_type: EntityType::Connection,
            source_type: ADMIN_ROLE,
            title: "Admin roles",
            fields: &[
                ("kind", "always `role`"),
                (
                    "is_privileged",
                    "true for `Owner`, false for Duo's other built-in roles; not known for custom roles",
                ),
                ("description", "what Duo's own roles may do, from its documentation"),
                ("status", "always active"),
            ],
            attributes: &[("is_built_in", "Whether it is one of Duo's own roles; custom roles are not")],
        },
        CREDENTIALS,
    ],
    relations: &[
        RelationRow {
            parent: ADMINISTRATOR,
            privilege: "assigned",
            child: ADMIN_ROLE,
            description: "The administrator holds the role (`role`)",
        },
        RelationRow {
            parent: ADMIN_ROLE,
            privilege: "*",
            child: ACCOUNT,
            description: "The role gives access to the account; the privilege is the role's name",
        },
        RelationRow {
            parent: ADMINISTRATOR,
            privilege: "restricted-to",
            child: ADMINISTRATIVE_UNIT,
            description: "The administrator may act only within the unit (`admin_units`)",
        },
        RelationRow {
            parent: ADMINISTRATOR,
            privilege: "owns",
            child: HARDWARE_TOKEN,
            description: "The token is the administrator's (`hardtoken`)",
        },
        RelationRow {
            parent: ADMINISTRATOR,
            privilege: "owns",
            child: WEBAUTHN_CREDENTIAL,
            description: "The credential is the administrator's (`webauthncredentials`)",
        },
    ],
    optional: false,
    log: false,
    permission_group: &ADMINISTRATORS,
    read: |client, position| read_list::<Administrator>(client, &ENDPOINT, LIMIT, position),
};

nested!(
    /// The administrator of a device.
    AdministratorOf,
    admin_id
);

nested!(
    /// The hardware token of an administrator.
    HardToken,
    token_id
);

/// An administrator, as Duo serves it in the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Administrator {
    admin_id: Field<Key>,
    name: Field<String>,
    email: Field<String>,
    phone: Field<String>,
    role: Field<Key>,
    role_id: Field<String>,
    subaccount_role: Field<String>,
    restricted_by_admin_units: Field<bool>,
    admin_units: Field<Vec<Field<Key>>>,
    status: Field<String>,
    last_login: Field<Moment>,
    created: Field<Moment>,
    hardtoken: Field<Record<HardToken>>,
    password_change_required: Field<bool>,
    webauthncredentials: List<Credential>,
}

impl Object for Administrator {
    const KEY: &'static str = "admin_id";

    fn key(&self) -> &Field<Key> {
        &self.admin_id
    }

    fn hint(&self) -> Option<(&'static str, &Field<String>)> {
        Some(("email", &self.email))
    }

    fn map(self, key: String, client: &Client<'_>, page: &mut Page) {
        let administrator = || identity(ADMINISTRATOR, &*key);
        let credentials = map_credentials(self.webauthncredentials, &key, client, page);
        let mut fields = Fields { key: &key, now: client.now(), problems: &mut page.problems };
        let token = fields.nested("hardtoken", self.hardtoken);
        let has_factor = token.is_some() || !credentials.is_empty();
        let owned = token.into_iter().map(|token| resource(HARDWARE_TOKEN, token));
        let owned = owned.chain(credentials.into_iter().map(|key| resource(WEBAUTHN_CREDENTIAL, key)));
        page.relations.extend(owned.map(|device| grant(administrator(), "owns", device)));
        for unit in fields.list("admin_units", self.admin_units) {
            let unit = connection(ADMINISTRATIVE_UNIT, unit);
            page.relations.push(grant(administrator(), "restricted-to", unit));
        }
        let role = fields.take("role", self.role).map(String::from);
        if let Some(role) = &role {
            page.relations.push(grant(administrator(), "assigned", connection(ADMIN_ROLE, &**role)));
            let known = |entity: &crate::contract::Entity| {
                entity.source_type == ADMIN_ROLE && entity.source_id == *role
            };
            if !page.entities.iter().any(known) {
                let account = resource(ACCOUNT, client.account());
                page.relations.push(grant(connection(ADMIN_ROLE, &**role), role, account));
                page.entities.push(role_entity(role));
            }
        }

        let vendor_status = fields.take("status", self.status);
        let email = fields.take("email", self.email);
        let display_name = fields.take("name", self.name);
        let name = display_name.clone().or_else(|| email.clone());
        let mut attributes = Attributes::default();
        attributes.text("role", role);
        attributes.text("role_id", fields.take("role_id", self.role_id));
        attributes.text("subaccount_role", fields.take("subaccount_role", self.subaccount_role));
        attributes.text("phone", phone_number(client, fields.take("phone", self.phone)));
        let restricted = fields.take("restricted_by_admin_units", self.restricted_by_admin_units);
        attributes.boolean("restricted_by_admin_units", restricted);
        let change = fields.take("password_change_required", self.password_change_required);
        attributes.boolean("password_change_required", change);
        let person = Identity {
            kind: IdentityKind::Human,
            username: email.clone(),
            display_name,
            given_name: None,
            family_name: None,
            emails: email.into_iter().collect(),
            aliases: Vec::new(),
            external_id: None,
            directory_key: None,
            status: status(vendor_status.as_deref().unwrap_or_default()),
            vendor_status,
            status_reason: None,
            mfa_state: has_factor.then_some(MfaState::Enrolled),
            is_privileged: Some(true),
            created: fields.past("created", self.created),
            last_login: fields.past("last_login", self.last_login),
        };
        page.entities.push(entity(ADMINISTRATOR, key, name, NormalForm::Identity(person), attributes));
    }
}

/// Adds the credentials inside an administrator to `page`; returns their keys.
fn map_credentials(list: List<Credential>, key: &str, client: &Client<'_>, page: &mut Page) -> Vec<String> {
    let mut keys = Vec::new();
    let mut fields = Fields { key, now: client.now(), problems: &mut page.problems };
    let credentials = fields.take("webauthncredentials", list).unwrap_or_default();
    for (index, credential) in credentials.into_iter().enumerate() {
        if let Field::Value(Record(Credential { webauthnkey: Field::Value(Key(key)), .. })) = &credential {
            keys.push(key.clone());
        }
        let place = format_args!("`webauthncredentials[{index}]` of administrator `{key}`");
        map_element(client, credential, &place, page);
    }
    keys
}

/// The status. Duo serves the word in title case.
fn status(word: &str) -> Status {
    match word.trim().to_ascii_lowercase().as_str() {
        "active" => Status::Active,
        "disabled" => Status::Disabled,
        "expired" => Status::Expired,
        "pending activation" => Status::Pending,
        _ => Status::Other,
    }
}

fn role_entity(role: &str) -> crate::contract::Entity {
    let description = description(role);
    let normal = Connection {
        kind: ConnectionKind::Role,
        description: description.map(str::to_owned),
        status: Status::Active,
        vendor_status: None,
        mfa_state: None,
        // Of Duo's own roles, only Owner may do everything. Duo does not say what custom roles may do.
        is_privileged: description.map(|_| role == OWNER),
        created: None,
    };
    let mut attributes = Attributes::default();
    attributes.boolean("is_built_in", Some(description.is_some()));
    entity(ADMIN_ROLE, role.to_owned(), Some(role.to_owned()), NormalForm::Connection(normal), attributes)
}

/// What one of Duo's own roles may do. Source: duo.com/docs/admin-roles.
fn description(role: &str) -> Option<&'static str> {
    Some(match role.to_ascii_lowercase().as_str() {
        "owner" => {
            "Everything: other administrators, billing, Admin API applications and global settings included"
        }
        "administrator" => "Everything but administrators, billing and Admin API applications",
        "application manager" => "Manages applications and policies, and views users",
        "user manager" => "Manages users, phones, tokens, bypass codes and groups",
        "help desk" => "Issues bypass codes, reactivates and unlocks users",
        "security analyst" => "Views what concerns security",
        "billing" => "Billing only",
        "read-only" => "Views everything, changes nothing",
        "phishing manager" => "Runs phishing campaigns (Duo Insight, retired)",
        _ => return None,
    })
}

/// The part of an administrator that bypass codes refer to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Address {
    admin_id: Field<Key>,
    email: Field<String>,
}

/// The administrators by their e-mail addresses.
#[derive(Default)]
pub(super) struct Addresses {
    /// The addresses as Duo has them and the keys, by the address in lower case.
    by_lower_case: BTreeMap<String, Vec<(String, String)>>,
}

impl Addresses {
    fn add(&mut self, email: &str, key: &str) {
        let email = email.trim();
        let same = self.by_lower_case.entry(email.to_lowercase()).or_default();
        same.push((email.to_owned(), key.to_owned()));
    }

    /// The key of the administrator with this address. Its case matters only where several addresses differ by nothing
    /// else.
    ///
    /// # Errors
    ///
    /// The number of administrators, if the address may be that of several.
    pub(super) fn key(&self, email: &str) -> Result<Option<&str>, usize> {
        let email = email.trim();
        let Some(same) = self.by_lower_case.get(&email.to_lowercase()) else { return Ok(None) };
        let exact: Vec<_> = same.iter().filter(|(address, _)| address == email).collect();
        match (exact.as_slice(), same.as_slice()) {
            ([(_, key)], _) | ([], [(_, key)]) => Ok(Some(key)),
            ([], several) => Err(several.len()),
            (several, _) => Err(several.len()),
        }
    }
}

/// Reads the addresses of all administrators.
///
/// # Errors
///
/// As for any list.
pub(super) fn addresses(client: &Client<'_>) -> Result<Addresses, Error> {
    let mut addresses = Addresses::default();
    let mut position = Position::Beginning;
    loop {
        let cursor = Cursor::at(&position, None)?;
        let params = cursor.params(LIMIT);
        let params = params.each_ref().map(|(name, value)| (*name, value.as_str()));
        let reply = client.get::<Field<Listing<Address>>>(&ENDPOINT, &params)?;
        let mut page = Vec::new();
        for element in elements(client, &ENDPOINT, reply.response)? {
            let (key, email) = match element {
                Field::Value(Record(Address { admin_id, email })) => {
                    (admin_id.ok().map(String::from), email.ok())
                }
                Field::Missing | Field::Malformed(_) => (None, None),
            };
            if let (Some(key), Some(email)) = (&key, email) {
                addresses.add(&email, key);
            }
            page.push(key);
        }
        // An administrator without a key can't be related to a code, so it does not make the list incomplete.
        let page: Vec<_> = page.iter().map(|key| Some(key.as_deref().unwrap_or_default())).collect();
        match cursor.next(ENDPOINT.path, &reply.metadata, &page, LIMIT)?.progress {
            Progress::More(cursor) => position = Position::At(cursor),
            Progress::Done(_) => return Ok(addresses),
        }
    }
}
