//! Commits a page: its objects, usages and problems, and the checkpoint after it.

use roaring::RoaringTreemap;
use rusqlite::{OptionalExtension, params};

use crate::change;
use crate::normal::time_text;
use crate::numbers::{self, Numbers};
use crate::page_writer::PageWriter;
use crate::removed::{HeldRemovals, mark_removed};
use crate::run::now;
use crate::seen::bitmap;
use crate::{RunId, StoreError, StreamState, Writer, usage};
use connector_sandbox::contract::api::{Page, Progress, Window};
use connector_sandbox::{Digest, StreamName};

/// Which connector read a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageReader {
    /// Its name.
    pub connector: String,
    /// Its version.
    pub version: String,
    /// Its SHA-256.
    pub digest: Digest,
    /// The version of the stream's cursors.
    pub cursor_version: u32,
}

impl Writer {
    /// Stores a page and its checkpoint, in one transaction. The last page makes the stream complete, and marks the objects
    /// that the stream did not see in this run as removed, unless it began after a bookmark. If they are too many
    /// ([`Writer::limit_removals`]), nothing is removed, and the stream is incomplete.
    ///
    /// # Errors
    ///
    /// When SQLite fails or the stream has ended; then nothing of the page is stored.
    pub fn commit_page(
        &mut self,
        run: RunId,
        stream: &StreamName,
        page: &Page,
        reader: &PageReader,
    ) -> Result<Option<HeldRemovals>, StoreError> {
        let removal_percent = self.removal_percent;
        let (name, stream) = (stream, stream.as_str());
        let kept = self.write(|transaction| {
            let begun: Option<(String, bool, i64)> = transaction
                .prepare_cached(
                    "SELECT s.state, s.baseline, r.integration_id FROM run_stream s JOIN run r ON r.id = s.run_id
                     WHERE s.run_id = ?1 AND s.stream = ?2",
                )?
                .query_row(params![run.0, stream], |row| {
                    Ok((row.get("state")?, row.get("baseline")?, row.get("integration_id")?))
                })
                .optional()?;
            let Some((state, is_baseline, integration)) = begun else { return Ok(None) };
            if StreamState::parse(&state) != StreamState::Running {
                return Ok(None);
            }
            let PageReader { connector, version, digest, cursor_version } = reader;
            let writer = PageWriter {
                transaction,
                integration,
                run,
                stream,
                stream_id: numbers::stream(transaction, integration, stream)?,
                connector: numbers::connector(transaction, connector, version, digest)?,
                is_baseline,
                has_changes: change::are_recorded(transaction, run)?,
            };
            let mut numbers = Numbers::new(transaction, integration);
            let entities = writer.entities(&page.entities, &mut numbers)?;
            let relations = writer.relations(&page.relations, &mut numbers)?;
            usage::merge(&writer, &page.usages, &mut numbers)?;
            writer.problems(page)?;
            writer.page(page, &entities, &relations)?;
            writer.checkpoint(page, *cursor_version)?;
            let mut held = None;
            if matches!(page.progress, Progress::Done(_)) && writer.is_whole()? {
                held = mark_removed(&writer, removal_percent)?;
                writer.hold(held.as_ref())?;
            }
            Ok(Some(held))
        })?;
        if let Some(held) = kept {
            return Ok(held);
        }
        let (path, stream) = (self.reader().path.clone(), name.clone());
        Err(StoreError::StreamEnded { path, run: run.0, stream })
    }
}

/// Writes everything but the objects: problems, the page itself, and the checkpoint.
impl PageWriter<'_> {
    fn problems(&self, page: &Page) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare_cached(
            "INSERT OR IGNORE INTO problem (run_id, stream, source_id, field, message) VALUES (?1, ?2, ?3, ?4, ?5)",
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

    fn page(
        &self,
        page: &Page,
        seen_entities: &RoaringTreemap,
        seen_relations: &RoaringTreemap,
    ) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare_cached(
            "INSERT INTO run_page (run_id, stream, connector_id, committed_at, entities, relations, usages, problems,
                                   seen_entities, seen_relations)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
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
            bitmap(seen_entities),
            bitmap(seen_relations),
        ])?;
        Ok(())
    }

    fn checkpoint(&self, page: &Page, cursor_version: u32) -> rusqlite::Result<()> {
        let (state, cursor, bookmark) = match &page.progress {
            Progress::More(cursor) => (StreamState::Running, Some(cursor), None),
            Progress::Done(bookmark) => (StreamState::Complete, None, bookmark.as_ref()),
        };
        let Window { from, to } = page.window.unwrap_or(Window { from: 0, to: 0 });
        let window = page.window.map(|_| (time_text(from), time_text(to)));
        let mut statement = self.transaction.prepare_cached(
            "UPDATE run_stream
             SET state = ?3, cursor = ?4, bookmark = ?5, pages = pages + 1, total = coalesce(?6, total),
                 cursor_version = ?9, ended_at = CASE WHEN ?3 = 'complete' THEN ?10 END,
                 window_from = coalesce(?7, window_from), window_to = coalesce(?8, window_to)
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
            now(),
        ])?;
        Ok(())
    }

    /// Makes a stream that holds removals incomplete.
    fn hold(&self, held: Option<&HeldRemovals>) -> rusqlite::Result<()> {
        if let Some(held) = held {
            self.transaction.execute(
                "UPDATE run_stream SET state = 'incomplete', held = ?3 WHERE run_id = ?1 AND stream = ?2",
                params![self.run.0, self.stream, i64::try_from(held.held).unwrap_or(i64::MAX)],
            )?;
        }
        Ok(())
    }

    /// Whether the stream began at the beginning, so that it saw all present objects.
    fn is_whole(&self) -> rusqlite::Result<bool> {
        self.transaction.query_row(
            "SELECT whole FROM run_stream WHERE run_id = ?1 AND stream = ?2",
            params![self.run.0, self.stream],
            |row| row.get("whole"),
        )
    }
}
