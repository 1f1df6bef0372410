//! Marks objects as removed that a complete stream did not see.

use std::collections::BTreeMap;

use roaring::RoaringTreemap;
use rusqlite::{OptionalExtension, params};

use crate::RunId;
use crate::change::{Kind, Object};
use crate::numbers;
use crate::page_writer::PageWriter;
use crate::seen::{By, see, seen};

/// Objects that a stream did not see, and that are kept because too many are missing at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRemovals {
    /// Their source type.
    pub source_type: String,
    /// How many.
    pub held: u64,
    /// How many objects of the type the stream had before.
    pub present: u64,
}

/// Fewer missing objects of a type than this are always removed.
const FEWEST_HELD: u64 = 20;

/// Marks the objects of the stream that no stream of the run saw as removed. Objects seen only by another stream are
/// reassigned to it. If more than `percent` of a type would be removed, nothing is marked. Objects that the run before held,
/// and did not see either, do not count.
pub(crate) fn mark_removed(writer: &PageWriter<'_>, percent: u8) -> rusqlite::Result<Option<HeldRemovals>> {
    if let Some(held) = too_many(writer, percent)? {
        return Ok(Some(held));
    }
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
    Ok(None)
}

/// A type of which the stream would remove more than `percent` at once.
fn too_many(writer: &PageWriter<'_>, percent: u8) -> rusqlite::Result<Option<HeldRemovals>> {
    let mut missing = unseen(writer, Object::Entity)?;
    for (_, seen) in seen_by_others(writer, Object::Entity, &missing)? {
        missing -= seen;
    }
    // Objects that the run before held, and did not see either, do not count.
    if let Some(before) = run_that_held(writer)? {
        missing &= seen(writer.transaction, before, Object::Entity, By::All)?;
    }
    if missing.len() < FEWEST_HELD {
        return Ok(None);
    }
    let mut kind = writer.transaction.prepare_cached("SELECT kind_id FROM entity WHERE id = ?1")?;
    let mut by_kind: BTreeMap<i64, u64> = BTreeMap::new();
    for id in missing {
        *by_kind.entry(kind.query_row([id.cast_signed()], |row| row.get("kind_id"))?).or_default() += 1;
    }
    let mut present = writer.transaction.prepare_cached(
        "SELECT k.source_type, count(*) AS present FROM entity e JOIN kind k ON k.id = e.kind_id
         WHERE e.stream_id = ?1 AND e.kind_id = ?2 AND e.gone_run IS NULL",
    )?;
    for (kind, held) in by_kind.into_iter().filter(|(_, held)| *held >= FEWEST_HELD) {
        let (source_type, present) = present.query_row(params![writer.stream_id, kind], |row| {
            Ok((row.get("source_type")?, row.get::<_, i64>("present")?.unsigned_abs()))
        })?;
        if held * 100 > present * u64::from(percent) {
            return Ok(Some(HeldRemovals { source_type, held, present }));
        }
    }
    Ok(None)
}

/// The last run before this one that read the stream, if it held removals.
fn run_that_held(writer: &PageWriter<'_>) -> rusqlite::Result<Option<RunId>> {
    let found = writer
        .transaction
        .prepare_cached(
            // A later run without this stream deletes the bitmaps. Without them, it would seem to have seen nothing.
            "SELECT s.run_id, s.held IS NOT NULL AND EXISTS (
                 SELECT 1 FROM run_page p
                 WHERE p.run_id = s.run_id AND p.stream = s.stream AND p.seen_entities IS NOT NULL
             ) AS has_held
             FROM run_stream s JOIN run r ON r.id = s.run_id
             WHERE s.stream = ?2 AND s.run_id < ?1 AND s.state <> 'skipped' AND r.integration_id = ?3
             ORDER BY s.run_id DESC LIMIT 1",
        )?
        .query_row(params![writer.run.0, writer.stream, writer.integration], |row| {
            Ok((RunId(row.get("run_id")?), row.get::<_, bool>("has_held")?))
        })
        .optional()?;
    Ok(found.filter(|(_, has_held)| *has_held).map(|(run, _)| run))
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

/// The other streams of the run that saw some of `objects`. Each object is assigned to one of them.
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
