//! Why a call returned no data.

use connector_sandbox::contract::api::{self, ErrorKind};
use connector_sandbox::{Fault, Hint};

/// A call that returned no data.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The connector returned an error.
    #[error("{}", .0.message)]
    Connector(api::Error),
    /// The connector itself failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Hint for CallError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Connector(error) => error.remedy.clone(),
            Self::Fault(fault) => fault.hint(),
        }
    }
}

impl CallError {
    /// The kind of the error, if the connector returned it.
    #[must_use]
    pub fn kind(&self) -> Option<&ErrorKind> {
        match self {
            Self::Connector(error) => Some(&error.kind),
            Self::Fault(_) => None,
        }
    }
}
