//! The parts that all pages use: the frame, forms, error pages, and the files of `assets/`.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use connector_report::filters;

use super::Web;
use crate::api_types::ErrorBody;
use crate::authentication::Session;
use crate::supervisor::ActionError;
use connector_store::StoreError;

/// The values that the frame of a page shows.
pub(super) struct Frame {
    /// The CSRF token of the forms.
    pub(super) csrf: String,
    /// The person who is signed in, if a proxy names them.
    pub(super) person: Option<String>,
}

impl Frame {
    pub(super) fn new(session: &Session) -> Self {
        Self { csrf: session.csrf.clone(), person: session.person.clone() }
    }
}

/// Renders a template.
pub(super) fn show(template: &impl Template) -> Response {
    show_as(StatusCode::OK, template)
}

/// Renders a template with a status.
pub(super) fn show_as(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!("could not render a page: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, "this page could not be rendered; the log says why")
                .into_response()
        }
    }
}

/// An error, as a page of its own.
#[derive(Debug)]
pub(super) struct PageError {
    status: StatusCode,
    problem: ErrorBody,
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage<'a> {
    problem: &'a ErrorBody,
}

impl PageError {
    pub(super) fn new(status: StatusCode, error: &str) -> Self {
        Self { status, problem: ErrorBody::new(error) }
    }

    pub(super) fn missing(error: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }
}

impl From<ActionError> for PageError {
    fn from(refused: ActionError) -> Self {
        match refused {
            ActionError::Missing(problem) => Self { status: StatusCode::NOT_FOUND, problem },
            ActionError::Conflict(problem) => Self { status: StatusCode::CONFLICT, problem },
            ActionError::Store(error) => error.into(),
            ActionError::Fields(fields) => {
                let reasons = fields.iter().map(|field| format!("`{}` {}", field.field, field.reason));
                let error = reasons.collect::<Vec<_>>().join("; ");
                Self { status: StatusCode::UNPROCESSABLE_ENTITY, problem: ErrorBody::new(error) }
            }
        }
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::Missing(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, problem: ErrorBody::of(&error) }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        show_as(self.status, &FailurePage { problem: &self.problem })
    }
}

/// The fields of a form that contains the CSRF token of the session.
pub(super) struct Posted(Vec<(String, String)>);

impl FromRequest<Arc<Web>> for Posted {
    type Rejection = PageError;

    async fn from_request(request: Request, web: &Arc<Web>) -> Result<Self, PageError> {
        let session = request.extensions().get::<Session>().cloned();
        let session = session.ok_or_else(|| PageError::new(StatusCode::FORBIDDEN, "sign in first"))?;
        let form = axum::Form::<Vec<(String, String)>>::from_request(request, web).await;
        let axum::Form(fields) =
            form.map_err(|error| PageError::new(error.status(), "the form is not valid"))?;
        let posted = Self(fields);
        if !session.made(posted.field("csrf")) {
            let error =
                "this form belongs to another session: go back, load the page again, and send it again";
            return Err(PageError::new(StatusCode::FORBIDDEN, error));
        }
        Ok(posted)
    }
}

impl Posted {
    /// The value of a field, without white space around it; blank if it is missing.
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

    /// Whether the form has a field.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

/// A file that pages refer to.
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

/// The files that pages refer to. They are public, because the sign-in page needs them.
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
