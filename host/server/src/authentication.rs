//! Who may look: the token, sessions, the proxy that vouches, and what a request must look like to be let in.
//!
//! A session is a random cookie, of which only the hash is kept. What changes something needs the session's CSRF token in its
//! form, and an origin of ours.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connector_sandbox::private_file;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use parking_lot::{Mutex, MutexGuard};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How long a session lasts, whatever happens in it.
const LASTS: Duration = Duration::from_secs(12 * 60 * 60);
/// Sessions at a time; the one that ends next makes room for another.
const MOST_SESSIONS: usize = 1000;
/// ErrorBody tokens from one address, in a minute.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Addresses that are remembered for that, at the least: those that sent nothing wrong lately are forgotten beyond it.
const ADDRESSES: usize = 10_000;
/// Where a proxy that vouches shows that it is the one.
const PROXY_SECRET: HeaderName = HeaderName::from_static("x-connector-host-proxy-secret");

type Hash = [u8; 32];

/// People can't be signed in.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// The token to sign in with can't be kept.
    #[error("could not keep the token to sign in with at `{path}`: {error}")]
    Token {
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The system has no randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// A proxy that signs people in, and vouches for them in a header.
#[derive(Debug)]
pub struct Proxy {
    /// The header that names the person.
    header: HeaderName,
    /// What it sends in `X-Connector-Host-Proxy-Secret`, to prove that it is the proxy.
    secret: SecretString,
}

impl Proxy {
    /// A proxy that names the person in `header`. `None` where that is not the name of a header.
    #[must_use]
    pub fn new(header: &str, secret: SecretString) -> Option<Self> {
        Some(Self { header: header.parse().ok()?, secret })
    }
}

/// Somebody who may look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// What a form must hold.
    pub(crate) csrf: String,
    /// Who, where a proxy says so.
    pub(crate) who: Option<String>,
    /// Names the session without opening it.
    pub(crate) id: Hash,
}

struct Kept {
    session: Session,
    /// The token it was opened with: another token ends it.
    token: Hash,
    until: Instant,
}

impl Kept {
    /// Whether it lasts, `token` being the hash of the token that there is now.
    fn is_open(&self, token: &str) -> bool {
        self.until > Instant::now() && hex::encode(&self.token) == token
    }
}

/// Lets in who may look.
pub(crate) struct Gate {
    token_file: PathBuf,
    sessions: Mutex<HashMap<Hash, Kept>>,
    attempts: DefaultKeyedRateLimiter<IpAddr>,
    proxy: Option<Proxy>,
    /// Makes the CSRF tokens of those a proxy vouches for.
    key: String,
    names: Names,
}

/// What this server is called.
#[derive(Debug)]
pub(crate) struct Names {
    /// With ports: `127.0.0.1:8420`.
    pub(crate) hosts: Vec<String>,
    /// Whether people see it over https.
    pub(crate) is_https: bool,
    /// Where it listens. Cookies know no ports: two servers on one machine would take each other's.
    pub(crate) port: u16,
}

impl Names {
    /// The name of the cookie of a session.
    fn cookie(&self) -> String {
        // Browsers take this prefix from nobody but the very host, over https.
        let prefix = if self.is_https { "__Host-" } else { "" };
        format!("{prefix}connector-host-{}", self.port)
    }
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotIn {
    /// Too many attempts.
    Slowly,
    /// Not that token.
    ErrorBody,
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

/// What one customer of a provider has: an address, or of IPv6 the 64 bits that are not his to choose.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

/// Makes a token to sign in with, and keeps its hash at `file`; one that was before opens nothing any more. Returns the
/// token, which nobody can find out later.
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
    /// For these names. The second is a token, where there was none before.
    pub(crate) fn open(
        token_file: PathBuf,
        proxy: Option<Proxy>,
        names: Names,
    ) -> Result<(Self, Option<String>), AuthenticationError> {
        let made = if token_file.exists() { None } else { Some(new_token(&token_file)?) };
        let gate = Self {
            token_file,
            sessions: Mutex::default(),
            attempts: RateLimiter::keyed(Quota::per_minute(ATTEMPTS)),
            proxy,
            key: random()?,
            names,
        };
        Ok((gate, made))
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Hash, Kept>> {
        // Each change of it is one insertion or removal.
        self.sessions.lock()
    }

    /// The hash of the token, as it is now.
    fn token(&self) -> Option<String> {
        std::fs::read_to_string(&self.token_file).ok().map(|text| text.trim().to_owned())
    }

    /// Whether a request names this server. One that does not was sent by a page whose name was made to lead here.
    pub(crate) fn knows_host(&self, headers: &HeaderMap, uri: &axum::http::Uri) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| uri.authority().map(|authority| authority.as_str()));
        host.is_some_and(|host| self.names.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)))
    }

    /// Whether a request that changes something comes from a page of ours, as far as the browser says.
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

    /// The token, from that address: the cookie to set.
    pub(crate) fn sign_in(&self, token: &str, from: IpAddr) -> Result<String, NotIn> {
        self.is_token(token, from)?;
        let (cookie, csrf) =
            (random().map_err(|_| NotIn::ErrorBody)?, random().map_err(|_| NotIn::ErrorBody)?);
        let (id, token) = (hash(&cookie), hash(token.trim()));
        let kept = Kept { session: Session { csrf, who: None, id }, token, until: Instant::now() + LASTS };
        let mut sessions = self.sessions();
        // Those of another token open nothing any more.
        sessions.retain(|_, kept| kept.until > Instant::now() && kept.token == token);
        if sessions.len() >= MOST_SESSIONS
            && let Some(first) = sessions.iter().min_by_key(|(_, kept)| kept.until).map(|(id, _)| *id)
        {
            sessions.remove(&first);
        }
        sessions.insert(id, kept);
        Ok(self.cookie(&cookie, LASTS))
    }

    /// Whether this is the token, sent from that address. ErrorBody ones are counted, and answered slowly in the end. The right
    /// one is taken whatever was sent before: nobody guesses 256 bits, and nobody shall keep its owner out.
    pub(crate) fn is_token(&self, token: &str, from: IpAddr) -> Result<(), NotIn> {
        let known = self.token().unwrap_or_default();
        if bool::from(hex::encode(&hash(token.trim())).as_bytes().ct_eq(known.as_bytes())) {
            return Ok(());
        }
        if self.attempts.len() > ADDRESSES {
            self.attempts.retain_recent();
        }
        match self.attempts.check_key(&network(from)) {
            Ok(()) => Err(NotIn::ErrorBody),
            Err(_) => Err(NotIn::Slowly),
        }
    }

    /// Whether a request of a program bears the token.
    pub(crate) fn bears_token(&self, headers: &HeaderMap, from: IpAddr) -> Result<bool, NotIn> {
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
    pub(crate) fn session(&self, headers: &HeaderMap) -> Option<Session> {
        if let Some(proxy) = &self.proxy {
            return self.vouched(proxy, headers);
        }
        let (token, ours) = (self.token()?, self.names.cookie());
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookies = cookies.flat_map(|text| text.split(';')).filter_map(|one| one.trim().split_once('='));
        let sessions = self.sessions();
        // Another server of this machine may have set one of the same name.
        let mut kept =
            cookies.filter(|(name, _)| *name == ours).filter_map(|(_, value)| sessions.get(&hash(value)));
        kept.find(|kept| kept.is_open(&token)).map(|kept| kept.session.clone())
    }

    /// Whether a session that was open still is.
    pub(crate) fn is_open(&self, session: &Session) -> bool {
        if self.proxy.is_some() {
            // Only a request tells what the proxy thinks now.
            return true;
        }
        let Some(token) = self.token() else { return false };
        self.sessions().get(&session.id).is_some_and(|kept| kept.is_open(&token))
    }

    /// Whom the proxy vouches for.
    fn vouched(&self, proxy: &Proxy, headers: &HeaderMap) -> Option<Session> {
        let secret = headers.get(&PROXY_SECRET)?.as_bytes();
        if !bool::from(secret.ct_eq(proxy.secret.expose_secret().as_bytes())) {
            return None;
        }
        let mut named = headers.get_all(&proxy.header).iter();
        let who = named.next()?.to_str().ok()?.trim();
        // Two names: the proxy let one through that it did not set.
        if who.is_empty() || named.next().is_some() {
            return None;
        }
        let csrf = hex::encode(&hash(&format!("csrf\n{}\n{who}", self.key)));
        Some(Session { csrf, who: Some(who.to_owned()), id: hash(&format!("id\n{who}")) })
    }

    /// Whether people sign in elsewhere.
    pub(crate) fn is_behind_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    /// Ends a session: the cookie to set.
    pub(crate) fn sign_out(&self, session: &Session) -> String {
        self.sessions().remove(&session.id);
        self.cookie("", Duration::ZERO)
    }
}

impl Session {
    /// Whether a form holds its token.
    pub(crate) fn made(&self, csrf: &str) -> bool {
        self.csrf.as_bytes().ct_eq(csrf.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn gate(folder: &Path) -> (Gate, String) {
        let hosts = vec!["127.0.0.1:8420".to_owned(), "localhost:8420".to_owned()];
        let names = Names { hosts, is_https: false, port: 8420 };
        let (gate, token) = Gate::open(folder.join("token"), None, names).unwrap();
        (gate, token.unwrap())
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn with_cookie(set: &str) -> HeaderMap {
        let ours = set.split(';').next().unwrap();
        headers(&[("cookie", &format!("other=1; connector-host-8420=planted; {ours}; connector-host-1=x"))])
    }

    #[test]
    fn the_token_opens_a_session_until_it_is_signed_out_or_there_is_another_token() {
        let folder = tempfile::tempdir().unwrap();
        let (gate, token) = gate(folder.path());
        let kept = std::fs::read_to_string(folder.path().join("token")).unwrap();
        assert!(!kept.contains(&token), "only its hash is kept");
        assert_eq!(gate.sign_in("hunter2", HERE), Err(NotIn::ErrorBody));
        assert_eq!(gate.sign_in("", HERE), Err(NotIn::ErrorBody));
        let cookie = gate.sign_in(&token, HERE).unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        let session = gate.session(&with_cookie(&cookie)).unwrap();
        assert!(session.made(&session.csrf) && !session.made("") && !session.made(&token));
        assert_eq!(gate.session(&headers(&[])), None);
        assert_eq!(gate.session(&with_cookie("connector-host-8420=x")), None);
        assert!(gate.is_open(&session));
        gate.sign_out(&session);
        assert!(!gate.is_open(&session));
        assert_eq!(gate.session(&with_cookie(&cookie)), None);

        let cookie = gate.sign_in(&token, HERE).unwrap();
        let session = gate.session(&with_cookie(&cookie)).unwrap();
        let other = new_token(&folder.path().join("token")).unwrap();
        assert_eq!(gate.session(&with_cookie(&cookie)), None);
        assert!(!gate.is_open(&session));
        assert_eq!(gate.sign_in(&token, HERE), Err(NotIn::ErrorBody));
        assert!(gate.sign_in(&other, HERE).is_ok());
        assert_eq!(gate.sessions().len(), 1, "those of the token before are gone");
    }

    #[test]
    fn there_is_always_room_for_one_who_has_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let (gate, token) = gate(folder.path());
        let first = gate.sign_in(&token, HERE).unwrap();
        for _ in 0..MOST_SESSIONS {
            gate.sign_in(&token, HERE).unwrap();
        }
        assert_eq!(gate.sessions().len(), MOST_SESSIONS);
        assert_eq!(gate.session(&with_cookie(&first)), None);
    }

    #[test]
    fn over_https_the_cookie_is_the_host_s_own() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names { hosts: Vec::new(), is_https: true, port: 8420 };
        let (gate, token) = Gate::open(folder.path().join("token"), None, names).unwrap();
        let cookie = gate.sign_in(&token.unwrap(), HERE).unwrap();
        assert!(
            cookie.starts_with("__Host-") && cookie.contains("; Secure") && cookie.contains("Path=/;"),
            "{cookie}"
        );
        assert!(gate.session(&headers(&[("cookie", cookie.split(';').next().unwrap())])).is_some());
    }

    #[test]
    fn who_guesses_is_slowed_down_and_keeps_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let (gate, token) = gate(folder.path());
        let guesses: Vec<_> = (0..12).map(|_| gate.sign_in("guess", HERE)).collect();
        assert_eq!(guesses[9], Err(NotIn::ErrorBody));
        assert_eq!(guesses[10], Err(NotIn::Slowly));
        let bearer = |token: &str| headers(&[("authorization", &format!("Bearer {token}"))]);
        assert_eq!(gate.bears_token(&bearer("guess"), HERE), Err(NotIn::Slowly));
        assert_eq!(gate.sign_in("guess", "10.0.0.1".parse().unwrap()), Err(NotIn::ErrorBody));
        assert!(gate.sign_in(&token, HERE).is_ok());
        assert_eq!(gate.bears_token(&bearer(&token), HERE), Ok(true));
    }

    #[test]
    fn addresses_of_one_customer_count_as_one() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:3::1"), "2001:db8:1:3::");
        assert_eq!(network("::ffff:10.1.2.3"), "10.1.2.3");
        assert_eq!(network("10.1.2.3"), "10.1.2.3");
    }

    #[test]
    fn only_our_names_and_our_pages() {
        let folder = tempfile::tempdir().unwrap();
        let (gate, _) = gate(folder.path());
        let uri = axum::http::Uri::from_static("/integrations");
        for (host, known) in [
            ("127.0.0.1:8420", true),
            ("LOCALHOST:8420", true),
            ("evil.example:8420", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(gate.knows_host(&headers(&[("host", host)]), &uri), known, "{host}");
        }
        assert!(!gate.knows_host(&headers(&[]), &uri));
        for (name, value, ours) in [
            ("origin", "http://127.0.0.1:8420", true),
            ("origin", "https://127.0.0.1:8420", false),
            ("origin", "http://evil.example", false),
            ("origin", "null", false),
            ("sec-fetch-site", "cross-site", false),
            ("sec-fetch-site", "same-origin", true),
        ] {
            assert_eq!(gate.is_ours(&Method::POST, &headers(&[(name, value)])), ours, "{name}: {value}");
            assert!(gate.is_ours(&Method::GET, &headers(&[(name, value)])));
        }
    }

    #[test]
    fn only_the_proxy_vouches() {
        let folder = tempfile::tempdir().unwrap();
        let proxy = Proxy { header: HeaderName::from_static("x-email"), secret: "hunter2".into() };
        let names = Names { hosts: Vec::new(), is_https: true, port: 8420 };
        let (gate, _) = Gate::open(folder.path().join("token"), Some(proxy), names).unwrap();
        let secret = "x-connector-host-proxy-secret";
        let session = |pairs: &[(&'static str, &str)]| gate.session(&headers(pairs));
        let ann = session(&[(secret, "hunter2"), ("x-email", "ann@example.com")]).unwrap();
        assert_eq!(ann.who.as_deref(), Some("ann@example.com"));
        let bob = session(&[(secret, "hunter2"), ("x-email", "bob@example.com")]).unwrap();
        assert!(!bob.made(&ann.csrf));
        assert_eq!(session(&[("x-email", "ann@example.com")]), None);
        assert_eq!(session(&[(secret, "hunter3"), ("x-email", "ann@example.com")]), None);
        assert_eq!(session(&[(secret, "hunter2")]), None);
        let mut twice = headers(&[(secret, "hunter2"), ("x-email", "ann@example.com")]);
        twice.append("x-email", HeaderValue::from_static("owner@example.com"));
        assert_eq!(gate.session(&twice), None);
    }
}
