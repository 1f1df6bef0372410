//! `connector-host completions`

use clap::CommandFactory;
use clap_complete::Shell;

use crate::exit::{Exit, Failure};
use crate::{Cli, terminal};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(options: &Options) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "connector-host", &mut script);
    terminal::data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Complete)
}
