//! Pages that follow what happens: a part of a page, sent again when it is other than before (server-sent events).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;

use super::Web;
use crate::authentication::Session;

/// How often it is looked whether something is other than before.
const LOOK: Duration = Duration::from_millis(500);
/// After so long the browser asks again by itself, and shows anew who it is: a proxy may have signed somebody out.
const LASTS: Duration = Duration::from_secs(15 * 60);
/// When a browser asks again that got nothing.
const LATER: Duration = Duration::from_secs(60);
/// Pages that are followed at a time.
pub(super) const MOST: usize = 64;

const SIGNED_OUT: &str = "<div class=\"note warn\" role=\"alert\"><p>You are signed out, so this page is as it was. \
                          <a href=\"/sign-in\">Sign in</a></p></div>";
const TOO_MANY: &str = "<div class=\"note warn\" role=\"alert\"><p>Too many pages are followed at once, so this one stays \
                        as it was. <a href=\"\">Load it again</a></p></div>";

/// Somebody who follows.
struct Follower<F> {
    web: Arc<Web>,
    session: Session,
    part: F,
    shown: String,
    since: Instant,
    /// Nothing more is sent.
    over: bool,
    _place: OwnedSemaphorePermit,
}

impl<F: Fn() -> String> Follower<F> {
    /// What to send next, once there is something.
    async fn next(&mut self) -> Option<Event> {
        while !self.over && self.since.elapsed() < LASTS {
            if !self.web.gate.is_open(&self.session) {
                self.over = true;
                return Some(last(SIGNED_OUT));
            }
            let now = (self.part)();
            if now != self.shown {
                self.shown = now;
                return Some(Event::default().data(&self.shown));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.web.stop.cancelled() => return None,
            }
        }
        None
    }
}

/// Sends what `part` gives now, and again whenever it is something else, until the session or the program ends, or the
/// browser is gone.
pub(super) fn follow(
    web: &Arc<Web>,
    session: Session,
    part: impl Fn() -> String + Send + 'static,
) -> Response {
    let Ok(place) = Arc::clone(&web.followers).try_acquire_owned() else { return only(TOO_MANY) };
    let (web, shown, since) = (Arc::clone(web), String::new(), Instant::now());
    let follower = Follower { web, session, part, shown, since, over: false, _place: place };
    let events = stream::unfold(follower, |mut follower| async move {
        follower.next().await.map(|event| (Ok::<_, Infallible>(event), follower))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

/// Whether a request wants to follow a page.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepts.into_iter().any(|kinds| kinds.contains("text/event-stream"))
}

/// What somebody hears who wants to follow a page and is not signed in.
pub(super) fn signed_out() -> Response {
    only(SIGNED_OUT)
}

fn last(html: &str) -> Event {
    Event::default().retry(LATER).data(html)
}

fn only(html: &'static str) -> Response {
    Sse::new(stream::iter([Ok::<_, Infallible>(last(html))])).into_response()
}
