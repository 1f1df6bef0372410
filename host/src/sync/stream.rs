//! One stream, from its checkpoint to its end.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::summary::StreamWindow;
use super::{Event, Keeper, Observer, StreamOutcome, StreamSummary, SyncError, retry};
use crate::capability::plain;
use crate::contract::api::{ErrorKind, Page, Position, Progress};
use crate::contract::types::Relation;
use crate::integration::{CallError, Integration};
use crate::manifest::{ANY_PRIVILEGE, StreamSpec, entity_type_word};
use crate::normal;
use crate::plugin::Digest;
use crate::store::{RunId, StreamState};

/// The longest cursor or bookmark, in bytes; see the contract.
const LONGEST_CURSOR: usize = 4096;

/// Reads one stream.
pub(super) struct Reader {
    pub(super) integration: Arc<Integration>,
    pub(super) store: Keeper,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) requests: Arc<AtomicU64>,
    pub(super) run: RunId,
    /// What `check` said it is connected to.
    pub(super) account: Option<String>,
    pub(super) spec: StreamSpec,
}

impl Reader {
    /// Reads to the end, or to what ends it early. An error ends the whole run.
    pub(super) async fn read(self) -> Result<StreamSummary, SyncError> {
        self.observer.event(Event::StreamStarted { stream: &self.spec });
        let (run, name) = (self.run, self.spec.name.clone());
        let checkpoint = {
            let incremental = self.spec.incremental;
            self.store.with(move |store| store.begin_stream(run, &name, incremental)).await?
        };
        let mut summary = StreamSummary::new(&self.spec, StreamOutcome::Complete);
        summary.pages = checkpoint.pages;
        if checkpoint.state == StreamState::Complete {
            return Ok(summary);
        }
        // Where to start over when a cursor is refused: after the bookmark, then at the beginning. Each once, because
        // a cursor that never lasts would send us round for ever.
        let mut restarts = vec![Position::Beginning];
        restarts.extend(checkpoint.bookmark.map(Position::After));
        let mut position = match (checkpoint.cursor, restarts.last()) {
            (Some(cursor), _) => Position::At(cursor),
            (None, Some(start)) => start.clone(),
            (None, None) => Position::Beginning,
        };
        let mut cursors = CursorsSeen::default();
        loop {
            let page = match self.page(&position).await {
                Ok(page) => page,
                Err(CallError::Connector(error)) if error.kind == ErrorKind::InvalidPosition => {
                    if matches!(position, Position::After(_)) {
                        restarts.truncate(1);
                    }
                    let Some(restart) = restarts.pop() else {
                        return self.end(summary, CallError::Connector(error)).await;
                    };
                    position = restart;
                    summary.pages = 0;
                    cursors = CursorsSeen::default();
                    tracing::warn!(stream = self.spec.name, "starting over: {}", plain(&error.message));
                    let (name, whole) = (self.spec.name.clone(), matches!(position, Position::Beginning));
                    self.store.with(move |store| store.forget_checkpoint(run, &name, whole)).await?;
                    continue;
                }
                Err(error) => return self.end(summary, error).await,
            };
            let examined = self.examine(&page).and_then(|()| cursors.advance(&position, &page.progress));
            if let Err(reason) = examined {
                let outcome = StreamOutcome::Incomplete {
                    reason: format!("the connector broke the contract: {reason}"),
                    hint: Some("this is a bug in the connector: report it to its author".to_owned()),
                };
                return self.end_with(summary, outcome).await;
            }
            let objects = page.entities.len() + page.usages.len() + page.problems.len();
            let (total, progress) = (page.total, page.progress.clone());
            summary.window = page.window.map(StreamWindow::new).or(summary.window);
            let name = self.spec.name.clone();
            self.store.with(move |store| store.commit_page(run, &name, &page)).await?;
            summary.pages += 1;
            summary.total = total.or(summary.total);
            self.observer.event(Event::PageKept { stream: &self.spec, objects: objects as u64, total });
            match progress {
                Progress::More(_) if summary.pages >= self.integration.pages => {
                    let outcome = StreamOutcome::Incomplete {
                        reason: format!("it has more than the limit of {} pages (`pages`)", self.integration.pages),
                        hint: Some(
                            "if the tenant is that large, raise `pages` under `[limits]`; if not, the connector goes \
                             on without end: report it to its author"
                                .to_owned(),
                        ),
                    };
                    return self.end_with(summary, outcome).await;
                }
                Progress::More(cursor) => position = Position::At(cursor),
                Progress::Done(_) => return Ok(summary),
            }
        }
    }

    /// One page, asked for until there is an answer.
    async fn page(&self, position: &Position) -> Result<Page, CallError> {
        let throttled = |duration| {
            self.observer.event(Event::Throttled { stream: &self.spec.name, duration });
        };
        retry::until_answered(
            self.integration.retry,
            |wait| self.observer.event(Event::Waiting { stream: &self.spec.name, wait }),
            || {
                let account = self.account.as_deref();
                self.integration.read(&self.spec, account, position, &self.requests, &throttled)
            },
        )
        .await
    }

    /// What a page must keep to, so that a later stream, run or reader can rely on it.
    fn examine(&self, page: &Page) -> Result<(), String> {
        for entity in &page.entities {
            let (source_type, name) = (&entity.source_type, &entity.name);
            let entity_type = entity_type_word(normal::entity_type(&entity.normal));
            match self.spec.entities.iter().find(|spec| spec.source_type == *source_type) {
                None => return Err(format!("it yields `{source_type}`, which this stream does not declare")),
                Some(spec) if spec.entity_type != entity_type => {
                    return Err(format!("it yields `{source_type}` as {entity_type}"));
                }
                Some(_) => {}
            }
            if entity.source_id.trim().is_empty() || name.trim().is_empty() {
                return Err(format!("it yields a `{source_type}` without a key or a name"));
            }
        }
        let mut ends = page.relations.iter().flat_map(|relation| [&relation.parent, &relation.child]);
        if let Some(end) = ends.find(|end| end.source_id.trim().is_empty()) {
            return Err(format!("it relates a `{}` without a key", end.source_type));
        }
        for relation in &page.relations {
            let Relation { parent, privilege, child, .. } = relation;
            let declared = self.spec.relations.iter().any(|spec| {
                spec.parent == parent.source_type
                    && spec.child == child.source_type
                    && (spec.privilege == *privilege || spec.privilege == ANY_PRIVILEGE)
            });
            if !declared {
                let (parent, child) = (&parent.source_type, &child.source_type);
                return Err(format!(
                    "it relates `{parent}` `{privilege}` `{child}`, which this stream does not declare"
                ));
            }
        }
        if !page.usages.is_empty() && !self.spec.usages {
            return Err("it yields usages, which this stream does not declare".to_owned());
        }
        let text = match &page.progress {
            Progress::More(cursor) => Some(cursor),
            Progress::Done(bookmark) => bookmark.as_ref(),
        };
        if text.is_some_and(|text| text.len() > LONGEST_CURSOR) {
            return Err(format!("its cursor is longer than {LONGEST_CURSOR} bytes"));
        }
        Ok(())
    }

    async fn end(&self, summary: StreamSummary, error: CallError) -> Result<StreamSummary, SyncError> {
        let outcome = match error.kind() {
            // The next stream would fail in the same way.
            Some(ErrorKind::Unauthenticated | ErrorKind::InvalidSetting(_)) => return Err(error.into()),
            Some(ErrorKind::MissingPermission(_) | ErrorKind::NotInEdition) if summary.pages == 0 => {
                StreamOutcome::Skipped { reason: error.to_string(), hint: error.hint() }
            }
            _ => StreamOutcome::Incomplete { reason: error.to_string(), hint: error.hint() },
        };
        if let CallError::Connector(error) = &error
            && let Some(detail) = &error.detail
        {
            tracing::debug!(stream = self.spec.name, "{}", plain(detail));
        }
        self.end_with(summary, outcome).await
    }

    async fn end_with(
        &self,
        mut summary: StreamSummary,
        outcome: StreamOutcome,
    ) -> Result<StreamSummary, SyncError> {
        let state = match outcome {
            StreamOutcome::Skipped { .. } => StreamState::Skipped,
            _ => StreamState::Incomplete,
        };
        let (run, name) = (self.run, self.spec.name.clone());
        let reason = outcome.reason().unwrap_or_default().to_owned();
        self.store.with(move |store| store.end_stream(run, &name, state, &reason)).await?;
        summary.outcome = outcome;
        Ok(summary)
    }
}

/// The cursors of a walk, by their digests: one that comes back would lead round for ever.
#[derive(Default)]
struct CursorsSeen(HashSet<Digest>);

impl CursorsSeen {
    fn advance(&mut self, position: &Position, progress: &Progress) -> Result<(), String> {
        if let Position::At(cursor) = position {
            self.0.insert(Digest::of(cursor.as_bytes()));
        }
        match progress {
            Progress::More(next) if self.0.contains(&Digest::of(next.as_bytes())) => {
                Err("its cursor does not advance: it was there before".to_owned())
            }
            _ => Ok(()),
        }
    }
}
