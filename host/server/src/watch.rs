//! Notices changed files. The folders are watched and not the files: editors and copies replace files.

use std::path::{Path, PathBuf};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// The system does not report changes of a folder.
#[derive(Debug, thiserror::Error)]
#[error("could not watch `{path}` for changes: {error}")]
pub struct WatchError {
    path: PathBuf,
    error: String,
}

/// Tells of changes in `folders`, as long as the watcher lives. Which files changed is not told: everything is read
/// again, and what is the same as before is nothing new.
pub(crate) fn watch(folders: &[PathBuf]) -> Result<(RecommendedWatcher, mpsc::Receiver<()>), WatchError> {
    let (sender, receiver) = mpsc::channel(1);
    let failed =
        |path: &Path, error: notify::Error| WatchError { path: path.to_owned(), error: error.to_string() };
    let told = move |event: notify::Result<Event>| {
        if event.as_ref().map_or(true, matters) {
            // Full: a change is waiting to be looked at already.
            let _ = sender.try_send(());
        }
    };
    let mut watcher =
        notify::recommended_watcher(told).map_err(|error| failed(Path::new("integrations"), error))?;
    for folder in folders {
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(|error| failed(folder, error))?;
    }
    Ok((watcher, receiver))
}

/// Reading a file, as we do ourselves, is no change of it.
fn matters(event: &Event) -> bool {
    let ours = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| ["toml", "wasm", "minisig"].iter().any(|ours| extension == *ours))
    };
    !event.kind.is_access() && event.paths.iter().any(ours)
}
