//! One integration: waits until it is due, runs, and keeps its status.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use connector_sandbox::Digest;
use connector_sandbox::text::plain;
use connector_store::{Reader, RunRow};
use connector_sync::active::ActiveIntegration;
use connector_sync::configuration::Configuration;
use connector_sync::{Event, Observer};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::outcome::{Ending, describe_outcome};
use crate::api_types::{
    ErrorBody, Health, IntegrationState, IntegrationStatus, LastRun, Progress, RunOutcome,
};
use crate::changes::Changes;
use crate::task;

/// A failed run is repeated after this time, unless a run is due earlier.
const AFTER_FAILURE: Duration = Duration::from_secs(15 * 60);

/// The most runs that read at the same time: each takes memory, threads and connections.
pub(super) const PLACES: usize = 16;

/// A run that waits longer than this for the vendor gives its place to another one.
const SHORT_WAIT: Duration = Duration::from_secs(1);

/// A wait for the vendor's rate limit that an operator should know of.
const LONG_WAIT: Duration = Duration::from_secs(120);

/// Runs one integration.
pub(super) struct Worker {
    name: String,
    store: PathBuf,
    state: Mutex<State>,
    /// Notified when it must run now, or its due time may have changed.
    wake: Notify,
    /// What all integrations share: a run begins when it gets a place.
    places: Arc<Semaphore>,
    changes: Changes,
    stop: CancellationToken,
    /// Cancelled when nothing writes to its store any more.
    ended: CancellationToken,
}

struct State {
    bound: Bound,
    run_now: bool,
    /// Whether a run is due and waits for a place.
    queued: bool,
    running: Option<Running>,
    /// Why it does not run until it is configured again.
    halted: Option<ErrorBody>,
    /// When the last run began; the interval counts from then.
    last_begun: Option<DateTime<Utc>>,
    last_run: Option<LastRun>,
    next_run: Option<DateTime<Utc>>,
    /// Objects in its store.
    objects: u64,
    message: Option<String>,
    hint: Option<String>,
    /// The problem of its file; meanwhile it runs with its former configuration.
    complaint: Option<ErrorBody>,
}

impl State {
    fn has_data(&self) -> bool {
        self.objects() > 0
    }

    /// Objects in its store; during a first run, those read so far.
    fn objects(&self) -> u64 {
        let arrived = |running: &Running| running.counter.objects.load(Ordering::Relaxed);
        if self.objects > 0 { self.objects } else { self.running.as_ref().map_or(0, arrived) }
    }
}

/// The run under way.
struct Running {
    started_at: DateTime<Utc>,
    counter: Arc<Counter>,
    stop: CancellationToken,
}

/// An integration with its configuration.
#[derive(Clone)]
pub(super) struct Bound {
    pub(super) configuration: Configuration,
    pub(super) active: Arc<ActiveIntegration>,
    /// The file of its configuration.
    pub(super) file: PathBuf,
    /// The digest of that file.
    pub(super) text: Digest,
}

/// The data of an integration in its store.
#[derive(Default)]
pub(super) struct Stored {
    last_run: Option<RunRow>,
    objects: u64,
}

impl Stored {
    /// Reads the store; one that can't be read counts as empty.
    pub(super) async fn read(store: &Path, integration: &str) -> Self {
        let (store, integration) = (store.to_owned(), integration.to_owned());
        let read = move || {
            let store = Reader::open(&store).ok()?;
            let last_run = store.runs(Some(&integration), 1).ok()?.pop();
            let objects = store.type_counts(&integration).ok()?.iter().map(|one| one.count).sum();
            Some(Self { last_run, objects })
        };
        task::blocking(read).await.unwrap_or_default()
    }
}

impl Worker {
    /// The worker of an integration with this data in its store. It resumes an interrupted run at once.
    pub(super) fn new(
        bound: Bound,
        store: PathBuf,
        stored: Stored,
        places: Arc<Semaphore>,
        changes: Changes,
        stop: CancellationToken,
    ) -> Self {
        let integration = bound.active.current();
        let ending = stored.last_run.as_ref().map(|run| Ending::stored(run, integration.manifest()));
        let Ending { last_run, message, hint } = ending.unwrap_or_default();
        let state = State {
            run_now: stored.last_run.is_some_and(|run| run.finished_at.is_none()),
            queued: false,
            running: None,
            halted: None,
            last_begun: last_run.as_ref().map(|run| run.started_at),
            last_run,
            next_run: None,
            objects: stored.objects,
            message,
            hint,
            complaint: None,
            bound: bound.clone(),
        };
        let (name, ended) = (bound.configuration.name, CancellationToken::new());
        Self { name, store, state: Mutex::new(state), wake: Notify::new(), places, changes, stop, ended }
    }

    /// Whether it runs with the configuration of this text. If so, `file` becomes the path of its configuration, and the
    /// complaint is cleared.
    pub(super) fn has(&self, text: Digest, file: &Path) -> bool {
        let mut state = self.state.lock();
        let same = state.bound.text == text && state.halted.is_none();
        if same {
            state.bound.file = file.to_owned();
            state.complaint = None;
        }
        same
    }

    /// The file of its configuration.
    pub(super) fn file(&self) -> PathBuf {
        self.state.lock().bound.file.clone()
    }

    /// Uses this configuration from now on: a run under way keeps its pages in flight and ends, and the next run resumes
    /// it.
    pub(super) fn reconfigure(&self, bound: Bound) {
        let mut state = self.state.lock();
        (state.bound, state.complaint, state.halted) = (bound, None, None);
        if let Some(running) = &state.running {
            running.stop.cancel();
            state.run_now = true;
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Prevents runs until it is configured again; a run under way ends.
    pub(super) fn halt(&self, problem: ErrorBody) {
        let mut state = self.state.lock();
        if let Some(running) = &state.running {
            running.stop.cancel();
            state.run_now = true;
        }
        state.halted = Some(problem);
        drop(state);
        self.wake.notify_one();
    }

    /// Records that its file can't be used; it keeps its former configuration.
    pub(super) fn complain(&self, complaint: ErrorBody) {
        self.state.lock().complaint = Some(complaint);
    }

    /// Starts a run now, or once more after the run under way. With `confirmed`, the run may remove any number of objects.
    /// The error says why it can't run.
    pub(super) fn run_now(&self, confirmed: bool) -> Result<(), ErrorBody> {
        let mut state = self.state.lock();
        if let Some(problem) = &state.halted {
            return Err(problem.clone());
        }
        if state.bound.configuration.paused {
            return Err(ErrorBody::new(format!("`{}` is paused", self.name)).hint("resume it first"));
        }
        if confirmed {
            state.bound.active.confirm_removals();
        }
        state.run_now = true;
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Ends the run under way and keeps its pages in flight; the next run resumes it.
    pub(super) fn stop_run(&self) {
        let mut state = self.state.lock();
        state.run_now = false;
        if let Some(running) = &state.running {
            running.stop.cancel();
        }
    }

    /// Returns when nothing writes to its store any more.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// The active integration.
    pub(super) fn active(&self) -> Arc<ActiveIntegration> {
        Arc::clone(&self.state.lock().bound.active)
    }

    /// The file of its store.
    pub(super) fn store(&self) -> &Path {
        &self.store
    }

    /// Ends the worker; a run under way keeps its pages in flight and ends.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    pub(super) fn status(&self) -> IntegrationStatus {
        let state = self.state.lock();
        let connector = &state.bound.active.current().connector;
        let manifest = connector.manifest();
        let problem = state.halted.as_ref().or(state.complaint.as_ref());
        let (message, hint) = match problem {
            Some(problem) => (Some(problem.error.clone()), problem.hint.clone()),
            None => (state.message.clone(), state.hint.clone()),
        };
        let paused = state.bound.configuration.paused;
        let does = match (&state.halted, &state.running) {
            (Some(_), _) => IntegrationState::Unusable,
            (None, Some(_)) => IntegrationState::Running,
            (None, None) if paused => IntegrationState::Paused,
            (None, None) if state.queued => IntegrationState::Queued,
            (None, None) => IntegrationState::Idle,
        };
        let failed = state.last_run.as_ref().is_some_and(|run| run.outcome == RunOutcome::Failed);
        let status = match does {
            IntegrationState::Unusable => Health::NotUsable,
            IntegrationState::Paused => Health::Paused,
            _ if failed => Health::Failed,
            // A first run counts as connected from its first objects on.
            _ if state.has_data() => Health::Connected,
            _ => Health::Waiting,
        };
        let about = &state.bound.configuration.about;
        IntegrationStatus {
            name: self.name.clone(),
            state: does,
            status,
            status_message: message.clone().unwrap_or_else(|| status.message(does).to_owned()),
            title: manifest.title.clone(),
            owner: about.owner.clone(),
            secondary_owners: about.secondary_owners.clone(),
            description: about.description.clone(),
            schedule: state.bound.configuration.schedule.to_string(),
            connector: Some(format!("{} {} ({:#})", manifest.name, manifest.version, connector.digest())),
            connector_name: Some(manifest.name.clone()),
            message,
            hint,
            objects: state.objects(),
            progress: state.running.as_ref().map(|running| running.counter.progress(running.started_at)),
            last_run: state.last_run.clone(),
            next_run: state.next_run.filter(|_| does == IntegrationState::Idle),
        }
    }

    /// Runs the integration when it is due, until it is stopped.
    pub(super) async fn work(self: Arc<Self>) {
        while !self.stop.is_cancelled() {
            if self.is_held() {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = self.stop.cancelled() => {}
                }
                continue;
            }
            let due = self.due();
            let now = Utc::now();
            if due > now {
                let pause = (due - now).to_std().unwrap_or_default();
                tokio::select! {
                    () = tokio::time::sleep(pause.min(Duration::from_secs(3600))) => {}
                    () = self.wake.notified() => {}
                    () = self.stop.cancelled() => {}
                }
                continue;
            }
            self.run().await;
        }
        self.ended.cancel();
    }

    /// When the next run is due. The status shows that time.
    fn due(&self) -> DateTime<Utc> {
        let mut state = self.state.lock();
        let now = Utc::now();
        if std::mem::take(&mut state.run_now) {
            return now;
        }
        let mut due = match state.next_run {
            // It is due now; the time of the next run is counted from this run.
            Some(due) if due <= now => due,
            _ => state.bound.configuration.schedule.next(&self.name, state.last_begun, now),
        };
        let failed = state.last_run.as_ref().filter(|run| run.outcome == RunOutcome::Failed);
        if let Some(again) = failed.map(|run| run.ended_at + AFTER_FAILURE) {
            due = if again > now { due.min(again) } else { now };
        }
        if state.next_run.replace(due) != Some(due) {
            self.changes.publish();
        }
        due
    }

    /// Whether it may not run.
    fn is_held(&self) -> bool {
        let state = self.state.lock();
        state.halted.is_some() || state.bound.configuration.paused
    }

    /// Waits for a place, in order. `None` if it may not run any more.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        self.state.lock().queued = true;
        self.changes.publish();
        let place = Arc::clone(&self.places).acquire_owned();
        tokio::pin!(place);
        let place = loop {
            tokio::select! {
                // The semaphore is never closed.
                place = &mut place => break place.ok(),
                () = self.stop.cancelled() => break None,
                () = self.wake.notified() => if self.is_held() {
                    break None;
                },
            }
        };
        self.state.lock().queued = false;
        place
    }

    async fn run(&self) {
        let Some(place) = self.place().await else { return };
        let (started_at, counter) = (Utc::now(), Arc::new(Counter::default()));
        let stop = self.stop.child_token();
        let active = {
            let mut state = self.state.lock();
            if state.halted.is_some() || state.bound.configuration.paused {
                return;
            }
            // This run is the one that was asked for while it waited.
            state.run_now = false;
            let running = Running { started_at, counter: Arc::clone(&counter), stop: stop.clone() };
            state.running = Some(running);
            state.last_begun = Some(started_at);
            Arc::clone(&state.bound.active)
        };
        self.changes.publish();
        tracing::info!(integration = self.name, "a run begins");
        let place = Mutex::new(Some(place));
        let (name, changes) = (self.name.clone(), self.changes.clone());
        let observer = Arc::new(LogObserver { name, counter, place, changes });
        let ended = connector_sync::run(active, self.store.clone(), Arc::clone(&observer) as _, stop).await;
        let (outcome, requests, message, hint) = describe_outcome(&ended);
        tracing::info!(
            integration = self.name,
            requests,
            ?outcome,
            "a run ended{}",
            match &message {
                Some(message) => format!(": {}", plain(message)),
                None => String::new(),
            }
        );
        let stored = Stored::read(&self.store, &self.name).await;
        let mut state = self.state.lock();
        state.running = None;
        state.next_run = None;
        state.objects = stored.objects;
        state.last_run = Some(LastRun { started_at, ended_at: Utc::now(), outcome, requests });
        (state.message, state.hint) = (message, hint);
        drop(state);
        // The place is free only now, so that `status` never shows more runs than there are places.
        drop(observer);
        self.changes.publish();
    }
}

/// The progress of a run.
#[derive(Default)]
struct Counter {
    pages: AtomicU64,
    objects: AtomicU64,
    waits_until: Mutex<Option<DateTime<Utc>>>,
}

impl Counter {
    fn progress(&self, started_at: DateTime<Utc>) -> Progress {
        let (pages, objects) = (self.pages.load(Ordering::Relaxed), self.objects.load(Ordering::Relaxed));
        let waits_until = *self.waits_until.lock();
        let waits_until = waits_until.filter(|until| *until > Utc::now());
        Progress { started_at, pages, objects, waits_until }
    }

    fn waits(&self, duration: Duration) {
        let until = chrono::Duration::from_std(duration).ok().map(|duration| Utc::now() + duration);
        let mut waits_until = self.waits_until.lock();
        *waits_until = (*waits_until).max(until);
    }
}

/// Counts pages and objects, and logs resumed runs and waits.
struct LogObserver {
    name: String,
    counter: Arc<Counter>,
    /// Until the run waits for the vendor for the first time. Then it goes on without one: a run that reads a log at the
    /// vendor's limit waits for hours, and needs little meanwhile.
    place: Mutex<Option<OwnedSemaphorePermit>>,
    changes: Changes,
}

impl LogObserver {
    fn waits(&self, duration: Duration) {
        if duration > SHORT_WAIT {
            *self.place.lock() = None;
        }
        self.counter.waits(duration);
        self.changes.publish();
    }
}

impl Observer for LogObserver {
    fn event(&self, event: Event<'_>) {
        let integration = self.name.as_str();
        match event {
            Event::PageKept { objects, .. } => {
                self.counter.pages.fetch_add(1, Ordering::Relaxed);
                self.counter.objects.fetch_add(objects, Ordering::Relaxed);
                self.changes.publish();
            }
            Event::RunStarted { resumed: true } => {
                tracing::info!(integration, "it resumes an interrupted run");
            }
            Event::Waiting { stream, wait } => {
                self.waits(wait.duration);
                let seconds = wait.duration.as_secs_f32();
                let reason = plain(&wait.reason);
                tracing::warn!(integration, stream, "waiting {seconds:.1} s before it tries again: {reason}");
            }
            Event::Throttled { stream, duration } => {
                self.waits(duration);
                let seconds = duration.as_secs_f32();
                if duration >= LONG_WAIT {
                    tracing::warn!(
                        integration,
                        stream,
                        "the run waits {seconds:.0} s for the vendor's rate limit (`[budgets]` of its configuration)"
                    );
                } else {
                    tracing::debug!(
                        integration,
                        stream,
                        "keeping to the vendor's rate limit for {seconds:.0} s"
                    );
                }
            }
            Event::Checked { .. }
            | Event::RunStarted { .. }
            | Event::StreamStarted { .. }
            | Event::StreamEnded { .. } => {}
        }
    }
}
