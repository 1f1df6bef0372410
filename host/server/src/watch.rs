//! Reports changed files. It watches folders instead of files, because editors and copies replace files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::timeout;

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

/// Waits until no change was reported for the time `quiet`, but not longer than `longest`: editors and copies write a file in
/// several steps.
pub(crate) async fn settle(changed: &mut mpsc::Receiver<()>, quiet: Duration, longest: Duration) {
    let _ =
        timeout(longest, async { while let Ok(Some(())) = timeout(quiet, changed.recv()).await {} }).await;
}

/// Whether a configuration, a connector or a signature changed. A read, such as by this program, is not a change.
fn matters(event: &Event) -> bool {
    let ours = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| ["toml", "wasm", "minisig"].iter().any(|ours| extension == *ours))
    };
    !event.kind.is_access() && event.paths.iter().any(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any test.
    const FOREVER: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn each_further_change_is_waited_for() {
        let (sender, mut changed) = mpsc::channel(1);
        let changes = tokio::spawn(async move {
            for _ in 0..3 {
                sender.send(()).await.unwrap();
            }
        });
        // With the sender gone, no further change can come.
        settle(&mut changed, FOREVER, FOREVER).await;
        changes.await.unwrap();
        assert!(changed.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_file_that_changes_all_the_time_is_read_at_last() {
        let (sender, mut changed) = mpsc::channel(1);
        let changes = tokio::spawn(async move { while sender.send(()).await.is_ok() {} });
        settle(&mut changed, FOREVER, Duration::from_millis(20)).await;
        changes.abort();
    }

    #[tokio::test]
    async fn files_that_rest_are_read() {
        let (_sender, mut changed) = mpsc::channel(1);
        settle(&mut changed, Duration::from_millis(1), FOREVER).await;
    }
}
