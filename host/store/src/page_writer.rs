//! Writes the objects of one page: new and changed ones, and none that did not change.

use connector_sandbox::contract::types::{Entity, Relation};
use connector_sandbox::manifest::entity_type_word;
use roaring::RoaringTreemap;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::change::{self, FieldChange, Kind, Object};
use crate::seen::see;
use crate::{RunId, normal};

/// One page on its way into the store.
pub(crate) struct PageWriter<'a> {
    pub(crate) transaction: &'a Transaction<'a>,
    pub(crate) integration: i64,
    pub(crate) run: RunId,
    pub(crate) stream: &'a str,
    pub(crate) connector: i64,
    /// There is nothing to be other than.
    pub(crate) is_baseline: bool,
}

impl PageWriter<'_> {
    /// Writes what is new or other than before. The rows of all of them.
    pub(crate) fn entities(&self, entities: &[Entity]) -> rusqlite::Result<RoaringTreemap> {
        let mut find = self.transaction.prepare_cached(
            "SELECT id, name, normal, attributes, stream, gone_run IS NOT NULL FROM entity
             WHERE integration_id = ?1 AND entity_type = ?2 AND source_type = ?3 AND source_id = ?4",
        )?;
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO entity (integration_id, entity_type, source_type, source_id, name, normal, attributes,
                                 stream, connector_id, first_seen_run, search)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
                     concat_ws(char(10), ?5, ?4, ?6 ->> 'username', ?6 ->> 'emails')) RETURNING id",
        )?;
        let mut update = self.transaction.prepare_cached(
            "UPDATE entity SET name = ?2, normal = ?3, attributes = ?4, stream = ?5, connector_id = ?6, gone_run = NULL,
                 search = concat_ws(char(10), ?2, source_id, ?3 ->> 'username', ?3 ->> 'emails')
             WHERE id = ?1",
        )?;
        let mut seen = RoaringTreemap::new();
        for entity in entities {
            let entity_type = entity_type_word(normal::entity_type(&entity.normal));
            let normal = normal::fields(&entity.normal).to_string();
            let attributes = normal::attributes(&entity.attributes).to_string();
            let key = params![self.integration, entity_type, entity.source_type, entity.source_id];
            let known = find
                .query_row(key, |row| {
                    Ok(Known {
                        id: row.get(0)?,
                        values: [row.get(1)?, row.get(2)?, row.get(3)?],
                        stream: row.get(4)?,
                        is_gone: row.get(5)?,
                    })
                })
                .optional()?;
            let values = [&entity.name, &normal, &attributes];
            let Some(known) = known else {
                let id = insert.query_row(
                    params![
                        self.integration,
                        entity_type,
                        entity.source_type,
                        entity.source_id,
                        entity.name,
                        normal,
                        attributes,
                        self.stream,
                        self.connector,
                        self.run.0
                    ],
                    |row| row.get(0),
                )?;
                self.changed(Object::Entity, id, Kind::Added, &[])?;
                see(&mut seen, id);
                continue;
            };
            see(&mut seen, known.id);
            if self.is_anothers(&known)? {
                continue;
            }
            if !known.is(&values, self.stream) {
                let [name_before, normal_before, attributes_before] = &known.values;
                let mut fields = Vec::new();
                if *name_before != entity.name {
                    let (from, to) = (name_before.as_str().into(), entity.name.as_str().into());
                    fields.push(FieldChange { field: "name".to_owned(), from, to });
                }
                change::fields_between("", normal_before, &normal, &mut fields);
                change::fields_between("attributes.", attributes_before, &attributes, &mut fields);
                let row = params![known.id, entity.name, normal, attributes, self.stream, self.connector];
                update.execute(row)?;
                self.is_other(Object::Entity, &known, fields)?;
            }
        }
        Ok(seen)
    }

    /// The same for relations.
    pub(crate) fn relations(&self, relations: &[Relation]) -> rusqlite::Result<RoaringTreemap> {
        let mut find = self.transaction.prepare_cached(
            "SELECT id, privilege_value, attributes, stream, gone_run IS NOT NULL FROM relation
             WHERE integration_id = ?1 AND parent_entity_type = ?2 AND parent_source_type = ?3
               AND parent_source_id = ?4 AND privilege = ?5 AND child_entity_type = ?6 AND child_source_type = ?7
               AND child_source_id = ?8",
        )?;
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO relation (integration_id, parent_entity_type, parent_source_type, parent_source_id,
                                   privilege, child_entity_type, child_source_type, child_source_id,
                                   privilege_value, attributes, stream, connector_id, first_seen_run)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) RETURNING id",
        )?;
        let mut update = self.transaction.prepare_cached(
            "UPDATE relation SET privilege_value = ?2, attributes = ?3, stream = ?4, connector_id = ?5, gone_run = NULL
             WHERE id = ?1",
        )?;
        let mut seen = RoaringTreemap::new();
        for relation in relations {
            let Relation { parent, child, privilege, privilege_value, .. } = relation;
            let attributes = normal::attributes(&relation.attributes).to_string();
            let (parent_type, child_type) =
                (entity_type_word(parent.entity_type), entity_type_word(child.entity_type));
            let key = params![
                self.integration,
                parent_type,
                parent.source_type,
                parent.source_id,
                privilege,
                child_type,
                child.source_type,
                child.source_id
            ];
            let known = find
                .query_row(key, |row| {
                    let known = Known {
                        id: row.get(0)?,
                        values: [row.get(2)?],
                        stream: row.get(3)?,
                        is_gone: row.get(4)?,
                    };
                    Ok((known, row.get::<_, bool>(1)?))
                })
                .optional()?;
            let Some((known, value_before)) = known else {
                let id = insert.query_row(
                    params![
                        self.integration,
                        parent_type,
                        parent.source_type,
                        parent.source_id,
                        privilege,
                        child_type,
                        child.source_type,
                        child.source_id,
                        privilege_value,
                        attributes,
                        self.stream,
                        self.connector,
                        self.run.0
                    ],
                    |row| row.get(0),
                )?;
                self.changed(Object::Relation, id, Kind::Added, &[])?;
                see(&mut seen, id);
                continue;
            };
            see(&mut seen, known.id);
            if self.is_anothers(&known)? {
                continue;
            }
            if !known.is(&[&attributes], self.stream) || value_before != *privilege_value {
                let mut fields = Vec::new();
                if value_before != *privilege_value {
                    let (from, to) = (value_before.into(), (*privilege_value).into());
                    fields.push(FieldChange { field: "privilege_value".to_owned(), from, to });
                }
                let [attributes_before] = &known.values;
                change::fields_between("attributes.", attributes_before, &attributes, &mut fields);
                update.execute(params![
                    known.id,
                    privilege_value,
                    attributes,
                    self.stream,
                    self.connector
                ])?;
                self.is_other(Object::Relation, &known, fields)?;
            }
        }
        Ok(seen)
    }

    /// Whether the object is there, and another stream of this run says how it is. Two streams may tell of it differently:
    /// without an owner it would change with each run, by who comes last. Where the owner is not complete nobody knows
    /// yet; where it is, it saw the object, or what it did not see is gone or has another owner.
    fn is_anothers<const N: usize>(&self, known: &Known<N>) -> rusqlite::Result<bool> {
        if known.is_gone || known.stream == self.stream {
            return Ok(false);
        }
        let mut statement = self.transaction.prepare_cached(
            "SELECT instr(', ' || scope || ', ', ', ' || ?2 || ', ') > 0
                 OR EXISTS (SELECT 1 FROM run_stream WHERE run_id = ?1 AND stream = ?2)
             FROM run WHERE id = ?1",
        )?;
        statement.query_row(params![self.run.0, known.stream], |row| row.get(0))
    }

    /// An object was written that is other than before: by these `fields`, or because it came back.
    fn is_other<const N: usize>(
        &self,
        object: Object,
        known: &Known<N>,
        fields: Vec<FieldChange>,
    ) -> rusqlite::Result<()> {
        match (known.is_gone, fields.is_empty()) {
            (true, _) => self.changed(object, known.id, Kind::Added, &fields),
            // It has another owner now.
            (false, true) => Ok(()),
            (false, false) => self.changed(object, known.id, Kind::Changed(fields), &[]),
        }
    }

    pub(crate) fn changed(
        &self,
        object: Object,
        id: i64,
        kind: Kind,
        since: &[FieldChange],
    ) -> rusqlite::Result<()> {
        // What another stream of the run said of it is not true any more.
        if self.is_baseline && !change::is_recorded(self.transaction, self.run, object, id)? {
            return Ok(());
        }
        change::record(self.transaction, self.run, object, id, kind, since)
    }
}

/// A row that is there already.
struct Known<const N: usize> {
    id: i64,
    values: [String; N],
    stream: String,
    is_gone: bool,
}

impl<const N: usize> Known<N> {
    fn is(&self, values: &[&String; N], stream: &str) -> bool {
        !self.is_gone && self.stream == stream && self.values.each_ref() == *values
    }
}
