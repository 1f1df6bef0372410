//! Begins, resumes and ends runs.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use connector_sandbox::{Digest, StreamName};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::Serialize;

use crate::schema::READER_INDEXES;
use crate::{StoreError, Writer};

/// A run of an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// Every selected stream is complete; optional ones may be skipped.
    Complete,
    /// A stream is incomplete, or one that is not optional was skipped.
    Partial,
}

impl RunOutcome {
    /// Its name in the store and in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
        }
    }

    /// The schema allows no other word.
    pub(crate) fn parse(word: &str) -> Self {
        if word == "complete" { Self::Complete } else { Self::Partial }
    }
}

/// The parameters of a run.
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
    pub digest: Digest,
    /// The vendor's account, for people.
    pub account: Option<&'a str>,
    /// The hosts that it reads. An integration has the data of one tenant.
    pub tenant: &'a str,
    /// The selected streams. An interrupted run is resumed only with the same ones.
    pub scope: &'a [StreamName],
    /// What each stream of the connector yields, selected or not.
    pub yields: &'a [Yields<'a>],
}

/// A source type that a stream yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Yields<'a> {
    /// The stream.
    pub stream: &'a StreamName,
    /// `identity`, `connection` or `resource`.
    pub entity_type: &'a str,
    /// The source type.
    pub source_type: &'a str,
}

/// How many hours after its last page an interrupted run may be resumed: later, objects that it saw may have been deleted.
const STALE_HOURS: i64 = 24;

/// A run that has begun, or was resumed.
#[derive(Clone, Debug)]
pub struct StartedRun {
    /// The run.
    pub id: RunId,
    /// Whether it is an interrupted run that was resumed.
    pub resumed: bool,
}

pub(crate) fn now() -> String {
    moment(Utc::now())
}

fn moment(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Writer {
    /// Resumes the last run if it was interrupted, otherwise begins one. Ends other interrupted runs.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn begin_run(&mut self, start: &RunStart<'_>) -> Result<StartedRun, StoreError> {
        self.refuse_another_tenant(start)?;
        let scope = start.scope.iter().map(StreamName::as_str).collect::<Vec<_>>().join(", ");
        let oldest = moment(Utc::now() - chrono::Duration::hours(STALE_HOURS));
        self.write(|transaction| {
            let integration: i64 = transaction.query_row(
                "INSERT INTO integration (name, connector, title, tenant) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET title = excluded.title
                 RETURNING id",
                params![start.integration, start.connector, start.title, start.tenant],
                |row| row.get("id"),
            )?;
            // The last page counts: a run may have been stopped by its deadline, long after it began.
            let interrupted: Option<i64> = transaction
                .query_row(
                    "SELECT id FROM run WHERE id = (SELECT max(id) FROM run WHERE integration_id = ?1)
                     AND finished_at IS NULL AND scope = ?2
                     AND coalesce((SELECT max(committed_at) FROM run_page WHERE run_id = run.id), started_at) > ?3",
                    params![integration, scope, oldest],
                    |row| row.get("id"),
                )
                .optional()?;
            abandon(transaction, integration, interrupted)?;
            let id = match interrupted {
                Some(id) => id,
                None => transaction.query_row(
                    "INSERT INTO run (integration_id, started_at, scope, connector_version, connector_digest)
                     VALUES (?1, ?2, ?3, '', '') RETURNING id",
                    params![integration, now(), scope],
                    |row| row.get("id"),
                )?,
            };
            transaction.execute(
                "UPDATE run SET connector_version = ?2, connector_digest = ?3, account = ?4 WHERE id = ?1",
                params![id, start.version, start.digest.to_string(), start.account],
            )?;
            transaction.execute("DELETE FROM stream_type WHERE integration_id = ?1", [integration])?;
            for Yields { stream, entity_type, source_type } in start.yields {
                transaction.execute(
                    "INSERT OR IGNORE INTO stream_type (integration_id, entity_type, source_type, stream)
                     VALUES (?1, ?2, ?3, ?4)",
                    params![integration, entity_type, source_type, stream.as_str()],
                )?;
            }
            Ok(StartedRun { id: RunId(id), resumed: interrupted.is_some() })
        })
    }

    /// Refuses another tenant under the same name: its data would mark all present objects as removed.
    fn refuse_another_tenant(&self, start: &RunStart<'_>) -> Result<(), StoreError> {
        let known = self.reader().connection.query_row(
            "SELECT connector, tenant FROM integration WHERE name = ?1",
            [start.integration],
            |row| Ok((row.get::<_, String>("connector")?, row.get::<_, String>("tenant")?)),
        );
        match known.optional().map_err(|error| self.reader().sqlite(error))? {
            Some((connector, tenant))
                if (connector.as_str(), tenant.as_str()) != (start.connector, start.tenant) =>
            {
                Err(StoreError::AnotherTenant {
                    path: self.reader().path.clone(),
                    integration: start.integration.to_owned(),
                    known: format!("`{connector}` at {tenant}"),
                })
            }
            _ => Ok(()),
        }
    }

    /// Adds to the requests of `run`.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn add_requests(&mut self, run: RunId, requests: u64) -> Result<(), StoreError> {
        let requests = i64::try_from(requests).unwrap_or(i64::MAX);
        let added = self
            .reader()
            .connection
            .execute("UPDATE run SET requests = requests + ?2 WHERE id = ?1", params![run.0, requests]);
        added.map(drop).map_err(|error| self.reader().sqlite(error))
    }

    /// Ends a run.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn finish_run(&mut self, run: RunId, outcome: RunOutcome) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE run SET finished_at = ?2, outcome = ?3 WHERE id = ?1",
                params![run.0, now(), outcome.word()],
            )?;
            transaction.execute("DELETE FROM usage_before WHERE run_id = ?1", [run.0])?;
            transaction.execute_batch(READER_INDEXES)
        })
    }
}

/// Ends the interrupted runs of an integration, except `but`, which is resumed. Otherwise they would be shown as running.
fn abandon(transaction: &Transaction<'_>, integration: i64, but: Option<i64>) -> rusqlite::Result<()> {
    transaction.execute(
        "UPDATE run_stream
         SET state = 'incomplete', reason = 'interrupted, and not resumed', ended_at = ?3
         WHERE state = 'running' AND run_id IN (
             SELECT id FROM run WHERE integration_id = ?1 AND finished_at IS NULL AND id IS NOT ?2
         )",
        params![integration, but, now()],
    )?;
    transaction.execute(
        "DELETE FROM usage_before WHERE run_id IN (
             SELECT id FROM run WHERE integration_id = ?1 AND finished_at IS NULL AND id IS NOT ?2
         )",
        params![integration, but],
    )?;
    transaction.execute(
        "UPDATE run SET finished_at = ?3, outcome = 'partial', abandoned = 1
         WHERE integration_id = ?1 AND finished_at IS NULL AND id IS NOT ?2",
        params![integration, but, now()],
    )?;
    Ok(())
}
