//! Stream `groups`: connections, from `/admin/v1/groups`. Their members are in the stream `users`.
//!
//! The fields left out, and why:
//!
//! | field | reason |
//! |---|---|
//! | `mobile_otp_enabled`, `push_enabled`, `sms_enabled`, `voice_enabled` | legacy: no effect, according to Duo |

use serde::Deserialize;

use super::list::read_list;
use super::object::{Attributes, Fields, Object, entity};
use super::{EntityRow, Stream};
use crate::api::{Client, Endpoint};
use crate::contract::{Connection, ConnectionKind, EntityType, MfaState, NormalForm, Page, Status};
use crate::lenient::{Field, Key};
use crate::permission_group::{GRANT_RESOURCE_READ, PermissionGroup, first_of};

/// The source type of a group.
pub(super) const GROUP: &str = "group";

pub(crate) const ENDPOINT: Endpoint<'_> =
    Endpoint { path: "/admin/v1/groups", permissions: GRANT_RESOURCE_READ, v5_only: false };

/// The largest page that Duo serves here.
const LIMIT: u32 = 500;

/// Users, groups, and the devices and bypass codes of users.
pub(crate) static RESOURCE: PermissionGroup = PermissionGroup {
    permissions: GRANT_RESOURCE_READ,
    edition_of: None,
    probe: |client| first_of(client, &ENDPOINT),
};

pub(super) static STREAM: Stream = Stream {
    name: "groups",
    title: "Groups",
    entities: &[EntityRow {
        entity_type: EntityType::Connection,
        source_type: GROUP,
        title: "Groups",
        fields: &[
            ("kind", "always `group`"),
            ("description", "`desc`"),
            (
                "status",
                "`status`: `Active` and `Bypass` are active; members of a disabled group can't sign in",
            ),
            ("vendor_status", "`status` as Duo has it"),
            ("mfa_state", "bypassed if `status` is `Bypass`: its members skip MFA"),
        ],
        attributes: &[
            ("source_directory", "The directory of a synced group, read from the end of the group's name"),
            ("source_directory_type", "The type of that directory, such as `AD`"),
        ],
    }],
    relations: &[],
    optional: false,
    log: false,
    permission_group: &RESOURCE,
    read: |client, position| read_list::<Group>(client, &ENDPOINT, LIMIT, position),
};

/// A group, as Duo serves it in the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Group {
    group_id: Field<Key>,
    name: Field<String>,
    desc: Field<String>,
    status: Field<String>,
}

impl Object for Group {
    const KEY: &'static str = "group_id";

    fn key(&self) -> &Field<Key> {
        &self.group_id
    }

    fn hint(&self) -> Option<(&'static str, &Field<String>)> {
        Some(("name", &self.name))
    }

    fn map(self, key: String, client: &Client<'_>, page: &mut Page) {
        let mut fields = Fields { key: &key, now: client.now(), problems: &mut page.problems };
        let name = fields.take("name", self.name);
        let vendor_status = fields.take("status", self.status);
        let (status, mfa_state) = status(vendor_status.as_deref().unwrap_or_default());

        let mut attributes = Attributes::default();
        if let Some((kind, directory)) = name.as_deref().and_then(source_directory) {
            attributes.text("source_directory", Some(directory.to_owned()));
            attributes.text("source_directory_type", Some(kind.to_owned()));
        }
        let connection = Connection {
            kind: ConnectionKind::Group,
            description: fields.take("desc", self.desc),
            status,
            vendor_status,
            mfa_state,
            is_privileged: None,
            // Duo does not give it.
            created: None,
        };
        page.entities.push(entity(GROUP, key, name, NormalForm::Connection(connection), attributes));
    }
}

/// The status, and the MFA state that it gives the members. Duo documents the word in lower case, and serves it
/// capitalized.
fn status(word: &str) -> (Status, Option<MfaState>) {
    match word.trim().to_ascii_lowercase().as_str() {
        "active" => (Status::Active, None),
        "bypass" => (Status::Active, Some(MfaState::Bypassed)),
        "disabled" => (Status::Disabled, None),
        _ => (Status::Other, None),
    }
}

/// Type and name of the directory, from a name such as `staff (from AD sync "EXAMPLE")`.
fn source_directory(name: &str) -> Option<(&str, &str)> {
    let (_, origin) = name.strip_suffix("\")")?.rsplit_once(" (from ")?;
    let (kind, directory) = origin.split_once(" sync \"")?;
    (!kind.is_empty() && !directory.is_empty()).then_some((kind, directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_a_synced_group_is_read_from_its_name() {
        for (name, expected) in [
            ("rdp (from AD sync \"AD EXAMPLE\")", Some(("AD", "AD EXAMPLE"))),
            ("rdp (from Azure sync \"x \"y\"\")", Some(("Azure", "x \"y\""))),
            ("a (from b) (from AD sync \"c\")", Some(("AD", "c"))),
            ("(from AD sync \"c\")", None),
            ("rdp (from AD sync \"\")", None),
            ("rdp (from AD sync \"c\") 2", None),
            ("rdp", None),
            ("", None),
        ] {
            assert_eq!(source_directory(name), expected, "{name}");
        }
    }
}
