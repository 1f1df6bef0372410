//! The types of the JSON API: what `/api/v1` and the control socket take and return, described by the OpenAPI document.
//!
//! This module has the status, the connectors and the errors; `data` has runs, changes and objects; `findings` has the
//! results of the rules; `integration` has a new integration and its check.

mod data;
mod findings;
mod integration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use connector_sandbox::Hint;
use connector_sync::configuration::FieldProblem as DraftProblem;

pub use data::{Change, Entity, EntityKey, EntityPage, FieldChange, Run, RunStream, TypeCount};
pub use findings::{Chart, Finding, Findings, FoundObject, Slice, Source, UnreadStream};
pub use integration::{CheckResult, CheckedStream, NewIntegration};

/// The status of all integrations and connectors.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Version of the host.
    pub version: String,
    /// The address of the Integrations page.
    pub page: Option<String>,
    /// The integrations, by name.
    pub integrations: Vec<IntegrationStatus>,
    /// The connectors.
    pub connectors: Vec<ConnectorStatus>,
    /// The last problem of a connector: it was refused, or rolled back.
    pub connector_message: Option<String>,
}

/// One integration.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct IntegrationStatus {
    /// Its name; if its file can't be used, the name of the file.
    pub name: String,
    /// Its activity.
    pub state: IntegrationState,
    /// Its health.
    pub status: Health,
    /// The health in words: `Data available`, or the problem.
    pub status_message: String,
    /// The title of its connector; blank if it has none.
    pub title: String,
    /// Who is responsible for it.
    pub owner: String,
    /// Who else is responsible for it.
    pub secondary_owners: Vec<String>,
    /// What it is for.
    pub description: String,
    /// Its schedule, in words.
    pub schedule: String,
    /// Its connector: name, version, digest.
    pub connector: Option<String>,
    /// The name of its connector.
    pub connector_name: Option<String>,
    /// Why it can't run, or why the last run was not complete.
    pub message: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Objects in its store, as of the last run.
    pub objects: u64,
    /// The progress of the run under way.
    pub progress: Option<Progress>,
    /// The last run that ended.
    pub last_run: Option<LastRun>,
    /// When the next run is due.
    pub next_run: Option<DateTime<Utc>>,
}

/// The activity of an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IntegrationState {
    /// It waits until its next run is due.
    Idle,
    /// A run is due, and begins when other runs end.
    Queued,
    /// A run is under way.
    Running,
    /// Scheduled runs are disabled.
    Paused,
    /// Its configuration or its connector can't be used.
    Unusable,
}

/// The health of an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It has data, and the last run did not fail.
    Connected,
    /// It has no data yet.
    Waiting,
    /// The last run failed.
    Failed,
    /// Its configuration or its connector can't be used.
    NotUsable,
    /// Scheduled runs are disabled.
    Paused,
}

impl Health {
    /// Every value.
    pub const ALL: [Self; 5] = [Self::Connected, Self::Waiting, Self::Failed, Self::NotUsable, Self::Paused];

    /// The title on the pages.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Connected => "Connected",
            Self::Waiting => "Waiting for data",
            Self::Failed => "Failed",
            Self::NotUsable => "Not usable",
            Self::Paused => "Paused",
        }
    }

    /// The message if there is no problem.
    #[must_use]
    pub fn message(self, state: IntegrationState) -> &'static str {
        match (self, state) {
            (Self::Connected, _) => "Data available",
            (Self::Waiting, IntegrationState::Running) => "The first data is being read",
            (Self::Waiting, _) => "No data yet",
            (Self::Failed, _) => "The last run failed",
            (Self::NotUsable, _) => "The integration can't be used",
            (Self::Paused, _) => "Paused. Select Resume",
        }
    }
}

/// The progress of a run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Pages in the store.
    pub pages: u64,
    /// Objects in these pages.
    pub objects: u64,
    /// Until when a stream waits, for the vendor's rate limit or before a retry.
    pub waits_until: Option<DateTime<Utc>>,
}

/// A run that ended.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LastRun {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// Its outcome.
    pub outcome: RunOutcome,
    /// Requests sent to the vendor.
    pub requests: u64,
}

/// The outcome of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// Each selected stream that is not optional is complete.
    Complete,
    /// A stream is incomplete, or was skipped.
    Partial,
    /// It was stopped; the next run resumes it.
    Stopped,
    /// It could not begin, or an error ended it.
    Failed,
}

/// The request to install a connector: `POST /connectors/install` on the control socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstallRequest {
    /// The absolute path of the component.
    pub path: std::path::PathBuf,
    /// The name of the connector that it becomes.
    pub name: String,
    /// Whether new hosts and secrets are accepted.
    pub accept_new_access: bool,
}

/// An error, in each answer that is not a success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The fields of the request that are not valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
}

impl ErrorBody {
    /// An error without a hint.
    #[must_use]
    pub fn new(error: impl ToString) -> Self {
        Self { error: error.to_string(), ..Self::default() }
    }

    /// An error with its hint.
    #[must_use]
    pub fn of(error: &(impl ToString + Hint)) -> Self {
        Self { error: error.to_string(), hint: error.hint(), fields: Vec::new() }
    }

    /// The same error with this hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// A field that is not valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// The field; a setting is `settings.NAME`.
    pub field: String,
    /// Why: the rest of a sentence that begins with the title of the field. Never the value.
    pub reason: String,
}

impl From<DraftProblem> for FieldProblem {
    fn from(DraftProblem { field, reason }: DraftProblem) -> Self {
        Self { field, reason }
    }
}

/// The connector that took over in a swap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Swapped {
    /// Its name.
    pub connector: String,
    /// Its version.
    pub version: String,
    /// Its digest.
    pub digest: String,
    /// The digest of the connector that it replaced.
    pub previous: Option<String>,
    /// The integrations that are attached to it.
    pub integrations: Vec<String>,
}

/// A version of a connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectorStatus {
    /// Its name.
    pub connector: String,
    /// The version in its manifest.
    pub version: String,
    /// Its digest.
    pub digest: String,
    /// `active`, `previous`, `installed` or `refused`.
    pub state: String,
    /// Why it was refused.
    pub reason: Option<String>,
}

/// The request to activate an installed connector.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivateRequest {
    /// The beginning of its digest.
    pub digest: String,
    /// Whether new hosts and secrets are accepted.
    pub accept_new_access: bool,
}
