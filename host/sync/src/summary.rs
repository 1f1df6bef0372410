//! The result of a run.

use chrono::{DateTime, Utc};
use serde::Serialize;

use connector_sandbox::contract::api::{self, ErrorKind, Window};
use connector_sandbox::manifest::StreamSpec;
use connector_sandbox::{Digest, StreamName};
use connector_store::{
    ConnectorUse, EntityCount, IncompleteStream, RelationCount, StoredProblem, StreamState,
};

/// The most problems that a summary lists; the store has all of them.
pub(crate) const PROBLEMS_SHOWN: u32 = 20;

/// The result of a run, as `sync --json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Name of the integration.
    pub integration: String,
    /// The vendor's account.
    pub account: Option<String>,
    /// Name of the connector.
    pub connector: String,
    /// Version of the connector.
    pub version: String,
    /// SHA-256 of the connector.
    pub digest: Digest,
    /// Whether it resumed an interrupted run.
    pub resumed: bool,
    /// Whether every selected stream is complete; optional ones, and those that this edition lacks, may be skipped.
    pub complete: bool,
    /// Whether it was stopped: the next run resumes it.
    pub stopped: bool,
    /// The limit `run-seconds`, if the run was stopped because it reached that.
    pub timed_out: Option<u64>,
    /// Each selected stream, in the manifest's order.
    pub streams: Vec<StreamSummary>,
    /// Which connector read which stream.
    pub connectors: Vec<ConnectorUse>,
    /// Entities by source type.
    pub entities: Vec<EntityCount>,
    /// Relations by kind.
    pub relations: Vec<RelationCount>,
    /// The first problems.
    pub problems: Vec<StoredProblem>,
    /// The number of all problems.
    pub problem_count: u64,
    /// Requests sent to the vendor, including failed attempts.
    pub requests: u64,
    /// How long the run took.
    pub seconds: f64,
}

/// How a stream ended.
#[derive(Clone, Debug, Serialize)]
pub struct StreamSummary {
    /// Its name.
    pub stream: StreamName,
    /// Its title.
    pub title: String,
    /// Whether a run is complete without it.
    pub optional: bool,
    /// Whether the vendor's edition or deployment does not have it, and the configuration does not name it.
    #[serde(skip)]
    pub is_absent: bool,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: StreamOutcome,
    /// Pages stored.
    pub pages: u64,
    /// The number of its objects, as the vendor reports it.
    pub total: Option<u64>,
    /// The time that its usages cover.
    pub window: Option<StreamWindow>,
}

/// The time that the usages of a stream cover: a use that is not listed did not happen within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StreamWindow {
    /// Its beginning.
    pub from: DateTime<Utc>,
    /// Its end.
    pub to: DateTime<Utc>,
}

impl StreamWindow {
    /// The window that the connector reports.
    #[must_use]
    pub fn new(window: Window) -> Self {
        let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        Self { from: time(window.from), to: time(window.to) }
    }
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum StreamOutcome {
    /// All of it was read.
    Complete,
    /// It ended early.
    Incomplete {
        /// The reason.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The run was stopped; the next one resumes it.
    Stopped,
    /// It was not read: a permission is missing, or the vendor does not have it.
    Skipped {
        /// The reason.
        reason: String,
        /// The missing permission, in the vendor's words, if that is the reason.
        permission: Option<String>,
        /// What to do about it.
        hint: Option<String>,
    },
}

impl StreamOutcome {
    /// Why it is not complete.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Complete | Self::Stopped => None,
            Self::Incomplete { reason, .. } | Self::Skipped { reason, .. } => Some(reason),
        }
    }

    /// Skipped because of `error`.
    pub(crate) fn skipped(error: &api::Error) -> Self {
        let permission = match &error.kind {
            ErrorKind::MissingPermission(names) => Some(names.join(" or ")).filter(|names| !names.is_empty()),
            _ => None,
        };
        Self::Skipped { reason: error.message.clone(), permission, hint: error.remedy.clone() }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Complete | Self::Stopped => None,
            Self::Incomplete { hint, .. } | Self::Skipped { hint, .. } => hint.as_deref(),
        }
    }
}

impl StreamSummary {
    pub(crate) fn new(spec: &StreamSpec, outcome: StreamOutcome) -> Self {
        Self {
            stream: spec.name.clone(),
            title: spec.title.clone(),
            optional: spec.optional,
            is_absent: false,
            outcome,
            pages: 0,
            total: None,
            window: None,
        }
    }

    /// Why it is not complete; `None` if it is, or if the run was stopped and will be resumed.
    #[must_use]
    pub fn incomplete(&self) -> Option<IncompleteStream> {
        let (state, permission) = match &self.outcome {
            StreamOutcome::Complete | StreamOutcome::Stopped => return None,
            StreamOutcome::Incomplete { .. } => (StreamState::Incomplete, None),
            StreamOutcome::Skipped { permission, .. } => (StreamState::Skipped, permission.clone()),
        };
        Some(IncompleteStream {
            stream: self.stream.clone(),
            state,
            reason: self.outcome.reason().unwrap_or_default().to_owned(),
            permission,
            hint: self.outcome.hint().map(str::to_owned),
        })
    }

    /// Whether a run with this stream can be complete.
    #[must_use]
    pub fn is_complete_enough(&self) -> bool {
        match self.outcome {
            StreamOutcome::Complete => true,
            StreamOutcome::Skipped { .. } => self.optional || self.is_absent,
            StreamOutcome::Incomplete { .. } | StreamOutcome::Stopped => false,
        }
    }
}
