//! The report as a page of its own: one file, without scripts and without anything from elsewhere.

use askama::Template;

use crate::filters;
use crate::insights::Report;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
}

/// The page.
///
/// # Errors
///
/// When the template fails, which no report makes it do.
pub fn report_page(report: &Report) -> Result<String, askama::Error> {
    Page { report }.render()
}
