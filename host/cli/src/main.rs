//! `connector-host`: see `connector_host::main`.

use std::process::ExitCode;

fn main() -> ExitCode {
    connector_host::main()
}
