//! What may be read: asks the connector, and shows its answer stream by stream.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use connector_sandbox::contract::api::{self, Access, ErrorKind, Report};
use connector_store::{IncompleteStream, StreamState};
use serde::Serialize;

use crate::CallError;
use crate::event::{Event, Observer};
use crate::integration::Integration;
use crate::retry::{self, RetryPolicy};

/// What the integration may read, with a row for each selected stream. `policy` is how long to try.
///
/// # Errors
///
/// When the vendor or the connector refuses altogether.
pub async fn check(
    integration: &Integration,
    policy: RetryPolicy,
    observer: &dyn Observer,
    requests: &Arc<AtomicU64>,
) -> Result<api::Report, CallError> {
    let mut report = retry::until_answered(
        policy,
        |wait| observer.event(Event::Waiting { stream: "check", wait }),
        || integration.check(requests),
    )
    .await?;
    report.streams.retain(|row| integration.selected.iter().any(|stream| stream.name == row.stream));
    Ok(report)
}

/// What may be read of an integration.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// Its name.
    pub integration: String,
    /// What it is connected to.
    pub account: Option<String>,
    /// Whether everything may be read that is not optional.
    pub readable: bool,
    /// Requests sent to find out.
    pub requests: u64,
    /// Each selected stream, in the manifest's order.
    pub streams: Vec<CheckedStream>,
}

/// Whether a stream may be read.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedStream {
    /// Its name.
    pub stream: String,
    /// Its title.
    pub title: String,
    /// The permissions that open it, any of them.
    pub permissions: Vec<String>,
    /// Whether a run can do without it.
    pub optional: bool,
    /// `readable`, or in two words why not.
    pub access: &'static str,
    /// Why it may not be read.
    pub reason: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Checked {
    /// The streams of `integration` as `report` has them, which took so many requests.
    #[must_use]
    pub fn new(integration: &Integration, report: &Report, requests: u64) -> Self {
        let streams = integration.selected.iter().map(|stream| {
            let row = report.streams.iter().find(|row| row.stream == stream.name);
            let (access, error) = match row.map(|row| &row.access) {
                Some(Access::Readable) => ("readable", None),
                Some(Access::Refused(error)) => (word(&error.kind), Some(error)),
                None => ("not-checked", None),
            };
            CheckedStream {
                stream: stream.name.clone(),
                title: stream.title.clone(),
                permissions: stream.permissions.clone(),
                optional: stream.optional,
                access,
                reason: error.map(|error| error.message.clone()),
                hint: error.and_then(|error| error.remedy.clone()),
            }
        });
        let streams: Vec<_> = streams.collect();
        Self {
            integration: integration.name.clone(),
            account: report.account.clone(),
            readable: streams.iter().all(|row| row.optional || row.is_readable()),
            requests,
            streams,
        }
    }
}

impl CheckedStream {
    /// Why it may not be read; `None` where it may.
    #[must_use]
    pub fn incomplete(&self) -> Option<IncompleteStream> {
        Some(IncompleteStream {
            stream: self.stream.clone(),
            state: StreamState::Skipped,
            reason: self.reason.clone()?,
            permission: None,
            hint: self.hint.clone(),
        })
    }

    /// Whether it may be read.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.access == "readable"
    }
}

fn word(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::MissingPermission(_) => "permission missing",
        ErrorKind::NotInEdition => "not in this edition",
        ErrorKind::RateLimited(_) => "rate limited",
        ErrorKind::Unavailable(_) => "unavailable",
        _ => "refused",
    }
}
