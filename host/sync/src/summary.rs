//! What a run brought.

use chrono::{DateTime, Utc};
use serde::Serialize;

use connector_sandbox::contract::api::{self, ErrorKind, Window};
use connector_sandbox::manifest::StreamSpec;
use connector_sandbox::{Digest, StreamName};
use connector_store::{
    ConnectorUse, EntityCount, IncompleteStream, RelationCount, StoredProblem, StreamState,
};

/// Problems that a summary lists; the store has them all.
pub(crate) const PROBLEMS_SHOWN: u32 = 20;

/// What a run brought. Serializes for `sync --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Name of the integration.
    pub integration: String,
    /// What it is connected to.
    pub account: Option<String>,
    /// Name of the connector.
    pub connector: String,
    /// Version of the connector.
    pub version: String,
    /// SHA-256 of the connector.
    pub digest: Digest,
    /// Whether it resumed an interrupted run.
    pub resumed: bool,
    /// Whether every selected stream is complete, optional ones that were skipped aside.
    pub complete: bool,
    /// Whether it was stopped: the next run resumes it.
    pub stopped: bool,
    /// Where it was stopped because it reached `run-seconds`: that limit, in seconds.
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
    /// All problems.
    pub problem_count: u64,
    /// Requests sent to the vendor, attempts that failed included.
    pub requests: u64,
    /// From the first request to the end.
    pub seconds: f64,
}

/// How a stream ended.
#[derive(Clone, Debug, Serialize)]
pub struct StreamSummary {
    /// Its name.
    pub stream: StreamName,
    /// Its title.
    pub title: String,
    /// Whether a run can do without it.
    pub optional: bool,
    /// Whether it was skipped because the vendor's edition or deployment does not have it, and was not selected by name.
    #[serde(skip)]
    pub is_absent: bool,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: StreamOutcome,
    /// Pages kept.
    pub pages: u64,
    /// How many objects the vendor says it has.
    pub total: Option<u64>,
    /// The time that its usages cover.
    pub window: Option<StreamWindow>,
}

/// The time that the usages of a stream cover: who is not among them did not use it within this window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StreamWindow {
    /// Its beginning.
    pub from: DateTime<Utc>,
    /// Its end.
    pub to: DateTime<Utc>,
}

impl StreamWindow {
    /// What the connector says.
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
        /// Why.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The run was stopped; the next one resumes it.
    Stopped,
    /// It may not be read.
    Skipped {
        /// Why.
        reason: String,
        /// The permission that is missing, in the vendor's words, where it is that.
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

    /// Because of this error of the connector.
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

    /// Why it is not complete; `None` where it is, or where the run was stopped and will be resumed.
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

    /// Whether the run is complete as far as this stream goes.
    #[must_use]
    pub fn is_complete_enough(&self) -> bool {
        match self.outcome {
            StreamOutcome::Complete => true,
            StreamOutcome::Skipped { .. } => self.optional || self.is_absent,
            StreamOutcome::Incomplete { .. } | StreamOutcome::Stopped => false,
        }
    }
}
