//! Composes the registry, the supervisor, the API and the pages, and runs them until they are stopped.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use connector_sandbox::{BundledConnector, Engine, Hint, private_file};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::authentication::TokenHash;
use crate::control;
use crate::folders::Folders;
use crate::pages::{self, PagesError, PagesOptions};
use crate::recent_log::RecentLog;
use crate::registry::{InstalledError, Registry, TRIAL};
use crate::supervisor::Supervisor;
use crate::watch::{WatchError, settle, watch};

/// Changed files are read when nothing has changed for this time ...
const QUIET: Duration = Duration::from_millis(300);

/// ... or this time after the first change.
const LONGEST_SETTLING: Duration = Duration::from_secs(5);

/// The options of [`serve`].
#[derive(Debug)]
pub struct ServeOptions {
    /// The folder of integrations, connectors and data.
    pub folders: Folders,
    /// The connectors inside this program.
    pub bundled: &'static [BundledConnector],
    /// Redirected connections, by host, for integrations that do not configure the host themselves.
    pub connect_to: BTreeMap<String, String>,
    /// The log that the pages show.
    pub recent_log: RecentLog,
    /// The Integrations page; `None` for none.
    pub pages: Option<PagesOptions>,
}

/// Why [`serve`] could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A folder or file is not usable.
    #[error("could not {what} `{path}`: {error}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system answered.
        error: std::io::Error,
    },
    /// Another `serve` runs.
    #[error("another `serve` uses `{0}`")]
    Busy(PathBuf),
    /// The folder of connectors is not usable.
    #[error(transparent)]
    Registry(#[from] InstalledError),
    /// The pages can't be served.
    #[error(transparent)]
    Pages(#[from] PagesError),
    /// Changes can't be watched.
    #[error(transparent)]
    Watch(#[from] WatchError),
}

impl Hint for ServeError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Pages(error) => error.hint(),
            Self::Busy(_) => Some("stop the other one first, or name another folder with `--dir`".to_owned()),
            Self::Registry(error) => error.hint(),
            Self::File { .. } | Self::Watch(_) => None,
        }
    }
}

/// Runs until `stop` is cancelled, and then until the pages in flight are kept. At each message of `reload`, it reads its
/// folders again.
///
/// # Errors
///
/// When it can't start. The status shows an integration that can't be used, and the others run.
pub async fn serve(
    engine: Engine,
    options: ServeOptions,
    stop: CancellationToken,
    mut reload: mpsc::Receiver<()>,
) -> Result<(), ServeError> {
    let ServeOptions { folders, bundled, connect_to, recent_log, pages } = options;
    let unusable = |path: PathBuf, error| ServeError::File { what: "make", path, error };
    for folder in [folders.integrations(), folders.connectors()] {
        private_file::create_folder(&folder).map_err(|error| unusable(folder, error))?;
    }
    // It may have been made by hand.
    private_file::narrow_folder(&folders.data()).map_err(|error| unusable(folders.data(), error))?;
    let _lock = lock(&folders)?;
    let (failed_sender, mut failed) = mpsc::unbounded_channel();
    let registry = Registry::open(engine, bundled, &folders.connectors(), TRIAL, failed_sender)?;
    let token = TokenHash::read(folders.token(), registry.changes()).await;
    let supervisor = Supervisor::new(folders.clone(), registry, connect_to, recent_log, stop.clone());
    let (_watcher, mut changed) = watch(&[folders.integrations(), folders.connectors()])?;
    tracing::info!("serving `{}`", folders.root().display());
    supervisor.read_integrations(false).await;
    let pages = match pages {
        Some(options) => {
            let (task, url) = pages::listen(&supervisor, options, Arc::clone(&token), stop.clone()).await?;
            supervisor.page_is_at(url);
            Some(task)
        }
        None => None,
    };
    // The socket is last: a program that gets an answer from it may rely on the rest.
    let socket = folders.socket();
    let control = control::listen(&supervisor, Arc::clone(&token), &socket)
        .map_err(|error| ServeError::File { what: "listen at", path: socket.clone(), error })?;
    // A token that was made before the socket existed could not be reported.
    token.refresh().await;
    let mut next = Some(false);
    loop {
        // A reload takes as long as the `check` of a candidate; `stop` ends it.
        if let Some(all) = next.take() {
            tokio::select! {
                () = stop.cancelled() => break,
                () = supervisor.reload(all) => {}
            }
        }
        tokio::select! {
            () = stop.cancelled() => break,
            Some(()) = reload.recv() => {
                token.refresh().await;
                // Secrets may have changed although the configuration did not.
                next = Some(true);
            }
            Some(()) = changed.recv() => tokio::select! {
                () = stop.cancelled() => break,
                () = settle(&mut changed, QUIET, LONGEST_SETTLING) => next = Some(false),
            },
            Some(rolled_back) = failed.recv() => tokio::select! {
                () = stop.cancelled() => break,
                () = supervisor.finish_rollback(&rolled_back) => {}
            },
        }
    }
    tracing::info!("stopping: the pages in flight are kept");
    supervisor.ended().await;
    control.abort();
    if let Some(pages) = pages {
        pages.abort();
    }
    // If it stays, it does no harm: the next `serve` replaces it.
    let _ = std::fs::remove_file(socket);
    tracing::info!("stopped");
    Ok(())
}

/// The lock that a `serve` holds while it runs.
fn lock(folders: &Folders) -> Result<File, ServeError> {
    let path = folders.lock();
    // Another user who could open the file could hold the lock.
    let opened = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let opened = opened.and_then(|file| private_file::narrow(&path, 0o600).map(|()| file));
    let file = opened.map_err(|error| ServeError::File { what: "open", path, error })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(ServeError::Busy(folders.data())),
    }
}
