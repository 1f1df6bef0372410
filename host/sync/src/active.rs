//! The active connector of an integration. A run looks it up before each page, so that a connector can be swapped during
//! a run: calls in flight keep the connector they began with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use connector_sandbox::Digest;
use parking_lot::Mutex;

use crate::integration::Integration;

/// What to do after a fault of the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFault {
    /// Read the page again: with the same connector, which may fail a few times, or with the one that replaced it.
    Again,
    /// The stream ends.
    Final,
}

/// The active connector of an integration.
pub struct ActiveIntegration {
    current: ArcSwap<Integration>,
    /// The connector before it, while a rollback is possible.
    predecessor: ArcSwap<Option<Arc<Integration>>>,
    /// The digests of connectors that were rolled back.
    rolled_back: Mutex<Vec<Digest>>,
    /// Whether a person confirmed that missing objects were deleted at the vendor. It counts for one run.
    confirmed: AtomicBool,
}

impl ActiveIntegration {
    /// Makes `integration` the active one. `rolled_back` are the digests of connectors that were rolled back earlier.
    #[must_use]
    pub fn new(integration: Integration, rolled_back: Vec<Digest>) -> Self {
        let (current, predecessor) = (ArcSwap::from_pointee(integration), ArcSwap::from_pointee(None));
        Self { current, predecessor, rolled_back: Mutex::new(rolled_back), confirmed: AtomicBool::default() }
    }

    /// Lets the next run mark all objects that it does not find as removed, however many they are: a person confirmed that
    /// they were deleted at the vendor.
    pub fn confirm_removals(&self) {
        self.confirmed.store(true, Ordering::Relaxed);
    }

    /// Whether removals were confirmed; the confirmation is used up.
    pub(crate) fn take_confirmation(&self) -> bool {
        self.confirmed.swap(false, Ordering::Relaxed)
    }

    /// The active one.
    #[must_use]
    pub fn current(&self) -> Arc<Integration> {
        self.current.load_full()
    }

    /// Swaps back to the predecessor if the active connector failed its probation. All integrations that it serves share
    /// the probation, so a run calls this before each page: a fault in another integration may have ended it.
    pub fn roll_back_if_failed(&self) {
        let current = self.current();
        if !current.probation.as_ref().is_some_and(|probation| probation.has_failed()) {
            return;
        }
        if let Some(predecessor) = self.predecessor.load().as_ref() {
            // Another thread may have done the same, or swapped in a third connector, which then stays.
            self.current.compare_and_swap(&current, Arc::clone(predecessor));
            self.distrust(current.connector.digest());
        }
    }

    /// The digests of connectors that were rolled back: pages that they read in an unfinished run are not trusted.
    #[must_use]
    pub fn rolled_back(&self) -> Vec<Digest> {
        self.rolled_back.lock().clone()
    }

    fn distrust(&self, digest: Digest) {
        let mut distrusted = self.rolled_back.lock();
        if !distrusted.contains(&digest) {
            distrusted.push(digest);
        }
    }

    /// Rolls back the connector with the digest `failed`: `next` takes over.
    pub fn go_back(&self, next: Integration, failed: Digest) {
        self.replace(next);
        self.distrust(failed);
    }

    /// `next` takes over at the next page. If it is on probation, it can be rolled back to the present connector.
    pub fn replace(&self, next: Integration) {
        // A connector that failed must not become the predecessor.
        self.roll_back_if_failed();
        let before = self.current();
        // An operator activated `next` again on purpose, even if it was rolled back before.
        let digest = next.connector.digest();
        self.rolled_back.lock().retain(|known| *known != digest);
        self.predecessor.store(Arc::new(next.probation.is_some().then_some(before)));
        self.current.store(Arc::new(next));
    }

    /// Reports a fault of the connector of `used`: a trap, or a breach of the contract. If the fault ends its probation, the
    /// predecessor takes over.
    #[must_use]
    pub fn fault(&self, used: &Arc<Integration>, reason: &str) -> AfterFault {
        let Some(probation) = used.probation.as_ref().filter(|probation| probation.fault(reason)) else {
            return AfterFault::Final;
        };
        if !probation.has_failed() {
            return AfterFault::Again;
        }
        self.roll_back_if_failed();
        let (current, digest) = (self.current(), used.connector.digest());
        if Arc::ptr_eq(&current, used) {
            // There is no predecessor that could read the page.
            return AfterFault::Final;
        }
        // Another connector took over while this one finished its own cursors. Distrusting it ends its reading.
        if current.connector.digest() != digest {
            self.distrust(digest);
        }
        AfterFault::Again
    }
}
