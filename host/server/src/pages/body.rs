//! Reads the body of a request before anything is done with it: not too large, and not too slow.

use std::time::Duration;

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::page::PageError;

/// How long the body of a request may take to arrive.
const BODY: Duration = Duration::from_secs(30);
/// The largest form or document that is read, in bytes.
pub(crate) const LARGEST_BODY: usize = 256 << 10;

/// Reads the body of a request before anything is done with it.
pub(crate) async fn with_body(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let too_large =
        || PageError::new(StatusCode::PAYLOAD_TOO_LARGE, "the form or document is too large, or broke off");
    // Who says so beforehand needs not send it.
    if body.size_hint().lower() > LARGEST_BODY as u64 {
        return too_large().into_response();
    }
    let said = match tokio::time::timeout(BODY, to_bytes(body, LARGEST_BODY)).await {
        Ok(Ok(bytes)) => return next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(_)) => too_large(),
        Err(_) => PageError::new(StatusCode::REQUEST_TIMEOUT, "the form or document took too long to arrive"),
    };
    said.into_response()
}
