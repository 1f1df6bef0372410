//! Misbehaviour on demand.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What to do instead of answering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429, as Duo sends it, without `Retry-After`; or with one, in seconds.
    TooManyRequests {
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// This status with Duo's error body.
    ServerError(u16),
    /// 403 with code 40301, whatever is granted.
    Forbidden,
    /// 401 with code 40103, as after a new secret key was made.
    InvalidSignature,
    /// This status with a page as proxies and captive portals send it.
    HtmlPage(u16),
    /// 200 with this error in the body.
    FailWith200 {
        /// The error code.
        code: u32,
        /// The message.
        message: String,
    },
    /// 200 with JSON of another shape.
    WrongContent,
    /// 200 with text that is not JSON.
    InvalidJson,
    /// An answer that breaks off in the middle.
    TruncatedBody,
    /// A connection that is closed before the body.
    Reset,
    /// A 302 to the same path of this origin.
    RedirectTo(String),
    /// 200 with so many bytes.
    OversizedBody(u64),
    /// The right answer, this much later.
    Slow(Duration),
    /// An answer that pauses this long after its beginning.
    Stalled(Duration),
}

/// Which requests: by path and query.
type Which = Box<dyn Fn(&str, &str) -> bool + Send>;

struct Planned {
    which: Which,
    fault: Fault,
    times: u32,
}

/// The faults that are still to come, first come first served.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Planned>>);

impl Faults {
    pub(crate) fn inject(&self, which: Which, fault: Fault, times: u32) {
        let mut planned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        planned.push(Planned { which, fault, times });
    }

    pub(crate) fn heal(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The fault for a request of `path` and `query`, if one is planned.
    pub(crate) fn take(&self, path: &str, query: &str) -> Option<Fault> {
        let mut planned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = planned.iter_mut().find(|planned| planned.times > 0 && (planned.which)(path, query))?;
        next.times -= 1;
        let fault = next.fault.clone();
        planned.retain(|planned| planned.times > 0);
        Some(fault)
    }
}
