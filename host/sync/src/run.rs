//! A run: checks which streams can be read, then reads them in parallel, page by page. The next page of a stream is read
//! while the last one is stored.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use connector_sandbox::capabilities::requests_sent;
use connector_sandbox::contract::api::{self, Access, ErrorKind};
use connector_sandbox::manifest::{Manifest, StreamSpec};
use connector_store::{RunId, RunOutcome, RunStart, StoreError, Yields};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::active::{ActiveIntegration, AfterFault};
use crate::check::check;
use crate::event::{Event, Observer};
use crate::integration::Integration;
use crate::keeper::Keeper;
use crate::large_pages::LargePages;
use crate::stream_reader::StreamReader;
use crate::summary::{self, StreamOutcome, StreamSummary, Summary};
use crate::{CallError, SyncError};

/// Streams that are read at the same time. Vendors document no limit; more would be a burden for them.
const SIDE_BY_SIDE: usize = 4;

/// The share of a type that a run may remove, in percent, where a person confirmed the removals.
const ALL_REMOVALS: u8 = 100;

/// Reads all selected streams into the store at `path`. The connector may be swapped meanwhile: the new one reads the
/// next page.
///
/// Once `stop` is cancelled, the pages in flight are stored if they arrive within a few seconds, and the run ends; the
/// next one resumes it.
///
/// # Errors
///
/// [`SyncError`] when the whole run fails. A stream that fails alone is part of the [`Summary`].
pub async fn run(
    serving: Arc<ActiveIntegration>,
    path: PathBuf,
    observer: Arc<dyn Observer>,
    stop: CancellationToken,
) -> Result<Summary, SyncError> {
    let started = Instant::now();
    let requests = Arc::new(AtomicU64::new(0));
    // A run that takes too long is stopped.
    let (asked_to_stop, stop) = (stop.clone(), stop.child_token());
    let longest = serving.current().longest_run;
    let _deadline = AbortOnDropHandle::new(tokio::spawn({
        let stop = stop.clone();
        async move {
            tokio::time::sleep(longest).await;
            stop.cancel();
        }
    }));
    let (integration, report) = tokio::select! {
        checked = check_serving(&serving, observer.as_ref(), &requests) => checked?,
        () = stop.cancelled() => return Err(if asked_to_stop.is_cancelled() {
            SyncError::Stopped
        } else {
            SyncError::TimedOut(longest.as_secs())
        }),
    };
    observer.event(Event::Checked { report: &report });

    // The store is opened only now: a run whose check fails leaves no trace.
    let store = Keeper::open(path.clone()).await?;
    let manifest = integration.manifest();
    let digest = integration.connector.digest();
    let run = store
        .with({
            let (name, account) = (integration.name.clone(), report.account.clone());
            let manifest = manifest.clone();
            let tenant = integration.hosts().collect::<Vec<_>>().join(", ");
            let scope: Vec<_> = integration.selected.iter().map(|stream| stream.name.clone()).collect();
            let removal_percent =
                if serving.take_confirmation() { ALL_REMOVALS } else { integration.removal_percent };
            move |store| {
                store.limit_removals(removal_percent);
                store.begin_run(&RunStart {
                    integration: &name,
                    connector: &manifest.name,
                    title: &manifest.title,
                    version: &manifest.version,
                    digest,
                    account: account.as_deref(),
                    tenant: &tenant,
                    scope: &scope,
                    yields: &yields(&manifest),
                })
            }
        })
        .await?;
    observer.event(Event::RunStarted { resumed: run.resumed });
    let streams = Streams {
        serving: Arc::clone(&serving),
        integration: Arc::clone(&integration),
        store: store.clone(),
        observer: Arc::clone(&observer),
        requests: Arc::clone(&requests),
        stop,
        run: run.id,
        account: report.account.clone(),
    };
    let read = streams.read_all(&report).await;
    let sent = requests_sent(&requests);
    let mut summaries = match read {
        Ok(summaries) => summaries,
        Err(error) => {
            // The requests of a failed run are recorded as well; the next run resumes it.
            store.with(move |store| store.add_requests(run.id, sent)).await?;
            return Err(error);
        }
    };

    let order = |summary: &StreamSummary| {
        integration.selected.iter().position(|stream| stream.name == summary.stream)
    };
    summaries.sort_by_key(order);
    let complete = summaries.iter().all(StreamSummary::is_complete_enough);
    let stopped = summaries.iter().any(|summary| summary.outcome == StreamOutcome::Stopped);
    let keep_days = integration.keep_days;
    let (entities, relations, problems, problem_count, connectors) = store
        .with(move |store| {
            store.add_requests(run.id, sent)?;
            // A stopped run is resumed, like one that was killed.
            if !stopped {
                let outcome = if complete { RunOutcome::Complete } else { RunOutcome::Partial };
                store.finish_run(run.id, outcome)?;
                store.forget_old_runs(run.id, keep_days)?;
            }
            Ok((
                store.reader().entity_counts(run.id)?,
                store.reader().relation_counts(run.id)?,
                store.reader().problems(run.id, summary::PROBLEMS_SHOWN)?,
                store.reader().problem_count(run.id)?,
                store.reader().connectors_of(run.id)?,
            ))
        })
        .await?;
    if !store.is_in_place().await {
        return Err(SyncError::StoreMoved(path));
    }
    Ok(Summary {
        integration: integration.name.clone(),
        account: report.account,
        connector: manifest.name.clone(),
        version: manifest.version.clone(),
        digest,
        resumed: run.resumed,
        complete,
        stopped,
        timed_out: (stopped && !asked_to_stop.is_cancelled()).then_some(integration.longest_run.as_secs()),
        streams: summaries,
        connectors,
        entities,
        relations,
        problems,
        problem_count,
        requests: sent,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// What each stream of a connector yields.
fn yields(manifest: &Manifest) -> Vec<Yields<'_>> {
    let yields = manifest.streams.iter().flat_map(|stream| {
        stream.entities.iter().map(|entity| Yields {
            stream: &stream.name,
            entity_type: entity.entity_type,
            source_type: &entity.source_type,
        })
    });
    yields.collect()
}

/// What the streams of a run share.
struct Streams {
    serving: Arc<ActiveIntegration>,
    integration: Arc<Integration>,
    store: Keeper,
    observer: Arc<dyn Observer>,
    requests: Arc<AtomicU64>,
    stop: CancellationToken,
    run: RunId,
    account: Option<String>,
}

impl Streams {
    /// Reads all streams that can be read. Streams that a connector read before it was rolled back are read again.
    async fn read_all(&self, report: &api::Report) -> Result<Vec<StreamSummary>, SyncError> {
        let (mut summaries, mut wanted) = (Vec::new(), Vec::new());
        for spec in self.integration.selected.clone() {
            let Some(error) = refusal(report, &spec) else {
                wanted.push(spec);
                continue;
            };
            let is_absent = error.kind == ErrorKind::NotInEdition && !self.integration.selected_by_name;
            let summary =
                StreamSummary { is_absent, ..StreamSummary::new(&spec, StreamOutcome::skipped(error)) };
            if let Some(incomplete) = summary.incomplete() {
                let run = self.run;
                self.store.with(move |store| store.end_stream(run, &incomplete)).await?;
            }
            self.observer.event(Event::StreamEnded { summary: &summary });
            summaries.push(summary);
        }
        // A resumed run may have pages of a connector that was rolled back.
        self.discard_pages().await?;
        while !wanted.is_empty() {
            summaries.extend(self.read(wanted).await?);
            wanted = self.discard_pages().await?;
            summaries.retain(|summary| !wanted.iter().any(|spec| spec.name == summary.stream));
        }
        Ok(summaries)
    }

    /// Reads these streams in parallel.
    async fn read(&self, specs: Vec<StreamSpec>) -> Result<Vec<StreamSummary>, SyncError> {
        let mut tasks = JoinSet::new();
        let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
        for spec in specs {
            let reader = StreamReader {
                serving: Arc::clone(&self.serving),
                integration: Arc::clone(&self.integration),
                stop: self.stop.clone(),
                waits: Arc::default(),
                large: LargePages::default(),
                store: self.store.clone(),
                observer: Arc::clone(&self.observer),
                requests: Arc::clone(&self.requests),
                run: self.run,
                account: self.account.clone(),
                spec,
            };
            let places = Arc::clone(&places);
            tasks.spawn(async move {
                // The semaphore is never closed.
                let _place = places.acquire_owned().await;
                reader.read().await
            });
        }
        let mut summaries = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            // Such an error ends the run: dropping the set stops the other streams between two pages.
            let summary = ended.map_err(|error| StoreError::GivenUp(error.to_string()))??;
            self.observer.event(Event::StreamEnded { summary: &summary });
            summaries.push(summary);
        }
        Ok(summaries)
    }

    /// Discards the pages of connectors that were rolled back. Returns the streams that had such pages: they must be read
    /// again.
    async fn discard_pages(&self) -> Result<Vec<StreamSpec>, SyncError> {
        let mut again = Vec::new();
        self.serving.roll_back_if_failed();
        let active = self.serving.current().connector.digest();
        for spec in &self.integration.selected {
            let mut taken_back = false;
            for digest in self.serving.rolled_back().into_iter().filter(|digest| *digest != active) {
                let (run, stream) = (self.run, spec.name.clone());
                taken_back |= self.store.with(move |store| store.discard_pages(run, &stream, digest)).await?;
            }
            if taken_back {
                let stream = spec.name.as_str();
                tracing::warn!(stream, "reading it again: a connector that was rolled back read it");
                again.push(spec.clone());
            }
        }
        Ok(again)
    }
}

/// Checks the integration at the start of a run. Returns the integration that answered, and its report.
async fn check_serving(
    serving: &ActiveIntegration,
    observer: &dyn Observer,
    requests: &Arc<AtomicU64>,
) -> Result<(Arc<Integration>, api::Report), CallError> {
    loop {
        serving.roll_back_if_failed();
        let integration = serving.current();
        match check(&integration, integration.retry, observer, requests).await {
            Ok(report) => return Ok((integration, report)),
            Err(CallError::Fault(fault))
                if fault.is_the_connectors()
                    && serving.fault(&integration, &fault.to_string()) == AfterFault::Again => {}
            Err(error) => return Err(error),
        }
    }
}

/// Why a stream is skipped: `check` found that a permission is missing, or that the edition lacks it. Streams with another
/// error are tried, because it may pass.
fn refusal<'a>(report: &'a api::Report, spec: &StreamSpec) -> Option<&'a api::Error> {
    let row = report.streams.iter().find(|row| spec.name == row.stream)?;
    match &row.access {
        Access::Readable => None,
        Access::Refused(error) => match error.kind {
            ErrorKind::MissingPermission(_) | ErrorKind::NotInEdition => Some(error),
            _ => None,
        },
    }
}
