//! Authentication: the token, sessions, the proxy that signs people in, and the checks on each request.
//!
//! A session is a random cookie, of which only the hash is kept. A form must contain the session's CSRF token, and a request
//! that changes something must not come from another origin.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connector_sandbox::{bounded_file, private_file};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::changes::Changes;
use crate::task;

/// How long a session lasts; use does not extend it.
const LASTS: Duration = Duration::from_secs(12 * 60 * 60);
/// The most sessions; one more ends the session that expires first.
const MOST_SESSIONS: usize = 1000;
/// Wrong tokens from one address in a minute.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// The most addresses with counted wrong tokens; above it, those without a recent wrong token are dropped.
const ADDRESSES: usize = 10_000;
/// The header in which the proxy sends its secret.
const PROXY_SECRET: HeaderName = HeaderName::from_static("x-connector-host-proxy-secret");

/// Headers that can't name a person, because they have another meaning.
const TAKEN: [HeaderName; 14] = [
    PROXY_SECRET,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::COOKIE,
    header::DATE,
    header::EXPECT,
    header::HOST,
    header::ORIGIN,
    header::REFERER,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::USER_AGENT,
];
/// How long the secret of the proxy is not compared for an address that sent too many wrong ones.
const BLOCKED: Duration = Duration::from_secs(60);

type Hash = [u8; 32];

/// Why people can't be signed in.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// The hash of the sign-in token can't be written.
    #[error("could not write the sign-in token to `{path}`: {error}")]
    Token {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        error: io::Error,
    },
    /// The system has no randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// A proxy that signs people in, and names them in a header.
#[derive(Debug)]
pub struct Proxy {
    /// The header that names the person.
    header: HeaderName,
    /// The value that it sends in `X-Connector-Host-Proxy-Secret`, to authenticate itself.
    secret: SecretString,
}

impl Proxy {
    /// A proxy that names the person in `header`. `None` if that is not the name of a header, or is one that browsers or
    /// HTTP itself set.
    #[must_use]
    pub fn new(header: &str, secret: SecretString) -> Option<Self> {
        let header: HeaderName = header.parse().ok()?;
        let name = header.as_str();
        let is_taken = TAKEN.contains(&header)
            || ["accept", "content-", "if-", "sec-"].iter().any(|prefix| name.starts_with(prefix));
        (!is_taken).then_some(Self { header, secret })
    }
}

/// A person who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// The token that each form must contain.
    pub(crate) csrf: String,
    /// The name of the person, if a proxy signed them in.
    pub(crate) person: Option<String>,
    /// Identifies the session; it is not a credential.
    pub(crate) id: Hash,
}

/// An open session.
struct OpenSession {
    session: Session,
    /// The hash of the token that opened it: a new token ends it.
    token: Hash,
    until: Instant,
}

impl OpenSession {
    /// Whether it is still open; `token` is the hash of the current token.
    fn is_open(&self, token: Hash) -> bool {
        self.until > Instant::now() && self.token == token
    }
}

/// The hash of the sign-in token, in memory: a request costs no access to its file.
///
/// The file is read again when `connector-host token` reports a new token over the control socket, at each sign-in, and
/// when `serve` is told to reload.
pub(crate) struct TokenHash {
    file: PathBuf,
    /// `None` if there is none, or it can't be read: then no token is accepted.
    hash: Mutex<Option<Hash>>,
    /// Held while the file is read, so that an older read does not replace a newer one.
    reading: tokio::sync::Mutex<()>,
    changes: Changes,
}

impl TokenHash {
    /// The hash in `file`. A new token is published to `changes`, so that open pages learn that their session ended.
    pub(crate) async fn read(file: PathBuf, changes: Changes) -> Arc<Self> {
        let (hash, reading) = Default::default();
        let token = Arc::new(Self { file, hash, reading, changes });
        token.refresh().await;
        token
    }

    /// Reads the file again. A new token ends all sessions.
    pub(crate) async fn refresh(&self) {
        let _one_at_a_time = self.reading.lock().await;
        let file = self.file.clone();
        let hash = match task::blocking(move || read_hash(&file)).await {
            Ok(hash) => Some(hash),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let file = self.file.display();
                tracing::error!("could not read `{file}`, so no token is accepted: {error}");
                None
            }
        };
        if std::mem::replace(&mut *self.hash.lock(), hash) != hash {
            self.changes.publish();
        }
    }

    /// Makes a token if there is none, and returns it.
    async fn make_first(&self) -> Result<Option<String>, AuthenticationError> {
        let file = self.file.clone();
        let make = move || if file.exists() { Ok(None) } else { new_token(&file).map(Some) };
        let made = task::blocking(make).await?;
        self.refresh().await;
        Ok(made)
    }

    fn get(&self) -> Option<Hash> {
        *self.hash.lock()
    }
}

fn read_hash(file: &Path) -> io::Result<Hash> {
    let mut hash = Hash::default();
    let text = bounded_file::read_text(file, bounded_file::VALUE)?;
    hex::decode_to_slice(text.trim(), &mut hash)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(hash)
}

/// Decides which requests are answered.
pub(crate) struct Gate {
    token: Arc<TokenHash>,
    sessions: Mutex<HashMap<Hash, OpenSession>>,
    attempts: DefaultKeyedRateLimiter<IpAddr>,
    /// Networks that sent too many wrong secrets of the proxy, and until when they are blocked.
    blocked: Mutex<HashMap<IpAddr, Instant>>,
    proxy: Option<Proxy>,
    /// The key of the CSRF tokens of people whom a proxy signed in.
    key: String,
    names: Names,
}

/// The names of this server.
#[derive(Debug)]
pub(crate) struct Names {
    /// Its host names with ports: `127.0.0.1:8420`.
    pub(crate) hosts: Vec<String>,
    /// Whether browsers reach it over https.
    pub(crate) is_https: bool,
    /// The port that it listens on. A browser sends a cookie to all ports of a host, so the cookie's name has the port.
    pub(crate) port: u16,
}

impl Names {
    /// The name of the cookie of a session.
    fn cookie(&self) -> String {
        // Browsers accept a cookie with this prefix only from the host itself, over https.
        let prefix = if self.is_https { "__Host-" } else { "" };
        format!("{prefix}connector-host-{}", self.port)
    }
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    TooManyAttempts,
    Wrong,
}

fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// 256 random bits, as text.
fn random() -> Result<String, AuthenticationError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(AuthenticationError::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The network of one customer of a provider: an IPv4 address, or the first 64 bits of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

/// Makes a sign-in token, and writes its hash to `file`; the former token is no longer accepted. Returns the token, which
/// is not stored.
///
/// # Errors
///
/// When the file can't be written.
pub fn new_token(file: &Path) -> Result<String, AuthenticationError> {
    let token = random()?;
    let text = format!("{}\n", hex::encode(hash(&token)));
    private_file::replace(file, text.as_bytes())
        .map_err(|error| AuthenticationError::Token { path: file.to_owned(), error })?;
    Ok(token)
}

impl Gate {
    /// The gate of the server with these names. Also returns the token, if this call made it.
    pub(crate) async fn open(
        token: Arc<TokenHash>,
        proxy: Option<Proxy>,
        names: Names,
    ) -> Result<(Self, Option<String>), AuthenticationError> {
        let made = token.make_first().await?;
        let gate = Self {
            token,
            sessions: Mutex::default(),
            attempts: RateLimiter::keyed(Quota::per_minute(ATTEMPTS)),
            blocked: Mutex::default(),
            proxy,
            key: random()?,
            names,
        };
        Ok((gate, made))
    }

    /// Reads the token's file again.
    pub(crate) async fn refresh_token(&self) {
        self.token.refresh().await;
    }

    /// Whether the `Host` of a request is a name of this server. An unknown one may be DNS rebinding.
    pub(crate) fn knows_host(&self, headers: &HeaderMap, uri: &axum::http::Uri) -> bool {
        let is_known = |host: &str| self.names.hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
        let mut named = headers.get_all(header::HOST).iter();
        let host = named.next().map(|host| host.to_str().is_ok_and(is_known));
        let authority = uri.authority().map(|authority| is_known(authority.as_str()));
        // A proxy may take another one of two names than this server.
        named.next().is_none()
            && (host.is_some() || authority.is_some())
            && host.unwrap_or(true)
            && authority.unwrap_or(true)
    }

    /// Whether a request only reads, or its headers name no other site as its origin.
    pub(crate) fn is_ours(&self, method: &Method, headers: &HeaderMap) -> bool {
        if matches!(*method, Method::GET | Method::HEAD) {
            return true;
        }
        let says = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
        if let Some(origin) = says(header::ORIGIN) {
            let scheme = if self.names.is_https { "https" } else { "http" };
            return self
                .names
                .hosts
                .iter()
                .any(|host| origin.eq_ignore_ascii_case(&format!("{scheme}://{host}")));
        }
        says(HeaderName::from_static("sec-fetch-site")).is_none_or(|site| site == "same-origin")
    }

    /// Opens a session for the token, sent from this address. Returns the cookie to set.
    pub(crate) fn sign_in(&self, token: &str, from: IpAddr) -> Result<String, TokenError> {
        self.is_token(token, from)?;
        let (cookie, csrf) =
            (random().map_err(|_| TokenError::Wrong)?, random().map_err(|_| TokenError::Wrong)?);
        let (id, token) = (hash(&cookie), hash(token.trim()));
        let session = Session { csrf, person: None, id };
        let opened = OpenSession { session, token, until: Instant::now() + LASTS };
        let mut sessions = self.sessions.lock();
        sessions.retain(|_, open| open.is_open(token));
        if sessions.len() >= MOST_SESSIONS
            && let Some(first) = sessions.iter().min_by_key(|(_, open)| open.until).map(|(id, _)| *id)
        {
            sessions.remove(&first);
        }
        sessions.insert(id, opened);
        Ok(self.cookie(&cookie, LASTS))
    }

    /// Whether this is the token, sent from this address. Wrong tokens are counted, and limited. The right token is always
    /// accepted: 256 bits can't be guessed, and the limit must not lock its owner out.
    pub(crate) fn is_token(&self, token: &str, from: IpAddr) -> Result<(), TokenError> {
        let sent = hash(token.trim());
        if self.token.get().is_some_and(|known| known.ct_eq(&sent).into()) {
            return Ok(());
        }
        Err(self.count_wrong(from))
    }

    /// Counts a wrong token or secret, sent from this address.
    fn count_wrong(&self, from: IpAddr) -> TokenError {
        if self.attempts.len() > ADDRESSES {
            self.attempts.retain_recent();
        }
        match self.attempts.check_key(&network(from)) {
            Ok(()) => TokenError::Wrong,
            Err(_) => TokenError::TooManyAttempts,
        }
    }

    /// Whether a request bears the token.
    pub(crate) fn bears_token(&self, headers: &HeaderMap, from: IpAddr) -> Result<bool, TokenError> {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(token) = bearer.and_then(|text| text.strip_prefix("Bearer ")) else { return Ok(false) };
        self.is_token(token, from).map(|()| true)
    }

    fn cookie(&self, value: &str, lasts: Duration) -> String {
        let secure = if self.names.is_https { "; Secure" } else { "" };
        let name = self.names.cookie();
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}", lasts.as_secs())
    }

    /// The session of a request.
    pub(crate) fn session(&self, headers: &HeaderMap, from: IpAddr) -> Option<Session> {
        if let Some(proxy) = &self.proxy {
            return self.signed_in_by(proxy, headers, from);
        }
        let (token, ours) = (self.token.get()?, self.names.cookie());
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookies = cookies.flat_map(|text| text.split(';')).filter_map(|one| one.trim().split_once('='));
        let sessions = self.sessions.lock();
        // Another server on this machine may have set a cookie of the same name.
        let mut found =
            cookies.filter(|(name, _)| *name == ours).filter_map(|(_, value)| sessions.get(&hash(value)));
        found.find(|open| open.is_open(token)).map(|open| open.session.clone())
    }

    /// Whether a session that was open still is.
    pub(crate) fn is_open(&self, session: &Session) -> bool {
        if self.proxy.is_some() {
            // The proxy decides only when a request is sent.
            return true;
        }
        let Some(token) = self.token.get() else { return false };
        self.sessions.lock().get(&session.id).is_some_and(|open| open.is_open(token))
    }

    /// The session of the person whom the proxy signed in.
    fn signed_in_by(&self, proxy: &Proxy, headers: &HeaderMap, from: IpAddr) -> Option<Session> {
        let secret = headers.get(&PROXY_SECRET)?.as_bytes();
        // People choose this secret, so that it may be guessed: unlike the token, it is not compared after many wrong ones.
        if self.is_blocked(from) {
            return None;
        }
        if !bool::from(secret.ct_eq(proxy.secret.expose_secret().as_bytes())) {
            if self.count_wrong(from) == TokenError::TooManyAttempts {
                tracing::warn!("too many wrong secrets of the proxy from {from}: it is blocked for a minute");
                self.blocked.lock().insert(network(from), Instant::now() + BLOCKED);
            }
            return None;
        }
        let mut named = headers.get_all(&proxy.header).iter();
        let person = named.next()?.to_str().ok()?.trim();
        // A second name was sent by the client: the proxy did not remove it.
        if person.is_empty() || named.next().is_some() {
            return None;
        }
        let csrf = hex::encode(hash(&format!("csrf\n{}\n{person}", self.key)));
        Some(Session { csrf, person: Some(person.to_owned()), id: hash(&format!("id\n{person}")) })
    }

    /// Whether an address sent too many wrong secrets of the proxy.
    fn is_blocked(&self, from: IpAddr) -> bool {
        let mut blocked = self.blocked.lock();
        let now = Instant::now();
        if blocked.len() > ADDRESSES {
            blocked.retain(|_, until| *until > now);
        }
        blocked.get(&network(from)).is_some_and(|until| *until > now)
    }

    /// Whether a proxy signs people in.
    pub(crate) fn is_behind_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    /// Ends a session. Returns the cookie to set.
    pub(crate) fn sign_out(&self, session: &Session) -> String {
        self.sessions.lock().remove(&session.id);
        self.token.changes.publish();
        self.cookie("", Duration::ZERO)
    }
}

impl Session {
    /// Whether the token of a form is that of the session.
    pub(crate) fn made(&self, csrf: &str) -> bool {
        self.csrf.as_bytes().ct_eq(csrf.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests;
