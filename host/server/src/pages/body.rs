//! Reads the body of each request, within limits of size and time, before the request is handled.

use std::time::Duration;

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

use super::refuse;

/// How long the body of a request may take to arrive.
const BODY: Duration = Duration::from_secs(30);
/// The largest form or document that is read, in bytes.
pub(super) const LARGEST_BODY: usize = 256 << 10;

/// Reads the body of a request, or answers that it is too large or too slow.
pub(super) async fn with_body(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let uri = head.uri.clone();
    let too_large =
        || refuse(&uri, StatusCode::PAYLOAD_TOO_LARGE, "the form or document is too large, or incomplete");
    // A body with a declared size that is too large is refused before it is sent.
    if body.size_hint().lower() > LARGEST_BODY as u64 {
        return too_large();
    }
    match tokio::time::timeout(BODY, to_bytes(body, LARGEST_BODY)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(_)) => too_large(),
        Err(_) => refuse(&uri, StatusCode::REQUEST_TIMEOUT, "the form or document took too long to arrive"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections;
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::post;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    async fn start() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let size = |body: String| async move { format!("{} bytes", body.len()) };
        let router = Router::new().route("/", post(size)).route("/api/v1/check", post(size));
        let router = router.layer(from_fn(with_body));
        tokio::spawn(connections::serve(listener, router));
        address
    }

    /// The answer to a request that declares `declared` bytes and sends `sent` bytes.
    async fn answer(address: SocketAddr, declared: usize, sent: usize) -> String {
        answer_at(address, "/", declared, sent).await
    }

    async fn answer_at(address: SocketAddr, path: &str, declared: usize, sent: usize) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {declared}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let _ = stream.write_all(&vec![b'x'; sent]).await;
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text).await;
        text
    }

    #[tokio::test]
    async fn bodies_are_read_up_to_their_limit() {
        let address = start().await;
        let fits = answer(address, LARGEST_BODY, LARGEST_BODY).await;
        assert!(fits.ends_with("262144 bytes"), "{fits}");
        let more = answer(address, LARGEST_BODY + 1, 10).await;
        assert!(more.starts_with("HTTP/1.1 413") && more.contains("<html"), "{more}");
        let json = answer_at(address, "/api/v1/check", LARGEST_BODY + 1, 10).await;
        assert!(json.starts_with("HTTP/1.1 413") && json.contains("{\"error\":\"the form or"), "{json}");
    }

    #[tokio::test]
    async fn a_body_that_does_not_arrive_is_given_up() {
        let address = start().await;
        tokio::time::pause();
        let late = answer(address, 10, 3).await;
        assert!(late.starts_with("HTTP/1.1 408"), "{late}");
        let json = answer_at(address, "/api/v1/check", 10, 3).await;
        assert!(json.starts_with("HTTP/1.1 408") && json.contains("{\"error\":"), "{json}");
    }
}
