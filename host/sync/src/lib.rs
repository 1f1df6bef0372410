//! Configures an integration, and reads it into its store: one run at a time.
//!
//! # Layout
//!
//! - [`configuration`]: the configuration file of an integration, and its parsed form
//! - [`seal`]: encrypts the secrets in a configuration
//! - [`integration`]: a connector bound to its settings and capabilities, ready to be called
//! - [`retry`]: repeats a call after a pause
//! - [`probation`]: counts the faults of a connector that took over, until it may no longer be rolled back
//! - [`active`]: the connector that reads the next page; swaps and rolls back connectors
//! - [`mod@check`]: which streams can be read
//! - [`mod@run`]: one run: the check, then the streams in parallel (`stream_reader`), each page in the store (`keeper`)
//! - `examine`: refuses a page that breaks the contract; `judge`: removes impossible values from a page
//! - [`event`] and `summary`: what a run reports, during the run and at its end

pub mod active;
mod call_error;
pub mod check;
pub mod configuration;
pub mod event;
mod examine;
pub mod integration;
mod judge;
mod keeper;
mod large_pages;
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
