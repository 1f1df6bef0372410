//! The findings of the rules, as the API returns them.

use chrono::{DateTime, Utc};
use connector_report::insights::{self, Found, Report};
use connector_store::IncompleteStream;
use serde::Serialize;
use utoipa::ToSchema;

/// The findings of all rules in an integration.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Findings {
    /// The time that the rules compare with.
    pub now: DateTime<Utc>,
    /// The last run of each integration. The findings are based on the data of these runs.
    pub sources: Vec<Source>,
    /// Summaries of the data.
    pub charts: Vec<Chart>,
    /// The findings of each rule.
    pub insights: Vec<Finding>,
}

/// The last run of an integration.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Source {
    /// Name of the integration.
    pub integration: String,
    /// The account at the vendor, as `check` reported it.
    pub account: Option<String>,
    /// When the run began.
    pub read_at: DateTime<Utc>,
    /// The incomplete streams. Their objects are missing from the findings.
    pub incomplete: Vec<UnreadStream>,
}

/// An incomplete stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UnreadStream {
    /// Its name.
    pub stream: String,
    /// `skipped`, `incomplete` or `running`.
    pub state: &'static str,
    /// Why it is incomplete.
    pub reason: String,
    /// The missing permission, if that is the reason.
    pub permission: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The findings of one rule.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Finding {
    /// Name of the rule: `users-in-bypass`.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it finds, and why that matters.
    pub rule: &'static str,
    /// `high`, `medium` or `low`.
    pub severity: &'static str,
    /// The titles of `cells`.
    pub columns: Vec<&'static str>,
    /// The number of objects; null if the streams that the rule needs were not read.
    pub count: Option<u64>,
    /// The first objects.
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
    /// The values of `columns`.
    pub cells: Vec<Option<String>>,
}

/// Counts by a property.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Chart {
    /// Its title.
    pub title: &'static str,
    /// The counts, the largest first.
    pub slices: Vec<Slice>,
}

/// One count.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Slice {
    /// The value of the property.
    pub label: String,
    /// The number of objects.
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
        Self { stream: stream.to_string(), state: state.word(), reason, permission, hint }
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
