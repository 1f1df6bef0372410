use chrono::TimeDelta;
use serde::de::IgnoredAny;

use super::*;
use crate::contract::{ErrorKind, HttpError, HttpErrorKind};
use crate::settings::{INTEGRATION_KEY, SIGNATURE};
use crate::signing::Scheme;
use crate::test_host::{HOSTNAME, SECRET, TestHost, settings};

const USERS: Endpoint<'_> =
    Endpoint { path: "/admin/v1/users", permissions: &["Grant resource - Read"], v5_only: false };
const POLICIES: Endpoint<'_> = Endpoint { path: "/admin/v2/policies", v5_only: true, ..USERS };

type Anything = IgnoredAny;

fn call(host: &TestHost, endpoint: &Endpoint<'_>, scheme: Scheme) -> Result<Reply<Anything>, Error> {
    let mut settings = Settings::parse(host, &settings()).unwrap();
    settings.scheme = scheme;
    Client::new(host, &settings, None).get(endpoint, &[("offset", "0"), ("limit", "300")])
}

fn error_of(status: u16, headers: &[(&str, &str)], body: &str) -> Error {
    let host = TestHost::answering(status, headers, body);
    let error = call(&host, &USERS, Scheme::V5).unwrap_err();
    // Properties of every error.
    let everything = format!("{error:?} {error} {:?}", host.log);
    for secret in [SECRET, "DIWJ8X6AEYOR5OMC6TQ1", "Basic "] {
        assert!(!everything.contains(secret), "{everything}");
    }
    assert!(!error.message.ends_with('.'), "{}", error.message);
    assert!(error.message.contains(USERS.path) && error.message.contains(HOSTNAME), "{}", error.message);
    error
}

fn missing_permission() -> ErrorKind {
    ErrorKind::MissingPermission(vec!["Grant resource - Read".to_owned()])
}

#[test]
fn a_request_is_signed_for_what_is_sent() {
    let host = TestHost::answering(200, &[], r#"{"stat":"OK","response":{}}"#);
    call(&host, &USERS, Scheme::V5).unwrap();
    let requests = host.requests.borrow();
    let request = requests.first().unwrap();
    assert_eq!(request.url, format!("https://{HOSTNAME}/admin/v1/users?limit=300&offset=0"));
    let unsigned = Unsigned {
        date: "Tue, 24 Nov 2026 17:29:18 -0000",
        method: "GET",
        host: HOSTNAME,
        path: "/admin/v1/users",
        params: "limit=300&offset=0",
        body: b"",
        headers: &[],
    };
    let authorization = signing::authorization(Scheme::V5, "DIWJ8X6AEYOR5OMC6TQ1", SECRET, &unsigned);
    assert!(request.headers.contains(&("date".to_owned(), unsigned.date.to_owned())));
    assert!(request.headers.contains(&("authorization".to_owned(), authorization)));
}

#[test]
fn a_request_without_parameters_has_no_question_mark() {
    let host = TestHost::answering(200, &[], r#"{"stat":"OK","response":{}}"#);
    let settings = Settings::parse(&host, &settings()).unwrap();
    Client::new(&host, &settings, None).get::<Anything>(&USERS, &[]).unwrap();
    assert_eq!(host.requests.borrow()[0].url, format!("https://{HOSTNAME}/admin/v1/users"));
}

#[test]
fn the_date_has_two_digits_of_day() {
    let mut host = TestHost::answering(200, &[], r#"{"stat":"OK","response":{}}"#);
    host.now = "2026-03-05T04:03:02.9Z".parse().unwrap();
    call(&host, &USERS, Scheme::V5).unwrap();
    let date = ("date".to_owned(), "Thu, 05 Mar 2026 04:03:02 -0000".to_owned());
    assert!(host.requests.borrow()[0].headers.contains(&date));
}

#[test]
fn each_failure_of_the_vendor_has_its_kind_its_code_and_its_remedy() {
    let cases: &[(u16, &str, ErrorKind, Option<&str>, &str)] = &[
        (
            401,
            r#"{"code":40101,"message":"Missing request credentials","stat":"FAIL"}"#,
            ErrorKind::Unauthenticated,
            Some("40101"),
            "`Authorization`",
        ),
        (
            401,
            r#"{"code":40102,"message":"Invalid integration key in request credentials","stat":"FAIL"}"#,
            ErrorKind::Unauthenticated,
            Some("40102"),
            "`integration-key` and `api-hostname`",
        ),
        (
            401,
            r#"{"code":"40103","message":"Invalid signature in request credentials","stat":"FAIL"}"#,
            ErrorKind::Unauthenticated,
            Some("40103"),
            "`secret-key`",
        ),
        (401, r#"{"code":40104,"stat":"FAIL"}"#, ErrorKind::Unauthenticated, Some("40104"), "the clock"),
        (401, r#"{"code":40105,"stat":"FAIL"}"#, ErrorKind::Unauthenticated, Some("40105"), "set the clock"),
        (401, r#"{"code":"","stat":"FAIL"}"#, ErrorKind::Unauthenticated, None, "`secret-key`"),
        (
            403,
            r#"{"code":40301,"message":"Access forbidden","stat":"FAIL"}"#,
            missing_permission(),
            Some("40301"),
            "*Grant resource - Read*",
        ),
        (
            403,
            r#"{"code":40301,"message":"Access forbidden","message_detail":"Wrong integration type for this API.","stat":"FAIL"}"#,
            ErrorKind::InvalidSetting(INTEGRATION_KEY.to_owned()),
            Some("40301"),
            "*Admin API*",
        ),
        (403, r#"{"stat":"FAIL"}"#, missing_permission(), None, "*Networks for API Access*"),
        (
            404,
            r#"{"code":40401,"message":"Resource not found","stat":"FAIL"}"#,
            ErrorKind::NotInEdition,
            Some("40401"),
            "this Duo deployment has no `/admin/v1/users`",
        ),
        (405, r#"{"code":40501,"stat":"FAIL"}"#, ErrorKind::NotInEdition, Some("40501"), "nothing to grant"),
        (405, "", ErrorKind::NotInEdition, None, "nothing to grant"),
        (404, "<html><title>Not Found</title>", ErrorKind::NotInEdition, None, "nothing to grant"),
        (429, r#"{"code":42901,"stat":"FAIL"}"#, ErrorKind::RateLimited(None), Some("42901"), ""),
        (429, "<html>slow down</html>", ErrorKind::RateLimited(None), None, ""),
        (500, r#"{"code":50001,"stat":"FAIL"}"#, ErrorKind::Unavailable(None), Some("50001"), ""),
        (502, "<html><title>Bad Gateway</title>", ErrorKind::Unavailable(None), None, ""),
        (503, "", ErrorKind::Unavailable(None), None, ""),
        (504, "upstream timed out", ErrorKind::Unavailable(None), None, ""),
        // With a status of success, the code decides.
        (200, r#"{"code":42901,"stat":"FAIL"}"#, ErrorKind::RateLimited(None), Some("42901"), ""),
        (200, r#"{"code":40301,"stat":"FAIL"}"#, missing_permission(), Some("40301"), "*Permissions*"),
        (200, r#"{"code":"50001","stat":"FAIL"}"#, ErrorKind::Unavailable(None), Some("50001"), ""),
        (200, r#"{"code":7,"stat":"FAIL"}"#, ErrorKind::Unexpected, Some("7"), ""),
        (200, r#"{"response":{}}"#, ErrorKind::Unexpected, None, ""),
        (200, "[]", ErrorKind::Unexpected, None, "a captive portal"),
        (200, "hello", ErrorKind::Unexpected, None, "a captive portal"),
        // HTML may be maintenance, which is temporary; the remedy names the other causes.
        (200, "<html><title>Sign in</title>", ErrorKind::Unavailable(None), None, "a captive portal"),
        (403, "<html><title>Blocked</title>", ErrorKind::Unexpected, None, "a proxy"),
        (407, "", ErrorKind::Unexpected, None, "a proxy"),
        // A cut connection: a retry may help.
        (200, "", ErrorKind::Unavailable(None), None, ""),
        (200, r#"{"stat":"OK","resp"#, ErrorKind::Unavailable(None), None, ""),
    ];
    for (status, body, kind, code, remedy) in cases {
        let error = error_of(*status, &[], body);
        assert_eq!(&error.kind, kind, "{status} {body}: {error:?}");
        assert_eq!(error.code.as_deref(), *code, "{status} {body}: {error:?}");
        assert!(error.remedy.as_deref().unwrap_or_default().contains(remedy), "{status} {body}: {error:?}");
        assert!(error.message.contains(&status.to_string()), "{status} {body}: {error:?}");
    }
}

#[test]
fn the_message_has_the_vendors_words() {
    let body = r#"{"code":40002,"message":"Invalid request parameters.","message_detail":"limit\nis odd","stat":"FAIL"}"#;
    let error = error_of(400, &[], body);
    assert_eq!(error.kind, ErrorKind::Unexpected);
    let path_and_host = "could not read `/admin/v1/users` from `api-12345678.duosecurity.com`";
    let expected =
        format!("{path_and_host}: answered 400, code 40002: Invalid request parameters: limit is odd");
    assert_eq!(error.message, expected);
}

#[test]
fn what_others_say_is_cut_and_a_body_is_never_repeated() {
    let long = "é".repeat(5_000);
    let error = error_of(400, &[], &format!(r#"{{"stat":"FAIL","message":"{long}"}}"#));
    assert!(error.message.chars().count() < 300, "{}", error.message);
    let error = error_of(200, &[], &format!("<html><title>Sign in</title><body>{SECRET} and {long}"));
    assert!(error.message.ends_with("an HTML page titled `Sign in`"), "{}", error.message);
}

#[test]
fn a_clock_that_is_off_is_measured_against_duos() {
    for (theirs, expected, remedy) in [
        (
            "Tue, 24 Nov 2026 17:24:15 GMT",
            "the clock of this machine is 5 min 3 s ahead of Duo's (signed at 2026-11-24T17:29:18Z, answered at \
             2026-11-24T17:24:15Z)",
            "NTP",
        ),
        ("Tue, 24 Nov 2026 19:30:18 GMT", "the clock of this machine is 2 h 1 min behind Duo's", "NTP"),
        ("Thu, 26 Nov 2026 18:29:18 GMT", "the clock of this machine is 2 d 1 h behind Duo's", "NTP"),
        ("Tue, 24 Nov 2026 17:29:20 GMT", "differs from Duo's by 2 s only", "proxy"),
    ] {
        let body = r#"{"code":40105,"message":"Bad request timestamp","stat":"FAIL"}"#;
        let error = error_of(401, &[("Date", theirs)], body);
        assert_eq!(error.kind, ErrorKind::Unauthenticated);
        assert!(error.message.contains(expected), "{}", error.message);
        assert!(error.remedy.unwrap().contains(remedy));
    }
}

#[test]
fn the_time_to_wait_is_read_in_both_its_forms() {
    let date = ("date", "Tue, 24 Nov 2026 17:00:00 GMT");
    for (value, expected) in [
        ("30", Some(30)),
        (" 0 ", Some(0)),
        ("99999999999", Some(u32::MAX)),
        ("Tue, 24 Nov 2026 17:01:30 GMT", Some(90)),
        ("Tue, 24 Nov 2026 16:00:00 GMT", Some(0)),
        ("soon", None),
        ("-5", None),
        ("", None),
    ] {
        let headers = [("retry-after", value), date];
        assert_eq!(error_of(429, &headers, "").kind, ErrorKind::RateLimited(expected), "{value}");
        assert_eq!(error_of(503, &headers, "").kind, ErrorKind::Unavailable(expected), "{value}");
    }
    // Without the vendor's `Date`, the host's clock counts: 17:29:18.
    let error = error_of(429, &[("retry-after", "Tue, 24 Nov 2026 17:29:28 GMT")], "");
    assert_eq!(error.kind, ErrorKind::RateLimited(Some(10)));
}

#[test]
fn a_redirect_is_refused_and_only_its_host_is_named() {
    for (location, named) in [
        ("https://portal.example.com:8443/login?token=abc", Some("portal.example.com")),
        ("https://user:abc@portal.example.com/", Some("portal.example.com")),
        ("//portal.example.com", Some("portal.example.com")),
        ("/elsewhere?token=abc", None),
        ("https://", None),
    ] {
        let error = error_of(302, &[("location", location)], "");
        assert_eq!(error.kind, ErrorKind::Unexpected);
        assert!(!error.message.contains("abc"), "{}", error.message);
        let expected =
            named.map_or("a redirect, which".to_owned(), |host| format!("a redirect to `{host}`, which"));
        assert!(error.message.contains(&expected), "{location}: {}", error.message);
    }
}

#[test]
fn no_answer_at_all_is_worth_another_try_only_where_that_can_help() {
    for (kind, expected) in [
        (HttpErrorKind::Unreachable, ErrorKind::Unavailable(None)),
        (HttpErrorKind::Timeout, ErrorKind::Unavailable(None)),
        (HttpErrorKind::Protocol, ErrorKind::Unavailable(None)),
        (HttpErrorKind::Tls, ErrorKind::Unexpected),
        (HttpErrorKind::Denied, ErrorKind::Unexpected),
        (HttpErrorKind::TooLarge, ErrorKind::Unexpected),
        (HttpErrorKind::InvalidRequest, ErrorKind::Unexpected),
    ] {
        let host =
            TestHost::with(move |_| Err(HttpError { kind, message: "the name did not resolve.".to_owned() }));
        let error = call(&host, &USERS, Scheme::V5).unwrap_err();
        assert_eq!(error.kind, expected, "{kind:?}");
        assert!(error.message.ends_with("no answer: the name did not resolve"), "{}", error.message);
        assert!(error.remedy.is_some(), "{kind:?}");
    }
}

#[test]
fn an_old_signature_is_named_where_it_is_the_cause() {
    for (status, code) in [(403, 40301), (401, 40103)] {
        let body = format!(r#"{{"code":{code},"stat":"FAIL"}}"#);
        let host = TestHost::answering(status, &[], &body);
        let remedy = |endpoint, scheme| call(&host, endpoint, scheme).unwrap_err().remedy.unwrap();
        let needs_v5 = format!("set `{SIGNATURE}` to `v5`: `/admin/v2/policies` takes no other");
        assert_eq!(remedy(&POLICIES, Scheme::V2Sha512), needs_v5);
        assert!(!remedy(&POLICIES, Scheme::V5).contains(SIGNATURE));
        assert!(!remedy(&USERS, Scheme::V5).contains(SIGNATURE));
    }
}

#[test]
fn each_call_is_signed_with_the_time_it_is_made_at() {
    let mut host = TestHost::answering(200, &[], r#"{"stat":"OK","response":{}}"#);
    call(&host, &USERS, Scheme::V5).unwrap();
    host.now += TimeDelta::seconds(1);
    call(&host, &USERS, Scheme::V5).unwrap();
    let requests = host.requests.borrow();
    assert_ne!(requests[0].headers, requests[1].headers);
    assert_eq!(requests[0].url, requests[1].url);
}
