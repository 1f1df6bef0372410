//! The events of a run.

use std::time::Duration;

use connector_sandbox::contract::api::Report;
use connector_sandbox::manifest::StreamSpec;

use crate::retry::Wait;
use crate::summary::StreamSummary;

/// An event of a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// `check` answered.
    Checked {
        /// Which streams can be read.
        report: &'a Report,
    },
    /// The store is open.
    RunStarted {
        /// Whether it resumes an interrupted run.
        resumed: bool,
    },
    /// A stream begins.
    StreamStarted {
        /// The stream.
        stream: &'a StreamSpec,
    },
    /// A page was kept.
    PageKept {
        /// The stream.
        stream: &'a StreamSpec,
        /// Entities, usages and problems in this page.
        objects: u64,
        /// The objects that `total` counts: those of the first type that the stream declares, or its usages.
        listed: u64,
        /// Objects of the whole stream, if the vendor reports it.
        total: Option<u64>,
    },
    /// A call is made again after a pause.
    Waiting {
        /// Name of the stream, or `check`.
        stream: &'a str,
        /// Its reason and length.
        wait: &'a Wait,
    },
    /// A call waits, to stay within the vendor's rate limit.
    Throttled {
        /// Name of the stream.
        stream: &'a str,
        /// The length of the wait.
        duration: Duration,
    },
    /// A stream ended.
    StreamEnded {
        /// How it ended.
        summary: &'a StreamSummary,
    },
}

/// Receives the events of a run, from several threads. Must not block.
pub trait Observer: Send + Sync {
    /// Handles an event.
    fn event(&self, event: Event<'_>);
}

/// Ignores all events.
pub struct NullObserver;

impl Observer for NullObserver {
    fn event(&self, _: Event<'_>) {}
}
