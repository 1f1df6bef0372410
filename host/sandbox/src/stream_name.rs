//! Names of streams.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use serde::Serialize;

/// The name of a stream, as its manifest declares it: `users`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct StreamName(String);

impl StreamName {
    /// A name in kebab case, at most 64 bytes long; `None` for any other text.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        is_kebab_case(name).then(|| Self(name.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `name` is in kebab case, and at most 64 bytes long.
pub(crate) fn is_kebab_case(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit())
    };
    name.len() <= 64 && name.split('-').all(is_word)
}

impl fmt::Display for StreamName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A stream's name is a validated text, and can be read as text.
impl Deref for StreamName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for StreamName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for StreamName {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<String> for StreamName {
    fn eq(&self, other: &String) -> bool {
        self.0 == *other
    }
}

impl PartialEq<&str> for StreamName {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_in_kebab_case() {
        for name in ["users", "webauthn-credentials", "u2f", &"a".repeat(64)] {
            assert_eq!(StreamName::parse(name).unwrap(), name);
        }
        for text in ["", "Users", "a_b", "-a", "a-", "a--b", "a b", "ü", &"a".repeat(65)] {
            assert_eq!(StreamName::parse(text), None, "{text}");
        }
    }
}
