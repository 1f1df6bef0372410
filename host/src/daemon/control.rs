//! Answers the command line, over a Unix socket that only its owner may open.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use super::status::{ActivateRequest, InstallRequest, Problem, Status};
use super::{Daemon, DaemonError, lock};
use crate::plugin::{Artifact, LoadError, Source};
use crate::registry::{Consent, Refusal, Swapped};

/// Listens until the task is aborted.
pub(super) fn listen(daemon: &Arc<Daemon>) -> Result<JoinHandle<()>, DaemonError> {
    let path = daemon.folders.socket();
    // One that was killed left its own; nobody else is here, as the lock on the folder says.
    let _ = std::fs::remove_file(&path);
    let failed = |what| {
        let path = path.clone();
        move |error| DaemonError::File { what, path, error }
    };
    let listener = UnixListener::bind(&path).map_err(failed("listen at"))?;
    // The folder is its owner's only as well.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed("protect"))?;
    let router = Router::new()
        .route("/status", get(status))
        .route("/reload", post(reload))
        .route("/integrations/{name}/sync", post(sync))
        .route("/connectors/install", post(install))
        .route("/connectors/activate", post(activate))
        .route("/connectors/{name}/rollback", post(roll_back))
        .with_state(Arc::clone(daemon));
    Ok(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!("the control socket failed: {error}");
        }
    }))
}

/// An answer that is not a success.
struct Refused(StatusCode, Problem);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let problem = Problem { error: refusal.to_string(), hint: refusal.hint() };
        Self(StatusCode::CONFLICT, problem)
    }
}

async fn status(State(daemon): State<Arc<Daemon>>) -> Json<Status> {
    Json(daemon.status())
}

async fn reload(State(daemon): State<Arc<Daemon>>) -> Json<Status> {
    daemon.reload(true).await;
    Json(daemon.status())
}

async fn sync(State(daemon): State<Arc<Daemon>>, Path(name): Path<String>) -> Result<Json<Status>, Refused> {
    let worker = lock(&daemon.workers).get(&name).cloned();
    let Some(worker) = worker else {
        let error = format!("there is no integration `{name}` that can run");
        let hint = Some("`status` shows all of them".to_owned());
        return Err(Refused(StatusCode::NOT_FOUND, Problem { error, hint }));
    };
    worker.run_now().map_err(|problem| Refused(StatusCode::CONFLICT, problem))?;
    Ok(Json(daemon.status()))
}

async fn install(
    State(daemon): State<Arc<Daemon>>,
    Json(request): Json<InstallRequest>,
) -> Result<Json<Swapped>, Refused> {
    let read = tokio::task::spawn_blocking(move || Artifact::read(Source::File(request.path))).await;
    let gone = |error: tokio::task::JoinError| {
        let problem = Problem { error: error.to_string(), hint: None };
        Refused(StatusCode::INTERNAL_SERVER_ERROR, problem)
    };
    let artifact = read.map_err(gone)?.map_err(|error| Refusal::from(LoadError::from(error)))?;
    let consent = Consent { explicit: true, new_access: request.accept_new_access };
    let swapped = daemon.registry.swap(&request.name, artifact, consent).await?;
    daemon.swapped().await;
    Ok(Json(swapped))
}

async fn activate(
    State(daemon): State<Arc<Daemon>>,
    Json(request): Json<ActivateRequest>,
) -> Result<Json<Swapped>, Refused> {
    let swapped = daemon.registry.activate(&request.digest, request.accept_new_access).await?;
    daemon.swapped().await;
    Ok(Json(swapped))
}

async fn roll_back(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
) -> Result<Json<Swapped>, Refused> {
    let swapped = daemon.registry.roll_back(&name, "rolled back by hand").await?;
    daemon.swapped().await;
    Ok(Json(swapped))
}
