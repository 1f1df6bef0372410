//! Stream `phones`: phones and tablets, with or without Duo Mobile, from `/admin/v1/phones`.
//!
//! The fields left out, and why:
//!
//! | field | reason |
//! |---|---|
//! | `predelay`, `postdelay`, `sms_passcodes_sent` | telephony details |
//! | `users`, except the keys | partial; the stream `users` has the complete users |

use serde::Deserialize;

use super::groups::RESOURCE;
use super::list::read_list;
use super::object::{
    Attributes, Fields, Object, entity, grant, identity, phone_label, phone_number, resource,
};
use super::users::{USER, UserOf};
use super::{EntityRow, RelationRow, Stream};
use crate::api::{Client, Endpoint};
use crate::contract::{Authenticator, AuthenticatorFactor, EntityType, NormalForm, Page, Resource};
use crate::lenient::{Field, Key, List};
use crate::moment::Moment;
use crate::permission_group::GRANT_RESOURCE_READ;

const PHONE: &str = "phone";

const ENDPOINT: Endpoint<'_> =
    Endpoint { path: "/admin/v1/phones", permissions: GRANT_RESOURCE_READ, v5_only: false };

/// The largest page that Duo serves here.
const LIMIT: u32 = 500;

pub(super) static STREAM: Stream = Stream {
    name: "phones",
    title: "Phones",
    entities: &[EntityRow {
        entity_type: EntityType::Resource,
        source_type: PHONE,
        title: "Phones",
        fields: &[
            ("factor", "always `phone`"),
            ("phishing_resistant", "always false: calls, passcodes and pushes can be phished"),
            ("platform", "`platform`"),
            ("model", "`model`"),
            ("activated", "`activated`: whether Duo Mobile is set up on it"),
            ("added", "`creation_date`"),
            ("last_seen", "`last_seen`"),
        ],
        attributes: &[
            (
                "number",
                "The phone number; only its last four digits if the setting `mask-phone-numbers` is true",
            ),
            ("extension", "The extension"),
            ("type", "`Mobile`, `Landline`, `Unknown`, ..."),
            ("capabilities", "What it can be used for: `push`, `sms`, `phone`, `mobile_otp`, ..."),
            ("os_version", "Version of its operating system"),
            ("app_version", "Version of Duo Mobile"),
            ("encrypted", "Whether its storage is encrypted, in Duo's words"),
            ("fingerprint", "Whether biometrics are set up, in Duo's words"),
            ("screenlock", "Whether it has a screen lock, in Duo's words"),
            ("tampered", "Whether it is jailbroken or rooted, in Duo's words"),
            ("quarantined", "Whether Duo quarantined it"),
            ("last_activated", "When Duo Mobile was last activated on it"),
        ],
    }],
    relations: &[RelationRow {
        parent: USER,
        privilege: "owns",
        child: PHONE,
        description: "The phone is one of the user's (`users` of the phone). Several users may share one",
    }],
    optional: false,
    log: false,
    permission_group: &RESOURCE,
    read: |client, position| read_list::<Phone>(client, &ENDPOINT, LIMIT, position),
};

/// A phone, as Duo serves it in the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Phone {
    phone_id: Field<Key>,
    number: Field<String>,
    extension: Field<String>,
    name: Field<String>,
    #[serde(rename = "type")]
    kind: Field<String>,
    platform: Field<String>,
    model: Field<String>,
    os_version: Field<String>,
    app_version: Field<String>,
    activated: Field<bool>,
    capabilities: Field<Vec<Field<String>>>,
    encrypted: Field<String>,
    fingerprint: Field<String>,
    screenlock: Field<String>,
    tampered: Field<String>,
    last_seen: Field<Moment>,
    creation_date: Field<Moment>,
    last_activated_date: Field<Moment>,
    quarantined: Field<bool>,
    users: List<UserOf>,
}

impl Object for Phone {
    const KEY: &'static str = "phone_id";

    fn key(&self) -> &Field<Key> {
        &self.phone_id
    }

    fn map(self, key: String, client: &Client<'_>, page: &mut Page) {
        let mut fields = Fields { key: &key, now: client.now(), problems: &mut page.problems };
        let number = phone_number(client, fields.take("number", self.number));
        let model = fields.take("model", self.model);
        let name = phone_label(client, fields.take("name", self.name));
        let name = name.or_else(|| number.clone()).or_else(|| model.clone());

        let mut attributes = Attributes::default();
        attributes.text("number", number);
        attributes.text("extension", fields.take("extension", self.extension));
        attributes.text("type", fields.take("type", self.kind));
        attributes.texts("capabilities", fields.list("capabilities", self.capabilities));
        attributes.text("os_version", fields.take("os_version", self.os_version));
        attributes.text("app_version", fields.take("app_version", self.app_version));
        attributes.text("encrypted", fields.take("encrypted", self.encrypted));
        attributes.text("fingerprint", fields.take("fingerprint", self.fingerprint));
        attributes.text("screenlock", fields.take("screenlock", self.screenlock));
        attributes.text("tampered", fields.take("tampered", self.tampered));
        attributes.boolean("quarantined", fields.take("quarantined", self.quarantined));
        let activated = fields.past("last_activated_date", self.last_activated_date);
        attributes.timestamp("last_activated", activated);

        let authenticator = Authenticator {
            factor: AuthenticatorFactor::Phone,
            phishing_resistant: Some(false),
            platform: fields.take("platform", self.platform),
            model,
            activated: fields.take("activated", self.activated),
            added: fields.past("creation_date", self.creation_date),
            last_seen: fields.past("last_seen", self.last_seen),
        };
        for user in fields.keys("users", self.users) {
            page.relations.push(grant(identity(USER, user), "owns", resource(PHONE, &*key)));
        }
        let normal = NormalForm::Resource(Resource::Authenticator(authenticator));
        page.entities.push(entity(PHONE, key, name, normal, attributes));
    }
}
