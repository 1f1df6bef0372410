//! Writing to the terminal.

use std::io::{ErrorKind, Write};

use anyhow::Context as _;
use serde::Serialize;

/// The width of tables if there is no terminal, in columns.
const WIDTH: u16 = 110;

/// Writes data to standard output. A closed pipe (`| head`) is not a failure.
pub(crate) fn data(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("could not write to standard output")
        }
        _ => Ok(()),
    }
}

/// Writes data as one JSON document.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    data(&format!("{text}\n"))
}

/// Writes a message to standard error.
pub(crate) fn tell(text: &str) {
    // If standard error is closed, there is no reader.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// The width of standard output, in columns.
pub(crate) fn width() -> u16 {
    console::Term::stdout().size_checked().map_or(WIDTH, |(_, columns)| columns.max(60))
}
