//! `connector-host runs` and `connector-host changes`: what a store knows of its past.

use std::fmt::Write as _;
use std::path::PathBuf;

use chrono::{DateTime, Local, Utc};
use console::style;
use serde_json::Value;

use super::exit::{Exit, Failure};
use super::{table, terminal};
use crate::store::{ChangeRow, RunId, RunRow, Store};

/// The longest value that is shown of a field, in characters; `--json` has all of it.
const LONGEST_VALUE: usize = 60;

/// Which store.
#[derive(clap::Args)]
pub(super) struct Of {
    /// The store that `sync` or `serve` wrote
    #[arg(long, value_name = "FILE")]
    pub(super) store: PathBuf,
    /// Only this integration
    #[arg(long, value_name = "NAME")]
    pub(super) integration: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct RunsOptions {
    #[command(flatten)]
    of: Of,
    /// How many, the latest first
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: u32,
    /// Print one JSON document, with the streams of each run
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct ChangesOptions {
    #[command(flatten)]
    of: Of,
    /// What was found after this run (default: the last one that finished before the latest). To follow a store, remember
    /// only finished runs: one that was interrupted may be gone on with, and find more
    #[arg(long, value_name = "RUN")]
    since: Option<i64>,
    /// Print a JSON document for each change, one a line
    #[arg(long)]
    json: bool,
}

pub(super) fn runs(options: &RunsOptions) -> Result<Exit, Failure> {
    let store = Store::open_read_only(&options.of.store)?;
    let runs = store.runs(options.of.integration.as_deref(), options.limit)?;
    if options.json {
        terminal::json(&runs)?;
        return Ok(Exit::Complete);
    }
    if runs.is_empty() {
        terminal::tell("No run yet.\n");
        return Ok(Exit::Complete);
    }
    let columns = [
        "#Run",
        "Integration",
        "Began",
        "Took",
        "Outcome",
        "#Requests",
        "#Retries",
        "Waited",
        "#Problems",
        "#Changes",
    ];
    let mut rows = table::new(&columns);
    for run in &runs {
        rows.add_row([
            run.run.to_string(),
            terminal::plain(&run.integration),
            local(&run.started_at),
            took(run),
            outcome(run.outcome.as_deref()),
            table::number(run.requests),
            table::number(run.retries),
            seconds(run.waited_seconds),
            table::number(run.problems),
            table::number(run.changes),
        ]);
    }
    let mut text = format!("{rows}\n");
    for run in &runs {
        let wanting = run.streams.iter().filter(|stream| stream.state != "complete");
        for stream in wanting {
            let reason = stream.reason.as_deref().map(terminal::plain).unwrap_or_default();
            let pages = table::number(stream.pages);
            let far = if stream.pages > 0 { format!(" after {pages} pages") } else { String::new() };
            let _ = writeln!(text, "run {}: `{}` {}{far}: {reason}", run.run, stream.stream, stream.state);
        }
    }
    terminal::data(&text)?;
    Ok(Exit::Complete)
}

pub(super) fn changes(options: &ChangesOptions) -> Result<Exit, Failure> {
    let store = Store::open_read_only(&options.of.store)?;
    let integration = options.of.integration.as_deref();
    let since = match options.since {
        Some(run) => RunId(run),
        None => store.before_latest(integration)?,
    };
    let (mut run, mut found) = (None, 0_u64);
    store.changes(since, integration, |change| {
        found += 1;
        if options.json {
            let line = serde_json::to_string(&change).map_err(anyhow::Error::from)?;
            return terminal::data(&format!("{line}\n"));
        }
        if run != Some(change.run) {
            run = Some(change.run);
            let title =
                format!("Run {} of {}, {}", change.run, change.integration, local(&change.run_started_at));
            let title = style(terminal::plain(&title)).bold();
            let unfinished = match change.run_finished_at {
                Some(_) => String::new(),
                None => format!(", {}", outcome(None)),
            };
            terminal::data(&format!("{title}{unfinished}\n"))?;
        }
        terminal::data(&line(&change))
    })?;
    if found == 0 {
        terminal::tell("Nothing changed.\n");
    }
    Ok(Exit::Complete)
}

/// A change, for a person: a line, and one for each field.
fn line(change: &ChangeRow) -> String {
    let what = format!("{} {}", change.type_, change.name);
    let what = terminal::plain(&what);
    let what = match change.kind.as_str() {
        "added" => style(format!("+ {what}")).green(),
        "removed" => style(format!("- {what}")).red(),
        _ => style(format!("~ {what}")).yellow(),
    };
    let mut text = format!("  {what}\n");
    for field in &change.fields {
        let (from, to) = (value(&field.from), value(&field.to));
        let _ = writeln!(text, "      {}: {from} -> {to}", terminal::plain(&field.field));
    }
    text
}

fn value(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => format!("\"{text}\""),
        other => other.to_string(),
    };
    let mut short: String = text.chars().take(LONGEST_VALUE).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    terminal::plain(&short)
}

fn outcome(outcome: Option<&str>) -> String {
    match outcome {
        Some("complete") => style("complete").green().to_string(),
        Some(other) => style(other).yellow().to_string(),
        None => style("not finished").yellow().to_string(),
    }
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    text.parse().ok()
}

fn local(text: &str) -> String {
    let shown = |time: DateTime<Utc>| time.with_timezone(&Local).format("%Y-%m-%d %H:%M").to_string();
    time(text).map_or_else(|| text.to_owned(), shown)
}

fn took(run: &RunRow) -> String {
    let end = run.finished_at.as_deref().and_then(time);
    match end.zip(time(&run.started_at)) {
        Some((end, start)) => seconds((end - start).as_seconds_f64()),
        None => String::new(),
    }
}

fn seconds(seconds: f64) -> String {
    if seconds < 100.0 { format!("{seconds:.1} s") } else { format!("{:.1} min", seconds / 60.0) }
}
