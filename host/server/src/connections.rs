//! Takes connections: not too many at a time, and none that dawdles. `axum::serve` has no limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections at a time: with room to spare below the 1024 files that a process may usually have open. More wait.
const MOST_CONNECTIONS: usize = 256;
/// How long the head of a request may take to arrive, and how long a connection may lie idle.
const HEAD: Duration = Duration::from_secs(20);
/// Serves `router` at `listener` until it is dropped; then its connections end, too.
pub(crate) async fn serve(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("the Integrations page could not take a connection: {error}");
                tokio::time::sleep(Duration::from_millis(500)).await;
                continue;
            }
        };
        let service =
            TowerToHyperService::new(router.clone().layer(Extension(ConnectInfo::<SocketAddr>(from))));
        connections.spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD);
            // How a connection ended is the browser's business.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::{LARGEST_BODY, with_body};
    use axum::middleware::from_fn;
    use axum::routing::post;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    async fn start() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let said = |ConnectInfo(from): ConnectInfo<SocketAddr>, body: String| async move {
            assert!(from.ip().is_loopback());
            format!("{} bytes", body.len())
        };
        tokio::spawn(serve(listener, Router::new().route("/", post(said)).layer(from_fn(with_body))));
        address
    }

    async fn answer(mut stream: TcpStream) -> String {
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text).await;
        text
    }

    async fn post_bytes(address: SocketAddr, declared: usize, sent: usize) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head =
            format!("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {declared}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let _ = stream.write_all(&vec![b'x'; sent]).await;
        stream
    }

    #[tokio::test]
    async fn bodies_are_read_up_to_their_limit() {
        let address = start().await;
        let fits = answer(post_bytes(address, LARGEST_BODY, LARGEST_BODY).await).await;
        assert!(fits.ends_with("262144 bytes"), "{fits}");
        let more = answer(post_bytes(address, LARGEST_BODY + 1, 10).await).await;
        assert!(more.starts_with("HTTP/1.1 413"), "{more}");
    }

    #[tokio::test]
    async fn who_dawdles_is_cut_off_and_makes_room() {
        let address = start().await;
        let mut idle = Vec::new();
        for _ in 0..MOST_CONNECTIONS {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        // There is no place left: this one waits until the idle ones are cut off.
        let waits = tokio::spawn(async move { answer(post_bytes(address, 3, 3).await).await });
        tokio::task::yield_now().await;
        let slow = post_bytes(address, 10, 3);
        tokio::time::pause();
        let heard = waits.await.unwrap();
        assert!(heard.ends_with("3 bytes"), "{heard}");
        let heard = answer(slow.await).await;
        assert!(heard.starts_with("HTTP/1.1 408"), "{heard}");
    }
}
