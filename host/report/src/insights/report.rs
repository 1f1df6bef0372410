//! All findings of a store at once, with what they rest on.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Chart, Found, all, charts};
use connector_store::{IncompleteStream, Reader, RunRow, StoreError};

/// All findings of a store.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// As of when.
    pub now: DateTime<Utc>,
    /// The last run of each integration: what the findings rest on.
    pub sources: Vec<Source>,
    /// The data at a glance.
    pub charts: Vec<Chart>,
    /// What each rule found.
    pub insights: Vec<Found>,
}

/// What is known of an integration.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// Its name.
    pub integration: String,
    /// What it is connected to.
    pub account: Option<String>,
    /// When the last run began.
    pub read_at: DateTime<Utc>,
    /// Streams that it did not read completely: the findings lack what these would add.
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
    /// Of `integration`, or of all that is in `store`, with the first `rows` objects of each finding.
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
        // As of one moment: a run may end between two rules.
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
