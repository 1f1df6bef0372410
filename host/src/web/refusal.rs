//! What a program is told that gets nothing: always JSON, always with what to do where that is known.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::configuration::FieldProblem;
use crate::daemon::{Problem, Refused};
use crate::registry::Refusal;
use crate::store::StoreError;

/// What went wrong.
#[derive(Serialize, ToSchema)]
pub(super) struct Wrong {
    /// What.
    error: String,
    /// What to do about it.
    hint: Option<String>,
    /// What is wrong with each field, where it is that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldProblem>,
}

/// An answer that is no success.
pub(crate) struct No(StatusCode, Wrong);

/// What a program is told that gets nothing.
pub(super) fn refused(status: StatusCode, error: &str) -> Response {
    No(status, Wrong { error: error.to_owned(), hint: None, fields: Vec::new() }).into_response()
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl No {
    pub(crate) fn new(status: StatusCode, problem: Problem) -> Self {
        Self(status, Wrong { error: problem.error, hint: problem.hint, fields: Vec::new() })
    }
}

impl From<Refused> for No {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Missing(problem) => Self::new(StatusCode::NOT_FOUND, problem),
            Refused::Conflict(problem) => Self::new(StatusCode::CONFLICT, problem),
            Refused::Store(error) => error.into(),
            Refused::Fields(fields) => {
                let error = "some fields are wrong".to_owned();
                Self(StatusCode::UNPROCESSABLE_ENTITY, Wrong { error, hint: None, fields })
            }
        }
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self::new(StatusCode::CONFLICT, Problem { error: refusal.to_string(), hint: refusal.hint() })
    }
}

impl From<StoreError> for No {
    fn from(error: StoreError) -> Self {
        let problem = Problem { error: error.to_string(), hint: error.hint() };
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, problem)
    }
}

impl From<JsonRejection> for No {
    /// Never what was sent, which may hold a secret.
    fn from(rejection: JsonRejection) -> Self {
        let error = match rejection {
            JsonRejection::JsonDataError(_) => "the document lacks a field, or has one of another type",
            JsonRejection::JsonSyntaxError(_) => "the document is not JSON",
            JsonRejection::MissingJsonContentType(_) => "the document is not sent as `application/json`",
            _ => "the document can't be read",
        };
        let hint = Some("`/api/v1/openapi.json` describes it".to_owned());
        Self::new(rejection.status(), Problem { error: error.to_owned(), hint })
    }
}

impl From<QueryRejection> for No {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Problem { error: rejection.body_text(), hint: None })
    }
}

impl From<PathRejection> for No {
    fn from(rejection: PathRejection) -> Self {
        Self::new(StatusCode::NOT_FOUND, Problem { error: rejection.body_text(), hint: None })
    }
}

/// A part of the path; what is wrong with it is told as everything here is.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(No))]
pub(super) struct Path<T>(pub(super) T);

/// The parameters; what is wrong with them is told as everything here is.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(No))]
pub(super) struct Query<T>(pub(super) T);

/// What a program is told that asks in another way.
pub(super) async fn not_so() -> Response {
    refused(
        StatusCode::METHOD_NOT_ALLOWED,
        "the API has this path for another method; `/api/v1/openapi.json` describes it",
    )
}

/// What a program is told that asks for something else.
pub(super) async fn missing() -> Response {
    refused(StatusCode::NOT_FOUND, "the API has no such path; `/api/v1/openapi.json` describes it")
}
