//! The drafts of the wizard: what was typed so far. A draft belongs to one session, and is kept for an hour.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;

use super::page::PageError;
use crate::authentication::Session;
use crate::supervisor::Original;
use connector_sandbox::manifest::Manifest;
use connector_sync::check::Checked;
use connector_sync::configuration::Draft;

/// How long a draft is kept after its last step.
const WAITS: Duration = Duration::from_secs(60 * 60);
/// The most drafts at a time.
const MOST_DRAFTS: usize = 200;

/// The drafts, each by a random identifier.
#[derive(Default)]
pub(super) struct Drafts(Mutex<HashMap<String, DraftSession>>);

/// A draft of an integration, between two steps.
#[derive(Clone)]
pub(super) struct DraftSession {
    pub(super) draft: Draft,
    pub(super) manifest: Arc<Manifest>,
    /// The integration that is being edited; `None` for a new one.
    pub(super) original: Option<Original>,
    /// The options as they were typed.
    pub(super) options: Options,
    /// The result of the last `check`.
    pub(super) checked: Option<Checked>,
    /// The identifier of the session that it belongs to.
    pub(super) by: [u8; 32],
    pub(super) touched: Instant,
}

/// Options as they were typed: a draft can't contain them while they are not valid.
#[derive(Clone, Default)]
pub(super) struct Options {
    /// The names of the selected streams.
    pub(super) streams: Vec<String>,
    pub(super) reviewers: String,
}

impl Options {
    pub(super) fn of(draft: &Draft, manifest: &Manifest) -> Self {
        let all = manifest.streams.iter().map(|stream| stream.name.to_string());
        Self {
            streams: if draft.streams.is_empty() { all.collect() } else { draft.streams.clone() },
            reviewers: draft.about.review.reviewers.map(|count| count.to_string()).unwrap_or_default(),
        }
    }
}

impl Drafts {
    pub(super) fn begin(&self, entry: DraftSession) -> Result<String, PageError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|error| PageError::new(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))?;
        let id = URL_SAFE_NO_PAD.encode(bytes);
        let mut kept = self.0.lock();
        kept.retain(|_, entry| entry.touched.elapsed() < WAITS);
        if kept.len() >= MOST_DRAFTS {
            let error = "too many integrations are being set up: finish or cancel one, or wait an hour";
            return Err(PageError::new(StatusCode::TOO_MANY_REQUESTS, error));
        }
        kept.insert(id.clone(), entry);
        Ok(id)
    }

    pub(super) fn find(&self, id: &str, session: &Session) -> Result<DraftSession, PageError> {
        let mut kept = self.0.lock();
        let found =
            kept.get_mut(id).filter(|entry| entry.by == session.id && entry.touched.elapsed() < WAITS);
        let found = found.ok_or_else(|| {
            PageError::missing(
                "this set-up has ended, or was not continued for an hour: begin again with *Add integration*",
            )
        })?;
        found.touched = Instant::now();
        Ok(found.clone())
    }

    pub(super) fn keep(&self, id: &str, entry: DraftSession) {
        self.0.lock().insert(id.to_owned(), entry);
    }

    pub(super) fn end(&self, id: &str) {
        self.0.lock().remove(id);
    }
}
