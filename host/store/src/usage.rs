//! Usages: when an identity last used a resource, merged from the events of a log.

use rusqlite::{Transaction, params};

use crate::RunId;
use crate::normal::{self, time_text};
use crate::numbers::{self, Numbers};
use crate::page_writer::PageWriter;
use connector_sandbox::contract::types::Usage;

/// The number in place of an identity in a usage by any identity.
const ANY_IDENTITY: i64 = 0;

/// Merges `usages` into those of the store: the latest time wins, in any order of events.
pub(crate) fn merge<'a>(
    writer: &PageWriter<'a>,
    usages: &'a [Usage],
    numbers: &mut Numbers<'a>,
) -> rusqlite::Result<()> {
    if usages.is_empty() {
        return Ok(());
    }
    numbers.look_up(usages.iter().flat_map(|usage| usage.identity.iter().chain([&usage.resource])))?;
    let mut remember = writer.transaction.prepare_cached(
        "INSERT OR IGNORE INTO usage_before (
             run_id, by_stream_id, resource_id, identity_id, resource_name, identity_name, last_success, last_attempt,
             last_attempt_result, last_attempt_vendor, stream_id, last_seen_run)
         SELECT ?1, ?2, ?3, ?4, u.resource_name, u.identity_name, u.last_success, u.last_attempt,
                u.last_attempt_result, u.last_attempt_vendor, u.stream_id, u.last_seen_run
         FROM (SELECT 1) LEFT JOIN usage u ON u.resource_id = ?3 AND u.identity_id = ?4",
    )?;
    let mut merge = writer.transaction.prepare_cached(
        "INSERT INTO usage (resource_id, identity_id, last_success, last_attempt, last_attempt_result,
                            last_attempt_vendor, stream_id, last_seen_run, resource_name, identity_name)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
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
             stream_id = excluded.stream_id, last_seen_run = excluded.last_seen_run",
    )?;
    for usage in usages {
        let resource = numbers.entity(&usage.resource)?;
        let identity = match &usage.identity {
            Some(identity) => numbers.entity(identity)?,
            None => ANY_IDENTITY,
        };
        let attempt = usage.last_attempt.as_ref();
        remember.execute(params![writer.run.0, writer.stream_id, resource, identity])?;
        merge.execute(params![
            resource,
            identity,
            usage.last_success.map(time_text),
            attempt.map(|attempt| time_text(attempt.at)),
            attempt.map(|attempt| normal::attempt_result(attempt.result)),
            attempt.and_then(|attempt| attempt.vendor_result.as_deref()),
            writer.stream_id,
            writer.run.0,
            usage.resource_name,
            usage.identity_name,
        ])?;
    }
    Ok(())
}

/// Restores the usages that a stream wrote in `run` to their values before it.
pub(crate) fn restore(
    transaction: &Transaction<'_>,
    integration: i64,
    run: RunId,
    stream: &str,
) -> rusqlite::Result<()> {
    let key = params![run.0, numbers::stream(transaction, integration, stream)?];
    transaction.execute(
        "DELETE FROM usage WHERE (resource_id, identity_id) IN (
             SELECT resource_id, identity_id FROM usage_before WHERE run_id = ?1 AND by_stream_id = ?2
         )",
        key,
    )?;
    transaction.execute(
        "INSERT INTO usage (resource_id, identity_id, resource_name, identity_name, last_success, last_attempt,
                            last_attempt_result, last_attempt_vendor, stream_id, last_seen_run)
         SELECT resource_id, identity_id, resource_name, identity_name, last_success, last_attempt,
                last_attempt_result, last_attempt_vendor, stream_id, last_seen_run
         FROM usage_before WHERE run_id = ?1 AND by_stream_id = ?2 AND last_seen_run IS NOT NULL",
        key,
    )?;
    transaction.execute("DELETE FROM usage_before WHERE run_id = ?1 AND by_stream_id = ?2", key).map(drop)
}
