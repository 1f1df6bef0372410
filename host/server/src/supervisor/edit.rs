//! What somebody who looks at the pages, or the API, changes: integrations are made, changed, paused and removed. All of it
//! is a change of the files in `integrations/`, the same that are written by hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use connector_sandbox::capabilities::requests_sent;
use connector_sandbox::manifest::{Manifest, SettingKind};
use connector_sandbox::{Digest, Hint, Provenance, private_file};
use connector_store::StoreError;
use connector_sync::check::{Checked, check};
use connector_sync::configuration::{Configuration, Draft, FieldProblem, KEY_FILE};
use connector_sync::retry::RetryPolicy;
use connector_sync::seal::SealingKey;
use connector_sync::{Integration, NullObserver};

use super::Supervisor;
use super::worker::Worker;
use crate::api_types::ErrorBody;

/// How long a run that is asked to end may take before its data is removed.
const ENDING: Duration = Duration::from_secs(60);

/// An integration that is being changed, as it was.
#[derive(Clone)]
pub(crate) struct Original {
    pub(crate) name: String,
    /// What its file said.
    pub(crate) draft: Draft,
    /// Of the text of its file: what somebody else changed meanwhile is not overwritten.
    text: Digest,
}

/// What can't be done.
#[derive(Debug)]
pub(crate) enum ActionError {
    /// There is no such thing.
    Missing(ErrorBody),
    /// It can't be done now, or not like this.
    Conflict(ErrorBody),
    /// Fields are wrong.
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

/// A conflict that knows its remedy.
fn conflict_of(error: &(impl ToString + Hint)) -> ActionError {
    ActionError::Conflict(ErrorBody::of(error))
}

impl Supervisor {
    /// What the connectors that there are say of themselves, by title. Those that can't be loaded are left out.
    pub(crate) async fn manifests(&self) -> Vec<Manifest> {
        let mut manifests = Vec::new();
        for name in self.registry.names() {
            match self.registry.serves(&name, &Provenance::default()).await {
                Ok(Some(connector)) => manifests.push(connector.manifest().clone()),
                Ok(None) => {}
                Err(error) => tracing::warn!(connector = name, "it can't be offered: {error}"),
            }
        }
        manifests.sort_by(|a, b| a.title.cmp(&b.title));
        manifests
    }

    /// What the connector called `name` says of itself.
    pub(crate) async fn manifest(&self, name: &str) -> Result<Manifest, ActionError> {
        let missing = |error: String| ActionError::Missing(ErrorBody::new(error));
        match self.registry.serves(name, &Provenance::default()).await {
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

    /// Where an integration's data lies.
    pub(crate) fn store_of(&self, name: &str) -> Result<PathBuf, ActionError> {
        Ok(self.worker(name)?.store().to_owned())
    }

    /// Runs an integration now.
    pub(crate) fn sync_now(&self, name: &str) -> Result<(), ActionError> {
        self.worker(name)?.run_now().map_err(ActionError::Conflict)
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

    fn read_file(&self, name: &str) -> Result<(PathBuf, String), ActionError> {
        let path = self.file_of(name)?;
        let text = std::fs::read_to_string(&path)
            .map_err(|error| conflict(format!("could not read `{}`: {error}", path.display()), None))?;
        Ok((path, text))
    }

    /// An integration as it can be edited.
    pub(crate) fn original(&self, name: &str) -> Result<Original, ActionError> {
        let (path, text) = self.read_file(name)?;
        let by_hand = || Some(format!("edit `{}` by hand", path.display()));
        let draft = Draft::of(&text).map_err(|error| conflict(error, by_hand()))?;
        Ok(Original { name: name.to_owned(), text: Digest::of(text.as_bytes()), draft })
    }

    /// Puts a secret into a draft. An objection is to the value, which it never repeats.
    pub(crate) fn seal(
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
        let key = SealingKey::load_or_make(&self.folders.integrations().join(KEY_FILE));
        let sealed = key.and_then(|key| key.seal(&draft.name, setting, secret));
        let sealed = sealed.map_err(|error| conflict(format!("the secret can't be kept: {error}"), None))?;
        draft.kept.remove(setting);
        draft.sealed.insert(setting.to_owned(), sealed);
        Ok(())
    }

    /// What the file of a draft would be, and the configuration that it means.
    fn meant(
        &self,
        draft: &Draft,
        original: Option<&Original>,
    ) -> Result<(PathBuf, String, Configuration), ActionError> {
        let known = original.map(|original| self.read_file(&original.name)).transpose()?;
        let is_as_it_was =
            known.as_ref().map(|(_, text)| Digest::of(text.as_bytes())) == original.map(|one| one.text);
        if !is_as_it_was {
            let error = format!("`{}` was changed meanwhile, or paused", draft.name);
            return Err(conflict(error, Some("cancel, and edit it as it is now".to_owned())));
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

    /// A draft with the connector that serves it.
    async fn bind(
        &self,
        draft: &Draft,
        configuration: &Configuration,
        original: Option<&Original>,
    ) -> Result<Integration, ActionError> {
        let active = self.registry.serves(&draft.connector, &configuration.provenance).await;
        let active = active.map_err(|error| conflict_of(&error))?;
        let connector =
            active.ok_or_else(|| conflict(format!("there is no connector `{}`", draft.connector), None))?;
        // Its requests count with those of the integration that is at work.
        let seated = original.and_then(|original| self.worker(&original.name).ok());
        let seated = seated.map(|worker| worker.serving().current());
        let integration = Integration::bind(connector, configuration, seated.as_deref());
        integration.map_err(|error| conflict_of(&error))
    }

    /// Tries a draft: asks the vendor what may be read with it.
    pub(crate) async fn check_draft(
        &self,
        draft: &Draft,
        original: Option<&Original>,
    ) -> Result<Checked, ActionError> {
        let (_, _, configuration) = self.meant(draft, original)?;
        let integration = self.bind(draft, &configuration, original).await?;
        let requests = Arc::new(AtomicU64::new(0));
        // Somebody waits for the answer.
        let policy = RetryPolicy { attempts: integration.retry.attempts.min(2), ..integration.retry };
        let report = check(&integration, policy, &NullObserver, &requests).await;
        let report = report.map_err(|error| conflict_of(&error))?;
        Ok(Checked::new(&integration, &report, requests_sent(&requests)))
    }

    /// Makes an integration of a draft, or changes the one it was made of.
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
        if original.is_none() && self.is_taken(&draft.name) {
            let reason = "is taken by another integration".to_owned();
            return Err(ActionError::Fields(vec![FieldProblem { field: "name".to_owned(), reason }]));
        }
        let (path, text, configuration) = self.meant(draft, original)?;
        // What can't run is not written.
        self.bind(draft, &configuration, original).await?;
        replace(&path, &text)?;
        self.read_integrations(false).await;
        drop(editing);
        match self.unusable.lock().get(&path) {
            Some(problem) => Err(ActionError::Conflict(problem.clone())),
            None => Ok(()),
        }
    }

    /// Whether an integration is called so, or its file would be in the way.
    pub(crate) fn is_taken(&self, name: &str) -> bool {
        self.workers.lock().contains_key(name)
            || self.folders.integrations().join(format!("{name}.toml")).exists()
    }

    /// Pauses an integration, or lets it go on.
    pub(crate) async fn pause(self: &Arc<Self>, name: &str, paused: bool) -> Result<(), ActionError> {
        let _editing = self.editing.lock().await;
        let (path, text) = self.read_file(name)?;
        let mut draft = Draft::of(&text).map_err(|error| conflict(error, None))?;
        draft.paused = paused;
        replace(&path, &draft.write(Some(&text)).map_err(|error| conflict(error, None))?)?;
        self.read_integrations(false).await;
        Ok(())
    }

    /// Removes an integration; `with_data` what was read of it, too. Goes on when nobody waits for its end any more.
    pub(crate) async fn remove(self: &Arc<Self>, name: &str, with_data: bool) -> Result<(), ActionError> {
        let (supervisor, name) = (Arc::clone(self), name.to_owned());
        let removed = tokio::spawn(async move { supervisor.remove_now(&name, with_data).await });
        removed.await.unwrap_or_else(|error| Err(conflict(error, None)))
    }

    async fn remove_now(self: &Arc<Self>, name: &str, with_data: bool) -> Result<(), ActionError> {
        let _editing = self.editing.lock().await;
        let (path, worker) = (self.file_of(name)?, self.worker(name).ok());
        std::fs::remove_file(&path)
            .map_err(|error| conflict(format!("could not remove `{}`: {error}", path.display()), None))?;
        self.read_integrations(false).await;
        self.recent_log.forget(name);
        if !with_data {
            return Ok(());
        }
        let store = self.folders.store(name);
        if let Some(worker) = worker
            && tokio::time::timeout(ENDING, worker.ended()).await.is_err()
        {
            let error = "the integration is gone, but its last run has not ended, so its data is still there";
            return Err(conflict(error, Some(format!("remove `{}` by hand", store.display()))));
        }
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let mut file = store.as_os_str().to_owned();
            file.push(suffix);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    let file = Path::new(&file).display();
                    return Err(conflict(format!("could not remove `{file}`: {error}"), None));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Writes a configuration.
fn replace(path: &Path, text: &str) -> Result<(), ActionError> {
    let written = private_file::replace(path, text.as_bytes());
    written.map_err(|error| conflict(format!("could not write `{}`: {error}", path.display()), None))
}
