//! The daemon: a folder of integrations, each run on its schedule, and a folder of connectors, swapped while they run.
//!
//! `worker` cares for one integration (`ending` says how a run ended), `watch` notices changed files, `edit` changes them,
//! `control` answers the command line over a Unix socket (`client` is its other end), `status` is what they say to each
//! other.

mod client;
mod control;
mod edit;
mod ending;
mod status;
mod watch;
mod worker;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::capability::plain;
use crate::configuration::Configuration;
use crate::journal::Journal;
use crate::plugin::{Digest, Engine};
use crate::registry::{InstalledError, Refusal, Registry, TRIAL};
use crate::serving::RolledBack;
use crate::store::{Store, StoreError};
use crate::web::{self, WebError, WebOptions};
use worker::{Bound, Stored, Worker};

pub use client::{Client, ClientError};
pub(crate) use edit::{Original, Refused};
pub use status::{
    IntegrationState, IntegrationStatus, LastRun, Problem, Progress, RunOutcome, Standing, Status,
};

/// Files that an editor or a copy writes in several steps are looked at after a moment's rest.
const SETTLED: Duration = Duration::from_millis(300);

/// Where everything lies: `integrations/*.toml`, `connectors/*.wasm`, `data/*.db`.
#[derive(Clone, Debug)]
pub struct Folders {
    root: PathBuf,
}

impl Folders {
    /// Below `root`.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn integrations(&self) -> PathBuf {
        self.root.join("integrations")
    }

    fn connectors(&self) -> PathBuf {
        self.root.join("connectors")
    }

    fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Where what was read of an integration lies.
    fn store(&self, integration: &str) -> PathBuf {
        self.data().join(format!("{integration}.db"))
    }

    /// Keeps the hash of the token to sign in with.
    pub(crate) fn token(&self) -> PathBuf {
        self.data().join("page-token")
    }

    /// The socket that the command line talks to.
    fn socket(&self) -> PathBuf {
        self.data().join("control.sock")
    }
}

/// The daemon could not begin.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A folder or file is not usable.
    #[error("could not {what} `{path}`: {error}")]
    File {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Another one runs.
    #[error("another `serve` is at work in `{0}`")]
    Busy(PathBuf),
    /// The folder of connectors is not usable.
    #[error(transparent)]
    Registry(#[from] InstalledError),
    /// The pages can't be served.
    #[error(transparent)]
    Web(#[from] WebError),
    /// Changes can't be watched.
    #[error("could not watch `{path}` for changes: {error}")]
    Watch {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
}

impl DaemonError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Web(error) => error.hint(),
            Self::File { .. } | Self::Busy(_) | Self::Registry(_) | Self::Watch { .. } => None,
        }
    }
}

/// How the daemon works.
#[derive(Debug)]
pub struct DaemonOptions {
    /// Where everything lies.
    pub folders: Folders,
    /// Where connections of all integrations go instead, by host, where an integration does not say so itself.
    pub connect_to: BTreeMap<String, String>,
    /// The log, for people to look at.
    pub journal: Journal,
    /// The pages; `None` for none.
    pub web: Option<WebOptions>,
}

/// The daemon.
pub struct Daemon {
    folders: Folders,
    connect_to: BTreeMap<String, String>,
    pub(crate) journal: Journal,
    /// Where the pages are.
    page: OnceLock<String>,
    pub(crate) registry: Registry,
    workers: Mutex<BTreeMap<String, Arc<Worker>>>,
    /// Files that can't be used, and why.
    unusable: Mutex<BTreeMap<PathBuf, Problem>>,
    connector_message: Mutex<Option<String>>,
    tasks: Mutex<JoinSet<()>>,
    /// Held while a file is changed, by one at a time.
    editing: tokio::sync::Mutex<()>,
    /// Held while the folders are read, by one at a time.
    reloading: tokio::sync::Mutex<()>,
    stop: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No change under these locks can panic half way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Daemon {
    /// Runs until `stop` is cancelled, and then until the pages in flight are kept. `reload` makes it read its folders
    /// again.
    ///
    /// # Errors
    ///
    /// [`DaemonError`] when it can't begin. An integration that can't be used is shown, and the others run.
    pub async fn run(
        engine: Engine,
        options: DaemonOptions,
        stop: CancellationToken,
        mut reload: mpsc::Receiver<()>,
    ) -> Result<(), DaemonError> {
        let DaemonOptions { folders, connect_to, journal, web } = options;
        for folder in [folders.integrations(), folders.connectors(), folders.data()] {
            make_private(&folder)?;
        }
        let _alone = alone(&folders.data())?;
        let (failed_sender, mut failed) = mpsc::unbounded_channel();
        let registry = Registry::open(engine, &folders.connectors(), TRIAL, failed_sender)?;
        let daemon = Arc::new(Self {
            registry,
            workers: Mutex::default(),
            unusable: Mutex::default(),
            connector_message: Mutex::default(),
            tasks: Mutex::default(),
            editing: Default::default(),
            reloading: Default::default(),
            page: OnceLock::new(),
            connect_to,
            journal,
            stop: stop.clone(),
            folders,
        });
        let (_watcher, mut changed) =
            watch::watch(&[daemon.folders.integrations(), daemon.folders.connectors()])?;
        tracing::info!("serving `{}`", daemon.folders.root.display());
        daemon.read_integrations(false).await;
        let control = control::listen(&daemon)?;
        let web = match web {
            Some(options) => Some(web::listen(&daemon, options, stop.clone()).await?),
            None => None,
        };
        if let Some((_, url)) = &web {
            let _ = daemon.page.set(url.clone());
        }
        let mut next = Some(false);
        loop {
            // What takes its time, a candidate's `check` for one, does not keep the program from ending.
            if let Some(anew) = next.take() {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = daemon.reload(anew) => {}
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                // Secrets may have changed where the configuration did not.
                Some(()) = reload.recv() => next = Some(true),
                Some(()) = changed.recv() => {
                    tokio::time::sleep(SETTLED).await;
                    while changed.try_recv().is_ok() {}
                    next = Some(false);
                }
                Some(rolled_back) = failed.recv() => tokio::select! {
                    () = stop.cancelled() => break,
                    () = daemon.settle(&rolled_back) => {}
                },
            }
        }
        tracing::info!("stopping: the pages in flight are kept");
        let mut tasks = std::mem::take(&mut *lock(&daemon.tasks));
        while tasks.join_next().await.is_some() {}
        control.abort();
        if let Some((web, _)) = web {
            web.abort();
        }
        // The next one makes it anew.
        let _ = std::fs::remove_file(daemon.folders.socket());
        tracing::info!("stopped");
        Ok(())
    }

    /// Reads the folders: the integrations, as below, and connectors that were dropped are tried.
    async fn reload(self: &Arc<Self>, anew: bool) {
        self.read_integrations(anew).await;
        for tried in self.registry.try_dropped().await {
            match tried {
                Ok(_) => self.swapped().await,
                Err(refusal) => self.tell_refusal(&refusal),
            }
        }
    }

    /// Somebody dealt with what was wrong with a connector: integrations that waited for that begin.
    pub(crate) async fn swapped(self: &Arc<Self>) {
        *lock(&self.connector_message) = None;
        self.read_integrations(false).await;
    }

    /// New integrations begin, changed ones are changed, removed ones end. `anew` sets up those whose text is the same,
    /// too.
    async fn read_integrations(self: &Arc<Self>, anew: bool) {
        let _one_at_a_time = self.reloading.lock().await;
        let mut unusable = BTreeMap::new();
        let mut seen = BTreeMap::new();
        let paths = match configurations(&self.folders.integrations()) {
            Ok(paths) => paths,
            Err(error) => {
                tracing::error!("the integrations can't be read, and go on as they are: {error}");
                return;
            }
        };
        for path in paths {
            let configuration = match Configuration::load(&path) {
                Ok(configuration) => configuration,
                Err(error) => {
                    let problem = Problem { error: error.to_string(), hint: error.hint() };
                    unusable.insert(path, problem);
                    continue;
                }
            };
            let name = configuration.name.clone();
            if let Some(other) = seen.get(&name) {
                let other: &PathBuf = other;
                let error = format!("the name `{name}` is taken by `{}`", other.display());
                unusable.insert(path, Problem { error, hint: Some("give it another `name`".to_owned()) });
                continue;
            }
            seen.insert(name, path.clone());
            let text = Digest::of(&std::fs::read(&path).unwrap_or_default());
            if let Err(problem) = self.apply(configuration, &path, text, anew).await {
                unusable.insert(path, problem);
            }
        }
        // An integration whose file can't be read goes on as it was; one whose file is gone ends.
        lock(&self.workers).retain(|name, worker| {
            let keep = seen.contains_key(name) || unusable.contains_key(&worker.file());
            if !keep {
                tracing::info!(integration = name, "its file is gone: no more runs");
                worker.stop();
                self.registry.unseat(name);
            }
            keep
        });
        for (path, problem) in &unusable {
            let known = lock(&self.unusable).get(path).is_some_and(|known| known.error == problem.error);
            if !known {
                tracing::error!("`{}` can't be used: {}", path.display(), plain(&problem.error));
            }
            for worker in lock(&self.workers).values().filter(|worker| worker.file() == *path) {
                worker.complain(problem.clone());
            }
        }
        *lock(&self.unusable) = unusable;
    }

    /// Begins an integration, or changes it.
    async fn apply(
        self: &Arc<Self>,
        configuration: Configuration,
        file: &Path,
        text: Digest,
        anew: bool,
    ) -> Result<(), Problem> {
        let mut configuration = configuration;
        self.route(&mut configuration);
        let name = configuration.name.clone();
        let known = lock(&self.workers).get(&name).cloned();
        if !anew && known.as_ref().is_some_and(|worker| worker.has(text, file)) {
            return Ok(());
        }
        let serving = match self.registry.seat(&configuration).await {
            Ok(serving) => serving,
            Err(error) => {
                let problem = Problem { error: error.to_string(), hint: error.hint() };
                // What is not trusted does not go on, whatever it was trusted for before.
                if error.is_distrust()
                    && let Some(worker) = known
                {
                    worker.halt(problem.clone());
                }
                return Err(problem);
            }
        };
        let bound = Bound { configuration, serving, file: file.to_owned(), text };
        if let Some(worker) = known {
            tracing::info!(integration = name, "configured anew");
            worker.reconfigure(bound);
            return Ok(());
        }
        let store = self.folders.store(&name);
        let stored = Stored::read(&store, &name).await;
        let worker = Arc::new(Worker::new(bound, store, stored, self.stop.child_token()));
        tracing::info!(integration = name, "set up");
        lock(&self.workers).insert(name, Arc::clone(&worker));
        lock(&self.tasks).spawn(worker.work());
        Ok(())
    }

    /// Where connections go instead that all integrations make.
    fn route(&self, configuration: &mut Configuration) {
        for (host, url) in &self.connect_to {
            configuration.connect_to.entry(host.clone()).or_insert_with(|| url.clone());
        }
    }

    /// A connector failed its probation.
    async fn settle(self: &Arc<Self>, rolled_back: &RolledBack) {
        let RolledBack { connector, digest, reason } = rolled_back;
        let message = match self.registry.settle(rolled_back).await {
            Ok(None) => return,
            Ok(Some(swapped)) => {
                self.read_integrations(false).await;
                let before: String = swapped.digest.chars().take(12).collect();
                format!("`{connector}` {digest:#} failed and was rolled back to {before}: {reason}")
            }
            Err(error) => format!("`{connector}` {digest:#} failed, and could not be rolled back: {error}"),
        };
        let message = plain(&message);
        tracing::error!("{message}");
        *lock(&self.connector_message) = Some(message);
    }

    fn tell_refusal(&self, refusal: &Refusal) {
        let message = plain(&format!("a connector was refused: {refusal}"));
        tracing::error!("{message}");
        *lock(&self.connector_message) = Some(message);
    }

    /// What the store of an integration says, off the runtime. One that was never read has an empty one.
    pub(crate) async fn read<T: Default + Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refused> {
        let path = self.store_of(name)?;
        let read = tokio::task::spawn_blocking(move || match Store::open_read_only(&path) {
            Ok(store) => work(&store),
            Err(StoreError::Missing(_)) => Ok(T::default()),
            Err(error) => Err(error),
        });
        Ok(read.await.map_err(|error| StoreError::GivenUp(error.to_string()))??)
    }

    /// Where everything lies.
    pub(crate) fn folders(&self) -> &Folders {
        &self.folders
    }

    /// What there is, and what it does.
    pub(crate) fn status(&self) -> Status {
        let mut integrations: Vec<_> = lock(&self.workers).values().map(|worker| worker.status()).collect();
        for (path, problem) in lock(&self.unusable).iter() {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !lock(&self.workers).values().any(|worker| worker.file() == *path) {
                integrations.push(IntegrationStatus {
                    name,
                    state: IntegrationState::Unusable,
                    status: Standing::NotUsable,
                    status_message: problem.error.clone(),
                    title: String::new(),
                    owner: String::new(),
                    secondary_owners: Vec::new(),
                    description: String::new(),
                    schedule: String::new(),
                    connector: None,
                    connector_name: None,
                    objects: 0,
                    message: Some(problem.error.clone()),
                    hint: problem.hint.clone(),
                    progress: None,
                    last_run: None,
                    next_run: None,
                });
            }
        }
        integrations.sort_by(|a, b| a.name.cmp(&b.name));
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            page: self.page.get().cloned(),
            integrations,
            connectors: self.registry.list(),
            connector_message: lock(&self.connector_message).clone(),
        }
    }
}

/// The configurations in a folder, in the order of their names.
fn configurations(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn make_private(folder: &Path) -> Result<(), DaemonError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| DaemonError::File { what: "make", path: folder.to_owned(), error })
}

/// A lock that one daemon holds as long as it lives.
fn alone(data: &Path) -> Result<File, DaemonError> {
    let path = data.join("serve.lock");
    let opened = File::options().write(true).create(true).truncate(false).open(&path);
    let file = opened.map_err(|error| DaemonError::File { what: "open", path, error })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(DaemonError::Busy(data.to_owned())),
    }
}
