//! The form in which secrets and texts are compared: compatibility characters become what they stand for (NFKD), letters
//! lower case, tag characters ASCII; characters that nobody sees, white space and marks over letters are left out.

use unicode_normalization::char::{decompose_compatible, is_combining_mark};
use zeroize::Zeroizing;

use crate::text::is_invisible;

/// Shorter secrets, in folded characters, are not searched for: removing every `a` would make all output useless.
pub(crate) const SHORTEST: usize = 4;

/// What a tag character (U+E0020 to U+E007E) counts as. A text with tag characters is searched with both.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tags {
    Gaps,
    Ascii,
}

/// Whether a secret is long enough to be searched for.
pub(crate) fn can_be_redacted(secret: &str) -> bool {
    folded(secret).chars().count() >= SHORTEST
}

/// `text` in the form in which texts are compared.
pub(crate) fn folded(text: &str) -> Zeroizing<String> {
    let mut folded = Zeroizing::new(String::with_capacity(text.len()));
    text.chars().for_each(|char| fold(char, Tags::Gaps, &mut |char| folded.push(char)));
    folded
}

/// Calls `push` with the characters that `char` is compared as; with none if it is left out.
pub(crate) fn fold(char: char, tags: Tags, push: &mut impl FnMut(char)) {
    if char.is_ascii() {
        if !u8::try_from(char).is_ok_and(is_gap) {
            push(char.to_ascii_lowercase());
        }
        return;
    }
    if tags == Tags::Ascii && is_tag(char) {
        let ascii = u32::from(char).checked_sub(0xe0000).and_then(char::from_u32);
        return ascii.into_iter().for_each(|ascii| fold(ascii, tags, push));
    }
    let is_left_out = |char| is_invisible(char) || is_combining_mark(char);
    if is_left_out(char) {
        return;
    }
    decompose_compatible(char, |part| {
        part.to_lowercase().filter(|char| !is_left_out(*char)).for_each(&mut *push);
    });
}

/// Whether a character of ASCII is left out: white space, or a control character.
pub(crate) fn is_gap(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
}

/// Whether it is a tag character, which stands for a character of ASCII.
pub(crate) fn is_tag(char: char) -> bool {
    matches!(char, '\u{e0020}'..='\u{e007e}')
}
