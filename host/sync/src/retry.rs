//! Repeats a call after a pause, if the connector reports a rate limit or an outage.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use connector_sandbox::contract::api::ErrorKind;
use connector_sandbox::manifest::RequestBudget;

use crate::CallError;

/// The longest time a vendor can make us wait by `Retry-After`.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

/// An endpoint is slow if it allows one request in this many seconds, or fewer. Endpoints of logs are slow.
const SLOW: u32 = 10;
/// How many times longer the first pause is for a slow endpoint: then as many attempts reach its longest pause.
const SLOWER: u32 = 8;

/// How failed calls are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The most calls, at least one.
    pub attempts: u32,
    /// The first pause; each one doubles it, plus a random part of it.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// The longest pause if the vendor allows only a few requests a minute: an earlier attempt would fail as well.
    pub longest_slow: Duration,
}

/// A pause before the next attempt.
#[derive(Clone, Debug)]
pub struct Wait {
    /// Its length.
    pub duration: Duration,
    /// Its reason, in the connector's words.
    pub reason: String,
    /// The attempt that failed, counted from one.
    pub attempt: u32,
    /// The most attempts.
    pub attempts: u32,
}

impl Default for RetryPolicy {
    /// Seven calls in a little more than a minute. Official clients of vendors pause like this (1, 2, 4, 8, 16, 32 s and a
    /// random part), and it suits other vendors.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { attempts: 7, first: seconds(1), longest: seconds(32), longest_slow: seconds(120) }
    }
}

impl RetryPolicy {
    /// The policy for requests that count against `budget`: pauses are longer if the endpoint is slow.
    #[must_use]
    pub fn within(self, budget: Option<&RequestBudget>) -> Self {
        let is_slow = budget.is_some_and(|budget| budget.per_seconds / budget.requests.max(1) >= SLOW);
        if is_slow { Self { first: self.first * SLOWER, longest: self.longest_slow, ..self } } else { self }
    }
}

/// Repeats `call` until it returns an answer or an error that a retry can't fix, or no attempt is left. Calls `waiting`
/// before each pause.
pub(crate) async fn until_answered<T, F: Future<Output = Result<T, CallError>>>(
    policy: RetryPolicy,
    waiting: impl Fn(&Wait),
    mut call: impl FnMut() -> F,
) -> Result<T, CallError> {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(policy.first)
        .with_max_delay(policy.longest)
        .with_factor(2.0)
        .with_max_times(policy.attempts.saturating_sub(1) as usize)
        .with_jitter()
        .build();
    for (attempt, pause) in (1..).zip(pauses) {
        let error = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let asked = match error.kind() {
            Some(ErrorKind::RateLimited(seconds) | ErrorKind::Unavailable(seconds)) => *seconds,
            _ => return Err(error),
        };
        let asked = asked.map(|seconds| Duration::from_secs(seconds.into()).min(LONGEST_RETRY_AFTER));
        let wait = Wait {
            // With "Retry-After: 0", all attempts would be used up at once.
            duration: asked.map_or(pause, |asked| asked.max(policy.first)),
            reason: error.to_string(),
            attempt,
            attempts: policy.attempts,
        };
        waiting(&wait);
        tokio::time::sleep(wait.duration).await;
    }
    call().await
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use connector_sandbox::contract::api;

    fn failure(kind: ErrorKind) -> CallError {
        CallError::Connector(api::Error {
            kind,
            code: None,
            message: "no".to_owned(),
            remedy: None,
            detail: None,
        })
    }

    /// Calls that fail with `kind`, and the pauses between them in seconds.
    async fn pauses(policy: RetryPolicy, kind: ErrorKind, succeed_at: u32) -> (u32, Vec<u64>, bool) {
        let mut calls = 0;
        let pauses = Mutex::new(Vec::new());
        let answer = until_answered(
            policy,
            |wait| pauses.lock().unwrap().push(wait.duration.as_secs()),
            || {
                calls += 1;
                std::future::ready(if calls == succeed_at { Ok(()) } else { Err(failure(kind.clone())) })
            },
        )
        .await;
        (calls, pauses.into_inner().unwrap(), answer.is_ok())
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_the_longest_and_attempts_are_counted() {
        let (calls, pauses, answered) =
            pauses(RetryPolicy::default(), ErrorKind::Unavailable(None), u32::MAX).await;
        assert_eq!((calls, answered), (7, false));
        // The random part is less than the pause itself.
        for (pause, least) in pauses.iter().zip([1, 2, 4, 8, 16, 32]) {
            assert!((least..=2 * least).contains(pause), "{pauses:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn logs_are_waited_for_longer() {
        let budget = |requests| RequestBudget { name: "log".to_owned(), requests, per_seconds: 60 };
        let policy = |requests| RetryPolicy::default().within(Some(&budget(requests)));
        assert_eq!(policy(200), RetryPolicy::default());
        let (calls, pauses, _) = pauses(policy(2), ErrorKind::Unavailable(None), u32::MAX).await;
        assert_eq!(calls, 7);
        for (pause, least) in pauses.iter().zip([8, 16, 32, 64, 120, 120]) {
            assert!((least..=2 * least).contains(pause), "{pauses:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_vendor_s_own_pause_counts() {
        let (calls, pauses, answered) =
            pauses(RetryPolicy::default(), ErrorKind::RateLimited(Some(42)), 3).await;
        assert_eq!((calls, pauses, answered), (3, vec![42, 42], true));
    }

    #[tokio::test(start_paused = true)]
    async fn what_waiting_does_not_mend_is_told_at_once() {
        for kind in [ErrorKind::Unauthenticated, ErrorKind::Unexpected, ErrorKind::MissingPermission(vec![])]
        {
            let (calls, pauses, _) = pauses(RetryPolicy::default(), kind, u32::MAX).await;
            assert_eq!((calls, pauses), (1, vec![]));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_attempt_is_one_call() {
        let policy = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
        assert_eq!(pauses(policy, ErrorKind::Unavailable(None), u32::MAX).await.0, 1);
    }
}
