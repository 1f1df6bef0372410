//! Formats values for people, in templates.

#![expect(missing_docs, reason = "askama's macro makes undocumented types; each filter is documented")]

use askama::{Result, Template, Values};
use chrono::{DateTime, Utc};

use crate::insights::Chart;
use crate::render;

/// `1,234`
#[askama::filter_fn]
pub fn number(value: &u64, _: &dyn Values) -> Result<String> {
    Ok(render::number(*value))
}

/// A time in UTC, to the second.
#[askama::filter_fn]
pub fn time(value: &DateTime<Utc>, _: &dyn Values) -> Result<String> {
    Ok(value.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// A time of the store (RFC 3339) in UTC, to the minute; any other text unchanged.
#[askama::filter_fn]
pub fn stored_time(value: &str, _: &dyn Values) -> Result<String> {
    Ok(render::readable_time(value))
}

/// Text of a connector as HTML, whose `*emphasis*` and `` `code` `` become elements. To be followed by `safe`.
#[askama::filter_fn]
pub fn rich(value: &str, _: &dyn Values) -> Result<String> {
    render::rich(value)
}

/// `first-line-manager` as `First line manager`.
#[askama::filter_fn]
pub fn words(value: &str, _: &dyn Values) -> Result<String> {
    Ok(render::words(value))
}

#[derive(Template)]
#[template(path = "chart.html")]
struct ChartFigure<'a> {
    chart: &'a Chart,
}

/// A chart as HTML, to be followed by `safe`.
#[askama::filter_fn]
pub fn chart(value: &Chart, _: &dyn Values) -> Result<String> {
    ChartFigure { chart: value }.render()
}

use self as filters;
