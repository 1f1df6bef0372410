//! Presents the contents of a store to people and to other programs.
//!
//! # Layout
//!
//! - [`insights`]: findings for reviewers, derived from the data by rules in SQL over the views
//! - [`export`]: the contents of a store in formats that other programs read
//! - [`documentation()`]: the documentation of a connector, from its manifest
//! - [`report_page`]: the findings as one HTML file, to read in a browser or to print
//! - [`render`]: formats numbers, times and names for people
//! - [`filters`]: the same for templates

mod documentation;
pub mod export;
pub mod filters;
pub mod insights;
mod page;
pub mod render;
#[cfg(test)]
mod test_store;

pub use documentation::documentation;
pub use page::report_page;
