//! What a complete stream no longer saw.

use roaring::RoaringTreemap;
use rusqlite::params;

use crate::change::{Kind, Object};
use crate::page_writer::PageWriter;
use crate::seen::{By, see, seen};

impl PageWriter<'_> {
    /// Marks as gone what the stream had, and nobody saw in this run. What another stream saw becomes that one's.
    pub(crate) fn mark_gone(&self) -> rusqlite::Result<()> {
        for object in [Object::Entity, Object::Relation] {
            let table = object.word();
            let mut gone = self.unseen(object)?;
            let mut hand_over =
                self.transaction.prepare_cached(&format!("UPDATE {table} SET stream = ?2 WHERE id = ?1"))?;
            for (stream, seen) in self.seen_by_others(object, &gone)? {
                for id in &seen {
                    hand_over.execute(params![id.cast_signed(), stream])?;
                }
                gone -= seen;
            }
            let mut mark = self
                .transaction
                .prepare_cached(&format!("UPDATE {table} SET gone_run = ?2 WHERE id = ?1"))?;
            for id in gone {
                let id = id.cast_signed();
                mark.execute(params![id, self.run.0])?;
                self.changed(object, id, Kind::Removed, &[])?;
            }
        }
        Ok(())
    }

    /// What is there of this stream, and was not seen by it in this run.
    fn unseen(&self, object: Object) -> rusqlite::Result<RoaringTreemap> {
        let seen = seen(self.transaction, self.run, object, By::Stream(self.stream))?;
        let mut here = self.transaction.prepare_cached(&format!(
            "SELECT id FROM {} WHERE integration_id = ?1 AND stream = ?2 AND gone_run IS NULL",
            object.word()
        ))?;
        let mut unseen = RoaringTreemap::new();
        let mut rows = here.query(params![self.integration, self.stream])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if !seen.contains(id.unsigned_abs()) {
                see(&mut unseen, id);
            }
        }
        Ok(unseen)
    }

    /// Which other streams of the run saw which of these, each of them once.
    fn seen_by_others(
        &self,
        object: Object,
        of: &RoaringTreemap,
    ) -> rusqlite::Result<Vec<(String, RoaringTreemap)>> {
        let mut left = of.clone();
        if left.is_empty() {
            return Ok(Vec::new());
        }
        let mut streams = self.transaction.prepare_cached(
            "SELECT DISTINCT stream FROM run_page WHERE run_id = ?1 AND stream <> ?2 ORDER BY stream",
        )?;
        let streams = streams.query_map(params![self.run.0, self.stream], |row| row.get(0))?;
        let mut found = Vec::new();
        for stream in streams {
            let stream: String = stream?;
            let theirs = seen(self.transaction, self.run, object, By::Stream(&stream))? & &left;
            if !theirs.is_empty() {
                left -= &theirs;
                found.push((stream, theirs));
            }
        }
        Ok(found)
    }
}
