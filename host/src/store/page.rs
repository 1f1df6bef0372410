//! A page on its way into the store.

use roaring::RoaringTreemap;
use rusqlite::{OptionalExtension, Transaction, params};

use super::change::{self, FieldChange, Kind, Object};
use super::run::now;
use super::{RunId, Store, StoreError, StreamState};
use crate::contract::api::{Page, Progress, Window};
use crate::contract::types::{Entity, Relation, Timestamp, Usage};
use crate::manifest::entity_type_word;
use crate::normal;

/// Which connector read a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageReader {
    /// Its name.
    pub connector: String,
    /// Its version.
    pub version: String,
    /// Its SHA-256.
    pub digest: String,
    /// The version of the stream's cursors.
    pub cursor_version: u32,
}

impl Store {
    /// Keeps a page and its checkpoint, in one transaction. The last page makes the stream complete, and marks
    /// as gone what the stream had before and did not see in this run, unless it began after a bookmark.
    ///
    /// # Errors
    ///
    /// When SQLite fails; nothing of the page is kept then.
    pub fn commit_page(
        &mut self,
        run: RunId,
        stream: &str,
        page: &Page,
        reader: &PageReader,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let integration: i64 = transaction
                .prepare_cached("SELECT integration_id FROM run WHERE id = ?1")?
                .query_row([run.0], |row| row.get(0))?;
            let connector = connector_id(transaction, reader)?;
            let is_baseline = transaction
                .prepare_cached("SELECT baseline FROM run_stream WHERE run_id = ?1 AND stream = ?2")?
                .query_row(params![run.0, stream], |row| row.get(0))?;
            let writer = PageWriter { transaction, integration, run, stream, connector, is_baseline };
            let entities = writer.entities(&page.entities)?;
            let relations = writer.relations(&page.relations)?;
            writer.usages(&page.usages)?;
            writer.problems(page)?;
            writer.page(page, &entities, &relations)?;
            writer.checkpoint(page, reader.cursor_version)?;
            if matches!(page.progress, Progress::Done(_)) && writer.is_whole()? {
                writer.mark_gone()?;
            }
            Ok(())
        })
    }
}

/// The row of a connector, made where it is not there.
fn connector_id(transaction: &Transaction<'_>, reader: &PageReader) -> rusqlite::Result<i64> {
    let row = params![reader.connector, reader.version, reader.digest];
    let find = "SELECT id FROM connector WHERE name = ?1 AND version = ?2 AND digest = ?3";
    let found = transaction.prepare_cached(find)?.query_row(row, |row| row.get(0)).optional()?;
    match found {
        Some(id) => Ok(id),
        None => transaction.query_row(
            "INSERT INTO connector (name, version, digest) VALUES (?1, ?2, ?3) RETURNING id",
            row,
            |row| row.get(0),
        ),
    }
}

/// One page on its way into the store.
struct PageWriter<'a> {
    transaction: &'a Transaction<'a>,
    integration: i64,
    run: RunId,
    stream: &'a str,
    connector: i64,
    /// There is nothing to be other than.
    is_baseline: bool,
}

impl PageWriter<'_> {
    /// Writes what is new or other than before. The rows of all of them.
    fn entities(&self, entities: &[Entity]) -> rusqlite::Result<RoaringTreemap> {
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
    fn relations(&self, relations: &[Relation]) -> rusqlite::Result<RoaringTreemap> {
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

    /// An object was written that is other than before: by these `fields`, or because it came back.
    fn is_other<const N: usize>(
        &self,
        object: Object,
        known: &Known<N>,
        fields: Vec<FieldChange>,
    ) -> rusqlite::Result<()> {
        match (known.is_gone, fields.is_empty()) {
            (true, _) => self.changed(object, known.id, Kind::Added, &fields),
            // Another stream has it now.
            (false, true) => Ok(()),
            (false, false) => self.changed(object, known.id, Kind::Changed(fields), &[]),
        }
    }

    fn changed(&self, object: Object, id: i64, kind: Kind, since: &[FieldChange]) -> rusqlite::Result<()> {
        if self.is_baseline {
            return Ok(());
        }
        change::record(self.transaction, self.run, object, id, kind, since)
    }

    /// Merges with what is known: the latest time wins, whatever order events come in.
    fn usages(&self, usages: &[Usage]) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare_cached(
            "INSERT INTO usage (integration_id, resource_source_type, resource_source_id, identity_source_type,
                                identity_source_id, last_success, last_attempt, last_attempt_result,
                                last_attempt_vendor, stream, last_seen_run, resource_name, identity_name)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT DO UPDATE SET
                 last_success = nullif(max(coalesce(last_success, ''), coalesce(excluded.last_success, '')), ''),
                 last_attempt_result = CASE WHEN excluded.last_attempt >= coalesce(last_attempt, '')
                     THEN excluded.last_attempt_result ELSE last_attempt_result END,
                 last_attempt_vendor = CASE WHEN excluded.last_attempt >= coalesce(last_attempt, '')
                     THEN excluded.last_attempt_vendor ELSE last_attempt_vendor END,
                 last_attempt = nullif(max(coalesce(last_attempt, ''), coalesce(excluded.last_attempt, '')), ''),
                 resource_name = CASE WHEN excluded.last_attempt >= coalesce(last_attempt, '')
                     THEN coalesce(excluded.resource_name, resource_name) ELSE resource_name END,
                 identity_name = CASE WHEN excluded.last_attempt >= coalesce(last_attempt, '')
                     THEN coalesce(excluded.identity_name, identity_name) ELSE identity_name END,
                 stream = excluded.stream, last_seen_run = excluded.last_seen_run",
        )?;
        for usage in usages {
            let identity = usage.identity.as_ref();
            let attempt = usage.last_attempt.as_ref();
            statement.execute(params![
                self.integration,
                usage.resource.source_type,
                usage.resource.source_id,
                identity.map_or("", |identity| identity.source_type.as_str()),
                identity.map_or("", |identity| identity.source_id.as_str()),
                usage.last_success.map(time),
                attempt.map(|attempt| time(attempt.at)),
                attempt.map(|attempt| normal::attempt_result(attempt.result)),
                attempt.and_then(|attempt| attempt.vendor_result.as_deref()),
                self.stream,
                self.run.0,
                usage.resource_name,
                usage.identity_name,
            ])?;
        }
        Ok(())
    }

    fn problems(&self, page: &Page) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare_cached(
            "INSERT OR IGNORE INTO problem (run_id, stream, source_id, field, message) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for problem in &page.problems {
            statement.execute(params![
                self.run.0,
                self.stream,
                problem.source_id,
                problem.field,
                problem.message
            ])?;
        }
        Ok(())
    }

    /// Which connector read how much.
    fn page(
        &self,
        page: &Page,
        seen_entities: &RoaringTreemap,
        seen_relations: &RoaringTreemap,
    ) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare_cached(
            "INSERT INTO run_page (run_id, stream, connector_id, committed_at, entities, relations, usages, problems,
                                   seen_entities, seen_relations)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        statement.execute(params![
            self.run.0,
            self.stream,
            self.connector,
            now(),
            count(page.entities.len()),
            count(page.relations.len()),
            count(page.usages.len()),
            count(page.problems.len()),
            bitmap(seen_entities),
            bitmap(seen_relations),
        ])?;
        Ok(())
    }

    fn checkpoint(&self, page: &Page, cursor_version: u32) -> rusqlite::Result<()> {
        let (state, cursor, bookmark) = match &page.progress {
            Progress::More(cursor) => (StreamState::Running, Some(cursor), None),
            Progress::Done(bookmark) => (StreamState::Complete, None, bookmark.as_ref()),
        };
        let Window { from, to } = page.window.unwrap_or(Window { from: 0, to: 0 });
        let window = page.window.map(|_| (time(from), time(to)));
        let mut statement = self.transaction.prepare_cached(
            "UPDATE run_stream
             SET state = ?3, cursor = ?4, bookmark = ?5, pages = pages + 1, total = coalesce(?6, total),
                 cursor_version = ?9, ended_at = CASE WHEN ?3 = 'complete' THEN ?10 END, window_from = coalesce(?7, window_from), window_to = coalesce(?8, window_to)
             WHERE run_id = ?1 AND stream = ?2",
        )?;
        statement.execute(params![
            self.run.0,
            self.stream,
            state.word(),
            cursor,
            bookmark,
            page.total.map(|total| i64::try_from(total).unwrap_or(i64::MAX)),
            window.as_ref().map(|(from, _)| from),
            window.as_ref().map(|(_, to)| to),
            cursor_version,
            now(),
        ])?;
        Ok(())
    }

    /// Whether the stream began at the beginning, so that it saw all there is.
    fn is_whole(&self) -> rusqlite::Result<bool> {
        self.transaction.query_row(
            "SELECT whole FROM run_stream WHERE run_id = ?1 AND stream = ?2",
            params![self.run.0, self.stream],
            |row| row.get(0),
        )
    }

    /// Marks as gone what the stream had, and did not see in this run.
    fn mark_gone(&self) -> rusqlite::Result<()> {
        for object in [Object::Entity, Object::Relation] {
            let seen = seen(self.transaction, self.run, self.stream, object)?;
            let table = object.word();
            let mut here = self.transaction.prepare_cached(&format!(
                "SELECT id FROM {table} WHERE integration_id = ?1 AND stream = ?2 AND gone_run IS NULL"
            ))?;
            let mut gone = RoaringTreemap::new();
            let mut rows = here.query(params![self.integration, self.stream])?;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
                if !seen.contains(id.unsigned_abs()) {
                    see(&mut gone, id);
                }
            }
            let mut mark = self
                .transaction
                .prepare_cached(&format!("UPDATE {table} SET gone_run = ?2 WHERE id = ?1"))?;
            for id in gone {
                let id = id.cast_signed();
                mark.execute(params![id, self.run.0])?;
                self.changed(object, id, Kind::Removed, &[])?;
            }
        }
        // From here on it is what is there.
        let mut forget = self.transaction.prepare_cached(
            "UPDATE run_page SET seen_entities = NULL, seen_relations = NULL WHERE run_id = ?1 AND stream = ?2",
        )?;
        forget.execute(params![self.run.0, self.stream]).map(drop)
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

fn see(seen: &mut RoaringTreemap, id: i64) {
    // SQLite counts from one.
    seen.insert(id.unsigned_abs());
}

fn bitmap(seen: &RoaringTreemap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(seen.serialized_size());
    // A vector takes all that is written to it.
    let _ = seen.serialize_into(&mut bytes);
    bytes
}

/// The rows that the pages of `stream` in `run` saw, so far as it is not complete.
pub(super) fn seen(
    connection: &rusqlite::Connection,
    run: RunId,
    stream: &str,
    object: Object,
) -> rusqlite::Result<RoaringTreemap> {
    let column = match object {
        Object::Entity => "seen_entities",
        Object::Relation => "seen_relations",
    };
    let mut pages = connection.prepare_cached(&format!(
        "SELECT {column} FROM run_page WHERE run_id = ?1 AND stream = ?2 AND NOT distrusted AND {column} IS NOT NULL"
    ))?;
    let mut seen = RoaringTreemap::new();
    let mut rows = pages.query(params![run.0, stream])?;
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(0)?.as_blob()?;
        let page = RoaringTreemap::deserialize_from(bytes).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, error.into())
        })?;
        seen |= page;
    }
    Ok(seen)
}

/// A time as the store has it: text that sorts by time.
fn time(seconds: Timestamp) -> String {
    match normal::time(seconds) {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}
