//! The client of the control socket, for the command line.

use std::path::PathBuf;

use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;

use connector_sandbox::Hint;

use crate::api_types::{ActivateRequest, ErrorBody, InstallRequest, Status, Swapped};
use crate::folders::Folders;

/// Sends requests to a running `serve`.
pub struct Client {
    http: reqwest::Client,
    socket: PathBuf,
}

/// A request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No `serve` answers.
    #[error("no `serve` answers at `{socket}`: {reason}")]
    NotRunning {
        /// Its socket.
        socket: PathBuf,
        /// What the system answered.
        reason: String,
    },
    /// It refused the request.
    #[error("{}", .0.error)]
    Refused(ErrorBody),
    /// Its answer can't be parsed.
    #[error("could not parse the answer of `serve`: {0}")]
    Answer(String),
}

impl Hint for ClientError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotRunning { .. } => Some(
                "start it with `connector-host serve`; if it runs in another folder, name that with `--dir`"
                    .to_owned(),
            ),
            Self::Refused(problem) => problem.hint.clone(),
            Self::Answer(_) => Some("use the same release for `serve` and for this program".to_owned()),
        }
    }
}

impl Client {
    /// A client of the `serve` that uses these folders.
    ///
    /// # Errors
    ///
    /// When the HTTP client can't be made.
    pub fn new(folders: &Folders) -> Result<Self, ClientError> {
        let socket = folders.socket();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let built = reqwest::Client::builder().unix_socket(socket.clone()).no_proxy().build();
        let http = built.map_err(|error| ClientError::Answer(error.to_string()))?;
        Ok(Self { http, socket })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        // The name is never resolved: all requests go to the socket.
        self.http.request(method, format!("http://serve.localhost{path}"))
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let answer = request.send().await.map_err(|error| {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            ClientError::NotRunning { socket: self.socket.clone(), reason: cause.to_string() }
        })?;
        let unreadable = |error: reqwest::Error| ClientError::Answer(error.to_string());
        if answer.status().is_success() {
            answer.json().await.map_err(unreadable)
        } else {
            Err(ClientError::Refused(answer.json().await.map_err(unreadable)?))
        }
    }

    /// The status of everything.
    ///
    /// # Errors
    ///
    /// When no `serve` answers.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.send(self.request(Method::GET, "/status")).await
    }

    /// Runs an integration now.
    ///
    /// # Errors
    ///
    /// When there is no integration of that name, or it can't run.
    pub async fn sync(&self, integration: &str) -> Result<Status, ClientError> {
        let mut path = url::form_urlencoded::byte_serialize(integration.as_bytes()).collect::<String>();
        path = format!("/integrations/{path}/sync");
        self.send(self.request(Method::POST, &path)).await
    }

    /// Reports a new token, so that all sessions end at once. `false` if no `serve` runs: then there is no session.
    ///
    /// # Errors
    ///
    /// When `serve` answers with an error.
    pub async fn refresh_token(&self) -> Result<bool, ClientError> {
        match self.send::<()>(self.request(Method::POST, "/token/refresh")).await {
            Ok(()) => Ok(true),
            Err(ClientError::NotRunning { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tries the component at `path` (absolute) as the connector called `name`, and lets it take over.
    ///
    /// # Errors
    ///
    /// When `serve` refuses it.
    pub async fn install(
        &self,
        path: PathBuf,
        name: String,
        accept_new_access: bool,
    ) -> Result<Swapped, ClientError> {
        let body = InstallRequest { path, name, accept_new_access };
        self.send(self.request(Method::POST, "/connectors/install").json(&body)).await
    }

    /// Lets an installed connector take over.
    ///
    /// # Errors
    ///
    /// When `serve` refuses it.
    pub async fn activate(&self, digest: String, accept_new_access: bool) -> Result<Swapped, ClientError> {
        let body = ActivateRequest { digest, accept_new_access };
        self.send(self.request(Method::POST, "/connectors/activate").json(&body)).await
    }

    /// Lets the previous connector take over again.
    ///
    /// # Errors
    ///
    /// When there is no previous connector.
    pub async fn roll_back(&self, name: &str) -> Result<Swapped, ClientError> {
        let name = url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>();
        self.send(self.request(Method::POST, &format!("/connectors/{name}/rollback"))).await
    }
}
