//! The store, used from the async tasks of a run.

use std::path::PathBuf;
use std::sync::Arc;

use connector_store::{StoreError, Writer};
use parking_lot::Mutex;

/// The store, shared by all streams. SQLite has one writer, and blocks: its calls run outside the async runtime.
#[derive(Clone)]
pub(crate) struct Keeper(Arc<Mutex<Writer>>);

impl Keeper {
    pub(crate) async fn open(path: PathBuf) -> Result<Self, StoreError> {
        let opened = tokio::task::spawn_blocking(move || Writer::open(&path)).await;
        let store = opened.map_err(|error| StoreError::GivenUp(error.to_string()))??;
        Ok(Self(Arc::new(Mutex::new(store))))
    }

    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || work(&mut store.lock()));
        done.await.map_err(|error| StoreError::GivenUp(error.to_string()))?
    }
}
