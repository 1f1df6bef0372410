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
        each: impl FnMut(Vec<Cell>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each(select, params_from_iter(values), cells, each)
    }
}
