//! A simulated Cisco Duo tenant on loopback, as strict as the real Admin API and independent of any client.
//!
//! It checks signature, date, host, integration key, permission and parameters, pages with Duo's limits, and can
//! be told to misbehave. Facts and their certainty are those of the project's API reference; where that is
//! silent, the choice stands in a comment.
//!
//! # Layout
//!
//! - [`TenantOptions`]: what a tenant is like
//! - [`tenant`]: its objects, each computed from seed and number on demand, so that a million users cost nothing
//! - `authentication`: the signature, verified the way the server does
//! - `endpoints`: the paths there are, and what each needs and counts as
//! - `routes`, `paging`, `log`: which path answers what, page by page
//! - `failure`: Duo's errors; `fault`: misbehaviour on demand; `counters`: what was asked
//! - `server`: the listener, with or without TLS

mod authentication;
mod counters;
mod endpoints;
mod failure;
mod fault;
mod log;
mod options;
mod paging;
mod routes;
mod server;
mod shared;
pub mod tenant;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use authentication::SignatureVersion;
pub use counters::{Counters, RecordedRequest};
pub use fault::Fault;
pub use options::{Grant, Grants, TenantOptions};
pub use server::SimulatorError;

use server::{Listener, Validity};
use shared::Shared;
use tenant::Tenant;

/// A tenant that answers. It stops when it is dropped.
pub struct Simulator {
    shared: Arc<Shared>,
    listener: Listener,
}

impl Simulator {
    /// Answers http on a free port of loopback.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start(options: TenantOptions) -> Result<Self, SimulatorError> {
        Self::start_at(options, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), false).await
    }

    /// Answers https on a free port of loopback, with a certificate for the API hostname from an authority of
    /// its own, [`Simulator::ca_pem`].
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start_tls(options: TenantOptions) -> Result<Self, SimulatorError> {
        Self::start_at(options, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), true).await
    }

    /// The same with a certificate that expired years ago.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start_tls_expired(options: TenantOptions) -> Result<Self, SimulatorError> {
        let shared = Arc::new(Shared::new(options));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = server::listen(Arc::clone(&shared), address, Some(Validity::Expired)).await?;
        Ok(Self { shared, listener })
    }

    /// Answers at `address`, over TLS if `tls`.
    ///
    /// # Errors
    ///
    /// When the address can't be had.
    pub async fn start_at(
        options: TenantOptions,
        address: SocketAddr,
        tls: bool,
    ) -> Result<Self, SimulatorError> {
        let shared = Arc::new(Shared::new(options));
        let tls = tls.then_some(Validity::Valid);
        let listener = server::listen(Arc::clone(&shared), address, tls).await?;
        Ok(Self { shared, listener })
    }

    /// Where it answers: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.listener.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.listener.address)
    }

    /// The authority behind its certificate, in PEM form; `None` without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.listener.ca_pem.as_deref()
    }

    /// What the tenant is like.
    #[must_use]
    pub fn options(&self) -> &TenantOptions {
        &self.shared.options
    }

    /// Requests so far, refused ones included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.counters.total()
    }

    /// What was asked so far, counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counters.read()
    }

    /// What was asked so far, one by one.
    #[must_use]
    pub fn recorded(&self) -> Vec<RecordedRequest> {
        self.shared.counters.recorded()
    }

    /// Misbehaves for the next `times` requests.
    pub fn inject(&self, fault: Fault, times: u32) {
        self.inject_at("", fault, times);
    }

    /// Misbehaves for the next `times` requests whose path begins with `path_prefix`.
    pub fn inject_at(&self, path_prefix: &str, fault: Fault, times: u32) {
        let prefix = path_prefix.to_owned();
        self.inject_where(move |path, _| path.starts_with(&prefix), fault, times);
    }

    /// Misbehaves for the next `times` requests of which `which` holds, by path and query.
    pub fn inject_where(
        &self,
        which: impl Fn(&str, &str) -> bool + Send + 'static,
        fault: Fault,
        times: u32,
    ) {
        self.shared.faults.inject(Box::new(which), fault, times);
    }

    /// Behaves from now on.
    pub fn heal(&self) {
        self.shared.faults.heal();
    }

    /// Ticks other permissions.
    pub fn set_grants(&self, grants: Grants) {
        *self.shared.grants.write().unwrap_or_else(std::sync::PoisonError::into_inner) = grants;
    }

    /// Moves the clock to `seconds` ahead of the machine's.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.shared.clock_offset.store(seconds, Ordering::Relaxed);
    }

    /// Deletes the user at `index`: later ones move up by one.
    pub fn delete_user(&self, index: u64) {
        self.shared.tenant.delete_user(index);
    }

    /// The objects, to change them.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.shared.tenant
    }

    /// Lets `change` happen before each request of a path and a query is answered.
    pub fn change_before_each(&self, change: impl Fn(&Tenant, &str, &str) + Send + Sync + 'static) {
        let mut place = self.shared.before_each.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *place = Some(Box::new(change));
    }

    /// Every secret the tenant has: nothing of it may ever be written down by a client.
    #[must_use]
    pub fn planted_secrets(&self) -> Vec<String> {
        self.shared.tenant.planted_secrets()
    }
}
