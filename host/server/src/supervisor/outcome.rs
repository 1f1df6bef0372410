//! Describes how a run ended: the problem, and the hint.

use connector_sandbox::Hint;
use connector_sandbox::manifest::Manifest;
use connector_store::{IncompleteStream, RunRow, StreamState};
use connector_sync::{StreamSummary, Summary, SyncError};

use crate::api_types::{LastRun, RunOutcome};

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending {
    pub(super) last_run: Option<LastRun>,
    pub(super) message: Option<String>,
    pub(super) hint: Option<String>,
}

/// The outcome of a run, its requests, the problem, and the hint.
pub(super) fn describe_outcome(
    ended: &Result<Summary, SyncError>,
) -> (RunOutcome, u64, Option<String>, Option<String>) {
    let summary = match ended {
        Ok(summary) => summary,
        Err(SyncError::Stopped) => return (RunOutcome::Stopped, 0, None, None),
        Err(error) => return (RunOutcome::Failed, 0, Some(error.to_string()), error.hint()),
    };
    let outcome = match (summary.stopped, summary.complete) {
        (true, _) => RunOutcome::Stopped,
        (false, true) => RunOutcome::Complete,
        (false, false) => RunOutcome::Partial,
    };
    let incomplete = summary.streams.iter().filter(|stream| !stream.is_complete_enough());
    let incomplete: Vec<_> = incomplete.filter_map(StreamSummary::incomplete).collect();
    let timed_out =
        summary.timed_out.map(|limit| format!("it reached its limit of {limit} s (`run-seconds`)"));
    let (message, hint) = in_words(timed_out, &incomplete);
    (outcome, summary.requests, message, hint)
}

impl Ending {
    /// The ending of a run, from the store. `manifest` declares which streams are optional.
    pub(super) fn stored(run: &RunRow, manifest: &Manifest) -> Self {
        let outcome = match (&run.finished_at, run.outcome) {
            (Some(_), Some(connector_store::RunOutcome::Complete)) => RunOutcome::Complete,
            (Some(_), _) => RunOutcome::Partial,
            (None, _) => RunOutcome::Stopped,
        };
        let last_run = Some(LastRun {
            started_at: run.started_at,
            ended_at: run.finished_at.unwrap_or(run.started_at),
            outcome,
            requests: run.requests,
        });
        let optional = |name: &str| manifest.stream(name).is_some_and(|stream| stream.optional);
        // The streams that a complete run skipped are optional, or the vendor does not have them.
        let is_complete = run.outcome == Some(connector_store::RunOutcome::Complete);
        let mut incomplete: Vec<_> = run
            .incomplete_streams()
            .filter(|_| !is_complete)
            .filter(|stream| match stream.state {
                StreamState::Skipped => !optional(&stream.stream),
                StreamState::Incomplete => true,
                StreamState::Running | StreamState::Complete => false,
            })
            .collect();
        // In the order in which the run itself reported them.
        incomplete.sort_by_key(|one| manifest.streams.iter().position(|stream| stream.name == one.stream));
        let (message, hint) = in_words(None, &incomplete);
        Self { last_run, message, hint }
    }
}

/// The problems in words. Streams that lack the same permission share a sentence, because they have the same remedy.
fn in_words(first: Option<String>, incomplete: &[IncompleteStream]) -> (Option<String>, Option<String>) {
    let mut messages: Vec<String> = first.into_iter().collect();
    let mut named: Vec<&str> = Vec::new();
    for one in incomplete {
        let Some(permission) = one.permission.as_deref() else {
            messages.push(format!("`{}`: {}", one.stream, one.reason));
            continue;
        };
        if named.contains(&permission) {
            continue;
        }
        named.push(permission);
        let same = incomplete.iter().filter(|other| other.permission.as_deref() == Some(permission));
        let streams: Vec<_> = same.map(|other| other.stream.as_str()).collect();
        let types = if streams.len() == 1 { "object type" } else { "object types" };
        messages.push(format!(
            "{permission} is missing: {} {types} not read ({})",
            streams.len(),
            streams.join(", ")
        ));
    }
    let hint = incomplete.iter().find_map(|one| one.hint.clone());
    ((!messages.is_empty()).then(|| messages.join("; ")), hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use connector_sandbox::StreamName;

    #[test]
    fn streams_that_lack_the_same_permission_are_named_together() {
        let incomplete = |stream: &str, permission: Option<&str>| IncompleteStream {
            stream: StreamName::parse(stream).unwrap(),
            state: StreamState::Skipped,
            reason: "no".to_owned(),
            permission: permission.map(str::to_owned),
            hint: Some("grant it".to_owned()),
        };
        let admins = Some("Grant administrators - Read");
        let streams =
            [incomplete("administrators", admins), incomplete("groups", None), incomplete("units", admins)];
        let (message, hint) = in_words(None, &streams);
        assert_eq!(
            message.as_deref(),
            Some(
                "Grant administrators - Read is missing: 2 object types not read (administrators, units); `groups`: no"
            )
        );
        assert_eq!(hint.as_deref(), Some("grant it"));
        assert_eq!(in_words(None, &[]), (None, None));
    }
}
