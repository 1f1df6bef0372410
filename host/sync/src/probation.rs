//! A connector that took over from another one, while it may still be rolled back.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use connector_sandbox::Digest;
use connector_sandbox::text::plain;
use tokio::sync::mpsc;

/// Faults after which a connector on probation is rolled back. One may be an accident; a higher limit would cost pages.
pub const MOST_FAULTS: u32 = 3;
/// How long a probation lasts. Later, a fault ends the stream, as with any other connector.
pub const PROBATION: Duration = Duration::from_secs(24 * 60 * 60);

/// The probation of a connector that took over from another. Shared by all integrations that the connector serves.
#[derive(Debug)]
pub struct Probation {
    connector: String,
    digest: Digest,
    since: Instant,
    faults: AtomicU32,
    failed: OnceLock<String>,
    tell: mpsc::UnboundedSender<RolledBack>,
}

/// A connector failed its probation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolledBack {
    /// Name of the connector.
    pub connector: String,
    /// Digest of the connector.
    pub digest: Digest,
    /// The fault that ended the probation.
    pub reason: String,
}

impl Probation {
    /// Begins the probation of the `connector` with this `digest`. `tell` gets a message if it fails.
    #[must_use]
    pub fn begin(connector: &str, digest: Digest, tell: mpsc::UnboundedSender<RolledBack>) -> Arc<Self> {
        let connector = connector.to_owned();
        let (since, faults, failed) = (Instant::now(), AtomicU32::new(0), OnceLock::new());
        Arc::new(Self { connector, digest, since, faults, failed, tell })
    }

    /// Whether it failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.get().is_some()
    }

    /// The fault that ended it, if it failed.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }

    /// Counts a fault. `false` if the probation is over.
    pub(crate) fn fault(&self, reason: &str) -> bool {
        if !self.has_failed() && self.since.elapsed() > PROBATION {
            return false;
        }
        let faults = self.faults.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::warn!(
            connector = self.connector,
            "fault {faults} of {MOST_FAULTS} since {:#} took over: {}",
            self.digest,
            plain(reason)
        );
        if faults >= MOST_FAULTS && self.failed.set(reason.to_owned()).is_ok() {
            let (connector, digest) = (self.connector.clone(), self.digest);
            // There is no receiver while the program ends.
            let _ = self.tell.send(RolledBack { connector, digest, reason: reason.to_owned() });
        }
        true
    }
}
