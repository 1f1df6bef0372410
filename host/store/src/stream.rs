//! Begins, restarts and ends the streams of a run.

use std::time::Duration;

use connector_sandbox::{Digest, StreamName};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::Serialize;

use crate::change::Object;
use crate::run::now;
use crate::seen::{By, seen};
use crate::{RunId, StoreError, Writer, numbers, usage};

/// The cost of a stream besides its pages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamCost {
    /// Repeated calls.
    pub retries: u64,
    /// Time spent waiting before repeated calls, and for the vendor's rate limit.
    pub waited: Duration,
}

/// A stream that was not read completely, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IncompleteStream {
    /// Its name.
    pub stream: StreamName,
    /// `incomplete`, `skipped` or, if the run was interrupted, `running`.
    pub state: StreamState,
    /// What the vendor or the connector answered.
    pub reason: String,
    /// The missing permission, if that is the reason.
    pub permission: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The state of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
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
    /// Its name in the store and in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Skipped => "skipped",
        }
    }

    pub(crate) fn parse(word: &str) -> Self {
        match word {
            "complete" => Self::Complete,
            "incomplete" => Self::Incomplete,
            "skipped" => Self::Skipped,
            _ => Self::Running,
        }
    }
}

/// The name of a stream in a column. Only [`StreamName`]s are written there.
pub(crate) fn stream_name(row: &Row<'_>, column: &str) -> rusqlite::Result<StreamName> {
    let text: String = row.get(column)?;
    StreamName::parse(&text).ok_or_else(|| not_written_here(format!("`{text}` is not the name of a stream")))
}

/// The error for a value that this crate does not write.
pub(crate) fn not_written_here(reason: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, reason.into())
}

/// The checkpoint of a stream of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCheckpoint {
    /// Its state.
    pub state: StreamState,
    /// Where the next page begins; `None` before the first page and after the last.
    pub cursor: Option<String>,
    /// The bookmark of the last complete run before this one.
    pub bookmark: Option<String>,
    /// Pages read so far, in this run.
    pub pages: u64,
}

/// Where a log stream of an earlier run stopped, and the time that it covers once it is complete.
struct Unfinished {
    cursor: String,
    window_from: Option<String>,
    window_to: Option<String>,
}

impl Writer {
    /// The checkpoint of `stream` in `run`. Begins the stream if it has not begun: an `incremental` one where an earlier run
    /// stopped in it, or after the last bookmark. A checkpoint whose cursor has another version is deleted.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn begin_stream(
        &mut self,
        run: RunId,
        stream: &StreamName,
        incremental: bool,
        cursor_version: u32,
    ) -> Result<StreamCheckpoint, StoreError> {
        let stream = stream.as_str();
        self.write(|transaction| {
            let bookmark: Option<String> = transaction
                .query_row(
                    "SELECT s.bookmark FROM run_stream s JOIN run r ON r.id = s.run_id
                     WHERE s.stream = ?2 AND s.state = 'complete' AND s.bookmark IS NOT NULL AND s.run_id < ?1
                       AND r.integration_id = (SELECT integration_id FROM run WHERE id = ?1)
                     ORDER BY s.run_id DESC LIMIT 1",
                    params![run.0, stream],
                    |row| row.get("bookmark"),
                )
                .optional()?
                .filter(|_| incremental);
            // A connector can't read the cursors of another version.
            let forgotten = transaction.execute(
                "UPDATE run_stream SET cursor = NULL, pages = 0, window_from = NULL, window_to = NULL
                 WHERE run_id = ?1 AND stream = ?2 AND cursor IS NOT NULL AND cursor_version <> ?3",
                params![run.0, stream, cursor_version],
            )?;
            if forgotten > 0 {
                forget_pages(transaction, run, stream)?;
            }
            let unfinished = if incremental {
                unfinished(transaction, run, stream, cursor_version)?
            } else {
                None
            };
            let whole = bookmark.is_none() && unfinished.is_none();
            let unfinished = unfinished.as_ref();
            // A stream that was skipped or failed before the run was interrupted is read again.
            transaction.execute(
                "INSERT INTO run_stream (run_id, stream, state, whole, started_at, cursor, cursor_version, window_from,
                                         window_to, baseline)
                 VALUES (?1, ?2, 'running', ?3, ?4, ?5, ?6, ?7, ?8, NOT EXISTS (
                     SELECT 1 FROM run_stream s JOIN run r ON r.id = s.run_id
                     WHERE s.stream = ?2 AND s.state = 'complete' AND s.run_id < ?1
                       AND r.integration_id = (SELECT integration_id FROM run WHERE id = ?1)
                 ))
                 ON CONFLICT DO UPDATE SET state = 'running', reason = NULL, permission = NULL, hint = NULL,
                     ended_at = NULL,
                     -- Before its first page, it takes the beginning and the comparison of this call.
                     baseline = CASE WHEN pages = 0 THEN excluded.baseline ELSE baseline END,
                     whole = CASE WHEN cursor IS NULL THEN excluded.whole ELSE whole END,
                     window_from = coalesce(window_from, excluded.window_from),
                     window_to = coalesce(window_to, excluded.window_to),
                     cursor_version = CASE WHEN cursor IS NULL THEN excluded.cursor_version ELSE cursor_version END,
                     cursor = coalesce(cursor, excluded.cursor)
                 WHERE state <> 'complete'",
                params![
                    run.0,
                    stream,
                    whole,
                    now(),
                    unfinished.map(|unfinished| &unfinished.cursor),
                    cursor_version,
                    unfinished.map(|unfinished| &unfinished.window_from),
                    unfinished.map(|unfinished| &unfinished.window_to),
                ],
            )?;
            transaction.query_row(
                "SELECT state, cursor, pages FROM run_stream WHERE run_id = ?1 AND stream = ?2",
                params![run.0, stream],
                |row| {
                    Ok(StreamCheckpoint {
                        state: StreamState::parse(&row.get::<_, String>("state")?),
                        cursor: row.get("cursor")?,
                        bookmark,
                        pages: row.get::<_, i64>("pages")?.unsigned_abs(),
                    })
                },
            )
        })
    }

    /// Deletes the checkpoint, the problems and the bitmaps of a stream, so that it starts over: at the beginning if
    /// `whole`, otherwise after its bookmark.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn forget_checkpoint(
        &mut self,
        run: RunId,
        stream: &StreamName,
        whole: bool,
    ) -> Result<(), StoreError> {
        let stream = stream.as_str();
        self.write(|transaction| {
            transaction.execute(
                "UPDATE run_stream SET cursor = NULL, pages = 0, window_from = NULL, window_to = NULL, whole = ?3
                 WHERE run_id = ?1 AND stream = ?2",
                params![run.0, stream, whole],
            )?;
            forget_pages(transaction, run, stream)
        })
    }

    /// Discards the pages of `stream` in `run` that the connector with this digest read, and restarts the stream where it
    /// began. Objects that this connector was the first to see are deleted. All others count as unseen: unless the repeated
    /// read sees them, they are removed. Usages get their values from before the run. `false` if there is no page to
    /// discard.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn discard_pages(
        &mut self,
        run: RunId,
        stream: &StreamName,
        digest: Digest,
    ) -> Result<bool, StoreError> {
        let (stream, digest) = (stream.as_str(), &digest.to_string());
        self.write(|transaction| {
            let pages = transaction.execute(
                "UPDATE run_page SET distrusted = 1 WHERE run_id = ?1 AND stream = ?2 AND NOT distrusted
                     AND connector_id IN (SELECT id FROM connector WHERE digest = ?3)",
                params![run.0, stream, digest],
            )?;
            if pages == 0 {
                return Ok(false);
            }
            let integration = transaction.query_row(
                "SELECT integration_id FROM run WHERE id = ?1",
                [run.0],
                |row| row.get("integration_id"),
            )?;
            forget_first_seen(transaction, integration, run, stream, digest)?;
            usage::restore(transaction, integration, run, stream)?;
            transaction.execute(
                "UPDATE run_stream SET state = 'running', reason = NULL, permission = NULL, hint = NULL, ended_at = NULL,
                     cursor = NULL, bookmark = NULL, window_from = NULL, window_to = NULL, total = NULL, pages = 0
                 WHERE run_id = ?1 AND stream = ?2",
                params![run.0, stream],
            )?;
            forget_pages(transaction, run, stream)?;
            Ok(true)
        })
    }

    /// Ends a stream that is not complete, with the reason.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn end_stream(&mut self, run: RunId, incomplete: &IncompleteStream) -> Result<(), StoreError> {
        let IncompleteStream { stream, state, reason, permission, hint } = incomplete;
        let ended = self.reader().connection.execute(
            "INSERT INTO run_stream (run_id, stream, state, reason, permission, hint, whole, started_at, ended_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7)
             ON CONFLICT DO UPDATE SET state = excluded.state, reason = excluded.reason,
                 permission = excluded.permission, hint = excluded.hint, ended_at = excluded.ended_at",
            params![run.0, stream.as_str(), state.word(), reason, permission, hint, now()],
        );
        ended.map(drop).map_err(|error| self.reader().sqlite(error))
    }

    /// Adds to the cost of `stream` in `run`.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn add_cost(&mut self, run: RunId, stream: &StreamName, cost: StreamCost) -> Result<(), StoreError> {
        let stream = stream.as_str();
        let retries = i64::try_from(cost.retries).unwrap_or(i64::MAX);
        let added = self.reader().connection.execute(
            "UPDATE run_stream SET retries = retries + ?3, waited_seconds = waited_seconds + ?4
             WHERE run_id = ?1 AND stream = ?2",
            params![run.0, stream, retries, cost.waited.as_secs_f64()],
        );
        added.map(drop).map_err(|error| self.reader().sqlite(error))
    }
}

/// Where the last earlier run that read a log stream stopped in it, so that a short outage does not repeat hours of a log.
/// `None` if that run completed it, or `run` has begun to read it.
fn unfinished(
    transaction: &Transaction<'_>,
    run: RunId,
    stream: &str,
    cursor_version: u32,
) -> rusqlite::Result<Option<Unfinished>> {
    let begun: Option<bool> = transaction
        .query_row(
            "SELECT state <> 'skipped' OR cursor IS NOT NULL AS has_begun FROM run_stream WHERE run_id = ?1 AND stream = ?2",
            params![run.0, stream],
            |row| row.get("has_begun"),
        )
        .optional()?;
    if begun == Some(true) {
        return Ok(None);
    }
    let last = transaction
        .query_row(
            "SELECT s.state <> 'complete' AND s.cursor_version = ?3 AS fits, s.cursor, s.window_from, s.window_to
             FROM run_stream s JOIN run r ON r.id = s.run_id
             WHERE s.stream = ?2 AND s.run_id < ?1 AND NOT (s.state = 'skipped' AND s.cursor IS NULL)
               AND r.integration_id = (SELECT integration_id FROM run WHERE id = ?1)
             ORDER BY s.run_id DESC LIMIT 1",
            params![run.0, stream, cursor_version],
            |row| {
                let fits: bool = row.get("fits")?;
                let cursor: Option<String> = row.get("cursor")?;
                let (window_from, window_to) = (row.get("window_from")?, row.get("window_to")?);
                Ok(cursor.filter(|_| fits).map(|cursor| Unfinished { cursor, window_from, window_to }))
            },
        )
        .optional()?;
    Ok(last.flatten())
}

/// Deletes the objects that this connector was the first to see: no trusted read has confirmed them. Objects that another
/// stream of the run saw as well are kept until the repeated read corrects their values.
fn forget_first_seen(
    transaction: &Transaction<'_>,
    integration: i64,
    run: RunId,
    stream: &str,
    digest: &str,
) -> rusqlite::Result<()> {
    let stream_id = numbers::stream(transaction, integration, stream)?;
    for object in [Object::Entity, Object::Relation] {
        let table = object.word();
        let others = seen(transaction, run, object, By::Others(stream))?;
        let mut find = transaction.prepare_cached(&format!(
            "SELECT id FROM {table} WHERE first_seen_run = ?1 AND stream_id = ?2
             AND connector_id IN (SELECT id FROM connector WHERE digest = ?3)"
        ))?;
        let found = find.query_map(params![run.0, stream_id, digest], |row| row.get("id"))?;
        let found: Vec<i64> = found.collect::<Result<_, _>>()?;
        let mut forget = transaction.prepare_cached(match object {
            // Relations and usages may refer to it.
            Object::Entity => {
                "UPDATE entity SET stream_id = NULL, connector_id = NULL, first_seen_run = NULL, gone_run = NULL, name = NULL,
                     search = NULL, normal = NULL, attributes = NULL
                 WHERE id = ?1"
            }
            Object::Relation => "DELETE FROM relation WHERE id = ?1",
        })?;
        let mut forget_change = transaction
            .prepare_cached("DELETE FROM change WHERE run_id = ?1 AND object = ?2 AND object_id = ?3")?;
        for id in found.into_iter().filter(|id| !others.contains(id.unsigned_abs())) {
            forget_change.execute(params![run.0, table, id])?;
            forget.execute([id])?;
        }
    }
    Ok(())
}

/// Deletes the problems and bitmaps of a stream: the repeated read records them again.
fn forget_pages(transaction: &Transaction<'_>, run: RunId, stream: &str) -> rusqlite::Result<()> {
    let key = params![run.0, stream];
    transaction.execute("DELETE FROM problem WHERE run_id = ?1 AND stream = ?2", key)?;
    transaction.execute(
        "UPDATE run_page SET seen_entities = NULL, seen_relations = NULL WHERE run_id = ?1 AND stream = ?2",
        key,
    )?;
    Ok(())
}
