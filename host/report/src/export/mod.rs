//! Exports the contents of a store in formats that other programs read. One module for each format.

mod ndjson;

use std::path::{Path, PathBuf};

use serde::Serialize;

use connector_store::{Reader, StoreError};

/// A format to export to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line: `entities.ndjson`, `relations.ndjson`, `usages.ndjson`.
    Ndjson,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 1] = [Self::Ndjson];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
        }
    }
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
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// A row of the store has a value that is not JSON.
    #[error("the store has a row that is not JSON: {0}")]
    Row(serde_json::Error),
}

/// Writes the contents of `store` to the folder `out`, which is created if missing.
///
/// # Errors
///
/// [`ExportError`]; existing files are replaced only by complete ones.
pub fn export(store: &Reader, format: Format, out: &Path) -> Result<Vec<Written>, ExportError> {
    std::fs::create_dir_all(out).map_err(|error| ExportError::File { path: out.to_owned(), error })?;
    match format {
        Format::Ndjson => ndjson::export(store, out),
    }
}
