//! The time limit of a call. Waits for the vendor's rate limit do not count, because the call does not cause them.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time between two checks whether a stopped clock runs again.
const LOOK: Duration = Duration::from_secs(1);

/// The clock of a call. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallClock(Arc<Mutex<Hand>>);

#[derive(Debug, Default)]
struct Hand {
    /// When the call must have ended; `None` before it begins, or without a limit.
    deadline: Option<Instant>,
    stands_still: bool,
}

impl CallClock {
    fn hand(&self) -> MutexGuard<'_, Hand> {
        // No panic can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the call, which may take `limit`.
    pub(crate) fn start(&self, limit: Duration) {
        self.hand().deadline = Instant::now().checked_add(limit);
    }

    /// The time that is left.
    pub(crate) fn left(&self) -> Duration {
        let deadline = self.hand().deadline;
        deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Awaits `work`, and does not count its time.
    pub(crate) async fn hold<T>(&self, work: impl Future<Output = T>) -> T {
        let since = Instant::now();
        self.hand().stands_still = true;
        let done = work.await;
        let mut hand = self.hand();
        hand.stands_still = false;
        hand.deadline = hand.deadline.and_then(|deadline| deadline.checked_add(since.elapsed()));
        done
    }

    /// Awaits `work` for the time that is left; `None` if it takes longer.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        loop {
            let (deadline, stands_still) = {
                let hand = self.hand();
                (hand.deadline, hand.stands_still)
            };
            let look = match deadline {
                Some(deadline) if !stands_still => deadline,
                _ => Instant::now() + LOOK,
            };
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = tokio::time::sleep_until(look) => {
                    let hand = self.hand();
                    if !hand.stands_still && hand.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                        return None;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn what_takes_longer_is_given_up() {
        let clock = CallClock::default();
        clock.start(MINUTE);
        assert_eq!(clock.within(tokio::time::sleep(MINUTE / 2)).await, Some(()));
        assert_eq!(clock.left(), MINUTE / 2);
        assert_eq!(clock.within(std::future::pending::<()>()).await, None);
        assert_eq!(clock.left(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_that_are_held_do_not_count() {
        let clock = CallClock::default();
        clock.start(MINUTE);
        let start = Instant::now();
        let work = async {
            for _ in 0..3 {
                clock.hold(tokio::time::sleep(MINUTE * 5)).await;
                tokio::time::sleep(MINUTE / 4).await;
            }
            tokio::time::sleep(MINUTE).await;
        };
        assert_eq!(clock.within(work).await, None);
        assert_eq!(start.elapsed(), MINUTE * 16, "fifteen minutes of waiting, one of work");
    }
}
