//! Exports the contents of a store in formats that other programs read. One module for each format; `folder` has the files,
//! `table` is CSV.

mod balkanid;
mod csv_views;
mod fields;
mod folder;
mod json_list;
mod ndjson;
mod oaa;
mod ocsf;
mod scim;
mod sqlite;
mod table;

use std::path::{Path, PathBuf};

use serde::Serialize;

use connector_sandbox::Hint;
use connector_store::{Cell, Reader, RunId, StoreError};

pub use folder::Existing;
use folder::Folder;

/// A format to export to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line: `entities.ndjson`, `relations.ndjson`, `usages.ndjson`.
    Ndjson,
    /// The views of the store as tables in CSV.
    Csv,
    /// The upload formats of BalkanID: `entities.csv`, `entity_relations.csv`, `entitlements.csv`.
    Balkanid,
    /// A compact copy of the store: `store.db`.
    Sqlite,
    /// SCIM 2.0 (RFC 7643): users and groups in pages, `users-0001.json`, `groups-0001.json` and so on.
    Scim,
    /// A payload of Veza's Open Authorization API: `oaa.json`.
    Oaa,
    /// What changed between two runs, as events of OCSF: `events.ndjson`.
    Ocsf,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 7] =
        [Self::Ndjson, Self::Csv, Self::Balkanid, Self::Sqlite, Self::Scim, Self::Oaa, Self::Ocsf];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Balkanid => "balkanid",
            Self::Sqlite => "sqlite",
            Self::Scim => "scim",
            Self::Oaa => "oaa",
            Self::Ocsf => "ocsf",
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
    /// The folder holds files.
    #[error("the folder `{0}` holds files")]
    Occupied(PathBuf),
    /// A file can't be written.
    #[error("could not write `{path}`: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// A table can't be written.
    #[error("could not write a table: {0}")]
    Csv(csv::Error),
    /// A row of the store has a value that is not JSON.
    #[error("the store has a row that is not JSON: {0}")]
    Row(serde_json::Error),
}

impl Hint for ExportError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Occupied(_) => {
                Some("choose an empty folder, or replace the files with `--force`".to_owned())
            }
            Self::File { .. } | Self::Csv(_) | Self::Row(_) => None,
        }
    }
}

/// Writes the contents of `store` to the folder `out`, which is created if missing. `Ocsf` has the changes of all runs after
/// `since`, by default the last run that finished before the latest.
///
/// # Errors
///
/// [`ExportError`]; existing files are replaced only by complete ones.
pub fn export(
    store: &Reader,
    format: Format,
    out: &Path,
    existing: Existing,
    since: Option<RunId>,
) -> Result<Vec<Written>, ExportError> {
    let mut folder = Folder::open(out, existing)?;
    // All files are of one snapshot, so that objects that one file names are in the others.
    match format {
        Format::Ndjson => store.snapshot(|| ndjson::export(store, &mut folder)),
        Format::Csv => store.snapshot(|| csv_views::export(store, &mut folder)),
        Format::Balkanid => store.snapshot(|| balkanid::export(store, &mut folder)),
        Format::Scim => store.snapshot(|| scim::export(store, &mut folder)),
        Format::Oaa => store.snapshot(|| oaa::export(store, &mut folder)),
        Format::Ocsf => store.snapshot(|| {
            let since = since.map_or_else(|| store.before_latest(None), Ok)?;
            ocsf::export(store, since, &mut folder)
        }),
        // SQLite copies within a transaction of its own.
        Format::Sqlite => sqlite::export(store, &mut folder),
    }?;
    folder.commit()
}

/// The columns of a row as text; null is the empty text.
fn texts<const N: usize>(row: &[Cell]) -> [&str; N] {
    std::array::from_fn(|index| row.get(index).and_then(Option::as_deref).unwrap_or_default())
}
