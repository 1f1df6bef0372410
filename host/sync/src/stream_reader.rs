//! Reads one stream, from its checkpoint to its end.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use chrono::Utc;
use connector_sandbox::capabilities::WaitListener;
use connector_sandbox::contract::api::{self, ErrorKind, Page, Position, Progress};
use connector_sandbox::limits::Limit;
use connector_sandbox::manifest::StreamSpec;
use connector_sandbox::text::plain;
use connector_sandbox::{Digest, Hint};
use connector_store::{HeldRemovals, PageReader, RunId, StreamCost, StreamState};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::active::{ActiveIntegration, AfterFault};
use crate::event::{Event, Observer};
use crate::examine::examine;
use crate::integration::Integration;
use crate::judge::judge;
use crate::keeper::Keeper;
use crate::large_pages::{LargePages, SMALL_PAGE};
use crate::retry;
use crate::summary::{StreamOutcome, StreamSummary, StreamWindow};
use crate::{CallError, SyncError};

/// How long a stopped run waits for the page in flight.
const DRAIN: Duration = Duration::from_secs(5);

/// Reads one stream.
pub(crate) struct StreamReader {
    /// Has the connector that reads the next page.
    pub(crate) serving: Arc<ActiveIntegration>,
    /// Has the connector that read the last page.
    pub(crate) integration: Arc<Integration>,
    pub(crate) stop: CancellationToken,
    pub(crate) waits: Arc<Waits>,
    pub(crate) large: LargePages,
    pub(crate) store: Keeper,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) requests: Arc<AtomicU64>,
    pub(crate) run: RunId,
    /// The account that `check` reported.
    pub(crate) account: Option<String>,
    pub(crate) spec: StreamSpec,
}

/// How a stream waits: for the vendor's rate limit, or before it tries again.
#[derive(Default)]
pub(crate) struct Waits {
    /// The end of the present wait.
    until: Mutex<Option<Instant>>,
    /// The cost of the stream so far, besides its pages.
    cost: Mutex<StreamCost>,
}

impl Waits {
    /// Begins a wait: no request is in flight for `duration`.
    fn begin(&self, duration: Duration) {
        self.cost.lock().waited += duration;
        *self.until.lock() = Instant::now().checked_add(duration);
    }
}

/// The position of a walk, and the positions where it can start over.
struct Walk {
    position: Position,
    /// Where it began.
    start: Position,
    /// Where to start over when a cursor is refused: after the bookmark, then at the beginning. Each is used once: a vendor
    /// that refuses every cursor would make the walk endless.
    restarts: Vec<Position>,
    cursors: CursorsSeen,
}

impl Walk {
    fn new(cursor: Option<String>, bookmark: Option<String>) -> Self {
        let start = bookmark.map_or(Position::Beginning, Position::After);
        let restarts = vec![Position::Beginning, start.clone()];
        let position = cursor.map_or_else(|| start.clone(), Position::At);
        Self { position, start, restarts, cursors: CursorsSeen::default() }
    }

    /// Starts over at its first position.
    fn begin_again(&mut self) {
        let restarts = vec![Position::Beginning, self.start.clone()];
        (self.position, self.restarts) = (self.start.clone(), restarts);
        self.cursors = CursorsSeen::default();
    }

    /// Starts over after a cursor was refused; `false` if no restart is left.
    fn restart(&mut self) -> bool {
        if matches!(self.position, Position::After(_)) || self.start == Position::Beginning {
            self.restarts.truncate(1);
        }
        let Some(restart) = self.restarts.pop() else { return false };
        self.position = restart;
        self.cursors = CursorsSeen::default();
        true
    }
}

impl StreamReader {
    /// Reads until the stream is complete or ends early. An error ends the whole run.
    pub(crate) async fn read(mut self) -> Result<StreamSummary, SyncError> {
        let summary = self.walk().await;
        let (run, name) = (self.run, self.spec.name.clone());
        let cost = std::mem::take(&mut *self.waits.cost.lock());
        self.store.with(move |store| store.add_cost(run, &name, cost)).await?;
        summary
    }

    async fn walk(&mut self) -> Result<StreamSummary, SyncError> {
        self.observer.event(Event::StreamStarted { stream: &self.spec });
        let (run, name) = (self.run, self.spec.name.clone());
        let checkpoint = {
            let (incremental, cursors) = (self.spec.incremental, self.spec.cursor_version);
            self.store.with(move |store| store.begin_stream(run, &name, incremental, cursors)).await?
        };
        let mut summary = StreamSummary::new(&self.spec, StreamOutcome::Complete);
        summary.pages = checkpoint.pages;
        if checkpoint.state == StreamState::Complete {
            return Ok(summary);
        }
        let mut walk = Walk::new(checkpoint.cursor, checkpoint.bookmark);
        // The next page, if it was read while the last one was stored.
        let mut ahead: Option<Result<Page, CallError>> = None;
        loop {
            if self.stop.is_cancelled() && ahead.is_none() {
                return Ok(stopped(summary));
            }
            self.serving.roll_back_if_failed();
            // A page that was read ahead is used, unless its connector was rolled back meanwhile.
            if ahead.is_none() || self.is_rolled_back() {
                ahead = None;
                match self.take_over(&walk.position).await? {
                    Trust::Kept => {}
                    Trust::Lost => {
                        walk.begin_again();
                        self.start_over(
                            &walk,
                            &mut summary,
                            "a connector that was rolled back read part of it",
                        )
                        .await?;
                    }
                    Trust::Nobody => {
                        let reason =
                            "its connector was rolled back, and the active one does not have the stream"
                                .to_owned();
                        let outcome = StreamOutcome::Incomplete { reason, hint: None };
                        return self.end_with(summary, outcome).await;
                    }
                }
            }
            let page = match ahead.take() {
                Some(page) => page,
                None => match self.page_unless_stopped(&walk.position).await {
                    Some(page) => page,
                    None => return Ok(stopped(summary)),
                },
            };
            let broken = match page {
                Ok(mut page) => {
                    judge(&mut page, Utc::now());
                    match examine(self.integration.manifest(), &self.spec, &page)
                        .and_then(|()| walk.cursors.advance(&walk.position, &page))
                    {
                        Ok(()) => {
                            let next = match &page.progress {
                                Progress::More(cursor) => Position::At(cursor.clone()),
                                Progress::Done(_) => {
                                    return match self.keep(page, &mut summary).await? {
                                        None => Ok(summary),
                                        Some(held) => self.end_with(summary, too_many_removed(&held)).await,
                                    };
                                }
                            };
                            let (kept, read) =
                                tokio::join!(self.keep(page, &mut summary), self.read_ahead(&next));
                            kept?;
                            (walk.position, ahead) = (next, read);
                            None
                        }
                        // The reason quotes the connector, whose text may be long or unsafe to show.
                        Err(reason) => Some(plain(&format!("the connector broke the contract: {reason}"))),
                    }
                }
                Err(CallError::Connector(error)) if error.kind == ErrorKind::InvalidPosition => {
                    if !walk.restart() {
                        return self.end(summary, CallError::Connector(error)).await;
                    }
                    self.start_over(&walk, &mut summary, &error.message).await?;
                    None
                }
                Err(CallError::Fault(fault)) if fault.is_the_connectors() => {
                    if self.serving.fault(&self.integration, &fault.to_string()) == AfterFault::Final {
                        return self.end(summary, fault.into()).await;
                    }
                    None
                }
                Err(_) if self.stop.is_cancelled() => return Ok(stopped(summary)),
                Err(error) => return self.end(summary, error).await,
            };
            if let Some(reason) = broken
                && self.serving.fault(&self.integration, &reason) == AfterFault::Final
            {
                let hint = Some("this is a bug in the connector: report it to its author".to_owned());
                return self.end_with(summary, StreamOutcome::Incomplete { reason, hint }).await;
            }
            if let Some(outcome) = self.endless(&summary) {
                return self.end_with(summary, outcome).await;
            }
        }
    }

    /// Lets the active connector read the next page, if there is no cursor yet or it can read the present cursor. Otherwise
    /// the previous connector finishes the stream. If the previous one was rolled back, the active one starts the stream
    /// over, and the pages that the previous one read are discarded.
    async fn take_over(&mut self, position: &Position) -> Result<Trust, SyncError> {
        let current = self.serving.current();
        if Arc::ptr_eq(&current, &self.integration) {
            return Ok(Trust::Kept);
        }
        let digest = self.integration.connector.digest();
        let failed = self.is_rolled_back();
        let spec = current.manifest().stream(&self.spec.name).cloned();
        let no_cursor = failed || !matches!(position, Position::At(_));
        let Some(spec) = spec.filter(|spec| no_cursor || spec.cursor_version == self.spec.cursor_version)
        else {
            return Ok(if failed { Trust::Nobody } else { Trust::Kept });
        };
        let before = std::mem::replace(&mut self.integration, current);
        self.spec = spec;
        if digest == self.integration.connector.digest() {
            return Ok(Trust::Kept);
        }
        tracing::info!(
            integration = before.name,
            stream = self.spec.name.as_str(),
            "{:#} takes over from {digest:#}",
            self.integration.connector.digest()
        );
        let (run, name) = (self.run, self.spec.name.clone());
        let read = failed && self.store.with(move |store| store.discard_pages(run, &name, digest)).await?;
        Ok(if read { Trust::Lost } else { Trust::Kept })
    }

    /// Deletes the checkpoint, so that the walk starts over.
    async fn start_over(
        &self,
        walk: &Walk,
        summary: &mut StreamSummary,
        reason: &str,
    ) -> Result<(), SyncError> {
        summary.pages = 0;
        tracing::warn!(stream = self.spec.name.as_str(), "starting over: {}", plain(reason));
        let (run, name) = (self.run, self.spec.name.clone());
        let whole = matches!(walk.position, Position::Beginning);
        Ok(self.store.with(move |store| store.forget_checkpoint(run, &name, whole)).await?)
    }

    /// Stores a page.
    async fn keep(&self, page: Page, summary: &mut StreamSummary) -> Result<Option<HeldRemovals>, SyncError> {
        let objects = page.entities.len() + page.usages.len() + page.problems.len();
        let listed = match self.spec.entities.first() {
            Some(first) => page.entities.iter().filter(|one| one.source_type == first.source_type).count(),
            None => page.usages.len(),
        };
        let (objects, listed, total) = (objects as u64, listed as u64, page.total);
        summary.window = page.window.map(StreamWindow::new).or(summary.window);
        let manifest = self.integration.manifest();
        let reader = PageReader {
            connector: manifest.name.clone(),
            version: manifest.version.clone(),
            digest: self.integration.connector.digest(),
            cursor_version: self.spec.cursor_version,
        };
        let (run, name) = (self.run, self.spec.name.clone());
        // Of this page only: the next one, which is read meanwhile, may be the first large one.
        let place = self.large.take();
        let held = self.store.with(move |store| store.commit_page(run, &name, &page, &reader)).await?;
        drop(place);
        summary.pages += 1;
        summary.total = total.or(summary.total);
        self.observer.event(Event::PageKept { stream: &self.spec, objects, listed, total });
        Ok(held)
    }

    /// Whether the connector that read the last page was rolled back.
    fn is_rolled_back(&self) -> bool {
        self.serving.rolled_back().contains(&self.integration.connector.digest())
    }

    /// Reads the next page while the last one is stored. `None` if another connector is active now, the run is stopped, or
    /// the pages are large.
    async fn read_ahead(&self, position: &Position) -> Option<Result<Page, CallError>> {
        self.serving.roll_back_if_failed();
        let has_another = !Arc::ptr_eq(&self.serving.current(), &self.integration);
        if self.stop.is_cancelled() || has_another || self.large.is_expected() {
            return None;
        }
        self.page_unless_stopped(position).await
    }

    /// Reads a page; `None` if the run is stopped before it arrives.
    async fn page_unless_stopped(&self, position: &Position) -> Option<Result<Page, CallError>> {
        tokio::select! {
            page = self.page(position) => Some(page),
            () = self.drained() => None,
        }
    }

    /// The outcome of a stream that reached the limit of pages.
    fn endless(&self, summary: &StreamSummary) -> Option<StreamOutcome> {
        let most = self.integration.pages;
        (summary.pages >= most).then(|| StreamOutcome::Incomplete {
            reason: format!("it has more than the limit of {most} pages (`pages`)"),
            hint: Some(
                "if the tenant is that large, raise `pages` under `[limits]`; otherwise this is a bug in the connector: \
                 report it to its author"
                    .to_owned(),
            ),
        })
    }

    /// Waits until the run is stopped, and then for `DRAIN` if a page is in flight.
    async fn drained(&self) {
        self.stop.cancelled().await;
        let waits_until = *self.waits.until.lock();
        if waits_until.is_none_or(|until| until <= Instant::now()) {
            tokio::time::sleep(DRAIN).await;
        }
    }

    /// Reads a page, with retries.
    async fn page(&self, position: &Position) -> Result<Page, CallError> {
        let throttled: WaitListener = {
            let (waits, observer) = (Arc::clone(&self.waits), Arc::clone(&self.observer));
            let stream = self.spec.name.clone();
            Arc::new(move |duration| {
                waits.begin(duration);
                observer.event(Event::Throttled { stream: &stream, duration });
            })
        };
        retry::until_answered(
            self.integration.retry_in(&self.spec),
            |wait| {
                self.waits.cost.lock().retries += 1;
                self.waits.begin(wait.duration);
                self.observer.event(Event::Waiting { stream: &self.spec.name, wait });
            },
            || self.page_once(position, &throttled),
        )
        .await
    }

    /// Reads a page, in one attempt. A page larger than most is read again when it is the only one in memory.
    async fn page_once(&self, position: &Position, throttled: &WaitListener) -> Result<Page, CallError> {
        let most = self.integration.most_output();
        let read = |output| {
            let account = self.account.as_deref();
            self.integration.read_within(output, &self.spec, account, position, &self.requests, throttled)
        };
        if !self.large.is_expected() {
            match read(most.min(SMALL_PAGE)).await {
                Err(CallError::Fault(fault)) if most > SMALL_PAGE && fault.is_limit(Limit::Output) => {
                    self.large.expect();
                }
                read => return read,
            }
        }
        let place = self.large.place().await;
        let page = read(most).await?;
        self.large.keep(place);
        Ok(page)
    }

    async fn end(&self, summary: StreamSummary, error: CallError) -> Result<StreamSummary, SyncError> {
        // Every other stream would fail in the same way.
        let ends_all =
            matches!(error.kind(), Some(ErrorKind::Unauthenticated | ErrorKind::InvalidSetting(_)));
        let mut summary = summary;
        let refused = refused(&error).filter(|_| summary.pages == 0);
        summary.is_absent = refused.is_some_and(|error| error.kind == ErrorKind::NotInEdition)
            && !self.integration.selected_by_name;
        let outcome = match refused {
            Some(refused) => StreamOutcome::skipped(refused),
            None => StreamOutcome::Incomplete { reason: error.to_string(), hint: error.hint() },
        };
        if let CallError::Connector(error) = &error
            && let Some(detail) = &error.detail
        {
            tracing::debug!(stream = self.spec.name.as_str(), "{}", plain(detail));
        }
        let summary = self.end_with(summary, outcome).await?;
        if ends_all { Err(error.into()) } else { Ok(summary) }
    }

    async fn end_with(
        &self,
        mut summary: StreamSummary,
        outcome: StreamOutcome,
    ) -> Result<StreamSummary, SyncError> {
        summary.outcome = outcome;
        if let Some(incomplete) = summary.incomplete() {
            let run = self.run;
            self.store.with(move |store| store.end_stream(run, &incomplete)).await?;
        }
        Ok(summary)
    }
}

/// The outcome of a stream that did not see too many of its objects.
fn too_many_removed(held: &HeldRemovals) -> StreamOutcome {
    let HeldRemovals { source_type, held, present } = held;
    StreamOutcome::Incomplete {
        reason: format!(
            "{held} of {present} objects of the type `{source_type}` are missing; they were not marked as removed"
        ),
        hint: Some(
            "if they were deleted at the vendor, sync again: a second run that does not find them marks them as removed. \
             Or confirm it at once, with `sync --confirm-removals` or on the page, or raise `removal-percent` under \
             `[store]`"
                .to_owned(),
        ),
    }
}

/// The error, if the vendor does not let these credentials read the stream.
fn refused(error: &CallError) -> Option<&api::Error> {
    match error {
        CallError::Connector(error) => {
            matches!(error.kind, ErrorKind::MissingPermission(_) | ErrorKind::NotInEdition).then_some(error)
        }
        CallError::Fault(_) => None,
    }
}

/// What happens to the pages that a connector read before another took over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    Kept,
    Lost,
    /// The connector was rolled back, and the active one does not have the stream.
    Nobody,
}

fn stopped(mut summary: StreamSummary) -> StreamSummary {
    summary.outcome = StreamOutcome::Stopped;
    summary
}

/// The digests of a walk's cursors: a cursor that comes back would make the walk endless.
#[derive(Default)]
struct CursorsSeen(HashSet<Digest>);

impl CursorsSeen {
    fn advance(&mut self, position: &Position, page: &Page) -> Result<(), String> {
        if let Position::At(cursor) = position {
            self.0.insert(Digest::of(cursor.as_bytes()));
        }
        match &page.progress {
            Progress::More(next) if self.0.contains(&Digest::of(next.as_bytes())) => {
                Err("its cursor does not advance: an earlier page had the same one".to_owned())
            }
            _ => Ok(()),
        }
    }
}
