//! How a call to a guest failed without an error from the guest itself.

use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use crate::capabilities::Redactor;
use crate::hint::Hint;
use crate::limits::{Limit, LimitReached, Limits};
use crate::state::CallState;
use crate::text::plain;

/// A call that ended without an answer. The instance is gone; the next call gets a fresh one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It reached a limit of the call.
    #[error(transparent)]
    Limit(LimitReached),
    /// It panicked.
    #[error("the connector panicked: {message}")]
    Panicked {
        /// What it wrote, without secrets.
        message: String,
    },
    /// It exited.
    #[error("the connector exited with code {code}")]
    Exited {
        /// The exit code.
        code: i32,
    },
    /// Its answer does not fit the contract.
    #[error("the connector broke the contract: {reason}")]
    Breach {
        /// What does not fit.
        reason: String,
    },
    /// The engine stopped it for another reason.
    #[error("the connector was stopped: {reason}")]
    Trapped {
        /// The engine's error text.
        reason: String,
    },
}

impl Hint for Fault {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Limit(reached) if reached.limit == Limit::Call => {
                "if the vendor is slow, raise `call-seconds` under `[limits]`; if not, the connector hangs: report \
                 it to its author"
                    .to_owned()
            }
            Self::Limit(reached) if reached.limit == Limit::Stack => {
                "start the program with a larger `--stack-kib`; if that does not help, the connector recurses without \
                 end: report it to its author"
                    .to_owned()
            }
            Self::Limit(reached) => format!(
                "if it is right that the connector needs more, raise `{}` under `[limits]`; if not, report it to its \
                 author",
                reached.limit.setting()
            ),
            Self::Panicked { .. }
            | Self::Exited { .. }
            | Self::Breach { .. }
            | Self::Trapped { .. } => {
                "this is a bug in the connector: report it to its author; other streams are not affected".to_owned()
            }
        })
    }
}

impl Fault {
    /// Whether the connector is the cause. A call that ran out of time may have waited for a slow vendor.
    #[must_use]
    pub fn is_the_connectors(&self) -> bool {
        !self.is_limit(Limit::Call)
    }

    /// Whether it reached this limit.
    #[must_use]
    pub fn is_limit(&self, limit: Limit) -> bool {
        matches!(self, Self::Limit(reached) if reached.limit == limit)
    }

    /// Classifies what the engine reported; `stack` is the engine's limit in bytes.
    pub(crate) fn classify(
        error: &wasmtime::Error,
        state: &CallState,
        limits: &Limits,
        stack: usize,
        redactor: &Redactor,
    ) -> Self {
        let reached = |limit| Self::Limit(LimitReached::new(limit, limits, stack));
        if let Some(reached) = error.downcast_ref() {
            return Self::Limit(*reached);
        }
        if let Some(I32Exit(code)) = error.downcast_ref() {
            return Self::Exited { code: *code };
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => reached(Limit::Compute),
            Some(Trap::StackOverflow) => reached(Limit::Stack),
            // Rust's abort ends here. Its message is in the guest's standard error, and may hold a secret.
            Some(Trap::UnreachableCodeReached) if !state.printed().is_empty() => {
                Self::Panicked { message: plain(&one_line(&redactor.text(&state.printed()))) }
            }
            Some(trap) => Self::Trapped { reason: trap.to_string() },
            None => match limit_from_message(&format!("{:#}", error.root_cause())) {
                Some(limit) => reached(limit),
                None => Self::Trapped { reason: plain(&redactor.text(&one_line(&format!("{error:#}")))) },
            },
        }
    }
}

/// The limit that an error text of the engine means, for limits that have no public type. A guest can't influence these
/// texts; a test of each fails if a release of the engine changes them.
fn limit_from_message(text: &str) -> Option<Limit> {
    match text {
        text if text.starts_with("resource limit exceeded: instance count") => Some(Limit::Instances),
        text if text.starts_with("resource limit exceeded: table count") => Some(Limit::Tables),
        text if text.contains("fuel allocated for hostcalls has been exhausted") => Some(Limit::Output),
        _ => None,
    }
}

/// The text without its line breaks and without the advice on backtraces.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("note: "));
    lines.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_reads_as_one_line() {
        let printed = "\nthread '<unnamed>' panicked at src/lib.rs:3:5:\nno such key\nnote: run with `RUST_BACKTRACE=1`\n";
        assert_eq!(one_line(printed), "thread '<unnamed>' panicked at src/lib.rs:3:5: no such key");
    }
}
