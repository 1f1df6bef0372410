//! Answers the command line, over a Unix socket that only its owner may open: the same API as on the network, and what only
//! somebody on this machine may ask for.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use super::status::{InstallRequest, Problem, Status};
use super::{Daemon, DaemonError};
use crate::plugin::{Artifact, LoadError, Source};
use crate::registry::{Consent, Refusal, Swapped};
use crate::web::{self, No};

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
    let only_here = Router::new().route("/reload", post(reload)).route("/connectors/install", post(install));
    let router = web::api().merge(only_here).with_state(Arc::clone(daemon));
    Ok(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!("the control socket failed: {error}");
        }
    }))
}

async fn reload(State(daemon): State<Arc<Daemon>>) -> Json<Status> {
    daemon.reload(true).await;
    Json(daemon.status())
}

async fn install(
    State(daemon): State<Arc<Daemon>>,
    Json(request): Json<InstallRequest>,
) -> Result<Json<Swapped>, No> {
    let read = tokio::task::spawn_blocking(move || Artifact::read(Source::File(request.path))).await;
    let gone = |error: tokio::task::JoinError| {
        let problem = Problem { error: error.to_string(), hint: None };
        No::new(StatusCode::INTERNAL_SERVER_ERROR, problem)
    };
    let artifact = read.map_err(gone)?.map_err(|error| Refusal::from(LoadError::from(error)))?;
    let consent = Consent { explicit: true, new_access: request.accept_new_access };
    let swapped = daemon.registry.swap(&request.name, artifact, consent).await?;
    daemon.swapped().await;
    Ok(Json(swapped))
}
