//! Answers the command line, over a Unix socket that only its owner may open: the same API as on the network, and what only
//! a program on this machine may ask for.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use connector_sandbox::{Artifact, LoadError, Source};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use crate::api::{self, ApiError};
use crate::api_types::{ErrorBody, InstallRequest, Status, Swapped};
use crate::registry::{Consent, Refusal};
use crate::supervisor::Supervisor;

/// Listens at `path` until the task is aborted.
pub(crate) fn listen(supervisor: &Arc<Supervisor>, path: &Path) -> std::io::Result<JoinHandle<()>> {
    // A `serve` that was killed left its socket; no other one runs, as the lock on the folder says.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    // The folder is its owner's only as well.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let only_here = Router::new().route("/reload", post(reload)).route("/connectors/install", post(install));
    let router = api::router().merge(only_here).with_state(Arc::clone(supervisor));
    Ok(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!("the control socket failed: {error}");
        }
    }))
}

async fn reload(State(supervisor): State<Arc<Supervisor>>) -> Json<Status> {
    supervisor.reload(true).await;
    Json(supervisor.status())
}

async fn install(
    State(supervisor): State<Arc<Supervisor>>,
    Json(request): Json<InstallRequest>,
) -> Result<Json<Swapped>, ApiError> {
    let read = tokio::task::spawn_blocking(move || Artifact::read(Source::File(request.path))).await;
    let gone = |error: tokio::task::JoinError| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorBody::new(error))
    };
    let artifact = read.map_err(gone)?.map_err(|error| Refusal::from(LoadError::from(error)))?;
    let consent = Consent { explicit: true, new_access: request.accept_new_access };
    let swapped = supervisor.registry.swap(&request.name, artifact, consent).await?;
    supervisor.swapped().await;
    Ok(Json(swapped))
}
