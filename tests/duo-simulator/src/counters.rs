//! What was asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::authentication::SignatureVersion;
use crate::endpoints::{self, RateClass};

/// Requests that are remembered one by one; of more, the latest.
const REMEMBERED: usize = 100_000;

/// What was asked, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// All requests.
    pub total: u64,
    /// By endpoint: the path with names for the keys in it, such as `/admin/v1/users/{user_id}`. Paths that
    /// nothing is served at are one, `other`.
    pub by_path: BTreeMap<String, u64>,
    /// By HTTP status.
    pub by_status: BTreeMap<u16, u64>,
    /// The most requests that were under way at once.
    pub peak_concurrent: u64,
    /// Requests to endpoints that reveal secrets: a read-only client makes none.
    pub secret_touches: u64,
}

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRequest {
    /// The path, without query.
    pub path: String,
    /// The query, as received.
    pub query: String,
    /// The version of its signature, where that was valid and looked at: not for a fault.
    pub signature: Option<SignatureVersion>,
    /// The HTTP status it got.
    pub status: u16,
}

#[derive(Default)]
struct State {
    counters: Counters,
    recorded: VecDeque<RecordedRequest>,
    under_way: u64,
    recent: BTreeMap<RateClass, VecDeque<Instant>>,
}

/// A request that is being answered.
pub(crate) struct UnderWay<'a>(&'a Recorder);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.with(|state| state.under_way = state.under_way.saturating_sub(1));
    }
}

/// Counts.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<State>);

impl Recorder {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A request arrives. It counts at once, so that a slow answer can be seen while it is awaited, and is under
    /// way until the guard is dropped.
    pub(crate) fn arrive(&self) -> UnderWay<'_> {
        self.with(|state| {
            state.counters.total += 1;
            state.under_way += 1;
            state.counters.peak_concurrent = state.counters.peak_concurrent.max(state.under_way);
        });
        UnderWay(self)
    }

    /// A request is answered.
    pub(crate) fn answered(&self, request: RecordedRequest) {
        let endpoint = endpoints::find(&request.path);
        let path = endpoint.map_or("other", |endpoint| endpoint.pattern);
        self.with(|state| {
            *state.counters.by_path.entry(path.to_owned()).or_default() += 1;
            *state.counters.by_status.entry(request.status).or_default() += 1;
            let reveals_secret = endpoint.is_some_and(|endpoint| endpoint.reveals_secret);
            state.counters.secret_touches += u64::from(reveals_secret);
            if state.recorded.len() == REMEMBERED {
                state.recorded.pop_front();
            }
            state.recorded.push_back(request);
        });
    }

    /// Whether one more request of `class` is within its limit.
    pub(crate) fn admit(&self, class: RateClass) -> bool {
        self.with(|state| {
            let recent = state.recent.entry(class).or_default();
            while recent.front().is_some_and(|first| first.elapsed() > Duration::from_secs(60)) {
                recent.pop_front();
            }
            let admitted = recent.len() < class.per_minute();
            if admitted {
                recent.push_back(Instant::now());
            }
            admitted
        })
    }

    pub(crate) fn total(&self) -> u64 {
        self.with(|state| state.counters.total)
    }

    pub(crate) fn read(&self) -> Counters {
        self.with(|state| state.counters.clone())
    }

    pub(crate) fn recorded(&self) -> Vec<RecordedRequest> {
        self.with(|state| state.recorded.iter().cloned().collect())
    }
}
