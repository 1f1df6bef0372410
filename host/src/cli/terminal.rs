//! Writing to the terminal.

use std::io::{ErrorKind, Write};

use serde::Serialize;

use super::exit::Failure;

/// The width that tables have where there is no terminal, in columns.
const WIDTH: u16 = 110;

/// Writes data to standard output. A reader that has seen enough (`| head`) is no failure.
pub(super) fn data(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("could not write to standard output").into())
        }
        _ => Ok(()),
    }
}

/// Writes data as one JSON document.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(anyhow::Error::new)?;
    data(&format!("{text}\n"))
}

/// Tells the person something, on standard error.
pub(super) fn tell(text: &str) {
    // Where standard error is closed, nobody is left to tell.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// The width of standard output, in columns.
pub(super) fn width() -> u16 {
    console::Term::stdout().size_checked().map_or(WIDTH, |(_, columns)| columns.max(60))
}

/// Text of a vendor for a terminal: on one line, without what steers it.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}
