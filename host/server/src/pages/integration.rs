//! One integration: its status, permissions, runs, changes, problems, connectors and log.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};

use super::data::title_of;
use super::integrations::{ONE, find};
use connector_report::filters;

use super::page::{self, Frame, PageError, Posted};
use super::{Signed, Web, live};
use crate::api_types::{ConnectorStatus, ErrorBody, IntegrationStatus};
use crate::recent_log::LogLine;
use connector_sandbox::manifest::Manifest;
use connector_store::{ChangeRow, RunId, RunRow, StoredProblem, StreamState, TypeCount};

/// Runs on the page of an integration.
const RUNS: u32 = 20;
/// Changes and problems on the page of a run.
const SHOWN: u32 = 100;
/// Changes on the page of an integration.
const CHANGES: u32 = 10;
/// Lines of the log on the page of an integration.
const LINES: usize = 50;

#[derive(Template)]
#[template(path = "integration.html")]
struct IntegrationPage {
    frame: Frame,
    integration: IntegrationStatus,
    streams: Vec<StreamAccess>,
    types: Vec<(TypeCount, String)>,
    runs: Vec<RunRow>,
    /// The last run that ended, to which `changes` belong.
    changed: Option<RunRow>,
    changes: Vec<ChangeRow>,
    problems: Vec<StoredProblem>,
    connectors: Vec<ConnectorStatus>,
    connector_message: Option<String>,
    lines: Vec<LogLine>,
}

/// The part that follows the status.
#[derive(Template)]
#[template(path = "integration-live.html")]
struct IntegrationLive<'a> {
    csrf: &'a str,
    integration: &'a IntegrationStatus,
    /// The page that is shown after a button's action.
    here: &'a str,
}

/// Whether the last run could read a stream.
struct StreamAccess {
    title: String,
    permissions: String,
    optional: bool,
    state: &'static str,
    tone: &'static str,
    reason: Option<String>,
    hint: Option<String>,
    pages: Option<u64>,
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    integration: String,
    run: RunRow,
    changes: Vec<ChangeRow>,
    problems: Vec<StoredProblem>,
    shown: u64,
}

pub(super) fn router() -> Router<Arc<Web>> {
    Router::new()
        .route("/integrations/{name}", get(show))
        .route("/integrations/{name}/events", get(events))
        .route("/integrations/{name}/runs/{run}", get(show_run))
        .route("/integrations/{name}/connector/rollback", post(roll_back))
        .route("/integrations/{name}/connector/activate", post(activate))
        .route("/integrations/{name}/confirm-removals", post(confirm_removals))
}

impl IntegrationPage {
    /// Whether a stream of the last run is incomplete, perhaps because too many objects were missing.
    fn is_incomplete(&self) -> bool {
        let mut streams = self.runs.first().into_iter().flat_map(|run| &run.streams);
        streams.any(|stream| stream.state == StreamState::Incomplete)
    }

    /// The part that follows the status, in its current state.
    fn live(&self) -> IntegrationLive<'_> {
        IntegrationLive { csrf: &self.frame.csrf, integration: &self.integration, here: ONE }
    }
}

/// The streams of a connector, as the last run found them.
fn access(manifest: Option<&Manifest>, last: Option<&RunRow>) -> Vec<StreamAccess> {
    let streams = manifest.map(|manifest| manifest.streams.as_slice()).unwrap_or_default();
    let streams = streams.iter().map(|spec| {
        let found = last.and_then(|run| run.streams.iter().find(|stream| stream.stream == spec.name));
        let (state, tone) = match found.map(|stream| stream.state) {
            Some(StreamState::Complete) => ("complete", "good"),
            Some(StreamState::Skipped) if spec.optional => ("skipped (optional)", "calm"),
            Some(StreamState::Skipped) => ("skipped", "warn"),
            Some(StreamState::Incomplete) => ("incomplete", "bad"),
            Some(StreamState::Running) => ("running", "calm"),
            None => ("not read", "calm"),
        };
        StreamAccess {
            title: spec.title.clone(),
            permissions: spec.permissions.join(" or "),
            optional: spec.optional,
            state,
            tone,
            reason: found.and_then(|stream| stream.reason.clone()).filter(|reason| !reason.is_empty()),
            hint: found.and_then(|stream| stream.hint.clone()),
            pages: found.map(|stream| stream.pages),
        }
    });
    streams.collect()
}

fn last_ended(runs: &[RunRow]) -> Option<&RunRow> {
    runs.iter().find(|run| run.finished_at.is_some())
}

async fn show(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let integration = find(&web, &name)?;
    let manifest = match &integration.connector_name {
        Some(connector) => web.supervisor.manifest(connector).await.ok(),
        None => None,
    };
    let status = web.supervisor.status();
    let of_it = |one: &ConnectorStatus| Some(&one.connector) == integration.connector_name.as_ref();
    let connectors = status.connectors.into_iter().filter(of_it).collect();
    let (types, runs, changes, problems) = match &integration.connector_name {
        Some(_) => {
            let asked = name.clone();
            let stored = web.supervisor.read(&name, move |store| {
                let runs = store.runs(Some(&asked), RUNS)?;
                let problems = match runs.first() {
                    Some(run) => store.problems(run.run, SHOWN)?,
                    None => Vec::new(),
                };
                let changes = match last_ended(&runs) {
                    Some(run) => store.changes_of(&asked, run.run, CHANGES)?,
                    None => Vec::new(),
                };
                Ok((store.type_counts(&asked)?, runs, changes, problems))
            });
            stored.await?
        }
        None => Default::default(),
    };
    let mut lines = web.supervisor.recent_log.lines(&name);
    lines.truncate(LINES);
    Ok(page::show(&IntegrationPage {
        frame: Frame::new(&session),
        streams: access(manifest.as_ref(), runs.first()),
        types: types
            .into_iter()
            .map(|one| {
                let title = title_of(manifest.as_ref(), &one.source_type);
                (one, title)
            })
            .collect(),
        changed: last_ended(&runs).cloned(),
        changes,
        runs,
        problems,
        connectors,
        connector_message: status.connector_message,
        lines,
        integration,
    }))
}

async fn events(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    find(&web, &name)?;
    let supervisor = Arc::clone(&web.supervisor);
    let csrf = session.csrf.clone();
    Ok(live::follow(&web, session, move || {
        let integration = supervisor.status().integrations.into_iter().find(|one| one.name == name);
        let render = |integration: &IntegrationStatus| {
            IntegrationLive { csrf: &csrf, integration, here: ONE }.render().unwrap_or_default()
        };
        let until = integration.as_ref().and_then(|integration| integration.progress?.waits_until);
        live::Part { html: integration.as_ref().map(render).unwrap_or_default(), until }
    }))
}

async fn show_run(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Path((name, run)): Path<(String, i64)>,
) -> Result<Response, PageError> {
    let asked = name.clone();
    let found = web.supervisor.read(&name, move |store| {
        let Some(row) = store.run(&asked, RunId(run))? else { return Ok(None) };
        let changes = store.changes_of(&asked, RunId(run), SHOWN)?;
        Ok(Some((row, changes, store.problems(RunId(run), SHOWN)?)))
    });
    let (run, changes, problems) = found.await?.ok_or_else(|| PageError::missing("there is no such run"))?;
    let frame = Frame::new(&session);
    Ok(page::show(&RunPage { frame, integration: name, run, changes, problems, shown: SHOWN.into() }))
}

async fn confirm_removals(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    _: Posted,
) -> Result<Response, PageError> {
    find(&web, &name)?;
    web.supervisor.confirm_removals(&name)?;
    Ok(Redirect::to(&format!("/integrations/{name}")).into_response())
}

fn connector_of(web: &Web, name: &str) -> Result<String, PageError> {
    find(web, name)?.connector_name.ok_or_else(|| PageError::missing("this integration has no connector"))
}

fn refused(refusal: &crate::registry::Refusal) -> PageError {
    crate::supervisor::ActionError::Conflict(ErrorBody::of(refusal)).into()
}

async fn roll_back(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    _: Posted,
) -> Result<Response, PageError> {
    let connector = connector_of(&web, &name)?;
    let swapped = web.supervisor.registry.roll_back(&connector, "rolled back by an operator").await;
    swapped.map_err(|refusal| refused(&refusal))?;
    web.supervisor.swapped().await;
    Ok(Redirect::to(&format!("/integrations/{name}#connector")).into_response())
}

async fn activate(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let connector = connector_of(&web, &name)?;
    let digest = posted.field("digest");
    let is_of_it = |one: &ConnectorStatus| one.connector == connector && one.digest == digest;
    if !web.supervisor.registry.list().iter().any(is_of_it) {
        return Err(PageError::missing("there is no such connector"));
    }
    let swapped = web.supervisor.registry.activate(digest, posted.has("accept-new-access")).await;
    swapped.map_err(|refusal| refused(&refusal))?;
    web.supervisor.swapped().await;
    Ok(Redirect::to(&format!("/integrations/{name}#connector")).into_response())
}
