//! Pages that follow the status: a part of a page, sent again when its HTML changes (server-sent events).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Web;
use crate::authentication::Session;

/// The shortest time between two renderings: a run stores many pages in a second.
const PACE: Duration = Duration::from_millis(250);
/// How long the answer to one request lasts. The browser then sends another request, which a proxy authenticates again.
const LASTS: Duration = Duration::from_secs(15 * 60);
/// How long a browser waits after the last event before it asks again.
const LATER: Duration = Duration::from_secs(60);
/// The most pages that follow the status at a time.
pub(super) const MOST: usize = 64;

const SIGNED_OUT: &str = "<div class=\"note warn\" role=\"alert\"><p>You are signed out. This page is no longer updated. \
                          <a href=\"/sign-in\">Sign in</a></p></div>";
const TOO_MANY: &str = "<div class=\"note warn\" role=\"alert\"><p>Too many pages are open. This one is not updated. \
                        <a href=\"\">Load it again</a></p></div>";

/// A part of a page.
pub(super) struct Part {
    pub(super) html: String,
    /// When it changes without a change of the status, if it does.
    pub(super) until: Option<DateTime<Utc>>,
}

/// Renders a part of a page for one browser while its session is open.
struct Follower<O, P> {
    is_open: O,
    part: P,
    changes: watch::Receiver<()>,
    stop: CancellationToken,
    /// The HTML that the browser shows.
    shown: String,
    rendered_at: Option<Instant>,
    /// When the part changes without a change of the status.
    until: Option<DateTime<Utc>>,
    /// When the answer ends.
    end: Instant,
    over: bool,
}

impl<O: Fn() -> bool, P: Fn() -> Part> Follower<O, P> {
    fn new(is_open: O, part: P, changes: watch::Receiver<()>, stop: CancellationToken) -> Self {
        let end = Instant::now() + LASTS;
        let (shown, rendered_at, until, over) = Default::default();
        Self { is_open, part, changes, stop, shown, rendered_at, until, end, over }
    }

    /// The next event: the first at once, each later one after a change. Nothing is rendered between changes.
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        let (stop, end) = (self.stop.clone(), self.end);
        tokio::select! {
            event = self.changed_part() => event,
            () = stop.cancelled() => None,
            () = sleep_until(end) => None,
        }
    }

    async fn changed_part(&mut self) -> Option<Event> {
        loop {
            if let Some(rendered_at) = self.rendered_at {
                let by_itself = self.until.and_then(|until| (until - Utc::now()).to_std().ok());
                tokio::select! {
                    // Without a sender, the program is ending.
                    changed = self.changes.changed() => changed.ok()?,
                    () = sleep(by_itself.unwrap_or(LASTS)) => {}
                }
                sleep_until(rendered_at + PACE).await;
            }
            // It is marked before the status is read, so that a change during the rendering wakes it again.
            self.changes.mark_unchanged();
            if !(self.is_open)() {
                self.over = true;
                return Some(last(SIGNED_OUT));
            }
            let part = (self.part)();
            (self.rendered_at, self.until) = (Some(Instant::now()), part.until);
            if part.html != self.shown {
                self.shown = part.html;
                return Some(Event::default().data(&self.shown));
            }
        }
    }
}

/// Sends `part` now, and again whenever its HTML differs, until the session or the program ends, or the browser closes the
/// connection.
pub(super) fn follow(web: &Arc<Web>, session: Session, part: impl Fn() -> Part + Send + 'static) -> Response {
    let Ok(place) = Arc::clone(&web.followers).try_acquire_owned() else { return only(TOO_MANY) };
    let is_open = {
        let web = Arc::clone(web);
        move || web.gate.is_open(&session)
    };
    let follower = Follower::new(is_open, part, web.supervisor.changes().subscribe(), web.stop.clone());
    let next = |(mut follower, place): (Follower<_, _>, OwnedSemaphorePermit)| async move {
        follower.next().await.map(|event| (Ok::<_, Infallible>(event), (follower, place)))
    };
    Sse::new(stream::unfold((follower, place), next)).keep_alive(KeepAlive::default()).into_response()
}

/// Whether a request asks for the events of a page.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepts.into_iter().any(|kinds| kinds.contains("text/event-stream"))
}

/// The answer to a request to follow a page without a session.
pub(super) fn signed_out() -> Response {
    only(SIGNED_OUT)
}

fn last(html: &str) -> Event {
    Event::default().retry(LATER).data(html)
}

fn only(html: &'static str) -> Response {
    Sse::new(stream::iter([Ok::<_, Infallible>(last(html))])).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::Changes;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    /// How often a follower rendered, and whether its session ended.
    #[derive(Default)]
    struct Seen {
        rendered: AtomicUsize,
        signed_out: AtomicBool,
    }

    impl Seen {
        fn rendered(&self) -> usize {
            self.rendered.load(Ordering::Relaxed)
        }

        /// Starts a follower with HTML that differs each time, or never. Its task returns the number of events.
        fn follow(
            self: &Arc<Self>,
            changes: &Changes,
            differs: bool,
            until: Option<DateTime<Utc>>,
        ) -> tokio::task::JoinHandle<usize> {
            let (seen, asked) = (Arc::clone(self), Arc::clone(self));
            let part = move || {
                let number = seen.rendered.fetch_add(1, Ordering::Relaxed);
                Part { html: if differs { number.to_string() } else { "same".to_owned() }, until }
            };
            let is_open = move || !asked.signed_out.load(Ordering::Relaxed);
            let mut follower = Follower::new(is_open, part, changes.subscribe(), CancellationToken::new());
            tokio::spawn(async move {
                let mut events = 0;
                while follower.next().await.is_some() {
                    events += 1;
                }
                events
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_page_is_rendered_after_a_change_only() {
        let (changes, seen) = (Changes::default(), Arc::new(Seen::default()));
        let follows = seen.follow(&changes, false, None);
        sleep(Duration::from_secs(600)).await;
        assert_eq!(seen.rendered(), 1, "nothing changed");
        changes.publish();
        sleep(Duration::from_secs(60)).await;
        assert_eq!(seen.rendered(), 2);
        assert_eq!(follows.await.unwrap(), 1, "what is the same is not sent again");
    }

    #[tokio::test(start_paused = true)]
    async fn many_changes_are_rendered_a_few_times_a_second() {
        let (changes, seen) = (Changes::default(), Arc::new(Seen::default()));
        seen.follow(&changes, true, None);
        sleep(Duration::from_secs(1)).await;
        let first = seen.rendered();
        for _ in 0..1000 {
            changes.publish();
            sleep(Duration::from_millis(1)).await;
        }
        sleep(Duration::from_secs(1)).await;
        let rendered = seen.rendered() - first;
        assert!((2..=10).contains(&rendered), "{rendered}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_session_is_the_last_event() {
        let (changes, seen) = (Changes::default(), Arc::new(Seen::default()));
        let follows = seen.follow(&changes, false, None);
        sleep(Duration::from_secs(1)).await;
        seen.signed_out.store(true, Ordering::Relaxed);
        changes.publish();
        assert_eq!(follows.await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_changes_by_itself_is_rendered_then() {
        let (changes, seen) = (Changes::default(), Arc::new(Seen::default()));
        seen.follow(&changes, false, Some(Utc::now() + chrono::Duration::seconds(30)));
        sleep(Duration::from_secs(20)).await;
        assert_eq!(seen.rendered(), 1);
        sleep(Duration::from_secs(20)).await;
        assert_eq!(seen.rendered(), 2);
    }
}
