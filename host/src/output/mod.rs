//! What is kept, in the formats others read. One file a format.

mod documentation;
mod ndjson;
#[cfg(unix)]
mod report;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use documentation::documentation;
#[cfg(unix)]
pub use report::report_page;

use crate::store::{Store, StoreError};

/// A number as people read it: `1,234`.
pub(crate) fn number(number: u64) -> String {
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

/// A format to export to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line: `entities.ndjson`, `relations.ndjson`, `usages.ndjson`.
    Ndjson,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// Its records.
    pub records: u64,
}

/// An export that failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file can't be written.
    #[error("could not write `{path}`: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A row of the store is not what the store writes.
    #[error("the store has a row that is not JSON: {0}")]
    Row(serde_json::Error),
}

/// Writes all that `store` has to the folder `out`, which is made where there is none.
///
/// # Errors
///
/// [`ExportError`]; files that were there before are replaced only by whole ones.
pub fn export(store: &Store, format: Format, out: &Path) -> Result<Vec<Written>, ExportError> {
    std::fs::create_dir_all(out).map_err(|error| ExportError::File { path: out.to_owned(), error })?;
    match format {
        Format::Ndjson => ndjson::export(store, out),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_grouped() {
        let texts = [0, 999, 1000, 1_234_567].map(super::number);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
