//! Attaches an integration to its connector.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;

use super::{ActiveConnector, Attachment, InstalledError, Predecessor, Registry, is_name};
use crate::task;
use connector_sandbox::{Artifact, Connector, Digest, Hint, LoadError, Provenance, Source};
use connector_sync::active::ActiveIntegration;
use connector_sync::configuration::{Configuration, ConnectorReference};
use connector_sync::probation::{PROBATION, Probation};
use connector_sync::{Integration, SetupError};

impl Registry {
    /// Attaches an integration to the active connector that its configuration names. An integration that does not trust that
    /// connector is detached, until there is one that it trusts.
    ///
    /// # Errors
    ///
    /// When there is no connector of that name, or it does not fit the configuration.
    pub async fn attach(
        self: &Arc<Self>,
        configuration: &Configuration,
    ) -> Result<Arc<ActiveIntegration>, AttachError> {
        let _one_at_a_time = self.swapping.lock().await;
        let attached = self.try_attach(configuration).await;
        if matches!(&attached, Err(error) if error.is_distrust()) {
            self.detach(&configuration.name);
        }
        let is_attached = |active: &ActiveConnector| active.attachments.contains_key(&configuration.name);
        if !self.connectors.lock().values().any(is_attached) {
            self.unattached.lock().insert(configuration.name.clone(), configuration.clone());
        }
        attached
    }

    async fn try_attach(
        self: &Arc<Self>,
        configuration: &Configuration,
    ) -> Result<Arc<ActiveIntegration>, AttachError> {
        let ConnectorReference::Name(name) = configuration.connector.clone() else {
            return Err(AttachError::NotAName(configuration.connector.to_string()));
        };
        let active = self.active(&name, &configuration.provenance).await?;
        let (connector, predecessor) = active.ok_or_else(|| AttachError::Unknown(name.clone()))?;
        if connector.manifest().name != name {
            return Err(AttachError::AnotherName { name, found: connector.manifest().name.clone() });
        }
        // Requests that it sent with its former configuration count against the vendor's limit as well.
        let former = self.connectors.lock().get(&name).and_then(|active| {
            let attachment = active.attachments.get(&configuration.name)?;
            Some(attachment.active.current())
        });
        // A connector that was rolled back before a restart may have read a part of the run that is resumed now.
        let refused = self.state(&name).await?.all_refused().collect();
        let bound = {
            let configuration = configuration.clone();
            task::blocking(move || {
                bind(&connector, predecessor.as_ref(), &configuration, former.as_deref(), refused)
            })
        };
        let attachment = Attachment { configuration: configuration.clone(), active: Arc::new(bound.await?) };
        self.detach(&configuration.name);
        if let Some(active) = self.connectors.lock().get_mut(&name) {
            active.attachments.insert(configuration.name.clone(), attachment.clone());
        }
        Ok(attachment.active)
    }

    /// Detaches an integration from its connector.
    pub(crate) fn detach(&self, integration: &str) {
        self.unattached.lock().remove(integration);
        for active in self.connectors.lock().values_mut() {
            active.attachments.remove(integration);
        }
    }

    /// The integrations that name this connector and are attached to none.
    pub(super) fn unattached_for(&self, name: &str) -> Vec<Configuration> {
        let reference = ConnectorReference::Name(name.to_owned());
        let names_it = |one: &&Configuration| one.connector == reference;
        self.unattached.lock().values().filter(names_it).cloned().collect()
    }

    /// The active connector called `name`; after a start, the one that becomes active. `None` if there is none.
    ///
    /// # Errors
    ///
    /// When it can't be loaded, or is not trusted.
    pub(crate) async fn connector(
        self: &Arc<Self>,
        name: &str,
        trusted: &Provenance,
    ) -> Result<Option<Connector>, AttachError> {
        Ok(self.active(name, trusted).await?.map(|(connector, _)| connector))
    }

    /// As [`Registry::connector`], with the connector to roll back to.
    pub(super) async fn active(
        self: &Arc<Self>,
        name: &str,
        trusted: &Provenance,
    ) -> Result<Option<(Connector, Option<Predecessor>)>, AttachError> {
        // The name may come from a form, and must not become a path to another file.
        if !is_name(name) {
            return Ok(None);
        }
        let known = self.connectors.lock().get(name).map(|active| {
            let ActiveConnector { connector, predecessor, .. } = active;
            (connector.clone(), predecessor.clone())
        });
        if let Some((connector, predecessor)) = known {
            let untrusted = |error| LoadError::Provenance { source_name: name.to_owned(), error };
            connector.artifact().verify(trusted).map_err(untrusted)?;
            return Ok(Some((connector, predecessor)));
        }
        let asked = name.to_owned();
        let Some(artifact) = self.blocking(move |registry| registry.find(&asked)).await? else {
            return Ok(None);
        };
        let connector = Connector::load(&self.engine, artifact, trusted).await?;
        let predecessor = self.predecessor(name, &connector).await?;
        if connector.manifest().name == name {
            let (connector, predecessor) = (connector.clone(), predecessor.clone());
            let active = ActiveConnector { connector, predecessor, attachments: BTreeMap::new() };
            // Two concurrent callers load the same connector; the first one is kept.
            self.connectors.lock().entry(name.to_owned()).or_insert(active);
        }
        Ok(Some((connector, predecessor)))
    }

    /// The connector called `name` that becomes active after a start: the one that was activated last; without it, the file
    /// in the folder; without that, the bundled one. If its state can't be read, there is none: a refused connector could
    /// become active.
    fn find(&self, name: &str) -> Result<Option<Artifact>, InstalledError> {
        let state = self.installed.state(name)?;
        if let Some(active) = &state.active {
            if let Some(artifact) = self.installed.load(active) {
                return Ok(Some(artifact));
            }
            tracing::warn!(
                connector = name,
                "the file of the active connector {active} is missing, or was changed"
            );
        }
        let dropped = Artifact::read(Source::File(self.dropped(name))).ok();
        let dropped = dropped.filter(|artifact| state.refused(artifact.digest).is_none());
        Ok(dropped.or_else(|| {
            let bundled = self.bundled.iter().find(|bundled| bundled.name == name)?;
            Artifact::read(Source::Bundled(*bundled)).ok()
        }))
    }

    /// The connector to roll back to after a start, if `active` is still on probation.
    async fn predecessor(
        self: &Arc<Self>,
        name: &str,
        active: &Connector,
    ) -> Result<Option<Predecessor>, InstalledError> {
        let state = self.state(name).await?;
        let (Some(since), Some(previous)) = (state.activated_at, state.previous) else { return Ok(None) };
        let is_recent = (Utc::now() - since).to_std().is_ok_and(|age| age <= PROBATION);
        if !is_recent || state.active != Some(active.digest().to_string()) {
            return Ok(None);
        }
        let Some(artifact) = self.load(previous).await else { return Ok(None) };
        let loaded = Connector::load(&self.engine, artifact, &Provenance::default()).await;
        let probation = Probation::begin(name, active.digest(), self.failed.clone());
        Ok(loaded.ok().map(|connector| Predecessor { connector, probation }))
    }
}

/// Binds a connector to a configuration, with the connector to roll back to, if that fits as well. `former` is the
/// integration with its former configuration; `refused` are the connectors that must not become active automatically.
fn bind(
    connector: &Connector,
    predecessor: Option<&Predecessor>,
    configuration: &Configuration,
    former: Option<&Integration>,
    refused: Vec<Digest>,
) -> Result<ActiveIntegration, SetupError> {
    let fitting = predecessor.and_then(|predecessor| {
        predecessor.connector.artifact().verify(&configuration.provenance).ok()?;
        let bound = Integration::bind(predecessor.connector.clone(), configuration, former).ok()?;
        Some((bound, &predecessor.probation))
    });
    match fitting {
        Some((bound, probation)) => {
            let mut next = Integration::bind(connector.clone(), configuration, Some(&bound))?;
            next.probation = Some(Arc::clone(probation));
            let active = ActiveIntegration::new(bound, refused);
            active.replace(next);
            Ok(active)
        }
        None => Integration::bind(connector.clone(), configuration, former)
            .map(|bound| ActiveIntegration::new(bound, refused)),
    }
}

/// Why an integration can't be attached to its connector.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Its configuration names a path.
    #[error("`connector` is `{0}`, but `serve` takes connectors by name only")]
    NotAName(String),
    /// There is no connector of that name.
    #[error("there is no connector `{0}`")]
    Unknown(String),
    /// The manifest in its file has another name.
    #[error("the manifest of the connector `{name}` has the name `{found}`")]
    AnotherName {
        /// The name of its file.
        name: String,
        /// The name in its manifest.
        found: String,
    },
    /// It can't be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The record of the active connector can't be read or written.
    #[error(transparent)]
    Installed(#[from] InstalledError),
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
            Self::AnotherName { found, .. } => Some(format!("rename its file to `{found}.wasm`")),
            Self::Load(error) => error.hint(),
            Self::Installed(error) => error.hint(),
            Self::Setup(error) => error.hint(),
        }
    }
}
