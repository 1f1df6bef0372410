//! `connector-host export`

use std::path::PathBuf;

use crate::exit::{Exit, Failure};
use crate::{table, terminal};
use connector_report::export::{Existing, Format, export};
use connector_store::{Reader, RunId};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The store that `sync` wrote
    #[arg(long, value_name = "FILE")]
    store: PathBuf,
    /// What to write
    #[arg(long, value_parser = format, default_value = "ndjson")]
    format: Format,
    /// The folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace files in a folder that holds some
    #[arg(long)]
    force: bool,
    /// With `ocsf`: the changes after this run, not only those of the latest
    #[arg(long, value_name = "RUN")]
    since: Option<i64>,
}

/// The format of that name.
fn format(name: &str) -> Result<Format, String> {
    let found = Format::ALL.into_iter().find(|format| format.name() == name);
    found.ok_or_else(|| format!("the formats are `{}`", Format::ALL.map(Format::name).join("`, `")))
}

pub(crate) fn run(options: &Options) -> Result<Exit, Failure> {
    let store = Reader::open(&options.store)?;
    let existing = if options.force { Existing::Replace } else { Existing::Refuse };
    let written = export(&store, options.format, &options.out, existing, options.since.map(RunId))?;
    let mut rows = table::new(&["File", "#Records"]);
    for file in written {
        rows.add_row([file.path.display().to_string(), table::number(file.records)]);
    }
    terminal::data(&format!("{rows}\n"))?;
    Ok(Exit::Complete)
}
