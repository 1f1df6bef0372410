//! Stream `hardware-tokens`: one-time-password devices of users and of administrators, from `/admin/v1/tokens`.

use serde::Deserialize;

use super::administrators::{ADMINISTRATOR, AdministratorOf};
use super::groups::RESOURCE;
use super::list::read_list;
use super::object::{Attributes, Fields, Object, entity, grant, identity, resource};
use super::users::{USER, UserOf};
use super::{EntityRow, RelationRow, Stream};
use crate::api::{Client, Endpoint};
use crate::contract::{Authenticator, AuthenticatorFactor, EntityType, NormalForm, Page, Resource};
use crate::lenient::{Field, Key, List};
use crate::permission_group::GRANT_RESOURCE_READ;

/// The source type of a hardware token.
pub(super) const HARDWARE_TOKEN: &str = "hardware-token";

const ENDPOINT: Endpoint<'_> =
    Endpoint { path: "/admin/v1/tokens", permissions: GRANT_RESOURCE_READ, v5_only: false };

/// The largest page that Duo serves here.
const LIMIT: u32 = 500;

pub(super) static STREAM: Stream = Stream {
    name: "hardware-tokens",
    title: "Hardware tokens",
    entities: &[EntityRow {
        entity_type: EntityType::Resource,
        source_type: HARDWARE_TOKEN,
        title: "Hardware tokens",
        fields: &[
            ("factor", "always `hardware-token`"),
            ("phishing_resistant", "always false: a one-time password can be phished"),
            ("model", "`type`, in words"),
        ],
        attributes: &[
            ("serial", "The serial number, unique within a type"),
            ("type", "Duo's word for the type: `h6`, `h8`, `t6`, `t8`, `yk`, `d1`, ..."),
            ("totp_step", "Seconds that a time-based password lasts"),
        ],
    }],
    relations: &[
        RelationRow {
            parent: USER,
            privilege: "owns",
            child: HARDWARE_TOKEN,
            description: "The token is the user's (`users` of the token)",
        },
        RelationRow {
            parent: ADMINISTRATOR,
            privilege: "owns",
            child: HARDWARE_TOKEN,
            description: "The token is the administrator's (`admins` of the token)",
        },
    ],
    optional: false,
    log: false,
    permission_group: &RESOURCE,
    read: |client, position| read_list::<Token>(client, &ENDPOINT, LIMIT, position),
};

/// A token, as Duo serves it in the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Token {
    token_id: Field<Key>,
    serial: Field<String>,
    #[serde(rename = "type")]
    kind: Field<String>,
    totp_step: Field<i64>,
    users: List<UserOf>,
    admins: List<AdministratorOf>,
}

impl Object for Token {
    const KEY: &'static str = "token_id";

    fn key(&self) -> &Field<Key> {
        &self.token_id
    }

    fn hint(&self) -> Option<(&'static str, &Field<String>)> {
        Some(("serial", &self.serial))
    }

    fn map(self, key: String, client: &Client<'_>, page: &mut Page) {
        let mut fields = Fields { key: &key, now: client.now(), problems: &mut page.problems };
        let serial = fields.take("serial", self.serial);
        let kind = fields.take("type", self.kind);
        let model = kind.as_deref().map(model);
        let name = match (&model, &serial) {
            (Some(model), Some(serial)) => Some(format!("{model} {serial}")),
            (model, serial) => serial.clone().or_else(|| model.map(str::to_owned)),
        };
        let authenticator = Authenticator {
            factor: AuthenticatorFactor::HardwareToken,
            phishing_resistant: Some(false),
            platform: None,
            model: model.map(str::to_owned),
            // Duo does not give these.
            activated: None,
            added: None,
            last_seen: None,
        };
        let mut attributes = Attributes::default();
        attributes.integer("totp_step", fields.take("totp_step", self.totp_step));
        for user in fields.keys("users", self.users) {
            page.relations.push(grant(identity(USER, user), "owns", resource(HARDWARE_TOKEN, &*key)));
        }
        for administrator in fields.keys("admins", self.admins) {
            let administrator = identity(ADMINISTRATOR, administrator);
            page.relations.push(grant(administrator, "owns", resource(HARDWARE_TOKEN, &*key)));
        }
        let normal = NormalForm::Resource(Resource::Authenticator(authenticator));
        attributes.text("serial", serial);
        attributes.text("type", kind.clone());
        page.entities.push(entity(HARDWARE_TOKEN, key, name, normal, attributes));
    }
}

/// What Duo's word for a type means. An unknown word is used as the model.
fn model(kind: &str) -> &str {
    match kind {
        "h6" => "HOTP token (6 digits)",
        "h8" => "HOTP token (8 digits)",
        "t6" => "TOTP token (6 digits)",
        "t8" => "TOTP token (8 digits)",
        "yk" => "YubiKey (AES)",
        "d1" => "Duo-D100 token",
        other => other,
    }
}
