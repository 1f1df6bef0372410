//! The command line, as its end-to-end tests run it.

use std::process::ExitCode;

fn main() -> ExitCode {
    connector_host::main()
}
