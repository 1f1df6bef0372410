//! The schema: `schema/tables.sql` has the tables of this crate, `schema/views.sql` the views that other programs read, and
//! `schema/indexes.sql` the indexes that only readers use.

/// `iga` and a zero, in SQLite's header: marks a file as a store.
pub(crate) const APPLICATION_ID: i32 = 0x6967_6100;
/// The schema of this release.
pub(crate) const VERSION: i32 = 1;

const TABLES: &str = include_str!("schema/tables.sql");
const VIEWS: &str = include_str!("schema/views.sql");
/// Builds the indexes that only readers use, if they are missing.
pub(crate) const READER_INDEXES: &str = include_str!("schema/indexes.sql");

/// Creates the schema in an empty file, in one transaction.
pub(crate) fn script() -> String {
    format!(
        "BEGIN IMMEDIATE;\n{TABLES}\n{VIEWS}\nPRAGMA application_id = {APPLICATION_ID};\n\
         PRAGMA user_version = {VERSION};\nCOMMIT;"
    )
}
