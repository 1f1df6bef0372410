//! The list of integrations, and the actions of its buttons.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};

use connector_report::filters;
use serde::Deserialize;

use super::page::{self, Frame, PageError, Posted};
use super::{Signed, Web, live};
use crate::api_types::{Health, IntegrationState, IntegrationStatus, Status};

/// A list that is longer has a filter.
const SHORT_LIST: usize = 5;

/// Which integrations the list shows.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Filter {
    /// A part of the name, the title of the connector, the owner or the description, whatever the case.
    q: String,
    /// The title of a status; empty for all.
    status: String,
}

impl Filter {
    fn shows(&self, integration: &IntegrationStatus) -> bool {
        let IntegrationStatus { name, title, owner, description, status, .. } = integration;
        let text = self.q.trim().to_lowercase();
        (self.status.is_empty() || self.status == status.title())
            && [name, title, owner, description].iter().any(|field| field.to_lowercase().contains(&text))
    }

    fn is_set(&self) -> bool {
        !self.q.is_empty() || !self.status.is_empty()
    }
}

#[derive(Template)]
#[template(path = "integrations.html")]
struct ListPage {
    frame: Frame,
    status: Status,
    filter: Filter,
}

/// The part of the list that follows the status.
#[derive(Template)]
#[template(path = "integrations-live.html")]
struct ListLive<'a> {
    csrf: &'a str,
    status: &'a Status,
    /// Those of them that the filter shows.
    shown: Vec<&'a IntegrationStatus>,
    /// The page that is shown after a button's action.
    here: &'a str,
}

impl<'a> ListLive<'a> {
    fn new(csrf: &'a str, status: &'a Status, filter: &Filter) -> Self {
        let shown = status.integrations.iter().filter(|integration| filter.shows(integration));
        Self { csrf, status, shown: shown.collect(), here: "" }
    }
}

#[derive(Template)]
#[template(path = "remove.html")]
struct RemovePage {
    frame: Frame,
    integration: IntegrationStatus,
}

/// The page of one integration, as its buttons name it.
pub(super) const ONE: &str = "integration";

pub(super) fn router() -> Router<Arc<Web>> {
    Router::new()
        .route("/integrations", get(list))
        .route("/events", get(events))
        .route("/integrations/{name}/sync", post(sync))
        .route("/integrations/{name}/stop", post(stop))
        .route("/integrations/{name}/pause", post(pause))
        .route("/integrations/{name}/resume", post(resume))
        .route("/integrations/{name}/remove", get(ask_to_remove).post(remove))
}

impl ListPage {
    /// The part that follows the status, in its current state.
    fn live(&self) -> ListLive<'_> {
        ListLive::new(&self.frame.csrf, &self.status, &self.filter)
    }

    fn has_filter(&self) -> bool {
        self.filter.is_set() || self.status.integrations.len() > SHORT_LIST
    }
}

async fn list(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Query(filter): Query<Filter>,
) -> Response {
    page::show(&ListPage { frame: Frame::new(&session), status: web.supervisor.status(), filter })
}

async fn events(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Query(filter): Query<Filter>,
) -> Response {
    let supervisor = Arc::clone(&web.supervisor);
    let csrf = session.csrf.clone();
    live::follow(&web, session, move || {
        let status = supervisor.status();
        let waits = status.integrations.iter().filter_map(|one| one.progress?.waits_until);
        let html = ListLive::new(&csrf, &status, &filter).render().unwrap_or_default();
        live::Part { html, until: waits.min() }
    })
}

/// Redirects to the page of the button.
fn back(posted: &Posted, name: &str) -> Response {
    let to = if posted.field("back") == ONE {
        format!("/integrations/{name}")
    } else {
        "/integrations".to_owned()
    };
    Redirect::to(&to).into_response()
}

async fn sync(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    web.supervisor.sync_now(&name)?;
    Ok(back(&posted, &name))
}

async fn stop(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    web.supervisor.stop_run(&name)?;
    Ok(back(&posted, &name))
}

async fn pause(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    web.supervisor.pause(&name, true).await?;
    Ok(back(&posted, &name))
}

async fn resume(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    web.supervisor.pause(&name, false).await?;
    Ok(back(&posted, &name))
}

/// The integration called `name`.
pub(super) fn find(web: &Web, name: &str) -> Result<IntegrationStatus, PageError> {
    let found = web.supervisor.status().integrations.into_iter().find(|integration| integration.name == name);
    found.ok_or_else(|| PageError::missing("there is no such integration"))
}

async fn ask_to_remove(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let integration = find(&web, &name)?;
    Ok(page::show(&RemovePage { frame: Frame::new(&session), integration }))
}

async fn remove(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    web.supervisor.remove(&name, posted.has("data")).await?;
    Ok(Redirect::to("/integrations").into_response())
}

/// The class of a badge.
pub(super) fn tone(integration: &IntegrationStatus) -> &'static str {
    match integration.status {
        Health::Connected if integration.message.is_none() => "good",
        Health::Connected | Health::Paused => "warn",
        Health::Waiting => "calm",
        Health::Failed | Health::NotUsable => "bad",
    }
}

pub(super) fn is_running(integration: &IntegrationStatus) -> bool {
    integration.state == IntegrationState::Running
}

pub(super) fn is_paused(integration: &IntegrationStatus) -> bool {
    integration.state == IntegrationState::Paused
}
