//! Keeps a page: its rows and its checkpoint, in one transaction.

use connector_sandbox::contract::api::{Page, Progress, Window};
use roaring::RoaringTreemap;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::normal::time_text;
use crate::page_writer::PageWriter;
use crate::run::now;
use crate::seen::bitmap;
use crate::{RunId, StoreError, StreamState, Writer};

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

impl Writer {
    /// Keeps a page and its checkpoint, in one transaction. The last page makes the stream complete, and marks
    /// as gone what the stream had before and did not see in this run, unless it began after a bookmark.
    ///
    /// # Errors
    ///
    /// When SQLite fails or the stream has ended; nothing of the page is kept then.
    pub fn commit_page(
        &mut self,
        run: RunId,
        stream: &str,
        page: &Page,
        reader: &PageReader,
    ) -> Result<(), StoreError> {
        let kept = self.write(|transaction| {
            let begun: Option<(String, bool)> = transaction
                .prepare_cached("SELECT state, baseline FROM run_stream WHERE run_id = ?1 AND stream = ?2")?
                .query_row(params![run.0, stream], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((state, is_baseline)) = begun else { return Ok(false) };
            if StreamState::parse(&state) != StreamState::Running {
                return Ok(false);
            }
            let integration: i64 = transaction
                .prepare_cached("SELECT integration_id FROM run WHERE id = ?1")?
                .query_row([run.0], |row| row.get(0))?;
            let connector = connector_id(transaction, reader)?;
            let writer = PageWriter { transaction, integration, run, stream, connector, is_baseline };
            let entities = writer.entities(&page.entities)?;
            let relations = writer.relations(&page.relations)?;
            writer.usages(&page.usages)?;
            writer.problems(page)?;
            writer.page(page, &entities, &relations)?;
            writer.checkpoint(page, reader.cursor_version)?;
            if matches!(page.progress, Progress::Done(_)) && writer.is_whole()? {
                writer.mark_gone()?;
            }
            Ok(true)
        })?;
        if kept {
            return Ok(());
        }
        let (path, stream) = (self.reader().path.clone(), stream.to_owned());
        Err(StoreError::StreamEnded { path, run: run.0, stream })
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

    /// Which connector read how much.
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
                 cursor_version = ?9, ended_at = CASE WHEN ?3 = 'complete' THEN ?10 END, window_from = coalesce(?7, window_from), window_to = coalesce(?8, window_to)
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

    /// Whether the stream began at the beginning, so that it saw all there is.
    fn is_whole(&self) -> rusqlite::Result<bool> {
        self.transaction.query_row(
            "SELECT whole FROM run_stream WHERE run_id = ?1 AND stream = ?2",
            params![self.run.0, self.stream],
            |row| row.get(0),
        )
    }
}
