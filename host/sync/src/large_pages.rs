//! Bounds the memory that pages take in the host: small pages are read side by side and ahead, and of larger ones there is
//! one at a time in the whole program.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The most bytes that a page has which is read beside others. A page of 300 users has about 2 MiB.
pub(crate) const SMALL_PAGE: usize = 4 << 20;

static PLACES: Semaphore = Semaphore::const_new(1);

/// The large pages of one stream.
#[derive(Default)]
pub(crate) struct LargePages {
    /// Whether a page of the stream was large: then the next ones are expected to be.
    expected: AtomicBool,
    /// Held while a large page is in memory.
    place: Mutex<Option<SemaphorePermit<'static>>>,
}

impl LargePages {
    pub(crate) fn is_expected(&self) -> bool {
        self.expected.load(Ordering::Relaxed)
    }

    pub(crate) fn expect(&self) {
        self.expected.store(true, Ordering::Relaxed);
    }

    /// Waits until no large page is in memory. `None` is not returned: the semaphore is never closed.
    pub(crate) async fn place(&self) -> Option<SemaphorePermit<'static>> {
        // A page that was not stored was dropped.
        drop(self.take());
        PLACES.acquire().await.ok()
    }

    /// Keeps the place until the page is stored.
    pub(crate) fn keep(&self, place: Option<SemaphorePermit<'static>>) {
        *self.place.lock() = place;
    }

    /// The place of the page that was read last, if it is large. It is free when this is dropped.
    pub(crate) fn take(&self) -> Option<SemaphorePermit<'static>> {
        self.place.lock().take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn one_large_page_is_in_memory_at_a_time() {
        let (one, other) = (LargePages::default(), LargePages::default());
        one.keep(one.place().await);
        assert!(tokio::time::timeout(Duration::from_secs(1), other.place()).await.is_err());
        // The page of the first stream was not stored, and it reads another one.
        one.keep(one.place().await);
        drop(one.take());
        // A small page is being stored while a large one is read ahead: the large one keeps its place.
        let stored = one.take();
        one.keep(one.place().await);
        drop(stored);
        assert!(tokio::time::timeout(Duration::from_secs(1), other.place()).await.is_err());
        drop(one.take());
        let place = tokio::time::timeout(Duration::from_secs(1), other.place()).await;
        assert!(place.is_ok_and(|place| place.is_some()));
    }
}
