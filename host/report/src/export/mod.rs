//! What is kept, in the formats others read. One file a format.

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
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Ndjson];

    /// Its name, as the command line takes it.
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
pub fn export(store: &Reader, format: Format, out: &Path) -> Result<Vec<Written>, ExportError> {
    std::fs::create_dir_all(out).map_err(|error| ExportError::File { path: out.to_owned(), error })?;
    match format {
        Format::Ndjson => ndjson::export(store, out),
    }
}
