//! Why a store can't be used.

use std::path::PathBuf;

use connector_sandbox::{Hint, StreamName};
use rusqlite::ErrorCode;

use crate::schema::VERSION;

/// A store that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file.
    #[error("there is no store `{0}`")]
    Missing(PathBuf),
    /// The file is not a store.
    #[error("`{path}` is not a store: {reason}")]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// It was written by another release.
    #[error("the store `{path}` has schema {found}, and this release reads schema {VERSION}")]
    OtherSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i32,
    },
    /// The file can't be opened or made.
    #[error("could not open the store `{path}`: {error}")]
    Unopenable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// Another run is writing to it.
    #[error("another sync is writing to the store `{0}`")]
    Busy(PathBuf),
    /// The integration has data of another tenant.
    #[error("the store `{path}` has data of another tenant under the name `{integration}`: {known}")]
    AnotherTenant {
        /// The file.
        path: PathBuf,
        /// The integration.
        integration: String,
        /// Connector and hosts of the data in the store.
        known: String,
    },
    /// A page came for a stream that has ended.
    #[error("the stream `{stream}` of run {run} in the store `{path}` has ended, and takes no more pages")]
    StreamEnded {
        /// The file.
        path: PathBuf,
        /// The run.
        run: i64,
        /// The stream.
        stream: StreamName,
    },
    /// SQLite failed.
    #[error("the store `{path}` failed: {error}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// The error of SQLite.
        error: rusqlite::Error,
    },
    /// A task that used the store ended early.
    #[error("the task that used the store ended early: {0}")]
    GivenUp(String),
}

impl Hint for StoreError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing(_) => Some("`connector-host sync` makes one".to_owned()),
            Self::NotAStore { .. } => Some("name another file with `--store`".to_owned()),
            Self::Unopenable { .. } => {
                Some("its folder must exist, and you need permission to write there".to_owned())
            }
            Self::Busy(_) => Some("wait for it to end, or name another file with `--store`".to_owned()),
            Self::AnotherTenant { .. } => {
                Some("give this integration another `name`, or name another file with `--store`".to_owned())
            }
            Self::OtherSchema { found, .. } if *found > VERSION => {
                Some("use the release that wrote it, or a later one".to_owned())
            }
            Self::OtherSchema { .. } => {
                Some("name another file with `--store`, and sync into that".to_owned())
            }
            Self::Sqlite { error, .. } => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    Some("another program is writing to it: wait for it to end".to_owned())
                }
                Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => {
                    Some("free space on the disk, and sync again".to_owned())
                }
                Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Some(
                    "you need permission to write to it and to its folder; to only read it, copy it to your own \
                     folder, with the file that ends in `-wal` if there is one"
                        .to_owned(),
                ),
                _ => None,
            },
            Self::StreamEnded { .. } => {
                Some("another program has continued the run: sync again after it has ended".to_owned())
            }
            Self::GivenUp(_) => None,
        }
    }
}
