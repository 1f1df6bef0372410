//! What the pages of a run saw: bitmaps of row numbers.

use roaring::RoaringTreemap;
use rusqlite::params;

use crate::RunId;
use crate::change::Object;

/// Whose pages saw something.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By<'a> {
    /// Those of this stream.
    Stream(&'a str),
    /// Those of all streams but this one.
    Others(&'a str),
}

pub(crate) fn see(seen: &mut RoaringTreemap, id: i64) {
    // SQLite counts from one.
    seen.insert(id.unsigned_abs());
}

pub(crate) fn bitmap(seen: &RoaringTreemap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(seen.serialized_size());
    // A vector takes all that is written to it.
    let _ = seen.serialize_into(&mut bytes);
    bytes
}

/// The rows that pages of `run` saw.
pub(crate) fn seen(
    connection: &rusqlite::Connection,
    run: RunId,
    object: Object,
    by: By<'_>,
) -> rusqlite::Result<RoaringTreemap> {
    let column = match object {
        Object::Entity => "seen_entities",
        Object::Relation => "seen_relations",
    };
    let (is, stream) = match by {
        By::Stream(stream) => ("=", stream),
        By::Others(stream) => ("<>", stream),
    };
    let mut pages = connection.prepare_cached(&format!(
        "SELECT {column} FROM run_page
         WHERE run_id = ?1 AND stream {is} ?2 AND NOT distrusted AND {column} IS NOT NULL"
    ))?;
    let mut seen = RoaringTreemap::new();
    let mut rows = pages.query(params![run.0, stream])?;
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(0)?.as_blob()?;
        let page = RoaringTreemap::deserialize_from(bytes).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, error.into())
        })?;
        seen |= page;
    }
    Ok(seen)
}
