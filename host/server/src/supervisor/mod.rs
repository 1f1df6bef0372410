//! The integrations: their schedules and runs, and changes of their configurations.
//!
//! `worker` runs one integration, `outcome` describes how a run ended, `edit` changes the files that configure integrations.

mod edit;
mod outcome;
mod worker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use connector_sandbox::Digest;
use connector_sandbox::text::plain;
use connector_store::{Reader, StoreError};
use connector_sync::configuration::Configuration;
use connector_sync::probation::RolledBack;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api_types::{ErrorBody, Health, IntegrationState, IntegrationStatus, Status};
use crate::changes::Changes;
use crate::folders::Folders;
use crate::recent_log::RecentLog;
use crate::registry::{Refusal, Registry};
use crate::task;
use worker::{Bound, Stored, Worker};

pub(crate) use edit::{ActionError, Original};

/// How long reading all configurations may take. A network file system may not answer.
const READING: Duration = Duration::from_secs(30);

/// The integrations of a folder, with their schedules and runs.
pub(crate) struct Supervisor {
    folders: Folders,
    /// Redirected connections, by host, for integrations that do not configure the host themselves.
    connect_to: BTreeMap<String, String>,
    pub(crate) recent_log: RecentLog,
    /// The address of the Integrations page.
    page: OnceLock<String>,
    pub(crate) registry: Arc<Registry>,
    workers: Mutex<BTreeMap<String, Arc<Worker>>>,
    /// Files that can't be used, and why.
    unusable: Mutex<BTreeMap<PathBuf, ErrorBody>>,
    connector_message: Mutex<Option<String>>,
    tasks: Mutex<JoinSet<()>>,
    /// Limits the runs that read at the same time.
    places: Arc<Semaphore>,
    /// Held while a configuration is changed, one at a time.
    editing: tokio::sync::Mutex<()>,
    /// Held while the configurations are read, one at a time.
    reloading: tokio::sync::Mutex<()>,
    changes: Changes,
    stop: CancellationToken,
}

impl Supervisor {
    /// The integrations of `folders`, none of which is read yet. After `stop` is cancelled, they end when their pages in
    /// flight are kept.
    pub(crate) fn new(
        folders: Folders,
        registry: Arc<Registry>,
        connect_to: BTreeMap<String, String>,
        recent_log: RecentLog,
        stop: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            folders,
            connect_to,
            recent_log,
            page: OnceLock::new(),
            changes: registry.changes(),
            registry,
            workers: Mutex::default(),
            unusable: Mutex::default(),
            connector_message: Mutex::default(),
            tasks: Mutex::default(),
            places: Arc::new(Semaphore::new(worker::PLACES)),
            editing: tokio::sync::Mutex::default(),
            reloading: tokio::sync::Mutex::default(),
            stop,
        })
    }

    /// Sets the address of the Integrations page.
    pub(crate) fn page_is_at(&self, url: String) {
        // It is set once, before anything reads it.
        let _ = self.page.set(url);
    }

    /// The channel that publishes each change of [`Self::status`].
    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Waits until no integration is running.
    pub(crate) async fn ended(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        while tasks.join_next().await.is_some() {}
    }

    /// Reads the configurations, and tries the connectors in their folder. With `all`, integrations with an unchanged
    /// configuration are set up again as well: a secret may have changed.
    pub(crate) async fn reload(self: &Arc<Self>, all: bool) {
        self.read_integrations(all).await;
        for tried in self.registry.try_dropped().await {
            match tried {
                Ok(_) => self.swapped().await,
                Err(refusal) => self.tell_refusal(&refusal),
            }
        }
    }

    /// Called after a connector took over: starts integrations that had no connector.
    pub(crate) async fn swapped(self: &Arc<Self>) {
        self.tell(None);
        self.read_integrations(false).await;
    }

    /// Reads the configurations: new integrations start, changed ones are set up again, removed ones end. With `all`,
    /// unchanged ones are set up again as well.
    pub(crate) async fn read_integrations(self: &Arc<Self>, all: bool) {
        let _one_at_a_time = self.reloading.lock().await;
        let mut unusable = BTreeMap::new();
        let mut seen = BTreeMap::new();
        let folder = self.folders.integrations();
        let reading = tokio::time::timeout(READING, task::blocking(move || configurations(&folder))).await;
        let files = match reading.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
            Ok(files) => files,
            Err(error) => {
                tracing::error!("could not read the integrations, which continue unchanged: {error}");
                return;
            }
        };
        for (path, loaded) in files {
            let (configuration, text) = match loaded {
                Ok(loaded) => loaded,
                Err(problem) => {
                    unusable.insert(path, problem);
                    continue;
                }
            };
            let name = configuration.name.clone();
            if let Some(other) = seen.get(&name) {
                let other: &PathBuf = other;
                let error = format!("the name `{name}` is taken by `{}`", other.display());
                unusable.insert(path, ErrorBody::new(error).hint("give it another `name`"));
                continue;
            }
            seen.insert(name, path.clone());
            if let Err(problem) = self.apply(configuration, &path, text, all).await {
                unusable.insert(path, problem);
            }
        }
        // With an unreadable file, an integration keeps its former configuration; without a file, it ends.
        self.workers.lock().retain(|name, worker| {
            let keep = seen.contains_key(name) || unusable.contains_key(&worker.file());
            if !keep {
                tracing::info!(integration = name, "its file was removed: no more runs");
                worker.stop();
                self.registry.detach(name);
            }
            keep
        });
        for (path, problem) in &unusable {
            let known = self.unusable.lock().get(path).is_some_and(|known| known.error == problem.error);
            if !known {
                tracing::error!("`{}` can't be used: {}", path.display(), plain(&problem.error));
            }
            for worker in self.workers.lock().values().filter(|worker| worker.file() == *path) {
                worker.complain(problem.clone());
            }
        }
        *self.unusable.lock() = unusable;
        self.changes.publish();
    }

    /// Starts an integration, or applies its new configuration.
    async fn apply(
        self: &Arc<Self>,
        configuration: Configuration,
        file: &Path,
        text: Digest,
        all: bool,
    ) -> Result<(), ErrorBody> {
        let mut configuration = configuration;
        self.route(&mut configuration);
        let name = configuration.name.clone();
        let known = self.workers.lock().get(&name).cloned();
        if !all && known.as_ref().is_some_and(|worker| worker.has(text, file)) {
            return Ok(());
        }
        let active = match self.registry.attach(&configuration).await {
            Ok(active) => active,
            Err(error) => {
                let problem = ErrorBody::of(&error);
                // A connector that is no longer trusted must not read any more.
                if error.is_distrust()
                    && let Some(worker) = known
                {
                    worker.halt(problem.clone());
                }
                return Err(problem);
            }
        };
        let bound = Bound { configuration, active, file: file.to_owned(), text };
        if let Some(worker) = known {
            tracing::info!(integration = name, "configured again");
            worker.reconfigure(bound);
            return Ok(());
        }
        let store = self.folders.store(&name);
        let stored = Stored::read(&store, &name).await;
        let (places, changes) = (Arc::clone(&self.places), self.changes.clone());
        let worker = Arc::new(Worker::new(bound, store, stored, places, changes, self.stop.child_token()));
        tracing::info!(integration = name, "set up");
        self.workers.lock().insert(name, Arc::clone(&worker));
        self.tasks.lock().spawn(worker.work());
        Ok(())
    }

    /// Adds the redirected connections of all integrations to a configuration, which takes precedence.
    fn route(&self, configuration: &mut Configuration) {
        configuration.connect_to_of_all.clone_from(&self.connect_to);
    }

    /// Finishes the rollback of a connector that failed its probation.
    pub(crate) async fn finish_rollback(self: &Arc<Self>, rolled_back: &RolledBack) {
        let RolledBack { connector, digest, reason } = rolled_back;
        let message = match self.registry.finish_rollback(rolled_back).await {
            Ok(None) => return,
            Ok(Some(swapped)) => {
                self.read_integrations(false).await;
                let before: String = swapped.digest.chars().take(12).collect();
                format!("`{connector}` {digest:#} failed and was rolled back to {before}: {reason}")
            }
            Err(error) => format!("`{connector}` {digest:#} failed, and could not be rolled back: {error}"),
        };
        self.tell(Some(&message));
    }

    fn tell_refusal(&self, refusal: &Refusal) {
        self.tell(Some(&format!("a connector was refused: {refusal}")));
    }

    /// Shows the problem of a connector; `None` clears it.
    fn tell(&self, message: Option<&str>) {
        let message = message.map(plain);
        if let Some(message) = &message {
            tracing::error!("{message}");
        }
        *self.connector_message.lock() = message;
        self.changes.publish();
    }

    /// Reads from the store of an integration. An integration that never ran has no store, and returns the default.
    pub(crate) async fn read<T: Default + Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ActionError> {
        let path = self.store_of(name)?;
        let read = task::blocking(move || match Reader::open(&path) {
            Ok(store) => work(&store),
            Err(StoreError::Missing(_)) => Ok(T::default()),
            Err(error) => Err(error),
        });
        Ok(read.await?)
    }

    /// The status of all integrations and connectors, from memory.
    pub(crate) fn status(&self) -> Status {
        let mut integrations: Vec<_> = self.workers.lock().values().map(|worker| worker.status()).collect();
        for (path, problem) in self.unusable.lock().iter() {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !self.workers.lock().values().any(|worker| worker.file() == *path) {
                integrations.push(IntegrationStatus {
                    name,
                    state: IntegrationState::Unusable,
                    status: Health::NotUsable,
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
            connector_message: self.connector_message.lock().clone(),
        }
    }
}

/// A configuration and the digest of its text, or why the file can't be used.
type Loaded = Result<(Configuration, Digest), ErrorBody>;

/// The configurations in a folder, by file name.
fn configurations(folder: &Path) -> std::io::Result<Vec<(PathBuf, Loaded)>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    let load = |path: PathBuf| {
        // The file is read once, so that the digest is that of the applied text.
        let loaded = Configuration::read(&path).and_then(|text| {
            let configuration = Configuration::parse(&text, &path, folder)?;
            Ok((configuration, Digest::of(text.as_bytes())))
        });
        let loaded = loaded.map_err(|error| ErrorBody::of(&error));
        (path, loaded)
    };
    Ok(paths.into_iter().map(load).collect())
}
