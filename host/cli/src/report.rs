//! `connector-host report`

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use console::style;

use crate::exit::{Exit, Failure};
use crate::options::StoreOption;
use crate::{table, terminal};
use connector_report::insights::{Found, Report, Severity};
use connector_report::report_page;
use connector_sandbox::private_file;
use connector_sandbox::text::plain;
use connector_store::Reader;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    store: StoreOption,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Write the report as one HTML file, to read in a browser or to print
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
    /// Objects of each finding that are shown (default: 5 in a terminal, otherwise 1000)
    #[arg(long, value_name = "N")]
    rows: Option<u32>,
}

pub(crate) fn run(options: &Options) -> Result<Exit, Failure> {
    let store = Reader::open(&options.store.store)?;
    let for_people = !options.json && options.html.is_none();
    let rows = options.rows.unwrap_or(if for_people { 5 } else { 1000 });
    let report = Report::new(&store, options.store.integration.as_deref(), Utc::now(), rows)?;
    if options.json {
        terminal::json(&report)?;
    } else if let Some(file) = &options.html {
        let page = report_page(&report).context("could not make the page")?;
        // The report lists the company's weaknesses: only the file's owner may read it.
        private_file::replace(file, page.as_bytes())
            .with_context(|| format!("could not write `{}`", file.display()))?;
        terminal::tell(&format!("The report is in `{}`\n", file.display()));
    } else {
        terminal::data(&text(&report))?;
    }
    Ok(Exit::Complete)
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    if report.sources.is_empty() {
        text.push_str("Nothing was read yet.\n");
    }
    for source in &report.sources {
        let account = source.account.as_deref().map(plain).unwrap_or_default();
        let name = style(plain(&source.integration)).bold();
        let _ = writeln!(text, "{name} {account}, last read {}", table::local_time(source.read_at));
        for stream in &source.incomplete {
            let (mark, state, reason) = (style("!").yellow(), stream.state.word(), plain(&stream.reason));
            let _ = writeln!(text, "  {mark} `{}` {state}: {reason}", stream.stream);
        }
    }
    let mut rows = table::new(&["Severity", "Finding", "#Objects"]);
    for found in &report.insights {
        rows.add_row([severity(found), found.insight.title.to_owned(), count(found)]);
    }
    let _ = writeln!(text, "{rows}");
    for found in report.insights.iter().filter(|found| !found.rows.is_empty()) {
        let rule = found.insight.rule;
        let _ = writeln!(text, "\n{}\n{}", style(found.insight.title).bold(), style(rule).dim());
        let mut columns = vec!["Name"];
        columns.extend(found.insight.columns);
        let mut rows = table::new(&columns);
        for row in &found.rows {
            let mut cells = vec![plain(if row.name.trim().is_empty() { &row.source_id } else { &row.name })];
            let cell = |cell: &Option<String>| cell.as_deref().map(local).unwrap_or_default();
            cells.extend(row.cells.iter().map(cell));
            rows.add_row(cells);
        }
        let _ = writeln!(text, "{rows}");
        let shown = found.rows.len() as u64;
        if let Some(more) = found.count.and_then(|count| count.checked_sub(shown)).filter(|more| *more > 0) {
            let _ = writeln!(text, "and {} more", table::number(more));
        }
    }
    text
}

pub(crate) fn severity(found: &Found) -> String {
    let name = found.insight.severity.name();
    match (found.count, found.insight.severity) {
        (None | Some(0), _) => style(name).dim().to_string(),
        (_, Severity::High) => style(name).red().to_string(),
        (_, Severity::Medium) => style(name).yellow().to_string(),
        (_, Severity::Low) => name.to_owned(),
    }
}

pub(crate) fn count(found: &Found) -> String {
    match found.count {
        None => style("not known").dim().to_string(),
        Some(0) => style("none").green().to_string(),
        Some(count) => table::number(count),
    }
}

/// A time in the time zone of this machine; any other text unchanged.
fn local(text: &str) -> String {
    match text.parse::<DateTime<Utc>>() {
        Ok(time) => table::local_time(time),
        Err(_) => plain(text),
    }
}
