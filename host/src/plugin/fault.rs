//! How a call to a guest failed, when the guest did not say so itself.

use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use super::state::{CallState, MemoryLimitReached};
use crate::capability::Redactor;

/// A call that ended without an answer. The instance is gone; the next call gets a fresh one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It took too long, computing or waiting.
    #[error("the connector did not finish within {seconds} s")]
    Deadline {
        /// The limit.
        seconds: u64,
    },
    /// It wanted more memory than a call gets.
    #[error("the connector wanted {wanted_mib} MiB of memory and a call gets {limit_mib} MiB")]
    MemoryLimit {
        /// What it wanted, in MiB.
        wanted_mib: usize,
        /// The limit, in MiB.
        limit_mib: usize,
    },
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

impl Fault {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Deadline { .. } => {
                "if the vendor is slow, raise `call-seconds` under `[limits]`; if not, the connector hangs: report \
                 it to its author"
                    .to_owned()
            }
            Self::MemoryLimit { .. } => "raise `memory-mib` under `[limits]`".to_owned(),
            Self::Panicked { .. } | Self::Exited { .. } | Self::Trapped { .. } => {
                "this is a bug in the connector: report it to its author; other streams are not affected".to_owned()
            }
        }
    }

    /// Classifies what the engine reported. The type decides, never the text.
    pub(super) fn classify(error: &wasmtime::Error, state: &CallState, redactor: &Redactor) -> Self {
        if let Some(MemoryLimitReached { wanted, limit }) = error.downcast_ref() {
            return Self::MemoryLimit { wanted_mib: wanted >> 20, limit_mib: limit >> 20 };
        }
        if let Some(I32Exit(code)) = error.downcast_ref() {
            return Self::Exited { code: *code };
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Self::Deadline { seconds: state.limits().call.as_secs() },
            // Where Rust's abort ends. What it said stands on the guest's standard error, and may hold a secret.
            Some(Trap::UnreachableCodeReached) if !state.printed().is_empty() => {
                Self::Panicked { message: one_line(&redactor.text(&state.printed())) }
            }
            Some(trap) => Self::Trapped { reason: trap.to_string() },
            None => Self::Trapped { reason: redactor.text(&one_line(&format!("{error:#}"))).into_owned() },
        }
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
