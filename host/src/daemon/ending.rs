//! How a run ended, in words: what is wrong, and what to do about it.

use crate::manifest::Manifest;
use crate::store::RunRow;
use crate::sync::{StreamOutcome, Summary, SyncError};

use super::status::{LastRun, RunOutcome};

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending {
    pub(super) last_run: Option<LastRun>,
    pub(super) message: Option<String>,
    pub(super) hint: Option<String>,
}

/// A stream that was not read whole.
struct Wanting<'a> {
    stream: &'a str,
    reason: &'a str,
    permission: Option<&'a str>,
    hint: Option<&'a str>,
}

/// How the run ended that gave this. Outcome, requests, what to say, what to do.
pub(super) fn told(ended: &Result<Summary, SyncError>) -> (RunOutcome, u64, Option<String>, Option<String>) {
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
    let wanting = summary.streams.iter().filter(|stream| !stream.is_complete_enough());
    let wanting: Vec<_> = wanting
        .filter_map(|stream| {
            let permission = match &stream.outcome {
                StreamOutcome::Skipped { permission, .. } => permission.as_deref(),
                _ => None,
            };
            let (reason, hint) = (stream.outcome.reason()?, stream.outcome.hint());
            Some(Wanting { stream: &stream.stream, reason, permission, hint })
        })
        .collect();
    let timed_out =
        summary.timed_out.map(|limit| format!("it reached its limit of {limit} s (`run-seconds`)"));
    let (message, hint) = in_words(timed_out, &wanting);
    (outcome, summary.requests, message, hint)
}

impl Ending {
    /// How this run ended, before this program began. `manifest` says which streams are optional.
    pub(super) fn stored(run: &RunRow, manifest: &Manifest) -> Self {
        let outcome = match (&run.finished_at, run.outcome.as_deref()) {
            (Some(_), Some("complete")) => RunOutcome::Complete,
            (Some(_), _) => RunOutcome::Partial,
            (None, _) => RunOutcome::Stopped,
        };
        let time = |text: &str| text.parse().ok();
        let last_run = time(&run.started_at).map(|started_at| LastRun {
            started_at,
            ended_at: run.finished_at.as_deref().and_then(time).unwrap_or(started_at),
            outcome,
            requests: run.requests,
        });
        let optional = |name: &str| manifest.stream(name).is_some_and(|stream| stream.optional);
        let wanting = run.streams.iter().filter(|stream| match stream.state.as_str() {
            "skipped" => !optional(&stream.stream),
            "incomplete" => true,
            _ => false,
        });
        let mut wanting: Vec<_> = wanting
            .map(|stream| Wanting {
                stream: &stream.stream,
                reason: stream.reason.as_deref().unwrap_or_default(),
                permission: stream.permission.as_deref(),
                hint: stream.hint.as_deref(),
            })
            .collect();
        // As the run itself told them.
        wanting.sort_by_key(|one| manifest.streams.iter().position(|stream| stream.name == one.stream));
        let (message, hint) = in_words(None, &wanting);
        Self { last_run, message, hint }
    }
}

/// Streams that want the same permission are told together: it is one thing to do.
fn in_words(first: Option<String>, wanting: &[Wanting<'_>]) -> (Option<String>, Option<String>) {
    let mut messages: Vec<String> = first.into_iter().collect();
    let mut told: Vec<&str> = Vec::new();
    for one in wanting {
        let Some(permission) = one.permission else {
            messages.push(format!("`{}`: {}", one.stream, one.reason));
            continue;
        };
        if told.contains(&permission) {
            continue;
        }
        told.push(permission);
        let same = wanting.iter().filter(|other| other.permission == Some(permission));
        let streams: Vec<_> = same.map(|other| other.stream).collect();
        let types = if streams.len() == 1 { "object type" } else { "object types" };
        messages.push(format!(
            "{permission} is missing: {} {types} not read ({})",
            streams.len(),
            streams.join(", ")
        ));
    }
    let hint = wanting.iter().find_map(|one| one.hint).map(str::to_owned);
    ((!messages.is_empty()).then(|| messages.join("; ")), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_that_want_the_same_permission_are_told_together() {
        let wanting =
            |stream, permission| Wanting { stream, reason: "no", permission, hint: Some("grant it") };
        let admins = Some("Grant administrators - Read");
        let streams = [wanting("administrators", admins), wanting("groups", None), wanting("units", admins)];
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
