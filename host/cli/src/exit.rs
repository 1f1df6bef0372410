//! How a command ends: the exit code, the error and the hint.

use std::process::ExitCode;

use console::style;

use connector_report::export::ExportError;
use connector_sandbox::contract::api::ErrorKind;
use connector_sandbox::text::plain_lines;
use connector_sandbox::{EngineError, Hint, LoadError};
use connector_server::authentication::AuthenticationError;
use connector_server::client::ClientError;
use connector_server::{PagesError, ServeError};
use connector_store::StoreError;
use connector_sync::configuration::ConfigurationError;
use connector_sync::{CallError, SetupError, SyncError};

use crate::terminal;

/// Exit codes; `--help` documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
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

/// A command that failed: what happened, and separately a hint what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: anyhow::Error,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: anyhow::Error) -> Self {
        Self { exit, error, hint: None }
    }

    fn hinted(exit: Exit, error: impl Hint + Into<anyhow::Error>) -> Self {
        let hint = error.hint();
        Self { exit, error: error.into(), hint }
    }

    /// Prints it to standard error.
    pub(crate) fn report(self) -> ExitCode {
        // The text may quote a connector or a vendor: their control characters must not reach the terminal.
        let error = plain_lines(&format!("{:#}", self.error));
        let mut text = format!("{} {error}\n", style("error:").for_stderr().red().bold());
        if let Some(hint) = self.hint {
            let hint = plain_lines(&hint).replace('\n', "\n      ");
            text.push_str(&format!("\n{} {hint}\n", style("hint:").for_stderr().cyan().bold()));
        }
        terminal::tell(&text);
        self.exit.into()
    }
}

/// Errors that always end with the same exit code.
macro_rules! failures {
    ($($error:ty => $exit:ident),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::hinted(Exit::$exit, error)
            }
        })*
    };
}

failures! {
    SetupError => Usage,
    ConfigurationError => Usage,
    LoadError => Usage,
    ServeError => Failed,
    PagesError => Failed,
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match error {
            ClientError::Refused(_) => Exit::Usage,
            _ => Exit::Failed,
        };
        Self::hinted(exit, error)
    }
}

impl From<AuthenticationError> for Failure {
    fn from(error: AuthenticationError) -> Self {
        Self::new(Exit::Failed, error.into())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::new(Exit::Failed, error.into())
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let exit = match error.kind() {
            Some(ErrorKind::Unauthenticated) => Exit::Refused,
            Some(ErrorKind::InvalidSetting(_)) => Exit::Usage,
            _ => Exit::Failed,
        };
        Self::hinted(exit, error)
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
        Self::hinted(exit, error)
    }
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Call(error) => error.into(),
            SyncError::Store(error) => error.into(),
            SyncError::StoreMoved(_) | SyncError::TimedOut(_) => Self::hinted(Exit::Failed, error),
            SyncError::Stopped => Self::new(Exit::Failed, error.into()),
        }
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Store(error) => error.into(),
            ExportError::Occupied(_) => Self::hinted(Exit::Usage, error),
            error => Self::hinted(Exit::Failed, error),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failed, error)
    }
}
