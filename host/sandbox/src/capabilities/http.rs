//! The import `http`: one GET to an allowed host, bounded in size and time.
//!
//! Architecture invariant: no other module opens a connection to a vendor.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Certificate, Client};

use super::{Budget, CallCapabilities, Destination, Egress, EgressError, WaitListener, egress};
use crate::contract::http::{self, HttpError, HttpErrorKind, Request, Response};
use crate::limits::{Limit, LimitReached};
use crate::text::plain;

/// Headers that decide where a request goes, where it ends or what it does. Only the host sets them: some servers take
/// the method or the URL of a request from such a header.
const OURS: [&str; 20] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "accept-encoding",
    "te",
    "upgrade",
    "expect",
    "keep-alive",
    "trailer",
    "forwarded",
    "x-method",
    "x-request-method",
    "x-original-method",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-real-ip",
];
/// Prefixes of further such headers.
const OURS_BEGIN: [&str; 2] = ["proxy-", "x-forwarded-"];
/// The most headers that a guest may set, and their largest total size in bytes.
const MOST_HEADERS: usize = 64;
const LARGEST_HEADERS: usize = 16 << 10;

/// The limits of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// The time to connect, TLS included.
    pub connect: Duration,
    /// The time from sending the request to the last byte of the answer.
    pub exchange: Duration,
    /// The size of the answer's body in bytes, decompressed.
    pub body: usize,
}

impl Default for HttpLimits {
    /// A page of 300 users has about 1 MiB.
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), exchange: Duration::from_secs(60), body: 32 << 20 }
    }
}

/// Why the client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// The file given as `ca-file` holds no certificate.
    #[error("`ca-file` holds no certificate in PEM form: {0}")]
    Certificate(String),
    /// The TLS library refused its configuration.
    #[error("could not set up TLS: {0}")]
    Tls(String),
}

/// Sends an integration's requests, over connections that it reuses.
#[derive(Clone)]
pub struct HttpClient {
    transport: Transport,
    egress: Arc<Egress>,
    limits: HttpLimits,
}

/// Answers a request from memory.
pub type Answer = dyn Fn(&Request) -> Result<Response, HttpError> + Send + Sync;

#[derive(Clone)]
enum Transport {
    Network(Client),
    Memory(Arc<Answer>),
}

/// A connection that was not used for this time is closed.
const IDLE_CONNECTION: Duration = Duration::from_secs(10);

impl HttpClient {
    /// A client that reaches what `egress` allows. `ca_pem` is trusted beside the system's authorities.
    ///
    /// # Errors
    ///
    /// When `ca_pem` holds no certificate.
    pub fn new(egress: Egress, limits: HttpLimits, ca_pem: Option<&[u8]>) -> Result<Self, HttpSetupError> {
        // Another part of the process may have installed a provider already: then that one is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let egress = Arc::new(egress);
        let mut builder = Client::builder()
            .user_agent(concat!("connector-host/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // A proxy from the environment would see which tenant is read, although no configuration names it.
            .no_proxy()
            .http1_only()
            .dns_resolver(Arc::new(Resolver { egress: Arc::clone(&egress) }))
            .connect_timeout(limits.connect)
            // Hundreds of integrations that rest hold no connections.
            .pool_idle_timeout(IDLE_CONNECTION);
        if let Some(pem) = ca_pem {
            let certificates = Certificate::from_pem_bundle(pem)
                .map_err(|error| HttpSetupError::Certificate(chain(&error)))?;
            if certificates.is_empty() {
                return Err(HttpSetupError::Certificate("it is empty".to_owned()));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().map_err(|error| HttpSetupError::Tls(chain(&error)))?;
        Ok(Self { transport: Transport::Network(client), egress, limits })
    }

    /// Where requests may go.
    #[must_use]
    pub fn egress(&self) -> &Egress {
        &self.egress
    }

    /// The same policy over answers from memory: for benchmarks, and for trying connectors without a vendor.
    #[must_use]
    pub fn answer_from_memory(self, answer: Arc<Answer>) -> Self {
        Self { transport: Transport::Memory(answer), ..self }
    }

    /// Sends `request` and reads the whole answer, within `left`.
    async fn send(&self, request: Request, left: Duration) -> Result<Response, HttpError> {
        let (mut url, destination) = self.egress.judge(&request.url).map_err(|error| match error {
            EgressError::Malformed(_) => failure(HttpErrorKind::InvalidRequest, error.to_string()),
            error => failure(HttpErrorKind::Denied, error.to_string()),
        })?;
        let client = match &self.transport {
            Transport::Network(client) => client,
            Transport::Memory(answer) => return answer(&request),
        };
        if let Destination::ConnectTo { tls: false, .. } = destination {
            // It fails only between special and other schemes, and both of these are special.
            let _ = url.set_scheme("http");
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let headers = headers(&request.headers)?;
        let limit = self.limits.exchange.min(left);
        let exchange = async {
            let sent = client.get(url).headers(headers).send().await;
            let mut response = sent.map_err(|error| self.explain(&error, &host))?;
            let status = response.status().as_u16();
            let headers = response.headers().iter();
            let headers = headers.map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            });
            let headers = headers.collect();
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| self.explain(&error, &host))? {
                if body.len() + chunk.len() > self.limits.body {
                    let limit = self.limits.body >> 20;
                    let message = format!(
                        "the answer of `{host}` is larger than {limit} MiB; raise `response-mib` under `[limits]`"
                    );
                    return Err(failure(HttpErrorKind::TooLarge, message));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Response { status, headers, body })
        };
        tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| {
            let seconds = limit.as_secs_f32();
            Err(failure(HttpErrorKind::Timeout, format!("`{host}` did not answer within {seconds:.0} s")))
        })
    }

    /// The error in words. Unlike the library's own texts, it does not contain the URL.
    fn explain(&self, error: &reqwest::Error, host: &str) -> HttpError {
        let place = match self.egress.destination(host) {
            Some(Destination::ConnectTo { host: to, port, .. }) => {
                format!("`{host}` (connect-to {to}:{port})")
            }
            _ => format!("`{host}`"),
        };
        if let Some(denied) = find::<NotPublic>(error) {
            return failure(HttpErrorKind::Denied, denied.to_string());
        }
        if let Some(failed) = find::<NotResolved>(error) {
            return failure(HttpErrorKind::Unreachable, failed.to_string());
        }
        if let Some(tls) = find::<rustls::Error>(error) {
            return failure(HttpErrorKind::Tls, format!("TLS with {place} failed: {tls}"));
        }
        let innermost = chain_end(error);
        if error.is_timeout() {
            failure(HttpErrorKind::Timeout, format!("{place} did not answer in time"))
        } else if error.is_connect() {
            failure(HttpErrorKind::Unreachable, format!("could not connect to {place}: {innermost}"))
        } else {
            failure(
                HttpErrorKind::Protocol,
                format!("the answer of {place} broke off or is not HTTP: {innermost}"),
            )
        }
    }
}

fn failure(kind: HttpErrorKind, message: String) -> HttpError {
    HttpError { kind, message }
}

fn headers(given: &[(String, String)]) -> Result<reqwest::header::HeaderMap, HttpError> {
    let invalid = |message: String| failure(HttpErrorKind::InvalidRequest, message);
    let size: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if given.len() > MOST_HEADERS || size > LARGEST_HEADERS {
        return Err(invalid(format!("more than {MOST_HEADERS} headers or {LARGEST_HEADERS} bytes of them")));
    }
    let mut headers = reqwest::header::HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let parsed = HeaderName::try_from(name)
            .map_err(|_| invalid("the name of a header is not valid".to_owned()))?;
        // Many servers treat `_` and `-` in a name as the same.
        let folded = parsed.as_str().replace('_', "-");
        let begins = |prefix: &&str| folded.starts_with(*prefix);
        if OURS.contains(&folded.as_str()) || OURS_BEGIN.iter().any(begins) {
            return Err(invalid(format!("only the host may set the header `{parsed}`")));
        }
        let value = HeaderValue::try_from(value);
        let value = value.map_err(|_| invalid(format!("the value of the header `{parsed}` is not valid")))?;
        headers.append(parsed, value);
    }
    Ok(headers)
}

/// Resolves the hosts of the egress rule, and returns only addresses that may be reached: the connection uses the same
/// addresses that were checked.
struct Resolver {
    egress: Arc<Egress>,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "`{host}` resolves to {address}, which is not a public address; to allow it, name the host in `connect-to` under \
     `[network]`"
)]
struct NotPublic {
    host: String,
    address: std::net::IpAddr,
}

#[derive(Debug, thiserror::Error)]
#[error("the name `{host}` does not resolve: {error}")]
struct NotResolved {
    host: String,
    error: std::io::Error,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let destination = self.egress.destination(&host).cloned();
        Box::pin(async move {
            let (target, port, opened) = match destination {
                Some(Destination::ConnectTo { host, port, .. }) => (host, port, true),
                // With port 0, the connection uses the scheme's port: 443.
                _ => (host.clone(), 0, false),
            };
            let found = tokio::net::lookup_host((target.as_str(), port)).await;
            let found = found.map_err(|error| NotResolved { host: target.clone(), error })?;
            let mut private = None;
            let mut addresses: Vec<SocketAddr> = Vec::new();
            for address in found {
                if opened || egress::is_public(address.ip()) {
                    addresses.push(address);
                } else {
                    private = Some(address.ip());
                }
            }
            match private {
                Some(address) if addresses.is_empty() => Err(NotPublic { host, address }.into()),
                _ => Ok(Box::new(addresses.into_iter()) as Addrs),
            }
        })
    }
}

/// The cause of type `T`. `source` skips the error that an I/O error wraps, so that one is searched as well.
fn find<'a, T: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a T> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.and_then(|wrapped| find(wrapped)).or_else(|| find(error.source()?))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn chain_end(error: &dyn std::error::Error) -> String {
    let mut end = error;
    while let Some(inner) = end.source() {
        end = inner;
    }
    end.to_string()
}

/// The right to send requests, for one call.
pub(super) struct HttpCapability {
    pub(super) client: HttpClient,
    pub(super) budget: Option<Arc<Budget>>,
    /// Requests that were charged to the budget before the call.
    pub(super) prepaid: u32,
    /// Called for each wait for the budget.
    pub(super) waiting: WaitListener,
    /// Requests the call asked for.
    pub(super) asked: u32,
    pub(super) requests: Arc<AtomicU64>,
}

impl http::Host for CallCapabilities {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, HttpError>> {
        let Some(loan) = &mut self.http else {
            return Ok(Err(failure(
                HttpErrorKind::Denied,
                "no request is allowed during this call".to_owned(),
            )));
        };
        loan.asked = loan.asked.saturating_add(1);
        if loan.asked > self.limits.requests {
            return Err(LimitReached::new(Limit::Requests, &self.limits, 0).into());
        }
        match (&loan.budget, loan.prepaid) {
            (Some(budget), 0) => self.time.hold(budget.spend(loan.waiting.as_ref())).await,
            (_, prepaid) => loan.prepaid = prepaid.saturating_sub(1),
        }
        loan.requests.fetch_add(1, Ordering::Relaxed);
        let answer = loan.client.send(request, self.time.left()).await;
        match &answer {
            Ok(response) => {
                tracing::debug!(status = response.status, bytes = response.body.len(), "vendor answered");
                if let (429, Some(budget)) = (response.status, &loan.budget) {
                    budget.slow_down();
                }
            }
            // The message may repeat a part of the guest's request.
            Err(error) => {
                let message = plain(&self.redactor.text(&error.message));
                tracing::debug!(kind = ?error.kind, "{message}");
            }
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::manifest::{HostRule, Manifest};

    /// A client that may reach `localhost`, directly or at `connect_to`.
    fn client(connect_to: Option<&str>) -> HttpClient {
        let manifest =
            Manifest { hosts: vec![HostRule::Name("localhost".to_owned())], ..Manifest::default() };
        let connect_to = connect_to.map(|to| ("localhost".to_owned(), to.to_owned()));
        let egress = Egress::new(&manifest, |_| None, &BTreeMap::from_iter(connect_to)).unwrap();
        HttpClient::new(egress, HttpLimits::default(), None).unwrap()
    }

    async fn send(client: &HttpClient, url: &str, headers: &[(&str, &str)]) -> HttpError {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = Request { url: url.to_owned(), headers };
        client.send(request, Duration::from_secs(5)).await.unwrap_err()
    }

    #[tokio::test]
    async fn an_allowed_name_that_resolves_to_a_private_address_is_denied() {
        let error = send(&client(None), "https://localhost/", &[]).await;
        assert_eq!(error.kind, HttpErrorKind::Denied, "{error:?}");
        assert!(error.message.contains("not a public address"), "{error:?}");
    }

    #[tokio::test]
    async fn the_operator_can_open_it_by_name() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let client = client(Some(&format!("http://127.0.0.1:{port}")));
        let error = send(&client, "https://localhost/", &[]).await;
        assert_eq!(error.kind, HttpErrorKind::Unreachable, "{error:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_the_budget_are_heard_and_are_not_the_call_s_time() {
        use std::sync::Mutex;
        let minute = Duration::from_secs(60);
        let client = client(None).answer_from_memory(Arc::new(|_| {
            Ok(Response { status: 200, headers: Vec::new(), body: Vec::new() })
        }));
        let grant = crate::capabilities::Capabilities {
            integration: "a".to_owned(),
            http: client,
            secrets: Arc::new(crate::capabilities::Secrets::none()),
            budgets: [("all".to_owned(), Arc::new(Budget::new(1, minute)))].into(),
            clock: None,
        };
        let heard = Arc::new(Mutex::new(Vec::new()));
        let waiting: WaitListener = {
            let heard = Arc::clone(&heard);
            Arc::new(move |wait| heard.lock().unwrap().push(wait))
        };
        let mut call = grant.for_call("users", Some("all"), &Arc::default(), &waiting).await;
        let limits = crate::limits::Limits { call: minute / 2, ..crate::limits::Limits::default() };
        let time = call.start(&limits);
        for _ in 0..3 {
            let request = Request { url: "https://localhost/".to_owned(), headers: Vec::new() };
            http::Host::send(&mut call, request).await.unwrap().unwrap();
        }
        assert_eq!(*heard.lock().unwrap(), [minute, minute]);
        assert_eq!(time.left(), minute / 2);
    }

    #[tokio::test]
    async fn headers_that_belong_to_the_host_are_refused() {
        let client = client(None);
        for name in [
            "X-Method",
            "x-request-method",
            "X-Original-Method",
            "X-Real-IP",
            "Host",
            "content-length",
            "Transfer-Encoding",
            "Proxy-Authorization",
            "X-Forwarded-Host",
            "X-HTTP-Method-Override",
            "X_HTTP_Method_Override",
            "a b",
            "\r\nx",
            "authorization\r\nhost",
        ] {
            let error = send(&client, "https://localhost/", &[(name, "value")]).await;
            assert_eq!(error.kind, HttpErrorKind::InvalidRequest, "{name}");
        }
        let error = send(&client, "https://localhost/", &[("x-key", "a\r\nHost: evil.org")]).await;
        assert_eq!(error.kind, HttpErrorKind::InvalidRequest);
    }
}
