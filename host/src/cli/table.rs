//! Tables, all of one look.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::terminal;

/// A table with these columns; those that begin with `#` hold numbers and are aligned to the right.
pub(super) fn new(columns: &[&str]) -> Table {
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

/// `12,345`
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The beginning of a digest, as much as a person compares.
pub(super) fn digest(digest: &str) -> String {
    digest.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_grouped() {
        let texts = [0, 999, 1000, 1_234_567].map(super::number);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
