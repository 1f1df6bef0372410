//! Opens a store for reading.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Params, Row};
use url::Url;

use crate::StoreError;
use crate::schema::{APPLICATION_ID, VERSION};

/// A store, open for reading. Any number of programs may read it, also while a run writes. SQLite refuses writes.
pub struct Reader {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
}

impl Reader {
    /// Opens the store at `path`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when there is none, or it is not a store of this release.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        // When a read-only connection is the last to close, SQLite leaves the files of the write-ahead log behind. So this
        // opens the file for writing if it is allowed to, and `query_only` refuses writes.
        let reader = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .or_else(|_| Self::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY))?;
        let reader = match reader.require_schema() {
            // Readers and writers coordinate through files beside the store. If there are none and none can be made, there
            // is no writer.
            Err(StoreError::Sqlite { error, .. }) if needs_to_write(&error) && !has_log(path) => {
                let reader = Self::connect_immutable(path)?;
                reader.require_schema()?;
                reader
            }
            checked => checked.map(|()| reader)?,
        };
        reader.set("query_only", true)?;
        Ok(reader)
    }

    /// Runs `read` over one snapshot of the store, while a run may write.
    ///
    /// # Errors
    ///
    /// When SQLite fails, or `read` does.
    pub fn snapshot<T, E: From<StoreError>>(&self, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        // The transaction ends when it is dropped.
        let _transaction = self.connection.unchecked_transaction().map_err(|error| self.sqlite(error))?;
        read()
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn connect(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        Self::connect_to(path, path, flags)
    }

    /// Opens a store that no program writes to, without making files beside it.
    fn connect_immutable(path: &Path) -> Result<Self, StoreError> {
        let unopenable = |error| StoreError::Unopenable { path: path.to_owned(), error };
        let file = path.canonicalize().map_err(unopenable)?;
        let not_a_url = |()| unopenable(std::io::ErrorKind::InvalidFilename.into());
        let mut uri = Url::from_file_path(file).map_err(not_a_url)?;
        uri.set_query(Some("immutable=1"));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        Self::connect_to(path, Path::new(uri.as_str()), flags)
    }

    fn connect_to(path: &Path, location: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let sqlite = |error| StoreError::Sqlite { path: path.to_owned(), error };
        let connection =
            Connection::open_with_flags(location, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(sqlite)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(sqlite)?;
        Ok(Self { connection, path: path.to_owned() })
    }

    pub(crate) fn sqlite(&self, error: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { path: self.path.clone(), error }
    }

    /// Converts the error of the first read of a file.
    fn not_a_store(&self, error: rusqlite::Error) -> StoreError {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => {
                StoreError::NotAStore { path: self.path.clone(), reason: error.to_string() }
            }
            _ => self.sqlite(error),
        }
    }

    /// Whether the file has no table.
    pub(crate) fn is_empty(&self) -> Result<bool, StoreError> {
        let count = self
            .connection
            .query_row("SELECT count(*) AS total FROM sqlite_schema", [], |row| row.get::<_, i64>("total"));
        Ok(count.map_err(|error| self.not_a_store(error))? == 0)
    }

    pub(crate) fn pragma(&self, name: &str) -> Result<i32, StoreError> {
        let value = self.connection.pragma_query_value(None, name, |row| row.get(0));
        value.map_err(|error| self.not_a_store(error))
    }

    pub(crate) fn set(&self, name: &str, value: impl rusqlite::ToSql) -> Result<(), StoreError> {
        let set = self.connection.pragma_update(None, name, value);
        set.map_err(|error| self.sqlite(error))
    }

    /// Refuses a file of another program, and a store of another release.
    pub(crate) fn require_schema(&self) -> Result<(), StoreError> {
        if self.pragma("application_id")? != APPLICATION_ID {
            let reason = "it is a database of another program".to_owned();
            return Err(StoreError::NotAStore { path: self.path.clone(), reason });
        }
        match self.pragma("user_version")? {
            VERSION => Ok(()),
            found => Err(StoreError::OtherSchema { path: self.path.clone(), found }),
        }
    }

    /// All rows that `query` finds.
    pub(crate) fn rows<T>(
        &self,
        query: &str,
        values: impl Params,
        parse: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let find = || -> rusqlite::Result<Vec<T>> {
            self.connection.prepare_cached(query)?.query_map(values, parse)?.collect()
        };
        find().map_err(|error| self.sqlite(error))
    }
}

/// Whether SQLite failed because it may not write.
fn needs_to_write(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen))
}

/// Whether the write-ahead log of the store at `path` has rows that its file does not have yet.
fn has_log(path: &Path) -> bool {
    let mut log = path.canonicalize().unwrap_or_else(|_| path.to_owned()).into_os_string();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}
