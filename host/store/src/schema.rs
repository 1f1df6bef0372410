//! The schema: `schema/tables.sql` is what this crate keeps, `schema/views.sql` is what other programs read.

/// `iga` and a zero, in SQLite's header: tells our files from those of other programs.
pub(crate) const APPLICATION_ID: i32 = 0x6967_6100;
/// The schema of this release.
pub(crate) const VERSION: i32 = 1;

const TABLES: &str = include_str!("schema/tables.sql");
const VIEWS: &str = include_str!("schema/views.sql");

/// Makes an empty file a store, in one transaction.
pub(crate) fn script() -> String {
    format!(
        "BEGIN IMMEDIATE;\n{TABLES}\n{VIEWS}\nPRAGMA application_id = {APPLICATION_ID};\n\
         PRAGMA user_version = {VERSION};\nCOMMIT;"
    )
}
