//! Shows the progress of a run on standard error: bars on a terminal, otherwise lines.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use console::style;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::terminal;
use connector_sandbox::text::plain;
use connector_sync::{Event, Observer, StreamOutcome};

/// Shows a run.
pub(crate) struct Progress {
    bars: MultiProgress,
    streams: Mutex<BTreeMap<String, ProgressBar>>,
    is_terminal: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            bars: MultiProgress::new(),
            streams: Mutex::new(BTreeMap::new()),
            is_terminal: console::user_attended_stderr(),
        }
    }

    /// A line that stays.
    fn line(&self, text: &str) {
        if self.is_terminal {
            // It fails if standard error is closed; then there is no reader.
            let _ = self.bars.println(text);
        } else {
            terminal::tell(&format!("{text}\n"));
        }
    }

    fn with_bar(&self, stream: &str, act: impl FnOnce(&ProgressBar)) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = streams.entry(stream.to_owned()).or_insert_with(|| {
            let bar = self.bars.add(ProgressBar::no_length());
            let template = "  {prefix:<22} {bar:30.cyan/dim} {human_pos:>9} of {human_len:<9} {msg}";
            // The template is a constant; if it did not parse, the default style would be used.
            let look =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(look.progress_chars("━━╌"));
            bar.set_prefix(stream.to_owned());
            bar
        });
        act(bar);
    }
}

impl Observer for Progress {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Checked { .. } => {}
            Event::RunStarted { resumed } => {
                if resumed {
                    self.line("resuming an interrupted run");
                }
            }
            Event::StreamStarted { stream } => {
                if self.is_terminal {
                    self.with_bar(&stream.name, |bar| bar.set_message(""));
                }
            }
            Event::PageKept { stream, listed, total, .. } => {
                if self.is_terminal {
                    self.with_bar(&stream.name, |bar| {
                        bar.set_message("");
                        if let Some(total) = total {
                            bar.set_length(total);
                        }
                        bar.inc(listed);
                    });
                }
            }
            Event::Waiting { stream, wait } => {
                let text = format!(
                    "waiting {:.1} s, then attempt {} of {}: {}",
                    wait.duration.as_secs_f32(),
                    wait.attempt + 1,
                    wait.attempts,
                    plain(&wait.reason)
                );
                if self.is_terminal && stream != "check" {
                    self.with_bar(stream, |bar| bar.set_message(text));
                } else {
                    self.line(&format!("{stream}: {text}"));
                }
            }
            Event::Throttled { stream, duration } => {
                let text =
                    format!("keeping to the vendor's rate limit for {:.0} s", duration.as_secs_f32().ceil());
                if self.is_terminal {
                    self.with_bar(stream, |bar| bar.set_message(text));
                } else {
                    self.line(&format!("{stream}: {text}"));
                }
            }
            Event::StreamEnded { summary } => {
                if self.is_terminal {
                    let end = match summary.outcome {
                        StreamOutcome::Complete => style("complete").green(),
                        StreamOutcome::Incomplete { .. } => style("incomplete").red(),
                        StreamOutcome::Stopped => style("stopped").yellow(),
                        StreamOutcome::Skipped { .. } => style("skipped").yellow(),
                    };
                    self.with_bar(&summary.stream, |bar| bar.abandon_with_message(end.to_string()));
                } else {
                    let state = match &summary.outcome {
                        StreamOutcome::Complete => "complete",
                        StreamOutcome::Incomplete { .. } => "incomplete",
                        StreamOutcome::Stopped => "stopped",
                        StreamOutcome::Skipped { .. } => "skipped",
                    };
                    let pages = if summary.pages == 1 { "page" } else { "pages" };
                    self.line(&format!("{}: {state}, {} {pages}", summary.stream, summary.pages));
                }
            }
        }
    }
}
