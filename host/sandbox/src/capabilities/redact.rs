//! Removes secrets: all text of a guest passes through here before it is logged, shown or stored.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use zeroize::Zeroize as _;

use crate::contract::api::{Access, Error, ErrorKind, Page, Progress, Report};
use crate::contract::types::{AttributeValue, EntityRef, NormalForm, Resource};

/// The text that replaces a secret.
const BLANK: &str = "[redacted]";

/// Secrets shorter than this are not searched for: removing every `a` would make all output useless.
const SHORTEST: usize = 4;

/// Blanks out secrets, in plain text and in base64, hexadecimal, URL and JSON encoding, in upper and lower case, also with
/// line breaks, white space or invisible characters in between.
#[derive(Clone, Default)]
pub struct Redactor {
    patterns: Option<Arc<AhoCorasick>>,
}

impl Redactor {
    /// Blanks out `secrets`.
    pub fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let mut patterns: Vec<String> = Vec::new();
        for secret in secrets.filter(|secret| secret.len() >= SHORTEST) {
            patterns.push(secret.to_owned());
            patterns.push(secret.split_whitespace().collect());
            patterns.push(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
            patterns.push(serde_json::Value::from(secret).to_string().trim_matches('"').to_owned());
            patterns.extend(base64_of(secret.as_bytes()));
            patterns.push(secret.bytes().map(|byte| format!("{byte:02x}")).collect());
        }
        patterns.retain(|pattern| pattern.len() >= SHORTEST);
        if patterns.is_empty() {
            return Self::default();
        }
        patterns.sort();
        patterns.dedup();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            // A secret in the name of a host appears in lower case.
            .ascii_case_insensitive(true)
            .build(&patterns);
        patterns.zeroize();
        // Building fails only on automata of gigabytes.
        Self { patterns: automaton.ok().map(Arc::new) }
    }

    /// `text` without secrets.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(patterns) = &self.patterns else { return Cow::Borrowed(text) };
        let mut found: Vec<Range<usize>> = patterns.find_iter(text).map(|found| found.range()).collect();
        found.extend(across_white_space(patterns, text));
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        found.sort_by_key(|range| range.start);
        let mut redacted = String::with_capacity(text.len());
        let mut end = 0;
        for range in found {
            if range.start >= end {
                redacted.push_str(text.get(end..range.start).unwrap_or_default());
                redacted.push_str(BLANK);
            }
            end = end.max(range.end);
        }
        redacted.push_str(text.get(end..).unwrap_or_default());
        Cow::Owned(redacted)
    }

    fn clean(&self, text: &mut String) {
        if let Cow::Owned(redacted) = self.text(text) {
            *text = redacted;
        }
    }

    fn clean_all<'a>(&self, texts: impl IntoIterator<Item = &'a mut String>) {
        texts.into_iter().for_each(|text| self.clean(text));
    }

    /// An error without secrets.
    pub fn error(&self, error: &mut Error) {
        self.clean(&mut error.message);
        self.clean_all(error.code.iter_mut().chain(&mut error.remedy).chain(&mut error.detail));
        match &mut error.kind {
            ErrorKind::InvalidSetting(name) => self.clean(name),
            ErrorKind::MissingPermission(permissions) => self.clean_all(permissions),
            _ => {}
        }
    }

    /// A report without secrets.
    pub fn report(&self, report: &mut Report) {
        self.clean_all(&mut report.account);
        for row in &mut report.streams {
            self.clean(&mut row.stream);
            if let Access::Refused(error) = &mut row.access {
                self.error(error);
            }
        }
    }

    /// A page without secrets, its cursor included.
    pub fn page(&self, page: &mut Page) {
        if self.patterns.is_none() {
            return;
        }
        for entity in &mut page.entities {
            self.clean_all([&mut entity.source_type, &mut entity.source_id, &mut entity.name]);
            self.normal(&mut entity.normal);
            entity.attributes.iter_mut().for_each(|attribute| {
                self.clean(&mut attribute.name);
                self.value(&mut attribute.value);
            });
        }
        for relation in &mut page.relations {
            self.reference(&mut relation.parent);
            self.reference(&mut relation.child);
            self.clean(&mut relation.privilege);
            relation.attributes.iter_mut().for_each(|attribute| {
                self.clean(&mut attribute.name);
                self.value(&mut attribute.value);
            });
        }
        for usage in &mut page.usages {
            usage.identity.iter_mut().for_each(|identity| self.reference(identity));
            self.reference(&mut usage.resource);
            self.clean_all(usage.identity_name.iter_mut().chain(&mut usage.resource_name));
            self.clean_all(
                usage.last_attempt.iter_mut().filter_map(|attempt| attempt.vendor_result.as_mut()),
            );
        }
        for problem in &mut page.problems {
            self.clean(&mut problem.message);
            self.clean_all(problem.source_id.iter_mut().chain(&mut problem.field));
        }
        match &mut page.progress {
            Progress::More(cursor) => self.clean(cursor),
            Progress::Done(bookmark) => self.clean_all(bookmark),
        }
    }

    fn reference(&self, reference: &mut EntityRef) {
        self.clean_all([&mut reference.source_type, &mut reference.source_id]);
    }

    fn value(&self, value: &mut AttributeValue) {
        match value {
            AttributeValue::Text(text) => self.clean(text),
            AttributeValue::Texts(texts) => self.clean_all(texts),
            AttributeValue::Boolean(_)
            | AttributeValue::Integer(_)
            | AttributeValue::Number(_)
            | AttributeValue::Timestamp(_) => {}
        }
    }

    /// Names all fields of each case, so that a new field of the contract does not compile until it is handled here.
    fn normal(&self, normal: &mut NormalForm) {
        use crate::contract::types::{
            Account, Application, Authenticator, BypassCode, Connection, Identity, Policy,
        };
        match normal {
            NormalForm::Identity(Identity {
                kind: _,
                username,
                display_name,
                given_name,
                family_name,
                emails,
                aliases,
                external_id,
                directory_key,
                status: _,
                vendor_status,
                status_reason,
                mfa_state: _,
                is_privileged: _,
                created: _,
                last_login: _,
            }) => {
                let names = [username, display_name, given_name, family_name, external_id, directory_key];
                self.clean_all(names.into_iter().flatten());
                self.clean_all([vendor_status, status_reason].into_iter().flatten());
                self.clean_all(emails.iter_mut().chain(aliases));
            }
            NormalForm::Connection(Connection {
                kind: _,
                description,
                status: _,
                vendor_status,
                mfa_state: _,
                is_privileged: _,
                created: _,
            }) => self.clean_all([description, vendor_status].into_iter().flatten()),
            NormalForm::Resource(resource) => match resource {
                Resource::Application(Application {
                    application_type,
                    user_access: _,
                    self_service: _,
                    policy_key,
                }) => self.clean_all([application_type, policy_key].into_iter().flatten()),
                Resource::Authenticator(Authenticator {
                    factor: _,
                    phishing_resistant: _,
                    platform,
                    model,
                    activated: _,
                    added: _,
                    last_seen: _,
                }) => self.clean_all([platform, model].into_iter().flatten()),
                Resource::BypassCode(BypassCode { created: _, expires: _, uses_left: _, issued_by }) => {
                    self.clean_all(issued_by);
                }
                Resource::Policy(Policy { is_global: _ }) => {}
                Resource::Account(Account { edition }) => self.clean_all(edition),
                Resource::Other => {}
            },
        }
    }
}

/// The places of secrets in `text`, found without its white space, control characters and invisible characters.
fn across_white_space(patterns: &AhoCorasick, text: &str) -> Vec<Range<usize>> {
    let is_gap = |char: char| {
        let invisible =
            matches!(char, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
        char.is_whitespace() || char.is_control() || invisible
    };
    if text.len() < SHORTEST || !text.contains(is_gap) {
        return Vec::new();
    }
    // For each gap: the length of the squeezed text before it, and how many bytes were left out up to its end.
    let (mut squeezed, mut gaps) = (Vec::new(), vec![(0_u32, 0_u32)]);
    let mut left_out = 0_u32;
    let length = |bytes: &Vec<u8>| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    for char in text.chars() {
        if is_gap(char) {
            left_out = left_out.saturating_add(char.len_utf8() as u32);
            match gaps.last_mut() {
                Some(last) if last.0 == length(&squeezed) => last.1 = left_out,
                _ => gaps.push((length(&squeezed), left_out)),
            }
            continue;
        }
        squeezed.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    }
    let place = |squeezed: usize| {
        let before = gaps.partition_point(|(length, _)| *length as usize <= squeezed);
        squeezed
            + before
                .checked_sub(1)
                .and_then(|index| gaps.get(index))
                .map_or(0, |(_, left_out)| *left_out as usize)
    };
    let range = |found: aho_corasick::Match| place(found.start())..place(found.end().saturating_sub(1)) + 1;
    patterns.find_iter(&squeezed).map(range).collect()
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
    fn a_secret_in_any_part_of_a_page_is_blanked_out() {
        use crate::contract::types::{Attribute, Entity, EntityType, Problem, Relation};
        let reference = || EntityRef {
            entity_type: EntityType::Resource,
            source_type: "application".to_owned(),
            source_id: SECRET.to_owned(),
        };
        let attributes = || {
            vec![
                Attribute { name: "key".to_owned(), value: AttributeValue::Text(SECRET.to_owned()) },
                Attribute { name: "keys".to_owned(), value: AttributeValue::Texts(vec![SECRET.to_owned()]) },
            ]
        };
        let mut page = Page {
            entities: vec![Entity {
                source_type: "application".to_owned(),
                source_id: SECRET.to_owned(),
                name: format!("VPN {SECRET}"),
                normal: NormalForm::Resource(Resource::Account(crate::contract::types::Account {
                    edition: Some(SECRET.to_owned()),
                })),
                attributes: attributes(),
            }],
            relations: vec![Relation {
                parent: reference(),
                privilege: SECRET.to_owned(),
                privilege_value: true,
                child: reference(),
                attributes: attributes(),
            }],
            usages: vec![],
            problems: vec![Problem {
                source_id: Some(SECRET.to_owned()),
                field: Some(SECRET.to_owned()),
                message: SECRET.to_owned(),
            }],
            progress: Progress::More(SECRET.to_owned()),
            total: None,
            window: None,
        };
        redactor().page(&mut page);
        assert!(!format!("{page:?}").contains("UIu5OL9i"), "{page:?}");
    }
}
