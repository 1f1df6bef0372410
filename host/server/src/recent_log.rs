//! The last lines of each integration's log, for the pages. As in the whole log, secrets are redacted before a line
//! arrives here.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use connector_sandbox::text::plain;

/// The number of lines that are kept for each integration.
const LINES: usize = 300;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogLine {
    pub(crate) at: DateTime<Utc>,
    /// `ERROR`, `WARN` or `INFO`.
    pub(crate) level: String,
    /// The stream that it is about, if any.
    pub(crate) stream: Option<String>,
    /// The text, on one line and without control characters.
    pub(crate) message: String,
}

/// The last lines of each integration.
#[derive(Clone, Debug, Default)]
pub struct RecentLog(Arc<Mutex<BTreeMap<String, VecDeque<LogLine>>>>);

impl RecentLog {
    /// The last lines of an integration, the latest first.
    pub(crate) fn lines(&self, integration: &str) -> Vec<LogLine> {
        self.0.lock().get(integration).map(|lines| lines.iter().rev().cloned().collect()).unwrap_or_default()
    }

    /// Drops the lines of an integration that was removed.
    pub(crate) fn forget(&self, integration: &str) {
        self.0.lock().remove(integration);
    }
}

impl<S: Subscriber> Layer<S> for RecentLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > Level::INFO {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Some(integration) = fields.integration else { return };
        let line = LogLine {
            at: Utc::now(),
            level: level.to_string(),
            stream: fields.stream,
            message: plain(&fields.message),
        };
        let mut kept = self.0.lock();
        let lines = kept.entry(integration).or_default();
        if lines.len() >= LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

#[derive(Default)]
struct Fields {
    integration: Option<String>,
    stream: Option<String>,
    message: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "integration" => self.integration = Some(value.to_owned()),
            "stream" => self.stream = Some(value.to_owned()),
            "message" => value.clone_into(&mut self.message),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[test]
    fn the_last_lines_of_each_integration_are_kept() {
        let recent = RecentLog::default();
        let subscriber = tracing_subscriber::registry().with(recent.clone());
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..LINES + 5 {
                tracing::info!(integration = "one", "line {number}");
            }
            tracing::warn!(integration = "two", stream = "users", "forged\nline");
            tracing::debug!(integration = "two", "below the level");
            tracing::error!("of no integration");
        });
        let lines = recent.lines("one");
        assert_eq!((lines.len(), lines[0].message.as_str()), (LINES, format!("line {}", LINES + 4).as_str()));
        let lines = recent.lines("two");
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].message.as_str(), lines[0].stream.as_deref()), ("forged line", Some("users")));
        recent.forget("two");
        assert_eq!(recent.lines("two"), []);
    }
}
