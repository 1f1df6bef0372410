//! A run, page by page.

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, named_params, params};

use super::{Store, StoreError};
use crate::contract::api::{Page, Progress, Window};
use crate::contract::types::{Entity, Relation, Timestamp, Usage};
use crate::manifest::entity_type_word;
use crate::normal;

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
    fn word(self) -> &'static str {
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

fn now() -> String {
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
                self.connection.execute(
                    "DELETE FROM problem WHERE run_id = ?1 AND stream = ?2",
                    params![run.0, stream],
                )?;
            }
            // A stream that was skipped or failed before the run was interrupted gets another chance.
            self.connection.execute(
                "INSERT INTO run_stream (run_id, stream, state, whole) VALUES (?1, ?2, 'running', ?3)
                 ON CONFLICT DO UPDATE SET state = 'running', reason = NULL,
                     -- Before its first page it begins where this says.
                     whole = CASE WHEN cursor IS NULL THEN excluded.whole ELSE whole END
                 WHERE state <> 'complete'",
                params![run.0, stream, bookmark.is_none()],
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
        let path = self.path.clone();
        let mut commit = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let integration: i64 = transaction
                .prepare_cached("SELECT integration_id FROM run WHERE id = ?1")?
                .query_row([run.0], |row| row.get(0))?;
            let connector = connector_id(&transaction, reader)?;
            let writer = PageWriter { transaction: &transaction, integration, run, stream, connector };
            writer.entities(&page.entities)?;
            writer.relations(&page.relations)?;
            writer.usages(&page.usages)?;
            writer.problems(page)?;
            writer.page(page)?;
            writer.checkpoint(page, reader.cursor_version)?;
            if matches!(page.progress, Progress::Done(_)) && writer.is_whole()? {
                writer.mark_gone()?;
            }
            transaction.commit()
        };
        commit().map_err(|error| StoreError::Sqlite { path, error })
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
            transaction
                .execute("DELETE FROM problem WHERE run_id = ?1 AND stream = ?2", params![run.0, stream])?;
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
            for table in ["entity", "relation"] {
                let read_by_it =
                    "integration_id = (SELECT integration_id FROM run WHERE id = ?1) AND stream = ?2
                     AND last_seen_run = ?1 AND connector_id IN (SELECT id FROM connector WHERE digest = ?3)";
                transaction.execute(
                    &format!("DELETE FROM {table} WHERE first_seen_run = ?1 AND {read_by_it}"),
                    params![run.0, stream, digest],
                )?;
                // It was first seen before, so there is a run before this one.
                transaction.execute(
                    &format!(
                        "UPDATE {table} SET last_seen_run = (
                             SELECT max(before.id) FROM run before JOIN run this USING (integration_id)
                             WHERE this.id = ?1 AND before.id < ?1
                         ) WHERE {read_by_it}"
                    ),
                    params![run.0, stream, digest],
                )?;
            }
            transaction.execute(
                "UPDATE run_stream SET state = 'running', reason = NULL, cursor = NULL, bookmark = NULL, pages = 0
                 WHERE run_id = ?1 AND stream = ?2",
                params![run.0, stream],
            )?;
            transaction
                .execute("DELETE FROM problem WHERE run_id = ?1 AND stream = ?2", params![run.0, stream])?;
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
        reason: &str,
    ) -> Result<(), StoreError> {
        let ended = self.connection.execute(
            "INSERT INTO run_stream (run_id, stream, state, reason, whole) VALUES (?1, ?2, ?3, ?4, 1)
             ON CONFLICT DO UPDATE SET state = excluded.state, reason = excluded.reason",
            params![run.0, stream, state.word(), reason],
        );
        ended.map(drop).map_err(|error| self.sqlite(error))
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
}

impl PageWriter<'_> {
    fn entities(&self, entities: &[Entity]) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare_cached(
            "INSERT INTO entity (integration_id, entity_type, source_type, source_id, name, normal, attributes,
                                 stream, connector_id, first_seen_run, last_seen_run, changed_run)
             VALUES (:integration, :entity_type, :source_type, :source_id, :name, :normal, :attributes,
                     :stream, :connector, :run, :run, :run)
             ON CONFLICT DO UPDATE SET
                 changed_run = CASE
                     WHEN gone_run IS NULL AND name = excluded.name AND normal = excluded.normal
                          AND attributes = excluded.attributes THEN changed_run
                     ELSE excluded.changed_run END,
                 name = excluded.name, normal = excluded.normal, attributes = excluded.attributes,
                 stream = excluded.stream, connector_id = excluded.connector_id,
                 last_seen_run = excluded.last_seen_run, gone_run = NULL",
        )?;
        for entity in entities {
            statement.execute(named_params! {
                ":integration": self.integration,
                ":entity_type": entity_type_word(normal::entity_type(&entity.normal)),
                ":source_type": entity.source_type,
                ":source_id": entity.source_id,
                ":name": entity.name,
                ":normal": normal::fields(&entity.normal).to_string(),
                ":attributes": normal::attributes(&entity.attributes).to_string(),
                ":stream": self.stream,
                ":connector": self.connector,
                ":run": self.run.0,
            })?;
        }
        Ok(())
    }

    fn relations(&self, relations: &[Relation]) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare_cached(
            "INSERT INTO relation (integration_id, parent_entity_type, parent_source_type, parent_source_id,
                                   privilege, child_entity_type, child_source_type, child_source_id,
                                   privilege_value, attributes, stream, connector_id, first_seen_run,
                                   last_seen_run, changed_run)
             VALUES (:integration, :parent_entity_type, :parent_source_type, :parent_source_id,
                     :privilege, :child_entity_type, :child_source_type, :child_source_id,
                     :privilege_value, :attributes, :stream, :connector, :run, :run, :run)
             ON CONFLICT DO UPDATE SET
                 changed_run = CASE
                     WHEN gone_run IS NULL AND privilege_value = excluded.privilege_value
                          AND attributes = excluded.attributes THEN changed_run
                     ELSE excluded.changed_run END,
                 privilege_value = excluded.privilege_value, attributes = excluded.attributes,
                 stream = excluded.stream, connector_id = excluded.connector_id,
                 last_seen_run = excluded.last_seen_run, gone_run = NULL",
        )?;
        for relation in relations {
            statement.execute(named_params! {
                ":integration": self.integration,
                ":parent_entity_type": entity_type_word(relation.parent.entity_type),
                ":parent_source_type": relation.parent.source_type,
                ":parent_source_id": relation.parent.source_id,
                ":privilege": relation.privilege,
                ":child_entity_type": entity_type_word(relation.child.entity_type),
                ":child_source_type": relation.child.source_type,
                ":child_source_id": relation.child.source_id,
                ":privilege_value": relation.privilege_value,
                ":attributes": normal::attributes(&relation.attributes).to_string(),
                ":stream": self.stream,
                ":connector": self.connector,
                ":run": self.run.0,
            })?;
        }
        Ok(())
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
            "INSERT INTO problem (run_id, stream, source_id, field, message) VALUES (?1, ?2, ?3, ?4, ?5)",
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
    fn page(&self, page: &Page) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare_cached(
            "INSERT INTO run_page (run_id, stream, connector_id, committed_at, entities, relations, usages, problems)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
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
                 cursor_version = ?9, window_from = coalesce(?7, window_from), window_to = coalesce(?8, window_to)
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

    fn mark_gone(&self) -> rusqlite::Result<()> {
        for table in ["entity", "relation"] {
            self.transaction.execute(
                &format!(
                    "UPDATE {table} SET gone_run = ?3
                     WHERE integration_id = ?1 AND stream = ?2 AND last_seen_run < ?3 AND gone_run IS NULL"
                ),
                params![self.integration, self.stream, self.run.0],
            )?;
        }
        Ok(())
    }
}

/// A time as the store has it: text that sorts by time.
fn time(seconds: Timestamp) -> String {
    match normal::time(seconds) {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}
