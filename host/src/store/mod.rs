//! What is kept: SQLite, one file. `migrations/` documents it: first the tables, then the views that others read.
//!
//! Rows and checkpoint of a page are one transaction: kill the host at any point, and the next run goes on
//! from the last page. Only a complete stream marks what it did not see as gone. What is as it was costs no write but a bit
//! in its page's list of what was seen.
//!
//! `run` and `stream` begin and end, `page` keeps a page (with `usage`, and `seen`), `change` tells what is other than before, `read`, `history`,
//! `browse` and `query` answer, `retention` forgets.

mod browse;
mod change;
mod history;
mod page;
mod query;
mod read;
mod retention;
mod run;
mod seen;
mod stream;
mod usage;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

pub use browse::{Access, Entities, Found, Key, Linked, PageOf, Turn, TypeCount};
pub use change::FieldChange;
pub use history::{ChangeRow, RunRow, RunStreamRow};
pub use page::PageReader;
pub use query::{Asked, Cell};
pub use read::{ConnectorUse, EntityCount, EntityRow, RelationCount, RelationRow, StoredProblem, UsageRow};
pub use run::{RunId, RunStart, StartedRun};
pub use stream::{Effort, StreamCheckpoint, StreamState, Why};

/// `iga` and a zero, in SQLite's header: tells our files from others.
const APPLICATION_ID: i32 = 0x6967_6100;
/// What leads from each schema to the next one. Never changed once released: a change is a migration of its own.
///
/// Our own loop, because the migration library for `rusqlite` is three releases of it behind.
const MIGRATIONS: [(i32, &str); 4] = [
    (5, include_str!("migrations/1-tables.sql")),
    (6, include_str!("migrations/2-views.sql")),
    (7, include_str!("migrations/3-browse.sql")),
    (8, include_str!("migrations/4-known.sql")),
];
/// What SQLite keeps in memory of a store that is written to.
const CACHE_KIB: i64 = 16 << 10;
/// How long the write-ahead log grows, in pages of 4 KiB, before it is worked into the file: what several pages of objects
/// change is written once.
const WAL_PAGES: i64 = 8 << 10;
/// The schema of this release.
const SCHEMA_VERSION: i32 = 8;
/// The first schema that migrations lead on from; earlier ones were never released.
const FIRST_SCHEMA: i32 = 5;

/// A store, open.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    /// Held while a run writes: two runs at once would each take what the other sees for gone. `None` for a reader.
    lock: Option<File>,
}

/// A store that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error("there is no store `{0}`")]
    Missing(PathBuf),
    /// The file is something else.
    #[error("`{path}` is not a store: {reason}")]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// It was written by another release.
    #[error("the store `{path}` has schema {found}, and this release knows {SCHEMA_VERSION}")]
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
        /// What the system said.
        error: std::io::Error,
    },
    /// Another run is writing to it.
    #[error("another sync is writing to the store `{0}`")]
    Busy(PathBuf),
    /// The integration's data is another tenant's.
    #[error("the store `{path}` has data of another tenant under the name `{integration}`: {known}")]
    AnotherTenant {
        /// The file.
        path: PathBuf,
        /// The integration.
        integration: String,
        /// Connector and hosts of the data that is there.
        known: String,
    },
    /// A page came for a stream that has ended.
    #[error(
        "the stream `{stream}` of run {run} in the store `{path}` has ended: no page of it is kept any more"
    )]
    StreamEnded {
        /// The file.
        path: PathBuf,
        /// The run.
        run: i64,
        /// The stream.
        stream: String,
    },
    /// SQLite failed.
    #[error("the store `{path}` failed: {error}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        error: rusqlite::Error,
    },
    /// A task that used it ended early.
    #[error("the store was given up: {0}")]
    GivenUp(String),
}

impl StoreError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing(_) => Some("`connector-host sync` makes one".to_owned()),
            Self::NotAStore { .. } => Some("name another file with `--store`".to_owned()),
            Self::Unopenable { .. } => {
                Some("its folder must exist, and you must be allowed to write there".to_owned())
            }
            Self::Busy(_) => Some("wait for it to end, or name another file with `--store`".to_owned()),
            Self::AnotherTenant { .. } => {
                Some("give this integration another `name`, or name another file with `--store`".to_owned())
            }
            Self::OtherSchema { found, .. } if *found > SCHEMA_VERSION => {
                Some("use the release that wrote it, or a later one".to_owned())
            }
            Self::OtherSchema { found, .. } if *found >= FIRST_SCHEMA => {
                Some("it was written by an earlier release: the next `sync` into it brings it up to date".to_owned())
            }
            Self::OtherSchema { .. } => Some(
                "it was written before the first release: name another file with `--store`, and sync into that"
                    .to_owned(),
            ),
            Self::Sqlite { error, .. } => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    Some("another program is writing to it: wait for it to end".to_owned())
                }
                Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => {
                    Some("make room on the disk, and sync again".to_owned())
                }
                Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Some(
                    "you must be allowed to write to it and to its folder; to read it all the same, copy it to a folder \
                     of yours, with the file that ends in `-wal` if there is one"
                        .to_owned(),
                ),
                _ => None,
            },
            Self::StreamEnded { .. } => Some("another program goes on with the run: sync again once it ended".to_owned()),
            Self::GivenUp(_) => None,
        }
    }
}

impl Store {
    /// Opens the store at `path`, and makes it where there is none. Only its owner may read the file: it says
    /// who has access to what.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file can't be opened, or is not a store of this release.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let unopenable = |error| StoreError::Unopenable { path: path.to_owned(), error };
        create_private(path).map_err(unopenable)?;
        // Two names of one file are one store: the lock lies beside the file, and not beside its name.
        let lock = path.canonicalize().and_then(|file| lock_file(&file)).map_err(unopenable)?;
        if lock.try_lock().is_err() {
            return Err(StoreError::Busy(path.to_owned()));
        }
        let mut store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        store.lock = Some(lock);
        let version = store.pragma("user_version")?;
        let is_new = version == 0 && store.is_empty()?;
        if !is_new {
            store.require_ours()?;
        }
        if is_new || (FIRST_SCHEMA..SCHEMA_VERSION).contains(&version) {
            store.migrate(version)?;
        }
        store.inspect()?;
        // The write-ahead log lets others read while a run writes, and survives a kill at any point; `FULL` survives a
        // power failure without losing a page that was said to be kept.
        store.set("journal_mode", "WAL")?;
        store.set("synchronous", "FULL")?;
        // Keys come in no order, so that each page of objects is looked up all over the file.
        store.set("cache_size", -CACHE_KIB)?;
        store.set("wal_autocheckpoint", WAL_PAGES)?;
        Ok(store)
    }

    /// Opens the store at `path` for reading.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when there is none, or it is not a store of this release.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        // A reader that may not write at all leaves the write-ahead log's files behind: it is asked for only where
        // the file can't be written.
        let store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .or_else(|_| Self::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY))?;
        let store = match store.inspect() {
            // Readers and writers find each other through files beside the store. Where none can be made, and none is
            // there, nobody writes.
            Err(StoreError::Sqlite { error, .. }) if needs_to_write(&error) && !has_log(path) => {
                let store = Self::connect_immutable(path)?;
                store.inspect()?;
                store
            }
            inspected => inspected.map(|()| store)?,
        };
        store.set("query_only", true)?;
        Ok(store)
    }

    /// What `read` reads, all of it as of one moment, whatever a run writes meanwhile.
    ///
    /// # Errors
    ///
    /// When SQLite fails, or `read` does.
    pub fn at_once<T, E: From<StoreError>>(&self, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        // It ends where it is dropped.
        let _moment = self.connection.unchecked_transaction().map_err(|error| self.sqlite(error))?;
        read()
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        Self::connect_to(path, path, flags)
    }

    /// Opens a store that nobody writes to, without any file beside it.
    fn connect_immutable(path: &Path) -> Result<Self, StoreError> {
        let unopenable = |error| StoreError::Unopenable { path: path.to_owned(), error };
        let file = path.canonicalize().map_err(unopenable)?;
        let mut uri = "file:".to_owned();
        for byte in file.as_os_str().as_encoded_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                    uri.push(char::from(*byte))
                }
                byte => uri.push_str(&format!("%{byte:02X}")),
            }
        }
        uri.push_str("?immutable=1");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        Self::connect_to(path, Path::new(&uri), flags)
    }

    fn connect_to(path: &Path, location: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let sqlite = |error| StoreError::Sqlite { path: path.to_owned(), error };
        let connection =
            Connection::open_with_flags(location, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(sqlite)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(sqlite)?;
        Ok(Self { connection, path: path.to_owned(), lock: None })
    }

    fn sqlite(&self, error: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { path: self.path.clone(), error }
    }

    /// The error of a first look at a file.
    fn not_a_store(&self, error: rusqlite::Error) -> StoreError {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => {
                StoreError::NotAStore { path: self.path.clone(), reason: error.to_string() }
            }
            _ => self.sqlite(error),
        }
    }

    fn is_empty(&self) -> Result<bool, StoreError> {
        let count =
            self.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
        Ok(count.map_err(|error| self.not_a_store(error))? == 0)
    }

    /// Brings it from schema `version` to that of this release, or leaves it as it is.
    fn migrate(&self, version: i32) -> Result<(), StoreError> {
        let steps: String =
            MIGRATIONS.iter().filter(|(to, _)| *to > version).map(|(_, step)| format!("{step}\n")).collect();
        let script = format!(
            "BEGIN IMMEDIATE;\n{steps}PRAGMA application_id = {APPLICATION_ID};\n\
             PRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;"
        );
        self.connection.execute_batch(&script).map_err(|error| self.sqlite(error))
    }

    /// All that `write` does, or nothing of it.
    fn write<T>(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let path = self.path.clone();
        let done = || -> rusqlite::Result<T> {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = write(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        done().map_err(|error| StoreError::Sqlite { path, error })
    }

    fn pragma(&self, name: &str) -> Result<i32, StoreError> {
        let value = self.connection.pragma_query_value(None, name, |row| row.get(0));
        value.map_err(|error| self.not_a_store(error))
    }

    fn set(&self, name: &str, value: impl rusqlite::ToSql) -> Result<(), StoreError> {
        let set = self.connection.pragma_update(None, name, value);
        set.map_err(|error| self.sqlite(error))
    }

    fn require_ours(&self) -> Result<(), StoreError> {
        if self.pragma("application_id")? != APPLICATION_ID {
            let reason = "it is a database of another program".to_owned();
            return Err(StoreError::NotAStore { path: self.path.clone(), reason });
        }
        Ok(())
    }

    fn inspect(&self) -> Result<(), StoreError> {
        self.require_ours()?;
        match self.pragma("user_version")? {
            SCHEMA_VERSION => Ok(()),
            found => Err(StoreError::OtherSchema { path: self.path.clone(), found }),
        }
    }
}

/// Whether SQLite failed for want of the right to write.
fn needs_to_write(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen))
}

/// Whether something was written to the store at `path` that is not in its file yet.
fn has_log(path: &Path) -> bool {
    let mut log = path.canonicalize().unwrap_or_else(|_| path.to_owned()).into_os_string();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// The file that is locked for the store at `path`. Beside it, because closing any handle of the store itself would
/// drop the locks that SQLite has on it.
fn lock_file(path: &Path) -> std::io::Result<File> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    create_private(&path.with_file_name(name))
}

/// A file that only its owner may read; empty, where there is none yet.
fn create_private(path: &Path) -> std::io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests;
