//! Tables in one style.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
pub(crate) use connector_report::render::number;

use chrono::{DateTime, Local, Utc};

use crate::terminal;

/// A table with these columns; those that begin with `#` hold numbers and are aligned to the right.
pub(crate) fn new(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(terminal::width());
    table.set_header(columns.iter().map(|column| Cell::new(column.trim_start_matches('#'))));
    for (index, column) in columns.iter().enumerate() {
        if column.starts_with('#')
            && let Some(column) = table.column_mut(index)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// A time in the time zone of this machine.
pub(crate) fn local_time(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local).format("%Y-%m-%d %H:%M").to_string()
}

/// The first 12 digits of a digest, for people to compare.
pub(crate) fn digest(digest: &str) -> String {
    digest.chars().take(12).collect()
}
