//! How a call to a guest failed, when the guest did not say so itself.

use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use crate::capabilities::Redactor;
use crate::hint::Hint;
use crate::limits::{Limit, LimitReached, Limits};
use crate::state::CallState;

/// A call that ended without an answer. The instance is gone; the next call gets a fresh one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It used up what a call gets.
    #[error(transparent)]
    Limit(LimitReached),
    /// It panicked.
    #[error("the connector panicked: {message}")]
    Panicked {
        /// What it wrote, without secrets.
        message: String,
    },
    /// It ended itself.
    #[error("the connector ended itself with exit code {code}")]
    Exited {
        /// The exit code.
        code: i32,
    },
    /// The engine stopped it for another reason.
    #[error("the connector was stopped: {reason}")]
    Trapped {
        /// The engine's words.
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
                "if the connector needs more for good reason, raise `{}` under `[limits]`; if not, report it to its \
                 author",
                reached.limit.setting()
            ),
            Self::Panicked { .. } | Self::Exited { .. } | Self::Trapped { .. } => {
                "this is a bug in the connector: report it to its author; other streams are not affected".to_owned()
            }
        })
    }
}

impl Fault {
    /// Whether the connector is to blame. A call that ran out of time may have waited for a slow vendor.
    #[must_use]
    pub fn is_the_connectors(&self) -> bool {
        !matches!(self, Self::Limit(reached) if reached.limit == Limit::Call)
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
            // Where Rust's abort ends. What it said stands on the guest's standard error, and may hold a secret.
            Some(Trap::UnreachableCodeReached) if !state.printed().is_empty() => {
                Self::Panicked { message: one_line(&redactor.text(&state.printed())) }
            }
            Some(trap) => Self::Trapped { reason: trap.to_string() },
            None => match limit_from_message(&format!("{:#}", error.root_cause())) {
                Some(limit) => reached(limit),
                None => {
                    Self::Trapped { reason: redactor.text(&one_line(&format!("{error:#}"))).into_owned() }
                }
            },
        }
    }
}

/// Limits for which the engine has no public type, by its words. A guest has no say in these texts; a test of each
/// notices when a release changes them.
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
