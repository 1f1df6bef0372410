//! A connector with its settings and capabilities: ready to be called.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use crate::capability::{
    Answer, Budget, Egress, EgressError, Grant, HttpClient, HttpSetupError, Waiting, nobody,
};
use crate::configuration::{Configuration, ConfigurationError};
use crate::contract::api::{self, ErrorKind};
use crate::limits::Limits;
use crate::manifest::{Manifest, StreamSpec};
use crate::plugin::{CallContext, Connector, Engine, Fault, LoadError};
use crate::serving::Probation;
use crate::sync::RetryPolicy;

/// A connector that knows whom to call and as whom.
pub struct Integration {
    /// Names it in the store, in logs and on screen.
    pub name: String,
    /// The connector.
    pub connector: Connector,
    /// The streams to read, in the manifest's order.
    pub selected: Vec<StreamSpec>,
    /// How long to try again.
    pub retry: RetryPolicy,
    /// Pages of one stream in one run.
    pub pages: u64,
    /// How long a run may take.
    pub longest_run: Duration,
    /// How long the store keeps runs and what they found, in days.
    pub keep_days: u32,
    /// Where its connector took over from another a short while ago.
    pub probation: Option<Arc<Probation>>,
    settings: Vec<api::Setting>,
    grant: Grant,
    limits: Limits,
}

/// An integration that can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Its configuration is not usable.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// Its connector is not.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its hosts are not.
    #[error("`[network]` of `{integration}` can't be used: {error}")]
    Egress {
        /// The integration.
        integration: String,
        /// What is wrong.
        error: EgressError,
    },
    /// Its HTTP client can't be set up.
    #[error(transparent)]
    Http(#[from] HttpSetupError),
    /// The authorities to trust can't be read.
    #[error("could not read `ca-file` `{path}`: {error}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A rate limit that does not exist is to be another.
    #[error("{title} has no budget `{budget}`")]
    UnknownBudget {
        /// The connector's title.
        title: String,
        /// What was named.
        budget: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A stream that does not exist was asked for.
    #[error("{title} has no stream `{stream}`")]
    UnknownStream {
        /// The connector's title.
        title: String,
        /// What was asked for.
        stream: String,
        /// What there is.
        known: Vec<String>,
    },
}

impl SetupError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Configuration(error) => error.hint(),
            Self::Load(error) => Some(error.hint()),
            Self::UnknownStream { known, .. } => Some(format!("its streams are `{}`", known.join("`, `"))),
            Self::UnknownBudget { known, .. } => Some(format!("its budgets are `{}`", known.join("`, `"))),
            Self::Egress { .. } | Self::Http(_) | Self::Authorities { .. } => None,
        }
    }
}

/// A call that brought no data.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The connector says why.
    #[error("{}", .0.message)]
    Connector(api::Error),
    /// The connector itself failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl CallError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Connector(error) => error.remedy.clone(),
            Self::Fault(fault) => Some(fault.hint()),
        }
    }

    /// The connector's word for it, where it has one.
    #[must_use]
    pub fn kind(&self) -> Option<&ErrorKind> {
        match self {
            Self::Connector(error) => Some(&error.kind),
            Self::Fault(_) => None,
        }
    }
}

impl Integration {
    /// Loads the connector and binds it to the settings.
    ///
    /// # Errors
    ///
    /// [`SetupError`] says which part of the configuration to change. Nothing was sent yet.
    pub async fn open(engine: &Engine, configuration: &Configuration) -> Result<Self, SetupError> {
        let (source, provenance) = (configuration.source.clone(), &configuration.provenance);
        let connector = Connector::read_and_load(engine, source, provenance).await?;
        Self::bind(connector, configuration, None)
    }

    /// Binds a connector to the settings. What counts against a vendor's rate limit goes on counting where it takes
    /// over from `predecessor`.
    ///
    /// # Errors
    ///
    /// [`SetupError`] says which part of the configuration does not fit this connector.
    pub fn bind(
        connector: Connector,
        configuration: &Configuration,
        predecessor: Option<&Self>,
    ) -> Result<Self, SetupError> {
        let manifest = connector.manifest();
        let settings = configuration.settings(manifest)?;
        let selected = select(manifest, configuration.streams.as_deref())?;

        let value = |name: &str| {
            let setting = settings.public.iter().find(|setting| setting.name == name);
            setting.map(|setting| setting.value.as_str())
        };
        let egress = Egress::new(manifest, value, &configuration.connect_to)
            .map_err(|error| SetupError::Egress { integration: configuration.name.clone(), error })?;
        let ca_pem = match &configuration.ca_file {
            Some(path) => Some(
                std::fs::read(path).map_err(|error| SetupError::Authorities { path: path.clone(), error })?,
            ),
            None => None,
        };
        let http = HttpClient::new(egress, configuration.http, ca_pem.as_deref())?;
        let known = |name: &&String| manifest.budgets.iter().any(|budget| budget.name == **name);
        if let Some(name) = configuration.own_budgets.keys().find(|name| !known(name)) {
            return Err(SetupError::UnknownBudget {
                title: manifest.title.clone(),
                budget: name.clone(),
                known: manifest.budgets.iter().map(|budget| budget.name.clone()).collect(),
            });
        }
        let budgets = manifest.budgets.iter().filter(|_| configuration.budgets).map(|budget| {
            let own = configuration.own_budgets.get(&budget.name).copied();
            let (requests, per_seconds) = own.unwrap_or((budget.requests, budget.per_seconds));
            // The vendor counts from when requests arrive, and one may be faster than the one before.
            let window =
                Duration::from_secs(per_seconds.into()) + Duration::from_secs(per_seconds.into()) / 60;
            let before = predecessor.and_then(|before| before.grant.budgets.get(&budget.name));
            let same = before.filter(|before| before.is(requests, window)).cloned();
            let budget_of = || Arc::new(Budget::new(requests, window));
            (budget.name.clone(), same.unwrap_or_else(budget_of))
        });
        let budgets: BTreeMap<_, _> = budgets.collect();
        let grant = Grant {
            integration: configuration.name.clone(),
            http,
            secrets: Arc::new(settings.secrets),
            budgets,
            clock: None,
        };
        Ok(Self {
            name: configuration.name.clone(),
            selected,
            retry: configuration.retry,
            pages: configuration.pages,
            longest_run: configuration.run,
            keep_days: configuration.keep_days,
            probation: None,
            settings: settings.public,
            grant,
            limits: configuration.limits,
            connector,
        })
    }

    /// How long to try again in `stream`.
    #[must_use]
    pub fn retry_in(&self, stream: &StreamSpec) -> RetryPolicy {
        let budgets = &self.manifest().budgets;
        let budget = stream.budget.as_ref().and_then(|name| budgets.iter().find(|one| one.name == *name));
        self.retry.within(budget)
    }

    /// The hosts it may reach.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.grant.http.egress().hosts().map(|(host, _)| host)
    }

    /// Stops the clock that the connector sees, for tests of what it signs.
    pub fn stop_clock(&mut self, at: SystemTime) {
        self.grant.clock = Some(at);
    }

    /// Answers the connector's requests from memory, under the same policy.
    pub fn answer_from_memory(&mut self, answer: Arc<Answer>) {
        self.grant.http = self.grant.http.clone().answer_from_memory(answer);
    }

    /// What the connector says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.connector.manifest()
    }

    /// Tries the settings, once.
    ///
    /// # Errors
    ///
    /// [`CallError`] when the vendor or the connector refuses altogether.
    pub async fn check(&self, requests: &Arc<AtomicU64>) -> Result<api::Report, CallError> {
        // The report covers all streams, so it counts against the budget that most of them share.
        let budget = self.manifest().streams.first().and_then(|stream| stream.budget.as_deref());
        let lent = self.grant.lend("check", budget, requests, &nobody()).await;
        let context = CallContext { limits: self.limits, lent };
        let checked = self.connector.check(context, &self.settings).await;
        // It may have asked once for each other one, as for a permission; it does not wait for its turn there.
        for (_, other) in self.grant.budgets.iter().filter(|(name, _)| budget != Some(name.as_str())) {
            other.note();
        }
        checked?.map_err(CallError::Connector)
    }

    /// Reads one page, once. `account` is what [`Self::check`] said it is connected to. Tells `waiting` how long the vendor's rate limit makes it wait before.
    ///
    /// # Errors
    ///
    /// [`CallError`] when there is no page.
    pub async fn read(
        &self,
        stream: &StreamSpec,
        account: Option<&str>,
        position: &api::Position,
        requests: &Arc<AtomicU64>,
        waiting: &Waiting,
    ) -> Result<api::Page, CallError> {
        let lent = self.grant.lend(&stream.name, stream.budget.as_deref(), requests, waiting).await;
        let context = CallContext { limits: self.limits, lent };
        let page = self.connector.read(context, &self.settings, account, &stream.name, position).await?;
        page.map_err(CallError::Connector)
    }
}

/// The streams called `names`, in the manifest's order.
fn select(manifest: &Manifest, names: Option<&[String]>) -> Result<Vec<StreamSpec>, SetupError> {
    let Some(names) = names else { return Ok(manifest.streams.clone()) };
    if let Some(stream) = names.iter().find(|name| manifest.stream(name).is_none()) {
        return Err(SetupError::UnknownStream {
            title: manifest.title.clone(),
            stream: stream.clone(),
            known: manifest.streams.iter().map(|stream| stream.name.clone()).collect(),
        });
    }
    let selected = manifest.streams.iter().filter(|stream| names.contains(&stream.name));
    Ok(selected.cloned().collect())
}
