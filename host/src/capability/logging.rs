//! The import `logging`: a guest's words, bounded, without secrets, in the operator's log.

use super::Lent;
use crate::contract::logging::{self, Level};

/// The longest message, in bytes; what is longer is cut.
const LONGEST: usize = 4096;
/// Messages a call may log; what comes after is dropped, and that is said once.
const MOST: u32 = 1000;

/// Whose words these are.
#[derive(Debug)]
pub(super) struct Context {
    integration: String,
    stream: String,
    logged: u32,
}

impl Context {
    pub(super) fn new(integration: &str, stream: &str) -> Self {
        Self { integration: integration.to_owned(), stream: stream.to_owned(), logged: 0 }
    }

    pub(super) fn integration(&self) -> &str {
        &self.integration
    }
}

impl logging::Host for Lent {
    async fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let context = &mut self.log;
        context.logged = context.logged.saturating_add(1);
        let (integration, stream) = (context.integration.as_str(), context.stream.as_str());
        if context.logged > MOST {
            if context.logged == MOST + 1 {
                tracing::warn!(target: "connector", integration, stream, "further messages of this call are dropped");
            }
            return Ok(());
        }
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

/// One line that can't forge another and can't steer a terminal.
pub(crate) fn plain(message: &str) -> String {
    let end = message.floor_char_boundary(LONGEST);
    let (kept, cut) = message.split_at(end);
    let mut line: String = kept.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    if !cut.is_empty() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        assert_eq!(plain("a\nERROR forged\x1b[31m"), "a ERROR forged [31m");
        assert_eq!(plain(&"ü".repeat(LONGEST)).chars().count(), LONGEST / 2 + 1);
    }
}
