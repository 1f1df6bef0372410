//! A new integration, and the result of its check.

use std::collections::BTreeMap;

use connector_sync::check::{Checked, StreamAccess};
use connector_sync::configuration::{About, Draft, Review, Reviewer};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use zeroize::Zeroizing;

/// An integration to create or to check.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NewIntegration {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// The name of its connector.
    pub connector: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Who is responsible for it: a name or an e-mail address.
    #[serde(default)]
    pub owner: String,
    /// Who else is responsible for it.
    #[serde(default)]
    pub secondary_owners: Vec<String>,
    /// Who reviews its access.
    #[serde(default)]
    pub review: ReviewOptions,
    /// Whether scheduled runs are disabled.
    #[serde(default)]
    pub paused: bool,
    /// The values of settings that are not secret; an omitted setting has its default.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// The values of secrets, by the name of the setting. They are encrypted, and never sent back.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    pub secrets: BTreeMap<String, Zeroizing<String>>,
    /// The streams to read; all of them if none is named.
    #[serde(default)]
    pub streams: Vec<String>,
    /// The time between two runs: `6h`.
    #[serde(default)]
    pub interval: String,
    /// The times of runs, in cron syntax. Excludes `interval`.
    #[serde(default)]
    pub cron: String,
}

/// Who reviews the access that an integration reads.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReviewOptions {
    /// The reviewer is the first of these that exists.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub precedence: Vec<Reviewer>,
    /// The number of reviewers, 1 to 10.
    #[serde(default)]
    pub reviewers: Option<u32>,
}

impl NewIntegration {
    /// The draft without its secrets, and the secrets, which the caller encrypts into it.
    #[must_use]
    pub fn into_draft(self) -> (Draft, BTreeMap<String, Zeroizing<String>>) {
        let draft = Draft {
            name: self.name,
            connector: self.connector,
            about: About {
                description: self.description,
                owner: self.owner,
                secondary_owners: self.secondary_owners,
                review: Review { precedence: self.review.precedence, reviewers: self.review.reviewers },
            },
            paused: self.paused,
            settings: self.settings,
            streams: self.streams,
            interval: self.interval,
            cron: self.cron,
            ..Draft::default()
        };
        (draft, self.secrets)
    }
}

/// The result of a check.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CheckResult {
    /// Name of the integration.
    pub integration: String,
    /// The account at the vendor.
    pub account: Option<String>,
    /// Whether every stream that is not optional may be read.
    pub readable: bool,
    /// Requests sent to the vendor.
    pub requests: u64,
    /// The selected streams, in the order of the manifest.
    pub streams: Vec<CheckedStream>,
}

/// The words of [`StreamAccess`], for the OpenAPI document. `connector-sync` knows nothing of OpenAPI.
fn stream_access() -> Object {
    let words = StreamAccess::ALL.iter().map(|access| json!(access));
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

/// Whether a stream can be read.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CheckedStream {
    /// Its name.
    pub stream: String,
    /// Its title.
    pub title: String,
    /// The permissions that allow it; one of them is enough.
    pub permissions: Vec<String>,
    /// Whether a run is complete without it.
    pub optional: bool,
    /// Whether it can be read, or why not.
    #[schema(schema_with = stream_access)]
    pub access: StreamAccess,
    /// Why it can't be read.
    pub reason: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl From<Checked> for CheckResult {
    fn from(checked: Checked) -> Self {
        let streams = checked.streams.into_iter().map(|row| CheckedStream {
            stream: row.stream.to_string(),
            title: row.title,
            permissions: row.permissions,
            optional: row.optional,
            access: row.access,
            reason: row.reason,
            hint: row.hint,
        });
        Self {
            integration: checked.integration,
            account: checked.account,
            readable: checked.readable,
            requests: checked.requests,
            streams: streams.collect(),
        }
    }
}
