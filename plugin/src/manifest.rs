//! The manifest: all there is to know of this connector without a tenant, drawn from the table of streams.

use crate::contract::{
    EntitySpec, FieldSpec, Manifest, RelationSpec, RequestBudget, SettingKind, SettingSpec, StreamSpec,
};
use crate::settings::{
    API_HOSTNAME, API_HOSTNAME_PATTERN, INTEGRATION_KEY, INTEGRATION_KEY_PATTERN, SECRET_KEY, SIGNATURE,
};
use crate::signing::Scheme;
use crate::streams::{EntityRow, RelationRow, STREAMS, Stream};

/// The budget of reading lists: 200 pages a minute and account, said a Duo employee in 2019
/// (`duo_client_python`, issue 101). The documentation gives no number.
const OBJECTS: &str = "objects";

/// See `describe` in `wit/connector.wit`.
pub(crate) fn manifest() -> Manifest {
    Manifest {
        name: "duo".to_owned(),
        title: "Cisco Duo".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description:
            "Reads the users and groups of a Duo account through the Admin API: who they are, whether they \
                      are active, and whether MFA protects them. It changes nothing."
                .to_owned(),
        setup: texts(&[
            "Sign in to the Duo Admin Panel as an administrator with the role *Owner*.",
            "Go to *Applications* > *Add an Application* (in older panels: *Protect an Application*).",
            "Search for *Admin API* and click *Add* to create the application.",
            "Under *Permissions*, enable *Read* under *Grant resource*. Enable nothing that writes.",
            "If you fill in *Networks for API Access*, include the address this machine reaches the internet from.",
            "Click *Save Changes*.",
            "Copy *Integration key*, *Secret key* and *API hostname* from *Details* of the application.",
        ]),
        settings: settings(),
        hosts: vec![format!("{{{API_HOSTNAME}}}")],
        budgets: vec![RequestBudget { name: OBJECTS.to_owned(), requests: 200, per_seconds: 60 }],
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
            help: "How requests are signed. Leave it at `v5`, which Duo takes everywhere, unless Duo's support asks \
                   for another."
                .to_owned(),
            kind: SettingKind::Choice,
            required: false,
            pattern: None,
            default: Some(Scheme::default().name().to_owned()),
            example: None,
            choices: texts(&Scheme::ALL.map(Scheme::name)),
        },
    ]
}

fn stream_spec(stream: &Stream) -> StreamSpec {
    StreamSpec {
        name: stream.name.to_owned(),
        title: stream.title.to_owned(),
        entities: stream.entities.iter().map(entity_spec).collect(),
        relations: stream.relations.iter().map(relation_spec).collect(),
        usages: false,
        permissions: texts(stream.family.probe.permissions),
        optional: stream.optional,
        budget: Some(OBJECTS.to_owned()),
        incremental: false,
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
