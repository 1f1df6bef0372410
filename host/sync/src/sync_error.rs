//! Why a run ended without a summary.

use std::path::PathBuf;

use connector_sandbox::Hint;
use connector_store::StoreError;

use crate::CallError;

/// A run that could not begin, or could not continue.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The vendor or the connector refused the whole run. If `check` failed, the store was not touched.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of the store was moved, replaced or deleted during the run.
    #[error("the store `{0}` was moved, replaced or deleted during the run: what was read is not there")]
    StoreMoved(PathBuf),
    /// It was stopped before it began to read.
    #[error("stopped before anything was read")]
    Stopped,
    /// It reached its limit before it began to read.
    #[error("the run reached its limit of {0} s (`run-seconds`) before anything was read")]
    TimedOut(u64),
}

impl Hint for SyncError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Call(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::StoreMoved(_) => Some(
                "put the file back if you moved it, then sync again; keep other programs away from it"
                    .to_owned(),
            ),
            Self::Stopped => None,
            Self::TimedOut(_) => Some(
                "the vendor made the run wait: try later, or raise `run-seconds` under `[limits]`".to_owned(),
            ),
        }
    }
}
