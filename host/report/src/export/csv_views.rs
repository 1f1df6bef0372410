//! The views of the store as tables in CSV: the columns are those of `docs/store.md`.

use super::folder::Folder;
use super::{ExportError, table};
use connector_store::Reader;

/// The views that say what is there, and not how it came there.
const VIEWS: [&str; 7] =
    ["identity", "connection", "resource", "relations", "application_access", "usages", "application_usage"];

pub(super) fn export(store: &Reader, folder: &mut Folder<'_>) -> Result<(), ExportError> {
    for view in VIEWS {
        let columns = store.view_columns(view)?;
        table::write(folder, &format!("{view}.csv"), &columns, |table| {
            store.view_rows(view, |row| {
                table.cells(row.iter().map(|cell| cell.as_deref().unwrap_or_default()))
            })
        })?;
    }
    Ok(())
}
