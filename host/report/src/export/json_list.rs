//! JSON arrays that are written item by item, so that their length needs no memory.

use std::io::Write as _;

use serde::Serialize;

use super::ExportError;
use super::folder::OutputFile;

/// Writes text as it is.
pub(super) fn text(file: &mut OutputFile, text: &str) -> Result<(), ExportError> {
    file.write_all(text.as_bytes()).map_err(|error| file.failed(error))
}

/// Writes a value as JSON.
pub(super) fn value(file: &mut OutputFile, value: &impl Serialize) -> Result<(), ExportError> {
    serde_json::to_writer(&mut *file, value).map_err(|error| file.failed(error.into()))
}

/// Puts a comma before each item but the first.
#[derive(Default)]
pub(super) struct Separator {
    has_items: bool,
}

impl Separator {
    /// Writes what comes before an item.
    pub(super) fn before_item(&mut self, file: &mut OutputFile) -> Result<(), ExportError> {
        let before = if self.has_items { ",\n" } else { "\n" };
        self.has_items = true;
        text(file, before)
    }

    /// Writes an item.
    pub(super) fn item(&mut self, file: &mut OutputFile, item: &impl Serialize) -> Result<(), ExportError> {
        self.before_item(file)?;
        value(file, item)
    }
}
