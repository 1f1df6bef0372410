//! The runs, and the changes that each of them found.

use chrono::{DateTime, Utc};
use connector_sandbox::{Digest, StreamName};
use rusqlite::{Row, params};
use serde::Serialize;

use crate::read::{count, digest};
use crate::stream::stream_name;
use crate::{FieldChange, IncompleteStream, Reader, RunId, RunOutcome, StoreError, StreamState};

/// A run, with the values that people see.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are the columns of the view `runs`")]
pub struct RunRow {
    pub run: RunId,
    pub integration: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub outcome: Option<RunOutcome>,
    pub account: Option<String>,
    pub connector_version: String,
    pub connector_digest: Digest,
    pub requests: u64,
    pub retries: u64,
    pub waited_seconds: f64,
    pub problems: u64,
    pub changes: u64,
    /// Its streams, in the order they began.
    pub streams: Vec<RunStreamRow>,
}

/// How a stream of a run ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are the columns of the view `run_streams`")]
pub struct RunStreamRow {
    pub stream: StreamName,
    pub state: StreamState,
    pub reason: Option<String>,
    pub permission: Option<String>,
    pub hint: Option<String>,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub pages: u64,
    pub total: Option<u64>,
    pub retries: u64,
    pub waited_seconds: f64,
}

/// A change that a run found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the columns of the view `changes`")]
pub struct ChangeRow {
    pub run: RunId,
    pub run_started_at: DateTime<Utc>,
    pub run_finished_at: Option<DateTime<Utc>>,
    pub integration: String,
    pub kind: String,
    pub object: String,
    pub source_type: String,
    pub source_id: String,
    pub name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
}

impl RunRow {
    /// Its streams that were not read completely.
    pub fn incomplete_streams(&self) -> impl Iterator<Item = IncompleteStream> {
        let incomplete = self.streams.iter().filter(|stream| stream.state != StreamState::Complete);
        incomplete.map(|row| IncompleteStream {
            stream: row.stream.clone(),
            state: row.state,
            reason: row.reason.clone().unwrap_or_default(),
            permission: row.permission.clone(),
            hint: row.hint.clone(),
        })
    }
}

impl ChangeRow {
    fn parse(row: &Row<'_>) -> rusqlite::Result<Self> {
        let fields: Option<String> = row.get("fields")?;
        Ok(Self {
            run: RunId(row.get("run")?),
            run_started_at: row.get("run_started_at")?,
            run_finished_at: row.get("run_finished_at")?,
            integration: row.get("integration")?,
            kind: row.get("kind")?,
            object: row.get("object")?,
            source_type: row.get("source_type")?,
            source_id: row.get("source_id")?,
            name: row.get("name")?,
            fields: fields.and_then(|fields| serde_json::from_str(&fields).ok()).unwrap_or_default(),
        })
    }
}

impl Reader {
    /// The latest `limit` runs, the latest first; of one integration, or of all.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn runs(&self, integration: Option<&str>, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        self.runs_of(integration, None, limit)
    }

    /// One run of an integration.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn run(&self, integration: &str, run: RunId) -> Result<Option<RunRow>, StoreError> {
        Ok(self.runs_of(Some(integration), Some(run), 1)?.pop())
    }

    fn runs_of(
        &self,
        integration: Option<&str>,
        run: Option<RunId>,
        limit: u32,
    ) -> Result<Vec<RunRow>, StoreError> {
        let find = || -> rusqlite::Result<Vec<RunRow>> {
            let mut statement = self.connection.prepare(
                "SELECT run, integration, started_at, finished_at, outcome, account, connector_version,
                        connector_digest, requests,
                        coalesce(retries, 0) AS retries, coalesce(waited_seconds, 0) AS waited_seconds, problems, changes
                 FROM runs WHERE (?1 IS NULL OR integration = ?1) AND (?2 IS NULL OR run = ?2)
                 ORDER BY run DESC LIMIT ?3",
            )?;
            let rows = statement.query_map(params![integration, run.map(|run| run.0), limit], |row| {
                Ok(RunRow {
                    run: RunId(row.get("run")?),
                    integration: row.get("integration")?,
                    started_at: row.get("started_at")?,
                    finished_at: row.get("finished_at")?,
                    outcome: row.get::<_, Option<String>>("outcome")?.as_deref().map(RunOutcome::parse),
                    account: row.get("account")?,
                    connector_version: row.get("connector_version")?,
                    connector_digest: digest(row, "connector_digest")?,
                    requests: count(row, "requests")?,
                    retries: count(row, "retries")?,
                    waited_seconds: row.get("waited_seconds")?,
                    problems: count(row, "problems")?,
                    changes: count(row, "changes")?,
                    streams: Vec::new(),
                })
            })?;
            let mut rows: Vec<RunRow> = rows.collect::<Result<_, _>>()?;
            let mut statement = self.connection.prepare(
                "SELECT stream, state, reason, started_at, ended_at, pages, total, retries, waited_seconds, permission, hint
                 FROM run_streams WHERE run = ?1 ORDER BY started_at, stream",
            )?;
            for run in &mut rows {
                let streams = statement.query_map([run.run.0], |row| {
                    Ok(RunStreamRow {
                        stream: stream_name(row, "stream")?,
                        state: StreamState::parse(&row.get::<_, String>("state")?),
                        reason: row.get("reason")?,
                        started_at: row.get("started_at")?,
                        ended_at: row.get("ended_at")?,
                        pages: count(row, "pages")?,
                        total: row.get::<_, Option<i64>>("total")?.map(i64::unsigned_abs),
                        retries: count(row, "retries")?,
                        waited_seconds: row.get("waited_seconds")?,
                        permission: row.get("permission")?,
                        hint: row.get("hint")?,
                    })
                })?;
                run.streams = streams.collect::<Result<_, _>>()?;
            }
            Ok(rows)
        };
        find().map_err(|error| self.sqlite(error))
    }

    /// The last run before the latest one that finished and was not abandoned. Of one integration, or of all; run 0 if there
    /// is none.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn before_latest(&self, integration: Option<&str>) -> Result<RunId, StoreError> {
        let found = self.connection.query_row(
            "WITH candidate AS (
                 SELECT r.id, r.finished_at IS NOT NULL AND NOT r.abandoned AS ended
                 FROM run r JOIN integration i ON i.id = r.integration_id WHERE ?1 IS NULL OR i.name = ?1
             )
             SELECT coalesce(max(id), 0) AS run FROM candidate WHERE ended AND id < (SELECT max(id) FROM candidate)",
            [integration],
            |row| row.get("run"),
        );
        found.map(RunId).map_err(|error| self.sqlite(error))
    }

    /// Calls `each` for every change of the runs after `since`, one row at a time, the earliest run first; of one
    /// integration, or of all.
    ///
    /// # Errors
    ///
    /// When SQLite fails, or `each` does.
    pub fn changes<E: From<StoreError>>(
        &self,
        since: RunId,
        integration: Option<&str>,
        mut each: impl FnMut(ChangeRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let sqlite = |error| self.sqlite(error);
        let query = "SELECT run, run_started_at, integration, kind, object, source_type, source_id, name, fields,
                    run_finished_at FROM changes
                     WHERE run > ?1 AND (?2 IS NULL OR integration = ?2) ORDER BY run, object, source_type, source_id";
        let mut statement = self.connection.prepare(query).map_err(sqlite)?;
        let mut rows = statement.query(params![since.0, integration]).map_err(sqlite)?;
        while let Some(row) = rows.next().map_err(sqlite)? {
            each(ChangeRow::parse(row).map_err(sqlite)?)?;
        }
        Ok(())
    }

    /// The first `limit` changes that `run` of an integration found.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn changes_of(
        &self,
        integration: &str,
        run: RunId,
        limit: u32,
    ) -> Result<Vec<ChangeRow>, StoreError> {
        let query =
            "SELECT run, run_started_at, integration, kind, object, source_type, source_id, name, fields,
                    run_finished_at FROM changes
                     WHERE run = ?1 AND integration = ?2 ORDER BY object, source_type, source_id LIMIT ?3";
        let list = || -> rusqlite::Result<Vec<ChangeRow>> {
            let mut statement = self.connection.prepare(query)?;
            statement.query_map(params![run.0, integration, limit], ChangeRow::parse)?.collect()
        };
        list().map_err(|error| self.sqlite(error))
    }
}
