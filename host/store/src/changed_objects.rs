//! The objects that runs changed, with the keys and names of both ends of a relation.

use chrono::{DateTime, Utc};
use rusqlite::Row;

use crate::{FieldChange, Reader, RunId, StoreError};

/// An object that a run added, changed or removed, with what is known of it now.
#[derive(Clone, Debug)]
pub struct ChangedObject {
    /// The run.
    pub run: RunId,
    /// When the run ended; when it began if it may be resumed.
    pub found_at: DateTime<Utc>,
    /// The integration.
    pub integration: String,
    /// `added`, `changed` or `removed`.
    pub kind: String,
    /// The changed fields; none where it was added or removed.
    pub fields: Vec<FieldChange>,
    /// The entity; the parent of a relation.
    pub entity: ObjectName,
    /// The rest of a relation.
    pub relation: Option<ChangedRelation>,
}

/// What a changed relation has beside its parent.
#[derive(Clone, Debug)]
pub struct ChangedRelation {
    /// The privilege.
    pub privilege: String,
    /// Whether it grants; otherwise it denies.
    pub grants: bool,
    /// The child.
    pub child: ObjectName,
}

/// The key and the name of an object, also of one that was removed or that the vendor does not list.
#[derive(Clone, Debug)]
pub struct ObjectName {
    /// `identity`, `connection` or `resource`.
    pub entity_type: String,
    /// Its source type.
    pub source_type: String,
    /// Its key.
    pub source_id: String,
    /// Its name; its key where none is known.
    pub name: String,
}

impl ObjectName {
    fn parse(
        row: &Row<'_>,
        [entity_type, source_type, source_id, name]: [&str; 4],
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            entity_type: row.get(entity_type)?,
            source_type: row.get(source_type)?,
            source_id: row.get(source_id)?,
            name: row.get(name)?,
        })
    }
}

impl ChangedObject {
    fn parse(row: &Row<'_>) -> rusqlite::Result<Self> {
        let fields: Option<String> = row.get("fields")?;
        let privilege: Option<String> = row.get("privilege")?;
        let child = ["child_entity_type", "child_source_type", "child_source_id", "child_name"];
        let relation = match privilege {
            None => None,
            Some(privilege) => Some(ChangedRelation {
                privilege,
                grants: row.get("privilege_value")?,
                child: ObjectName::parse(row, child)?,
            }),
        };
        Ok(Self {
            run: RunId(row.get("run_id")?),
            found_at: row.get("found_at")?,
            integration: row.get("integration")?,
            kind: row.get("kind")?,
            fields: fields.and_then(|fields| serde_json::from_str(&fields).ok()).unwrap_or_default(),
            entity: ObjectName::parse(row, ["entity_type", "source_type", "source_id", "name"])?,
            relation,
        })
    }
}

impl Reader {
    /// Calls `each` for every change that runs after `since` found, in the order of the runs.
    ///
    /// # Errors
    ///
    /// When SQLite fails, or `each` does.
    pub fn changed_objects<E: From<StoreError>>(
        &self,
        since: RunId,
        each: impl FnMut(ChangedObject) -> Result<(), E>,
    ) -> Result<(), E> {
        // The order is that of the primary key of `change`, so that SQLite sorts nothing.
        let query = "SELECT c.run_id, coalesce(r.finished_at, r.started_at) AS found_at, i.name AS integration, c.kind,
                            c.fields, k.entity_type, k.source_type, e.source_id, coalesce(e.name, e.source_id) AS name,
                            p.name AS privilege, o.privilege_value, child_kind.entity_type AS child_entity_type,
                            child_kind.source_type AS child_source_type, child.source_id AS child_source_id,
                            coalesce(child.name, child.source_id) AS child_name
                     FROM change c
                     JOIN run r ON r.id = c.run_id
                     JOIN integration i ON i.id = r.integration_id
                     LEFT JOIN relation o ON c.object = 'relation' AND o.id = c.object_id
                     LEFT JOIN privilege p ON p.id = o.privilege_id
                     LEFT JOIN entity child ON child.id = o.child_id
                     LEFT JOIN kind child_kind ON child_kind.id = child.kind_id
                     JOIN entity e ON e.id = CASE c.object WHEN 'entity' THEN c.object_id ELSE o.parent_id END
                     JOIN kind k ON k.id = e.kind_id
                     WHERE c.run_id > ?1 ORDER BY c.run_id, c.object, c.object_id";
        self.each(query, [since.0], ChangedObject::parse, each)
    }
}
