//! The Integrations page, and the server that it shares with the API and the metrics.
//!
//! `page` has the parts that all pages use, `body` reads requests, `sign_in` opens sessions. `integrations`, `integration`,
//! `wizard` (with its state in `drafts`), `data` and `insights` are the pages; `live` keeps them up to date. The pages work
//! without scripts; with scripts, they follow the status.

mod body;
mod data;
mod drafts;
mod insights;
mod integration;
mod integrations;
mod live;
mod page;
mod sign_in;
mod wizard;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use axum::{Extension, Router};
use connector_sandbox::Hint;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::api::{self, ApiError};
use crate::api_types::ErrorBody;
use crate::authentication::{AuthenticationError, Gate, Names, Proxy, Session, TokenError, TokenHash};
use crate::supervisor::Supervisor;
use crate::{connections, metrics};
use drafts::Drafts;
use page::PageError;

/// Where the API is.
const API: &str = "/api/v1";

/// Pages load scripts, styles and pictures from this server only, and no page may frame them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Where the pages are served, and how people sign in.
#[derive(Debug)]
pub struct PagesOptions {
    /// The address to listen at.
    pub listen: SocketAddr,
    /// The address that people use, if the server is behind a proxy.
    pub public_url: Option<Url>,
    /// The proxy that signs people in; `None` if this program does.
    pub proxy: Option<Proxy>,
}

/// Why the pages can't be served.
#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    /// The address is not usable.
    #[error("could not listen at {address} for the Integrations page: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system answered.
        error: std::io::Error,
    },
    /// The token can't be made.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
}

impl Hint for PagesError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Listen { .. } => {
                Some("name another address with `--listen`, or serve no page with `--no-page`".to_owned())
            }
            Self::Authentication(_) => None,
        }
    }
}

/// The state that all pages share.
pub(crate) struct Web {
    supervisor: Arc<Supervisor>,
    gate: Gate,
    drafts: Drafts,
    /// Limits the pages that follow the status.
    followers: Arc<Semaphore>,
    /// Ends the pages that follow the status.
    stop: CancellationToken,
}

/// Serves the pages until the task is aborted. Also returns their address.
pub(crate) async fn listen(
    supervisor: &Arc<Supervisor>,
    options: PagesOptions,
    token: Arc<TokenHash>,
    stop: CancellationToken,
) -> Result<(JoinHandle<()>, String), PagesError> {
    let failed = |error| PagesError::Listen { address: options.listen, error };
    let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let url = match &options.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{address}"),
    };
    let is_https = options.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    let names = Names { hosts: hosts(address, options.public_url.as_ref()), is_https, port: address.port() };
    let (gate, token) = Gate::open(token, options.proxy, names).await?;
    if !address.ip().is_loopback() && !is_https {
        tracing::warn!(
            "the Integrations page accepts connections from other machines without https: the network can read the \
             secrets that are typed there"
        );
    }
    tracing::info!("the Integrations page is at {url}");
    if let Some(token) = token
        && !gate.is_behind_proxy()
    {
        // It is shown once, to a person. The log of a service manager is not private, but there is no other way to show it.
        announce(&format!(
            "\n  Sign in at {url} with this token. It is shown only now; `connector-host token` makes another.\n\n  \
             {token}\n\n"
        ));
    }
    let followers = Arc::new(Semaphore::new(live::MOST));
    let web = Arc::new(Web {
        supervisor: Arc::clone(supervisor),
        gate,
        drafts: Drafts::default(),
        followers,
        stop,
    });
    let task = tokio::spawn(connections::serve(listener, router(web)));
    Ok((task, url))
}

#[expect(clippy::print_stderr, reason = "for the person who starts the program")]
fn announce(text: &str) {
    eprint!("{text}");
}

/// The names of this server, as a browser sends them.
fn hosts(address: SocketAddr, public_url: Option<&Url>) -> Vec<String> {
    let port = address.port();
    let mut hosts = vec![address.to_string()];
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        hosts.extend([format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")]);
    }
    if let Some(host) = public_url.and_then(Url::host_str) {
        hosts.push(match public_url.and_then(Url::port) {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        });
    }
    hosts
}

fn router(web: Arc<Web>) -> Router {
    let pages = Router::new()
        .route("/", get(|| async { Redirect::to("/integrations") }))
        .merge(integrations::router())
        .merge(integration::router())
        .merge(wizard::router())
        .merge(data::router())
        .merge(insights::router())
        .merge(sign_in::leaving())
        .fallback(|| async { PageError::missing("there is no such page") })
        .layer(middleware::from_fn_with_state(Arc::clone(&web), signed_in));
    let programs = Router::new()
        .nest(API, api::router().with_state(Arc::clone(&web.supervisor)))
        .merge(metrics::router().with_state(Arc::clone(&web.supervisor)))
        .layer(middleware::from_fn_with_state(Arc::clone(&web), bears_token));
    Router::new()
        .merge(sign_in::entering())
        .merge(page::assets())
        .merge(programs)
        .merge(pages)
        .layer(middleware::from_fn(body::with_body))
        .layer(middleware::from_fn_with_state(Arc::clone(&web), guarded))
        .with_state(web)
}

/// Checks the host and the origin of each request, and sets the security headers of each answer.
async fn guarded(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let (headers, method) = (request.headers(), request.method());
    let mut answer = if !web.gate.knows_host(headers, request.uri()) {
        let error = "unknown host name; set `--public-url`";
        refuse(request.uri(), StatusCode::MISDIRECTED_REQUEST, error)
    } else if !web.gate.is_ours(method, headers) {
        refuse(request.uri(), StatusCode::FORBIDDEN, "this request comes from another site")
    } else {
        next.run(request).await
    };
    let headers = answer.headers_mut();
    let set = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: browsers would send `Origin: null` with the forms of these pages.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// An error: JSON for the API, a page for people.
fn refuse(uri: &Uri, status: StatusCode, error: &str) -> Response {
    if uri.path().starts_with(API) {
        ApiError::new(status, ErrorBody::new(error)).into_response()
    } else {
        PageError::new(status, error).into_response()
    }
}

/// Shows pages only to people who are signed in.
async fn signed_in(
    State(web): State<Arc<Web>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    match web.gate.session(request.headers(), from.ip()) {
        Some(session) => {
            request.extensions_mut().insert(session);
            next.run(request).await
        }
        None if live::is_wanted(request.headers()) => live::signed_out(),
        None if web.gate.is_behind_proxy() => {
            PageError::new(StatusCode::UNAUTHORIZED, "the proxy did not name the person who is signed in")
                .into_response()
        }
        None => Redirect::to("/sign-in").into_response(),
    }
}

/// Programs send the token. A browser with a session may send requests that only read.
async fn bears_token(
    State(web): State<Arc<Web>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let reads = request.method().is_safe();
    match web.gate.bears_token(request.headers(), from.ip()) {
        Ok(true) => next.run(request).await,
        Ok(false) if reads && web.gate.session(request.headers(), from.ip()).is_some() => {
            next.run(request).await
        }
        Err(TokenError::TooManyAttempts) => {
            let body = ErrorBody::new("too many wrong tokens").hint("wait a minute");
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, body).into_response()
        }
        Ok(false) | Err(TokenError::Wrong) => {
            let error =
                "send the token as `Authorization: Bearer TOKEN`; `connector-host token` makes a new one";
            let mut answer = ApiError::new(StatusCode::UNAUTHORIZED, ErrorBody::new(error)).into_response();
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            answer
        }
    }
}

/// The session of a request.
type Signed = Extension<Session>;

/// The address of a request's sender.
type ClientAddress = ConnectInfo<SocketAddr>;

fn address(from: &ClientAddress) -> IpAddr {
    from.0.ip()
}
