//! The errors of failed calls, with their remedies.
//!
//! | answer | kind |
//! |---|---|
//! | 40101 to 40105, other 401 | `unauthenticated` |
//! | 40301, other 403 | `missing-permission`; `invalid-setting` if the key belongs to another type of application |
//! | 42901, other 429 | `rate-limited` |
//! | 404, 405, with any body | `not-in-edition`: this deployment does not have the endpoint |
//! | 500 and above, with any body | `unavailable` |
//! | other 4xx, 3xx, anything that is not Duo's envelope | `unexpected` |
//! | a 2xx without a body, or with truncated JSON | `unavailable`: the connection was cut, and a retry costs one request |
//! | a 2xx with HTML | `unavailable`: maintenance, or a page of a proxy; both may be temporary |
//! | no answer: `unreachable`, `timeout`, `protocol` | `unavailable` |
//! | no answer: `tls`, `denied`, `too-large`, `invalid-request` | `unexpected`: a retry does not help |
//!
//! An error never repeats a body, except for `code`, `message`, `message_detail` and the title of an HTML page, each
//! shortened to one line.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::IgnoredAny;
use url::Url;

use super::Call;
use super::envelope::{self, Unreadable, Verdict};
use crate::contract::{Error, ErrorKind, HttpError, HttpErrorKind, Response};
use crate::settings::{API_HOSTNAME, INTEGRATION_KEY, SECRET_KEY, SIGNATURE};
use crate::signing::Scheme;

const DETAILS: &str = "*Details* of the Admin API application (Duo Admin Panel, *Applications*)";

/// There is no answer.
pub(super) fn unanswered(call: &Call<'_>, error: &HttpError) -> Error {
    let host = &call.settings.api_hostname;
    let (kind, remedy) = match error.kind {
        HttpErrorKind::Unreachable => (
            ErrorKind::Unavailable(None),
            format!("check `{API_HOSTNAME}`, and that this machine may reach `{host}` on port 443"),
        ),
        HttpErrorKind::Timeout | HttpErrorKind::Protocol => (
            ErrorKind::Unavailable(None),
            format!("if it continues, check the network between this machine and `{host}`"),
        ),
        HttpErrorKind::Tls => (
            ErrorKind::Unexpected,
            format!(
                "check `{API_HOSTNAME}`; if a proxy inspects TLS, add its certificate authority to those that \
                 this machine trusts"
            ),
        ),
        HttpErrorKind::Denied => (
            ErrorKind::Unexpected,
            format!("allow `{host}` in the egress rules of the host that runs this connector"),
        ),
        HttpErrorKind::TooLarge => {
            (ErrorKind::Unexpected, "raise the host's limit for the size of an answer".to_owned())
        }
        HttpErrorKind::InvalidRequest => (
            ErrorKind::Unexpected,
            "report it: the host considers the connector's request invalid".to_owned(),
        ),
    };
    Error::new(kind, format!("{}: no answer: {}", call.attempt(), excerpt(&error.message))).remedy(remedy)
}

/// The answer has a status other than 2xx.
pub(super) fn refused(call: &Call<'_>, response: &Response) -> Error {
    if (300..400).contains(&response.status) {
        return redirected(call, response);
    }
    match envelope::parse::<IgnoredAny>(&response.body) {
        Ok(envelope) => failed(call, response, &envelope.verdict),
        // The status is sufficient, and an HTML body is usual.
        Err(_) if matches!(response.status, 404 | 405 | 429 | 500..) => {
            failed(call, response, &Verdict::default())
        }
        Err(fault) => unreadable(call, response, &fault),
    }
}

/// The answer is an envelope that does not say `OK`.
pub(super) fn failed(call: &Call<'_>, response: &Response, verdict: &Verdict) -> Error {
    let code: Option<u32> = verdict.code.as_deref().and_then(|code| code.trim().parse().ok());
    let status = u32::from(response.status);
    // A FAIL may have the status 200; its code then gives the class.
    let class = match code {
        Some(code @ 40_000..=59_999) if status < 400 => code / 100,
        _ => status,
    };
    let said = said(call, status, verdict);
    let error = match class {
        401 => unauthenticated(call, response, code, said),
        403 => forbidden(call, verdict, said),
        429 => Error::new(ErrorKind::RateLimited(retry_after(call, response)), said),
        500.. => Error::new(ErrorKind::Unavailable(retry_after(call, response)), said),
        404 | 405 => Error::new(ErrorKind::NotInEdition, said).remedy(format!(
            "nothing to grant: this Duo deployment has no `{}`; if all streams fail like this, check `{API_HOSTNAME}`",
            call.endpoint.path
        )),
        _ => Error::new(ErrorKind::Unexpected, said),
    };
    error.code(verdict.code.as_deref().map(excerpt))
}

/// The answer is not an envelope.
pub(super) fn unreadable(call: &Call<'_>, response: &Response, fault: &Unreadable) -> Error {
    let came = match fault {
        Unreadable::Empty => "an empty body".to_owned(),
        Unreadable::Truncated => "JSON that ends too early".to_owned(),
        Unreadable::Html(Some(title)) => format!("an HTML page titled `{}`", excerpt(title)),
        Unreadable::Html(None) => "an HTML page".to_owned(),
        Unreadable::NoObject(what) => format!("JSON that is {what} instead of an object"),
        Unreadable::NoJson(_) => "no JSON".to_owned(),
    };
    let message = format!("{}: answered {} with {came}", call.attempt(), response.status);
    let error = match fault {
        Unreadable::Empty | Unreadable::Truncated if response.status < 400 => {
            return Error::new(ErrorKind::Unavailable(None), message);
        }
        Unreadable::Html(_) if response.status < 400 => Error::new(ErrorKind::Unavailable(None), message),
        _ => Error::new(ErrorKind::Unexpected, message),
    };
    let error = error.remedy(not_duo());
    match fault {
        Unreadable::NoJson(parser) => error.detail(excerpt(parser)),
        _ => error,
    }
}

fn redirected(call: &Call<'_>, response: &Response) -> Error {
    let own = &call.settings.api_hostname;
    let target = header(response, "location").and_then(|location| host_of(own, location));
    let target = target.map(|host| format!(" to `{}`", excerpt(&host))).unwrap_or_default();
    let status = response.status;
    let message = format!("{}: answered {status}, a redirect{target}, which is not followed", call.attempt());
    Error::new(ErrorKind::Unexpected, message).remedy(not_duo())
}

/// The host of a redirect, if it differs from `own`. Messages contain nothing else of the redirect: its path and query
/// may contain a token.
fn host_of(own: &str, location: &str) -> Option<String> {
    let target = Url::parse(&format!("https://{own}/")).ok()?.join(location).ok()?;
    target.host_str().filter(|host| *host != own).map(str::to_owned)
}

fn not_duo() -> String {
    format!("check `{API_HOSTNAME}`, and whether a proxy or a captive portal answers in Duo's place")
}

fn unauthenticated(call: &Call<'_>, response: &Response, code: Option<u32>, said: String) -> Error {
    let or_v5 = match call.settings.scheme {
        Scheme::V5 => String::new(),
        _ if call.endpoint.v5_only => {
            return Error::new(ErrorKind::Unauthenticated, said).remedy(call.needs_v5());
        }
        _ => format!("; or set `{SIGNATURE}` to `{}`", Scheme::V5.name()),
    };
    let remedy = match code {
        Some(40_101) => {
            "find out what removes the `Authorization` or `Date` header between this machine and Duo, such as a proxy"
                .to_owned()
        }
        Some(40_102) => format!(
            "copy `{INTEGRATION_KEY}` and `{API_HOSTNAME}` again, both from {DETAILS}; the application may have been \
             deleted"
        ),
        Some(40_103) => format!(
            "copy `{SECRET_KEY}` again from {DETAILS} whose integration key is set; if it is right, a proxy changes \
             the `Date` header or the query{or_v5}"
        ),
        Some(40_105) => return skewed(call, response, said),
        _ => format!(
            "copy `{INTEGRATION_KEY}`, `{SECRET_KEY}` and `{API_HOSTNAME}` again from {DETAILS}, and check the clock \
             of this machine{or_v5}"
        ),
    };
    Error::new(ErrorKind::Unauthenticated, said).remedy(remedy)
}

/// Compares the clocks: Duo's time is in the `Date` header of its answers.
fn skewed(call: &Call<'_>, response: &Response, said: String) -> Error {
    // Duo does not document the allowed difference; five minutes are reported. Less than this is never the cause.
    const HARMLESS: u64 = 30;
    const SET_THE_CLOCK: &str = "set the clock of this machine, and keep it set with NTP";
    let Some(theirs) = date(response) else {
        return Error::new(ErrorKind::Unauthenticated, said).remedy(SET_THE_CLOCK);
    };
    let seconds = (call.signed_at - theirs).num_seconds();
    let difference = duration(seconds.unsigned_abs());
    let times = format!("signed at {}, answered at {}", instant(call.signed_at), instant(theirs));
    if seconds.unsigned_abs() < HARMLESS {
        let message = format!(
            "{said}; but the clock of this machine differs from Duo's by {difference} only ({times})"
        );
        return Error::new(ErrorKind::Unauthenticated, message)
            .remedy("find out what changes the `Date` header between this machine and Duo, such as a proxy");
    }
    let direction = if seconds > 0 { "ahead of" } else { "behind" };
    let message = format!("{said}; the clock of this machine is {difference} {direction} Duo's ({times})");
    Error::new(ErrorKind::Unauthenticated, message).remedy(SET_THE_CLOCK)
}

fn forbidden(call: &Call<'_>, verdict: &Verdict, said: String) -> Error {
    let detail = verdict.message_detail.as_deref().unwrap_or_default().to_ascii_lowercase();
    if detail.contains("integration type") {
        return Error::new(ErrorKind::InvalidSetting(INTEGRATION_KEY.to_owned()), said).remedy(format!(
            "the keys belong to an application of another type: add one of type *Admin API*, and copy all three \
             values from {DETAILS}"
        ));
    }
    let names = call.endpoint.permissions;
    let kind = ErrorKind::MissingPermission(names.iter().map(|&name| name.to_owned()).collect());
    if call.endpoint.v5_only && call.settings.scheme != Scheme::V5 {
        return Error::new(kind, said).remedy(call.needs_v5());
    }
    let names: Vec<String> = names.iter().map(|name| format!("*{name}*")).collect();
    Error::new(kind, said).remedy(format!(
        "enable {} under *Permissions* of the Admin API application in the Duo Admin Panel; if it is enabled, check \
         *Networks for API Access* there, and whether the edition of the account has this",
        names.join(" or ")
    ))
}

impl Call<'_> {
    /// What was attempted, as the beginning of a sentence.
    fn attempt(&self) -> String {
        format!("could not read `{}` from `{}`", self.endpoint.path, self.settings.api_hostname)
    }

    fn needs_v5(&self) -> String {
        format!("set `{SIGNATURE}` to `{}`: `{}` takes no other", Scheme::V5.name(), self.endpoint.path)
    }
}

/// What was attempted, and the vendor's answer.
fn said(call: &Call<'_>, status: u32, verdict: &Verdict) -> String {
    let code = verdict.code.as_deref().map(|code| format!(", code {}", excerpt(code))).unwrap_or_default();
    let without = if verdict.stat.is_none() && status < 300 { " without `stat`" } else { "" };
    let words = [&verdict.message, &verdict.message_detail].into_iter().flatten();
    let words: String = words.map(|words| format!(": {}", excerpt(words))).collect();
    format!("{}: answered {status}{code}{without}{words}", call.attempt())
}

/// How long the vendor asks to wait, in seconds. Duo itself sends no `Retry-After`, but a proxy in front of it may.
fn retry_after(call: &Call<'_>, response: &Response) -> Option<u32> {
    let value = header(response, "retry-after")?.trim();
    if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        return Some(value.parse().unwrap_or(u32::MAX));
    }
    let until = DateTime::parse_from_rfc2822(value).ok()?.to_utc();
    let seconds = (until - date(response).unwrap_or(call.signed_at)).num_seconds();
    Some(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX))
}

fn date(response: &Response) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc2822(header(response, "date")?).ok()?.to_utc())
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response
        .headers
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

fn instant(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn duration(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, _, _) => format!("{d} d {h} h"),
    }
}

/// A text from the vendor or the host, as part of a sentence: on one line, shortened, without its full stop.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 160;
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim().trim_end_matches('.');
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}
