//! Findings for reviewers: each is derived from the data by a rule, and has the rows that the rule selects.
//!
//! `rules` has all rules, as SQL over the views. Findings are not stored.

mod report;
mod rules;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Serialize;

use connector_store::{Cell, QueryParams, Reader, StoreError};

pub use report::{Report, Source};
pub use rules::INSIGHTS;

/// Days without use after which an identity is idle.
pub const IDLE_DAYS: i64 = 90;

/// A rule.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Insight {
    /// Its name, such as `users-in-bypass`.
    pub name: &'static str,
    /// Its title on pages.
    pub title: &'static str,
    /// What it finds, and why that matters.
    pub rule: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The titles of the columns that follow the object.
    pub columns: &'static [&'static str],
    /// The data that it needs: if any of that was not read, its result is not known.
    #[serde(skip)]
    needs: &'static [Needs],
    /// The select of its rows: integration, source type, key, name, and then the columns.
    #[serde(skip)]
    select: &'static str,
}

/// Data that a rule needs.
#[derive(Clone, Copy, Debug)]
enum Needs {
    /// Objects of this entity type that fulfil this SQL condition over the columns of `entities`.
    Objects(&'static str, &'static str),
    /// A log of who used what.
    Log,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Severity {
    High,
    Medium,
    Low,
}

impl Severity {
    /// Its name on pages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// What a rule found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The rule.
    #[serde(flatten)]
    pub insight: Insight,
    /// How many objects it found; `None` where the data it needs was not read.
    pub count: Option<u64>,
    /// Some of these objects.
    pub rows: Vec<Finding>,
}

/// An object that a rule found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The integration.
    pub integration: String,
    /// The source type.
    pub source_type: String,
    /// Its key.
    pub source_id: String,
    /// Its name.
    pub name: String,
    /// Its values, in the order of the rule's columns.
    pub cells: Vec<Cell>,
}

/// A part of a chart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slice {
    /// What is counted.
    pub label: String,
    /// How many.
    pub count: u64,
}

/// A chart of a total and its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chart {
    /// Its title on pages.
    pub title: &'static str,
    /// The parts, the largest first.
    pub slices: Vec<Slice>,
}

impl Chart {
    /// The sum of all parts.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.slices.iter().map(|slice| slice.count).sum()
    }
}

/// The integration and the times that a rule is evaluated for.
struct Question<'a> {
    integration: Option<&'a str>,
    now: String,
    idle_since: String,
}

impl<'a> Question<'a> {
    fn new(integration: Option<&'a str>, now: DateTime<Utc>) -> Self {
        let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        Self { integration, now: text(now), idle_since: text(now - TimeDelta::days(IDLE_DAYS)) }
    }

    fn page(&self, limit: u32, offset: u64) -> QueryParams<'_> {
        let (integration, now, idle_since) = (self.integration, self.now.as_str(), self.idle_since.as_str());
        QueryParams { integration, now, idle_since, limit, offset }
    }
}

/// Evaluates all rules as of `now`, with the first `rows` objects of each.
///
/// # Errors
///
/// When the store can't be read.
pub fn all(
    store: &Reader,
    integration: Option<&str>,
    now: DateTime<Utc>,
    rows: u32,
) -> Result<Vec<Found>, StoreError> {
    INSIGHTS.iter().map(|insight| find(store, insight, integration, now, rows, 0)).collect()
}

/// Evaluates one rule as of `now`, with `rows` objects after the first `skip`.
///
/// # Errors
///
/// When the store can't be read.
pub fn find(
    store: &Reader,
    insight: &Insight,
    integration: Option<&str>,
    now: DateTime<Utc>,
    rows: u32,
    skip: u64,
) -> Result<Found, StoreError> {
    let question = Question::new(integration, now);
    if !is_known(store, insight.needs, integration)? {
        return Ok(Found { insight: *insight, count: None, rows: Vec::new() });
    }
    let count = store.count(insight.select, question.page(1, 0))?;
    let found = if rows == 0 { Vec::new() } else { store.ask(insight.select, question.page(rows, skip))? };
    let rows = found.into_iter().map(|row| {
        let mut cells = row.into_iter();
        let mut next = || cells.next().flatten().unwrap_or_default();
        let (integration, source_type, source_id, name) = (next(), next(), next(), next());
        Finding { integration, source_type, source_id, name, cells: cells.collect() }
    });
    Ok(Found { insight: *insight, count: Some(count), rows: rows.collect() })
}

/// Whether all data that a rule needs was read.
fn is_known(store: &Reader, needs: &[Needs], integration: Option<&str>) -> Result<bool, StoreError> {
    for need in needs {
        let known = match need {
            Needs::Log => store.knows_usages(integration)?,
            Needs::Objects(entity_type, condition) => store.knows(integration, entity_type, condition)?,
        };
        if !known {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The charts that are not empty.
///
/// # Errors
///
/// When the store can't be read.
pub fn charts(
    store: &Reader,
    integration: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Vec<Chart>, StoreError> {
    let question = Question::new(integration, now);
    let charts = rules::CHARTS.iter().map(|(title, select)| {
        let rows = store.ask(select, question.page(20, 0))?;
        let slices = rows.into_iter().filter_map(|row| {
            let mut cells = row.into_iter().flatten();
            Some(Slice { label: cells.next()?, count: cells.next()?.parse().ok()? })
        });
        Ok(Chart { title, slices: slices.collect() })
    });
    let charts: Result<Vec<Chart>, StoreError> = charts.collect();
    Ok(charts?.into_iter().filter(|chart| chart.total() > 0).collect())
}

/// The rule called `name`.
#[must_use]
pub fn named(name: &str) -> Option<&'static Insight> {
    INSIGHTS.iter().find(|insight| insight.name == name)
}

#[cfg(test)]
mod tests;
