//! Errors of the API: always JSON, and with a hint where one is known.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use connector_store::StoreError;

use crate::api_types::ErrorBody;
use crate::registry::Refusal;
use crate::supervisor::ActionError;

/// An answer that is not a success.
pub(crate) struct ApiError {
    status: StatusCode,
    body: ErrorBody,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, body: ErrorBody) -> Self {
        Self { status, body }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

impl From<ActionError> for ApiError {
    fn from(error: ActionError) -> Self {
        match error {
            ActionError::Missing(body) => Self::new(StatusCode::NOT_FOUND, body),
            ActionError::Conflict(body) => Self::new(StatusCode::CONFLICT, body),
            ActionError::Store(error) => error.into(),
            ActionError::Fields(fields) => {
                let fields = fields.into_iter().map(Into::into).collect();
                let body = ErrorBody { fields, ..ErrorBody::new("some fields are not valid") };
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, body)
            }
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::new(StatusCode::CONFLICT, ErrorBody::of(&refusal))
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorBody::of(&error))
    }
}

impl From<JsonRejection> for ApiError {
    /// Never what was sent, which may hold a secret.
    fn from(rejection: JsonRejection) -> Self {
        let error = match rejection {
            JsonRejection::JsonDataError(_) => "the document lacks a field, or has one of another type",
            JsonRejection::JsonSyntaxError(_) => "the document is not JSON",
            JsonRejection::MissingJsonContentType(_) => "the document is not sent as `application/json`",
            _ => "the document can't be read",
        };
        let body = ErrorBody::new(error).hint("`/api/v1/openapi.json` describes it");
        Self::new(rejection.status(), body)
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorBody::new(rejection.body_text()))
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorBody::new(rejection.body_text()))
    }
}

/// A part of the path; what is wrong with it is told as everything here is.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub(super) struct Path<T>(pub(super) T);

/// The parameters; what is wrong with them is told as everything here is.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub(super) struct Query<T>(pub(super) T);

/// The answer to a known path with another method.
pub(super) async fn method_not_allowed() -> ApiError {
    let error = "the API has this path for another method; `/api/v1/openapi.json` describes it";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorBody::new(error))
}

/// The answer to an unknown path.
pub(super) async fn not_found() -> ApiError {
    let error = "the API has no such path; `/api/v1/openapi.json` describes it";
    ApiError::new(StatusCode::NOT_FOUND, ErrorBody::new(error))
}
