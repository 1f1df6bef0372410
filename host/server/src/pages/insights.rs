//! The findings in all integrations, and the objects of each.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use chrono::Utc;
use serde::Deserialize;

use connector_report::filters;

use super::page::{self, Frame, PageError};
use super::{Signed, Web};
use connector_report::insights::{self, Found, Report};

/// Objects on a page.
const ROWS: u32 = 100;

#[derive(Template)]
#[template(path = "insights.html")]
struct InsightsPage {
    frame: Frame,
    /// The report on each integration; `None` if it has no data.
    reports: Vec<(String, Option<Report>)>,
}

#[derive(Template)]
#[template(path = "insight.html")]
struct InsightPage {
    frame: Frame,
    integration: String,
    found: Found,
    skip: u64,
    on_a_page: u64,
}

#[derive(Deserialize)]
struct Skip {
    #[serde(default)]
    skip: u64,
}

pub(super) fn router() -> Router<Arc<Web>> {
    Router::new().route("/insights", get(list)).route("/integrations/{name}/insights/{rule}", get(show))
}

async fn list(State(web): State<Arc<Web>>, Extension(session): Signed) -> Result<Response, PageError> {
    let mut reports = Vec::new();
    for integration in web.supervisor.status().integrations {
        if integration.connector_name.is_none() {
            continue;
        }
        let asked = integration.name.clone();
        let report = web
            .supervisor
            .read(&integration.name, move |store| Ok(Some(Report::new(store, Some(&asked), Utc::now(), 0)?)));
        let report = report.await?.filter(|report| !report.sources.is_empty());
        reports.push((integration.name, report));
    }
    Ok(page::show(&InsightsPage { frame: Frame::new(&session), reports }))
}

async fn show(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Path((name, rule)): Path<(String, String)>,
    Query(Skip { skip }): Query<Skip>,
) -> Result<Response, PageError> {
    let insight = insights::named(&rule).ok_or_else(|| PageError::missing("there is no such rule"))?;
    let asked = name.clone();
    let found = web.supervisor.read(&name, move |store| {
        Ok(Some(insights::find(store, insight, Some(&asked), Utc::now(), ROWS, skip)?))
    });
    let found = found.await?.unwrap_or(Found { insight: *insight, count: None, rows: Vec::new() });
    let (frame, on_a_page) = (Frame::new(&session), u64::from(ROWS));
    Ok(page::show(&InsightPage { frame, integration: name, found, skip, on_a_page }))
}

/// The class of a badge.
fn tone(found: &Found) -> &'static str {
    match (found.count, found.insight.severity) {
        (None, _) => "calm",
        (Some(0), _) => "good",
        (_, insights::Severity::High) => "bad",
        (_, insights::Severity::Medium) => "warn",
        (_, insights::Severity::Low) => "calm",
    }
}
