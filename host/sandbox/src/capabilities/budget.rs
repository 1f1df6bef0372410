//! A vendor's rate limit, kept rather than run into.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// At most so many requests in any window of so long, over all streams that share it.
///
/// A sliding log rather than a token bucket: a bucket lets twice the limit through in the first window, or
/// paces a small tenant that would never have reached it.
#[derive(Debug)]
pub struct Budget {
    requests: usize,
    window: Duration,
    /// Who waits is served in order.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    sent: VecDeque<Instant>,
    /// How many of `requests` are used for now: fewer after the vendor refused one.
    allowed: usize,
    /// When that last changed.
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

    /// Whether it is that limit.
    #[must_use]
    pub fn is(&self, requests: u32, window: Duration) -> bool {
        (self.requests, self.window) == (requests.max(1) as usize, window)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No change of it can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one more request is within the budget, and counts it. Those who wait are served in order, and
    /// told for how long, once it is their turn.
    pub async fn spend(&self, waiting: &(dyn Fn(Duration) + Sync)) {
        let _turn = self.turn.lock().await;
        while let Some(until) = self.next() {
            waiting(until.duration_since(Instant::now()));
            tokio::time::sleep_until(until).await;
        }
    }

    /// Counts a request, if there is one left; else says when to ask again.
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
        // With fewer allowed than were sent, the oldest that must be gone is not the first.
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

    /// The vendor refused a request although the budget was kept: half as many for the next window, then twice as many with each.
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
