//! An integration gets its connector.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;

use super::{Before, Registry, Seat, Slot, is_name};
use crate::bundled;
use crate::configuration::Configuration;
use crate::integration::{Integration, SetupError};
use crate::plugin::{Artifact, Connector, LoadError, Provenance, Source};
use crate::serving::{PROBATION, Probation, Serving};

impl Registry {
    /// Gives an integration its connector: the active one of the name that its configuration has.
    ///
    /// # Errors
    ///
    /// When there is none of that name, or it does not fit the configuration.
    pub async fn seat(&self, configuration: &Configuration) -> Result<Arc<Serving>, SeatError> {
        let _one_at_a_time = self.swapping.lock().await;
        let name = connector_name(&configuration.source)
            .ok_or_else(|| SeatError::NotAName(configuration.source.to_string()))?;
        let known = self.slots().get(&name).map(|slot| (slot.active.clone(), slot.before.clone()));
        let (active, before) = match known {
            Some(known) => known,
            None => {
                let artifact = self.find(&name).ok_or_else(|| SeatError::Unknown(name.clone()))?;
                let active = Connector::load(&self.engine, artifact, &configuration.provenance).await?;
                let before = self.before(&name, &active).await;
                (active, before)
            }
        };
        let untrusted = |error| LoadError::Provenance { source_name: name.clone(), error };
        active.artifact().verify(&configuration.provenance).map_err(untrusted)?;
        if active.manifest().name != name {
            return Err(SeatError::AnotherName { name, found: active.manifest().name.clone() });
        }
        // What it sent before it was configured anew counts against the vendor's limit, too.
        let seated = self.slots().get(&name).and_then(|slot| slot.seats.get(&configuration.name).cloned());
        let seated = seated.map(|seat| seat.serving.current());
        let serving = Arc::new(serve(&active, before.as_ref(), configuration, seated.as_deref())?);
        let seat = Seat { configuration: configuration.clone(), serving };
        self.unseat(&configuration.name);
        let mut slots = self.slots();
        let slot = slots.entry(name).or_insert_with(|| Slot { active, before, seats: BTreeMap::new() });
        slot.seats.insert(configuration.name.clone(), seat.clone());
        Ok(seat.serving)
    }

    /// Takes the seat of an integration away.
    pub fn unseat(&self, integration: &str) {
        for slot in self.slots().values_mut() {
            slot.seats.remove(integration);
        }
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
        let refused = |artifact: &Artifact| {
            state.versions.get(&artifact.digest.to_string()).is_some_and(|version| version.refused.is_some())
        };
        let dropped = Artifact::read(Source::File(self.dropped(name))).ok();
        dropped.filter(|artifact| !refused(artifact)).or_else(|| {
            let bundled = bundled::find(name)?;
            Artifact::read(Source::Bundled { name: bundled.name, bytes: bundled.bytes }).ok()
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

/// Binds `active` to a configuration, and behind it the one to go back to, where that fits as well. `seated` is what
/// serves the integration so far.
fn serve(
    active: &Connector,
    before: Option<&Before>,
    configuration: &Configuration,
    seated: Option<&Integration>,
) -> Result<Serving, SetupError> {
    let fitting = before.and_then(|before| {
        before.connector.artifact().verify(&configuration.provenance).ok()?;
        let bound = Integration::bind(before.connector.clone(), configuration, seated).ok()?;
        Some((bound, &before.probation))
    });
    match fitting {
        Some((bound, probation)) => {
            let mut next = Integration::bind(active.clone(), configuration, Some(&bound))?;
            next.probation = Some(Arc::clone(probation));
            let serving = Serving::new(bound);
            serving.replace(next);
            Ok(serving)
        }
        None => Integration::bind(active.clone(), configuration, seated).map(Serving::new),
    }
}

/// The name that a configuration calls its connector by.
fn connector_name(source: &Source) -> Option<String> {
    match source {
        Source::Bundled { name, .. } => Some((*name).to_owned()),
        Source::File(path) => {
            let name = path.file_name()?.to_str()?;
            is_name(name).then(|| name.to_owned())
        }
    }
}

/// An integration that gets no connector.
#[derive(Debug, thiserror::Error)]
pub enum SeatError {
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

impl SeatError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotAName(_) | Self::Unknown(_) => Some(
                "put NAME.wasm into the folder of connectors and write `connector = \"NAME\"`, or name a bundled \
                 connector"
                    .to_owned(),
            ),
            Self::AnotherName { found, .. } => Some(format!("call its file `{found}.wasm`")),
            Self::Load(error) => Some(error.hint()),
            Self::Setup(error) => error.hint(),
        }
    }
}
