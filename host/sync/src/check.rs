//! Asks the connector which streams can be read, and describes its answer stream by stream.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use connector_sandbox::StreamName;
use connector_sandbox::contract::api::{self, Access, ErrorKind, Report};
use connector_store::{IncompleteStream, StreamState};
use serde::Serialize;

use crate::CallError;
use crate::event::{Event, Observer};
use crate::integration::Integration;
use crate::retry::{self, RetryPolicy};

/// Asks the connector which streams can be read. The report has a row for each selected one. `policy` limits retries.
///
/// # Errors
///
/// When the connector returns no report.
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

/// Which streams of an integration can be read.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// Its name.
    pub integration: String,
    /// The account that it is connected to.
    pub account: Option<String>,
    /// Whether all streams that are not optional can be read.
    pub readable: bool,
    /// Requests that the check sent.
    pub requests: u64,
    /// Each selected stream, in the manifest's order.
    pub streams: Vec<CheckedStream>,
}

/// Whether a stream can be read.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedStream {
    /// Its name.
    pub stream: StreamName,
    /// Its title.
    pub title: String,
    /// The permissions that allow it; one of them is enough.
    pub permissions: Vec<String>,
    /// Whether a run is complete without it.
    pub optional: bool,
    /// Whether it can be read, or why not.
    pub access: StreamAccess,
    /// Why it can't be read.
    pub reason: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Whether a stream can be read, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamAccess {
    /// It can be read.
    Readable,
    /// A permission is missing.
    PermissionMissing,
    /// The vendor's edition does not have it.
    NotInEdition,
    /// It could not be checked: too many requests.
    RateLimited,
    /// It could not be checked: the vendor can't answer now.
    Unavailable,
    /// The vendor refused for another reason.
    Refused,
    /// The connector did not report it.
    NotChecked,
}

impl Checked {
    /// The selected streams of `integration`, as `report` describes them.
    #[must_use]
    pub fn new(integration: &Integration, report: &Report, requests: u64) -> Self {
        let streams = integration.selected.iter().map(|stream| {
            let row = report.streams.iter().find(|row| stream.name == row.stream);
            let (access, error) = match row.map(|row| &row.access) {
                Some(Access::Readable) => (StreamAccess::Readable, None),
                Some(Access::Refused(error)) => (StreamAccess::refused(&error.kind), Some(error)),
                None => (StreamAccess::NotChecked, None),
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
    /// Why it can't be read; `None` if it can.
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

    /// Whether it can be read.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.access == StreamAccess::Readable
    }
}

impl StreamAccess {
    /// Every value.
    pub const ALL: [Self; 7] = [
        Self::Readable,
        Self::PermissionMissing,
        Self::NotInEdition,
        Self::RateLimited,
        Self::Unavailable,
        Self::Refused,
        Self::NotChecked,
    ];

    fn refused(kind: &ErrorKind) -> Self {
        match kind {
            ErrorKind::MissingPermission(_) => Self::PermissionMissing,
            ErrorKind::NotInEdition => Self::NotInEdition,
            ErrorKind::RateLimited(_) => Self::RateLimited,
            ErrorKind::Unavailable(_) => Self::Unavailable,
            _ => Self::Refused,
        }
    }

    /// Its text, for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Readable => "readable",
            Self::PermissionMissing => "permission missing",
            Self::NotInEdition => "not in this edition",
            Self::RateLimited => "rate limited",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::NotChecked => "not checked",
        }
    }
}
