//! Reads a Cisco Duo tenant through the Admin API, and translates it into the normal form of `wit/`.
//!
//! Compiled for `wasm32-wasip2`, this crate is a component of the world `connector-component`. Compiled natively,
//! the same functions [`describe`], [`check`] and [`read`] run over any [`Host`].
//!
//! # Layout
//!
//! | module | its one concern |
//! |---|---|
//! | [`contract`] | the types of `wit/` |
//! | [`host`] | what a host offers: HTTP, secrets, a log, the time |
//! | `component` | the contract's imports and exports; only compiled into a component |
//! | [`signing`] | the canonical request and its HMAC |
//! | `settings` | the settings, parsed once |
//! | `api` | one call: sign, send, envelope, errors with their remedies |
//! | `paging` | the walks through a list and through a log, and their cursors |
//! | `moment` | times, and whether they are plausible |
//! | `lenient` | values that differ from their documentation |
//! | `permission_group` | endpoints that one permission opens, and the request that shows whether it is granted |
//! | `streams` | one file per stream: its endpoint, Duo's types, their mapping |
//! | `manifest` | the manifest, built from the streams |
//! | `check` | which streams can be read |
//!
//! Data flows one way: host, `api`, `paging`, `streams`, page. No state is kept between two calls.
//!
//! # Features
//!
//! `component` (default) exports the world. A guest that links this crate as a library disables it.

#![cfg_attr(
    target_pointer_width = "64",
    expect(clippy::result_large_err, reason = "the contract's error; a call creates at most a few")
)]

mod api;
mod check;
#[cfg(all(target_family = "wasm", feature = "component"))]
mod component;
pub mod contract;
pub mod host;
mod lenient;
mod manifest;
mod moment;
mod paging;
mod permission_group;
mod settings;
pub mod signing;
mod streams;

pub use host::Host;

use contract::{Error, ErrorKind, Manifest, Page, Position, Report, Setting};

use crate::api::Client;
use crate::settings::Settings;
use crate::streams::STREAMS;

/// Describes the connector: settings, streams, permissions, budgets. The result is constant.
pub fn describe() -> Manifest {
    manifest::manifest()
}

/// Tries `settings` with a cheap request for each group of endpoints that one permission opens.
///
/// # Errors
///
/// `invalid-setting` or `unauthenticated`; `rate-limited`, `unavailable` or `unexpected` if no answer is certainly
/// Duo's. A stream that can't be read is not an error, but a row of the report.
pub fn check(host: &dyn Host, settings: &[Setting]) -> Result<Report, Error> {
    let settings = Settings::parse(host, settings)?;
    check::check(&Client::new(host, &settings, None))
}

/// Reads the page of `stream` that begins at `position`, usually with a single request. `account` is the account
/// that [`check`] reported.
///
/// # Errors
///
/// All kinds of the contract; an unknown stream is `unexpected`.
pub fn read(
    host: &dyn Host,
    settings: &[Setting],
    account: Option<&str>,
    stream: &str,
    position: &Position,
) -> Result<Page, Error> {
    let settings = Settings::parse(host, settings)?;
    let Some(stream) = STREAMS.iter().find(|known| known.name == stream) else {
        let known: Vec<String> = STREAMS.iter().map(|stream| format!("`{}`", stream.name)).collect();
        let message = format!("there is no stream `{}`", stream.escape_debug());
        return Err(
            Error::new(ErrorKind::Unexpected, message).remedy(format!("read one of {}", known.join(", ")))
        );
    };
    (stream.read)(&Client::new(host, &settings, account), position)
}

#[cfg(test)]
mod test_host;
