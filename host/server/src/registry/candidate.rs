//! Tries a candidate while the active connector stays active.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use connector_sandbox::manifest::{HostRule, Manifest, SettingKind};
use connector_sandbox::{Artifact, Connector, Digest, Engine, Hint, LoadError, Provenance, ProvenanceError};
use connector_sync::check::check;
use connector_sync::configuration::Configuration;
use connector_sync::retry::RetryPolicy;
use connector_sync::{CallError, Integration, NullObserver, SetupError};

use super::{Attachment, Consent, InstalledError};
use crate::task;

/// Why a candidate does not become active.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It can't be the name of a connector.
    #[error("`{0}` is not a name of a connector")]
    NotAName(String),
    /// It is active already.
    #[error("{digest:#} is the active connector `{connector}` already")]
    AlreadyActive {
        /// The connector.
        connector: String,
        /// Its digest.
        digest: Digest,
    },
    /// It was refused, and was not asked for explicitly.
    #[error("{digest:#} was refused before: {reason}")]
    RefusedBefore {
        /// Its digest.
        digest: Digest,
        /// Why.
        reason: String,
    },
    /// An integration does not trust it.
    #[error("`{integration}` does not trust it: {error}")]
    Provenance {
        /// The integration.
        integration: String,
        /// What differs.
        error: ProvenanceError,
    },
    /// It can't be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its manifest has the name of another connector.
    #[error("its manifest has the name `{found}`, and it would replace `{expected}`")]
    Name {
        /// The name in its manifest.
        found: String,
        /// The name of the connector that it would replace.
        expected: String,
    },
    /// It requests more than the connector that it would replace.
    #[error("it requests access that the active connector lacks: {}", .0.join(", "))]
    NewAccess(Vec<String>),
    /// The settings of an integration do not fit it.
    #[error("the settings of `{integration}` do not fit it: {error}")]
    Settings {
        /// The integration.
        integration: String,
        /// What does not fit.
        error: Box<SetupError>,
    },
    /// Its `check` failed, and the active connector's `check` does not fail in the same way.
    #[error("its `check` for `{integration}` failed: {error}")]
    Check {
        /// The integration.
        integration: String,
        /// The error.
        error: Box<CallError>,
    },
    /// Its `check` took too long.
    #[error("its `check` for `{integration}` did not answer within {seconds} s")]
    TooSlow {
        /// The integration.
        integration: String,
        /// The limit.
        seconds: u64,
    },
    /// No connector has this digest.
    #[error("no installed connector has a digest that begins with `{0}`")]
    Unknown(String),
    /// Several connectors have this digest.
    #[error("several installed connectors have a digest that begins with `{0}`")]
    Ambiguous(String),
    /// There is no previous connector.
    #[error("there is no previous connector `{0}` to roll back to")]
    NoPrevious(String),
    /// The folder of installed connectors can't be used.
    #[error(transparent)]
    Installed(#[from] InstalledError),
}

impl Hint for Refusal {
    fn hint(&self) -> Option<String> {
        match self {
            Self::RefusedBefore { .. } => Some("`connector activate DIGEST` tries it again".to_owned()),
            Self::Provenance { error, .. } => error.hint(),
            Self::Load(error) => error.hint(),
            Self::Name { expected, .. } => {
                Some(format!("install a component whose manifest says `{expected}`"))
            }
            Self::NewAccess(_) => Some(
                "if you expect that of the new version, install or activate it with `--accept-new-access`"
                    .to_owned(),
            ),
            Self::Settings { error, .. } => error.hint(),
            Self::Check { error, .. } => error.hint(),
            Self::TooSlow { .. } => {
                Some("the vendor may be slow or limit requests: install it again later".to_owned())
            }
            Self::Unknown(_) | Self::Ambiguous(_) => Some("`connector list` shows all of them".to_owned()),
            Self::NotAName(_) => {
                Some("a name has letters, digits and hyphens: give it with `--name`".to_owned())
            }
            Self::Installed(error) => error.hint(),
            Self::AlreadyActive { .. } | Self::NoPrevious(_) => None,
        }
    }
}

impl Refusal {
    /// Whether the candidate is the reason, so that it is not tried again automatically.
    pub(super) fn is_the_candidates(&self) -> bool {
        match self {
            Self::Load(_) | Self::Name { .. } | Self::NewAccess(_) => true,
            Self::Check { error, .. } => {
                matches!(&**error, CallError::Fault(fault) if fault.is_the_connectors())
            }
            _ => false,
        }
    }
}

/// The trial of a candidate, and what it is compared with.
pub(super) struct Trial<'a> {
    pub(super) engine: &'a Engine,
    /// The name of the connector that it would become.
    pub(super) name: &'a str,
    /// The connector that it would replace.
    pub(super) active: Option<&'a Connector>,
    /// The integrations that are attached to the active connector.
    pub(super) attachments: BTreeMap<String, Attachment>,
    /// The integrations that name the connector and are attached to none.
    pub(super) unattached: Vec<Configuration>,
    pub(super) consent: Consent,
    /// How long one `check` may take.
    pub(super) longest: Duration,
}

impl Trial<'_> {
    /// Tries `artifact` for all integrations. Returns its connector, bound to the attached integrations.
    pub(super) async fn of(
        &self,
        artifact: Artifact,
    ) -> Result<(Connector, Vec<(String, Integration)>), Refusal> {
        // It is verified before it is compiled.
        verify(&artifact, &self.attachments)?;
        let connector = Connector::load(self.engine, artifact, &Provenance::default()).await?;
        let manifest = connector.manifest();
        if manifest.name != self.name {
            return Err(Refusal::Name { found: manifest.name.clone(), expected: self.name.to_owned() });
        }
        if let Some(active) = self.active.filter(|_| !self.consent.new_access) {
            let new = new_access(active.manifest(), manifest);
            if !new.is_empty() {
                return Err(Refusal::NewAccess(new));
            }
        }
        let integrations = {
            let (connector, attachments) = (connector.clone(), self.attachments.clone());
            task::blocking(move || bind(&connector, &attachments)).await?
        };
        for (integration, bound) in &integrations {
            if let Err(error) = self.check(bound).await? {
                // If the active connector fails in the same way, the reason is the vendor or the settings.
                let attachment = self.attachments.get(integration);
                let same = match (&error, attachment.map(|attachment| attachment.active.current())) {
                    (CallError::Connector(error), Some(active)) => {
                        let checked = self.check(&active).await?;
                        matches!(checked, Err(CallError::Connector(other)) if other.kind == error.kind)
                    }
                    _ => false,
                };
                if !same {
                    return Err(Refusal::Check { integration: integration.clone(), error: Box::new(error) });
                }
            }
        }
        for configuration in &self.unattached {
            self.try_for_unattached(&connector, configuration).await?;
        }
        Ok((connector, integrations))
    }

    /// Tries the candidate for an integration that is attached to none. It is refused if only the active connector fits the
    /// integration, or if it faults; other problems of the integration do not count.
    async fn try_for_unattached(
        &self,
        connector: &Connector,
        configuration: &Configuration,
    ) -> Result<(), Refusal> {
        if connector.artifact().verify(&configuration.provenance).is_err() {
            return Ok(());
        }
        let integration = || configuration.name.clone();
        let bind = |connector: &Connector| {
            let (connector, configuration) = (connector.clone(), configuration.clone());
            task::blocking(move || Integration::bind(connector, &configuration, None))
        };
        let bound = match bind(connector).await {
            Ok(bound) => bound,
            Err(error) => {
                let fits_active = match self.active {
                    Some(active) => bind(active).await.is_ok(),
                    None => false,
                };
                return if fits_active {
                    Err(Refusal::Settings { integration: integration(), error: Box::new(error) })
                } else {
                    Ok(())
                };
            }
        };
        match self.check(&bound).await {
            Ok(Err(error @ CallError::Fault(_))) => {
                Err(Refusal::Check { integration: integration(), error: Box::new(error) })
            }
            _ => Ok(()),
        }
    }

    /// Asks a connector what it may read, with few attempts, because a person waits for the answer.
    async fn check(&self, integration: &Integration) -> Result<Result<(), CallError>, Refusal> {
        let policy = RetryPolicy { attempts: integration.retry.attempts.min(3), ..integration.retry };
        let requests = Arc::new(AtomicU64::new(0));
        let check = check(integration, policy, &NullObserver, &requests);
        match tokio::time::timeout(self.longest, check).await {
            Ok(checked) => Ok(checked.map(drop)),
            Err(_) => Err(Refusal::TooSlow {
                integration: integration.name.clone(),
                seconds: self.longest.as_secs(),
            }),
        }
    }
}

/// Compares `artifact` with what each integration trusts.
pub(super) fn verify(artifact: &Artifact, attachments: &BTreeMap<String, Attachment>) -> Result<(), Refusal> {
    attachments.iter().try_for_each(|(integration, attachment)| {
        let verified = artifact.verify(&attachment.configuration.provenance);
        verified.map_err(|error| Refusal::Provenance { integration: integration.clone(), error })
    })
}

/// Binds `connector` to the settings of all `attachments`. Blocks on the file system.
pub(super) fn bind(
    connector: &Connector,
    attachments: &BTreeMap<String, Attachment>,
) -> Result<Vec<(String, Integration)>, Refusal> {
    let bind = |(integration, attachment): (&String, &Attachment)| {
        let active = attachment.active.current();
        Integration::bind(connector.clone(), &attachment.configuration, Some(&active))
            .map(|bound| (integration.clone(), bound))
            .map_err(|error| Refusal::Settings { integration: integration.clone(), error: Box::new(error) })
    };
    attachments.iter().map(bind).collect()
}

/// The access that `candidate` requests and `active` lacks, in words.
fn new_access(active: &Manifest, candidate: &Manifest) -> Vec<String> {
    let mut new: Vec<_> = access(candidate).difference(&access(active)).cloned().collect();
    // A secret that becomes a plain setting would be passed to the connector, and logged, like any other setting.
    let secrets = active.settings.iter().filter(|setting| setting.kind == SettingKind::Secret);
    let in_clear = secrets.filter(|secret| {
        candidate.setting(&secret.name).is_some_and(|setting| setting.kind != SettingKind::Secret)
    });
    new.extend(in_clear.map(|secret| format!("the secret `{}` in clear", secret.name)));
    new
}

/// The hosts and the secrets that a manifest requests, in words.
fn access(manifest: &Manifest) -> BTreeSet<String> {
    let hosts = manifest.hosts.iter().map(|host| match host {
        HostRule::Name(name) => format!("the host `{name}`"),
        HostRule::Setting(name) => {
            // The pattern limits the host: a wider pattern is new access.
            let setting = manifest.setting(name);
            let pattern =
                setting.and_then(|setting| setting.pattern.as_ref()).map_or("", |pattern| pattern.as_str());
            let default = setting.and_then(|setting| setting.default.as_deref()).unwrap_or("no default");
            format!("the host in `{name}` ({pattern}, {default})")
        }
    });
    let secrets = manifest.settings.iter().filter(|setting| setting.kind == SettingKind::Secret);
    hosts.chain(secrets.map(|setting| format!("the secret `{}`", setting.name))).collect()
}
