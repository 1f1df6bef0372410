//! The list of integrations, and what its buttons do.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};

use super::page::{self, Failure, Frame, Posted, filters};
use super::{Signed, Web, live};
use crate::daemon::{IntegrationState, IntegrationStatus, Standing, Status};

#[derive(Template)]
#[template(path = "web/integrations.html")]
struct ListPage {
    frame: Frame,
    status: Status,
}

/// The part of the list that follows what happens.
#[derive(Template)]
#[template(path = "web/integrations-live.html")]
struct ListLive<'a> {
    csrf: &'a str,
    status: &'a Status,
    /// Where a button leads back to.
    here: &'a str,
}

#[derive(Template)]
#[template(path = "web/remove.html")]
struct RemovePage {
    frame: Frame,
    integration: IntegrationStatus,
}

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
    /// The part that follows what happens, as it is now.
    fn live(&self) -> ListLive<'_> {
        ListLive { csrf: &self.frame.csrf, status: &self.status, here: "" }
    }
}

async fn list(State(web): State<Arc<Web>>, Extension(session): Signed) -> Response {
    page::show(&ListPage { frame: Frame::new(&session), status: web.daemon.status() })
}

async fn events(State(web): State<Arc<Web>>, Extension(session): Signed) -> Response {
    let daemon = Arc::clone(&web.daemon);
    let csrf = session.csrf.clone();
    live::follow(&web, session, move || {
        ListLive { csrf: &csrf, status: &daemon.status(), here: "" }.render().unwrap_or_default()
    })
}

/// Where a button was: there it leads back to.
fn back(posted: &Posted, name: &str) -> Response {
    let to = if posted.field("back") == super::integration::HERE {
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
) -> Result<Response, Failure> {
    web.daemon.sync_now(&name)?;
    Ok(back(&posted, &name))
}

async fn stop(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failure> {
    web.daemon.stop_run(&name)?;
    Ok(back(&posted, &name))
}

async fn pause(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failure> {
    web.daemon.pause(&name, true).await?;
    Ok(back(&posted, &name))
}

async fn resume(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failure> {
    web.daemon.pause(&name, false).await?;
    Ok(back(&posted, &name))
}

/// The integration called `name`.
pub(super) fn find(web: &Web, name: &str) -> Result<IntegrationStatus, Failure> {
    let found = web.daemon.status().integrations.into_iter().find(|integration| integration.name == name);
    found.ok_or_else(|| Failure::missing("there is no integration of that name"))
}

async fn ask_to_remove(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    let integration = find(&web, &name)?;
    Ok(page::show(&RemovePage { frame: Frame::new(&session), integration }))
}

async fn remove(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failure> {
    web.daemon.remove(&name, posted.has("data")).await?;
    Ok(Redirect::to("/integrations").into_response())
}

/// The class of a badge.
pub(super) fn tone(integration: &IntegrationStatus) -> &'static str {
    match integration.status {
        Standing::Connected if integration.message.is_none() => "good",
        Standing::Connected | Standing::Paused => "warn",
        Standing::Waiting => "calm",
        Standing::Failed | Standing::NotUsable => "bad",
    }
}

/// Whether a run is under way.
pub(super) fn is_running(integration: &IntegrationStatus) -> bool {
    integration.state == IntegrationState::Running
}

/// Whether somebody paused it.
pub(super) fn is_paused(integration: &IntegrationStatus) -> bool {
    integration.state == IntegrationState::Paused
}
