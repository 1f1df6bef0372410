//! The active connectors, and how a candidate takes over while integrations run.
//!
//! A candidate is verified, compiled, described, compared with the connector that it would replace and with the settings of
//! every integration that it would be attached to, and asked to `check` each. Then it takes over, at the next page of every
//! run under way. A candidate that fails one of these steps does not become active. `installed` keeps connectors on disk;
//! `attach` attaches an integration to its connector.

mod attach;
mod candidate;
mod installed;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::mpsc;

use connector_sandbox::text::plain;
use connector_sandbox::{Artifact, BundledConnector, Connector, Engine, Provenance, Source};
use connector_sync::Integration;
use connector_sync::active::ActiveIntegration;
use connector_sync::configuration::Configuration;
use connector_sync::probation::{Probation, RolledBack};
use parking_lot::Mutex;

use crate::api_types::{ConnectorStatus, Swapped};
use crate::changes::Changes;
use crate::task;
use installed::{Installed, State, Version};

pub use attach::AttachError;
pub use candidate::Refusal;
pub use installed::InstalledError;

/// The folder of installed connectors, in the folder of connectors.
const INSTALLED: &str = "installed";

/// A file that does not change in this time counts as completely written.
const AT_REST: Duration = Duration::from_millis(200);

/// How long the `check` of a candidate may take, waits for the vendor included. No other swap begins meanwhile.
pub const TRIAL: Duration = Duration::from_secs(60);

/// The active connectors, and the integrations that are attached to them.
pub struct Registry {
    engine: Engine,
    bundled: &'static [BundledConnector],
    folder: PathBuf,
    installed: Installed,
    /// Held during a swap, so that there is one at a time. A swap takes as long as its `check`.
    swapping: tokio::sync::Mutex<()>,
    /// By name. Locked only briefly.
    connectors: Mutex<BTreeMap<String, ActiveConnector>>,
    /// Integrations that are attached to no connector, because there is none that they trust and that fits them. Locked only
    /// briefly.
    unattached: Mutex<BTreeMap<String, Configuration>>,
    trial: Duration,
    failed: mpsc::UnboundedSender<RolledBack>,
    changes: Changes,
}

/// An active connector and its integrations.
struct ActiveConnector {
    connector: Connector,
    /// The connector to roll back to, during a probation.
    predecessor: Option<Predecessor>,
    /// By the name of the integration.
    attachments: BTreeMap<String, Attachment>,
}

/// The connector to roll back to, and the probation that decides about the rollback.
#[derive(Clone)]
struct Predecessor {
    connector: Connector,
    probation: Arc<Probation>,
}

/// An integration that is attached to a connector.
#[derive(Clone)]
struct Attachment {
    configuration: Configuration,
    active: Arc<ActiveIntegration>,
}

/// What the sender of a swap request accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Exactly these bytes were requested, so an earlier refusal of them is ignored.
    pub explicit: bool,
    /// New hosts and new secrets are accepted.
    pub new_access: bool,
}

impl Registry {
    /// The registry of the connectors in `folder` and inside this program. `trial` is how long a candidate's `check` may
    /// take, usually [`TRIAL`]; `failed` receives the connectors that failed their probation.
    ///
    /// # Errors
    ///
    /// When the folder can't be made.
    pub fn open(
        engine: Engine,
        bundled: &'static [BundledConnector],
        folder: &Path,
        trial: Duration,
        failed: mpsc::UnboundedSender<RolledBack>,
    ) -> Result<Arc<Self>, InstalledError> {
        let installed = Installed::open(folder.join(INSTALLED))?;
        let (swapping, connectors, unattached, changes) = Default::default();
        Ok(Arc::new(Self {
            engine,
            bundled,
            folder: folder.to_owned(),
            installed,
            swapping,
            connectors,
            unattached,
            trial,
            failed,
            changes,
        }))
    }

    /// The channel that publishes swaps, refusals, and all other changes of the status.
    pub(crate) fn changes(&self) -> Changes {
        self.changes.clone()
    }

    /// Does `work`, which blocks on the file system.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let registry = Arc::clone(self);
        task::blocking(move || work(&registry)).await
    }

    /// The recorded state of the connector called `name`.
    async fn state(self: &Arc<Self>, name: &str) -> Result<State, InstalledError> {
        match self.installed.known(name) {
            Some(state) => Ok(state),
            None => {
                let name = name.to_owned();
                self.blocking(move |registry| registry.installed.state(&name)).await
            }
        }
    }

    /// The installed connector with this digest.
    async fn load(self: &Arc<Self>, digest: String) -> Option<Artifact> {
        self.blocking(move |registry| registry.installed.load(&digest)).await
    }

    /// The names of all connectors: bundled, in the folder, or active.
    pub(crate) async fn names(self: &Arc<Self>) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self.bundled.iter().map(|one| one.name.to_owned()).collect();
        names.extend(self.connectors.lock().keys().cloned());
        names.extend(self.blocking(|registry| names_in(&registry.folder)).await);
        names
    }

    /// The path at which an operator puts the file of a connector called `name`.
    fn dropped(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.wasm"))
    }

    /// Tries the files in the folder that are not active and were not refused before, and returns the result of each.
    pub(crate) async fn try_dropped(self: &Arc<Self>) -> Vec<Result<Swapped, Refusal>> {
        let mut tried = Vec::new();
        let names: Vec<String> = self.connectors.lock().keys().cloned().collect();
        for name in names {
            let Some(artifact) = self.read_at_rest(&name).await else { continue };
            let state = match self.state(&name).await {
                Ok(state) => state,
                Err(error) => {
                    tried.push(Err(error.into()));
                    continue;
                }
            };
            if self.is_active(&name, &artifact) || state.versions.contains_key(&artifact.digest.to_string()) {
                continue;
            }
            tried.push(self.swap(&name, artifact, Consent { explicit: false, new_access: false }).await);
        }
        tried
    }

    fn is_active(&self, name: &str, artifact: &Artifact) -> bool {
        let connectors = self.connectors.lock();
        connectors.get(name).is_some_and(|active| active.connector.digest() == artifact.digest)
    }

    /// The file in the folder, if it is completely written. `None` while it changes: its next change is reported as well.
    async fn read_at_rest(&self, name: &str) -> Option<Artifact> {
        let path = self.dropped(name);
        let read = || {
            let path = path.clone();
            task::blocking(move || Artifact::read(Source::File(path)).ok())
        };
        let first = read().await?;
        tokio::time::sleep(AT_REST).await;
        let second = read().await?;
        (first.digest == second.digest).then_some(second)
    }

    /// Tries `artifact` as the connector called `name`, and lets it take over.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says why it is refused; then the active connector stays.
    pub async fn swap(
        self: &Arc<Self>,
        name: &str,
        artifact: Artifact,
        consent: Consent,
    ) -> Result<Swapped, Refusal> {
        if !is_name(name) {
            return Err(Refusal::NotAName(name.to_owned()));
        }
        let (registry, name) = (Arc::clone(self), name.to_owned());
        let swap = async move {
            let _one_at_a_time = registry.swapping.lock().await;
            registry.try_candidate(&name, artifact, consent).await
        };
        task::detached(swap).await
    }

    /// As [`Registry::swap`], for a caller that holds the lock on swaps.
    async fn try_candidate(
        self: &Arc<Self>,
        name: &str,
        artifact: Artifact,
        consent: Consent,
    ) -> Result<Swapped, Refusal> {
        let digest = artifact.digest;
        self.finish_rollback_first(name).await;
        let mut state = self.state(name).await?;
        // If the active connector can't be loaded, there is nothing to compare the candidate with.
        let active = self.active(name, &Provenance::default()).await.ok().flatten();
        let active = active.map(|(connector, _)| connector);
        if active.as_ref().is_some_and(|active| active.digest() == digest) {
            return Err(Refusal::AlreadyActive { connector: name.to_owned(), digest });
        }
        if let Some(reason) = state.refused(digest).filter(|_| !consent.explicit) {
            return Err(Refusal::RefusedBefore { digest, reason: reason.to_owned() });
        }
        let attachments = self.connectors.lock().get(name).map(|active| active.attachments.clone());
        let trial = candidate::Trial {
            engine: &self.engine,
            name,
            active: active.as_ref(),
            attachments: attachments.unwrap_or_default(),
            unattached: self.unattached_for(name),
            consent,
            longest: self.trial,
        };
        let (connector, integrations) = match trial.of(artifact.clone()).await {
            Ok(tried) => tried,
            Err(refusal) if refusal.is_the_candidates() => {
                state.refuse(digest, &plain(&refusal.to_string()));
                // It is kept, so that an operator can activate it anyway.
                let kept = (!matches!(refusal, Refusal::Load(_))).then_some(artifact);
                let name = name.to_owned();
                self.blocking(move |registry| registry.record_refusal(&name, state, kept.as_ref())).await?;
                return Err(refusal);
            }
            Err(refusal) => return Err(refusal),
        };
        let probation = active.as_ref().map(|_| Probation::begin(name, digest, self.failed.clone()));
        let takeover =
            Takeover { name: name.to_owned(), connector, replaced: active, integrations, probation };
        self.blocking(move |registry| registry.publish(takeover, state)).await
    }

    /// Records a state in which a connector was refused, and keeps that connector.
    fn record_refusal(
        &self,
        name: &str,
        state: State,
        kept: Option<&Artifact>,
    ) -> Result<(), InstalledError> {
        self.save(name, state);
        self.changes.publish();
        kept.map_or(Ok(()), |artifact| self.installed.keep(artifact))
    }

    /// Records which connector is active now, and lets it take over.
    fn publish(&self, takeover: Takeover, mut state: State) -> Result<Swapped, Refusal> {
        let Takeover { name, connector, replaced, integrations, probation } = takeover;
        let digest = connector.digest();
        let version = |connector: &Connector| Version {
            version: connector.manifest().version.clone(),
            installed_at: Utc::now(),
            refused: None,
        };
        for kept in replaced.iter().chain([&connector]) {
            self.installed.keep(kept.artifact())?;
            let known = state.versions.entry(kept.digest().to_string()).or_insert_with(|| version(kept));
            known.version.clone_from(&kept.manifest().version);
        }
        if let Some(known) = state.versions.get_mut(&digest.to_string()) {
            known.refused = None;
        }
        let replaced_digest = replaced.as_ref().map(Connector::digest);
        // A connector that is rolled back does not become the previous one.
        let failed = replaced_digest.filter(|replaced| state.refused(*replaced).is_some());
        state.active = Some(digest.to_string());
        state.activated_at = probation.as_ref().map(|_| Utc::now());
        state.previous = replaced_digest.filter(|_| failed.is_none()).map(|replaced| replaced.to_string());
        self.installed.save(&name, state)?;

        let swapped = Swapped {
            connector: name.clone(),
            version: connector.manifest().version.clone(),
            digest: digest.to_string(),
            previous: replaced_digest.map(|replaced| replaced.to_string()),
            integrations: integrations.iter().map(|(integration, _)| integration.clone()).collect(),
        };
        let mut connectors = self.connectors.lock();
        let active = connectors.entry(name).or_insert_with(|| ActiveConnector {
            connector: connector.clone(),
            predecessor: None,
            attachments: BTreeMap::new(),
        });
        active.connector = connector;
        active.predecessor = replaced
            .zip(probation.clone())
            .map(|(connector, probation)| Predecessor { connector, probation });
        for (integration, mut bound) in integrations {
            bound.probation.clone_from(&probation);
            match (active.attachments.get(&integration), failed) {
                (Some(attachment), Some(failed)) => attachment.active.go_back(bound, failed),
                (Some(attachment), None) => attachment.active.replace(bound),
                (None, _) => {}
            }
        }
        drop(connectors);
        tracing::info!(connector = swapped.connector, "{:#} took over, version {}", digest, swapped.version);
        self.changes.publish();
        Ok(swapped)
    }

    /// Lets the installed connector with a digest that begins with `digest` take over.
    ///
    /// # Errors
    ///
    /// As for [`Registry::swap`], or when no connector or several have that digest.
    pub async fn activate(self: &Arc<Self>, digest: &str, new_access: bool) -> Result<Swapped, Refusal> {
        let found: Vec<ConnectorStatus> =
            self.list().into_iter().filter(|one| one.digest.starts_with(digest)).collect();
        match found.as_slice() {
            [one] => {
                let unknown = || Refusal::Unknown(digest.to_owned());
                let artifact = self.load(one.digest.clone()).await.ok_or_else(unknown)?;
                self.swap(&one.connector, artifact, Consent { explicit: true, new_access }).await
            }
            [] => Err(Refusal::Unknown(digest.to_owned())),
            _ => Err(Refusal::Ambiguous(digest.to_owned())),
        }
    }

    /// Lets the previous connector take over again, without a trial, because it was active before. The connector that it
    /// replaces is not taken from the folder again.
    ///
    /// # Errors
    ///
    /// When there is no previous connector, or it no longer fits the settings.
    pub async fn roll_back(self: &Arc<Self>, name: &str, reason: &str) -> Result<Swapped, Refusal> {
        if !is_name(name) {
            return Err(Refusal::NotAName(name.to_owned()));
        }
        let (registry, name, reason) = (Arc::clone(self), name.to_owned(), reason.to_owned());
        let roll_back = async move {
            let _one_at_a_time = registry.swapping.lock().await;
            registry.go_back(&name, &reason).await
        };
        task::detached(roll_back).await
    }

    /// As [`Registry::roll_back`], for a caller that holds the lock on swaps.
    async fn go_back(self: &Arc<Self>, name: &str, reason: &str) -> Result<Swapped, Refusal> {
        let no_previous = || Refusal::NoPrevious(name.to_owned());
        let mut state = self.state(name).await?;
        let previous = state.previous.clone().ok_or_else(no_previous)?;
        let artifact = self.load(previous).await.ok_or_else(no_previous)?;
        let (active, attachments) = match self.connectors.lock().get(name) {
            Some(active) => (active.connector.clone(), active.attachments.clone()),
            None => return Err(no_previous()),
        };
        candidate::verify(&artifact, &attachments)?;
        let connector = Connector::load(&self.engine, artifact, &Provenance::default()).await?;
        state.refuse(active.digest(), &plain(reason));
        let name = name.to_owned();
        self.blocking(move |registry| {
            let integrations = candidate::bind(&connector, &attachments)?;
            // Without a probation: it was active before, and there is no other connector to roll back to.
            let takeover =
                Takeover { name, connector, replaced: Some(active), integrations, probation: None };
            registry.publish(takeover, state)
        })
        .await
    }

    /// Rolls the active connector back if it failed and its [`RolledBack`] was not handled yet, so that a candidate replaces
    /// the previous connector.
    async fn finish_rollback_first(self: &Arc<Self>, name: &str) {
        let failure = self.connectors.lock().get(name).and_then(|active| {
            let predecessor = active.predecessor.as_ref()?;
            predecessor.probation.failure().map(str::to_owned)
        });
        if let Some(reason) = failure
            && let Err(refusal) = self.go_back(name, &reason).await
        {
            tracing::warn!(connector = name, "it failed, and could not be rolled back: {refusal}");
        }
    }

    /// Finishes the rollback of a connector that failed its probation. Its integrations went back to the previous connector
    /// already; this makes that connector active for all, and records it. `None` if another one took over meanwhile.
    ///
    /// # Errors
    ///
    /// As for [`Registry::roll_back`].
    pub async fn finish_rollback(self: &Arc<Self>, failed: &RolledBack) -> Result<Option<Swapped>, Refusal> {
        let (registry, failed) = (Arc::clone(self), failed.clone());
        let finish = async move {
            let _one_at_a_time = registry.swapping.lock().await;
            registry.roll_back_failed(&failed).await
        };
        task::detached(finish).await
    }

    /// As [`Registry::finish_rollback`], for a caller that holds the lock on swaps.
    async fn roll_back_failed(self: &Arc<Self>, failed: &RolledBack) -> Result<Option<Swapped>, Refusal> {
        let active = self.connectors.lock().get(&failed.connector).map(|active| {
            let predecessor = active.predecessor.as_ref();
            let has_failed = predecessor.is_some_and(|predecessor| predecessor.probation.has_failed());
            (active.connector.digest(), has_failed)
        });
        match active {
            Some((active, true)) if active == failed.digest => {
                return self.go_back(&failed.connector, &failed.reason).await.map(Some);
            }
            // It was rolled back already, and an operator activated it again.
            Some((active, false)) if active == failed.digest => return Ok(None),
            _ => {}
        }
        // It must not become active again automatically.
        let mut state = self.state(&failed.connector).await?;
        state.refuse(failed.digest, &plain(&failed.reason));
        let name = failed.connector.clone();
        self.blocking(move |registry| registry.record_refusal(&name, state, None)).await?;
        Ok(None)
    }

    /// All versions of all connectors, sorted by name, from memory.
    #[must_use]
    pub fn list(&self) -> Vec<ConnectorStatus> {
        let mut rows = Vec::new();
        for (name, active) in self.connectors.lock().iter() {
            let state = self.installed.known(name).unwrap_or_default();
            let digest = active.connector.digest().to_string();
            let row = |digest: &str, version: &str, word: &str, reason: Option<String>| ConnectorStatus {
                connector: name.clone(),
                version: version.to_owned(),
                digest: digest.to_owned(),
                state: word.to_owned(),
                reason,
            };
            rows.push(row(&digest, &active.connector.manifest().version, "active", None));
            for (other, version) in state.versions.iter().filter(|(other, _)| **other != digest) {
                let word = match &version.refused {
                    Some(_) => "refused",
                    None if state.previous.as_deref() == Some(other) => "previous",
                    None => "installed",
                };
                rows.push(row(other, &version.version, word, version.refused.clone()));
            }
        }
        rows
    }

    fn save(&self, name: &str, state: State) {
        if let Err(error) = self.installed.save(name, state) {
            tracing::warn!("{error}");
        }
    }
}

/// A connector that takes over.
struct Takeover {
    name: String,
    connector: Connector,
    /// The one that it replaces.
    replaced: Option<Connector>,
    /// The integrations that are attached to the connector of this name, bound to it.
    integrations: Vec<(String, Integration)>,
    probation: Option<Arc<Probation>>,
}

/// The names of the connectors in a folder.
fn names_in(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = files.filter_map(|file| {
        let path = file.path();
        let name = path.file_stem()?.to_str()?;
        (path.extension()? == "wasm" && is_name(name)).then(|| name.to_owned())
    });
    names.collect()
}

/// Whether `name` can be the name of a connector, and of its file.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
}
