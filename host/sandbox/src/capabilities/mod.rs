//! Everything a connector can reach: a call gets these capabilities and nothing else.
//!
//! `egress` decides where a request may go (no I/O), `http` sends it, `budget` keeps to the vendor's rate limit, `clock`
//! counts the time of a call, `secrets` and `logging` serve the imports of the same names, and `redact` removes secrets
//! from all text of a guest.

mod budget;
mod clock;
mod egress;
mod http;
mod logging;
mod redact;
mod secrets;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use wasmtime_wasi::HostWallClock;

use crate::contract::api::Setting;
use crate::limits::Limits;
use crate::manifest::{Manifest, SettingKind};

pub use budget::Budget;
pub(crate) use clock::CallClock;
pub use egress::{Destination, Egress, EgressError};
pub(crate) use logging::LINE as LOG_LINE;

pub use http::{Answer, HttpClient, HttpLimits, HttpSetupError};
pub use redact::Redactor;
pub use secrets::Secrets;

/// Called with the length of each wait for the vendor's rate limit.
pub type WaitListener = Arc<dyn Fn(Duration) + Send + Sync>;

/// Ignores the waits of a call.
#[must_use]
pub fn ignore_waits() -> WaitListener {
    Arc::new(|_| {})
}

/// What an integration may use. It makes the capabilities of each call.
pub struct Capabilities {
    /// Names the integration in logs.
    pub integration: String,
    /// Sends its requests.
    pub http: HttpClient,
    /// Its secrets.
    pub secrets: Arc<Secrets>,
    /// The vendor's rate limits, by name.
    pub budgets: BTreeMap<String, Arc<Budget>>,
    /// The time that guests see; `None` for the machine's time.
    pub clock: Option<SystemTime>,
}

/// How the requests of an integration travel.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Redirected connections, by host: `https://HOST:PORT`, or `http://HOST:PORT` for a simulator. Without an entry they
    /// go to the host itself, on port 443, and only to a public address.
    pub connect_to: BTreeMap<String, String>,
    /// Redirected connections of all integrations, by host: they apply where the connector reaches the host and `connect_to`
    /// does not have it.
    pub connect_to_of_all: BTreeMap<String, String>,
    /// Certificates in PEM form that are trusted beside the system's authorities.
    pub ca_pem: Option<Vec<u8>>,
    /// What one exchange may take.
    pub limits: HttpLimits,
}

/// Why capabilities can't be given.
#[derive(Debug, thiserror::Error)]
pub enum CapabilitiesError {
    /// A host name or `connect_to` is not valid.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// The HTTP client can't be set up.
    #[error(transparent)]
    Http(#[from] HttpSetupError),
}

impl Capabilities {
    /// What a connector with this `manifest` may use with these `settings` and `secrets`: requests to the manifest's hosts,
    /// and the secrets that it declares; others in `secrets` are ignored. The vendor's rate limits are not kept until
    /// `budgets` is filled. `integration` names it in logs.
    ///
    /// # Errors
    ///
    /// [`CapabilitiesError`] when a setting names no host, or `network` can't be used. Nothing is sent.
    pub fn new(
        integration: &str,
        manifest: &Manifest,
        settings: &[Setting],
        secrets: BTreeMap<String, SecretString>,
        network: &Network,
    ) -> Result<Self, CapabilitiesError> {
        let value = |name: &str| {
            let setting = settings.iter().find(|setting| setting.name == name);
            setting.map(|setting| setting.value.as_str())
        };
        let mut egress = Egress::new(manifest, value, &network.connect_to)?;
        egress.connect_also(&network.connect_to_of_all)?;
        let http = HttpClient::new(egress, network.limits, network.ca_pem.as_deref())?;
        let declared = manifest.settings.iter().filter(|setting| setting.kind == SettingKind::Secret);
        let declared = declared.map(|setting| setting.name.clone()).collect();
        Ok(Self {
            integration: integration.to_owned(),
            http,
            secrets: Arc::new(Secrets::new(declared, secrets)),
            budgets: BTreeMap::new(),
            clock: None,
        })
    }

    /// The capabilities of one call. `stream` names the work in logs, `budget` is the budget of its requests, `requests`
    /// counts them.
    ///
    /// Waits until the first request is within the budget. `waiting` is called for this wait and for that of each later
    /// request; none of them counts towards the time of the call.
    pub async fn for_call(
        &self,
        stream: &str,
        budget: Option<&str>,
        requests: &Arc<AtomicU64>,
        waiting: &WaitListener,
    ) -> CallCapabilities {
        let budget = budget.and_then(|name| self.budgets.get(name)).cloned();
        if let Some(budget) = &budget {
            budget.spend(waiting.as_ref()).await;
        }
        CallCapabilities {
            http: Some(http::HttpCapability {
                client: self.http.clone(),
                prepaid: u32::from(budget.is_some()),
                asked: 0,
                budget,
                waiting: Arc::clone(waiting),
                requests: Arc::clone(requests),
            }),
            redactor: self.secrets.redactor(),
            secrets: Arc::clone(&self.secrets),
            clock: self.clock,
            log: logging::Context::new(&self.integration, stream),
            asked_for_more: false,
            limits: Limits::default(),
            time: CallClock::default(),
        }
    }
}

/// What one call may use.
pub struct CallCapabilities {
    http: Option<http::HttpCapability>,
    secrets: Arc<Secrets>,
    redactor: Redactor,
    clock: Option<SystemTime>,
    log: logging::Context,
    /// Whether it asked for a secret that its manifest does not declare, or that is not set.
    asked_for_more: bool,
    limits: Limits,
    time: CallClock,
}

impl CallCapabilities {
    /// No capabilities: for reading a manifest.
    #[must_use]
    pub fn none() -> Self {
        Self {
            http: None,
            secrets: Arc::new(Secrets::none()),
            redactor: Redactor::default(),
            clock: None,
            log: logging::Context::new("-", "describe"),
            asked_for_more: false,
            limits: Limits::default(),
            time: CallClock::default(),
        }
    }

    /// The redactor of the integration's secrets.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        self.redactor.clone()
    }

    /// Starts the call, under `limits`. Returns its clock.
    pub(crate) fn start(&mut self, limits: &Limits) -> CallClock {
        self.limits = *limits;
        self.time.start(limits.call);
        self.time.clone()
    }

    pub(crate) fn clock(&self) -> Option<FixedClock> {
        self.clock.map(FixedClock)
    }
}

/// A clock that stands still, for tests of signatures.
pub(crate) struct FixedClock(SystemTime);

impl HostWallClock for FixedClock {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}

/// Reads the counter that [`Capabilities::for_call`] was given.
#[must_use]
pub fn requests_sent(requests: &AtomicU64) -> u64 {
    requests.load(Ordering::Relaxed)
}
