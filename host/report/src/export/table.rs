//! Tables in CSV (RFC 4180), safe to open in a spreadsheet.

use std::borrow::Cow;

use csv::WriterBuilder;

use super::ExportError;
use super::folder::{Folder, OutputFile};

/// A table that is being written.
pub(super) struct Table<'a> {
    writer: csv::Writer<&'a mut OutputFile>,
    records: u64,
}

/// Writes the file `name` with these columns, row by row.
pub(super) fn write(
    folder: &mut Folder<'_>,
    name: &str,
    columns: &[impl AsRef<str>],
    rows: impl FnOnce(&mut Table<'_>) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    folder.write(name, |file| {
        let writer = WriterBuilder::new().from_writer(&mut *file);
        let mut table = Table { writer, records: 0 };
        let written = table.cells(columns.iter().map(AsRef::as_ref)).and_then(|()| rows(&mut table));
        let written =
            written.and_then(|()| table.writer.flush().map_err(|error| ExportError::Csv(error.into())));
        let records = table.records;
        drop(table);
        written?;
        file.count(records - 1);
        Ok(())
    })
}

impl Table<'_> {
    /// Adds a row.
    pub(super) fn cells<'c>(&mut self, cells: impl IntoIterator<Item = &'c str>) -> Result<(), ExportError> {
        let neutral = cells.into_iter().map(neutral);
        for cell in neutral {
            self.writer.write_field(cell.as_bytes()).map_err(ExportError::Csv)?;
        }
        self.writer.write_record(None::<&[u8]>).map_err(ExportError::Csv)?;
        self.records += 1;
        Ok(())
    }
}

/// A spreadsheet runs a cell that begins with one of these as a formula, which could send the table elsewhere. An apostrophe
/// before it makes it text (OWASP, "CSV Injection").
fn neutral(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::neutral;

    #[test]
    fn a_cell_that_a_spreadsheet_would_run_becomes_text() {
        for formula in ["=1+1", "+1 555 0100", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"] {
            assert_eq!(neutral(formula), format!("'{formula}"));
        }
        for text in ["", "Ann", "a=b", "'quoted", "{\"a\":1}"] {
            assert_eq!(neutral(text), text);
        }
    }
}
