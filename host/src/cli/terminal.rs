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
    text.chars().map(|char| if steers(char) { ' ' } else { char }).collect()
}

/// The same, with its lines.
pub(super) fn plain_lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// Control characters, and those that turn the direction of what follows.
fn steers(char: char) -> bool {
    char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_taken_out() {
        assert_eq!(plain("a\x1b[2Jb\nc\u{202e}d"), "a [2Jb c d");
        assert_eq!(plain_lines("a\x1b[2J\nb"), "a [2J\nb");
    }
}
