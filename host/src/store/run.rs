//! Runs and their streams: where they begin, where they stand, how they end.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{Store, StoreError};

/// A run of an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(pub i64);

/// Who runs.
#[derive(Clone, Debug)]
pub struct RunStart<'a> {
    /// Name of the integration.
    pub integration: &'a str,
    /// Name of the connector.
    pub connector: &'a str,
    /// Title of the connector.
    pub title: &'a str,
    /// Version of the connector.
    pub version: &'a str,
    /// SHA-256 of the connector.
    pub digest: &'a str,
    /// What it is connected to, for a person.
    pub account: Option<&'a str>,
    /// The hosts it reads. An integration has the data of one tenant.
    pub tenant: &'a str,
    /// The selected streams. Only a run with the same ones goes on with an interrupted one.
    pub scope: &'a str,
}

/// An interrupted run that is older, in hours, is not gone on with: what it has seen may be gone by now.
const STALE_HOURS: i64 = 24;

/// A run that may begin, or go on.
#[derive(Clone, Debug)]
pub struct StartedRun {
    /// The run.
    pub id: RunId,
    /// Whether it is one that was interrupted.
    pub resumed: bool,
}

/// What reading a stream cost beside its pages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Effort {
    /// Calls that were made again.
    pub retries: u64,
    /// Time spent waiting for that, and for the vendor's rate limit.
    pub waited: Duration,
}

/// Why a stream is not complete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// What came back.
    pub reason: String,
    /// The permission that is missing, where it is that.
    pub permission: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How far a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// Pages may follow.
    Running,
    /// All of it was read.
    Complete,
    /// It ended early.
    Incomplete,
    /// It was not read.
    Skipped,
}

impl StreamState {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Skipped => "skipped",
        }
    }

    fn parse(word: &str) -> Self {
        match word {
            "complete" => Self::Complete,
            "incomplete" => Self::Incomplete,
            "skipped" => Self::Skipped,
            _ => Self::Running,
        }
    }
}

/// Where a stream of a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCheckpoint {
    /// How far it is.
    pub state: StreamState,
    /// Where the next page begins; `None` before the first page and after the last.
    pub cursor: Option<String>,
    /// The bookmark of the last complete run before this one.
    pub bookmark: Option<String>,
    /// Pages read so far.
    pub pages: u64,
}

pub(super) fn now() -> String {
    moment(Utc::now())
}

fn moment(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Store {
    /// Begins a run, or goes on with the last one where that was interrupted.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn begin_run(&mut self, start: &RunStart<'_>) -> Result<StartedRun, StoreError> {
        let path = self.path.clone();
        self.refuse_another_tenant(start)?;
        let oldest = moment(Utc::now() - chrono::Duration::hours(STALE_HOURS));
        let mut run = || -> rusqlite::Result<StartedRun> {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let integration: i64 = transaction.query_row(
                "INSERT INTO integration (name, connector, title, tenant) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET title = excluded.title
                 RETURNING id",
                params![start.integration, start.connector, start.title, start.tenant],
                |row| row.get(0),
            )?;
            let interrupted: Option<i64> = transaction
                .query_row(
                    "SELECT id FROM run WHERE id = (SELECT max(id) FROM run WHERE integration_id = ?1)
                     AND finished_at IS NULL AND scope = ?2 AND started_at > ?3",
                    params![integration, start.scope, oldest],
                    |row| row.get(0),
                )
                .optional()?;
            let id = match interrupted {
                Some(id) => id,
                None => transaction.query_row(
                    "INSERT INTO run (integration_id, started_at, scope, connector_version, connector_digest)
                     VALUES (?1, ?2, ?3, '', '') RETURNING id",
                    params![integration, now(), start.scope],
                    |row| row.get(0),
                )?,
            };
            transaction.execute(
                "UPDATE run SET connector_version = ?2, connector_digest = ?3, account = ?4 WHERE id = ?1",
                params![id, start.version, start.digest, start.account],
            )?;
            transaction.commit()?;
            Ok(StartedRun { id: RunId(id), resumed: interrupted.is_some() })
        };
        run().map_err(|error| StoreError::Sqlite { path, error })
    }

    /// Another tenant under the same name would mark all that is there as gone.
    fn refuse_another_tenant(&self, start: &RunStart<'_>) -> Result<(), StoreError> {
        let known = self.connection.query_row(
            "SELECT connector, tenant FROM integration WHERE name = ?1",
            [start.integration],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        );
        match known.optional().map_err(|error| self.sqlite(error))? {
            Some((connector, tenant))
                if (connector.as_str(), tenant.as_str()) != (start.connector, start.tenant) =>
            {
                Err(StoreError::AnotherTenant {
                    path: self.path.clone(),
                    integration: start.integration.to_owned(),
                    known: format!("`{connector}` at {tenant}"),
                })
            }
            _ => Ok(()),
        }
    }

    /// Where `stream` stands in `run`; begins it where it has not begun, after the last bookmark where it is
    /// `incremental` and there is one. A checkpoint whose cursor has another version is forgotten.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn begin_stream(
        &mut self,
        run: RunId,
        stream: &str,
        incremental: bool,
        cursor_version: u32,
    ) -> Result<StreamCheckpoint, StoreError> {
        let begin = || -> rusqlite::Result<StreamCheckpoint> {
            let bookmark: Option<String> = self
                .connection
                .query_row(
                    "SELECT s.bookmark FROM run_stream s JOIN run r ON r.id = s.run_id
                     WHERE s.stream = ?2 AND s.state = 'complete' AND s.bookmark IS NOT NULL AND s.run_id < ?1
                       AND r.integration_id = (SELECT integration_id FROM run WHERE id = ?1)
                     ORDER BY s.run_id DESC LIMIT 1",
                    params![run.0, stream],
                    |row| row.get(0),
                )
                .optional()?
                .filter(|_| incremental);
            // Only the connector that gave a cursor knows how another version would take it.
            let forgotten = self.connection.execute(
                "UPDATE run_stream SET cursor = NULL, pages = 0
                 WHERE run_id = ?1 AND stream = ?2 AND cursor IS NOT NULL AND cursor_version <> ?3",
                params![run.0, stream, cursor_version],
            )?;
            if forgotten > 0 {
                forget_problems(&self.connection, run, stream)?;
            }
            // A stream that was skipped or failed before the run was interrupted gets another chance.
            self.connection.execute(
                "INSERT INTO run_stream (run_id, stream, state, whole, started_at, baseline)
                 VALUES (?1, ?2, 'running', ?3, ?4, NOT EXISTS (
                     SELECT 1 FROM run_stream s JOIN run r ON r.id = s.run_id
                     WHERE s.stream = ?2 AND s.state = 'complete' AND s.run_id < ?1
                       AND r.integration_id = (SELECT integration_id FROM run WHERE id = ?1)
                 ))
                 ON CONFLICT DO UPDATE SET state = 'running', reason = NULL, ended_at = NULL,
                     -- Before its first page it begins where this says.
                     whole = CASE WHEN cursor IS NULL THEN excluded.whole ELSE whole END
                 WHERE state <> 'complete'",
                params![run.0, stream, bookmark.is_none(), now()],
            )?;
            self.connection.query_row(
                "SELECT state, cursor, pages FROM run_stream WHERE run_id = ?1 AND stream = ?2",
                params![run.0, stream],
                |row| {
                    Ok(StreamCheckpoint {
                        state: StreamState::parse(&row.get::<_, String>(0)?),
                        cursor: row.get(1)?,
                        bookmark,
                        pages: row.get::<_, i64>(2)?.unsigned_abs(),
                    })
                },
            )
        };
        begin().map_err(|error| self.sqlite(error))
    }

    /// Forgets the checkpoint and the problems of a stream, so that it starts over: from the beginning where it is
    /// `whole`, else after its bookmark.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn forget_checkpoint(&mut self, run: RunId, stream: &str, whole: bool) -> Result<(), StoreError> {
        let path = self.path.clone();
        let mut forget = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute(
                "UPDATE run_stream SET cursor = NULL, pages = 0, whole = ?3 WHERE run_id = ?1 AND stream = ?2",
                params![run.0, stream, whole],
            )?;
            forget_problems(&transaction, run, stream)?;
            transaction.commit()
        };
        forget().map_err(|error| StoreError::Sqlite { path, error })
    }

    /// Takes back what the connector with this digest read of `stream` in `run`, and makes the stream be read again from
    /// where it began. What it was the first to see is forgotten, what it saw again counts as not seen: unless the
    /// reading again sees it, it is gone. `false` where it read nothing that was not taken back already.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn take_back(&mut self, run: RunId, stream: &str, digest: &str) -> Result<bool, StoreError> {
        let path = self.path.clone();
        let mut take_back = || -> rusqlite::Result<bool> {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let pages = transaction.execute(
                "UPDATE run_page SET distrusted = 1 WHERE run_id = ?1 AND stream = ?2 AND NOT distrusted
                     AND connector_id IN (SELECT id FROM connector WHERE digest = ?3)",
                params![run.0, stream, digest],
            )?;
            if pages == 0 {
                return Ok(false);
            }
            // What it was the first to see was never there, as far as anybody else knows.
            for table in ["entity", "relation"] {
                let first_seen = format!(
                    "FROM {table} WHERE first_seen_run = ?1 AND stream = ?2
                     AND integration_id = (SELECT integration_id FROM run WHERE id = ?1)
                     AND connector_id IN (SELECT id FROM connector WHERE digest = ?3)"
                );
                let key = params![run.0, stream, digest];
                transaction.execute(
                    &format!(
                        "DELETE FROM change WHERE run_id = ?1 AND object = '{table}'
                         AND object_id IN (SELECT id {first_seen})"
                    ),
                    key,
                )?;
                transaction.execute(&format!("DELETE {first_seen}"), key)?;
            }
            transaction.execute(
                "UPDATE run_stream SET state = 'running', reason = NULL, ended_at = NULL, cursor = NULL,
                     bookmark = NULL, pages = 0
                 WHERE run_id = ?1 AND stream = ?2",
                params![run.0, stream],
            )?;
            forget_problems(&transaction, run, stream)?;
            transaction.commit()?;
            Ok(true)
        };
        take_back().map_err(|error| StoreError::Sqlite { path, error })
    }

    /// Ends a stream that is not complete, and says why.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn end_stream(
        &mut self,
        run: RunId,
        stream: &str,
        state: StreamState,
        why: &Why,
    ) -> Result<(), StoreError> {
        let Why { reason, permission, hint } = why;
        let ended = self.connection.execute(
            "INSERT INTO run_stream (run_id, stream, state, reason, permission, hint, whole, started_at, ended_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7)
             ON CONFLICT DO UPDATE SET state = excluded.state, reason = excluded.reason,
                 permission = excluded.permission, hint = excluded.hint, ended_at = excluded.ended_at",
            params![run.0, stream, state.word(), reason, permission, hint, now()],
        );
        ended.map(drop).map_err(|error| self.sqlite(error))
    }

    /// Adds to what `run` cost.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn add_requests(&mut self, run: RunId, requests: u64) -> Result<(), StoreError> {
        let requests = i64::try_from(requests).unwrap_or(i64::MAX);
        let added = self
            .connection
            .execute("UPDATE run SET requests = requests + ?2 WHERE id = ?1", params![run.0, requests]);
        added.map(drop).map_err(|error| self.sqlite(error))
    }

    /// Adds to what `stream` cost in `run`.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn add_effort(&mut self, run: RunId, stream: &str, effort: Effort) -> Result<(), StoreError> {
        let retries = i64::try_from(effort.retries).unwrap_or(i64::MAX);
        let added = self.connection.execute(
            "UPDATE run_stream SET retries = retries + ?3, waited_seconds = waited_seconds + ?4
             WHERE run_id = ?1 AND stream = ?2",
            params![run.0, stream, retries, effort.waited.as_secs_f64()],
        );
        added.map(drop).map_err(|error| self.sqlite(error))
    }

    /// Ends a run.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn finish_run(&mut self, run: RunId, complete: bool) -> Result<(), StoreError> {
        let outcome = if complete { "complete" } else { "partial" };
        let finished = self.connection.execute(
            "UPDATE run SET finished_at = ?2, outcome = ?3 WHERE id = ?1",
            params![run.0, now(), outcome],
        );
        finished.map(drop).map_err(|error| self.sqlite(error))
    }
}

/// What is read again finds its problems again.
fn forget_problems(connection: &Connection, run: RunId, stream: &str) -> rusqlite::Result<()> {
    let forget = "DELETE FROM problem WHERE run_id = ?1 AND stream = ?2";
    connection.execute(forget, params![run.0, stream]).map(drop)
}
