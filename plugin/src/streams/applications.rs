//! Stream `applications`: the applications that Duo protects, the users who may use them, and service accounts, from
//! `/admin/v3/integrations`, or from version 1 if that is refused.
//!
//! The fields left out, and why:
//!
//! | field | reason |
//! |---|---|
//! | `secret_key`, `sso` | contain secrets, or are close to them; never parsed |
//! | `greeting`, `visual_style`, `missing_web_referer_policy`, `web_referers_enabled` | appearance and web details |
//! | `enroll_policy`, `ip_whitelist`, `ip_whitelist_enroll_policy`, `trusted_device_days` | legacy: replaced by policies |

use serde::Deserialize;

use super::groups::GROUP;
use super::list::read_from;
use super::object::{Attributes, Fields, Object, connection, entity, grant, resource};
use super::service_accounts::{self, Flags};
use super::users::ALL_USERS;
use super::{EntityRow, RelationRow, Stream};
use crate::api::{Client, Endpoint};
use crate::contract::{
    Application, EntityType, Error, ErrorKind, Level, NormalForm, Page, Position, Problem, Resource,
    UserAccess,
};
use crate::lenient::{Field, Key, Words};
use crate::paging::offset::Cursor;
use crate::permission_group::{GRANT_RESOURCE_READ_OR_APPLICATIONS, PermissionGroup, first_of};
use crate::signing::Scheme;

/// The source type of an application.
pub(super) const APPLICATION: &str = "application";

const ENDPOINT: Endpoint<'_> = Endpoint {
    path: "/admin/v3/integrations",
    permissions: GRANT_RESOURCE_READ_OR_APPLICATIONS,
    v5_only: true,
};

/// Version 1 has fewer fields: it has no `user_access`.
pub(crate) const LEGACY: Endpoint<'_> =
    Endpoint { path: "/admin/v1/integrations", v5_only: false, ..ENDPOINT };

/// In a cursor: the walk is through [`LEGACY`].
const LEGACY_LIST: &str = "v1";

/// The largest page that Duo serves here.
const LIMIT: u32 = 500;

/// Applications, in the newest version that answers.
pub(crate) static APPLICATIONS: PermissionGroup = PermissionGroup {
    permissions: GRANT_RESOURCE_READ_OR_APPLICATIONS,
    edition_of: None,
    probe: |client| match current(client) {
        Some(endpoint) => match first_of(client, endpoint) {
            Err(error) if is_refused(&error) => {
                // The error of the newest version has the right remedy.
                first_of(client, &LEGACY).map_err(|_| error)
            }
            probed => probed,
        },
        None => first_of(client, &LEGACY),
    },
};

pub(super) static STREAM: Stream = Stream {
    name: "applications",
    title: "Applications",
    entities: &[
        EntityRow {
            entity_type: EntityType::Resource,
            source_type: APPLICATION,
            title: "Applications",
            fields: &[
                ("application_type", "`type`: Duo's word, an open list"),
                (
                    "user_access",
                    "`user_access`; in version 1, all users if `groups_allowed` is empty. No users for applications \
                     of the Admin API and the Accounts API, which users do not sign in to",
                ),
                ("self_service", "`self_service_allowed`: users manage their own devices there"),
                ("policy_key", "`policy_key`: the policy assigned to it; the global policy if there is none"),
            ],
            attributes: &[
                ("notes", "Free text of the administrators"),
                ("username_normalization_policy", "How usernames are compared: `None` or `Simple`"),
                (
                    "networks_for_api_access",
                    "The networks that may use its keys; all networks if there are none",
                ),
                (
                    "universal_prompt_available",
                    "Whether it shows the Universal Prompt to those who ask for it",
                ),
                ("universal_prompt_enabled", "Whether the Universal Prompt is switched on"),
                ("sensitivity_level", "How sensitive it is, as administrators tagged it"),
                ("compliance_requirements", "What it must comply with, as administrators tagged it"),
            ],
        },
        service_accounts::SERVICE_ACCOUNTS,
    ],
    relations: &[
        RelationRow {
            parent: GROUP,
            privilege: "access",
            child: APPLICATION,
            description: "Members of the group may use the application (`groups_allowed`)",
        },
        RelationRow {
            parent: ALL_USERS,
            privilege: "access",
            child: APPLICATION,
            description: "Every user may use the application",
        },
        service_accounts::GRANTS,
    ],
    optional: false,
    log: false,
    permission_group: &APPLICATIONS,
    read,
};

/// The newest version; `None` if the settings select a signature that it does not take.
pub(crate) fn current(client: &Client<'_>) -> Option<&'static Endpoint<'static>> {
    static CURRENT: Endpoint<'_> = ENDPOINT;
    (client.settings().scheme == Scheme::V5).then_some(&CURRENT)
}

/// Whether another version may still answer after this error: the version is refused or does not exist.
pub(crate) fn is_refused(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::MissingPermission(_) | ErrorKind::NotInEdition)
}

fn read(client: &Client<'_>, position: &Position) -> Result<Page, Error> {
    let cursor = Cursor::at(position, Some(LEGACY_LIST))?;
    let legacy = || {
        // Offsets of one list mean nothing in another.
        let cursor = if cursor.list.is_some() { cursor.clone() } else { Cursor::of(LEGACY_LIST) };
        read_from::<Legacy>(client, &LEGACY, LIMIT, &cursor)
    };
    let Some(endpoint) = current(client).filter(|_| cursor.list.is_none()) else { return legacy() };
    match read_from::<Integration>(client, endpoint, LIMIT, &cursor) {
        // During a walk, a change of version could miss objects that moved.
        Err(error) if is_refused(&error) && cursor.begins() == 0 => {
            client.log(Level::Info, &format!("reading version 1 instead: {}", error.message));
            legacy().map_err(|_| error)
        }
        read => read,
    }
}

/// An integration, as version 3 has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Integration {
    integration_key: Field<Key>,
    name: Field<String>,
    #[serde(rename = "type")]
    kind: Field<String>,
    notes: Field<String>,
    policy_key: Field<Key>,
    user_access: Field<String>,
    groups_allowed: Field<Vec<Field<Key>>>,
    self_service_allowed: Field<bool>,
    username_normalization_policy: Field<String>,
    networks_for_api_access: Field<Words>,
    frameless_auth_prompt_enabled: Field<bool>,
    prompt_v4_enabled: Field<bool>,
    sensitivity_level: Field<String>,
    compliance_requirements: Field<Words>,
    #[serde(flatten)]
    flags: Flags,
}

impl Object for Integration {
    const KEY: &'static str = "integration_key";

    fn key(&self) -> &Field<Key> {
        &self.integration_key
    }

    fn hint(&self) -> Option<(&'static str, &Field<String>)> {
        Some(("name", &self.name))
    }

    fn map(self, key: String, client: &Client<'_>, page: &mut Page) {
        self.map_version(true, key, client, page);
    }
}

/// An integration, as version 1 has it: the same without `user_access`.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
struct Legacy(Integration);

impl Object for Legacy {
    const KEY: &'static str = Integration::KEY;

    fn key(&self) -> &Field<Key> {
        self.0.key()
    }

    fn hint(&self) -> Option<(&'static str, &Field<String>)> {
        self.0.hint()
    }

    fn map(self, key: String, client: &Client<'_>, page: &mut Page) {
        self.0.map_version(false, key, client, page);
    }
}

impl Integration {
    fn map_version(self, is_v3: bool, key: String, client: &Client<'_>, page: &mut Page) {
        let mut fields = Fields { key: &key, now: client.now(), problems: &mut page.problems };
        let name = fields.take("name", self.name);
        let kind = fields.take("type", self.kind);
        let networks = fields.words("networks_for_api_access", self.networks_for_api_access);
        // A list of unreadable groups is not an empty one, which would let all users in.
        let no_groups = match &self.groups_allowed {
            Field::Value(groups) => Some(groups.is_empty()),
            Field::Missing => Some(true),
            Field::Malformed(_) => None,
        };
        let groups = fields.list("groups_allowed", self.groups_allowed);
        let said = fields.take("user_access", self.user_access);
        let is_actor = kind.as_deref().is_some_and(service_accounts::is_service_account);
        let user_access = user_access(is_v3, said.as_deref(), is_actor, no_groups);
        if user_access == UserAccess::Unknown
            && let Some(word) = &said
        {
            fields.problem(
                "user_access",
                format!("`user_access` is `{}`, which is not a known value", word.escape_debug()),
            );
        }

        let application = || resource(APPLICATION, &*key);
        match user_access {
            UserAccess::AllUsers => {
                page.relations.push(grant(connection(ALL_USERS, ALL_USERS), "access", application()));
            }
            UserAccess::PermittedGroups => {
                for group in groups {
                    page.relations.push(grant(connection(GROUP, group), "access", application()));
                }
            }
            UserAccess::NoUsers | UserAccess::Unknown => {}
        }

        let mut attributes = Attributes::default();
        attributes.text("notes", fields.take("notes", self.notes));
        let normalization = fields.take("username_normalization_policy", self.username_normalization_policy);
        attributes.text("username_normalization_policy", normalization);
        attributes.texts("networks_for_api_access", networks.clone());
        let available = fields.take("frameless_auth_prompt_enabled", self.frameless_auth_prompt_enabled);
        attributes.boolean("universal_prompt_available", available);
        let enabled = fields.take("prompt_v4_enabled", self.prompt_v4_enabled);
        attributes.boolean("universal_prompt_enabled", enabled);
        attributes.text("sensitivity_level", fields.take("sensitivity_level", self.sensitivity_level));
        let requirements = fields.words("compliance_requirements", self.compliance_requirements);
        attributes.texts("compliance_requirements", requirements);

        let normal = Application {
            application_type: kind.clone(),
            user_access,
            self_service: fields.take("self_service_allowed", self.self_service_allowed),
            policy_key: fields.take("policy_key", self.policy_key).map(String::from),
        };
        if let Some(kind) = kind.filter(|_| is_actor) {
            let problems: Vec<Problem> =
                service_accounts::map(client, &kind, &key, name.as_deref(), networks, self.flags, page);
            page.problems.extend(problems);
        }
        let normal = NormalForm::Resource(Resource::Application(normal));
        page.entities.push(entity(APPLICATION, key, name, normal, attributes));
    }
}

/// Who may use it. Version 1 and 2: "if `groups_allowed` is empty, all groups are allowed". `no_groups` is `None` if
/// `groups_allowed` can't be read.
fn user_access(is_v3: bool, word: Option<&str>, is_actor: bool, no_groups: Option<bool>) -> UserAccess {
    match word.map(|word| word.trim().to_ascii_uppercase().replace('-', "_")).as_deref() {
        Some("ALL_USERS") => UserAccess::AllUsers,
        Some("NO_USERS") => UserAccess::NoUsers,
        Some("PERMITTED_GROUPS") => UserAccess::PermittedGroups,
        Some(_) => UserAccess::Unknown,
        None if is_actor => UserAccess::NoUsers,
        None if no_groups == Some(false) => UserAccess::PermittedGroups,
        None if is_v3 || no_groups.is_none() => UserAccess::Unknown,
        None => UserAccess::AllUsers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_use_an_application_follows_the_version() {
        for (word, is_actor, no_groups, v3, v1) in [
            (Some("ALL_USERS"), false, true, UserAccess::AllUsers, UserAccess::AllUsers),
            (Some("all-users"), false, true, UserAccess::AllUsers, UserAccess::AllUsers),
            (Some("NO_USERS"), false, false, UserAccess::NoUsers, UserAccess::NoUsers),
            (Some("PERMITTED_GROUPS"), false, true, UserAccess::PermittedGroups, UserAccess::PermittedGroups),
            (Some("SOME"), false, true, UserAccess::Unknown, UserAccess::Unknown),
            (None, false, false, UserAccess::PermittedGroups, UserAccess::PermittedGroups),
            (None, false, true, UserAccess::Unknown, UserAccess::AllUsers),
            (None, true, true, UserAccess::NoUsers, UserAccess::NoUsers),
        ] {
            assert_eq!(user_access(true, word, is_actor, Some(no_groups)), v3, "{word:?}");
            assert_eq!(user_access(false, word, is_actor, Some(no_groups)), v1, "{word:?}");
        }
        for is_v3 in [true, false] {
            assert_eq!(user_access(is_v3, None, false, None), UserAccess::Unknown, "unreadable groups");
        }
    }
}
