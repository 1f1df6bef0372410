//! The types of the JSON API: what `/api/v1` and the control socket take and return, described by the OpenAPI document.
//!
//! This module has the status, the connectors and the errors; `data` has runs, changes and objects, `findings` has what the
//! rules found, `integration` has an integration that is to be made.

mod data;
mod findings;
mod integration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use connector_sandbox::Hint;
use connector_sync::configuration::FieldProblem as Objection;

pub use data::{Change, Entity, EntityKey, EntityPage, FieldChange, Run, RunStream, TypeCount};
pub use findings::{Chart, Finding, Findings, FoundObject, Slice, Source, UnreadStream};
pub use integration::{CheckResult, CheckedStream, NewIntegration};

/// Everything.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Version of the host.
    pub version: String,
    /// Where the Integrations page is.
    pub page: Option<String>,
    /// The integrations, by name.
    pub integrations: Vec<IntegrationStatus>,
    /// The connectors.
    pub connectors: Vec<ConnectorStatus>,
    /// What last went wrong with a connector: a candidate that was refused, one that was rolled back.
    pub connector_message: Option<String>,
}

/// One integration.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct IntegrationStatus {
    /// Its name; that of its file where the file can't be read.
    pub name: String,
    /// What it does now.
    pub state: IntegrationState,
    /// How it stands.
    pub status: Health,
    /// That in words: `Data available`, or what is wrong.
    pub status_message: String,
    /// The title of its connector; blank where there is none.
    pub title: String,
    /// Who answers for it.
    pub owner: String,
    /// Who else does.
    pub secondary_owners: Vec<String>,
    /// What it is for.
    pub description: String,
    /// When it runs by itself, in words.
    pub schedule: String,
    /// The connector that serves it: name, version, digest.
    pub connector: Option<String>,
    /// Its name alone.
    pub connector_name: Option<String>,
    /// Why it can't run, or why the last run was not complete.
    pub message: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Objects that are there, as of the last run.
    pub objects: u64,
    /// The run that is under way.
    pub progress: Option<Progress>,
    /// The last run that ended.
    pub last_run: Option<LastRun>,
    /// When the next one is due.
    pub next_run: Option<DateTime<Utc>>,
}

/// What an integration does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IntegrationState {
    /// It waits for its time.
    Idle,
    /// It runs.
    Running,
    /// Somebody paused it.
    Paused,
    /// Its configuration or its connector can't be used.
    Unusable,
}

/// How an integration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// There is data of it.
    Connected,
    /// There is no data yet.
    Waiting,
    /// The last run could not begin, or brought nothing.
    Failed,
    /// Its configuration or its connector can't be used.
    NotUsable,
    /// Somebody paused it.
    Paused,
}

impl Health {
    /// As it is shown.
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

    /// What to say where nothing is wrong.
    pub fn message(self, state: IntegrationState) -> &'static str {
        match (self, state) {
            (Self::Connected, _) => "Data available",
            (Self::Waiting, IntegrationState::Running) => "The first data is being read",
            (Self::Waiting, _) => "Nothing was read yet",
            (Self::Failed, _) => "The last run failed",
            (Self::NotUsable, _) => "It can't be used",
            (Self::Paused, _) => "It runs again once somebody lets it go on",
        }
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Pages kept.
    pub pages: u64,
    /// Objects in them.
    pub objects: u64,
    /// Until when a stream of it waits, for the vendor's rate limit or before it tries again.
    pub waits_until: Option<DateTime<Utc>>,
}

/// A run that ended.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LastRun {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// How.
    pub outcome: RunOutcome,
    /// Requests sent.
    pub requests: u64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// Every selected stream is complete, optional ones aside.
    Complete,
    /// A stream is incomplete, or was skipped.
    Partial,
    /// It was stopped, and the next one goes on from there.
    Stopped,
    /// There is nothing to show for it.
    Failed,
}

/// `POST /connectors/install`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstallRequest {
    /// Where the component lies, absolute.
    pub path: std::path::PathBuf,
    /// Under which name it shall serve.
    pub name: String,
    /// Whether new hosts and secrets are fine.
    pub accept_new_access: bool,
}

/// What went wrong, in each answer that is not a success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// What is wrong with each field of the document that was sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
}

impl ErrorBody {
    /// An error without a hint.
    #[must_use]
    pub fn new(error: impl ToString) -> Self {
        Self { error: error.to_string(), ..Self::default() }
    }

    /// An error that knows its remedy.
    #[must_use]
    pub fn of(error: &(impl ToString + Hint)) -> Self {
        Self { error: error.to_string(), hint: error.hint(), fields: Vec::new() }
    }

    /// The same with this hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// The field; a setting is `settings.NAME`.
    pub field: String,
    /// What is wrong: the end of a sentence that begins with the field's title. Never the value.
    pub reason: String,
}

impl From<Objection> for FieldProblem {
    fn from(Objection { field, reason }: Objection) -> Self {
        Self { field, reason }
    }
}

/// A connector took over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Swapped {
    /// Its name.
    pub connector: String,
    /// Its version.
    pub version: String,
    /// Its digest.
    pub digest: String,
    /// The one before it.
    pub previous: Option<String>,
    /// The integrations that it serves.
    pub integrations: Vec<String>,
}

/// A connector as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectorStatus {
    /// Its name.
    pub connector: String,
    /// Its own word for its version.
    pub version: String,
    /// Its digest.
    pub digest: String,
    /// `active`, `previous`, `installed` or `refused`.
    pub state: String,
    /// Why it was refused.
    pub reason: Option<String>,
}

/// An installed connector to take over.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ActivateRequest {
    /// The beginning of its digest.
    pub digest: String,
    /// Whether new hosts and secrets are fine.
    pub accept_new_access: bool,
}
