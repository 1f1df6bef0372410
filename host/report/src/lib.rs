//! What a store says, as people and other programs read it.
//!
//! # Layout
//!
//! - [`insights`]: what a reviewer looks at first, derived from the data by rules in SQL over the views
//! - [`export`]: the contents of a store in a format others read, one file a format
//! - [`documentation()`]: the documentation of a connector, from its manifest
//! - [`report_page`]: the findings as one HTML file, to read in a browser or to print
//! - [`render`]: numbers, times and names as people read them
//! - [`filters`]: the same, for templates

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
