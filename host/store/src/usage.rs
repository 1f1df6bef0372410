//! Usages: who used what when, merged from the events of a log.

use rusqlite::{Transaction, params};

use crate::RunId;
use crate::normal::{self, time_text};
use crate::page_writer::PageWriter;
use connector_sandbox::contract::types::Usage;

impl PageWriter<'_> {
    /// Merges with what is known: the latest time wins, whatever order events come in.
    pub(crate) fn usages(&self, usages: &[Usage]) -> rusqlite::Result<()> {
        // As it was before this run wrote it, so that it can be taken back.
        let mut remember = self.transaction.prepare_cached(
            "INSERT OR IGNORE INTO usage_before (
                 run_id, by_stream, integration_id, resource_source_type, resource_source_id, identity_source_type,
                 identity_source_id, resource_name, identity_name, last_success, last_attempt, last_attempt_result,
                 last_attempt_vendor, stream, last_seen_run)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, u.resource_name, u.identity_name, u.last_success, u.last_attempt,
                    u.last_attempt_result, u.last_attempt_vendor, u.stream, u.last_seen_run
             FROM (SELECT 1) LEFT JOIN usage u
                 ON u.integration_id = ?3 AND u.resource_source_type = ?4 AND u.resource_source_id = ?5
                 AND u.identity_source_type = ?6 AND u.identity_source_id = ?7",
        )?;
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
            remember.execute(params![
                self.run.0,
                self.stream,
                self.integration,
                usage.resource.source_type,
                usage.resource.source_id,
                identity.map_or("", |identity| identity.source_type.as_str()),
                identity.map_or("", |identity| identity.source_id.as_str()),
            ])?;
            statement.execute(params![
                self.integration,
                usage.resource.source_type,
                usage.resource.source_id,
                identity.map_or("", |identity| identity.source_type.as_str()),
                identity.map_or("", |identity| identity.source_id.as_str()),
                usage.last_success.map(time_text),
                attempt.map(|attempt| time_text(attempt.at)),
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
}

/// Makes the usages that `stream` wrote in `run` what they were before it.
pub(crate) fn restore(transaction: &Transaction<'_>, run: RunId, stream: &str) -> rusqlite::Result<()> {
    let key = params![run.0, stream];
    transaction.execute(
        "DELETE FROM usage
         WHERE (integration_id, resource_source_type, resource_source_id, identity_source_type, identity_source_id) IN (
             SELECT integration_id, resource_source_type, resource_source_id, identity_source_type, identity_source_id
             FROM usage_before WHERE run_id = ?1 AND by_stream = ?2
         )",
        key,
    )?;
    transaction.execute(
        "INSERT INTO usage (integration_id, resource_source_type, resource_source_id, identity_source_type,
                            identity_source_id, resource_name, identity_name, last_success, last_attempt,
                            last_attempt_result, last_attempt_vendor, stream, last_seen_run)
         SELECT integration_id, resource_source_type, resource_source_id, identity_source_type, identity_source_id,
                resource_name, identity_name, last_success, last_attempt, last_attempt_result, last_attempt_vendor,
                stream, last_seen_run
         FROM usage_before WHERE run_id = ?1 AND by_stream = ?2 AND last_seen_run IS NOT NULL",
        key,
    )?;
    transaction.execute("DELETE FROM usage_before WHERE run_id = ?1 AND by_stream = ?2", key).map(drop)
}
