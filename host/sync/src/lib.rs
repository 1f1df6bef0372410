//! An integration: how it is configured, and one run that reads it into its store.
//!
//! # Layout
//!
//! - [`configuration`]: an integration, as written in its file and as meant
//! - [`seal`]: secrets that a configuration holds, encrypted
//! - [`integration`]: a connector bound to its settings and capabilities, ready to be called
//! - [`retry`]: calls again after a pause, where the connector says that this helps
//! - [`probation`]: a connector that took over, while it may be rolled back
//! - [`active`]: which connector reads the next page; where connectors are swapped
//! - [`mod@check`]: which streams can be read
//! - [`mod@run`]: one run: check, streams side by side (`stream_reader`), each page kept (`keeper`) before the next is read
//! - `judge`: values of a page that can't be right
//! - [`event`] and `summary`: what a run reports while it runs, and when it ends

pub mod active;
mod call_error;
pub mod check;
pub mod configuration;
pub mod event;
pub mod integration;
mod judge;
mod keeper;
pub mod probation;
pub mod retry;
pub mod run;
pub mod seal;
mod stream_reader;
pub mod summary;
mod sync_error;

pub use call_error::CallError;
pub use event::{Event, NullObserver, Observer};
pub use integration::{Integration, SetupError};
pub use run::run;
pub use summary::{StreamOutcome, StreamSummary, StreamWindow, Summary};
pub use sync_error::SyncError;
