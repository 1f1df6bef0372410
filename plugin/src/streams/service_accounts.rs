//! Applications of the Admin API and the Accounts API as identities: their keys allow everything that they are
//! granted. The stream `applications` reads them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::account::ACCOUNT;
use super::object::{Attributes, Fields, entity, grant, identity, resource};
use super::{EntityRow, RelationRow};
use crate::api::Client;
use crate::contract::{EntityType, Identity, IdentityKind, NormalForm, Page, Problem, Status};
use crate::lenient::Field;

const SERVICE_ACCOUNT: &str = "service-account";
/// The privilege of an application of the Accounts API.
const ACCOUNTS_API: &str = "accounts-api";

pub(super) const SERVICE_ACCOUNTS: EntityRow = EntityRow {
    entity_type: EntityType::Identity,
    source_type: SERVICE_ACCOUNT,
    title: "Service accounts",
    fields: &[
        ("kind", "always `service`"),
        ("username", "`integration_key`: what it signs with"),
        ("display_name", "`name`"),
        ("status", "always active: Duo has no other status"),
        ("is_privileged", "whether it may change anything; always true for the Accounts API"),
    ],
    attributes: &[(
        "networks_for_api_access",
        "The networks that may use its keys; all networks if there are none",
    )],
};

pub(super) const GRANTS: RelationRow = RelationRow {
    parent: SERVICE_ACCOUNT,
    privilege: "*",
    child: ACCOUNT,
    description: "Each permission that it is granted, as one relation: `administrators-read`, `administrators-write`, \
                  `applications-read`, `applications-write`, `information-read`, `log-read`, `permissions-write`, \
                  `resource-read`, `resource-write`, `settings-read`, `settings-write`, `accounts-api`, and any that \
                  Duo adds (`adminapi_*`)",
};

/// Whether applications of this type act on the account.
pub(super) fn is_service_account(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("adminapi") || kind.eq_ignore_ascii_case("accountsapi")
}

/// All flags `adminapi_*` of an application, known or not.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<(String, Field<bool>)>);

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Flags;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the members of an application")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Flags, A::Error> {
                let mut flags = Vec::new();
                while let Some(name) = members.next_key::<String>()? {
                    match name.strip_prefix("adminapi_") {
                        Some(flag) => flags.push((flag.to_owned(), members.next_value()?)),
                        None => {
                            members.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Flags(flags))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The known flags without `adminapi_`, each with its privilege and whether it changes anything.
const PRIVILEGES: &[(&str, &str, bool)] = &[
    ("admins", "administrators-write", true),
    ("admins_read", "administrators-read", false),
    ("info", "information-read", false),
    ("integrations", "applications-write", true),
    ("integrations_read", "applications-read", false),
    ("read_log", "log-read", false),
    ("read_resource", "resource-read", false),
    ("write_resource", "resource-write", true),
    ("settings", "settings-write", true),
    ("settings_read", "settings-read", false),
    ("allow_to_set_permissions", "permissions-write", true),
];

/// The privilege that a flag grants, and whether it changes anything.
fn privilege(flag: &str) -> (String, bool) {
    match PRIVILEGES.iter().find(|(known, ..)| *known == flag) {
        Some((_, privilege, writes)) => ((*privilege).to_owned(), *writes),
        // An unknown flag counts as writing unless its name contains "read", so that a review does not overlook it.
        None => (flag.replace('_', "-"), !flag.contains("read")),
    }
}

/// Adds the service account and its grants to `page`; returns the problems.
pub(super) fn map(
    client: &Client<'_>,
    kind: &str,
    key: &str,
    name: Option<&str>,
    networks: Vec<String>,
    flags: Flags,
    page: &mut Page,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut fields = Fields { key, now: client.now(), problems: &mut problems };
    let accounts_api = kind.eq_ignore_ascii_case("accountsapi");
    let mut granted: Vec<(String, bool)> = flags
        .0
        .into_iter()
        .filter(|(flag, field)| !(flag.is_empty() || *field == Field::Missing))
        .filter_map(|(flag, field)| fields.take(&format!("adminapi_{flag}"), field).map(|on| (flag, on)))
        .filter(|(_, on)| *on)
        .map(|(flag, _)| privilege(&flag))
        .collect();
    if accounts_api {
        granted.push((ACCOUNTS_API.to_owned(), true));
    }
    granted.sort();
    granted.dedup();
    for (privilege, _) in &granted {
        let account = resource(ACCOUNT, client.account());
        page.relations.push(grant(identity(SERVICE_ACCOUNT, key), privilege, account));
    }
    let person = Identity {
        kind: IdentityKind::Service,
        username: Some(key.to_owned()),
        display_name: name.map(str::to_owned),
        given_name: None,
        family_name: None,
        emails: Vec::new(),
        aliases: Vec::new(),
        external_id: None,
        directory_key: None,
        status: Status::Active,
        vendor_status: None,
        status_reason: None,
        // Keys have no second factor.
        mfa_state: None,
        is_privileged: Some(granted.iter().any(|(_, writes)| *writes)),
        created: None,
        last_login: None,
    };
    let mut attributes = Attributes::default();
    attributes.texts("networks_for_api_access", networks);
    let name = name.map(str::to_owned);
    page.entities.push(entity(
        SERVICE_ACCOUNT,
        key.to_owned(),
        name,
        NormalForm::Identity(person),
        attributes,
    ));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_names_each_privilege_that_duo_is_known_to_grant() {
        let granted = PRIVILEGES.iter().map(|(_, privilege, _)| *privilege).chain([ACCOUNTS_API]);
        for privilege in granted {
            assert!(GRANTS.description.contains(&format!("`{privilege}`")), "{privilege}");
        }
    }
}
