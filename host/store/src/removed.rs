//! Objects that a complete stream no longer saw.

use roaring::RoaringTreemap;
use rusqlite::params;

use crate::change::{Kind, Object};
use crate::numbers;
use crate::page_writer::PageWriter;
use crate::seen::{By, see, seen};

/// Marks the objects of the stream as removed that no stream of the run saw. Objects seen only by another stream are
/// reassigned to it.
pub(crate) fn mark_removed(writer: &PageWriter<'_>) -> rusqlite::Result<()> {
    for object in [Object::Entity, Object::Relation] {
        let table = object.word();
        let mut removed = unseen(writer, object)?;
        let mut reassign =
            writer.transaction.prepare_cached(&format!("UPDATE {table} SET stream_id = ?2 WHERE id = ?1"))?;
        for (stream, seen) in seen_by_others(writer, object, &removed)? {
            let stream_id = numbers::stream(writer.transaction, writer.integration, &stream)?;
            for id in &seen {
                reassign.execute(params![id.cast_signed(), stream_id])?;
            }
            removed -= seen;
        }
        let mut mark =
            writer.transaction.prepare_cached(&format!("UPDATE {table} SET gone_run = ?2 WHERE id = ?1"))?;
        for id in removed {
            let id = id.cast_signed();
            mark.execute(params![id, writer.run.0])?;
            writer.record(object, id, Kind::Removed, &[])?;
        }
    }
    Ok(())
}

/// The present objects of the stream that it did not see in this run.
fn unseen(writer: &PageWriter<'_>, object: Object) -> rusqlite::Result<RoaringTreemap> {
    let seen = seen(writer.transaction, writer.run, object, By::Stream(writer.stream))?;
    let mut present = writer.transaction.prepare_cached(&format!(
        "SELECT id FROM {} WHERE stream_id = ?1 AND gone_run IS NULL",
        object.word()
    ))?;
    let mut unseen = RoaringTreemap::new();
    let mut rows = present.query([writer.stream_id])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get("id")?;
        if !seen.contains(id.unsigned_abs()) {
            see(&mut unseen, id);
        }
    }
    Ok(unseen)
}

/// Which other streams of the run saw which of `objects`, each of them once.
fn seen_by_others(
    writer: &PageWriter<'_>,
    object: Object,
    objects: &RoaringTreemap,
) -> rusqlite::Result<Vec<(String, RoaringTreemap)>> {
    let mut left = objects.clone();
    if left.is_empty() {
        return Ok(Vec::new());
    }
    let mut streams = writer.transaction.prepare_cached(
        "SELECT DISTINCT stream FROM run_page WHERE run_id = ?1 AND stream <> ?2 ORDER BY stream",
    )?;
    let streams = streams.query_map(params![writer.run.0, writer.stream], |row| row.get("stream"))?;
    let mut found = Vec::new();
    for stream in streams {
        let stream: String = stream?;
        let theirs = seen(writer.transaction, writer.run, object, By::Stream(&stream))? & &left;
        if !theirs.is_empty() {
            left -= &theirs;
            found.push((stream, theirs));
        }
    }
    Ok(found)
}
