//! The store: the objects that a connector read from a vendor, in SQLite, one file an integration.
//!
//! A [`Writer`] writes it, a [`Reader`] reads it. Rows and checkpoint of a page are one transaction: after a kill, the next
//! run resumes after the last page. Only a stream that was read completely marks the objects that it did not see as
//! removed. The writer writes only new or changed objects; an unchanged one costs one bit in the page's bitmap.
//!
//! # Layout
//!
//! - [`Writer`]: `run` and `stream` begin and end runs and streams, `page` commits a page, `retention` deletes old runs
//! - a page: `page_writer` writes its objects, `page_row` turns them into rows, `numbers` finds the numbers that rows refer
//!   to; `usage` merges its usages; `removed` marks unseen objects at the end of a stream
//! - `seen`: bitmaps of the objects that a run saw; `change`: the changes of a run
//! - [`Reader`]: `read` reads objects row by row, `counts` and `history` describe runs, `browse` pages through objects,
//!   `query` runs SQL over the views, `export` reads what exports need
//! - `schema`: the tables, the views that other programs read, and the indexes
//! - [`normal`]: the normal form as JSON, for the store and for all exports

mod browse;
mod change;
mod changed_objects;
mod counts;
mod error;
mod export;
mod found_rows;
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
pub use changed_objects::{ChangedObject, ChangedRelation, ObjectName};
pub use counts::{EntityCount, RelationCount};
pub use error::StoreError;
pub use history::{ChangeRow, RunRow, RunStreamRow};
pub use page::PageReader;
pub use query::{Cell, QueryParams};
pub use read::{ConnectorUse, EntityRow, RelationRow, StoredProblem, UsageRow};
pub use reader::Reader;
pub use removed::HeldRemovals;
pub use run::{RunId, RunOutcome, RunStart, StartedRun, Yields};
pub use stream::{IncompleteStream, StreamCheckpoint, StreamCost, StreamState};
pub use writer::Writer;

#[cfg(test)]
mod tests;
