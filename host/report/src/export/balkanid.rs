//! The upload formats of BalkanID: entities, the relations between them, and entitlements as a flat list. The names and the
//! order of the columns are BalkanID's own.

use serde_json::{Map, Value, json};

use super::folder::Folder;
use super::{ExportError, table, texts};
use connector_store::{EntityRow, Reader, RelationRow};

const ENTITIES: [&str; 8] = [
    "App",
    "Name",
    "Entity Type",
    "Source System",
    "Source ID",
    "Source Type",
    "Metadata Version",
    "Metadata",
];

const RELATIONS: [&str; 8] = [
    "App",
    "Parent Entity Source ID",
    "Parent Entity Type",
    "Entity Source ID",
    "Entity Type",
    "Source System",
    "Metadata Version",
    "Metadata",
];

const ENTITLEMENTS: [&str; 11] = [
    "Project",
    "Privilege Name",
    "Privilege Value",
    "Email",
    "User ID",
    "Username",
    "Name",
    "Connection",
    "Connection Type",
    "Resource",
    "Resource Type",
];

/// The version of the column `Metadata`.
const METADATA_VERSION: &str = "v1";

pub(super) fn export(store: &Reader, folder: &mut Folder<'_>) -> Result<(), ExportError> {
    table::write(folder, "entities.csv", &ENTITIES, |table| {
        store.entities(|row| {
            let metadata = metadata(&row)?;
            table.cells(entity(
                &row.integration,
                &row.name,
                &row.entity_type,
                &row.source_id,
                &row.source_type,
                &metadata,
            ))
        })?;
        // Each source id of a relation must exist among the entities.
        store.referred_entities(|row| {
            let [integration, entity_type, source_type, source_id, name] = texts(&row);
            table.cells(entity(
                integration,
                name,
                entity_type,
                source_id,
                source_type,
                r#"{"present":false}"#,
            ))
        })
    })?;
    table::write(folder, "entity_relations.csv", &RELATIONS, |table| {
        store.relations(|row| {
            let metadata = relation_metadata(&row)?;
            let [parent_type, _, parent_id] = &row.parent;
            let [child_type, _, child_id] = &row.child;
            let app = row.integration.as_str();
            table.cells([app, parent_id, parent_type, child_id, child_type, app, METADATA_VERSION, &metadata])
        })
    })?;
    table::write(folder, "entitlements.csv", &ENTITLEMENTS, |table| {
        store.entitlements(|row| {
            let [project, privilege, value, rest @ ..] = texts::<11>(&row);
            let value = if value == "1" { "true" } else { "false" };
            table.cells([project, privilege, value].into_iter().chain(rest))
        })
    })
}

/// A row of `entities.csv`.
fn entity<'a>(
    integration: &'a str,
    name: &'a str,
    entity_type: &'a str,
    source_id: &'a str,
    source_type: &'a str,
    metadata: &'a str,
) -> [&'a str; 8] {
    [integration, name, entity_type, integration, source_id, source_type, METADATA_VERSION, metadata]
}

/// The normal fields that have a value, and the vendor's own under `attributes`.
fn metadata(row: &EntityRow) -> Result<String, ExportError> {
    let mut fields: Map<String, Value> = serde_json::from_str(&row.normal).map_err(ExportError::Row)?;
    fields.retain(|_, value| !value.is_null());
    let attributes = serde_json::from_str(&row.attributes).map_err(ExportError::Row)?;
    fields.insert("attributes".to_owned(), attributes);
    Ok(Value::Object(fields).to_string())
}

fn relation_metadata(row: &RelationRow) -> Result<String, ExportError> {
    let attributes: Value = serde_json::from_str(&row.attributes).map_err(ExportError::Row)?;
    let mut metadata = json!({
        "project": row.integration,
        "privilegeName": row.privilege,
        "privilegeValue": row.privilege_value,
        "parentSourceType": row.parent[1],
        "sourceType": row.child[1],
        "attributes": attributes,
    });
    // The provider of the access, which may be either end.
    let connection =
        [&row.child, &row.parent].into_iter().find(|[entity_type, ..]| entity_type == "connection");
    if let (Some([_, source_type, _]), Some(metadata)) = (connection, metadata.as_object_mut()) {
        metadata.insert("connectionType".to_owned(), source_type.as_str().into());
    }
    Ok(metadata.to_string())
}

#[cfg(test)]
mod tests {
    use crate::export::{Existing, Format, export};
    use crate::test_store::{TestStore, VENDORS};

    #[test]
    fn a_deny_is_false_and_an_end_that_was_not_read_is_an_entity() {
        let vendor = VENDORS[1];
        let mut store = TestStore::new(vendor);
        store
            .user("ann", |ann| ann.emails = vec!["=ann@example.com".to_owned()])
            .group("staff")
            .application("vpn");
        store.relate((vendor.user, "ann"), "member", (vendor.group, "staff"), true);
        store.relate((vendor.group, "staff"), "access", (vendor.application, "vpn"), false);
        store.relate((vendor.user, "ann"), "member", (vendor.group, "unread"), true);
        store.relate((vendor.user, "ann"), "owns", (vendor.authenticator, "key"), true);
        let folder = tempfile::tempdir().unwrap();
        export(&store.read(true), Format::Balkanid, folder.path(), Existing::Refuse, None).unwrap();
        let lines = |name: &str| {
            let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
            let mut lines: Vec<_> = text.lines().skip(1).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(
            lines("entitlements.csv"),
            [
                "acme,access,false,'=ann@example.com,ann,ann,ann,staff,team,vpn,app",
                "acme,member,true,'=ann@example.com,ann,ann,ann,unread,team,,",
                "acme,owns,true,'=ann@example.com,ann,ann,ann,,,key,passkey",
            ]
        );
        let entities = lines("entities.csv");
        assert!(
            entities
                .contains(&r#"acme,unread,connection,acme,unread,team,v1,"{""present"":false}""#.to_owned()),
            "{entities:?}"
        );
        assert_eq!(entities.len(), 5, "{entities:?}");
    }
}
