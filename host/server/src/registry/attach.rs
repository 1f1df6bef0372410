//! An integration gets its connector.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;

use super::{ActiveConnector, Attachment, Before, Registry, is_name};
use connector_sandbox::{Artifact, Connector, Digest, Hint, LoadError, Provenance, Source};
use connector_sync::active::ActiveIntegration;
use connector_sync::configuration::{Configuration, ConnectorReference};
use connector_sync::probation::{PROBATION, Probation};
use connector_sync::{Integration, SetupError};

impl Registry {
    /// Gives an integration its connector: the active one of the name that its configuration has. One that does not
    /// trust it loses its attachment, and waits for one that it does.
    ///
    /// # Errors
    ///
    /// When there is none of that name, or it does not fit the configuration.
    pub async fn attach(&self, configuration: &Configuration) -> Result<Arc<ActiveIntegration>, AttachError> {
        let _one_at_a_time = self.swapping.lock().await;
        let attached = self.try_attach(configuration).await;
        if matches!(&attached, Err(error) if error.is_distrust()) {
            self.detach(&configuration.name);
        }
        let is_served = self.slots().values().any(|slot| slot.attachments.contains_key(&configuration.name));
        if !is_served {
            self.waiting.lock().insert(configuration.name.clone(), configuration.clone());
        }
        attached
    }

    async fn try_attach(&self, configuration: &Configuration) -> Result<Arc<ActiveIntegration>, AttachError> {
        let ConnectorReference::Name(name) = configuration.connector.clone() else {
            return Err(AttachError::NotAName(configuration.connector.to_string()));
        };
        let active = self.active(&name, &configuration.provenance).await?;
        let (active, before) = active.ok_or_else(|| AttachError::Unknown(name.clone()))?;
        if active.manifest().name != name {
            return Err(AttachError::AnotherName { name, found: active.manifest().name.clone() });
        }
        // What it sent before it was configured anew counts against the vendor's limit, too.
        let attached =
            self.slots().get(&name).and_then(|slot| slot.attachments.get(&configuration.name).cloned());
        let attached = attached.map(|attachment| attachment.serving.current());
        // What was rolled back before a restart may have read a part of a run that goes on now.
        let refused = self.installed.state(&name).all_refused().collect();
        let serving = Arc::new(serve(&active, before.as_ref(), configuration, attached.as_deref(), refused)?);
        let attachment = Attachment { configuration: configuration.clone(), serving };
        self.detach(&configuration.name);
        if let Some(slot) = self.slots().get_mut(&name) {
            slot.attachments.insert(configuration.name.clone(), attachment.clone());
        }
        Ok(attachment.serving)
    }

    /// Takes the attachment of an integration away.
    pub fn detach(&self, integration: &str) {
        self.waiting.lock().remove(integration);
        for slot in self.slots().values_mut() {
            slot.attachments.remove(integration);
        }
    }

    /// The integrations that no connector serves, and that name this one.
    pub(super) fn waiting_for(&self, name: &str) -> Vec<Configuration> {
        let reference = ConnectorReference::Name(name.to_owned());
        let names_it = |one: &&Configuration| one.connector == reference;
        self.waiting.lock().values().filter(names_it).cloned().collect()
    }

    /// The connector that serves under `name`; after a start, the one that would. `None` where there is none.
    ///
    /// # Errors
    ///
    /// When it can't be loaded, or is not what is trusted.
    pub async fn serves(&self, name: &str, trusted: &Provenance) -> Result<Option<Connector>, LoadError> {
        Ok(self.active(name, trusted).await?.map(|(active, _)| active))
    }

    /// The connector that serves under `name`, and the one it may go back to; after a start, the one that would.
    pub(super) async fn active(
        &self,
        name: &str,
        trusted: &Provenance,
    ) -> Result<Option<(Connector, Option<Before>)>, LoadError> {
        // Anybody who may fill in a form names one: a name is no path to a file.
        if !is_name(name) {
            return Ok(None);
        }
        let known = self.slots().get(name).map(|slot| (slot.active.clone(), slot.before.clone()));
        if let Some((active, before)) = known {
            let untrusted = |error| LoadError::Provenance { source_name: name.to_owned(), error };
            active.artifact().verify(trusted).map_err(untrusted)?;
            return Ok(Some((active, before)));
        }
        let Some(artifact) = self.find(name) else { return Ok(None) };
        let active = Connector::load(&self.engine, artifact, trusted).await?;
        let before = self.before(name, &active).await;
        if active.manifest().name == name {
            let (active, before) = (active.clone(), before.clone());
            self.slots()
                .insert(name.to_owned(), ActiveConnector { active, before, attachments: BTreeMap::new() });
        }
        Ok(Some((active, before)))
    }

    /// The connector that serves under `name` after a start: the one that was activated last, else the file that lies in
    /// the folder, else the bundled one.
    fn find(&self, name: &str) -> Option<Artifact> {
        let state = self.installed.state(name);
        if let Some(active) = &state.active {
            if let Some(artifact) = self.installed.load(active) {
                return Some(artifact);
            }
            tracing::warn!(
                connector = name,
                "the active connector {active} is gone from its folder, or not what it was"
            );
        }
        let refused = |artifact: &Artifact| state.refused(artifact.digest).is_some();
        let dropped = Artifact::read(Source::File(self.dropped(name))).ok();
        dropped.filter(|artifact| !refused(artifact)).or_else(|| {
            let bundled = self.bundled.iter().find(|bundled| bundled.name == name)?;
            Artifact::read(Source::Bundled(*bundled)).ok()
        })
    }

    /// After a start: the one to go back to from `active`, where that took over a short while ago.
    async fn before(&self, name: &str, active: &Connector) -> Option<Before> {
        let state = self.installed.state(name);
        let since = Utc::now() - state.activated_at?;
        if state.active != Some(active.digest().to_string()) || since.to_std().ok()? > PROBATION {
            return None;
        }
        let artifact = self.installed.load(&state.previous?)?;
        let connector = Connector::load(&self.engine, artifact, &Provenance::default()).await.ok()?;
        let probation = Probation::begin(name, active.digest(), self.failed.clone());
        Some(Before { connector, probation })
    }
}

/// Binds `active` to a configuration, and behind it the one to go back to, where that fits as well. `attached` is what
/// serves the integration so far, `refused` what does not serve by itself any more.
fn serve(
    active: &Connector,
    before: Option<&Before>,
    configuration: &Configuration,
    attached: Option<&Integration>,
    refused: Vec<Digest>,
) -> Result<ActiveIntegration, SetupError> {
    let fitting = before.and_then(|before| {
        before.connector.artifact().verify(&configuration.provenance).ok()?;
        let bound = Integration::bind(before.connector.clone(), configuration, attached).ok()?;
        Some((bound, &before.probation))
    });
    match fitting {
        Some((bound, probation)) => {
            let mut next = Integration::bind(active.clone(), configuration, Some(&bound))?;
            next.probation = Some(Arc::clone(probation));
            let serving = ActiveIntegration::new(bound, refused);
            serving.replace(next);
            Ok(serving)
        }
        None => Integration::bind(active.clone(), configuration, attached)
            .map(|bound| ActiveIntegration::new(bound, refused)),
    }
}

/// An integration that gets no connector.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Its configuration names a path.
    #[error("`connector` is `{0}`, and this program takes connectors by name")]
    NotAName(String),
    /// There is none of that name.
    #[error("there is no connector `{0}`")]
    Unknown(String),
    /// The component of that name is another connector.
    #[error("the connector `{name}` calls itself `{found}`")]
    AnotherName {
        /// The name of its file.
        name: String,
        /// The name in its manifest.
        found: String,
    },
    /// It can't be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It does not fit the configuration.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

impl AttachError {
    /// Whether the integration does not trust the connector.
    #[must_use]
    pub fn is_distrust(&self) -> bool {
        matches!(self, Self::Load(LoadError::Provenance { .. }))
    }
}

impl Hint for AttachError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotAName(_) | Self::Unknown(_) => Some(
                "put NAME.wasm into the folder of connectors and write `connector = \"NAME\"`, or name a bundled \
                 connector"
                    .to_owned(),
            ),
            Self::AnotherName { found, .. } => Some(format!("call its file `{found}.wasm`")),
            Self::Load(error) => error.hint(),
            Self::Setup(error) => error.hint(),
        }
    }
}
