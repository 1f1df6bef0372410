//! Stream `desktop-authenticators`: Duo Desktop as an authenticator, from `/admin/v1/desktop_authenticators`.
//!
//! Of these objects, only the name of the key field is confirmed. The other fields are read under the names that Duo
//! uses in other lists. A field with another name is ignored, so that no secret is read.

use serde::Deserialize;

use super::groups::RESOURCE;
use super::list::read_list;
use super::object::{Attributes, Fields, Object, entity, grant, identity, resource};
use super::users::{USER, UserOf};
use super::{EntityRow, RelationRow, Stream};
use crate::api::{Client, Endpoint};
use crate::contract::{Authenticator, AuthenticatorFactor, EntityType, NormalForm, Page, Resource};
use crate::lenient::{Field, Key, List, Record};
use crate::moment::Moment;
use crate::permission_group::GRANT_RESOURCE_READ;

const DESKTOP_AUTHENTICATOR: &str = "desktop-authenticator";

const ENDPOINT: Endpoint<'_> =
    Endpoint { path: "/admin/v1/desktop_authenticators", permissions: GRANT_RESOURCE_READ, v5_only: false };

/// The largest page of other lists; undocumented for this list. Duo may serve less.
const LIMIT: u32 = 500;

pub(super) static STREAM: Stream = Stream {
    name: "desktop-authenticators",
    title: "Desktop authenticators",
    entities: &[EntityRow {
        entity_type: EntityType::Resource,
        source_type: DESKTOP_AUTHENTICATOR,
        title: "Desktop authenticators",
        fields: &[
            ("factor", "always `desktop`"),
            ("platform", "`os`, `os_family` or `platform`"),
            ("model", "`model`"),
            ("added", "`date_added`, `created` or `creation_date`"),
            ("last_seen", "`last_seen` or `last_used`"),
        ],
        attributes: &[("os_version", "Version of its operating system")],
    }],
    relations: &[RelationRow {
        parent: USER,
        privilege: "owns",
        child: DESKTOP_AUTHENTICATOR,
        description: "The user registered the computer (`user`, `users` or `user_id`)",
    }],
    optional: false,
    log: false,
    permission_group: &RESOURCE,
    read: |client, position| read_list::<DesktopAuthenticator>(client, &ENDPOINT, LIMIT, position),
};

/// A desktop authenticator, as Duo may serve it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DesktopAuthenticator {
    dakey: Field<Key>,
    device_name: Field<String>,
    name: Field<String>,
    hostname: Field<String>,
    os: Field<String>,
    os_family: Field<String>,
    platform: Field<String>,
    os_version: Field<String>,
    model: Field<String>,
    date_added: Field<Moment>,
    created: Field<Moment>,
    creation_date: Field<Moment>,
    last_seen: Field<Moment>,
    last_used: Field<Moment>,
    user: Field<Record<UserOf>>,
    users: List<UserOf>,
    user_id: Field<Key>,
}

impl Object for DesktopAuthenticator {
    const KEY: &'static str = "dakey";

    fn key(&self) -> &Field<Key> {
        &self.dakey
    }

    fn map(self, key: String, client: &Client<'_>, page: &mut Page) {
        let mut fields = Fields { key: &key, now: client.now(), problems: &mut page.problems };
        let names = [("device_name", self.device_name), ("name", self.name), ("hostname", self.hostname)];
        let name = names.into_iter().find_map(|(name, field)| fields.take(name, field));
        let platforms = [("os", self.os), ("os_family", self.os_family), ("platform", self.platform)];
        let added = [
            ("date_added", self.date_added),
            ("created", self.created),
            ("creation_date", self.creation_date),
        ];
        let seen = [("last_seen", self.last_seen), ("last_used", self.last_used)];
        let mut first = |times: Vec<(&str, Field<Moment>)>| {
            times.into_iter().find_map(|(name, field)| fields.past(name, field))
        };
        let (added, last_seen) = (first(added.into()), first(seen.into()));
        let authenticator = Authenticator {
            factor: AuthenticatorFactor::Desktop,
            // Depends on the policy: it is phishing-resistant with proximity checks.
            phishing_resistant: None,
            platform: platforms.into_iter().find_map(|(name, field)| fields.take(name, field)),
            model: fields.take("model", self.model),
            activated: None,
            added,
            last_seen,
        };
        let mut attributes = Attributes::default();
        attributes.text("os_version", fields.take("os_version", self.os_version));
        let mut users = fields.keys("users", self.users);
        users.extend(fields.nested("user", self.user));
        users.extend(fields.take("user_id", self.user_id).map(String::from));
        users.sort();
        users.dedup();
        for user in users {
            page.relations.push(grant(identity(USER, user), "owns", resource(DESKTOP_AUTHENTICATOR, &*key)));
        }
        let normal = NormalForm::Resource(Resource::Authenticator(authenticator));
        page.entities.push(entity(DESKTOP_AUTHENTICATOR, key, name, normal, attributes));
    }
}
