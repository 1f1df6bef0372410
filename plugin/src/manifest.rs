//! The manifest: all information about this connector that needs no tenant, built from the table of streams.

use crate::contract::{
    EntitySpec, FieldSpec, Manifest, RelationSpec, RequestBudget, SettingKind, SettingSpec, StreamSpec,
};
use crate::paging::{log, offset};
use crate::settings::{
    ACCOUNT_ID, ACCOUNT_ID_PATTERN, API_HOSTNAME, API_HOSTNAME_PATTERN, INTEGRATION_KEY,
    INTEGRATION_KEY_PATTERN, LOG_DAYS, LOG_DAYS_PATTERN, MASK_PHONE_NUMBERS, MOST_DAYS, SECRET_KEY,
    SIGNATURE,
};
use crate::signing::Scheme;
use crate::streams::{EntityRow, RelationRow, STREAMS, Stream};

/// The budget for reading lists: 200 pages per minute and account, according to a Duo employee in 2019
/// (`duo_client_python`, issue 101). The documentation gives no number.
const OBJECTS: &str = "objects";
/// The budget for reading the authentication log: 2 requests per minute and account, from the same source. All
/// readers of the account's logs share it.
const AUTHENTICATION_LOG: &str = "authentication-log";

/// See `describe` in `wit/connector.wit`.
pub(crate) fn manifest() -> Manifest {
    Manifest {
        name: "duo".to_owned(),
        title: "Cisco Duo".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description:
            "Reads a Duo account through the Admin API: users, groups, authenticators and bypass codes, applications \
             and who may use them, policies, administrators with their roles and units, service accounts, and when \
             applications were last used. It changes nothing."
                .to_owned(),
        setup: texts(&[
            "Sign in to the Duo Admin Panel as an administrator with the role *Owner*.",
            "Go to *Applications* > *Add an Application* (in older panels: *Protect an Application*).",
            "Search for *Admin API* and click *Add* to create the application.",
            "Under *Permissions*, enable *Grant resource - Read* (in older panels: *Grant read resource*). Without more, \
             users, groups, authenticators, bypass codes, applications and policies are read.",
            "Enable *Grant administrators - Read* too, for administrators, their roles and administrative units.",
            "Optional: enable *Grant read information* for the account's id and edition, and *Grant read log* for the \
             last use of applications.",
            "Enable nothing else: no permission to write is needed, and none is used. (Some accounts are reported to \
             list applications only with *Grant applications*, which permits changes too: `check` shows whether yours \
             does.)",
            "If you fill in *Networks for API Access*, include the address this machine reaches the internet from.",
            "Click *Save Changes*.",
            "Copy *Integration key*, *Secret key* and *API hostname* from *Details* of the application.",
        ]),
        settings: settings(),
        hosts: vec![format!("{{{API_HOSTNAME}}}")],
        budgets: vec![
            RequestBudget { name: OBJECTS.to_owned(), requests: 200, per_seconds: 60 },
            RequestBudget { name: AUTHENTICATION_LOG.to_owned(), requests: 2, per_seconds: 60 },
        ],
        streams: STREAMS.iter().map(|stream| stream_spec(stream)).collect(),
    }
}

fn settings() -> Vec<SettingSpec> {
    vec![
        SettingSpec {
            name: API_HOSTNAME.to_owned(),
            title: "API hostname".to_owned(),
            help: "From *Details* of the Admin API application; without `https://`.".to_owned(),
            kind: SettingKind::Text,
            required: true,
            pattern: Some(API_HOSTNAME_PATTERN.to_owned()),
            default: None,
            example: Some("api-XXXXXXXX.duosecurity.com".to_owned()),
            choices: Vec::new(),
        },
        SettingSpec {
            name: INTEGRATION_KEY.to_owned(),
            title: "Integration key".to_owned(),
            help: "From *Details* of the Admin API application. Begins with `DI`.".to_owned(),
            kind: SettingKind::Text,
            required: true,
            pattern: Some(INTEGRATION_KEY_PATTERN.to_owned()),
            default: None,
            example: Some("DIXXXXXXXXXXXXXXXXXX".to_owned()),
            choices: Vec::new(),
        },
        SettingSpec {
            name: SECRET_KEY.to_owned(),
            title: "Secret key".to_owned(),
            help: "From *Details* of the Admin API application, without white space around it. Treat it like a \
                   password."
                .to_owned(),
            kind: SettingKind::Secret,
            required: true,
            pattern: None,
            default: None,
            example: None,
            choices: Vec::new(),
        },
        SettingSpec {
            name: SIGNATURE.to_owned(),
            title: "Signature".to_owned(),
            help: "How requests are signed. Leave it at `v5`, which Duo accepts everywhere, unless Duo's support \
                   asks for another."
                .to_owned(),
            kind: SettingKind::Choice,
            required: false,
            pattern: None,
            default: Some(Scheme::default().name().to_owned()),
            example: None,
            choices: texts(&Scheme::ALL.map(Scheme::name)),
        },
        SettingSpec {
            name: LOG_DAYS.to_owned(),
            title: "Log window".to_owned(),
            help: "How many days back the first run reads the authentication log, 1 to 180. Later runs continue from \
                   there. A page has 1,000 events, and the connector requests at most two pages a minute."
                .to_owned(),
            kind: SettingKind::Integer,
            required: false,
            pattern: Some(LOG_DAYS_PATTERN.to_owned()),
            default: Some(MOST_DAYS.to_string()),
            example: Some("90".to_owned()),
            choices: Vec::new(),
        },
        SettingSpec {
            name: MASK_PHONE_NUMBERS.to_owned(),
            title: "Mask phone numbers".to_owned(),
            help: "Keeps only the last four digits of phone numbers. The other digits never leave the connector."
                .to_owned(),
            kind: SettingKind::Boolean,
            required: false,
            pattern: None,
            default: Some("false".to_owned()),
            example: None,
            choices: Vec::new(),
        },
        SettingSpec {
            name: ACCOUNT_ID.to_owned(),
            title: "Child account".to_owned(),
            help: "For managed service providers: the id of a child account, if the keys belong to an Accounts API \
                   application of the parent. *API hostname* is then that of the child."
                .to_owned(),
            kind: SettingKind::Text,
            required: false,
            pattern: Some(ACCOUNT_ID_PATTERN.to_owned()),
            default: None,
            example: Some("DAXXXXXXXXXXXXXXXXXX".to_owned()),
            choices: Vec::new(),
        },
    ]
}

fn stream_spec(stream: &Stream) -> StreamSpec {
    StreamSpec {
        name: stream.name.to_owned(),
        title: stream.title.to_owned(),
        entities: stream.entities.iter().map(entity_spec).collect(),
        relations: stream.relations.iter().map(relation_spec).collect(),
        usages: stream.log,
        permissions: texts(stream.permission_group.permissions),
        optional: stream.optional,
        budget: Some(if stream.log { AUTHENTICATION_LOG } else { OBJECTS }.to_owned()),
        incremental: stream.log,
        cursor_version: if stream.log { log::CURSOR_VERSION } else { offset::CURSOR_VERSION },
    }
}

fn entity_spec(row: &EntityRow) -> EntitySpec {
    EntitySpec {
        entity_type: row.entity_type,
        source_type: row.source_type.to_owned(),
        title: row.title.to_owned(),
        fields: row.fields.iter().map(field_spec).collect(),
        attributes: row.attributes.iter().map(field_spec).collect(),
    }
}

fn relation_spec(row: &RelationRow) -> RelationSpec {
    RelationSpec {
        parent: row.parent.to_owned(),
        privilege: row.privilege.to_owned(),
        child: row.child.to_owned(),
        description: row.description.to_owned(),
    }
}

fn field_spec(&(name, description): &(&str, &str)) -> FieldSpec {
    FieldSpec { name: name.to_owned(), description: description.to_owned() }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}
