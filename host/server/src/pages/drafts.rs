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
use connector_sandbox::manifest::{HostRule, Manifest, SettingKind, SettingSpec};
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

impl DraftSession {
    /// Keeps secrets only while the connector connects to the hosts that they were entered for: those of the file to its hosts,
    /// those of this draft to the hosts `before` this step. A person who may edit an integration must not learn its secrets.
    /// Returns the settings of the dropped secrets.
    pub(super) fn leave_secrets(&mut self, before: &Draft) -> Vec<SettingSpec> {
        let draft = &mut self.draft;
        let secrets = || self.manifest.settings.iter().filter(|spec| spec.kind == SettingKind::Secret);
        let mut left = Vec::new();
        if !have_same_hosts(&self.manifest, draft, before) {
            left.extend(secrets().filter(|spec| draft.sealed.remove(&spec.name).is_some()).cloned());
        }
        let Some(original) = &self.original else { return left };
        let same = have_same_hosts(&self.manifest, draft, &original.draft);
        for spec in secrets().filter(|spec| original.draft.kept.contains(&spec.name)) {
            if same && !draft.sealed.contains_key(&spec.name) {
                draft.kept.insert(spec.name.clone());
            } else if !same {
                draft.kept.remove(&spec.name);
                left.push(spec.clone());
            }
        }
        left
    }
}

/// Whether the connector connects to the same hosts with both drafts.
fn have_same_hosts(manifest: &Manifest, one: &Draft, other: &Draft) -> bool {
    let hosts = manifest.hosts.iter().filter_map(|rule| match rule {
        HostRule::Setting(name) => Some(name),
        HostRule::Name(_) => None,
    });
    let mut same = hosts.map(|name| {
        let of = |draft: &Draft| (draft.settings.get(name).cloned(), draft.kept.contains(name));
        of(one) == of(other)
    });
    same.all(|same| same)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, kind: SettingKind) -> SettingSpec {
        SettingSpec {
            name: name.to_owned(),
            title: name.to_owned(),
            help: String::new(),
            kind,
            required: true,
            pattern: None,
            default: None,
            example: None,
            choices: Vec::new(),
        }
    }

    fn draft(host: &str, sealed: &[&str]) -> Draft {
        Draft {
            settings: [("host".to_owned(), host.to_owned())].into(),
            sealed: sealed.iter().map(|name| ((*name).to_owned(), "v1:AAAA".to_owned())).collect(),
            ..Draft::default()
        }
    }

    #[test]
    fn a_secret_of_a_new_draft_stays_only_while_its_host_stays() {
        let manifest = Manifest {
            settings: vec![spec("host", SettingKind::Text), spec("key", SettingKind::Secret)],
            hosts: vec![HostRule::Setting("host".to_owned())],
            ..Manifest::default()
        };
        let before = draft("a.example.com", &["key"]);
        for (host, left) in [("a.example.com", &[][..]), ("b.example.com", &["key"])] {
            let mut entry = DraftSession {
                draft: draft(host, &["key"]),
                manifest: Arc::new(manifest.clone()),
                original: None,
                options: Options::default(),
                checked: None,
                by: [0; 32],
                touched: Instant::now(),
            };
            let dropped: Vec<_> = entry.leave_secrets(&before).into_iter().map(|spec| spec.name).collect();
            assert_eq!(dropped, left, "{host}");
            assert_eq!(entry.draft.sealed.is_empty(), !left.is_empty(), "{host}");
        }
    }
}
