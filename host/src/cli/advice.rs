//! Why streams are not read, and what to do about it: said once where several have one remedy.

use std::fmt::Write as _;

use super::terminal;

/// A stream that is not read, or not whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble<'a> {
    pub(super) stream: &'a str,
    pub(super) reason: &'a str,
    pub(super) hint: Option<&'a str>,
}

/// A paragraph for each remedy, with the streams that it would open.
pub(super) fn advice<'a>(troubles: impl Iterator<Item = Trouble<'a>>) -> String {
    let mut paragraphs: Vec<(Vec<&str>, Trouble<'_>)> = Vec::new();
    for trouble in troubles {
        let same = |known: &&mut (Vec<&str>, Trouble<'_>)| {
            known.1.hint == trouble.hint && (trouble.hint.is_some() || known.1.reason == trouble.reason)
        };
        match paragraphs.iter_mut().find(same) {
            Some((streams, _)) => streams.push(trouble.stream),
            None => paragraphs.push((vec![trouble.stream], trouble)),
        }
    }
    let mut text = String::new();
    for (streams, Trouble { reason, hint, .. }) in paragraphs {
        let _ = writeln!(text, "\n{}: {}", streams.join(", "), terminal::plain(reason));
        if let Some(hint) = hint {
            let _ = writeln!(text, "  {}", terminal::plain(hint));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_with_one_remedy_share_a_paragraph() {
        let trouble = |stream, reason, hint| Trouble { stream, reason, hint };
        let text = advice(
            [
                trouble("a", "403 at /a", Some("grant x")),
                trouble("b", "403 at /b", Some("grant y")),
                trouble("c", "403 at /c", Some("grant x")),
                trouble("d", "odd", None),
                trouble("e", "other", None),
            ]
            .into_iter(),
        );
        assert_eq!(text, "\na, c: 403 at /a\n  grant x\n\nb: 403 at /b\n  grant y\n\nd: odd\n\ne: other\n");
    }
}
