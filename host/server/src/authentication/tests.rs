use super::*;
use axum::http::HeaderValue;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

async fn open(folder: &Path, proxy: Option<Proxy>, names: Names) -> (Gate, Option<String>) {
    let token = TokenHash::read(folder.join("token"), Changes::default()).await;
    Gate::open(token, proxy, names).await.unwrap()
}

async fn gate(folder: &Path) -> (Gate, String) {
    let hosts = vec!["127.0.0.1:8420".to_owned(), "localhost:8420".to_owned()];
    let names = Names { hosts, is_https: false, port: 8420 };
    let (gate, token) = open(folder, None, names).await;
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

#[tokio::test]
async fn the_token_opens_a_session_until_it_is_signed_out_or_there_is_another_token() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, token) = gate(folder.path()).await;
    let kept = std::fs::read_to_string(folder.path().join("token")).unwrap();
    assert!(!kept.contains(&token), "only its hash is kept");
    assert_eq!(gate.sign_in("hunter2", HERE), Err(TokenError::Wrong));
    assert_eq!(gate.sign_in("", HERE), Err(TokenError::Wrong));
    let cookie = gate.sign_in(&token, HERE).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let session = gate.session(&with_cookie(&cookie), HERE).unwrap();
    assert!(session.made(&session.csrf) && !session.made("") && !session.made(&token));
    assert_eq!(gate.session(&headers(&[]), HERE), None);
    assert_eq!(gate.session(&with_cookie("connector-host-8420=x"), HERE), None);
    assert!(gate.is_open(&session));
    gate.sign_out(&session);
    assert!(!gate.is_open(&session));
    assert_eq!(gate.session(&with_cookie(&cookie), HERE), None);

    let cookie = gate.sign_in(&token, HERE).unwrap();
    let session = gate.session(&with_cookie(&cookie), HERE).unwrap();
    let other = new_token(&folder.path().join("token")).unwrap();
    let mut changed = gate.token.changes.subscribe();
    gate.refresh_token().await;
    assert!(changed.has_changed().unwrap(), "open pages learn that their session ended");
    changed.mark_unchanged();
    gate.refresh_token().await;
    assert!(!changed.has_changed().unwrap());
    assert_eq!(gate.session(&with_cookie(&cookie), HERE), None);
    assert!(!gate.is_open(&session));
    assert_eq!(gate.sign_in(&token, HERE), Err(TokenError::Wrong));
    assert!(gate.sign_in(&other, HERE).is_ok());
    assert_eq!(gate.sessions.lock().len(), 1, "those of the former token were removed");
}

#[tokio::test]
async fn a_token_file_that_is_broken_accepts_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, token) = gate(folder.path()).await;
    let cookie = gate.sign_in(&token, HERE).unwrap();
    for text in ["", "00", "not hexadecimal"] {
        std::fs::write(folder.path().join("token"), text).unwrap();
        gate.refresh_token().await;
        assert_eq!(gate.session(&with_cookie(&cookie), HERE), None);
        assert_eq!(gate.sign_in(&token, HERE), Err(TokenError::Wrong));
    }
}

#[tokio::test]
async fn the_token_opens_a_session_also_where_the_most_are_open() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, token) = gate(folder.path()).await;
    let first = gate.sign_in(&token, HERE).unwrap();
    for _ in 0..MOST_SESSIONS {
        gate.sign_in(&token, HERE).unwrap();
    }
    assert_eq!(gate.sessions.lock().len(), MOST_SESSIONS);
    assert_eq!(gate.session(&with_cookie(&first), HERE), None);
}

#[tokio::test]
async fn over_https_the_cookie_is_the_host_s_own() {
    let folder = tempfile::tempdir().unwrap();
    let names = Names { hosts: Vec::new(), is_https: true, port: 8420 };
    let (gate, token) = open(folder.path(), None, names).await;
    let cookie = gate.sign_in(&token.unwrap(), HERE).unwrap();
    assert!(
        cookie.starts_with("__Host-") && cookie.contains("; Secure") && cookie.contains("Path=/;"),
        "{cookie}"
    );
    assert!(gate.session(&headers(&[("cookie", cookie.split(';').next().unwrap())]), HERE).is_some());
}

#[tokio::test]
async fn wrong_tokens_are_limited_and_the_right_one_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, token) = gate(folder.path()).await;
    let guesses: Vec<_> = (0..12).map(|_| gate.sign_in("guess", HERE)).collect();
    assert_eq!(guesses[9], Err(TokenError::Wrong));
    assert_eq!(guesses[10], Err(TokenError::TooManyAttempts));
    let bearer = |token: &str| headers(&[("authorization", &format!("Bearer {token}"))]);
    assert_eq!(gate.bears_token(&bearer("guess"), HERE), Err(TokenError::TooManyAttempts));
    assert_eq!(gate.sign_in("guess", "10.0.0.1".parse().unwrap()), Err(TokenError::Wrong));
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

#[tokio::test]
async fn only_the_names_and_the_pages_of_this_server_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path()).await;
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
    let mut twice = headers(&[("host", "127.0.0.1:8420")]);
    twice.append(header::HOST, HeaderValue::from_static("localhost:8420"));
    assert!(!gate.knows_host(&twice, &uri));
    for (absolute, known) in [("http://localhost:8420/", true), ("http://evil.example:8420/", false)] {
        let (absolute, ours) = (absolute.parse().unwrap(), headers(&[("host", "localhost:8420")]));
        assert_eq!(gate.knows_host(&ours, &absolute), known, "{absolute}");
        assert_eq!(gate.knows_host(&headers(&[]), &absolute), known, "{absolute}");
        let foreign = headers(&[("host", "evil.example:8420")]);
        assert!(!gate.knows_host(&foreign, &absolute), "{absolute}");
    }
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

#[tokio::test]
async fn only_the_proxy_names_a_person() {
    let folder = tempfile::tempdir().unwrap();
    let proxy = Proxy { header: HeaderName::from_static("x-email"), secret: "hunter2".into() };
    let names = Names { hosts: Vec::new(), is_https: true, port: 8420 };
    let (gate, _) = open(folder.path(), Some(proxy), names).await;
    let secret = "x-connector-host-proxy-secret";
    let session = |pairs: &[(&'static str, &str)]| gate.session(&headers(pairs), HERE);
    let ann = session(&[(secret, "hunter2"), ("x-email", "ann@example.com")]).unwrap();
    assert_eq!(ann.person.as_deref(), Some("ann@example.com"));
    let bob = session(&[(secret, "hunter2"), ("x-email", "bob@example.com")]).unwrap();
    assert!(!bob.made(&ann.csrf));
    assert_eq!(session(&[("x-email", "ann@example.com")]), None);
    assert_eq!(session(&[(secret, "hunter3"), ("x-email", "ann@example.com")]), None);
    assert_eq!(session(&[(secret, "hunter2")]), None);
    let mut twice = headers(&[(secret, "hunter2"), ("x-email", "ann@example.com")]);
    twice.append("x-email", HeaderValue::from_static("owner@example.com"));
    assert_eq!(gate.session(&twice, HERE), None);

    // After ten wrong secrets, the address is not answered for a minute; others are.
    (0..12).for_each(|_| assert_eq!(session(&[(secret, "guess"), ("x-email", "ann@example.com")]), None));
    let right = headers(&[(secret, "hunter2"), ("x-email", "ann@example.com")]);
    assert_eq!(gate.session(&right, HERE), None);
    assert!(gate.session(&right, "10.0.0.1".parse().unwrap()).is_some());
    gate.blocked.lock().values_mut().for_each(|until| *until = Instant::now());
    assert!(gate.session(&right, HERE).is_some());
}

#[test]
fn a_header_with_another_meaning_names_nobody() {
    for (name, may_name) in [
        ("X-Forwarded-Email", true),
        ("Remote-User", true),
        ("Host", false),
        ("cookie", false),
        ("Authorization", false),
        ("Sec-Fetch-Site", false),
        ("Content-Type", false),
        ("X-Connector-Host-Proxy-Secret", false),
        ("two words", false),
    ] {
        assert_eq!(Proxy::new(name, "hunter2".into()).is_some(), may_name, "{name}");
    }
}
