//! Keeps requests within a vendor's rate limit.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The most requests in any time window, for all streams that share the budget.
///
/// It is a sliding log instead of a token bucket: a bucket allows twice the limit in the first window, or slows down a
/// small tenant that would never reach the limit.
#[derive(Debug)]
pub struct Budget {
    requests: usize,
    window: Duration,
    /// Serves waiting requests in order.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    sent: VecDeque<Instant>,
    /// How many of `requests` are allowed now: fewer after the vendor refused one.
    allowed: usize,
    /// When `allowed` last changed.
    since: Instant,
}

impl Budget {
    /// At most `requests` (at least one) in any `window`.
    #[must_use]
    pub fn new(requests: u32, window: Duration) -> Self {
        let requests = requests.max(1) as usize;
        let state = State { sent: VecDeque::new(), allowed: requests, since: Instant::now() };
        Self { requests, window, turn: tokio::sync::Mutex::default(), state: Mutex::new(state) }
    }

    /// Whether the budget has this limit.
    #[must_use]
    pub fn is(&self, requests: u32, window: Duration) -> bool {
        (self.requests, self.window) == (requests.max(1) as usize, window)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No panic can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one more request is within the budget, and counts it. Waiting callers are served in order; once it is
    /// its turn, each is told through `waiting` how long it waits.
    pub async fn spend(&self, waiting: &(dyn Fn(Duration) + Sync)) {
        let _turn = self.turn.lock().await;
        while let Some(until) = self.next() {
            waiting(until.duration_since(Instant::now()));
            tokio::time::sleep_until(until).await;
        }
    }

    /// Counts a request if the budget allows it; if not, returns when to ask again.
    fn next(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.state();
        while state.allowed < self.requests && now.duration_since(state.since) >= self.window {
            state.allowed = (state.allowed * 2).min(self.requests);
            state.since += self.window;
        }
        while state.sent.front().is_some_and(|first| now.duration_since(*first) >= self.window) {
            state.sent.pop_front();
        }
        // If more were sent than are allowed now, several must leave the window: it waits for the last of them.
        let blocking = state.sent.len().checked_sub(state.allowed).and_then(|index| state.sent.get(index));
        if let Some(until) = blocking.map(|sent| *sent + self.window) {
            return Some(until);
        }
        state.sent.push_back(now);
        None
    }

    /// Counts a request that was sent without waiting.
    pub fn note(&self) {
        self.state().sent.push_back(Instant::now());
    }

    /// Halves the allowed requests for the next window, because the vendor refused one within the budget. They double
    /// with each further window, up to the limit.
    pub fn slow_down(&self) {
        let mut state = self.state();
        state.allowed = (state.allowed / 2).max(1);
        state.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_window_ever_holds_more_than_the_limit() {
        let budget = Budget::new(3, Duration::from_secs(60));
        let start = Instant::now();
        let mut at = Vec::new();
        for _ in 0..7 {
            budget.spend(&|_| {}).await;
            at.push(start.elapsed().as_secs());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        for (earlier, later) in at.iter().zip(at.iter().skip(3)) {
            assert!(later - earlier >= 60, "{at:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_slows_down_for_a_while_and_no_longer() {
        let window = Duration::from_secs(60);
        let budget = Budget::new(8, window);
        budget.slow_down();
        let start = Instant::now();
        let mut at = Vec::new();
        for _ in 0..20 {
            budget.spend(&|_| {}).await;
            at.push(start.elapsed().as_secs());
        }
        // Four in the first minute, eight in each that follows.
        assert_eq!(at, [[0; 4].as_slice(), &[60; 8], &[120; 8]].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_without_asking_counts() {
        let budget = Budget::new(2, Duration::from_secs(60));
        budget.note();
        let start = Instant::now();
        budget.spend(&|_| {}).await;
        assert_eq!(start.elapsed().as_secs(), 0);
        budget.spend(&|_| {}).await;
        assert_eq!(start.elapsed().as_secs(), 60);
    }
}
