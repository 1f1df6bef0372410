//! Finds secrets in the text of a guest and blanks them out.
//!
//! Secrets and texts are compared in the form of `folding`. Most texts are shorter than any secret, or plain ASCII without
//! white space, and are not copied.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use zeroize::{Zeroize as _, Zeroizing};

use crate::folding::{SHORTEST, Tags, can_be_redacted, fold, folded, is_gap, is_tag};

/// The text that replaces a secret.
const BLANK: &str = "[redacted]";

/// The bytes of folded text that are searched at once, so that a long text costs no memory in proportion.
const CHUNK: usize = 16 << 10;

/// Blanks out secrets, in plain text and in base64, hexadecimal, URL and JSON encoding, in upper and lower case, also with
/// line breaks, white space or invisible characters in between.
#[derive(Clone, Default)]
pub struct Redactor(Option<Arc<Patterns>>);

/// The folded notations of the secrets.
struct Patterns {
    automaton: AhoCorasick,
    /// The lengths of the shortest and the longest notation, in bytes.
    shortest: usize,
    longest: usize,
}

impl Redactor {
    /// Blanks out `secrets`. Those of fewer than four characters are not searched for.
    pub fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let mut patterns: Vec<Zeroizing<String>> = Vec::new();
        for secret in secrets.filter(|secret| can_be_redacted(secret)) {
            let bytes = secret.as_bytes();
            let mut notations = base64_of(bytes);
            notations.push(secret.to_owned());
            notations.push(url::form_urlencoded::byte_serialize(bytes).collect());
            notations.push(bytes.iter().map(|byte| format!("%{byte:02x}")).collect());
            notations.push(serde_json::Value::from(secret).to_string().trim_matches('"').to_owned());
            notations.push(hex::encode(bytes));
            patterns.extend(notations.iter().map(|notation| folded(notation)));
            notations.zeroize();
        }
        patterns.retain(|pattern| pattern.len() >= SHORTEST);
        patterns.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        patterns.dedup_by(|one, other| one.as_str() == other.as_str());
        let lengths = || patterns.iter().map(|pattern| pattern.len());
        let (Some(shortest), Some(longest)) = (lengths().min(), lengths().max()) else {
            return Self::default();
        };
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            // Texts of ASCII are searched as they are.
            .ascii_case_insensitive(true)
            .build(patterns.iter().map(|pattern| pattern.as_bytes()));
        // Building fails only on automata of gigabytes.
        Self(automaton.ok().map(|automaton| Arc::new(Patterns { automaton, shortest, longest })))
    }

    /// `text` without secrets.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let found = match &self.0 {
            Some(patterns) => patterns.find(text),
            None => Vec::new(),
        };
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut redacted = String::with_capacity(text.len());
        let mut end = 0;
        for range in found {
            redacted.push_str(text.get(end..range.start).unwrap_or_default());
            redacted.push_str(BLANK);
            end = range.end;
        }
        redacted.push_str(text.get(end..).unwrap_or_default());
        Cow::Owned(redacted)
    }

    /// Removes secrets from `text`.
    pub(crate) fn clean(&self, text: &mut String) {
        if let Cow::Owned(redacted) = self.text(text) {
            *text = redacted;
        }
    }
}

impl Patterns {
    /// The places of secrets in `text`, in order; they do not overlap.
    fn find(&self, text: &str) -> Vec<Range<usize>> {
        if text.is_ascii() {
            if text.len() < self.shortest {
                return Vec::new();
            }
            if !text.bytes().any(is_gap) {
                return self.automaton.find_iter(text).map(|found| found.range()).collect();
            }
            // Most texts have no secret, and need no places.
            if text.len() <= CHUNK {
                let squeezed: Vec<u8> = text.bytes().filter(|byte| !is_gap(*byte)).collect();
                if squeezed.len() < self.shortest || !self.automaton.is_match(&squeezed) {
                    return Vec::new();
                }
            }
        }
        let mut found = self.find_folded(text, Tags::Gaps);
        if text.chars().any(is_tag) {
            found.extend(self.find_folded(text, Tags::Ascii));
        }
        found.sort_by_key(|range| (range.start, range.end));
        // Two chunks may have found parts of one place.
        found.dedup_by(|next, kept| {
            let overlaps = next.start < kept.end;
            if overlaps {
                kept.end = kept.end.max(next.end);
            }
            overlaps
        });
        found
    }

    /// The places of secrets in `text` by its folded form.
    fn find_folded(&self, text: &str, tags: Tags) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let capacity = text.len().min(CHUNK + self.longest + 64);
        // The folded bytes, and for each one the place of the character that it comes from.
        let (mut bytes, mut origins) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
        let mut search = |bytes: &[u8], origins: &[usize]| {
            found.extend(self.automaton.find_iter(bytes).filter_map(|place| {
                let (first, last) = (*origins.get(place.start())?, *origins.get(place.end() - 1)?);
                let length = text.get(last..)?.chars().next()?.len_utf8();
                Some(first..last + length)
            }));
        };
        for (origin, char) in text.char_indices() {
            fold(char, tags, &mut |char| {
                bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                origins.resize(bytes.len(), origin);
            });
            if bytes.len() >= CHUNK + self.longest {
                search(&bytes, &origins);
                // A secret may begin in this chunk and end in the next one.
                let searched = bytes.len() - self.longest;
                bytes.drain(..searched);
                origins.drain(..searched);
            }
        }
        search(&bytes, &origins);
        found
    }
}

/// The base64 digits of `bytes` at any place in an encoded text, such as `user:secret`: for each of the three
/// alignments, the digits that do not depend on the bytes before or after.
fn base64_of(bytes: &[u8]) -> Vec<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let mut found = Vec::new();
    for (before, decided_by_before) in [(0, 0), (1, 2), (2, 3)] {
        let padded = [vec![0; before].as_slice(), bytes].concat();
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            let decided_by_after = usize::from(!padded.len().is_multiple_of(3));
            let end = encoded.len() - decided_by_after;
            found.extend(encoded.get(decided_by_before..end).map(str::to_owned));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Zh5eGmUq9zpf/nyUIu5OL9i\"WoMMv5ZNmk3zLJ4E";

    fn redactor() -> Redactor {
        Redactor::new([SECRET].into_iter())
    }

    #[test]
    fn a_secret_is_blanked_out_in_every_notation() {
        let json = serde_json::to_string(SECRET).unwrap();
        let url: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        for text in [SECRET.to_owned(), json, url] {
            let redacted = redactor().text(&format!("key={text};")).into_owned();
            assert!(redacted.starts_with("key=") && redacted.contains(BLANK), "{redacted}");
            assert!(!redacted.contains("UIu5OL9i"), "{redacted}");
        }
    }

    #[test]
    fn a_secret_is_blanked_out_in_base64_wherever_it_stands() {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE};
        for before in ["", "a", "ab", "DIXXXXXXXXXXXXXXXXXX:"] {
            for after in ["", "x", "xy", "xyz"] {
                let text = format!("{before}{SECRET}{after}");
                for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                    let redacted = redactor().text(&encoded).into_owned();
                    assert!(redacted.contains(BLANK) && redacted.len() < 50, "{before} {after}: {redacted}");
                }
            }
        }
    }

    #[test]
    fn a_secret_is_blanked_out_in_hexadecimal_and_across_lines() {
        use base64::Engine as _;
        let secret = "Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep";
        let redactor = Redactor::new([secret].into_iter());
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let base64 = base64::engine::general_purpose::STANDARD.encode(format!("DIXX:{secret}"));
        let mime = format!("{}\r\n{}", &base64[..30], &base64[30..]);
        let wrapped = format!("{}\n{}", &secret[..7], &secret[7..]);
        let spelled: String = secret.chars().map(|char| format!("{char} ")).collect();
        let dump: String = secret.bytes().map(|byte| format!("{byte:02X} ")).collect();
        let unseen: String = secret.chars().flat_map(|char| [char, '\u{200b}']).collect();
        let lower = secret.to_lowercase();
        for text in [hex.clone(), hex.to_uppercase(), mime, wrapped, spelled, dump, unseen, lower] {
            let redacted = redactor.text(&format!("key={text};\nall is well")).into_owned();
            assert!(redacted.starts_with("key="), "{redacted}");
            assert!(redacted.len() < 70 && redacted.ends_with(";\nall is well"), "{redacted}");
        }
    }

    #[test]
    fn neighbours_of_a_secret_are_kept() {
        let redactor = Redactor::new(["correct horse"].into_iter());
        let text = "ü correct horse ü correct\nhorse, correct horsecorrect horse.";
        let expected = "ü [redacted] ü [redacted], [redacted][redacted].";
        assert_eq!(redactor.text(text), expected);
    }

    #[test]
    fn other_text_is_not_touched() {
        assert!(matches!(redactor().text("all is well"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_secret_is_blanked_out_whatever_stands_between_its_characters() {
        let secret = "Zh5eGmUq9zpfQnyUIu5OL9iW";
        let redactor = Redactor::new([secret].into_iter());
        for gap in [
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{17b4}',
            '\u{180e}',
            '\u{202a}',
            '\u{2066}',
            '\u{2069}',
            '\u{206a}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{fff9}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{ad}',
            '\u{200b}',
            '\u{feff}',
            '\u{2028}',
            '\u{a0}',
            '\u{3000}',
            '\u{ffa0}',
            '\u{7}',
            '\u{85}',
            '\u{301}',
            '\u{20e3}',
        ] {
            let hidden: String = secret.chars().flat_map(|char| [char, gap]).collect();
            let hidden = hidden.trim_end_matches(gap);
            assert_eq!(redactor.text(&format!("é{hidden}!")), "é[redacted]!", "{:x}", u32::from(gap));
        }
    }

    #[test]
    fn a_secret_is_blanked_out_in_characters_that_stand_for_others() {
        let secret = "Zh5eGmUq9zpfQnyUIu5OL9iW";
        let redactor = Redactor::new([secret].into_iter());
        let shifted = |from: u32| move |char: char| char::from_u32(u32::from(char) + from).unwrap();
        let full_width: String = secret.chars().map(shifted(0xfee0)).collect();
        let tags: String = secret.chars().map(shifted(0xe0000)).collect();
        let mixed: String = secret
            .chars()
            .enumerate()
            .map(|(at, char)| shifted([0, 0xe0000, 0xfee0][at % 3])(char))
            .collect();
        let circled: String = secret
            .chars()
            .map(|char| match char {
                'a'..='z' => shifted(0x24d0 - 0x61)(char),
                'A'..='Z' => shifted(0x24b6 - 0x41)(char),
                other => other,
            })
            .collect();
        let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for text in [full_width, tags, mixed, circled, percent] {
            assert_eq!(redactor.text(&format!("key={text};")), "key=[redacted];", "{text}");
        }
    }

    #[test]
    fn a_secret_with_accents_is_blanked_out_in_either_normal_form() {
        let redactor = Redactor::new(["pässwörd"].into_iter());
        for text in ["pässwörd", "pa\u{308}sswo\u{308}rd", "PÄSSWÖRD"] {
            assert_eq!(redactor.text(text), BLANK, "{text}");
        }
    }

    #[test]
    fn a_secret_is_found_anywhere_in_a_long_text() {
        let redactor = redactor();
        for before in [0, CHUNK - 20, CHUNK - 1, CHUNK, CHUNK + 7, 5 * CHUNK + 13] {
            for filler in ["x", "x ", "ü"] {
                let text = format!("{}{SECRET}{}", filler.repeat(before), filler.repeat(9));
                let redacted = redactor.text(&text);
                assert_eq!(redacted.matches(BLANK).count(), 1, "{before} {filler}");
                assert_eq!(redacted.len(), text.len() - SECRET.len() + BLANK.len(), "{before} {filler}");
            }
        }
        let gaps = format!("{}{}{}", &SECRET[..9], "\u{ad}".repeat(3 * CHUNK), &SECRET[9..]);
        assert_eq!(redactor.text(&gaps), BLANK);
    }

    #[test]
    fn a_secret_that_is_too_short_is_not_searched_for() {
        let redactor = Redactor::new(["abc", "a\u{200b}b\u{200b}c"].into_iter());
        assert_eq!(redactor.text("abc"), "abc");
        assert_eq!(Redactor::new(["abcd"].into_iter()).text("(a b-abcd)"), "(a b-[redacted])");
    }
}
