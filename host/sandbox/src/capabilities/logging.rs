//! The import `logging`: writes a guest's messages to the operator's log, bounded and without secrets.

use super::CallCapabilities;
use crate::contract::logging::{self, Level};
use crate::limits::{Limit, LimitReached};
use crate::text::plain;

/// The bytes that count for each message in addition to its text: the rest of its line in the log.
pub(crate) const LINE: usize = 100;

/// The integration and the stream that log, and how much they logged.
#[derive(Debug)]
pub(super) struct Context {
    integration: String,
    stream: String,
    /// Bytes logged in this call.
    logged: usize,
}

impl Context {
    pub(super) fn new(integration: &str, stream: &str) -> Self {
        Self { integration: integration.to_owned(), stream: stream.to_owned(), logged: 0 }
    }

    pub(super) fn integration(&self) -> &str {
        &self.integration
    }
}

impl logging::Host for CallCapabilities {
    async fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let context = &mut self.log;
        context.logged = context.logged.saturating_add(message.len().saturating_add(LINE));
        if context.logged > self.limits.log {
            return Err(LimitReached::new(Limit::Log, &self.limits, 0).into());
        }
        let (integration, stream) = (context.integration.as_str(), context.stream.as_str());
        let message = self.redactor.text(&message).into_owned();
        let message = plain(&message);
        match level {
            Level::Trace => tracing::trace!(target: "connector", integration, stream, "{message}"),
            Level::Debug => tracing::debug!(target: "connector", integration, stream, "{message}"),
            Level::Info => tracing::info!(target: "connector", integration, stream, "{message}"),
            Level::Warn => tracing::warn!(target: "connector", integration, stream, "{message}"),
            Level::Error => tracing::error!(target: "connector", integration, stream, "{message}"),
        }
        Ok(())
    }
}

impl CallCapabilities {
    /// Logs what the guest printed, one message per line. The text is redacted as a whole before it is split.
    pub(crate) fn log_printed(&self, printed: &str) {
        let (integration, stream) = (self.log.integration.as_str(), self.log.stream.as_str());
        for line in self.redactor.text(printed).lines().filter(|line| !line.trim().is_empty()) {
            tracing::info!(target: "connector", integration, stream, "printed: {}", plain(line));
        }
    }
}
