//! The store, used from the async tasks of a run.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use connector_store::{StoreError, Writer};
use parking_lot::Mutex;

/// The store, shared by all streams. SQLite has one writer, and blocks: its calls run outside the async runtime.
#[derive(Clone)]
pub(crate) struct Keeper {
    writer: Arc<Mutex<Writer>>,
    path: PathBuf,
    /// The file that was opened; it may be moved or deleted meanwhile.
    file: FileId,
}

/// The device and the number of a file.
type FileId = (u64, u64);

impl Keeper {
    pub(crate) async fn open(path: PathBuf) -> Result<Self, StoreError> {
        let opened = tokio::task::spawn_blocking(move || {
            let writer = Arc::new(Mutex::new(Writer::open(&path)?));
            let file = id_of(&path).map_err(|error| StoreError::GivenUp(error.to_string()))?;
            Ok(Self { writer, path, file })
        });
        opened.await.map_err(|error| StoreError::GivenUp(error.to_string()))?
    }

    /// Whether its path still leads to the file that was opened. SQLite writes on to a file that was moved or deleted.
    pub(crate) async fn is_in_place(&self) -> bool {
        let (path, file) = (self.path.clone(), self.file);
        let compared = tokio::task::spawn_blocking(move || id_of(&path).is_ok_and(|now| now == file));
        compared.await.unwrap_or(false)
    }

    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.writer);
        let done = tokio::task::spawn_blocking(move || work(&mut store.lock()));
        done.await.map_err(|error| StoreError::GivenUp(error.to_string()))?
    }
}

fn id_of(path: &Path) -> std::io::Result<FileId> {
    let file = std::fs::metadata(path)?;
    Ok((file.dev(), file.ino()))
}
