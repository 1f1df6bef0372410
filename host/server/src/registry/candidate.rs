//! A candidate is tried beside the connector that serves.

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

/// Why a candidate does not serve.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// That is no name.
    #[error("`{0}` is no name of a connector")]
    NotAName(String),
    /// It serves already.
    #[error("the connector `{connector}` is {digest:#} already")]
    AlreadyActive {
        /// The connector.
        connector: String,
        /// Its digest.
        digest: Digest,
    },
    /// It was refused, and nobody asked for it by its digest since.
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
    /// It is no connector for this host.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It is another connector.
    #[error("it calls itself `{found}`, and it would replace `{expected}`")]
    Name {
        /// The name it has.
        found: String,
        /// The name it would serve under.
        expected: String,
    },
    /// It wants more than the one it would replace.
    #[error("it wants what the one that serves does not have: {}", .0.join(", "))]
    NewAccess(Vec<String>),
    /// It does not fit the settings of an integration.
    #[error("the settings of `{integration}` do not fit it: {error}")]
    Settings {
        /// The integration.
        integration: String,
        /// What does not fit.
        error: Box<SetupError>,
    },
    /// Its `check` failed, where that of the one that serves does not.
    #[error("its `check` for `{integration}` failed: {error}")]
    Check {
        /// The integration.
        integration: String,
        /// How.
        error: Box<CallError>,
    },
    /// Its `check` did not come to an end.
    #[error("its `check` for `{integration}` did not answer within {seconds} s")]
    TooSlow {
        /// The integration.
        integration: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// No connector has that digest.
    #[error("there is no installed connector `{0}`")]
    Unknown(String),
    /// Several have it.
    #[error("more than one installed connector begins with `{0}`")]
    Ambiguous(String),
    /// Nothing served before.
    #[error("there is no connector to go back to from the `{0}` that serves")]
    NoPrevious(String),
    /// It can't be kept.
    #[error(transparent)]
    Installed(#[from] InstalledError),
}

impl Hint for Refusal {
    fn hint(&self) -> Option<String> {
        match self {
            Self::RefusedBefore { .. } => {
                Some("`connector activate DIGEST` tries it again in spite of that".to_owned())
            }
            Self::Provenance { error, .. } => error.hint(),
            Self::Load(error) => error.hint(),
            Self::Name { expected, .. } => Some(format!("install a component whose manifest says `{expected}`")),
            Self::NewAccess(_) => Some(
                "if that is what you expect of the new version, install or activate it with `--accept-new-access`"
                    .to_owned(),
            ),
            Self::Settings { error, .. } => error.hint(),
            Self::Check { error, .. } => error.hint(),
            Self::TooSlow { .. } => {
                Some("the vendor may be slow, or make everybody wait: install it again later".to_owned())
            }
            Self::Unknown(_) | Self::Ambiguous(_) => Some("`connector list` shows all of them".to_owned()),
            Self::NotAName(_) => Some("a name has letters, digits and hyphens: say it with `--name`".to_owned()),
            Self::AlreadyActive { .. } | Self::NoPrevious(_) | Self::Installed(_) => None,
        }
    }
}

impl Refusal {
    /// Whether the candidate is to blame, so that it is not worth trying again by itself.
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

/// What a candidate is tried with.
pub(super) struct Trial<'a> {
    pub(super) engine: &'a Engine,
    /// The name it would serve under.
    pub(super) name: &'a str,
    /// The one it would replace.
    pub(super) active: Option<&'a Connector>,
    /// The integrations it would serve.
    pub(super) attachments: &'a BTreeMap<String, Attachment>,
    /// Those that no connector of this name serves so far.
    pub(super) waiting: Vec<Configuration>,
    pub(super) consent: Consent,
    /// How long one `check` may take.
    pub(super) longest: Duration,
}

impl Trial<'_> {
    /// Tries `artifact` for all integrations. What comes back is ready to serve those that are served now.
    pub(super) async fn of(
        &self,
        artifact: Artifact,
    ) -> Result<(Connector, Vec<(String, Integration)>), Refusal> {
        // Before it is compiled.
        verify(&artifact, self.attachments)?;
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
        let integrations = bind(&connector, self.attachments)?;
        for (integration, bound) in &integrations {
            if let Err(error) = self.check(bound).await? {
                // Where the one that serves fares no better, it is the vendor or the settings.
                let serving = self.attachments.get(integration).map(|seat| seat.serving.current());
                let same = match (&error, serving) {
                    (CallError::Connector(error), Some(serving)) => {
                        let before = self.check(&serving).await?;
                        matches!(before, Err(CallError::Connector(before)) if before.kind == error.kind)
                    }
                    _ => false,
                };
                if !same {
                    return Err(Refusal::Check { integration: integration.clone(), error: Box::new(error) });
                }
            }
        }
        for configuration in &self.waiting {
            self.try_for_waiting(&connector, configuration).await?;
        }
        Ok((connector, integrations))
    }

    /// An integration that waits must be no worse off with the candidate. What it lacks otherwise holds up nobody else.
    async fn try_for_waiting(
        &self,
        connector: &Connector,
        configuration: &Configuration,
    ) -> Result<(), Refusal> {
        if connector.artifact().verify(&configuration.provenance).is_err() {
            return Ok(());
        }
        let integration = || configuration.name.clone();
        let bound = match Integration::bind(connector.clone(), configuration, None) {
            Ok(bound) => bound,
            Err(error) => {
                let active = self.active.map(|active| Integration::bind(active.clone(), configuration, None));
                return match active {
                    Some(Ok(_)) => {
                        Err(Refusal::Settings { integration: integration(), error: Box::new(error) })
                    }
                    _ => Ok(()),
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

    /// Asks a connector what it may read, as somebody who waits for the answer does.
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

/// Holds `artifact` against what each integration trusts.
pub(super) fn verify(artifact: &Artifact, attachments: &BTreeMap<String, Attachment>) -> Result<(), Refusal> {
    attachments.iter().try_for_each(|(integration, seat)| {
        let verified = artifact.verify(&seat.configuration.provenance);
        verified.map_err(|error| Refusal::Provenance { integration: integration.clone(), error })
    })
}

/// Binds `connector` to the settings of all `attachments`.
pub(super) fn bind(
    connector: &Connector,
    attachments: &BTreeMap<String, Attachment>,
) -> Result<Vec<(String, Integration)>, Refusal> {
    let bind = |(integration, seat): (&String, &Attachment)| {
        let before = seat.serving.current();
        Integration::bind(connector.clone(), &seat.configuration, Some(&before))
            .map(|bound| (integration.clone(), bound))
            .map_err(|error| Refusal::Settings { integration: integration.clone(), error: Box::new(error) })
    };
    attachments.iter().map(bind).collect()
}

/// What `candidate` wants and `active` does not have, in words.
fn new_access(active: &Manifest, candidate: &Manifest) -> Vec<String> {
    let mut new: Vec<_> = access(candidate).difference(&access(active)).cloned().collect();
    // What is no longer called a secret would be handed over, and logged, like any setting.
    let secrets = active.settings.iter().filter(|setting| setting.kind == SettingKind::Secret);
    let in_clear = secrets.filter(|secret| {
        candidate.setting(&secret.name).is_some_and(|setting| setting.kind != SettingKind::Secret)
    });
    new.extend(in_clear.map(|secret| format!("the secret `{}` in clear", secret.name)));
    new
}

/// The hosts and the secrets that a manifest asks for, in words.
fn access(manifest: &Manifest) -> BTreeSet<String> {
    let hosts = manifest.hosts.iter().map(|host| match host {
        HostRule::Name(name) => format!("the host `{name}`"),
        HostRule::Setting(name) => {
            // The pattern is the rule: a wider one opens more.
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
