//! Changes of integrations by the pages and the API: they are created, edited, paused and removed. Each change edits a file
//! in `integrations/`, which can be edited by hand as well.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use connector_sandbox::capabilities::requests_sent;
use connector_sandbox::manifest::{Manifest, SettingKind};
use connector_sandbox::{Digest, Hint, Provenance, bounded_file, private_file};
use connector_store::StoreError;
use connector_sync::check::{Checked, check};
use connector_sync::configuration::{Configuration, Draft, FieldProblem, KEY_FILE};
use connector_sync::retry::RetryPolicy;
use connector_sync::seal::SealingKey;
use connector_sync::{Integration, NullObserver};

use super::Supervisor;
use super::worker::Worker;
use crate::api_types::ErrorBody;
use crate::task;

/// How long the removal of data waits for the last run of the integration to end.
const ENDING: Duration = Duration::from_secs(60);

/// An integration as it was before it is edited.
#[derive(Clone)]
pub(crate) struct Original {
    pub(crate) name: String,
    /// The content of its file.
    pub(crate) draft: Draft,
    /// The digest of its file, so that another change made meanwhile is not overwritten.
    text: Digest,
}

/// Why an action is refused.
#[derive(Debug)]
pub(crate) enum ActionError {
    /// The integration or connector does not exist.
    Missing(ErrorBody),
    /// The state, or a rule, forbids it.
    Conflict(ErrorBody),
    /// Fields are not valid.
    Fields(Vec<FieldProblem>),
    /// The store can't be read.
    Store(StoreError),
}

impl From<StoreError> for ActionError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn conflict(error: impl ToString, hint: Option<String>) -> ActionError {
    ActionError::Conflict(ErrorBody { hint, ..ErrorBody::new(error) })
}

/// A conflict with its remedy.
fn conflict_of(error: &(impl ToString + Hint)) -> ActionError {
    ActionError::Conflict(ErrorBody::of(error))
}

impl Supervisor {
    /// The manifests of all connectors, sorted by title. Connectors that can't be loaded are left out.
    pub(crate) async fn manifests(&self) -> Vec<Manifest> {
        let mut manifests = Vec::new();
        for name in self.registry.names().await {
            match self.registry.connector(&name, &Provenance::default()).await {
                Ok(Some(connector)) => manifests.push(connector.manifest().clone()),
                Ok(None) => {}
                Err(error) => tracing::warn!(connector = name, "it can't be loaded: {error}"),
            }
        }
        manifests.sort_by(|a, b| a.title.cmp(&b.title));
        manifests
    }

    /// The manifest of the connector called `name`.
    pub(crate) async fn manifest(&self, name: &str) -> Result<Manifest, ActionError> {
        let missing = |error: String| ActionError::Missing(ErrorBody::new(error));
        match self.registry.connector(name, &Provenance::default()).await {
            Ok(Some(connector)) => Ok(connector.manifest().clone()),
            Ok(None) => Err(missing(format!("there is no connector `{name}`"))),
            Err(error) => Err(missing(error.to_string())),
        }
    }

    fn worker(&self, name: &str) -> Result<Arc<Worker>, ActionError> {
        self.workers.lock().get(name).cloned().ok_or_else(|| {
            let error = format!("there is no integration `{name}` that can run");
            ActionError::Missing(ErrorBody::new(error).hint("`status` shows all of them"))
        })
    }

    /// The file of an integration's store.
    pub(crate) fn store_of(&self, name: &str) -> Result<PathBuf, ActionError> {
        Ok(self.worker(name)?.store().to_owned())
    }

    /// Runs an integration now.
    pub(crate) fn sync_now(&self, name: &str) -> Result<(), ActionError> {
        self.worker(name)?.run_now(false).map_err(ActionError::Conflict)
    }

    /// Runs an integration now, and removes all objects that the run does not find.
    pub(crate) fn confirm_removals(&self, name: &str) -> Result<(), ActionError> {
        self.worker(name)?.run_now(true).map_err(ActionError::Conflict)
    }

    /// Ends the run of an integration that is under way.
    pub(crate) fn stop_run(&self, name: &str) -> Result<(), ActionError> {
        self.worker(name)?.stop_run();
        Ok(())
    }

    /// The file of an integration; also of one that can't be used.
    fn file_of(&self, name: &str) -> Result<PathBuf, ActionError> {
        if let Ok(worker) = self.worker(name) {
            return Ok(worker.file());
        }
        let unusable = self.unusable.lock();
        let found = unusable.keys().find(|path| path.file_stem().is_some_and(|stem| stem == name));
        found.cloned().ok_or_else(|| {
            let error = format!("there is no integration `{name}`");
            ActionError::Missing(ErrorBody::new(error))
        })
    }

    async fn read_file(&self, name: &str) -> Result<(PathBuf, String), ActionError> {
        let path = self.file_of(name)?;
        let text =
            on_file("read", path.clone(), |path| bounded_file::read_text(path, bounded_file::CONFIGURATION))
                .await?;
        Ok((path, text))
    }

    /// Reads an integration to edit it.
    pub(crate) async fn original(&self, name: &str) -> Result<Original, ActionError> {
        let (path, text) = self.read_file(name).await?;
        let by_hand = || Some(format!("edit `{}` by hand", path.display()));
        let draft = Draft::of(&text).map_err(|error| conflict(error, by_hand()))?;
        Ok(Original { name: name.to_owned(), text: Digest::of(text.as_bytes()), draft })
    }

    /// Encrypts a secret into a draft. An error never repeats the value.
    pub(crate) async fn seal(
        &self,
        draft: &mut Draft,
        manifest: &Manifest,
        setting: &str,
        secret: &str,
    ) -> Result<(), ActionError> {
        let spec = manifest.setting(setting).filter(|spec| spec.kind == SettingKind::Secret);
        let field = |reason: String| {
            ActionError::Fields(vec![FieldProblem { field: format!("settings.{setting}"), reason }])
        };
        let spec = spec.ok_or_else(|| field(format!("is not a secret of {}", manifest.title)))?;
        if let Some(objection) = spec.objection(secret) {
            return Err(field(objection));
        }
        let file = self.folders.integrations().join(KEY_FILE);
        let key = task::blocking(move || SealingKey::load_or_make(&file)).await;
        let sealed = key.and_then(|key| key.seal(&draft.name, setting, secret));
        let sealed =
            sealed.map_err(|error| conflict(format!("the secret could not be encrypted: {error}"), None))?;
        draft.kept.remove(setting);
        draft.sealed.insert(setting.to_owned(), sealed);
        Ok(())
    }

    /// The file of a draft, its new text, and the configuration in that text.
    async fn meant(
        &self,
        draft: &Draft,
        original: Option<&Original>,
    ) -> Result<(PathBuf, String, Configuration), ActionError> {
        let known = match original {
            Some(original) => Some(self.read_file(&original.name).await?),
            None => None,
        };
        let is_as_it_was =
            known.as_ref().map(|(_, text)| Digest::of(text.as_bytes())) == original.map(|one| one.text);
        if !is_as_it_was {
            let error = format!("`{}` was changed or paused meanwhile", draft.name);
            return Err(conflict(error, Some("select Cancel, then edit it again".to_owned())));
        }
        let folder = self.folders.integrations();
        let (path, before) = match known {
            Some((path, text)) => (path, Some(text)),
            None => (folder.join(format!("{}.toml", draft.name)), None),
        };
        let text = draft.write(before.as_deref()).map_err(|error| conflict(error, None))?;
        let configuration = Configuration::parse(&text, &path, &folder);
        let mut configuration = configuration.map_err(|error| conflict_of(&error))?;
        self.route(&mut configuration);
        Ok((path, text, configuration))
    }

    /// Binds a draft to its connector.
    async fn bind(
        &self,
        draft: &Draft,
        configuration: &Configuration,
        original: Option<&Original>,
    ) -> Result<Integration, ActionError> {
        let connector = self.registry.connector(&draft.connector, &configuration.provenance).await;
        let connector = connector
            .map_err(|error| conflict_of(&error))?
            .ok_or_else(|| conflict(format!("there is no connector `{}`", draft.connector), None))?;
        // It shares the request budgets of the running integration.
        let original = original.and_then(|original| self.worker(&original.name).ok());
        let running = original.map(|worker| worker.active().current());
        let configuration = configuration.clone();
        let bound =
            task::blocking(move || Integration::bind(connector, &configuration, running.as_deref())).await;
        bound.map_err(|error| conflict_of(&error))
    }

    /// Asks the vendor what may be read with a draft.
    pub(crate) async fn check_draft(
        &self,
        draft: &Draft,
        original: Option<&Original>,
    ) -> Result<Checked, ActionError> {
        let (_, _, configuration) = self.meant(draft, original).await?;
        let integration = self.bind(draft, &configuration, original).await?;
        let requests = Arc::new(AtomicU64::new(0));
        // Few attempts, because a person waits for the answer.
        let policy = RetryPolicy { attempts: integration.retry.attempts.min(2), ..integration.retry };
        let report = check(&integration, policy, &NullObserver, &requests).await;
        let report = report.map_err(|error| conflict_of(&error))?;
        Ok(Checked::new(&integration, &report, requests_sent(&requests)))
    }

    /// Creates the integration of a draft, or changes the original.
    pub(crate) async fn save_draft(
        self: &Arc<Self>,
        draft: &Draft,
        original: Option<&Original>,
    ) -> Result<(), ActionError> {
        let problems = draft.problems(&self.manifest(&draft.connector).await?, None);
        if !problems.is_empty() {
            return Err(ActionError::Fields(problems));
        }
        let editing = self.editing.lock().await;
        if original.is_none() && self.is_taken(&draft.name).await {
            let reason = "is taken by another integration".to_owned();
            return Err(ActionError::Fields(vec![FieldProblem { field: "name".to_owned(), reason }]));
        }
        let (path, text, configuration) = self.meant(draft, original).await?;
        // A configuration that can't run is not written.
        self.bind(draft, &configuration, original).await?;
        replace(&path, text).await?;
        self.read_integrations(false).await;
        drop(editing);
        match self.unusable.lock().get(&path) {
            Some(problem) => Err(ActionError::Conflict(problem.clone())),
            None => Ok(()),
        }
    }

    /// Whether an integration has this name, or its file exists.
    pub(crate) async fn is_taken(&self, name: &str) -> bool {
        if self.workers.lock().contains_key(name) {
            return true;
        }
        let file = self.folders.integrations().join(format!("{name}.toml"));
        task::blocking(move || file.exists()).await
    }

    /// Pauses an integration, or resumes it.
    pub(crate) async fn pause(self: &Arc<Self>, name: &str, paused: bool) -> Result<(), ActionError> {
        let _editing = self.editing.lock().await;
        let (path, text) = self.read_file(name).await?;
        let mut draft = Draft::of(&text).map_err(|error| conflict(error, None))?;
        draft.paused = paused;
        let text = draft.write(Some(&text)).map_err(|error| conflict(error, None))?;
        replace(&path, text).await?;
        self.read_integrations(false).await;
        Ok(())
    }

    /// Removes an integration, and `with_data` its store. It continues if the client gives up the request.
    pub(crate) async fn remove(self: &Arc<Self>, name: &str, with_data: bool) -> Result<(), ActionError> {
        let (supervisor, name) = (Arc::clone(self), name.to_owned());
        task::detached(async move { supervisor.remove_now(&name, with_data).await }).await
    }

    async fn remove_now(self: &Arc<Self>, name: &str, with_data: bool) -> Result<(), ActionError> {
        let _editing = self.editing.lock().await;
        let (path, worker) = (self.file_of(name)?, self.worker(name).ok());
        on_file("remove", path, |path| std::fs::remove_file(path)).await?;
        self.read_integrations(false).await;
        self.recent_log.forget(name);
        if !with_data {
            return Ok(());
        }
        let store = self.folders.store(name);
        if let Some(worker) = worker
            && tokio::time::timeout(ENDING, worker.ended()).await.is_err()
        {
            let error = "the integration was removed, but its data was not: its last run has not ended";
            return Err(conflict(error, Some(format!("remove `{}` by hand", store.display()))));
        }
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let mut file = store.as_os_str().to_owned();
            file.push(suffix);
            on_file("remove", file.into(), |path| match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            })
            .await?;
        }
        Ok(())
    }
}

/// Writes a configuration.
async fn replace(path: &Path, text: String) -> Result<(), ActionError> {
    on_file("write", path.to_owned(), move |path| private_file::replace(path, text.as_bytes())).await
}

/// Does `work` on a file, outside the runtime. An error names the verb and the file.
async fn on_file<T: Send + 'static>(
    verb: &str,
    path: PathBuf,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, ActionError> {
    let shown = path.display().to_string();
    let done = task::blocking(move || work(&path)).await;
    done.map_err(|error| conflict(format!("could not {verb} `{shown}`: {error}"), None))
}
