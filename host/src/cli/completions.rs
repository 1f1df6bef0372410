//! `connector-host completions`

use clap::CommandFactory;
use clap_complete::Shell;

use super::exit::{Exit, Failure};
use super::{Cli, terminal};

#[derive(clap::Args)]
pub(super) struct Options {
    /// The shell
    shell: Shell,
}

pub(super) fn run(options: &Options) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "connector-host", &mut script);
    terminal::data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Complete)
}
