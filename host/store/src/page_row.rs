//! Entities and relations of a page as rows of their tables.

use rusqlite::{Row, ToSql};
use serde::Serialize;

use crate::change::{FieldChange, Object, fields_between};
use crate::normal::{self, Attributes, Fields};
use crate::numbers::Numbers;
use connector_sandbox::contract::types::{Entity, NormalForm, Relation};
use connector_sandbox::manifest::entity_type_word;

/// An object of a page as a row.
pub(crate) trait PageRow {
    /// Its table.
    const OBJECT: Object;
    /// Finds the row with a key, if a stream has yielded it: `id`, `stream_id`, `is_gone`, and its values.
    const FIND: &'static str;
    /// Adds a row. Parameters: stream, connector, run, the key, the values.
    const INSERT: &'static str;
    /// Replaces the values of a row. Parameters: id, stream, connector, the values.
    const UPDATE: &'static str;

    fn key(&self) -> Vec<&dyn ToSql>;

    fn values(&self) -> Vec<&dyn ToSql>;

    /// How this differs from the row that is `stored`; `None` if all values are equal.
    fn changes_from(&self, stored: &Row<'_>) -> rusqlite::Result<Option<Vec<FieldChange>>>;
}

pub(crate) struct EntityRow<'a> {
    pub(crate) kind: i64,
    pub(crate) source_id: &'a str,
    name: &'a str,
    search: String,
    normal: String,
    attributes: String,
}

impl<'a> EntityRow<'a> {
    pub(crate) fn new(entity: &'a Entity, numbers: &mut Numbers<'a>) -> rusqlite::Result<Self> {
        let entity_type = entity_type_word(normal::entity_type(&entity.normal));
        Ok(Self {
            kind: numbers.kind(entity_type, &entity.source_type)?,
            source_id: &entity.source_id,
            name: &entity.name,
            search: search(&entity.normal),
            normal: json(&Fields(&entity.normal))?,
            attributes: json(&Attributes(&entity.attributes))?,
        })
    }
}

/// The text that a search covers besides name and key: user name and e-mail addresses, one a line.
fn search(normal: &NormalForm) -> String {
    let NormalForm::Identity(identity) = normal else { return String::new() };
    let lines: Vec<_> = identity.username.iter().chain(&identity.emails).map(String::as_str).collect();
    lines.join("\n")
}

impl PageRow for EntityRow<'_> {
    const OBJECT: Object = Object::Entity;
    const FIND: &'static str =
        "SELECT id, stream_id, gone_run IS NOT NULL AS is_gone, name, normal, attributes FROM entity
         WHERE kind_id = ?1 AND source_id = ?2 AND stream_id IS NOT NULL";
    // A relation or a usage may have added the row before.
    const INSERT: &'static str =
        "INSERT INTO entity (stream_id, connector_id, first_seen_run, kind_id, source_id, name, search, normal, attributes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (kind_id, source_id) DO UPDATE SET
             stream_id = excluded.stream_id, connector_id = excluded.connector_id,
             first_seen_run = excluded.first_seen_run, gone_run = NULL, name = excluded.name,
             search = excluded.search, normal = excluded.normal, attributes = excluded.attributes
         RETURNING id";
    const UPDATE: &'static str =
        "UPDATE entity SET stream_id = ?2, connector_id = ?3, gone_run = NULL, name = ?4, search = ?5,
             normal = ?6, attributes = ?7
         WHERE id = ?1";

    fn key(&self) -> Vec<&dyn ToSql> {
        vec![&self.kind, &self.source_id]
    }

    fn values(&self) -> Vec<&dyn ToSql> {
        vec![&self.name, &self.search, &self.normal, &self.attributes]
    }

    fn changes_from(&self, stored: &Row<'_>) -> rusqlite::Result<Option<Vec<FieldChange>>> {
        let name = text(stored, "name")?;
        let (normal, attributes) = (text(stored, "normal")?, text(stored, "attributes")?);
        if (name, normal, attributes) == (self.name, self.normal.as_str(), self.attributes.as_str()) {
            return Ok(None);
        }
        let mut changes = Vec::new();
        if name != self.name {
            changes.push(FieldChange { field: "name".to_owned(), from: name.into(), to: self.name.into() });
        }
        fields_between("", normal, &self.normal, &mut changes);
        fields_between("attributes.", attributes, &self.attributes, &mut changes);
        Ok(Some(changes))
    }
}

pub(crate) struct RelationRow {
    pub(crate) parent: i64,
    pub(crate) privilege: i64,
    pub(crate) child: i64,
    privilege_value: bool,
    attributes: String,
}

impl RelationRow {
    pub(crate) fn new<'a>(relation: &'a Relation, numbers: &mut Numbers<'a>) -> rusqlite::Result<Self> {
        let Relation { parent, privilege, privilege_value, child, attributes } = relation;
        Ok(Self {
            parent: numbers.entity(parent)?,
            privilege: numbers.privilege(privilege, parent, child)?,
            child: numbers.entity(child)?,
            privilege_value: *privilege_value,
            attributes: json(&Attributes(attributes))?,
        })
    }
}

impl PageRow for RelationRow {
    const OBJECT: Object = Object::Relation;
    const FIND: &'static str =
        "SELECT id, stream_id, gone_run IS NOT NULL AS is_gone, privilege_value, attributes FROM relation
         WHERE parent_id = ?1 AND privilege_id = ?2 AND child_id = ?3";
    const INSERT: &'static str =
        "INSERT INTO relation (stream_id, connector_id, first_seen_run, parent_id, privilege_id, child_id,
                               privilege_value, attributes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id";
    const UPDATE: &'static str =
        "UPDATE relation SET stream_id = ?2, connector_id = ?3, gone_run = NULL, privilege_value = ?4,
             attributes = ?5
         WHERE id = ?1";

    fn key(&self) -> Vec<&dyn ToSql> {
        vec![&self.parent, &self.privilege, &self.child]
    }

    fn values(&self) -> Vec<&dyn ToSql> {
        vec![&self.privilege_value, &self.attributes]
    }

    fn changes_from(&self, stored: &Row<'_>) -> rusqlite::Result<Option<Vec<FieldChange>>> {
        let value: bool = stored.get("privilege_value")?;
        let attributes = text(stored, "attributes")?;
        if (value, attributes) == (self.privilege_value, self.attributes.as_str()) {
            return Ok(None);
        }
        let mut changes = Vec::new();
        if value != self.privilege_value {
            let (from, to) = (value.into(), self.privilege_value.into());
            changes.push(FieldChange { field: "privilege_value".to_owned(), from, to });
        }
        fields_between("attributes.", attributes, &self.attributes, &mut changes);
        Ok(Some(changes))
    }
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// A text of a row, without a copy of it.
fn text<'a>(row: &'a Row<'_>, column: &str) -> rusqlite::Result<&'a str> {
    Ok(row.get_ref(column)?.as_str()?)
}
