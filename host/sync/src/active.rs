//! Which connector serves an integration now. A run asks before each page, so that a connector can be swapped in the
//! middle of it: calls in flight keep the one they began with.

use std::sync::Arc;

use arc_swap::ArcSwap;
use connector_sandbox::Digest;
use parking_lot::Mutex;

use crate::integration::Integration;

/// What to do after a fault of the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFault {
    /// Ask for the page again: of the same connector, which may fail a few times, or of the one that serves by now.
    Again,
    /// The stream ends.
    Final,
}

/// The connector that serves an integration now.
pub struct ActiveIntegration {
    current: ArcSwap<Integration>,
    /// The one before it, while that may come back.
    predecessor: ArcSwap<Option<Arc<Integration>>>,
    /// Those that were rolled back.
    rolled_back: Mutex<Vec<Digest>>,
}

impl ActiveIntegration {
    /// By this one. `rolled_back` are those that were before.
    #[must_use]
    pub fn new(integration: Integration, rolled_back: Vec<Digest>) -> Self {
        let (current, predecessor) = (ArcSwap::from_pointee(integration), ArcSwap::from_pointee(None));
        Self { current, predecessor, rolled_back: Mutex::new(rolled_back) }
    }

    /// The one that serves now.
    #[must_use]
    pub fn current(&self) -> Arc<Integration> {
        self.current.load_full()
    }

    /// Swaps back to the predecessor where the current connector failed its probation. All integrations that it serves
    /// share the probation, so a run calls this before each page: a fault of another integration may have decided it.
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

    /// Those that were rolled back: what they read in a run under way is not to be trusted.
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

    /// `next` takes over from the one with the digest `failed`, which is rolled back.
    pub fn go_back(&self, next: Integration, failed: Digest) {
        self.replace(next);
        self.distrust(failed);
    }

    /// `next` takes over at the next page. Where it is on probation, it can be rolled back to the one before.
    pub fn replace(&self, next: Integration) {
        // A connector that failed is nothing to go back to.
        self.roll_back_if_failed();
        let before = self.current();
        // An operator lets it serve again on purpose.
        let digest = next.connector.digest();
        self.rolled_back.lock().retain(|known| *known != digest);
        self.predecessor.store(Arc::new(next.probation.is_some().then_some(before)));
        self.current.store(Arc::new(next));
    }

    /// The connector of `used` failed: trapped, or broke the contract. Where that ends its probation, the predecessor takes
    /// over.
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
            // Without another to go back to there is no use in asking again.
            return AfterFault::Final;
        }
        // Another took over while this one finished its own cursors: it must not read for ever.
        if current.connector.digest() != digest {
            self.distrust(digest);
        }
        AfterFault::Again
    }
}
