//! Reports changed files. It watches folders instead of files, because editors and copies replace files.

use std::path::{Path, PathBuf};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// The system can't report changes of a folder.
#[derive(Debug, thiserror::Error)]
#[error("could not watch `{path}` for changes: {error}")]
pub struct WatchError {
    path: PathBuf,
    error: String,
}

/// Reports changes in `folders` until the watcher is dropped. It does not report which files changed: all are read again,
/// and an unchanged file has no effect.
pub(crate) fn watch(folders: &[PathBuf]) -> Result<(RecommendedWatcher, mpsc::Receiver<()>), WatchError> {
    let (sender, receiver) = mpsc::channel(1);
    let failed =
        |path: &Path, error: notify::Error| WatchError { path: path.to_owned(), error: error.to_string() };
    let report = move |event: notify::Result<Event>| {
        if event.as_ref().map_or(true, matters) {
            // If the channel is full, an earlier change was not handled yet.
            let _ = sender.try_send(());
        }
    };
    let mut watcher =
        notify::recommended_watcher(report).map_err(|error| failed(Path::new("integrations"), error))?;
    for folder in folders {
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(|error| failed(folder, error))?;
    }
    Ok((watcher, receiver))
}

/// Whether a configuration, a connector or a signature changed. A read, such as by this program, is not a change.
fn matters(event: &Event) -> bool {
    let ours = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| ["toml", "wasm", "minisig"].iter().any(|ours| extension == *ours))
    };
    !event.kind.is_access() && event.paths.iter().any(ours)
}
