//! What a host offers: the imports of the contract and the clock, behind a trait, so that the connector runs
//! natively over an in-memory tenant as it runs in the sandbox.

use chrono::{DateTime, Utc};

use crate::contract::{HttpError, Level, Request, Response, SecretError};

/// The powers a connector has.
pub trait Host {
    /// Sends a GET and waits for the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// When there is no complete answer.
    fn send(&self, request: &Request) -> Result<Response, HttpError>;

    /// The value of the secret setting `name`.
    ///
    /// # Errors
    ///
    /// When the manifest declares no such secret, or the operator set none.
    fn secret(&self, name: &str) -> Result<String, SecretError>;

    /// A line for the operator's log; never holds a secret.
    fn log(&self, level: Level, message: &str);

    /// The time now, which goes into a signature.
    fn now(&self) -> DateTime<Utc>;
}
