//! What was read of a vendor: SQLite, one file an integration.
//!
//! A [`Writer`] keeps it, a [`Reader`] reads it. Rows and checkpoint of a page are one transaction: where the host is killed,
//! the next run resumes after the last page. Only a stream that was read completely marks the objects that it did not see as
//! removed. An object that did not change costs one bit in the page's bitmap of what was seen.
//!
//! # Layout
//!
//! - [`Writer`]: `run` and `stream` begin and end, `page` keeps a page (with `usage` and `seen`), `change` records what
//!   changed, `retention` deletes old runs
//! - [`Reader`]: `read` and `history` read what is there and what changed, `browse` pages through objects, `query` asks in
//!   SQL over the views
//! - `schema`: the tables, and the views that other programs read
//! - [`normal`]: the normal form as JSON, for the store and for all exports

mod browse;
mod change;
mod counts;
mod error;
mod history;
pub mod normal;
mod numbers;
mod page;
mod page_row;
mod page_writer;
mod query;
mod read;
mod reader;
mod removed;
mod retention;
mod run;
mod schema;
mod seen;
mod stream;
mod usage;
mod writer;

pub use browse::{AccessPath, Entities, EntityLink, Key, Linked, PageCursor, PageOf, TypeCount};
pub use change::FieldChange;
pub use counts::{EntityCount, RelationCount};
pub use error::StoreError;
pub use history::{ChangeRow, RunRow, RunStreamRow};
pub use page::PageReader;
pub use query::{Cell, QueryParams};
pub use read::{ConnectorUse, EntityRow, RelationRow, StoredProblem, UsageRow};
pub use reader::Reader;
pub use run::{RunId, RunOutcome, RunStart, StartedRun, Yields};
pub use stream::{IncompleteStream, StreamCheckpoint, StreamCost, StreamState};
pub use writer::Writer;

#[cfg(test)]
mod tests;
