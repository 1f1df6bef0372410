//! Answers the command line over a Unix socket that only its owner may open: the API, and requests that only a program on
//! this machine may send.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use connector_sandbox::{Artifact, LoadError, Source};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use crate::api::{self, ApiError};
use crate::api_types::{InstallRequest, Swapped};
use crate::authentication::TokenHash;
use crate::registry::{Consent, Refusal};
use crate::supervisor::Supervisor;
use crate::task;

/// Listens at `path` until the task is aborted.
pub(crate) fn listen(
    supervisor: &Arc<Supervisor>,
    token: Arc<TokenHash>,
    path: &Path,
) -> std::io::Result<JoinHandle<()>> {
    // A `serve` that was killed left its socket. The lock on the folder excludes another `serve`.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    // Until then, the mode of its folder protects it.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let refresh = move || async move {
        token.refresh().await;
        Json(())
    };
    let only_here =
        Router::new().route("/token/refresh", post(refresh)).route("/connectors/install", post(install));
    let router = api::router().merge(only_here).with_state(Arc::clone(supervisor));
    Ok(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!("the control socket failed: {error}");
        }
    }))
}

async fn install(
    State(supervisor): State<Arc<Supervisor>>,
    Json(request): Json<InstallRequest>,
) -> Result<Json<Swapped>, ApiError> {
    let read = task::blocking(move || Artifact::read(Source::File(request.path))).await;
    let artifact = read.map_err(|error| Refusal::from(LoadError::from(error)))?;
    let consent = Consent { explicit: true, new_access: request.accept_new_access };
    let swapped = supervisor.registry.swap(&request.name, artifact, consent).await?;
    supervisor.swapped().await;
    Ok(Json(swapped))
}
