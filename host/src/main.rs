//! `connector-host`: see `connector_host::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    connector_host::cli::main()
}
