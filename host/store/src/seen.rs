//! Bitmaps of the rows that the pages of a run saw.

use roaring::RoaringTreemap;
use rusqlite::params;

use crate::RunId;
use crate::change::Object;

/// The streams whose pages count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By<'a> {
    /// This stream.
    Stream(&'a str),
    /// All streams except this one.
    Others(&'a str),
    /// All streams.
    All,
}

pub(crate) fn see(seen: &mut RoaringTreemap, id: i64) {
    // Row numbers are positive.
    seen.insert(id.unsigned_abs());
}

pub(crate) fn bitmap(seen: &RoaringTreemap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(seen.serialized_size());
    // Writing to a vector does not fail.
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
        By::Stream(stream) => ("=", Some(stream)),
        By::Others(stream) => ("<>", Some(stream)),
        By::All => ("IS NOT", None),
    };
    let mut pages = connection.prepare_cached(&format!(
        "SELECT {column} AS seen FROM run_page
         WHERE run_id = ?1 AND stream {is} ?2 AND NOT distrusted AND {column} IS NOT NULL"
    ))?;
    let mut seen = RoaringTreemap::new();
    let mut rows = pages.query(params![run.0, stream])?;
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref("seen")?.as_blob()?;
        let page = RoaringTreemap::deserialize_from(bytes).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, error.into())
        })?;
        seen |= page;
    }
    Ok(seen)
}
