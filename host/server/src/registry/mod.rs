//! The connectors that serve, and how one takes over from another while integrations run.
//!
//! A candidate is verified, compiled, described, held against the connector it would replace and against the settings
//! of every integration it would serve, and asked to `check` each. Only then does it take over, at the next page of
//! whatever is running. What fails on the way never serves. `installed` keeps it all on
//! disk; `attach` gives an integration its connector.

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
use parking_lot::{Mutex, MutexGuard};

use crate::api_types::{ConnectorStatus, Swapped};
use installed::{Installed, State, Version};

pub use attach::AttachError;
pub use candidate::Refusal;
pub use installed::InstalledError;

/// The folder, within the one of connectors, of what was installed.
const INSTALLED: &str = "installed";

/// A file that is the same after so long was written to its end.
const AT_REST: Duration = Duration::from_millis(200);

/// How long the `check` of a candidate may take, waits for the vendor included: nothing else is swapped meanwhile.
pub const TRIAL: Duration = Duration::from_secs(60);

/// The connectors that serve.
pub struct Registry {
    engine: Engine,
    bundled: &'static [BundledConnector],
    folder: PathBuf,
    installed: Installed,
    /// Held while something is swapped, one at a time: it takes as long as `check` takes.
    swapping: tokio::sync::Mutex<()>,
    /// Held for moments.
    slots: Mutex<BTreeMap<String, ActiveConnector>>,
    /// Integrations that no connector serves, because there is none that they trust and that fits them. Held for moments.
    waiting: Mutex<BTreeMap<String, Configuration>>,
    trial: Duration,
    failed: mpsc::UnboundedSender<RolledBack>,
}

/// A connector that serves, and whom.
struct ActiveConnector {
    active: Connector,
    /// The one before it, while that may come back.
    before: Option<Before>,
    attachments: BTreeMap<String, Attachment>,
}

/// The connector to go back to, and what decides on that.
#[derive(Clone)]
struct Before {
    connector: Connector,
    probation: Arc<Probation>,
}

/// An integration that is served.
#[derive(Clone)]
struct Attachment {
    configuration: Configuration,
    serving: Arc<ActiveIntegration>,
}

/// How a swap was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Somebody asked for exactly these bytes: that they were refused before does not matter.
    pub explicit: bool,
    /// New hosts and new secrets are fine.
    pub new_access: bool,
}

impl Registry {
    /// The registry over `folder` and the connectors inside this program. `trial` is how long a candidate's `check` may take, commonly [`TRIAL`]; `failed`
    /// hears of connectors that are rolled back by themselves.
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
    ) -> Result<Self, InstalledError> {
        let installed = Installed::open(folder.join(INSTALLED))?;
        let (swapping, slots, waiting) = Default::default();
        Ok(Self {
            engine,
            bundled,
            folder: folder.to_owned(),
            installed,
            swapping,
            slots,
            waiting,
            trial,
            failed,
        })
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, ActiveConnector>> {
        self.slots.lock()
    }

    /// The names of the connectors there are: bundled, dropped into the folder, or serving.
    pub fn names(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self.bundled.iter().map(|one| one.name.to_owned()).collect();
        names.extend(self.slots().keys().cloned());
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        names.extend(files.filter_map(|file| {
            let path = file.path();
            let name = path.file_stem()?.to_str()?;
            (path.extension()? == "wasm" && is_name(name)).then(|| name.to_owned())
        }));
        names
    }

    /// Where somebody drops a connector called `name`.
    fn dropped(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.wasm"))
    }

    /// Tries the files that lie in the folder, where they are not what serves and were not refused before. Tells how
    /// each went.
    pub async fn try_dropped(&self) -> Vec<Result<Swapped, Refusal>> {
        let mut tried = Vec::new();
        let names: Vec<String> = self.slots().keys().cloned().collect();
        for name in names {
            let Some(artifact) = self.read_at_rest(&name).await else { continue };
            let digest = artifact.digest.to_string();
            let state = self.installed.state(&name);
            let is_active =
                self.slots().get(&name).is_some_and(|slot| slot.active.digest() == artifact.digest);
            if is_active || state.versions.contains_key(&digest) {
                continue;
            }
            tried.push(self.swap(&name, artifact, Consent { explicit: false, new_access: false }).await);
        }
        tried
    }

    /// The file that lies in the folder, once it no longer grows. `None` where it does: its next change is noticed too.
    async fn read_at_rest(&self, name: &str) -> Option<Artifact> {
        let path = self.dropped(name);
        let read = || {
            let path = path.clone();
            tokio::task::spawn_blocking(move || Artifact::read(Source::File(path)).ok())
        };
        let first = read().await.ok()??;
        tokio::time::sleep(AT_REST).await;
        let second = read().await.ok()??;
        (first.digest == second.digest).then_some(second)
    }

    /// Tries `artifact` as the connector called `name`, and lets it take over.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says what it failed; then nothing has changed.
    pub async fn swap(&self, name: &str, artifact: Artifact, consent: Consent) -> Result<Swapped, Refusal> {
        let _one_at_a_time = self.swapping.lock().await;
        if !is_name(name) {
            return Err(Refusal::NotAName(name.to_owned()));
        }
        let digest = artifact.digest;
        self.finish_rollback_first(name).await;
        // One that can't be loaded is none to be held against.
        let active = self.active(name, &Provenance::default()).await.ok().flatten();
        let active = active.map(|(active, _)| active);
        let attachments = self.slots().get(name).map(|slot| slot.attachments.clone()).unwrap_or_default();
        if active.as_ref().is_some_and(|active| active.digest() == digest) {
            return Err(Refusal::AlreadyActive { connector: name.to_owned(), digest });
        }
        let mut state = self.installed.state(name);
        if let Some(reason) = state.refused(digest).filter(|_| !consent.explicit) {
            return Err(Refusal::RefusedBefore { digest, reason: reason.to_owned() });
        }
        let trial = candidate::Trial {
            engine: &self.engine,
            name,
            active: active.as_ref(),
            attachments: &attachments,
            waiting: self.waiting_for(name),
            consent,
            longest: self.trial,
        };
        let (connector, integrations) = match trial.of(artifact.clone()).await {
            Ok(tried) => tried,
            Err(refusal) => {
                if refusal.is_the_candidates() {
                    state.refuse(digest, &plain(&refusal.to_string()));
                    self.save(name, &state);
                    // So that somebody can activate it in spite of that.
                    if !matches!(refusal, Refusal::Load(_)) {
                        self.installed.keep(&artifact)?;
                    }
                }
                return Err(refusal);
            }
        };
        let probation = active.as_ref().map(|_| Probation::begin(name, digest, self.failed.clone()));
        self.publish(name, connector, active.as_ref(), integrations, state, probation)
    }

    /// Remembers who serves now, and lets it take over.
    fn publish(
        &self,
        name: &str,
        connector: Connector,
        before: Option<&Connector>,
        integrations: Vec<(String, Integration)>,
        mut state: State,
        probation: Option<Arc<Probation>>,
    ) -> Result<Swapped, Refusal> {
        let digest = connector.digest();
        let version = |connector: &Connector| Version {
            version: connector.manifest().version.clone(),
            installed_at: Utc::now(),
            refused: None,
        };
        for kept in before.into_iter().chain([&connector]) {
            self.installed.keep(kept.artifact())?;
            let known = state.versions.entry(kept.digest().to_string()).or_insert_with(|| version(kept));
            known.version.clone_from(&kept.manifest().version);
        }
        if let Some(known) = state.versions.get_mut(&digest.to_string()) {
            known.refused = None;
        }
        let failed = before.map(Connector::digest).filter(|before| state.refused(*before).is_some());
        state.active = Some(digest.to_string());
        state.activated_at = probation.as_ref().map(|_| Utc::now());
        state.previous = before.map(|before| before.digest().to_string());
        self.installed.save(name, &state)?;

        let swapped = Swapped {
            connector: name.to_owned(),
            version: connector.manifest().version.clone(),
            digest: digest.to_string(),
            previous: state.previous,
            integrations: integrations.iter().map(|(integration, _)| integration.clone()).collect(),
        };
        let mut slots = self.slots();
        let slot = slots.entry(name.to_owned()).or_insert_with(|| ActiveConnector {
            active: connector.clone(),
            before: None,
            attachments: BTreeMap::new(),
        });
        slot.active = connector;
        slot.before = before
            .zip(probation.clone())
            .map(|(connector, probation)| Before { connector: connector.clone(), probation });
        for (integration, mut bound) in integrations {
            bound.probation.clone_from(&probation);
            match (slot.attachments.get(&integration), failed) {
                (Some(attachment), Some(failed)) => attachment.serving.go_back(bound, failed),
                (Some(attachment), None) => attachment.serving.replace(bound),
                (None, _) => {}
            }
        }
        tracing::info!(connector = name, "{:#} took over, version {}", digest, swapped.version);
        Ok(swapped)
    }

    /// Lets the installed connector whose digest begins with `digest` take over.
    ///
    /// # Errors
    ///
    /// As for [`Registry::swap`], or when no connector or several have that digest.
    pub async fn activate(&self, digest: &str, new_access: bool) -> Result<Swapped, Refusal> {
        let found: Vec<ConnectorStatus> =
            self.list().into_iter().filter(|one| one.digest.starts_with(digest)).collect();
        match found.as_slice() {
            [one] => {
                let unknown = || Refusal::Unknown(digest.to_owned());
                let artifact = self.installed.load(&one.digest).ok_or_else(unknown)?;
                self.swap(&one.connector, artifact, Consent { explicit: true, new_access }).await
            }
            [] => Err(Refusal::Unknown(digest.to_owned())),
            _ => Err(Refusal::Ambiguous(digest.to_owned())),
        }
    }

    /// Lets the connector that served before take over again, without asking it to `check`: it did serve. The one that
    /// serves now is not taken from the folder again.
    ///
    /// # Errors
    ///
    /// When there is none, or it no longer fits the settings.
    pub async fn roll_back(&self, name: &str, reason: &str) -> Result<Swapped, Refusal> {
        if !is_name(name) {
            return Err(Refusal::NotAName(name.to_owned()));
        }
        let _one_at_a_time = self.swapping.lock().await;
        self.go_back(name, reason).await
    }

    /// As [`Registry::roll_back`], by who holds the lock on swaps.
    async fn go_back(&self, name: &str, reason: &str) -> Result<Swapped, Refusal> {
        let reason = &plain(reason);
        let no_previous = || Refusal::NoPrevious(name.to_owned());
        let mut state = self.installed.state(name);
        let previous = state.previous.as_deref().and_then(|digest| self.installed.load(digest));
        let artifact = previous.ok_or_else(no_previous)?;
        let (active, attachments) = match self.slots().get(name) {
            Some(slot) => (slot.active.clone(), slot.attachments.clone()),
            None => return Err(no_previous()),
        };
        candidate::verify(&artifact, &attachments)?;
        let connector = Connector::load(&self.engine, artifact, &Provenance::default()).await?;
        let integrations = candidate::bind(&connector, &attachments)?;
        state.refuse(active.digest(), reason);
        // Without a probation: it proved itself, and there is nothing better to go back to.
        let mut swapped = self.publish(name, connector, Some(&active), integrations, state, None)?;
        // Nobody rolls back to what was just rolled back.
        let mut state = self.installed.state(name);
        state.refuse(active.digest(), reason);
        self.save(name, &state);
        swapped.previous = Some(active.digest().to_string());
        Ok(swapped)
    }

    /// Rolls the one that serves back where it failed, and nobody came to settle it yet: what is swapped in now replaces
    /// the one before.
    async fn finish_rollback_first(&self, name: &str) {
        let failure = self.slots().get(name).and_then(|slot| {
            slot.before.as_ref().and_then(|before| before.probation.failure().map(str::to_owned))
        });
        if let Some(reason) = failure
            && let Err(refusal) = self.go_back(name, &reason).await
        {
            tracing::warn!(connector = name, "it failed, and could not be rolled back: {refusal}");
        }
    }

    /// A connector failed its probation: makes what its integrations did already, going back to the one before, last.
    /// `None` where another one took over meanwhile.
    ///
    /// # Errors
    ///
    /// As for [`Registry::roll_back`].
    pub async fn finish_rollback(&self, failed: &RolledBack) -> Result<Option<Swapped>, Refusal> {
        let _one_at_a_time = self.swapping.lock().await;
        let slot = self.slots().get(&failed.connector).map(|slot| {
            let has_failed = slot.before.as_ref().is_some_and(|before| before.probation.has_failed());
            (slot.active.digest(), has_failed)
        });
        match slot {
            Some((active, true)) if active == failed.digest => {
                return self.go_back(&failed.connector, &failed.reason).await.map(Some);
            }
            // It was rolled back already, and somebody activated it again.
            Some((active, false)) if active == failed.digest => return Ok(None),
            _ => {}
        }
        // It must not come back by itself, either.
        let mut state = self.installed.state(&failed.connector);
        state.refuse(failed.digest, &plain(&failed.reason));
        self.save(&failed.connector, &state);
        Ok(None)
    }

    /// All connectors there are, by name.
    #[must_use]
    pub fn list(&self) -> Vec<ConnectorStatus> {
        let mut rows = Vec::new();
        for (name, slot) in self.slots().iter() {
            let state = self.installed.state(name);
            let active = slot.active.digest().to_string();
            let row = |digest: &str, version: &str, word: &str, reason: Option<String>| ConnectorStatus {
                connector: name.clone(),
                version: version.to_owned(),
                digest: digest.to_owned(),
                state: word.to_owned(),
                reason,
            };
            rows.push(row(&active, &slot.active.manifest().version, "active", None));
            for (digest, version) in state.versions.iter().filter(|(digest, _)| **digest != active) {
                let word = match &version.refused {
                    Some(_) => "refused",
                    None if state.previous.as_deref() == Some(digest) => "previous",
                    None => "installed",
                };
                rows.push(row(digest, &version.version, word, version.refused.clone()));
            }
        }
        rows
    }

    fn save(&self, name: &str, state: &State) {
        if let Err(error) = self.installed.save(name, state) {
            tracing::warn!("{error}");
        }
    }
}

/// Whether it can be the name of a connector, and of its file.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
}
