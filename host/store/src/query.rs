//! Queries in SQL over the views, whose results are derived and not stored.

use rusqlite::types::ValueRef;
use rusqlite::{Row, named_params, params};

use crate::read::count;
use crate::{Reader, StoreError};

/// The parameters that a query may use: `:integration` (null for all), `:now` and `:idle_since` (RFC 3339), `:limit` and
/// `:offset`.
#[derive(Clone, Copy, Debug)]
pub struct QueryParams<'a> {
    /// The integration; `None` for all of the store.
    pub integration: Option<&'a str>,
    /// Now, RFC 3339.
    pub now: &'a str,
    /// An identity that was last used before this time is idle, RFC 3339.
    pub idle_since: &'a str,
    /// The most rows.
    pub limit: u32,
    /// How many rows to skip.
    pub offset: u64,
}

/// A value as text; `None` for null.
pub type Cell = Option<String>;

impl Reader {
    /// The rows that `select` finds over the views, as text.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn ask(&self, select: &str, asked: QueryParams<'_>) -> Result<Vec<Vec<Cell>>, StoreError> {
        self.asked(&format!("SELECT * FROM ({select}) LIMIT :limit OFFSET :offset"), asked, cells)
    }

    /// How many rows `select` finds.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn count(&self, select: &str, asked: QueryParams<'_>) -> Result<u64, StoreError> {
        let query = format!("SELECT count(*) AS total FROM ({select}) LIMIT :limit OFFSET :offset");
        let asked = QueryParams { limit: 1, offset: 0, ..asked };
        let counted = self.asked(&query, asked, |row| count(row, "total"))?;
        Ok(counted.first().copied().unwrap_or_default())
    }

    /// Whether it is known which objects of an entity type fulfil `condition`, an SQL expression over the columns of the
    /// view `entities`: one is present, or each stream that yields the entity type was complete in the last run that
    /// finished and was not abandoned. `None` asks for every integration.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn knows(
        &self,
        integration: Option<&str>,
        entity_type: &str,
        condition: &'static str,
    ) -> Result<bool, StoreError> {
        let query = format!(
            "SELECT count(*) > 0 AND count(*) = total(
                 EXISTS (
                     SELECT 1 FROM kind k JOIN entity e ON e.kind_id = k.id
                     WHERE k.integration_id = i.id AND k.entity_type = ?2
                       AND e.stream_id IS NOT NULL AND e.gone_run IS NULL AND ({condition})
                 )
                 OR (
                     EXISTS (SELECT 1 FROM stream_type t WHERE t.integration_id = i.id AND t.entity_type = ?2)
                     AND NOT EXISTS (
                         SELECT 1 FROM stream_type t
                         WHERE t.integration_id = i.id AND t.entity_type = ?2 AND NOT EXISTS (
                             SELECT 1 FROM run_stream s
                             WHERE s.stream = t.stream AND s.state = 'complete' AND s.run_id = (
                                 SELECT max(r.id) FROM run r
                                 WHERE r.integration_id = i.id AND r.finished_at IS NOT NULL AND NOT r.abandoned
                             )
                         )
                     )
                 )
             ) AS is_known
             FROM integration i WHERE ?1 IS NULL OR i.name = ?1"
        );
        let known =
            self.connection.query_row(&query, params![integration, entity_type], |row| row.get("is_known"));
        known.map_err(|error| self.sqlite(error))
    }

    /// Whether a log of usages was read to its end. `None` asks for every integration.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn knows_usages(&self, integration: Option<&str>) -> Result<bool, StoreError> {
        let known = self.connection.query_row(
            "SELECT count(*) > 0 AND count(*) = total(id IN (SELECT integration_id FROM usage_window)) AS is_known
             FROM integration WHERE ?1 IS NULL OR name = ?1",
            [integration],
            |row| row.get("is_known"),
        );
        known.map_err(|error| self.sqlite(error))
    }

    fn asked<T>(
        &self,
        query: &str,
        asked: QueryParams<'_>,
        parse: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        // SQLite refuses a value for a parameter that the query does not use, so this uses all of them.
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

/// All values of a row, as text.
pub(crate) fn cells(row: &Row<'_>) -> rusqlite::Result<Vec<Cell>> {
    let columns = row.as_ref().column_count();
    (0..columns).map(|index| Ok(text(row.get_ref(index)?))).collect()
}

fn text(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(value) => Some(value.to_string()),
        ValueRef::Real(value) => Some(value.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}
