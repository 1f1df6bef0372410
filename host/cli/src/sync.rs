//! `connector-host sync`

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use console::style;
use tokio_util::sync::CancellationToken;

use crate::advice::advice;
use crate::check::open;
use crate::exit::{Exit, Failure};
use crate::options::ConfigOption;
use crate::progress::Progress;
use crate::{table, terminal};
use connector_sandbox::EngineOptions;
use connector_sandbox::manifest::{ANY_PRIVILEGE, Manifest};
use connector_sandbox::text::plain;
use connector_store::{ConnectorUse, RelationCount};
use connector_sync::active::ActiveIntegration;
use connector_sync::{StreamOutcome, StreamSummary, StreamWindow, Summary};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    config: ConfigOption,
    /// The store to write to [default: NAME.db in the current folder]
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Mark all objects as removed that this run does not find, however many they are
    ///
    /// Without it, removals of more than `removal-percent` of a type need a second run that agrees.
    #[arg(long)]
    confirm_removals: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: Options, engine: &EngineOptions) -> Result<Exit, Failure> {
    let integration = open(&options.config, engine).await?;
    let manifest = integration.manifest().clone();
    let path = options.store.unwrap_or_else(|| PathBuf::from(format!("{}.db", integration.name)));
    let stop = CancellationToken::new();
    let serving = Arc::new(ActiveIntegration::new(integration, Vec::new()));
    if options.confirm_removals {
        serving.confirm_removals();
    }
    let run =
        connector_sync::run(Arc::clone(&serving), path.clone(), Arc::new(Progress::new()), stop.clone());
    tokio::spawn(async move {
        // If signals can't be received, the system's default action ends the process.
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    let summary = run.await?;
    if options.json {
        terminal::json(&summary)?;
    } else {
        terminal::data(&text(&summary, &manifest, &path))?;
    }
    Ok(if summary.complete { Exit::Complete } else { Exit::Partial })
}

/// The summary, for a person.
pub(crate) fn text(summary: &Summary, manifest: &Manifest, store: &Path) -> String {
    let mut text = String::new();
    let mut streams = table::new(&["Stream", "State", "#Pages", "#At the vendor"]);
    for stream in &summary.streams {
        let state = match &stream.outcome {
            StreamOutcome::Complete => style("complete").green(),
            StreamOutcome::Incomplete { .. } => style("incomplete").red(),
            StreamOutcome::Stopped => style("stopped").yellow(),
            StreamOutcome::Skipped { .. } if stream.optional => style("skipped (optional)").dim(),
            StreamOutcome::Skipped { .. } => style("skipped").yellow(),
        };
        let total = stream.total.map(table::number).unwrap_or_default();
        streams.add_row([stream.stream.to_string(), state.to_string(), table::number(stream.pages), total]);
    }
    let _ = writeln!(text, "{streams}\n");

    let mut counts = table::new(&["Object", "Type", "#Seen", "#New", "#Changed", "#Gone"]);
    for count in &summary.entities {
        counts.add_row([
            plain(manifest.title_of(&count.source_type)),
            count.entity_type.clone(),
            table::number(count.seen),
            table::number(count.new),
            table::number(count.changed),
            table::number(count.gone),
        ]);
    }
    for count in by_declared_kind(&summary.relations, manifest) {
        counts.add_row([
            plain(&format!("{} {} {}", count.parent, count.privilege, count.child)),
            "relation".to_owned(),
            table::number(count.seen),
            table::number(count.new),
            table::number(count.changed),
            table::number(count.gone),
        ]);
    }
    let _ = writeln!(text, "{counts}");
    text.push_str(&remarks(summary, store));
    text
}

/// What a person should know besides the counts: what is missing and why, and where the data is.
pub(crate) fn remarks(summary: &Summary, store: &Path) -> String {
    let mut text = String::new();
    let incomplete: Vec<_> = summary.streams.iter().filter_map(StreamSummary::incomplete).collect();
    text.push_str(&advice(&incomplete));
    for stream in &summary.streams {
        if let Some(StreamWindow { from, to }) = stream.window {
            let (from, to) = (from.format("%Y-%m-%d %H:%M"), to.format("%Y-%m-%d %H:%M"));
            let _ = writeln!(
                text,
                "\n{} covers {from} to {to} UTC: a use that is not listed did not happen in that time",
                stream.title
            );
        }
    }
    if summary.problem_count > 0 {
        let _ = writeln!(
            text,
            "\n{} objects or fields could not be understood:",
            table::number(summary.problem_count)
        );
        for problem in &summary.problems {
            let place =
                [Some(problem.stream.as_str()), problem.source_id.as_deref(), problem.field.as_deref()];
            let place = place.into_iter().flatten().collect::<Vec<_>>().join(" ");
            let _ = writeln!(text, "  {}: {}", plain(&place), plain(&problem.message));
        }
        let shown = summary.problems.len() as u64;
        if summary.problem_count > shown {
            let rest = table::number(summary.problem_count - shown);
            let _ = writeln!(text, "  and {rest} more: the table `problem` of the store has all of them");
        }
    }
    if let Some(limit) = summary.timed_out {
        let _ = writeln!(text, "\nThe run reached its limit of {limit} s (`run-seconds` under `[limits]`)");
    }
    if summary.stopped {
        let _ =
            writeln!(text, "\nStopped. Every page read so far is kept, and the next sync resumes from there");
    }
    let resumed = if summary.resumed { ", resuming an interrupted run" } else { "" };
    text.push_str(&swaps(&summary.connectors));
    let _ = writeln!(
        text,
        "\n{} requests in {:.1} s{resumed}. The data lies in {}",
        table::number(summary.requests),
        summary.seconds,
        store.display()
    );
    text
}

/// The counts by the kinds that the manifest declares: where it declares any privilege, all privileges share a row.
fn by_declared_kind(counts: &[RelationCount], manifest: &Manifest) -> Vec<RelationCount> {
    let mut rows: Vec<RelationCount> = Vec::new();
    for count in counts {
        let mut count = count.clone();
        let mut declared = manifest.streams.iter().flat_map(|stream| &stream.relations);
        if declared.any(|spec| {
            spec.privilege == ANY_PRIVILEGE && spec.parent == count.parent && spec.child == count.child
        }) {
            count.privilege = ANY_PRIVILEGE.to_owned();
        }
        let same = |row: &&mut RelationCount| {
            (&row.parent, &row.privilege, &row.child) == (&count.parent, &count.privilege, &count.child)
        };
        match rows.iter_mut().find(same) {
            Some(row) => {
                row.seen += count.seen;
                row.new += count.new;
                row.changed += count.changed;
                row.gone += count.gone;
            }
            None => rows.push(count),
        }
    }
    rows
}

/// Which connector read which stream, if there was more than one.
fn swaps(connectors: &[ConnectorUse]) -> String {
    let digests: BTreeSet<_> = connectors.iter().map(|one| &one.digest).collect();
    if digests.len() < 2 {
        return String::new();
    }
    let mut rows = table::new(&["Stream", "Connector", "SHA-256", "#Pages"]);
    for one in connectors {
        let digest = format!("{:#}", one.digest);
        rows.add_row([one.stream.to_string(), plain(&one.version), digest, table::number(one.pages)]);
    }
    format!("\nThe connector was swapped during the run:\n{rows}\n")
}
