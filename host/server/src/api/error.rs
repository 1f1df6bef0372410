//! JSON error responses of the API, with a hint where one is known.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use connector_store::StoreError;
use serde::de::DeserializeOwned;

use crate::api_types::ErrorBody;
use crate::registry::Refusal;
use crate::supervisor::ActionError;

/// An error response.
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
    /// The message never quotes the request, which may hold a secret.
    fn from(rejection: JsonRejection) -> Self {
        let error = match &rejection {
            JsonRejection::JsonDataError(_) => {
                "the document lacks a field, has an unknown one, or a field has another type"
            }
            JsonRejection::JsonSyntaxError(_) => "the document is not JSON",
            JsonRejection::MissingJsonContentType(_) => "the content type is not `application/json`",
            _ => "the document can't be read",
        };
        let body = ErrorBody::new(error).hint("`/api/v1/openapi.json` describes it");
        // A document with unknown or missing fields is no better than one that is not JSON.
        let status = match rejection.status() {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            status => status,
        };
        Self::new(status, body)
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

/// The parameters in the path, with an [`ApiError`] where they are not valid.
pub(super) struct Path<T>(pub(super) T);

/// The parameters in the query, with an [`ApiError`] where they are not valid.
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(Self(axum::extract::Path::from_request_parts(parts, state).await?.0))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(Self(axum::extract::Query::from_request_parts(parts, state).await?.0))
    }
}

/// The answer to a known path with another method.
pub(super) async fn method_not_allowed() -> ApiError {
    let error = "the API does not support this method for this path; `/api/v1/openapi.json` describes it";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorBody::new(error))
}

/// The answer to an unknown path.
pub(super) async fn not_found() -> ApiError {
    let error = "the API has no such path; `/api/v1/openapi.json` describes it";
    ApiError::new(StatusCode::NOT_FOUND, ErrorBody::new(error))
}
