//! What the rules found, as the API returns it.

use chrono::{DateTime, Utc};
use connector_report::insights::{self, Found, Report};
use connector_store::IncompleteStream;
use serde::Serialize;
use utoipa::ToSchema;

/// What all rules found of an integration.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Findings {
    /// As of when.
    pub now: DateTime<Utc>,
    /// The last run of each integration, which the findings rest on.
    pub sources: Vec<Source>,
    /// The data at a glance.
    pub charts: Vec<Chart>,
    /// What each rule found.
    pub insights: Vec<Finding>,
}

/// The last run of an integration.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Source {
    /// Name of the integration.
    pub integration: String,
    /// What it is connected to.
    pub account: Option<String>,
    /// When the run began, RFC 3339.
    pub read_at: String,
    /// The streams that it did not read completely: the findings lack what these would add.
    pub incomplete: Vec<UnreadStream>,
}

/// A stream that was not read completely.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UnreadStream {
    /// Its name.
    pub stream: String,
    /// `skipped`, `incomplete` or `running`.
    pub state: &'static str,
    /// Why.
    pub reason: String,
    /// The permission that is missing, where that is the reason.
    pub permission: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What one rule found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Finding {
    /// Name of the rule: `users-in-bypass`.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it looks for, and why that matters.
    pub rule: &'static str,
    /// `high`, `medium` or `low`.
    pub severity: &'static str,
    /// The titles of `cells`.
    pub columns: Vec<&'static str>,
    /// How many objects it found; null where the streams that it looks at were not read.
    pub count: Option<u64>,
    /// The first of them.
    pub rows: Vec<FoundObject>,
}

/// An object that a rule found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FoundObject {
    /// Name of the integration.
    pub integration: String,
    /// The source type.
    pub source_type: String,
    /// The key within its source type.
    pub source_id: String,
    /// The name.
    pub name: String,
    /// What the rule says of it, in the order of the rule's columns.
    pub cells: Vec<Option<String>>,
}

/// A whole in its parts.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Chart {
    /// Its title.
    pub title: &'static str,
    /// The parts, the largest first.
    pub slices: Vec<Slice>,
}

/// A part of a whole.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Slice {
    /// What is counted.
    pub label: String,
    /// How many.
    pub count: u64,
}

impl From<Report> for Findings {
    fn from(report: Report) -> Self {
        Self {
            now: report.now,
            sources: report.sources.into_iter().map(Source::from).collect(),
            charts: report.charts.into_iter().map(Chart::from).collect(),
            insights: report.insights.into_iter().map(Finding::from).collect(),
        }
    }
}

impl From<insights::Source> for Source {
    fn from(source: insights::Source) -> Self {
        let incomplete = source.incomplete.into_iter().map(UnreadStream::from).collect();
        let insights::Source { integration, account, read_at, .. } = source;
        Self { integration, account, read_at, incomplete }
    }
}

impl From<IncompleteStream> for UnreadStream {
    fn from(IncompleteStream { stream, state, reason, permission, hint }: IncompleteStream) -> Self {
        Self { stream, state: state.word(), reason, permission, hint }
    }
}

impl From<insights::Chart> for Chart {
    fn from(insights::Chart { title, slices }: insights::Chart) -> Self {
        let slices = slices.into_iter().map(|slice| Slice { label: slice.label, count: slice.count });
        Self { title, slices: slices.collect() }
    }
}

impl From<Found> for Finding {
    fn from(Found { insight, count, rows }: Found) -> Self {
        let rows = rows.into_iter().map(|row| FoundObject {
            integration: row.integration,
            source_type: row.source_type,
            source_id: row.source_id,
            name: row.name,
            cells: row.cells,
        });
        Self {
            name: insight.name,
            title: insight.title,
            rule: insight.rule,
            severity: insight.severity.name(),
            columns: insight.columns.to_vec(),
            count,
            rows: rows.collect(),
        }
    }
}
