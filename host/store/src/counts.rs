//! Counts what a run saw and what it changed, by kind.

use std::collections::BTreeMap;

use rusqlite::params;
use serde::Serialize;

use crate::change::Object;
use crate::read::count;
use crate::seen::{By, seen};
use crate::{Reader, RunId, StoreError};

/// How many entities of a source type a run saw, added, changed and removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct EntityCount {
    pub entity_type: String,
    pub source_type: String,
    pub seen: u64,
    pub new: u64,
    pub changed: u64,
    pub gone: u64,
}

/// How many relations of a kind a run saw, added, changed and removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct RelationCount {
    pub parent: String,
    pub privilege: String,
    pub child: String,
    pub seen: u64,
    pub new: u64,
    pub changed: u64,
    pub gone: u64,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    seen: u64,
    new: u64,
    changed: u64,
    gone: u64,
}

/// Counts by the number of a kind, or of a privilege.
type ByNumber = BTreeMap<i64, Counts>;

impl Reader {
    /// What `run` saw, by source type.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn entity_counts(&self, run: RunId) -> Result<Vec<EntityCount>, StoreError> {
        let counts = self.counts(run, Object::Entity).map_err(|error| self.sqlite(error))?;
        let query = "SELECT id, entity_type, source_type FROM kind ORDER BY entity_type, source_type";
        let rows = self.rows(query, [], |row| {
            let Some(Counts { seen, new, changed, gone }) = counts.get(&row.get("id")?).copied() else {
                return Ok(None);
            };
            let (entity_type, source_type) = (row.get("entity_type")?, row.get("source_type")?);
            Ok(Some(EntityCount { entity_type, source_type, seen, new, changed, gone }))
        })?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// What `run` saw, by kind of relation.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn relation_counts(&self, run: RunId) -> Result<Vec<RelationCount>, StoreError> {
        let counts = self.counts(run, Object::Relation).map_err(|error| self.sqlite(error))?;
        let query =
            "SELECT p.id, parent.source_type AS parent, p.name AS privilege, child.source_type AS child
                     FROM privilege p
                     JOIN kind parent ON parent.id = p.parent_kind_id
                     JOIN kind child ON child.id = p.child_kind_id
                     ORDER BY parent, privilege, child";
        let rows = self.rows(query, [], |row| {
            let Some(Counts { seen, new, changed, gone }) = counts.get(&row.get("id")?).copied() else {
                return Ok(None);
            };
            let (parent, privilege, child) = (row.get("parent")?, row.get("privilege")?, row.get("child")?);
            Ok(Some(RelationCount { parent, privilege, child, seen, new, changed, gone }))
        })?;
        Ok(rows.into_iter().flatten().collect())
    }

    fn counts(&self, run: RunId, object: Object) -> rusqlite::Result<ByNumber> {
        let mut counts = ByNumber::new();
        self.count_seen(run, object, &mut counts)?;
        let table = object.word();
        let mut changes = self.connection.prepare(&format!(
            "SELECT o.{} AS number, c.kind, count(*) AS counted FROM change c JOIN {table} o ON o.id = c.object_id
             WHERE c.run_id = ?1 AND c.object = '{table}' AND o.first_seen_run < ?1 GROUP BY number, c.kind",
            number_column(object)
        ))?;
        let mut rows = changes.query([run.0])?;
        while let Some(row) = rows.next()? {
            let counted = count(row, "counted")?;
            let counts = counts.entry(row.get("number")?).or_default();
            match row.get_ref("kind")?.as_str()? {
                "added" => counts.new += counted,
                "removed" => counts.gone += counted,
                _ => counts.changed += counted,
            }
        }
        Ok(counts)
    }

    /// Counts the present objects that any stream of the run saw. They are found by the stream they belong to.
    fn count_seen(&self, run: RunId, object: Object, counts: &mut ByNumber) -> rusqlite::Result<()> {
        let streams: Vec<(i64, bool)> = self
            .connection
            .prepare(
                "SELECT stream.id, s.state = 'complete' AND s.whole AS is_whole
                 FROM run_stream s
                 JOIN run r ON r.id = s.run_id
                 JOIN stream ON stream.name = s.stream AND stream.integration_id = r.integration_id
                 WHERE s.run_id = ?1",
            )?
            .query_map([run.0], |row| Ok((row.get("id")?, row.get("is_whole")?)))?
            .collect::<Result<_, _>>()?;
        let seen_by_any = seen(&self.connection, run, object, By::All)?;
        let mut present = self.connection.prepare(&format!(
            "SELECT id, {} AS number, first_seen_run = ?1 AS is_new FROM {} WHERE stream_id = ?2 AND gone_run IS NULL",
            number_column(object),
            object.word()
        ))?;
        for (stream, is_whole) in streams {
            let mut rows = present.query(params![run.0, stream])?;
            while let Some(row) = rows.next()? {
                // A stream that was read whole saw all its present objects.
                if is_whole || seen_by_any.contains(count(row, "id")?) {
                    let counts = counts.entry(row.get("number")?).or_default();
                    counts.seen += 1;
                    counts.new += u64::from(row.get::<_, bool>("is_new")?);
                }
            }
        }
        Ok(())
    }
}

/// The column that objects are counted by.
fn number_column(object: Object) -> &'static str {
    match object {
        Object::Entity => "kind_id",
        Object::Relation => "privilege_id",
    }
}
