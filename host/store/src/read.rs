//! Reads the present objects row by row, and the problems of a run.

use connector_sandbox::{Digest, StreamName};
use rusqlite::{Params, Row, params};
use serde::Serialize;

use crate::stream::{not_written_here, stream_name};
use crate::{Reader, RunId, StoreError};

/// A present entity.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns of the views")]
pub struct EntityRow {
    pub integration: String,
    pub entity_type: String,
    pub source_type: String,
    pub source_id: String,
    pub name: String,
    pub normal: String,
    pub attributes: String,
}

/// A present relation.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns of the views")]
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
#[expect(missing_docs, reason = "the fields are the columns of the views")]
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

/// Which connector read a stream of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the columns of the view `run_connector`")]
pub struct ConnectorUse {
    pub stream: StreamName,
    pub version: String,
    pub digest: Digest,
    pub pages: u64,
}

/// An object that could not be understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the columns of the views")]
pub struct StoredProblem {
    pub stream: StreamName,
    pub source_id: Option<String>,
    pub field: Option<String>,
    pub message: String,
}

/// The digest in a column.
pub(crate) fn digest(row: &Row<'_>, column: &str) -> rusqlite::Result<Digest> {
    let text: String = row.get(column)?;
    Digest::parse(&text).ok_or_else(|| not_written_here(format!("`{text}` is not a SHA-256")))
}

pub(crate) fn count(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

/// Selects the present entities; `EntityRow::parse` reads a row.
pub(crate) const ENTITIES: &str =
    "SELECT integration, entity_type, source_type, source_id, name, normal, attributes FROM entities";

impl EntityRow {
    /// Whether its kind is `application`, so that identities may have access to it.
    #[must_use]
    pub fn is_application(&self) -> bool {
        let normal: serde_json::Value = serde_json::from_str(&self.normal).unwrap_or_default();
        normal.get("kind").is_some_and(|kind| kind == "application")
    }

    pub(crate) fn parse(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            integration: row.get("integration")?,
            entity_type: row.get("entity_type")?,
            source_type: row.get("source_type")?,
            source_id: row.get("source_id")?,
            name: row.get("name")?,
            normal: row.get("normal")?,
            attributes: row.get("attributes")?,
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
        let query = "SELECT stream, version, digest, pages FROM run_connector WHERE run = ?1
                     ORDER BY stream, first_page_at";
        self.rows(query, [run.0], |row| {
            Ok(ConnectorUse {
                stream: stream_name(row, "stream")?,
                version: row.get("version")?,
                digest: digest(row, "digest")?,
                pages: count(row, "pages")?,
            })
        })
    }

    /// Calls `each` for every present entity, one row at a time.
    ///
    /// # Errors
    ///
    /// When SQLite fails, or `each` does.
    pub fn entities<E: From<StoreError>>(
        &self,
        each: impl FnMut(EntityRow) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each(ENTITIES, [], EntityRow::parse, each)
    }

    /// Calls `each` for every present relation, one row at a time.
    ///
    /// # Errors
    ///
    /// When SQLite fails, or `each` does.
    pub fn relations<E: From<StoreError>>(
        &self,
        each: impl FnMut(RelationRow) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each(
            "SELECT integration, parent_entity_type, parent_source_type, parent_source_id, privilege, privilege_value,
                    child_entity_type, child_source_type, child_source_id, attributes
             FROM relations",
            [],
            |row| {
                let parent = ["parent_entity_type", "parent_source_type", "parent_source_id"];
                let child = ["child_entity_type", "child_source_type", "child_source_id"];
                Ok(RelationRow {
                    integration: row.get("integration")?,
                    parent: texts(row, parent)?,
                    privilege: row.get("privilege")?,
                    privilege_value: row.get("privilege_value")?,
                    child: texts(row, child)?,
                    attributes: row.get("attributes")?,
                })
            },
            each,
        )
    }

    /// Calls `each` for every usage, one row at a time.
    ///
    /// # Errors
    ///
    /// When SQLite fails, or `each` does.
    pub fn usages<E: From<StoreError>>(&self, each: impl FnMut(UsageRow) -> Result<(), E>) -> Result<(), E> {
        self.each(
            "SELECT i.name AS integration, k.source_type AS resource_source_type,
                    resource.source_id AS resource_source_id, identity_kind.source_type AS identity_source_type,
                    identity.source_id AS identity_source_id, u.last_success, u.last_attempt, u.last_attempt_result,
                    u.last_attempt_vendor, u.resource_name, u.identity_name, span.window_from, span.window_to
             FROM usage u
             JOIN entity resource ON resource.id = u.resource_id
             JOIN kind k ON k.id = resource.kind_id
             JOIN integration i ON i.id = k.integration_id
             LEFT JOIN entity identity ON identity.id = u.identity_id
             LEFT JOIN kind identity_kind ON identity_kind.id = identity.kind_id
             LEFT JOIN stream s ON s.id = u.stream_id
             LEFT JOIN usage_window span ON span.integration_id = i.id AND span.stream = s.name",
            [],
            |row| {
                Ok(UsageRow {
                    integration: row.get("integration")?,
                    resource: texts(row, ["resource_source_type", "resource_source_id"])?,
                    identity: optional_texts(row, ["identity_source_type", "identity_source_id"])?,
                    last_success: row.get("last_success")?,
                    last_attempt: row.get("last_attempt")?,
                    last_attempt_result: row.get("last_attempt_result")?,
                    last_attempt_vendor: row.get("last_attempt_vendor")?,
                    resource_name: row.get("resource_name")?,
                    identity_name: row.get("identity_name")?,
                    window: optional_texts(row, ["window_from", "window_to"])?,
                })
            },
            each,
        )
    }

    /// Calls `each` for every row of `query`, one at a time, as `parse` reads it.
    pub(crate) fn each<T, E: From<StoreError>>(
        &self,
        query: &str,
        values: impl Params,
        parse: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
        mut each: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        let sqlite = |error| self.sqlite(error);
        let mut statement = self.connection.prepare_cached(query).map_err(sqlite)?;
        let mut rows = statement.query(values).map_err(sqlite)?;
        while let Some(row) = rows.next().map_err(sqlite)? {
            each(parse(row).map_err(sqlite)?)?;
        }
        Ok(())
    }

    /// The first `limit` problems of `run`.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn problems(&self, run: RunId, limit: u32) -> Result<Vec<StoredProblem>, StoreError> {
        let query =
            "SELECT stream, source_id, field, message FROM problem WHERE run_id = ?1 ORDER BY rowid LIMIT ?2";
        self.rows(query, params![run.0, limit], |row| {
            Ok(StoredProblem {
                stream: stream_name(row, "stream")?,
                source_id: row.get("source_id")?,
                field: row.get("field")?,
                message: row.get("message")?,
            })
        })
    }

    /// How many problems `run` has.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn problem_count(&self, run: RunId) -> Result<u64, StoreError> {
        let query = "SELECT count(*) AS total FROM problem WHERE run_id = ?1";
        let total = self.connection.query_row(query, [run.0], |row| count(row, "total"));
        total.map_err(|error| self.sqlite(error))
    }
}

fn texts<const N: usize>(row: &Row<'_>, columns: [&str; N]) -> rusqlite::Result<[String; N]> {
    let mut texts = [const { String::new() }; N];
    for (text, column) in texts.iter_mut().zip(columns) {
        *text = row.get(column)?;
    }
    Ok(texts)
}

/// `None` if one of them is null.
fn optional_texts(row: &Row<'_>, columns: [&str; 2]) -> rusqlite::Result<Option<[String; 2]>> {
    let [first, second] = columns;
    let (first, second): (Option<String>, Option<String>) = (row.get(first)?, row.get(second)?);
    Ok(first.zip(second).map(|(first, second)| [first, second]))
}
