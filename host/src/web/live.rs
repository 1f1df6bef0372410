//! Pages that follow what happens: a part of a page, sent again when it is other than before (server-sent events).

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;

use super::Web;

/// How often it is looked whether something is other than before.
const LOOK: Duration = Duration::from_millis(500);

/// Sends what `part` gives now, and again whenever it is something else, until the program ends or the browser is gone.
pub(super) fn follow(web: &Web, part: impl Fn() -> String + Send + 'static) -> Response {
    let stop = web.stop.clone();
    let events = stream::unfold((String::new(), part, stop), |(shown, part, stop)| async move {
        loop {
            let now = part();
            if now != shown {
                let event = Event::default().data(&now);
                return Some((Ok::<_, Infallible>(event), (now, part, stop)));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return None,
            }
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}
