//! Stream `webauthn-credentials`: passkeys, security keys and platform authenticators, from
//! `/admin/v1/webauthncredentials`.
//!
//! Credentials of administrators may be in this list too, or only inside the administrator. The stream `administrators`
//! maps them in the same way.

use serde::Deserialize;

use super::administrators::{ADMINISTRATOR, AdministratorOf};
use super::groups::RESOURCE;
use super::list::read_list;
use super::object::{Attributes, Fields, Object, entity, grant, identity, resource};
use super::users::{USER, UserOf};
use super::{EntityRow, RelationRow, Stream};
use crate::api::{Client, Endpoint};
use crate::contract::{Authenticator, AuthenticatorFactor, EntityType, NormalForm, Page, Resource};
use crate::lenient::{Field, Key, Record};
use crate::moment::Moment;
use crate::permission_group::GRANT_RESOURCE_READ;

/// The source type of a WebAuthn credential.
pub(super) const WEBAUTHN_CREDENTIAL: &str = "webauthn-credential";

const ENDPOINT: Endpoint<'_> =
    Endpoint { path: "/admin/v1/webauthncredentials", permissions: GRANT_RESOURCE_READ, v5_only: false };

/// The largest page that Duo serves here.
const LIMIT: u32 = 500;

/// The description of a credential in the manifest, for this stream and for `administrators`.
pub(super) const CREDENTIALS: EntityRow = EntityRow {
    entity_type: EntityType::Resource,
    source_type: WEBAUTHN_CREDENTIAL,
    title: "WebAuthn credentials",
    fields: &[
        ("factor", "always `webauthn`"),
        ("phishing_resistant", "always true: the browser binds each sign-in to its site"),
        ("model", "`label`: the kind of authenticator"),
        ("added", "`date_added`"),
    ],
    attributes: &[("uv_capable", "Whether it can verify the user by PIN or biometrics")],
};

pub(super) static STREAM: Stream = Stream {
    name: "webauthn-credentials",
    title: "WebAuthn credentials",
    entities: &[CREDENTIALS],
    relations: &[
        RelationRow {
            parent: USER,
            privilege: "owns",
            child: WEBAUTHN_CREDENTIAL,
            description: "The credential is the user's (`user` of the credential)",
        },
        RelationRow {
            parent: ADMINISTRATOR,
            privilege: "owns",
            child: WEBAUTHN_CREDENTIAL,
            description: "The credential is the administrator's (`admin` of the credential)",
        },
    ],
    optional: false,
    log: false,
    permission_group: &RESOURCE,
    read: |client, position| read_list::<Credential>(client, &ENDPOINT, LIMIT, position),
};

/// A credential, as Duo serves it in the list, and inside an administrator.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Credential {
    pub(super) webauthnkey: Field<Key>,
    credential_name: Field<String>,
    label: Field<String>,
    date_added: Field<Moment>,
    uv_capable: Field<bool>,
    user: Field<Record<UserOf>>,
    admin: Field<Record<AdministratorOf>>,
}

impl Object for Credential {
    const KEY: &'static str = "webauthnkey";

    fn key(&self) -> &Field<Key> {
        &self.webauthnkey
    }

    fn hint(&self) -> Option<(&'static str, &Field<String>)> {
        Some(("credential_name", &self.credential_name))
    }

    fn map(self, key: String, client: &Client<'_>, page: &mut Page) {
        let mut fields = Fields { key: &key, now: client.now(), problems: &mut page.problems };
        let label = fields.take("label", self.label);
        let name = fields.take("credential_name", self.credential_name).or_else(|| label.clone());
        let authenticator = Authenticator {
            factor: AuthenticatorFactor::Webauthn,
            phishing_resistant: Some(true),
            platform: None,
            model: label,
            activated: None,
            added: fields.past("date_added", self.date_added),
            last_seen: None,
        };
        let mut attributes = Attributes::default();
        attributes.boolean("uv_capable", fields.take("uv_capable", self.uv_capable));
        let user = fields.nested("user", self.user).map(|user| identity(USER, user));
        let administrator = fields.nested("admin", self.admin).map(|admin| identity(ADMINISTRATOR, admin));
        for owner in user.into_iter().chain(administrator) {
            page.relations.push(grant(owner, "owns", resource(WEBAUTHN_CREDENTIAL, &*key)));
        }
        let normal = NormalForm::Resource(Resource::Authenticator(authenticator));
        page.entities.push(entity(WEBAUTHN_CREDENTIAL, key, name, normal, attributes));
    }
}
