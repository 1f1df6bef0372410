//! Integrations that are being filled in: what was typed so far, whose it is, and for how long it is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::page::PageError;
use crate::authentication::Session;
use crate::supervisor::Original;
use connector_sandbox::manifest::Manifest;
use connector_sync::check::Checked;
use connector_sync::configuration::Draft;

/// How long a draft waits for its next step.
const WAITS: Duration = Duration::from_secs(60 * 60);
/// Drafts at a time.
const MOST_DRAFTS: usize = 200;

/// The integrations that are being filled in.
#[derive(Default)]
pub(super) struct Drafts(Mutex<HashMap<String, DraftSession>>);

/// An integration that is being filled in.
#[derive(Clone)]
pub(super) struct DraftSession {
    pub(super) draft: Draft,
    pub(super) manifest: Arc<Manifest>,
    /// The integration that is being changed; `None` for a new one.
    pub(super) original: Option<Original>,
    /// What was typed of the options, as it was typed.
    pub(super) options: Options,
    /// What may be read with it, as was found last.
    pub(super) checked: Option<Checked>,
    /// Whose it is.
    pub(super) by: [u8; 32],
    pub(super) touched: Instant,
}

/// Options that a draft has no place for as long as they are wrong.
#[derive(Clone, Default)]
pub(super) struct Options {
    /// The streams that are selected, by name.
    pub(super) streams: Vec<String>,
    pub(super) reviewers: String,
}

impl Options {
    pub(super) fn of(draft: &Draft, manifest: &Manifest) -> Self {
        let all = manifest.streams.iter().map(|stream| stream.name.clone());
        Self {
            streams: if draft.streams.is_empty() { all.collect() } else { draft.streams.clone() },
            reviewers: draft.about.review.reviewers.map(|count| count.to_string()).unwrap_or_default(),
        }
    }
}

impl Drafts {
    fn kept(&self) -> MutexGuard<'_, HashMap<String, DraftSession>> {
        // Each change of it is one insertion or removal.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, filling: DraftSession) -> Result<String, PageError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|error| PageError::new(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))?;
        let id = URL_SAFE_NO_PAD.encode(bytes);
        let mut kept = self.kept();
        kept.retain(|_, filling| filling.touched.elapsed() < WAITS);
        if kept.len() >= MOST_DRAFTS {
            let said = "too many integrations are being set up at once: finish or leave one, or wait an hour";
            return Err(PageError::new(StatusCode::TOO_MANY_REQUESTS, said));
        }
        kept.insert(id.clone(), filling);
        Ok(id)
    }

    pub(super) fn find(&self, id: &str, session: &Session) -> Result<DraftSession, PageError> {
        let mut kept = self.kept();
        let found =
            kept.get_mut(id).filter(|filling| filling.by == session.id && filling.touched.elapsed() < WAITS);
        let found = found.ok_or_else(|| {
            PageError::missing(
                "this set-up is over, or waited for more than an hour: begin again with *Add integration*",
            )
        })?;
        found.touched = Instant::now();
        Ok(found.clone())
    }

    pub(super) fn keep(&self, id: &str, filling: DraftSession) {
        self.kept().insert(id.to_owned(), filling);
    }

    pub(super) fn end(&self, id: &str) {
        self.kept().remove(id);
    }
}
