//! `connector-host runs` and `connector-host changes`: show the runs of a store, and their changes.

use std::fmt::Write as _;

use console::style;
use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::options::StoreOption;
use crate::{table, terminal};
use connector_sandbox::text::plain;
use connector_store::{ChangeRow, Reader, RunId, RunOutcome, RunRow, StreamState};

/// The longest value that is shown of a field, in characters; `--json` has all of it.
const LONGEST_VALUE: usize = 60;

#[derive(clap::Args)]
pub(crate) struct RunsOptions {
    #[command(flatten)]
    store: StoreOption,
    /// How many runs to show, the latest first
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: u32,
    /// Print one JSON document, with the streams of each run
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct ChangesOptions {
    #[command(flatten)]
    store: StoreOption,
    /// Show the changes of all runs after this one (default: the last one that finished before the latest). To follow a
    /// store, remember only finished runs: an interrupted one may be resumed, and then reports more changes
    #[arg(long, value_name = "RUN")]
    since: Option<i64>,
    /// Print a JSON document for each change, one a line
    #[arg(long)]
    json: bool,
}

pub(crate) fn runs(options: &RunsOptions) -> Result<Exit, Failure> {
    let store = Reader::open(&options.store.store)?;
    let runs = store.runs(options.store.integration.as_deref(), options.limit)?;
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
            plain(&run.integration),
            table::local_time(run.started_at),
            took(run),
            outcome(run.outcome),
            table::number(run.requests),
            table::number(run.retries),
            seconds(run.waited_seconds),
            table::number(run.problems),
            table::number(run.changes),
        ]);
    }
    let mut text = format!("{rows}\n");
    for run in &runs {
        let incomplete = run.streams.iter().filter(|stream| stream.state != StreamState::Complete);
        for stream in incomplete {
            let reason = stream.reason.as_deref().map(plain).unwrap_or_default();
            let pages = table::number(stream.pages);
            let far = if stream.pages > 0 { format!(" after {pages} pages") } else { String::new() };
            let _ =
                writeln!(text, "run {}: `{}` {}{far}: {reason}", run.run, stream.stream, stream.state.word());
        }
    }
    terminal::data(&text)?;
    Ok(Exit::Complete)
}

pub(crate) fn changes(options: &ChangesOptions) -> Result<Exit, Failure> {
    let store = Reader::open(&options.store.store)?;
    let integration = options.store.integration.as_deref();
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
            let title = format!(
                "Run {} of {}, {}",
                change.run,
                change.integration,
                table::local_time(change.run_started_at)
            );
            let title = style(plain(&title)).bold();
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

/// A change as text: a line, and one for each field.
fn line(change: &ChangeRow) -> String {
    let what = format!("{} {}", change.source_type, change.name);
    let what = plain(&what);
    let what = match change.kind.as_str() {
        "added" => style(format!("+ {what}")).green(),
        "removed" => style(format!("- {what}")).red(),
        _ => style(format!("~ {what}")).yellow(),
    };
    let mut text = format!("  {what}\n");
    for field in &change.fields {
        let (from, to) = (value(&field.from), value(&field.to));
        let _ = writeln!(text, "      {}: {from} -> {to}", plain(&field.field));
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
    plain(&short)
}

fn outcome(outcome: Option<RunOutcome>) -> String {
    match outcome {
        Some(RunOutcome::Complete) => style("complete").green().to_string(),
        Some(RunOutcome::Partial) => style("partial").yellow().to_string(),
        None => style("not finished").yellow().to_string(),
    }
}

fn took(run: &RunRow) -> String {
    let took = run.finished_at.map(|end| seconds((end - run.started_at).as_seconds_f64()));
    took.unwrap_or_default()
}

fn seconds(seconds: f64) -> String {
    if seconds < 100.0 { format!("{seconds:.1} s") } else { format!("{:.1} min", seconds / 60.0) }
}
