//! Waits and calls again, where the connector says that this helps.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use connector_sandbox::contract::api::ErrorKind;
use connector_sandbox::manifest::RequestBudget;

use crate::CallError;

/// The longest time a vendor can make us wait by `Retry-After`.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

/// Where a request may be sent every so many seconds, or less often, an endpoint is slow: those of logs are.
const SLOW: u32 = 10;
/// How much longer the first pause is there, so that as many attempts reach as far as the longest one.
const SLOWER: u32 = 8;

/// How long to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Calls altogether, at least one.
    pub attempts: u32,
    /// The first pause; each one doubles it, plus a random part of it.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// The longest pause where the vendor's limit is a few requests a minute: sooner, nothing can have changed.
    pub longest_slow: Duration,
}

/// A pause before the next attempt.
#[derive(Clone, Debug)]
pub struct Wait {
    /// How long.
    pub duration: Duration,
    /// Why, in the words of the connector.
    pub reason: String,
    /// The attempt that failed, counted from one.
    pub attempt: u32,
    /// Attempts altogether.
    pub attempts: u32,
}

impl Default for RetryPolicy {
    /// What official clients of vendors do (1, 2, 4, 8, 16, 32 s and a random part), and as good for others: seven calls
    /// in a little more than a minute.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { attempts: 7, first: seconds(1), longest: seconds(32), longest_slow: seconds(120) }
    }
}

impl RetryPolicy {
    /// The same where requests count against `budget`.
    #[must_use]
    pub fn within(self, budget: Option<&RequestBudget>) -> Self {
        let is_slow = budget.is_some_and(|budget| budget.per_seconds / budget.requests.max(1) >= SLOW);
        if is_slow { Self { first: self.first * SLOWER, longest: self.longest_slow, ..self } } else { self }
    }
}

/// Calls until there is an answer, an error that waiting does not mend, or no attempt left. Tells `waiting`
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
            // "Retry after 0 s" is no reason to use up all attempts at once.
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
