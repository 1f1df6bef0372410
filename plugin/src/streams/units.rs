//! Stream `administrative-units`: the units that restrict administrators to groups and applications, from
//! `/admin/v1/administrative_units`.
//!
//! If the list does not give the contents of a unit, a request for that unit reads them.

use serde::Deserialize;

use super::applications::APPLICATION;
use super::groups::GROUP;
use super::list::{Listed, empty_page, list, map_element};
use super::object::{Attributes, Fields, Object, connection, entity, grant, resource};
use super::{EntityRow, RelationRow, Stream};
use crate::api::{Client, Endpoint};
use crate::contract::{
    Connection, ConnectionKind, EntityType, Error, ErrorKind, Level, NormalForm, Page, Position, Progress,
    Status,
};
use crate::lenient::{Field, Key, Record};
use crate::paging::offset::Cursor;
use crate::permission_group::{GRANT_ADMINISTRATORS_READ, PermissionGroup, first_of};
use crate::signing;

/// The source type of an administrative unit.
pub(super) const ADMINISTRATIVE_UNIT: &str = "administrative-unit";

pub(crate) const ENDPOINT: Endpoint<'_> = Endpoint {
    path: "/admin/v1/administrative_units",
    permissions: GRANT_ADMINISTRATORS_READ,
    v5_only: false,
};

/// Smaller than Duo's largest page: each unit may cost a request of its own, and one call reads all units of a page.
const LIMIT: u32 = 50;
/// Failed requests after which a call ends early.
const MOST_FAILURES: usize = 2;

/// Administrative units, which not every edition has.
pub(crate) static ADMINISTRATIVE_UNITS: PermissionGroup = PermissionGroup {
    permissions: GRANT_ADMINISTRATORS_READ,
    edition_of: Some(&super::administrators::ADMINISTRATORS),
    probe: |client| first_of(client, &ENDPOINT),
};

pub(super) static STREAM: Stream = Stream {
    name: "administrative-units",
    title: "Administrative units",
    entities: &[EntityRow {
        entity_type: EntityType::Connection,
        source_type: ADMINISTRATIVE_UNIT,
        title: "Administrative units",
        fields: &[
            ("kind", "always `administrative-unit`"),
            ("description", "`description`"),
            ("status", "always active: Duo has no other status"),
        ],
        attributes: &[
            (
                "restrict_by_groups",
                "Whether it restricts to groups; if not, its administrators reach all users",
            ),
            (
                "restrict_by_integrations",
                "Whether it restricts to applications; if not, its administrators reach all of them",
            ),
        ],
    }],
    relations: &[
        RelationRow {
            parent: ADMINISTRATIVE_UNIT,
            privilege: "scope",
            child: GROUP,
            description: "The unit has the group (`groups` of its details)",
        },
        RelationRow {
            parent: ADMINISTRATIVE_UNIT,
            privilege: "scope",
            child: APPLICATION,
            description: "The unit has the application (`integrations` of its details)",
        },
    ],
    optional: false,
    log: false,
    permission_group: &ADMINISTRATIVE_UNITS,
    read,
};

fn read(client: &Client<'_>, position: &Position) -> Result<Page, Error> {
    let cursor = Cursor::at(position, None)?;
    if !cursor.left.is_empty() {
        let page = empty_page(cursor.without_left());
        let asked = cursor.left.len();
        return read_details(client, cursor.left, page, asked);
    }
    let Listed { objects, mut page } = list::<Unit>(client, &ENDPOINT, LIMIT, &cursor)?;
    let mut keys = Vec::new();
    for (place, unit) in objects {
        match &unit {
            Field::Value(Record(Unit {
                admin_unit_id: Field::Value(Key(key)),
                groups,
                integrations,
                ..
            })) if *groups == Field::Missing || *integrations == Field::Missing => {
                keys.push(key.clone());
            }
            _ => map_element(client, unit, &place, &mut page),
        }
    }
    // Reading the list is progress, so this call may leave any number of units.
    read_details(client, keys, page, usize::MAX)
}

/// Adds the units with these `keys` to `page`, with one request for each. After temporary failures, the page ends with
/// the units that were read, and its cursor names the others. If these are not fewer than `before`, the call fails, so
/// that the host waits before it calls again.
fn read_details(
    client: &Client<'_>,
    keys: Vec<String>,
    mut page: Page,
    before: usize,
) -> Result<Page, Error> {
    let mut left = Vec::new();
    let mut failed = Vec::new();
    for key in keys {
        if failed.len() == MOST_FAILURES {
            left.push(key);
            continue;
        }
        match details(client, &key) {
            Ok(Some(whole)) => map_element(client, whole, &format!("the unit `{key}`"), &mut page),
            Ok(None) => client.log(Level::Info, &format!("unit `{key}` was deleted while it was read")),
            Err(error) if matches!(error.kind, ErrorKind::RateLimited(_) | ErrorKind::Unavailable(_)) => {
                failed.push(error);
                left.push(key);
            }
            Err(error) => return Err(error),
        }
    }
    let Some(error) = failed.pop() else { return Ok(page) };
    let next = (left.len() < before).then(|| Cursor::after(left, &page.progress)).flatten().ok_or(error)?;
    page.progress = Progress::More(next.to_string());
    Ok(page)
}

/// A unit with its contents; `None` if it has been deleted.
fn details(client: &Client<'_>, key: &str) -> Result<Option<Field<Record<Unit>>>, Error> {
    let path = format!("{}/{}", ENDPOINT.path, signing::percent_encode(key));
    let endpoint = Endpoint { path: &path, ..ENDPOINT };
    match client.get::<Field<Record<Unit>>>(&endpoint, &[]) {
        Ok(reply) => {
            let mut unit = reply.response;
            if let Field::Value(Record(unit)) = &mut unit
                && unit.admin_unit_id == Field::Missing
            {
                unit.admin_unit_id = Field::Value(Key(key.to_owned()));
            }
            Ok(Some(unit))
        }
        Err(error) if error.code.as_deref() == Some("40401") => Ok(None),
        Err(error) => Err(error),
    }
}

/// A unit, as Duo serves it in the list, or by its key.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Unit {
    admin_unit_id: Field<Key>,
    name: Field<String>,
    description: Field<String>,
    restrict_by_groups: Field<bool>,
    restrict_by_integrations: Field<bool>,
    groups: Field<Vec<Field<Key>>>,
    integrations: Field<Vec<Field<Key>>>,
}

impl Object for Unit {
    const KEY: &'static str = "admin_unit_id";

    fn key(&self) -> &Field<Key> {
        &self.admin_unit_id
    }

    fn hint(&self) -> Option<(&'static str, &Field<String>)> {
        Some(("name", &self.name))
    }

    fn map(self, key: String, client: &Client<'_>, page: &mut Page) {
        let mut fields = Fields { key: &key, now: client.now(), problems: &mut page.problems };
        let name = fields.take("name", self.name);
        let unit = || connection(ADMINISTRATIVE_UNIT, &*key);
        for group in fields.list("groups", self.groups) {
            page.relations.push(grant(unit(), "scope", connection(GROUP, group)));
        }
        for application in fields.list("integrations", self.integrations) {
            page.relations.push(grant(unit(), "scope", resource(APPLICATION, application)));
        }
        let mut attributes = Attributes::default();
        attributes.boolean("restrict_by_groups", fields.take("restrict_by_groups", self.restrict_by_groups));
        let by_integrations = fields.take("restrict_by_integrations", self.restrict_by_integrations);
        attributes.boolean("restrict_by_integrations", by_integrations);
        let normal = Connection {
            kind: ConnectionKind::AdministrativeUnit,
            description: fields.take("description", self.description),
            status: Status::Active,
            vendor_status: None,
            mfa_state: None,
            is_privileged: None,
            created: None,
        };
        page.entities.push(entity(
            ADMINISTRATIVE_UNIT,
            key,
            name,
            NormalForm::Connection(normal),
            attributes,
        ));
    }
}
