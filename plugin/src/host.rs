//! The host interface: the imports of the contract and the clock, as a trait. With it, the connector runs
//! natively over an in-memory tenant in the same way as in the sandbox.

use chrono::{DateTime, Utc};

use crate::contract::{HttpError, Level, Request, Response, SecretError};

/// The functions that a host gives a connector.
pub trait Host {
    /// Sends a GET and waits for the complete answer, of any status.
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

    /// Writes a line to the operator's log. The line never contains a secret.
    fn log(&self, level: Level, message: &str);

    /// The current time, which each signature includes.
    fn now(&self) -> DateTime<Utc>;
}
