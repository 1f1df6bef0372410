//! Deletes old runs with their changes, problems and pages.

use chrono::{TimeDelta, Utc};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::{RunId, StoreError, Writer};

/// The number of runs whose pages are kept. Of earlier runs, only the number of pages by connector is kept.
const RUNS_WITH_PAGES: i64 = 5;

impl Writer {
    /// Deletes, after `run` finished, the runs of its integration that ended more than `keep_days` ago, with their changes
    /// and problems, and the pages of all but the last few runs. Objects are kept, and so are runs that later runs need.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn forget_old_runs(&mut self, run: RunId, keep_days: u32) -> Result<(), StoreError> {
        // Whole days, so that this deletes rows once a day and not after each run.
        let oldest = (Utc::now() - TimeDelta::days(keep_days.into())).format("%Y-%m-%d").to_string();
        self.write(|transaction| {
            let integration: i64 =
                transaction.query_row("SELECT integration_id FROM run WHERE id = ?1", [run.0], |row| {
                    row.get("integration_id")
                })?;
            forget_bitmaps(transaction, integration, run)?;
            let last: Option<i64> = transaction
                .query_row(
                    "SELECT id FROM run WHERE integration_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2",
                    [integration, RUNS_WITH_PAGES],
                    |row| row.get("id"),
                )
                .optional()?;
            let Some(last) = last else { return Ok(()) };
            sum_up_pages(transaction, integration, last)?;
            forget_runs(transaction, integration, last, &oldest)
        })
    }
}

/// Deletes the bitmaps of the finished runs before `run`. Those of `run` are kept for the removals of the next run.
fn forget_bitmaps(transaction: &Transaction<'_>, integration: i64, run: RunId) -> rusqlite::Result<()> {
    let forget = "UPDATE run_page SET seen_entities = NULL, seen_relations = NULL
                  WHERE run_id < ?2 AND (seen_entities IS NOT NULL OR seen_relations IS NOT NULL)
                    AND run_id IN (SELECT id FROM run WHERE integration_id = ?1 AND finished_at IS NOT NULL)";
    transaction.execute(forget, params![integration, run.0]).map(drop)
}

/// Replaces the pages of runs up to `last` by their number, by connector.
fn sum_up_pages(transaction: &Transaction<'_>, integration: i64, last: i64) -> rusqlite::Result<()> {
    let pages = "FROM run_page WHERE run_id <= ?2
                   AND run_id IN (SELECT id FROM run WHERE integration_id = ?1 AND finished_at IS NOT NULL)";
    transaction.execute(
        &format!(
            "INSERT INTO run_reader (run_id, stream, connector_id, pages, distrusted_pages, first_page_at, last_page_at)
             SELECT run_id, stream, connector_id, count(*), sum(distrusted), min(committed_at), max(committed_at)
             {pages} GROUP BY run_id, stream, connector_id"
        ),
        [integration, last],
    )?;
    transaction.execute(&format!("DELETE {pages}"), [integration, last]).map(drop)
}

/// Deletes the runs up to `last` that ended before `oldest`, except those that later runs or objects refer to.
fn forget_runs(
    transaction: &Transaction<'_>,
    integration: i64,
    last: i64,
    oldest: &str,
) -> rusqlite::Result<()> {
    const OLD: &str = "SELECT id FROM run WHERE integration_id = ?1 AND id <= ?2 AND finished_at < ?3";
    // For each stream: the last complete run, which the next one is compared with; the last bookmark; the last window; the
    // last run that read it, which may be resumed.
    const NEEDED: &str = "WITH stream_of_integration AS (
             SELECT s.* FROM run_stream s JOIN run r ON r.id = s.run_id WHERE r.integration_id = ?1
         )
         SELECT max(run_id), stream FROM stream_of_integration WHERE state = 'complete' GROUP BY stream
         UNION ALL
         SELECT max(run_id), stream FROM stream_of_integration WHERE state = 'complete' AND bookmark IS NOT NULL GROUP BY stream
         UNION ALL
         SELECT max(run_id), stream FROM stream_of_integration WHERE state = 'complete' AND window_to IS NOT NULL GROUP BY stream
         UNION ALL
         SELECT max(run_id), stream FROM stream_of_integration WHERE state <> 'skipped' OR cursor IS NOT NULL GROUP BY stream";
    let key = params![integration, last, oldest];
    let mut forgotten = 0;
    for table in ["change", "problem", "run_reader"] {
        forgotten += transaction.execute(&format!("DELETE FROM {table} WHERE run_id IN ({OLD})"), key)?;
    }
    forgotten += transaction.execute(
        &format!("DELETE FROM run_stream WHERE run_id IN ({OLD}) AND (run_id, stream) NOT IN ({NEEDED})"),
        key,
    )?;
    if forgotten == 0 {
        return Ok(());
    }
    transaction.execute(
        &format!(
            "DELETE FROM run WHERE id IN ({OLD}) AND id NOT IN (
                 SELECT run_id FROM run_stream
                 UNION SELECT first_seen_run FROM entity WHERE first_seen_run IS NOT NULL
                 UNION SELECT gone_run FROM entity WHERE gone_run IS NOT NULL
                 UNION SELECT first_seen_run FROM relation
                 UNION SELECT gone_run FROM relation WHERE gone_run IS NOT NULL
                 UNION SELECT last_seen_run FROM usage
                 UNION SELECT last_seen_run FROM usage_before WHERE last_seen_run IS NOT NULL
                 UNION SELECT run_id FROM usage_before
             )"
        ),
        key,
    )?;
    Ok(())
}
