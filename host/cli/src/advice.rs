//! Explains why streams are not read, and what to do about it. Streams with the same remedy share a paragraph.

use std::fmt::Write as _;

use connector_sandbox::text::plain;
use connector_store::IncompleteStream;

/// A paragraph for each remedy, with the streams that it makes readable.
pub(crate) fn advice(incomplete: &[IncompleteStream]) -> String {
    let mut paragraphs: Vec<(Vec<&str>, &IncompleteStream)> = Vec::new();
    for one in incomplete {
        let same = |known: &&mut (Vec<&str>, &IncompleteStream)| {
            known.1.hint == one.hint && (one.hint.is_some() || known.1.reason == one.reason)
        };
        match paragraphs.iter_mut().find(same) {
            Some((streams, _)) => streams.push(&one.stream),
            None => paragraphs.push((vec![&one.stream], one)),
        }
    }
    let mut text = String::new();
    for (streams, IncompleteStream { reason, hint, .. }) in paragraphs {
        let _ = writeln!(text, "\n{}: {}", streams.join(", "), plain(reason));
        if let Some(hint) = hint {
            let _ = writeln!(text, "  {}", plain(hint));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use connector_sandbox::StreamName;
    use connector_store::StreamState;

    use super::*;

    #[test]
    fn streams_with_one_remedy_share_a_paragraph() {
        let incomplete = |stream: &str, reason: &str, hint: Option<&str>| IncompleteStream {
            stream: StreamName::parse(stream).unwrap(),
            state: StreamState::Skipped,
            reason: reason.to_owned(),
            permission: None,
            hint: hint.map(str::to_owned),
        };
        let text = advice(&[
            incomplete("a", "403 at /a", Some("grant x")),
            incomplete("b", "403 at /b", Some("grant y")),
            incomplete("c", "403 at /c", Some("grant x")),
            incomplete("d", "odd", None),
            incomplete("e", "other", None),
        ]);
        assert_eq!(text, "\na, c: 403 at /a\n  grant x\n\nb: 403 at /b\n  grant y\n\nd: odd\n\ne: other\n");
    }
}
