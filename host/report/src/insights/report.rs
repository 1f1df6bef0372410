//! All findings of a store, with the runs that they are based on.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Chart, Found, all, charts};
use connector_store::{IncompleteStream, Reader, RunRow, StoreError};

/// All findings of a store.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The time at which the rules were evaluated.
    pub now: DateTime<Utc>,
    /// The last run of each integration: the findings are based on them.
    pub sources: Vec<Source>,
    /// The charts of the data.
    pub charts: Vec<Chart>,
    /// The findings of each rule.
    pub insights: Vec<Found>,
}

/// The last run of an integration.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// Its name.
    pub integration: String,
    /// The vendor's account.
    pub account: Option<String>,
    /// When the last run began.
    pub read_at: DateTime<Utc>,
    /// Streams that the run did not read completely: the findings lack their objects.
    pub incomplete: Vec<IncompleteStream>,
}

impl Source {
    fn new(run: RunRow) -> Self {
        Self {
            incomplete: run.incomplete_streams().collect(),
            integration: run.integration,
            account: run.account,
            read_at: run.started_at,
        }
    }
}

impl Report {
    /// The report on `integration`, or on all of `store`, with the first `rows` objects of each finding.
    ///
    /// # Errors
    ///
    /// When the store can't be read.
    pub fn new(
        store: &Reader,
        integration: Option<&str>,
        now: DateTime<Utc>,
        rows: u32,
    ) -> Result<Self, StoreError> {
        // All rules read one snapshot: a run may end between two of them.
        store.snapshot(|| {
            let mut sources = Vec::new();
            for name in store.integrations()? {
                if integration.is_none_or(|wanted| wanted == name) {
                    sources.extend(store.runs(Some(&name), 1)?.pop().map(Source::new));
                }
            }
            Ok(Self {
                now,
                sources,
                charts: charts(store, integration, now)?,
                insights: all(store, integration, now, rows)?,
            })
        })
    }

    /// How many rules found something.
    #[must_use]
    pub fn findings(&self) -> usize {
        self.insights.iter().filter(|found| found.count.is_some_and(|count| count > 0)).count()
    }
}
