//! A vendor's rate limit, kept rather than run into.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// At most so many requests in any window of so long, over all streams that share it.
///
/// A sliding log rather than a token bucket: a bucket lets twice the limit through in the first window, or
/// paces a small tenant that would never have reached it.
#[derive(Debug)]
pub struct Budget {
    requests: usize,
    window: Duration,
    sent: Mutex<VecDeque<Instant>>,
}

impl Budget {
    /// At most `requests` (at least one) in any `window`.
    #[must_use]
    pub fn new(requests: u32, window: Duration) -> Self {
        Self { requests: requests.max(1) as usize, window, sent: Mutex::new(VecDeque::new()) }
    }

    /// Whether it is that limit.
    #[must_use]
    pub fn is(&self, requests: u32, window: Duration) -> bool {
        (self.requests, self.window) == (requests.max(1) as usize, window)
    }

    /// Waits until one more request is within the budget, and counts it. Those who wait are served in order, and
    /// told for how long, once it is their turn.
    pub async fn spend(&self, waiting: &(dyn Fn(Duration) + Sync)) {
        let mut sent = self.sent.lock().await;
        loop {
            let now = Instant::now();
            while sent.front().is_some_and(|first| now.duration_since(*first) >= self.window) {
                sent.pop_front();
            }
            match sent.front() {
                Some(first) if sent.len() >= self.requests => {
                    let until = *first + self.window;
                    waiting(until.duration_since(now));
                    tokio::time::sleep_until(until).await;
                }
                _ => {
                    sent.push_back(now);
                    return;
                }
            }
        }
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
}
