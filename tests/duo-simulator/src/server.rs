//! The listener, and what happens to each request before and after its route.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum_server::Handle;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tower_http::compression::CompressionLayer;

use crate::authentication::{self, Credentials, SignatureVersion};
use crate::counters::RecordedRequest;
use crate::failure::Failure;
use crate::fault::Fault;
use crate::routes;
use crate::shared::Shared;

/// A simulator that can't be started.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address can't be had.
    #[error("could not listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// No certificate could be made.
    #[error("could not make a certificate for `{host}`: {reason}")]
    Certificate {
        /// The API hostname.
        host: String,
        /// What the library said.
        reason: String,
    },
}

/// What a certificate is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    Valid,
    Expired,
}

/// A server that listens. It stops when it is dropped.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) ca_pem: Option<String>,
    handle: Handle<SocketAddr>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

pub(crate) async fn listen(
    shared: Arc<Shared>,
    address: SocketAddr,
    tls: Option<Validity>,
) -> Result<Listener, SimulatorError> {
    let failed = |error| SimulatorError::Listen { address, error };
    let host = shared.options.host.clone();
    let socket = std::net::TcpListener::bind(address).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    let service = axum::Router::new()
        .fallback(handle)
        .layer(CompressionLayer::new())
        .with_state(shared)
        .into_make_service();
    let handle = Handle::new();
    let ca_pem = if let Some(validity) = tls {
        let (config, ca_pem) = certificate(&host, validity)?;
        let server = axum_server::from_tcp_rustls(socket, config).map_err(failed)?.handle(handle.clone());
        tokio::spawn(server.serve(service));
        Some(ca_pem)
    } else {
        let server = axum_server::from_tcp(socket).map_err(failed)?.handle(handle.clone());
        tokio::spawn(server.serve(service));
        None
    };
    Ok(Listener { address, ca_pem, handle })
}

/// A certificate for `host` from an authority made for it, and that authority.
fn certificate(
    host: &str,
    validity: Validity,
) -> Result<(axum_server::tls_rustls::RustlsConfig, String), SimulatorError> {
    let make = || -> Result<_, Box<dyn std::error::Error>> {
        let authority_key = rcgen::KeyPair::generate()?;
        let mut authority = rcgen::CertificateParams::new(Vec::new())?;
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "duo-simulator");
        let ca_pem = authority.self_signed(&authority_key)?.pem();
        let issuer = rcgen::Issuer::new(authority, authority_key);

        let key = rcgen::KeyPair::generate()?;
        let mut leaf = rcgen::CertificateParams::new(vec![host.to_lowercase()])?;
        if validity == Validity::Expired {
            leaf.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let leaf = leaf.signed_by(&key, &issuer)?;
        // Named, not the process's default: whoever embeds us may have another one, or none.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok((axum_server::tls_rustls::RustlsConfig::from_config(Arc::new(config)), ca_pem))
    };
    make().map_err(|error| SimulatorError::Certificate { host: host.to_owned(), reason: error.to_string() })
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    // Gone when the client hangs up, too.
    let _under_way = shared.counters.arrive();
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();

    let fault = shared.faults.take(&path, &query);
    if let Some(Fault::Slow(duration)) = &fault {
        tokio::time::sleep(*duration).await;
    }
    // No endpoint takes a body of any size.
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let mut signature = None;
    let response = match fault {
        Some(Fault::Slow(_)) | None => {
            let answer = verify(&shared, &parts, &path, &query, &body).and_then(|version| {
                signature = Some(version);
                if let Some(change) = &*shared.before_each.read().unwrap_or_else(PoisonError::into_inner) {
                    change(&shared.tenant, &path, &query);
                }
                routes::answer(&shared, &path, &query, version)
            });
            match answer {
                Ok(value) => json_response(200, &value),
                Err(failure) => json_response(failure.status, &failure.body()),
            }
        }
        Some(fault) => misbehave(fault, &path),
    };
    let status = response.status().as_u16();
    shared.counters.answered(RecordedRequest { path, query, signature, status });
    finish(&shared, response)
}

fn verify(
    shared: &Shared,
    parts: &axum::http::request::Parts,
    path: &str,
    query: &str,
    body: &Bytes,
) -> Result<SignatureVersion, Failure> {
    // Nothing here can be written, whoever asks.
    if parts.method != axum::http::Method::GET {
        return Err(Failure::method_not_allowed());
    }
    let credentials = Credentials {
        host: &shared.options.host,
        integration_key: &shared.options.integration_key,
        secret_key: &shared.options.secret_key,
    };
    let request =
        authentication::Request { method: parts.method.as_str(), path, query, body, headers: &parts.headers };
    authentication::verify(&request, &credentials, shared.now().timestamp())
}

fn json_response(status: u16, value: &Value) -> Response<Body> {
    response(status, "application/json", Body::from(value.to_string()))
}

fn response(status: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The headers that recordings show on every answer.
fn finish(shared: &Shared, mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    let date = shared.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::try_from(date) {
        headers.insert(header::DATE, date);
    }
    headers.insert(header::SERVER, HeaderValue::from_static("Duo/1.0"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    response
}

fn misbehave(fault: Fault, path: &str) -> Response<Body> {
    let failure = |failure: Failure| json_response(failure.status, &failure.body());
    match fault {
        Fault::TooManyRequests { retry_after } => {
            let mut response = failure(Failure::too_many_requests());
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Fault::ServerError(status) => failure(Failure::server_error(status)),
        Fault::Forbidden => failure(Failure::forbidden()),
        Fault::InvalidSignature => failure(Failure::invalid_signature()),
        Fault::HtmlPage(status) => {
            let page = "<!DOCTYPE html>\n<html><head><title>Sign in to the guest network</title></head><body>...</body></html>";
            response(status, "text/html; charset=utf-8", Body::from(page))
        }
        Fault::FailWith200 { code, message } => {
            json_response(200, &json!({ "stat": "FAIL", "code": code, "message": message }))
        }
        Fault::WrongContent => json_response(200, &json!(["not", { "an": "envelope" }])),
        Fault::InvalidJson => response(200, "application/json", Body::from("{\"stat\": \"OK\", ")),
        Fault::TruncatedBody => {
            broken(vec![Ok(Bytes::from_static(b"{\"stat\": \"OK\", \"response\": [{\"user_id"))])
        }
        Fault::Stalled(duration) => {
            let rest = futures_util::stream::once(async move {
                tokio::time::sleep(duration).await;
                Ok::<_, std::io::Error>(Bytes::from_static(b"\"OK\", \"response\": []}"))
            });
            let start = futures_util::stream::iter([Ok(Bytes::from_static(b"{\"stat\": "))]);
            let body = futures_util::StreamExt::chain(start, rest);
            response(200, "application/json", Body::from_stream(body))
        }
        Fault::Reset => broken(Vec::new()),
        Fault::RedirectTo(origin) => {
            let mut response = response(302, "text/html", Body::empty());
            if let Ok(location) = HeaderValue::try_from(format!("{origin}{path}")) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            response
        }
        Fault::OversizedBody(bytes) => {
            let chunk = Bytes::from(vec![b' '; 1 << 16]);
            let body = futures_util::stream::iter((0..bytes).step_by(chunk.len()).map(move |sent| {
                let length = usize::try_from(bytes - sent).map_or(chunk.len(), |left| left.min(chunk.len()));
                Ok::<_, std::io::Error>(chunk.slice(..length))
            }));
            response(200, "application/json", Body::from_stream(body))
        }
        // Answered before.
        Fault::Slow(duration) => {
            let _: Duration = duration;
            failure(Failure::server_error(500))
        }
    }
}

/// An answer of which these parts come before the connection is closed.
fn broken(mut parts: Vec<std::io::Result<Bytes>>) -> Response<Body> {
    parts.push(Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
    let mut response =
        response(200, "application/json", Body::from_stream(futures_util::stream::iter(parts)));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("100000"));
    response
}
