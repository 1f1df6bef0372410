//! Runs, changes and objects, as the API returns them.

use chrono::{DateTime, Utc};
use connector_store::{ChangeRow, EntityRow, Key, RunRow, RunStreamRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Run {
    /// Its number in the store.
    pub run: i64,
    /// Name of the integration.
    pub integration: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended; null while it runs, and if it was interrupted.
    pub finished_at: Option<DateTime<Utc>>,
    /// `complete` or `partial`; null while it runs, and if it was interrupted.
    pub outcome: Option<&'static str>,
    /// The account at the vendor, as `check` reported it.
    pub account: Option<String>,
    /// Version of the connector with which it began.
    pub connector_version: String,
    /// SHA-256 of that connector.
    pub connector_digest: String,
    /// Requests sent to the vendor.
    pub requests: u64,
    /// Calls that were repeated.
    pub retries: u64,
    /// Seconds of waits for the vendor's rate limit and before retries.
    pub waited_seconds: f64,
    /// Objects and fields that the connector could not interpret.
    pub problems: u64,
    /// Objects and relations that were added, changed or removed.
    pub changes: u64,
    /// Its streams, in the order they began.
    pub streams: Vec<RunStream>,
}

/// A stream of a run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RunStream {
    /// Its name.
    pub stream: String,
    /// `running`, `complete`, `incomplete` or `skipped`.
    pub state: &'static str,
    /// Why it is incomplete or skipped.
    pub reason: Option<String>,
    /// The missing permission, if that is the reason.
    pub permission: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Pages in the store.
    pub pages: u64,
    /// The number of objects that the vendor reports.
    pub total: Option<u64>,
    /// Calls that were repeated.
    pub retries: u64,
    /// Seconds of waits.
    pub waited_seconds: f64,
}

impl From<RunRow> for Run {
    fn from(row: RunRow) -> Self {
        Self {
            run: row.run.0,
            integration: row.integration,
            started_at: row.started_at,
            finished_at: row.finished_at,
            outcome: row.outcome.map(connector_store::RunOutcome::word),
            account: row.account,
            connector_version: row.connector_version,
            connector_digest: row.connector_digest.to_string(),
            requests: row.requests,
            retries: row.retries,
            waited_seconds: row.waited_seconds,
            problems: row.problems,
            changes: row.changes,
            streams: row.streams.into_iter().map(RunStream::from).collect(),
        }
    }
}

impl From<RunStreamRow> for RunStream {
    fn from(row: RunStreamRow) -> Self {
        Self {
            stream: row.stream.to_string(),
            state: row.state.word(),
            reason: row.reason,
            permission: row.permission,
            hint: row.hint,
            started_at: row.started_at,
            ended_at: row.ended_at,
            pages: row.pages,
            total: row.total,
            retries: row.retries,
            waited_seconds: row.waited_seconds,
        }
    }
}

/// An object or a relation that a run added, changed or removed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Change {
    /// The run.
    pub run: i64,
    /// When the run began.
    pub run_started_at: DateTime<Utc>,
    /// When the run ended. A run that was interrupted may be resumed, and then reports more changes.
    pub run_finished_at: Option<DateTime<Utc>>,
    /// Name of the integration.
    pub integration: String,
    /// `added`, `changed` or `removed`.
    pub kind: String,
    /// `entity` or `relation`.
    pub object: String,
    /// The source type; of a relation `PARENT > CHILD`.
    pub source_type: String,
    /// The key; of a relation `PARENT PRIVILEGE CHILD`.
    pub source_id: String,
    /// The name; of a relation `PARENT PRIVILEGE CHILD`.
    pub name: String,
    /// The fields that changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
}

/// A field that changed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldChange {
    /// The field of the normal form, or `attributes.NAME`.
    pub field: String,
    /// Its former value; null if it had none.
    pub from: Value,
    /// Its new value; null if it has none.
    pub to: Value,
}

impl From<ChangeRow> for Change {
    fn from(row: ChangeRow) -> Self {
        let fields = row.fields.into_iter();
        let fields =
            fields.map(|change| FieldChange { field: change.field, from: change.from, to: change.to });
        Self {
            run: row.run.0,
            run_started_at: row.run_started_at,
            run_finished_at: row.run_finished_at,
            integration: row.integration,
            kind: row.kind,
            object: row.object,
            source_type: row.source_type,
            source_id: row.source_id,
            name: row.name,
            fields: fields.collect(),
        }
    }
}

/// The number of objects of a source type.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TypeCount {
    /// `identity`, `connection` or `resource`.
    pub entity_type: String,
    /// The source type, as the manifest of the connector names it.
    pub source_type: String,
    /// The number of objects.
    pub count: u64,
}

impl From<connector_store::TypeCount> for TypeCount {
    fn from(count: connector_store::TypeCount) -> Self {
        let connector_store::TypeCount { entity_type, source_type, count } = count;
        Self { entity_type, source_type, count }
    }
}

/// An object.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Entity {
    /// `identity`, `connection` or `resource`.
    pub entity_type: String,
    /// The source type, as the manifest of the connector names it.
    pub source_type: String,
    /// The key within its source type.
    pub source_id: String,
    /// The name.
    pub name: String,
    /// The fields of the normal form.
    pub normal: Value,
    /// The fields that are specific to the vendor.
    pub attributes: Value,
}

impl From<EntityRow> for Entity {
    fn from(row: EntityRow) -> Self {
        let json = |text: &str| serde_json::from_str(text).unwrap_or_default();
        Self {
            normal: json(&row.normal),
            attributes: json(&row.attributes),
            entity_type: row.entity_type,
            source_type: row.source_type,
            source_id: row.source_id,
            name: row.name,
        }
    }
}

/// A page of objects, by name.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct EntityPage {
    /// The number of objects on all pages.
    pub total: u64,
    /// The objects of this page.
    pub entities: Vec<Entity>,
    /// Where the next page begins; null after the last one.
    pub next: Option<EntityKey>,
}

/// The key after which a page of objects begins.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EntityKey {
    /// The name of the last object of the previous page.
    pub name: String,
    /// Its key.
    pub source_id: String,
}

impl From<Key> for EntityKey {
    fn from(Key { name, source_id }: Key) -> Self {
        Self { name, source_id }
    }
}
