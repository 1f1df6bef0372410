//! The report as one HTML file, without scripts and without resources from other files.

use askama::Template;

use crate::filters;
use crate::insights::Report;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
}

/// The report as HTML.
///
/// # Errors
///
/// When the template fails; no report causes that.
pub fn report_page(report: &Report) -> Result<String, askama::Error> {
    Page { report }.render()
}
