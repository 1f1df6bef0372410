//! `connector-host export`

use std::path::PathBuf;

use super::exit::{Exit, Failure};
use super::{table, terminal};
use crate::output::{self, Format};
use crate::store::Store;

#[derive(clap::Args)]
pub(super) struct Options {
    /// The store that `sync` wrote
    #[arg(long, value_name = "FILE")]
    store: PathBuf,
    /// What to write
    #[arg(long, value_enum, default_value = "ndjson")]
    format: Format,
    /// The folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn run(options: &Options) -> Result<Exit, Failure> {
    let store = Store::open_read_only(&options.store)?;
    let written = output::export(&store, options.format, &options.out)?;
    let mut rows = table::new(&["File", "#Records"]);
    for file in written {
        rows.add_row([file.path.display().to_string(), table::number(file.records)]);
    }
    terminal::data(&format!("{rows}\n"))?;
    Ok(Exit::Complete)
}
