//! Questions in SQL over the views, for what is derived and not kept.

use rusqlite::types::ValueRef;
use rusqlite::{Row, named_params};

use super::{Store, StoreError};

/// What a question may name: `:integration` (null for all), `:now` and `:idle_since` (RFC 3339), `:limit` and `:offset`.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The integration; `None` for all of the store.
    pub integration: Option<&'a str>,
    /// Now, RFC 3339.
    pub now: &'a str,
    /// Since when what was not used is idle, RFC 3339.
    pub idle_since: &'a str,
    /// The most rows.
    pub limit: u32,
    /// How many rows to leave out before them.
    pub offset: u64,
}

/// A value as text; null is none.
pub type Cell = Option<String>;

impl Store {
    /// The rows that `select` finds over the views, as text.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn ask(&self, select: &str, asked: Asked<'_>) -> Result<Vec<Vec<Cell>>, StoreError> {
        self.asked(&format!("SELECT * FROM ({select}) LIMIT :limit OFFSET :offset"), asked, |row| {
            let columns = row.as_ref().column_count();
            (0..columns).map(|index| Ok(text(row.get_ref(index)?))).collect()
        })
    }

    /// How many rows `select` finds.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn count(&self, select: &str, asked: Asked<'_>) -> Result<u64, StoreError> {
        let query = format!("SELECT count(*) FROM ({select}) LIMIT :limit OFFSET :offset");
        let counted =
            self.asked(&query, Asked { limit: 1, offset: 0, ..asked }, |row| row.get::<_, i64>(0))?;
        Ok(counted.first().copied().unwrap_or_default().unsigned_abs())
    }

    fn asked<T>(
        &self,
        query: &str,
        asked: Asked<'_>,
        parse: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        // All of them are named, so that a question may leave out what it does not need.
        let query = format!(
            "WITH asked AS (SELECT :integration AS integration, :now AS now, :idle_since AS idle_since) {query}"
        );
        let values = named_params! {
            ":integration": asked.integration,
            ":now": asked.now,
            ":idle_since": asked.idle_since,
            ":limit": asked.limit,
            ":offset": i64::try_from(asked.offset).unwrap_or(i64::MAX),
        };
        let find = || -> rusqlite::Result<Vec<T>> {
            self.connection.prepare_cached(&query)?.query_map(values, parse)?.collect()
        };
        find().map_err(|error| self.sqlite(error))
    }
}

fn text(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(value) => Some(value.to_string()),
        ValueRef::Real(value) => Some(value.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}
