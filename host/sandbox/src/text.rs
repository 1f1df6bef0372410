//! Makes text from connectors and vendors safe to show: it can't forge a line of a log or control a terminal.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, ClassUnicode, HirKind};

/// The longest line that [`plain`] keeps, in bytes; the rest is cut.
const LONGEST: usize = 4096;

/// Characters that nobody sees: control and format characters, white space, those that Unicode says to ignore, and the
/// blank of Braille.
static INVISIBLE: LazyLock<ClassUnicode> = LazyLock::new(|| {
    let class = r"[\p{Cc}\p{Cf}\p{Z}\p{White_Space}\p{Default_Ignorable_Code_Point}\u{2800}]";
    match regex_syntax::parse(class).map(|parsed| parsed.into_kind()) {
        Ok(HirKind::Class(Class::Unicode(class))) => class,
        // A test has a character of each part.
        _ => ClassUnicode::empty(),
    }
});

/// Whether nobody sees `char`: it is white space, a control or format character, or one that Unicode says to ignore.
#[must_use]
pub fn is_invisible(char: char) -> bool {
    if char.is_ascii() {
        return char.is_ascii_whitespace() || char.is_ascii_control();
    }
    let ranges = INVISIBLE.ranges();
    let after = ranges.partition_point(|range| range.start() <= char);
    after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|range| char <= range.end())
}

/// Whether `text` has no character that can be seen.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_invisible)
}

/// `text` on one line, without control characters and without characters that change the direction of text or end a line
/// (each becomes a space), cut at 4 KiB.
///
/// All text from a connector or a vendor passes through here before a log or a terminal shows it.
#[must_use]
pub fn plain(text: &str) -> String {
    plain_within(text, LONGEST)
}

/// As [`plain`], cut at `longest` bytes.
#[must_use]
pub(crate) fn plain_within(text: &str, longest: usize) -> String {
    let end = text.floor_char_boundary(longest);
    let (kept, cut) = text.split_at(end);
    let mut line: String = kept.chars().map(|char| if is_unsafe(char) { ' ' } else { char }).collect();
    if !cut.is_empty() {
        line.push('…');
    }
    line
}

/// Each line of `text`, cleaned by [`plain`].
#[must_use]
pub fn plain_lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// Control characters, line and paragraph separators, bidirectional controls (Unicode Bidirectional Algorithm, UAX #9),
/// interlinear annotations and tags.
fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{61c}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_not_be_forged_and_has_a_bounded_length() {
        assert_eq!(plain("a\nERROR forged\x1b[31m"), "a ERROR forged [31m");
        assert_eq!(plain("a\u{2028}ERROR forged"), "a ERROR forged");
        assert_eq!(plain(&"ü".repeat(LONGEST)).chars().count(), LONGEST / 2 + 1);
    }

    #[test]
    fn text_can_not_change_its_direction() {
        for char in ['\u{202e}', '\u{2066}', '\u{200f}', '\u{61c}', '\u{206f}', '\u{e0041}'] {
            assert_eq!(plain(&format!("a{char}b")), "a b", "{:x}", u32::from(char));
        }
        assert_eq!(plain("ünï çødé 名前"), "ünï çødé 名前");
    }

    #[test]
    fn a_text_of_invisible_characters_is_blank() {
        for text in
            ["", " \t\n\0\u{7f}", "\u{85}\u{a0}", "\u{200b}\u{e0001}", "\u{3164}\u{fe0f}", "\u{2800}\u{2029}"]
        {
            assert!(is_blank(text), "{text:?}");
        }
        for text in ["a", "\u{200b}ü", "名", "\u{301}", "😀"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(plain_lines("a\x1b[2J\nb\u{202e}c"), "a [2J\nb c");
    }
}
