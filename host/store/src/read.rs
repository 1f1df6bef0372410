//! What is there.

use std::collections::BTreeMap;

use rusqlite::{Row, params};
use serde::Serialize;

use crate::change::Object;
use crate::seen::{By, seen};
use crate::{Reader, RunId, StoreError};

/// An entity that is there.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns of the tables in `migrations`")]
pub struct EntityRow {
    pub integration: String,
    pub entity_type: String,
    pub source_type: String,
    pub source_id: String,
    pub name: String,
    pub normal: String,
    pub attributes: String,
}

/// A relation that is there.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns of the tables in `migrations`")]
pub struct RelationRow {
    pub integration: String,
    pub parent: [String; 3],
    pub privilege: String,
    pub privilege_value: bool,
    pub child: [String; 3],
    pub attributes: String,
}

/// The last use of a resource.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns of the tables in `migrations`")]
pub struct UsageRow {
    pub integration: String,
    pub resource: [String; 2],
    pub resource_name: Option<String>,
    pub identity: Option<[String; 2]>,
    pub identity_name: Option<String>,
    pub last_success: Option<String>,
    pub last_attempt: Option<String>,
    pub last_attempt_result: Option<String>,
    pub last_attempt_vendor: Option<String>,
    /// The time that the usages of this stream cover.
    pub window: Option<[String; 2]>,
}

/// How many entities of a source type a run saw, and how many it found gone.
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

/// How many relations of a kind a run saw, and how many it found gone.
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

/// Which connector read a stream of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the columns of the view `run_connector` in `migrations`")]
pub struct ConnectorUse {
    pub stream: String,
    pub version: String,
    pub digest: String,
    pub pages: u64,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    seen: u64,
    new: u64,
    changed: u64,
    gone: u64,
}

/// An object that could not be understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the columns of the tables in `migrations`")]
pub struct StoredProblem {
    pub stream: String,
    pub source_id: Option<String>,
    pub field: Option<String>,
    pub message: String,
}

pub(crate) fn count(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(index)?.unsigned_abs())
}

/// Entities that are there; `EntityRow::parse` reads a row.
const ENTITIES: &str =
    "SELECT i.name, e.entity_type, e.source_type, e.source_id, e.name, e.normal, e.attributes
    FROM entity e JOIN integration i ON i.id = e.integration_id WHERE e.gone_run IS NULL";

impl EntityRow {
    /// Whether its kind is `application`, so that identities may have access to it.
    #[must_use]
    pub fn is_application(&self) -> bool {
        let normal: serde_json::Value = serde_json::from_str(&self.normal).unwrap_or_default();
        normal.get("kind").is_some_and(|kind| kind == "application")
    }

    pub(crate) fn parse(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            integration: row.get(0)?,
            entity_type: row.get(1)?,
            source_type: row.get(2)?,
            source_id: row.get(3)?,
            name: row.get(4)?,
            normal: row.get(5)?,
            attributes: row.get(6)?,
        })
    }
}

impl Reader {
    /// Which connector read which stream of a run.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn connectors_of(&self, run: RunId) -> Result<Vec<ConnectorUse>, StoreError> {
        let find = || -> rusqlite::Result<Vec<ConnectorUse>> {
            let mut statement = self.connection.prepare_cached(
                "SELECT stream, version, digest, pages FROM run_connector WHERE run = ?1
                 ORDER BY stream, first_page_at",
            )?;
            let rows = statement.query_map([run.0], |row| {
                Ok(ConnectorUse {
                    stream: row.get(0)?,
                    version: row.get(1)?,
                    digest: row.get(2)?,
                    pages: count(row, 3)?,
                })
            })?;
            rows.collect()
        };
        find().map_err(|error| self.sqlite(error))
    }

    /// Calls `each` for every entity that is there, one row at a time.
    ///
    /// # Errors
    ///
    /// When SQLite fails, or `each` does.
    pub fn entities<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(EntityRow) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each(ENTITIES, EntityRow::parse, &mut each)
    }

    /// Calls `each` for every relation that is there, one row at a time.
    ///
    /// # Errors
    ///
    /// When SQLite fails, or `each` does.
    pub fn relations<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(RelationRow) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each(
            "SELECT i.name, r.parent_entity_type, r.parent_source_type, r.parent_source_id, r.privilege,
                    r.privilege_value, r.child_entity_type, r.child_source_type, r.child_source_id, r.attributes
             FROM relation r JOIN integration i ON i.id = r.integration_id WHERE r.gone_run IS NULL",
            |row| {
                Ok(RelationRow {
                    integration: row.get(0)?,
                    parent: [row.get(1)?, row.get(2)?, row.get(3)?],
                    privilege: row.get(4)?,
                    privilege_value: row.get(5)?,
                    child: [row.get(6)?, row.get(7)?, row.get(8)?],
                    attributes: row.get(9)?,
                })
            },
            &mut each,
        )
    }

    /// Calls `each` for every usage, one row at a time.
    ///
    /// # Errors
    ///
    /// When SQLite fails, or `each` does.
    pub fn usages<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(UsageRow) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each(
            "SELECT i.name, u.resource_source_type, u.resource_source_id, u.identity_source_type,
                    u.identity_source_id, u.last_success, u.last_attempt, u.last_attempt_result,
                    u.last_attempt_vendor, u.resource_name, u.identity_name, w.window_from, w.window_to
             FROM usage u JOIN integration i ON i.id = u.integration_id
             LEFT JOIN usage_window w ON w.integration_id = u.integration_id AND w.stream = u.stream",
            |row| {
                let identity: [String; 2] = [row.get(3)?, row.get(4)?];
                Ok(UsageRow {
                    integration: row.get(0)?,
                    resource: [row.get(1)?, row.get(2)?],
                    identity: Some(identity).filter(|[source_type, _]| !source_type.is_empty()),
                    last_success: row.get(5)?,
                    last_attempt: row.get(6)?,
                    last_attempt_result: row.get(7)?,
                    last_attempt_vendor: row.get(8)?,
                    resource_name: row.get(9)?,
                    identity_name: row.get(10)?,
                    window: match (row.get(11)?, row.get(12)?) {
                        (Some(from), Some(to)) => Some([from, to]),
                        _ => None,
                    },
                })
            },
            &mut each,
        )
    }

    fn each<T, E: From<StoreError>>(
        &self,
        query: &str,
        parse: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
        each: &mut impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        let sqlite = |error| self.sqlite(error);
        let mut statement = self.connection.prepare(query).map_err(sqlite)?;
        let mut rows = statement.query([]).map_err(sqlite)?;
        while let Some(row) = rows.next().map_err(sqlite)? {
            each(parse(row).map_err(sqlite)?)?;
        }
        Ok(())
    }

    /// The first `limit` entities of a source type that are there, by key.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn first_entities(&self, source_type: &str, limit: u32) -> Result<Vec<EntityRow>, StoreError> {
        let list = || -> rusqlite::Result<Vec<EntityRow>> {
            let query = format!("{ENTITIES} AND e.source_type = ?1 ORDER BY e.source_id LIMIT {limit}");
            self.connection.prepare(&query)?.query_map([source_type], EntityRow::parse)?.collect()
        };
        list().map_err(|error| self.sqlite(error))
    }

    /// How many entities of a source type are there.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn entity_total(&self, source_type: &str) -> Result<u64, StoreError> {
        let query = "SELECT count(*) FROM entity WHERE source_type = ?1 AND gone_run IS NULL";
        let total = self.connection.query_row(query, [source_type], |row| count(row, 0));
        total.map_err(|error| self.sqlite(error))
    }

    /// What `run` saw, by source type.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn entity_counts(&self, run: RunId) -> Result<Vec<EntityCount>, StoreError> {
        let counts = self.counts(run, Object::Entity, ["entity_type", "source_type", "''"]);
        let counts = counts.map_err(|error| self.sqlite(error))?;
        let count = |([entity_type, source_type, _], count): ([String; 3], Counts)| {
            let Counts { seen, new, changed, gone } = count;
            EntityCount { entity_type, source_type, seen, new, changed, gone }
        };
        Ok(counts.into_iter().map(count).collect())
    }

    /// What `run` saw, by kind of relation.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn relation_counts(&self, run: RunId) -> Result<Vec<RelationCount>, StoreError> {
        let counts =
            self.counts(run, Object::Relation, ["parent_source_type", "privilege", "child_source_type"]);
        let counts = counts.map_err(|error| self.sqlite(error))?;
        let count = |([parent, privilege, child], count): ([String; 3], Counts)| {
            let Counts { seen, new, changed, gone } = count;
            RelationCount { parent, privilege, child, seen, new, changed, gone }
        };
        Ok(counts.into_iter().map(count).collect())
    }

    /// Counts the objects of each kind, as `kind` names it.
    fn counts(
        &self,
        run: RunId,
        object: Object,
        kind: [&str; 3],
    ) -> rusqlite::Result<BTreeMap<[String; 3], Counts>> {
        let table = object.word();
        let columns = kind.join(", ");
        let kind = |row: &Row<'_>| -> rusqlite::Result<_> { Ok([row.get(0)?, row.get(1)?, row.get(2)?]) };
        let mut counts: BTreeMap<[String; 3], Counts> = BTreeMap::new();

        let streams: Vec<(String, bool)> = self
            .connection
            .prepare("SELECT stream, state = 'complete' AND whole FROM run_stream WHERE run_id = ?1")?
            .query_map([run.0], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        // An object counts whichever stream saw it.
        let seen_by_any = seen(&self.connection, run, object, By::Others(""))?;
        for (stream, is_whole) in streams {
            // Of a stream that was read whole, what is there was seen.
            let mut here = self.connection.prepare_cached(&format!(
                "SELECT {columns}, id, first_seen_run = ?1 FROM {table}
                 WHERE integration_id = (SELECT integration_id FROM run WHERE id = ?1) AND stream = ?2
                   AND gone_run IS NULL"
            ))?;
            let mut rows = here.query(params![run.0, stream])?;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(3)?;
                if is_whole || seen_by_any.contains(id.unsigned_abs()) {
                    let count = counts.entry(kind(row)?).or_default();
                    count.seen += 1;
                    count.new += u64::from(row.get::<_, bool>(4)?);
                }
            }
        }
        let mut changes = self.connection.prepare(&format!(
            "SELECT {columns}, c.kind, count(*) FROM change c JOIN {table} o ON o.id = c.object_id
             WHERE c.run_id = ?1 AND c.object = '{table}' AND o.first_seen_run < ?1 GROUP BY 1, 2, 3, 4"
        ))?;
        let mut rows = changes.query([run.0])?;
        while let Some(row) = rows.next()? {
            let counted = count(row, 4)?;
            let counts = counts.entry(kind(row)?).or_default();
            match row.get::<_, String>(3)?.as_str() {
                "added" => counts.new += counted,
                "removed" => counts.gone += counted,
                _ => counts.changed += counted,
            }
        }
        Ok(counts)
    }

    /// The first `limit` problems of `run`.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn problems(&self, run: RunId, limit: u32) -> Result<Vec<StoredProblem>, StoreError> {
        let query = format!(
            "SELECT stream, source_id, field, message FROM problem WHERE run_id = ?1 ORDER BY rowid LIMIT {limit}"
        );
        self.list(&query, run, |row| {
            Ok(StoredProblem {
                stream: row.get(0)?,
                source_id: row.get(1)?,
                field: row.get(2)?,
                message: row.get(3)?,
            })
        })
    }

    /// How many problems `run` has.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn problem_count(&self, run: RunId) -> Result<u64, StoreError> {
        let found = self.connection.query_row(
            "SELECT count(*) FROM problem WHERE run_id = ?1",
            params![run.0],
            |row| count(row, 0),
        );
        found.map_err(|error| self.sqlite(error))
    }

    fn list<T>(
        &self,
        query: &str,
        run: RunId,
        parse: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let list = || -> rusqlite::Result<Vec<T>> {
            self.connection.prepare(query)?.query_map(params![run.0], |row| parse(row))?.collect()
        };
        list().map_err(|error| self.sqlite(error))
    }
}
