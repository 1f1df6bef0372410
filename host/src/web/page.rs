//! What every page is made of: the frame, forms, failures, and the files it refers to.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::Web;
use super::gate::Session;
use crate::daemon::{Problem, Refused};
use crate::store::StoreError;

/// What the frame of a page shows.
pub(super) struct Frame {
    /// The CSRF token of its forms.
    pub(super) csrf: String,
    /// Who looks, where that is known.
    pub(super) who: Option<String>,
}

impl Frame {
    pub(super) fn new(session: &Session) -> Self {
        Self { csrf: session.csrf.clone(), who: session.who.clone() }
    }
}

/// A template as an answer.
pub(super) fn show(template: &impl Template) -> Response {
    show_as(StatusCode::OK, template)
}

/// A template as an answer of this kind.
pub(super) fn show_as(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!("a page can't be shown: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, "this page can't be shown; the log says why").into_response()
        }
    }
}

/// What went wrong, on a page of its own.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    problem: Problem,
}

#[derive(Template)]
#[template(path = "web/failure.html")]
struct FailurePage<'a> {
    problem: &'a Problem,
}

impl Failure {
    pub(super) fn new(status: StatusCode, error: &str) -> Self {
        Self { status, problem: Problem { error: error.to_owned(), hint: None } }
    }

    pub(super) fn missing(error: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Missing(problem) => Self { status: StatusCode::NOT_FOUND, problem },
            Refused::Conflict(problem) => Self { status: StatusCode::CONFLICT, problem },
            Refused::Store(error) => error.into(),
            Refused::Fields(fields) => {
                let reasons = fields.iter().map(|field| format!("`{}` {}", field.field, field.reason));
                let error = reasons.collect::<Vec<_>>().join("; ");
                let problem = Problem { error, hint: None };
                Self { status: StatusCode::UNPROCESSABLE_ENTITY, problem }
            }
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::Missing(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, problem: Problem { error: error.to_string(), hint: error.hint() } }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        show_as(self.status, &FailurePage { problem: &self.problem })
    }
}

/// The fields of a form that was made for the person who sent it.
pub(super) struct Posted(Vec<(String, String)>);

impl FromRequest<Arc<Web>> for Posted {
    type Rejection = Failure;

    async fn from_request(request: Request, web: &Arc<Web>) -> Result<Self, Failure> {
        let session = request.extensions().get::<Session>().cloned();
        let session = session.ok_or_else(|| Failure::new(StatusCode::FORBIDDEN, "sign in first"))?;
        let form = axum::Form::<Vec<(String, String)>>::from_request(request, web).await;
        let axum::Form(fields) =
            form.map_err(|error| Failure::new(error.status(), "the form can't be understood"))?;
        let posted = Self(fields);
        if !session.made(posted.field("csrf")) {
            let said = "this form was not made for you, or is too old: go back, load the page again, and send it again";
            return Err(Failure::new(StatusCode::FORBIDDEN, said));
        }
        Ok(posted)
    }
}

impl Posted {
    /// The value of a field, without white space around it; blank where it is not there.
    pub(super) fn field(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The value of a field as it was typed.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// All values of a field.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a field is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

/// A file that pages refer to. Its name changes with its content, so that a browser may keep it.
struct Asset {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const ASSETS: &[Asset] = &[
    Asset {
        path: "/assets/page.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("../../assets/page.css"),
    },
    Asset {
        path: "/assets/htmx-4.0.1.min.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("../../assets/htmx-4.0.1.min.js"),
    },
    Asset {
        path: "/assets/hx-sse-4.0.1.min.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("../../assets/hx-sse-4.0.1.min.js"),
    },
    Asset { path: "/assets/icon.svg", kind: "image/svg+xml", text: include_str!("../../assets/icon.svg") },
];

/// The files that pages refer to. They tell nothing, so that the page to sign in has them as well.
pub(super) fn assets() -> Router<Arc<Web>> {
    let mut router = Router::new();
    for asset in ASSETS {
        let answer = move || async move {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
                (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=300")),
            ];
            (headers, asset.text)
        };
        router = router.route(asset.path, get(answer));
    }
    router
}

/// What templates do with values.
#[expect(unreachable_pub, reason = "askama's macro makes them public, in a private module")]
pub(crate) mod filters {
    use askama::{Result, Values};
    use chrono::{DateTime, Utc};

    /// `1,234`
    #[askama::filter_fn]
    pub(crate) fn number(value: &u64, _: &dyn Values) -> Result<String> {
        Ok(crate::output::number(*value))
    }

    /// A time as people read it.
    #[askama::filter_fn]
    pub(crate) fn time(value: &DateTime<Utc>, _: &dyn Values) -> Result<String> {
        Ok(value.format("%Y-%m-%d %H:%M:%S UTC").to_string())
    }

    /// A time of the store (RFC 3339) as people read it; something else as it is.
    #[askama::filter_fn]
    pub(crate) fn stored_time(value: &str, _: &dyn Values) -> Result<String> {
        Ok(super::readable_time(value))
    }

    /// Words of a connector, whose `*emphasis*` and `` `code` `` become elements: HTML, to be followed by `safe`.
    #[askama::filter_fn]
    pub(crate) fn rich(value: &str, _: &dyn Values) -> Result<String> {
        super::rich(value)
    }

    /// `first-line-manager` as `First line manager`.
    #[askama::filter_fn]
    pub(crate) fn words(value: &str, _: &dyn Values) -> Result<String> {
        Ok(super::words(value))
    }
}

/// Words that are written in their own way.
const SPELLED: [(&str, &str); 5] =
    [("mfa", "MFA"), ("webauthn", "WebAuthn"), ("u2f", "U2F"), ("id", "ID"), ("url", "URL")];

/// `first-line-manager` and `first_line_manager` as `First line manager`, `mfa_state` as `MFA state`.
pub(super) fn words(name: &str) -> String {
    let spelled = |word: &str| SPELLED.iter().find(|(known, _)| *known == word).map(|(_, spelled)| *spelled);
    let words = name.split(['-', '_', ' ']).enumerate().map(|(place, word)| match spelled(word) {
        Some(spelled) => spelled.to_owned(),
        None if place > 0 => word.to_owned(),
        None => {
            let mut chars = word.chars();
            chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Words of a connector as HTML: everything is escaped, but for `*emphasis*` and `` `code` ``, which become elements.
fn rich(text: &str) -> Result<String, askama::Error> {
    let escape =
        |text: &str| askama::filters::escape(text, askama::filters::Html).map(|text| text.to_string());
    let (mut html, mut rest) = (String::new(), text);
    while let Some(start) = rest.find(['*', '`']) {
        let (before, from) = rest.split_at(start);
        let (mark, element) = if from.starts_with('*') { ('*', "em") } else { ('`', "code") };
        let inner = from.get(1..).unwrap_or_default();
        let Some((marked, after)) = inner.split_once(mark) else { break };
        let is_mark = !marked.is_empty() && marked.trim() == marked;
        if is_mark {
            html.push_str(&format!("{}<{element}>{}</{element}>", escape(before)?, escape(marked)?));
            rest = after;
        } else {
            html.push_str(&escape(rest.get(..start + 1).unwrap_or_default())?);
            rest = inner;
        }
    }
    html.push_str(&escape(rest)?);
    Ok(html)
}

/// A time of the store (RFC 3339) as people read it; something else as it is.
pub(super) fn readable_time(value: &str) -> String {
    match value.parse::<chrono::DateTime<chrono::Utc>>() {
        Ok(time) => time.format("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_words() {
        let read =
            ["first-line-manager", "mfa_state", "webauthn-credential", "external_id", "", "a"].map(words);
        assert_eq!(read, ["First line manager", "MFA state", "WebAuthn credential", "External ID", "", "A"]);
    }

    #[test]
    fn only_marks_become_elements() {
        let html = |text: &str| rich(text).unwrap();
        assert_eq!(html("From *Details*; as `DI`."), "From <em>Details</em>; as <code>DI</code>.");
        assert_eq!(html("2 * 3 * 4, a * and `"), "2 * 3 * 4, a * and `");
        assert_eq!(html("*<b>* `\"&`"), "<em>&#60;b&#62;</em> <code>&#34;&#38;</code>");
        assert_eq!(html("<script>alert(1)</script>"), "&#60;script&#62;alert(1)&#60;/script&#62;");
        assert_eq!(html("**"), "**");
    }
}
