//! Rows that a query over the views finds, one at a time.

use rusqlite::params_from_iter;

use crate::query::cells;
use crate::{Cell, Reader, StoreError};

impl Reader {
    /// Calls `each` for every row that `select` finds over the views, as text, one row at a time. `values` are those of its
    /// parameters `?1`, `?2` and so on.
    ///
    /// # Errors
    ///
    /// When SQLite fails, or `each` does.
    pub fn each_found<E: From<StoreError>>(
        &self,
        select: &str,
        values: &[&str],
        mut each: impl FnMut(Vec<Cell>) -> Result<(), E>,
    ) -> Result<(), E> {
        let sqlite = |error| self.sqlite(error);
        let mut statement = self.connection.prepare_cached(select).map_err(sqlite)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(sqlite)?;
        while let Some(row) = rows.next().map_err(sqlite)? {
            each(cells(row).map_err(sqlite)?)?;
        }
        Ok(())
    }
}
