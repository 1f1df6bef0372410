//! A connector with its settings and capabilities, ready to be called.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use connector_sandbox::capabilities::{
    Answer, Budget, Capabilities, CapabilitiesError, EgressError, HttpSetupError, Network, WaitListener,
};
use connector_sandbox::contract::api;
use connector_sandbox::limits::Limits;
use connector_sandbox::manifest::{Manifest, StreamSpec};
use connector_sandbox::{
    BundledConnector, CallContext, Connector, Engine, Hint, LoadError, Source, bounded_file,
};

use crate::CallError;
use crate::configuration::{Configuration, ConfigurationError, ConnectorReference, Settings};
use crate::probation::Probation;
use crate::retry::RetryPolicy;

/// A connector with the settings, secrets and hosts of one integration.
pub struct Integration {
    /// Its name in the store, in logs and on screen.
    pub name: String,
    /// The connector.
    pub connector: Connector,
    /// The streams to read, in the manifest's order.
    pub selected: Vec<StreamSpec>,
    /// Whether the configuration names the streams; otherwise all are read.
    pub selected_by_name: bool,
    /// How failed calls are repeated.
    pub retry: RetryPolicy,
    /// The most pages of one stream in one run.
    pub pages: u64,
    /// How long a run may take.
    pub longest_run: Duration,
    /// How long the store keeps runs with their changes and problems, in days.
    pub keep_days: u32,
    /// The most objects of a type that one run may remove, in percent.
    pub removal_percent: u8,
    /// The probation of its connector, if that took over from another one.
    pub probation: Option<Arc<Probation>>,
    settings: Vec<api::Setting>,
    capabilities: Capabilities,
    limits: Limits,
}

/// An integration that can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Its configuration is not usable.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// Its connector can't be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its hosts or `[network]` can't be used.
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
    /// The file of trusted certificate authorities can't be read.
    #[error("could not read `ca-file` `{path}`: {error}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// The configuration changes a budget that the manifest does not declare.
    #[error("{title} has no budget `{budget}`")]
    UnknownBudget {
        /// The connector's title.
        title: String,
        /// The name in the configuration.
        budget: String,
        /// The budgets of the manifest.
        known: Vec<String>,
    },
    /// The configuration names a connector that is not bundled.
    #[error("there is no bundled connector `{connector}`")]
    UnknownConnector {
        /// The name in the configuration.
        connector: String,
        /// The bundled connectors.
        known: Vec<String>,
    },
    /// The configuration or the command line names a stream that the connector does not have.
    #[error("{title} has no stream `{stream}`")]
    UnknownStream {
        /// The connector's title.
        title: String,
        /// The name of the stream.
        stream: String,
        /// The streams of the connector.
        known: Vec<String>,
    },
}

impl Hint for SetupError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Configuration(error) => error.hint(),
            Self::Load(error) => error.hint(),
            Self::UnknownConnector { known, .. } => Some(format!(
                "the bundled connectors are `{}`; a file is named by its path, which ends in `.wasm`",
                known.join("`, `")
            )),
            Self::UnknownStream { known, .. } => Some(format!("its streams are `{}`", known.join("`, `"))),
            Self::UnknownBudget { known, .. } => Some(format!("its budgets are `{}`", known.join("`, `"))),
            Self::Egress { .. } | Self::Http(_) | Self::Authorities { .. } => None,
        }
    }
}

impl Integration {
    /// Loads the connector and binds it to the settings.
    ///
    /// # Errors
    ///
    /// [`SetupError`] says which part of the configuration to change. No request was sent yet.
    pub async fn open(
        engine: &Engine,
        configuration: &Configuration,
        bundled: &[BundledConnector],
    ) -> Result<Self, SetupError> {
        let source = match &configuration.connector {
            ConnectorReference::File(path) => Source::File(path.clone()),
            ConnectorReference::Name(name) => {
                let found = bundled.iter().find(|connector| connector.name == name);
                Source::Bundled(*found.ok_or_else(|| SetupError::UnknownConnector {
                    connector: name.clone(),
                    known: bundled.iter().map(|connector| connector.name.to_owned()).collect(),
                })?)
            }
        };
        let connector = Connector::read_and_load(engine, source, &configuration.provenance).await?;
        Self::bind(connector, configuration, None)
    }

    /// Binds a connector to the settings. Requests that `predecessor` sent still count against the vendor's rate limits.
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

        let ca_pem = match &configuration.ca_file {
            Some(path) => Some(
                bounded_file::read(path, bounded_file::CERTIFICATES)
                    .map_err(|error| SetupError::Authorities { path: path.clone(), error })?,
            ),
            None => None,
        };
        let network = Network {
            connect_to: configuration.connect_to.clone(),
            connect_to_of_all: configuration.connect_to_of_all.clone(),
            ca_pem,
            limits: configuration.http,
        };
        let Settings { public: settings, secrets } = settings;
        let mut capabilities = Capabilities::new(&configuration.name, manifest, &settings, secrets, &network)
            .map_err(|error| match error {
                CapabilitiesError::Egress(error) => {
                    SetupError::Egress { integration: configuration.name.clone(), error }
                }
                CapabilitiesError::Http(error) => SetupError::Http(error),
            })?;
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
            // The vendor counts requests when they arrive, and one may travel faster than the one before: a longer window
            // makes up for that.
            let window =
                Duration::from_secs(per_seconds.into()) + Duration::from_secs(per_seconds.into()) / 60;
            let before = predecessor.and_then(|before| before.capabilities.budgets.get(&budget.name));
            let same = before.filter(|before| before.is(requests, window)).cloned();
            let budget_of = || Arc::new(Budget::new(requests, window));
            (budget.name.clone(), same.unwrap_or_else(budget_of))
        });
        capabilities.budgets = budgets.collect();
        Ok(Self {
            name: configuration.name.clone(),
            selected,
            selected_by_name: configuration.streams.is_some(),
            retry: configuration.retry,
            pages: configuration.pages,
            longest_run: configuration.run,
            keep_days: configuration.keep_days,
            removal_percent: configuration.removal_percent,
            probation: None,
            settings,
            capabilities,
            limits: configuration.limits,
            connector,
        })
    }

    /// How failed calls of `stream` are repeated.
    #[must_use]
    pub fn retry_in(&self, stream: &StreamSpec) -> RetryPolicy {
        let budgets = &self.manifest().budgets;
        let budget = stream.budget.as_ref().and_then(|name| budgets.iter().find(|one| one.name == *name));
        self.retry.within(budget)
    }

    /// The hosts it may reach.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.capabilities.http.egress().hosts().map(|(host, _)| host)
    }

    /// Stops the clock that the connector sees, for tests of its signatures.
    pub fn stop_clock(&mut self, at: SystemTime) {
        self.capabilities.clock = Some(at);
    }

    /// Answers the connector's requests from memory, under the same policy.
    pub fn answer_from_memory(&mut self, answer: Arc<Answer>) {
        self.capabilities.http = self.capabilities.http.clone().answer_from_memory(answer);
    }

    /// The manifest of the connector.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.connector.manifest()
    }

    /// Asks the connector once which streams can be read with the settings.
    ///
    /// # Errors
    ///
    /// [`CallError`] when the connector returns no report.
    pub async fn check(&self, requests: &Arc<AtomicU64>) -> Result<api::Report, CallError> {
        // The check covers all streams, so its requests count against the budget of the first one.
        let budget = self.manifest().streams.first().and_then(|stream| stream.budget.as_deref());
        let integration = self.name.clone();
        let waiting: WaitListener = Arc::new(move |duration| {
            let seconds = duration.as_secs_f32();
            tracing::warn!(integration, "the check waits {seconds:.0} s for the vendor's rate limit");
        });
        let capabilities = self.capabilities.for_call("check", budget, requests, &waiting).await;
        let context = CallContext { limits: self.limits, capabilities };
        let checked = self.connector.check(context, &self.settings).await;
        // The check may have sent one request under each other budget, to test a permission. It did not wait for these
        // budgets, so the request is counted afterwards.
        for (_, other) in self.capabilities.budgets.iter().filter(|(name, _)| budget != Some(name.as_str())) {
            other.note();
        }
        checked?.map_err(CallError::Connector)
    }

    /// Reads one page, in one attempt. `account` is the account that [`Self::check`] reported. Calls `waiting` with the
    /// length of each wait for the vendor's rate limit.
    ///
    /// # Errors
    ///
    /// [`CallError`] when the connector returns no page.
    pub async fn read(
        &self,
        stream: &StreamSpec,
        account: Option<&str>,
        position: &api::Position,
        requests: &Arc<AtomicU64>,
        waiting: &WaitListener,
    ) -> Result<api::Page, CallError> {
        self.read_within(self.limits.output, stream, account, position, requests, waiting).await
    }

    /// The most that a call may return, in bytes.
    pub(crate) fn most_output(&self) -> usize {
        self.limits.output
    }

    /// As [`Self::read`]; the page may have `output` bytes.
    pub(crate) async fn read_within(
        &self,
        output: usize,
        stream: &StreamSpec,
        account: Option<&str>,
        position: &api::Position,
        requests: &Arc<AtomicU64>,
        waiting: &WaitListener,
    ) -> Result<api::Page, CallError> {
        let capabilities =
            self.capabilities.for_call(&stream.name, stream.budget.as_deref(), requests, waiting).await;
        let context = CallContext { limits: Limits { output, ..self.limits }, capabilities };
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
            known: manifest.streams.iter().map(|stream| stream.name.to_string()).collect(),
        });
    }
    let selected = manifest.streams.iter().filter(|stream| names.iter().any(|name| stream.name == *name));
    Ok(selected.cloned().collect())
}
