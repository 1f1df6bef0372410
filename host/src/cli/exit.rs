//! How a command ends: the exit code, and the words.

use std::process::ExitCode;

use console::style;

use crate::contract::api::ErrorKind;
use crate::integration::{CallError, SetupError};
use crate::output::ExportError;
use crate::plugin::{EngineError, LoadError};
use crate::store::StoreError;
use crate::sync::SyncError;

use super::terminal;

/// Exit codes; `--help` documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Complete = 0,
    Failed = 1,
    Usage = 2,
    Partial = 3,
    Refused = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that could not do its work: what happened, and apart from it what to do.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    error: anyhow::Error,
    hint: Option<String>,
}

impl Failure {
    pub(super) fn new(exit: Exit, error: anyhow::Error) -> Self {
        Self { exit, error, hint: None }
    }

    fn hinted(exit: Exit, error: impl Into<anyhow::Error>, hint: Option<String>) -> Self {
        Self { exit, error: error.into(), hint }
    }

    /// Tells it on standard error.
    pub(super) fn report(self) -> ExitCode {
        // Words of a connector or a vendor among them: they must not steer the terminal.
        let error = terminal::plain_lines(&format!("{:#}", self.error));
        let mut text = format!("{} {error}\n", style("error:").for_stderr().red().bold());
        if let Some(hint) = self.hint {
            let hint = terminal::plain_lines(&hint).replace('\n', "\n      ");
            text.push_str(&format!("\n{} {hint}\n", style("hint:").for_stderr().cyan().bold()));
        }
        terminal::tell(&text);
        self.exit.into()
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        let hint = error.hint();
        Self::hinted(Exit::Usage, error, hint)
    }
}

impl From<crate::configuration::ConfigurationError> for Failure {
    fn from(error: crate::configuration::ConfigurationError) -> Self {
        let hint = error.hint();
        Self::hinted(Exit::Usage, error, hint)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let hint = error.hint();
        Self::hinted(Exit::Usage, error, Some(hint))
    }
}

#[cfg(unix)]
impl From<crate::daemon::DaemonError> for Failure {
    fn from(error: crate::daemon::DaemonError) -> Self {
        let hint = error.hint();
        Self::hinted(Exit::Failed, error, hint)
    }
}

#[cfg(unix)]
impl From<crate::web::WebError> for Failure {
    fn from(error: crate::web::WebError) -> Self {
        let hint = error.hint();
        Self::hinted(Exit::Failed, error, hint)
    }
}

impl From<crate::daemon::ClientError> for Failure {
    fn from(error: crate::daemon::ClientError) -> Self {
        let exit = match error {
            crate::daemon::ClientError::Refused(_) => Exit::Usage,
            _ => Exit::Failed,
        };
        let hint = error.hint();
        Self::hinted(exit, error, hint)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::hinted(Exit::Failed, error, None)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let exit = match error.kind() {
            Some(ErrorKind::Unauthenticated) => Exit::Refused,
            Some(ErrorKind::InvalidSetting(_)) => Exit::Usage,
            _ => Exit::Failed,
        };
        let hint = error.hint();
        Self::hinted(exit, error, hint)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error {
            StoreError::Missing(_)
            | StoreError::NotAStore { .. }
            | StoreError::OtherSchema { .. }
            | StoreError::AnotherTenant { .. }
            | StoreError::Unopenable { .. } => Exit::Usage,
            StoreError::Busy(_)
            | StoreError::StreamEnded { .. }
            | StoreError::Sqlite { .. }
            | StoreError::GivenUp(_) => Exit::Failed,
        };
        let hint = error.hint();
        Self::hinted(exit, error, hint)
    }
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Call(error) => error.into(),
            SyncError::Store(error) => error.into(),
            SyncError::Stopped | SyncError::TimedOut(_) => Self::new(Exit::Failed, error.into()),
        }
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Store(error) => error.into(),
            error => Self::hinted(Exit::Failed, error, None),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failed, error)
    }
}
