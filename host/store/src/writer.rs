//! Opens a store for writing: one run at a time.

use std::fs::File;
use std::path::Path;

use rusqlite::{OpenFlags, Transaction, TransactionBehavior};

use crate::schema;
use crate::{Reader, StoreError};

/// The page cache of a store that is open for writing.
const CACHE_KIB: i64 = 16 << 10;
/// See [`Writer::limit_removals`].
const REMOVAL_PERCENT: u8 = 20;
/// The size of the write-ahead log, in pages of 4 KiB, at which it is copied into the file. A page of the file that changes
/// several times is copied once.
const WAL_PAGES: i64 = 8 << 10;

/// A store, open for writing.
pub struct Writer {
    reader: Reader,
    /// The most objects of a type that one run may remove, in percent.
    pub(crate) removal_percent: u8,
    /// Held as long as the writer lives: two runs at once would each mark the other's objects as removed.
    _lock: File,
}

impl Writer {
    /// Opens the store at `path`, or creates it. Only its owner may read the file: it says who has access to what.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the file can't be opened, is not a store of this release, or another run writes to it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let unopenable = |error| StoreError::Unopenable { path: path.to_owned(), error };
        create_private(path).map_err(unopenable)?;
        // A file with two names is one store, so the lock is beside the file itself, not beside a link to it.
        let lock = path.canonicalize().and_then(|file| lock_file(&file)).map_err(unopenable)?;
        if lock.try_lock().is_err() {
            return Err(StoreError::Busy(path.to_owned()));
        }
        let reader = Reader::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if reader.pragma("user_version")? == 0 && reader.is_empty()? {
            reader.connection.execute_batch(&schema::script()).map_err(|error| reader.sqlite(error))?;
        }
        reader.require_schema()?;
        // The write-ahead log lets others read while a run writes, and survives a kill at any point.
        reader.set("journal_mode", "WAL")?;
        // A power failure may lose the last transactions, and never a part of one. That is enough: rows and cursor are one
        // transaction, so the next run resumes from an earlier page.
        reader.set("synchronous", "NORMAL")?;
        // Checking foreign keys takes a tenth of the time of a page. It is not needed: the numbers that a page refers to are
        // looked up in its transaction, and tests check all references.
        reader.set("foreign_keys", false)?;
        // Keys are in no order, so the rows of a page are spread over the whole index, and a large cache helps.
        reader.set("cache_size", -CACHE_KIB)?;
        reader.set("wal_autocheckpoint", WAL_PAGES)?;
        Ok(Self { reader, removal_percent: REMOVAL_PERCENT, _lock: lock })
    }

    /// Sets how many objects of a type one run may remove, in percent of those present. The default is 20; 100 is no limit.
    /// A stream that misses more of them ends as incomplete; they are removed if the next run does not see them either.
    pub fn limit_removals(&mut self, percent: u8) {
        self.removal_percent = percent;
    }

    /// A reader over the connection that writes.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Runs `write` in one transaction.
    pub(crate) fn write<T>(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let path = self.reader.path.clone();
        let connection = &mut self.reader.connection;
        let done = || -> rusqlite::Result<T> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = write(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        done().map_err(|error| StoreError::Sqlite { path, error })
    }
}

/// The lock file of the store at `path`. The store itself can't be locked: closing a handle of it would drop SQLite's locks.
fn lock_file(path: &Path) -> std::io::Result<File> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    create_private(&path.with_file_name(name))
}

/// Opens a file, or creates it so that only its owner may read it.
fn create_private(path: &Path) -> std::io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
