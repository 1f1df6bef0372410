//! A connector that took over from another one, while it may still be rolled back.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use connector_sandbox::Digest;
use connector_sandbox::text::plain;
use tokio::sync::mpsc;

/// Faults after which a connector that took over is rolled back. One may be an accident; more would cost pages.
pub const MOST_FAULTS: u32 = 3;
/// How long after it took over. Later, its faults end streams as those of any connector do.
pub const PROBATION: Duration = Duration::from_secs(24 * 60 * 60);

/// A connector that took over from another, and may still be sent back. Shared by all integrations that it serves.
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
    /// Which bytes failed.
    pub digest: Digest,
    /// How.
    pub reason: String,
}

impl Probation {
    /// Begins for the `connector` with this `digest`; `tell` hears if it fails.
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

    /// How it failed.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }

    /// Counts a fault. `false` where the probation is over.
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
            // Nobody listens where the program is about to end.
            let _ = self.tell.send(RolledBack { connector, digest, reason: reason.to_owned() });
        }
        true
    }
}
