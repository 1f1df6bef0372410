//! Which connector serves an integration now. A run asks before each page, so that a connector can be swapped in the
//! middle of it: calls in flight keep the one they began with.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use crate::capability::plain;
use crate::integration::Integration;
use crate::plugin::Digest;

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
    fn fault(&self, reason: &str) -> bool {
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

/// What to do after a fault of the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFault {
    /// Ask for the page again: of the same connector, which may fail a few times, or of the one that serves by now.
    Again,
    /// The stream ends.
    Final,
}

/// The connector that serves an integration now.
pub struct Serving {
    current: ArcSwap<Integration>,
    /// The one before it, while that may come back.
    predecessor: ArcSwap<Option<Arc<Integration>>>,
    /// Those that were rolled back.
    rolled_back: Mutex<Vec<Digest>>,
}

impl Serving {
    /// By this one. `rolled_back` are those that were before.
    #[must_use]
    pub fn new(integration: Integration, rolled_back: Vec<Digest>) -> Self {
        let (current, predecessor) = (ArcSwap::from_pointee(integration), ArcSwap::from_pointee(None));
        Self { current, predecessor, rolled_back: Mutex::new(rolled_back) }
    }

    /// The one that serves now.
    #[must_use]
    pub fn current(&self) -> Arc<Integration> {
        let current = self.current.load_full();
        let failed = current.probation.as_ref().is_some_and(|probation| probation.has_failed());
        match self.predecessor.load().as_ref() {
            Some(predecessor) if failed => {
                // Another thread may have done the same, or swapped in a third one: that one stays.
                self.current.compare_and_swap(&current, Arc::clone(predecessor));
                self.distrust(current.connector.digest());
                self.current.load_full()
            }
            _ => current,
        }
    }

    /// Those that were rolled back: what they read in a run under way is not to be trusted.
    #[must_use]
    pub fn rolled_back(&self) -> Vec<Digest> {
        let _ = self.current();
        self.distrusted().clone()
    }

    fn distrusted(&self) -> MutexGuard<'_, Vec<Digest>> {
        // A push leaves nothing half done.
        self.rolled_back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn distrust(&self, digest: Digest) {
        let mut distrusted = self.distrusted();
        if !distrusted.contains(&digest) {
            distrusted.push(digest);
        }
    }

    /// `next` takes over from the one with the digest `failed`, which is rolled back.
    pub fn go_back(&self, next: Integration, failed: Digest) {
        self.replace(next);
        self.distrust(failed);
    }

    /// `next` takes over at the next page. Where it is on probation, it can be rolled back to the one before.
    pub fn replace(&self, next: Integration) {
        let before = self.current();
        // Somebody lets it serve again on purpose.
        let digest = next.connector.digest();
        self.distrusted().retain(|known| *known != digest);
        self.predecessor.store(Arc::new(next.probation.is_some().then_some(before)));
        self.current.store(Arc::new(next));
    }

    /// The connector of `used` failed: trapped, or broke the contract.
    #[must_use]
    pub fn fault(&self, used: &Arc<Integration>, reason: &str) -> AfterFault {
        let Some(probation) = used.probation.as_ref().filter(|probation| probation.fault(reason)) else {
            return AfterFault::Final;
        };
        if !probation.has_failed() {
            return AfterFault::Again;
        }
        let (current, digest) = (self.current(), used.connector.digest());
        if Arc::ptr_eq(&current, used) {
            // Without another to go back to there is no use in asking again.
            return AfterFault::Final;
        }
        // Another took over while this one went on with its own cursors: it must not go on for ever.
        if current.connector.digest() != digest {
            self.distrust(digest);
        }
        AfterFault::Again
    }
}
