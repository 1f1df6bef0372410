//! Checks the settings with one cheap request for each group of endpoints that one permission opens. The report has
//! a row for each stream.

use chrono::TimeDelta;

use crate::api::Client;
use crate::contract::{Access, Error, ErrorKind, Report, StreamAccess};
use crate::permission_group::PermissionGroup;
use crate::settings::API_HOSTNAME;
use crate::streams::STREAMS;

/// The result for a group.
struct Probed {
    group: &'static PermissionGroup,
    access: Access,
}

/// After a temporary failure, a check that has taken longer sends no further requests: a request without an answer
/// takes a minute, and a call may take two.
const PATIENCE: TimeDelta = TimeDelta::seconds(20);

/// See `check` in `wit/connector.wit`.
pub(crate) fn check(client: &Client<'_>) -> Result<Report, Error> {
    let begun = client.now();
    let mut probed: Vec<Probed> = Vec::new();
    // The first temporary failure. The stream may be readable later, and other streams now, so the check continues.
    let mut passing: Option<Error> = None;
    for stream in STREAMS {
        if find(&probed, stream.permission_group).is_none() {
            let answer = match &passing {
                Some(error) if client.now() - begun > PATIENCE => {
                    refused(stream.permission_group, error.clone())
                }
                _ => probe(client, stream.permission_group, &probed)?,
            };
            if let Access::Refused(error) = &answer.access
                && is_passing(error)
            {
                passing = Some(passing.unwrap_or_else(|| error.clone()));
            }
            probed.push(answer);
        }
    }
    // A report needs at least one answer that is certainly Duo's: no other server can accept the credentials.
    if !probed.iter().any(|probed| duo_answered(&probed.access)) {
        let refusals = probed.into_iter().filter_map(|probed| match probed.access {
            Access::Refused(error) => Some(error),
            Access::Readable => None,
        });
        // A temporary failure comes first: a retry may succeed.
        return match passing.or_else(|| refusals.into_iter().next()) {
            // A server that has none of the endpoints is not Duo.
            Some(error) if error.kind == ErrorKind::NotInEdition => {
                Err(Error { kind: ErrorKind::Unexpected, ..error }.remedy(format!("check `{API_HOSTNAME}`")))
            }
            Some(error) => Err(error),
            None => Ok(Report { account: None, streams: Vec::new() }),
        };
    }
    let streams = STREAMS.iter().filter_map(|stream| {
        let probed = find(&probed, stream.permission_group)?;
        Some(StreamAccess { stream: stream.name.to_owned(), access: probed.access.clone() })
    });
    let streams = streams.collect();
    Ok(Report { account: Some(client.api_hostname().to_owned()), streams })
}

fn find<'a>(probed: &'a [Probed], group: &PermissionGroup) -> Option<&'a Probed> {
    probed.iter().find(|probed| std::ptr::eq(probed.group, group))
}

fn refused(group: &'static PermissionGroup, error: Error) -> Probed {
    Probed { group, access: Access::Refused(error) }
}

/// Whether the failure is temporary.
fn is_passing(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::RateLimited(_) | ErrorKind::Unavailable(_))
}

/// The result for `group`. An error means that no group can be read.
fn probe(client: &Client<'_>, group: &'static PermissionGroup, others: &[Probed]) -> Result<Probed, Error> {
    let mut error = match (group.probe)(client) {
        Ok(()) => return Ok(Probed { group, access: Access::Readable }),
        Err(error) => error,
    };
    match error.kind {
        ErrorKind::InvalidSetting(_) | ErrorKind::Unauthenticated => return Err(error),
        ErrorKind::MissingPermission(_) => {
            let same_permission = group.edition_of.and_then(|other| find(others, other));
            if same_permission.is_some_and(|other| other.access == Access::Readable) {
                error.kind = ErrorKind::NotInEdition;
                error.remedy = Some(format!(
                    "nothing to grant: {} is granted, but the account's edition does not have this endpoint",
                    group.permissions.join(" or ")
                ));
            }
        }
        _ => {}
    }
    Ok(refused(group, error))
}

fn duo_answered(access: &Access) -> bool {
    match access {
        Access::Readable => true,
        Access::Refused(error) => matches!(error.kind, ErrorKind::MissingPermission(_)),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use crate::contract::{Access, Error, ErrorKind, HttpError, HttpErrorKind, Report};
    use crate::streams::STREAMS;
    use crate::test_host::{HOSTNAME, SECRET, TestHost, response, settings};

    const EMPTY: (u16, &str) = (200, r#"{"stat":"OK","response":[]}"#);
    const FORBIDDEN: (u16, &str) = (403, r#"{"code":40301,"message":"Access forbidden","stat":"FAIL"}"#);

    /// The report if `answer` answers each path, and the requested paths.
    fn check(answer: fn(&str) -> (u16, &'static str)) -> (Result<Report, Error>, Vec<String>) {
        let host = TestHost::with(move |request| {
            let (status, body) = answer(&request.url);
            Ok(response(status, &[], body))
        });
        let report = crate::check(&host, &settings());
        assert!(!format!("{report:?} {:?}", host.log).contains(SECRET));
        let prefix = format!("https://{HOSTNAME}");
        let requests = host.requests.take().into_iter();
        (report, requests.map(|request| request.url.replace(&prefix, "")).collect())
    }

    fn kind_of(report: &Report, stream: &str) -> Option<ErrorKind> {
        match &report.streams.iter().find(|row| row.stream == stream).unwrap().access {
            Access::Readable => None,
            Access::Refused(error) => Some(error.kind.clone()),
        }
    }

    fn missing(names: &[&str]) -> Option<ErrorKind> {
        Some(ErrorKind::MissingPermission(names.iter().map(|&name| name.to_owned()).collect()))
    }

    #[test]
    fn streams_that_open_together_cost_one_small_request() {
        let (report, paths) = check(|_| EMPTY);
        assert_eq!(
            paths,
            [
                "/admin/v1/groups?limit=1&offset=0",
                "/admin/v3/integrations?limit=1&offset=0",
                "/admin/v2/policies?limit=1&offset=0",
                "/admin/v1/admins?limit=1&offset=0",
                "/admin/v1/administrative_units?limit=1&offset=0",
                "/admin/v1/info/summary",
                "/admin/v2/logs/authentication?limit=1&maxtime=1795541238000&mintime=1795454958000&sort=ts%3Aasc",
            ]
        );
        let streams = report.unwrap().streams;
        let names: Vec<&str> = streams.iter().map(|row| row.stream.as_str()).collect();
        assert_eq!(names, STREAMS.iter().map(|stream| stream.name).collect::<Vec<_>>());
        assert!(streams.iter().all(|row| row.access == Access::Readable));
    }

    #[test]
    fn the_account_is_named_by_its_hostname_whatever_may_be_read() {
        const NEW: (u16, &str) = (
            200,
            r#"{"response":{"account_id":"DAOSZ4YYK0VOGIA1JIYJ","edition":"Duo Premier"},"stat":"OK"}"#,
        );
        const OLD: (u16, &str) = (200, r#"{"response":{"user_count":4},"stat":"OK"}"#);
        let account = |answer| check(answer).0.unwrap().account.unwrap();
        assert_eq!(account(|url| if url.contains("/info/") { NEW } else { EMPTY }), HOSTNAME);
        assert_eq!(account(|url| if url.contains("/info/") { OLD } else { EMPTY }), HOSTNAME);
        assert_eq!(account(|url| if url.contains("/info/") { (200, "hello") } else { EMPTY }), HOSTNAME);
        assert_eq!(account(|url| if url.contains("/info/") { FORBIDDEN } else { EMPTY }), HOSTNAME);
    }

    #[test]
    fn each_family_names_its_own_permission() {
        let report = check(|_| FORBIDDEN).0.unwrap();
        let resource = missing(&["Grant resource - Read"]);
        for (stream, expected) in [
            ("users", &resource),
            ("bypass-codes", &resource),
            ("policies", &resource),
            ("applications", &missing(&["Grant resource - Read", "Grant applications"])),
            ("administrators", &missing(&["Grant administrators - Read"])),
            ("administrative-units", &missing(&["Grant administrators - Read"])),
            ("account", &missing(&["Grant read information"])),
            ("application-usage", &missing(&["Grant read log"])),
        ] {
            assert_eq!(&kind_of(&report, stream), expected, "{stream}");
        }
        for (part, refused) in [
            (
                "/v1/groups",
                "users groups phones hardware-tokens webauthn-credentials desktop-authenticators bypass-codes",
            ),
            ("/integrations", "applications"),
            ("/v2/policies", "policies"),
            ("/info/", "account"),
            ("/logs/", "application-usage"),
        ] {
            let answers: fn(&str, &str) -> _ = |url, part| if url.contains(part) { FORBIDDEN } else { EMPTY };
            let host = TestHost::with(move |request| {
                let (status, body) = answers(&request.url, part);
                Ok(response(status, &[], body))
            });
            let report = crate::check(&host, &settings()).unwrap();
            let rows = report.streams.iter().filter(|row| row.access != Access::Readable);
            let rows: Vec<&str> = rows.map(|row| row.stream.as_str()).collect();
            assert_eq!(rows.join(" "), refused, "{part}");
        }
    }

    #[test]
    fn applications_fall_back_to_version_1() {
        let (report, paths) = check(|url| if url.contains("/v3/") { FORBIDDEN } else { EMPTY });
        assert_eq!(kind_of(&report.unwrap(), "applications"), None);
        assert!(paths.contains(&"/admin/v1/integrations?limit=1&offset=0".to_owned()), "{paths:?}");
    }

    #[test]
    fn what_the_permission_opens_elsewhere_and_not_here_the_edition_lacks() {
        let report =
            check(|url| if url.contains("administrative_units") { FORBIDDEN } else { EMPTY }).0.unwrap();
        assert_eq!(kind_of(&report, "administrators"), None);
        assert_eq!(kind_of(&report, "administrative-units"), Some(ErrorKind::NotInEdition));
    }

    #[test]
    fn an_old_signature_is_not_tried_where_it_is_refused() {
        let host = TestHost::answering(200, &[], EMPTY.1);
        let mut settings = settings();
        settings.push(crate::contract::Setting { name: "signature".into(), value: "v2-sha1".into() });
        let report = crate::check(&host, &settings).unwrap();
        assert_eq!(kind_of(&report, "policies"), Some(ErrorKind::Unexpected));
        assert_eq!(kind_of(&report, "applications"), None);
        let urls = host.requests.take().into_iter().map(|request| request.url);
        assert!(urls.clone().any(|url| url.contains("/v1/integrations")));
        assert!(!urls.clone().any(|url| url.contains("/v3/") || url.contains("/v2/policies")));
    }

    #[test]
    fn what_can_not_be_asked_now_is_its_own_streams_concern_and_no_other() {
        const LIMITED: (u16, &str) = (429, r#"{"code":42901,"message":"Too many requests","stat":"FAIL"}"#);
        const DOWN: (u16, &str) = (503, "");
        for (part, streams) in [
            ("/logs/", "application-usage"),
            ("/v2/policies", "policies"),
            ("administrative_units", "administrative-units"),
            ("/info/summary", "account"),
            (
                "/v1/groups",
                "users groups phones hardware-tokens webauthn-credentials desktop-authenticators bypass-codes",
            ),
        ] {
            for (answer, kind) in
                [(LIMITED, ErrorKind::RateLimited(None)), (DOWN, ErrorKind::Unavailable(None))]
            {
                let host = TestHost::with(move |request| {
                    let (status, body) = if request.url.contains(part) { answer } else { EMPTY };
                    Ok(response(status, &[], body))
                });
                let report = crate::check(&host, &settings()).unwrap();
                let refused = report.streams.iter().filter(|row| row.access != Access::Readable);
                let refused: Vec<&str> = refused.map(|row| row.stream.as_str()).collect();
                assert_eq!(refused.join(" "), streams, "{part}");
                assert!(refused.iter().all(|stream| kind_of(&report, stream) == Some(kind.clone())));
                assert_eq!(report.account.as_deref(), Some(HOSTNAME), "{part}");
            }
        }
    }

    #[test]
    fn where_only_what_can_not_be_asked_now_and_what_is_not_duo_answer_it_is_asked_again() {
        let report = check(|url| if url.contains("/logs/") { (429, "") } else { (200, "hello") }).0;
        assert_eq!(report.unwrap_err().kind, ErrorKind::RateLimited(None));
    }

    #[test]
    fn what_does_not_answer_for_long_is_waited_for_once() {
        let host = TestHost::slow(TimeDelta::seconds(60), |request| {
            if request.url.contains("/v1/groups") {
                return Ok(response(200, &[], EMPTY.1));
            }
            Err(HttpError { kind: HttpErrorKind::Timeout, message: "nothing".to_owned() })
        });
        let report = crate::check(&host, &settings()).unwrap();
        assert_eq!(host.requests.take().len(), 2);
        assert_eq!(kind_of(&report, "users"), None);
        assert_eq!(kind_of(&report, "application-usage"), Some(ErrorKind::Unavailable(None)));
        assert_eq!(report.account.as_deref(), Some(HOSTNAME));
    }

    #[test]
    fn refused_credentials_and_what_is_not_duo_fail_the_whole_check() {
        for (answer, expected) in [
            ((401, r#"{"code":40103,"stat":"FAIL"}"#), ErrorKind::Unauthenticated),
            ((429, ""), ErrorKind::RateLimited(None)),
            ((503, ""), ErrorKind::Unavailable(None)),
            ((200, "<html><title>Sign in</title>"), ErrorKind::Unavailable(None)),
            ((200, "hello"), ErrorKind::Unexpected),
            ((404, r#"{"code":40401,"stat":"FAIL"}"#), ErrorKind::Unexpected),
            ((302, ""), ErrorKind::Unexpected),
        ] {
            let host = TestHost::answering(answer.0, &[], answer.1);
            assert_eq!(crate::check(&host, &settings()).unwrap_err().kind, expected, "{}", answer.0);
        }
    }
}
