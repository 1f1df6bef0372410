//! The metrics for Prometheus: gauges of the status of each integration.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::api_types::{Health, IntegrationState, RunOutcome, Status};
use crate::supervisor::Supervisor;

/// The content type of the library's text format.
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) fn router() -> Router<Arc<Supervisor>> {
    Router::new().route("/metrics", get(show))
}

async fn show(State(supervisor): State<Arc<Supervisor>>) -> Response {
    match text(&supervisor.status()) {
        Ok(text) => ([(header::CONTENT_TYPE, KIND)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    integration: String,
}

fn text(status: &Status) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("connector_host");
    let gauge = |registry: &mut Registry, name: &str, help: &str| {
        let family = Family::<Labels, Gauge>::default();
        registry.register(name, help, family.clone());
        family
    };
    let connected = gauge(
        &mut registry,
        "integration_connected",
        "1 if there is data and the last run did not fail, else 0",
    );
    let running = gauge(&mut registry, "integration_running", "1 while a run is under way, else 0");
    let complete = gauge(&mut registry, "last_run_complete", "1 if the last run was complete, else 0");
    let objects = gauge(&mut registry, "objects", "Objects in the store, as of the last run");
    let requests = gauge(&mut registry, "last_run_requests", "Requests that the last run sent");
    let ended = Family::<Labels, Gauge>::default();
    registry.register_with_unit(
        "last_run_end_timestamp",
        "When the last run ended",
        Unit::Seconds,
        ended.clone(),
    );
    for integration in &status.integrations {
        let labels = Labels { integration: integration.name.clone() };
        connected.get_or_create(&labels).set((integration.status == Health::Connected).into());
        running.get_or_create(&labels).set((integration.state == IntegrationState::Running).into());
        objects.get_or_create(&labels).set(i64::try_from(integration.objects).unwrap_or(i64::MAX));
        if let Some(run) = &integration.last_run {
            complete.get_or_create(&labels).set((run.outcome == RunOutcome::Complete).into());
            requests.get_or_create(&labels).set(i64::try_from(run.requests).unwrap_or(i64::MAX));
            ended.get_or_create(&labels).set(run.ended_at.timestamp());
        }
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}
