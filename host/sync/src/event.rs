//! What a run tells while it runs.

use std::time::Duration;

use connector_sandbox::contract::api::Report;
use connector_sandbox::manifest::StreamSpec;

use crate::retry::Wait;
use crate::summary::StreamSummary;

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// `check` answered.
    Checked {
        /// What may be read.
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
        /// Those of them that `total` counts: the objects of the first type that the stream declares, or its usages.
        listed: u64,
        /// Objects of the whole stream, where the vendor says.
        total: Option<u64>,
    },
    /// A call is made again after a pause.
    Waiting {
        /// Name of the stream, or `check`.
        stream: &'a str,
        /// Why and how long.
        wait: &'a Wait,
    },
    /// A call waits, so that the vendor's rate limit is kept.
    Throttled {
        /// Name of the stream.
        stream: &'a str,
        /// How long.
        duration: Duration,
    },
    /// A stream ended.
    StreamEnded {
        /// How.
        summary: &'a StreamSummary,
    },
}

/// Listens to a run. Called from several threads; must not block.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event<'_>);
}

/// Listens to nothing.
pub struct NullObserver;

impl Observer for NullObserver {
    fn event(&self, _: Event<'_>) {}
}
