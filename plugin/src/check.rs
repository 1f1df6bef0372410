//! Tries the settings: one cheap request for each family of endpoints, and a row for each stream.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::api::{Client, Endpoint};
use crate::contract::{Access, Error, ErrorKind, Report, StreamAccess};
use crate::lenient::{Field, Record};
use crate::streams::{Family, STREAMS};

/// Names the account. Needs *Grant read information*, which nothing else does: its failure is no news.
const SUMMARY: Endpoint =
    Endpoint { path: "/admin/v1/info/summary", permissions: &["Grant read information"], v5_only: false };

/// The part of the summary that is used; older accounts lack it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Summary {
    account_id: Field<String>,
}

/// See `check` in `wit/connector.wit`.
pub(crate) fn check(client: &Client<'_>) -> Result<Report, Error> {
    let mut probed: Vec<(&Family, Access)> = Vec::new();
    let mut streams = Vec::with_capacity(STREAMS.len());
    for stream in STREAMS {
        let known = probed.iter().find(|(family, _)| std::ptr::eq(*family, stream.family));
        let access = match known {
            Some((_, access)) => access.clone(),
            None => {
                let access = probe(client, stream.family)?;
                probed.push((stream.family, access.clone()));
                access
            }
        };
        streams.push(StreamAccess { stream: stream.name.to_owned(), access });
    }
    // What is not Duo can't accept credentials: a report needs at least one answer that is Duo's.
    if !probed.iter().any(|(_, access)| duo_answered(access)) {
        for (_, access) in probed {
            if let Access::Refused(error) = access {
                return Err(error);
            }
        }
    }
    let readable = streams.iter().any(|row| row.access == Access::Readable);
    let account = if readable { account_id(client) } else { None };
    Ok(Report { account: Some(account.unwrap_or_else(|| client.api_hostname().to_owned())), streams })
}

/// What one family of endpoints says; an error where nothing could be read of any.
fn probe(client: &Client<'_>, family: &Family) -> Result<Access, Error> {
    match client.get::<IgnoredAny>(&family.probe, family.probe_params) {
        Ok(_) => Ok(Access::Readable),
        Err(error) => match error.kind {
            ErrorKind::MissingPermission(_)
            | ErrorKind::NotInEdition
            | ErrorKind::Unexpected
            | ErrorKind::InvalidPosition => Ok(Access::Refused(error)),
            ErrorKind::InvalidSetting(_)
            | ErrorKind::Unauthenticated
            | ErrorKind::RateLimited(_)
            | ErrorKind::Unavailable(_) => Err(error),
        },
    }
}

fn duo_answered(access: &Access) -> bool {
    match access {
        Access::Readable => true,
        Access::Refused(error) => {
            matches!(error.kind, ErrorKind::MissingPermission(_) | ErrorKind::NotInEdition)
        }
    }
}

fn account_id(client: &Client<'_>) -> Option<String> {
    let reply = client.get::<Field<Record<Summary>>>(&SUMMARY, &[]).ok()?;
    reply.response.ok().and_then(|Record(summary)| summary.account_id.ok())
}

#[cfg(test)]
mod tests {
    use crate::contract::{Access, Error, ErrorKind, Report};
    use crate::test_host::{HOSTNAME, SECRET, TestHost, response, settings};

    const EMPTY: (u16, &str) = (200, r#"{"stat":"OK","response":[]}"#);
    const FORBIDDEN: (u16, &str) = (403, r#"{"code":40301,"message":"Access forbidden","stat":"FAIL"}"#);

    /// The report where lists and the summary are answered so, and the paths asked for.
    fn check(
        list: (u16, &'static str),
        summary: (u16, &'static str),
    ) -> (Result<Report, Error>, Vec<String>) {
        let host = TestHost::with(move |request| {
            let (status, body) = if request.url.contains("/info/") { summary } else { list };
            Ok(response(status, &[], body))
        });
        let report = crate::check(&host, &settings());
        assert!(!format!("{report:?} {:?}", host.log).contains(SECRET));
        let prefix = format!("https://{HOSTNAME}");
        let requests = host.requests.take().into_iter();
        (report, requests.map(|request| request.url.replace(&prefix, "")).collect())
    }

    #[test]
    fn streams_of_one_permission_cost_one_small_request() {
        let (report, paths) = check(EMPTY, FORBIDDEN);
        assert_eq!(paths, ["/admin/v1/groups?limit=1&offset=0", "/admin/v1/info/summary"]);
        let streams = report.unwrap().streams;
        let names: Vec<&str> = streams.iter().map(|row| row.stream.as_str()).collect();
        assert_eq!(names, ["users", "groups"]);
        assert!(streams.iter().all(|row| row.access == Access::Readable));
    }

    #[test]
    fn the_account_is_named_by_its_id_where_that_may_be_read_and_else_by_the_hostname() {
        let account = |summary| check(EMPTY, summary).0.unwrap().account.unwrap();
        let new = r#"{"response":{"account_id":"DAOSZ4YYK0VOGIA1JIYJ","edition":"Duo Premier"},"stat":"OK"}"#;
        assert_eq!(account((200, new)), "DAOSZ4YYK0VOGIA1JIYJ");
        assert_eq!(account((200, r#"{"response":{"user_count":4},"stat":"OK"}"#)), HOSTNAME);
        assert_eq!(account((200, "<html>")), HOSTNAME);
        assert_eq!(account(FORBIDDEN), HOSTNAME);
    }

    #[test]
    fn a_missing_permission_is_a_row_and_no_failure() {
        let (report, paths) = check(FORBIDDEN, FORBIDDEN);
        for row in report.unwrap().streams {
            let Access::Refused(error) = row.access else { panic!("{} is readable", row.stream) };
            assert_eq!(error.kind, ErrorKind::MissingPermission(vec!["Grant resource - Read".to_owned()]));
        }
        assert_eq!(paths.len(), 1, "nothing is readable, so that the account's name is not asked for");
    }

    #[test]
    fn refused_credentials_and_what_is_not_duo_fail_the_whole_check() {
        for (status, body, expected) in [
            (401, r#"{"code":40103,"stat":"FAIL"}"#, ErrorKind::Unauthenticated),
            (429, "", ErrorKind::RateLimited(None)),
            (503, "", ErrorKind::Unavailable(None)),
            (200, "<html><title>Sign in</title>", ErrorKind::Unexpected),
            (302, "", ErrorKind::Unexpected),
        ] {
            let (report, paths) = check((status, body), FORBIDDEN);
            assert_eq!(report.unwrap_err().kind, expected, "{status}");
            assert_eq!(paths.len(), 1, "{status}");
        }
    }
}
