//! Why a run brought nothing to report.

use connector_sandbox::Hint;
use connector_store::StoreError;

use crate::CallError;

/// A run that could not begin, or could not continue.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The vendor or the connector refuses altogether. Before the store was touched, if `check` said so.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What came can't be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody stopped it before it began to read.
    #[error("stopped before anything was read")]
    Stopped,
    /// It reached its limit before it began to read.
    #[error("it reached its limit of {0} s (`run-seconds`) before anything was read")]
    TimedOut(u64),
}

impl Hint for SyncError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Call(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Stopped => None,
            Self::TimedOut(_) => {
                Some("the vendor made it wait: try later, or raise `run-seconds` under `[limits]`".to_owned())
            }
        }
    }
}
