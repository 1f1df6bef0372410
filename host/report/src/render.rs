//! Formats numbers, times and names for people.

use indicatif::HumanCount;

/// A number with separators: `1,234`.
#[must_use]
pub fn number(number: u64) -> String {
    HumanCount(number).to_string()
}

/// Words with a fixed spelling.
const SPELLED: [(&str, &str); 5] =
    [("mfa", "MFA"), ("webauthn", "WebAuthn"), ("u2f", "U2F"), ("id", "ID"), ("url", "URL")];

/// `first-line-manager` and `first_line_manager` as `First line manager`, `mfa_state` as `MFA state`.
pub fn words(name: &str) -> String {
    let spelled = |word: &str| SPELLED.iter().find(|(known, _)| *known == word).map(|(_, spelled)| *spelled);
    let words = name.split(['-', '_', ' ']).enumerate().map(|(place, word)| match spelled(word) {
        Some(spelled) => spelled.to_owned(),
        None if place > 0 => word.to_owned(),
        None => {
            let mut chars = word.chars();
            chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Text of a connector as HTML: everything is escaped, except `*emphasis*` and `` `code` ``, which become elements.
pub fn rich(text: &str) -> Result<String, askama::Error> {
    let escape =
        |text: &str| askama::filters::escape(text, askama::filters::Html).map(|text| text.to_string());
    let (mut html, mut rest) = (String::new(), text);
    while let Some(start) = rest.find(['*', '`']) {
        let (before, from) = rest.split_at(start);
        let (mark, element) = if from.starts_with('*') { ('*', "em") } else { ('`', "code") };
        let inner = from.get(1..).unwrap_or_default();
        let Some((marked, after)) = inner.split_once(mark) else { break };
        let is_mark = !marked.is_empty() && marked.trim() == marked;
        if is_mark {
            html.push_str(&format!("{}<{element}>{}</{element}>", escape(before)?, escape(marked)?));
            rest = after;
        } else {
            html.push_str(&escape(rest.get(..start + 1).unwrap_or_default())?);
            rest = inner;
        }
    }
    html.push_str(&escape(rest)?);
    Ok(html)
}

/// A time of the store (RFC 3339) in UTC, to the minute; any other text unchanged.
pub fn readable_time(value: &str) -> String {
    match value.parse::<chrono::DateTime<chrono::Utc>>() {
        Ok(time) => time.format("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let texts = [0, 999, 1000, 1_234_567].map(number);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn names_are_read_as_words() {
        let read =
            ["first-line-manager", "mfa_state", "webauthn-credential", "external_id", "", "a"].map(words);
        assert_eq!(read, ["First line manager", "MFA state", "WebAuthn credential", "External ID", "", "A"]);
    }

    #[test]
    fn only_marks_become_elements() {
        let html = |text: &str| rich(text).unwrap();
        assert_eq!(html("From *Details*; as `DI`."), "From <em>Details</em>; as <code>DI</code>.");
        assert_eq!(html("2 * 3 * 4, a * and `"), "2 * 3 * 4, a * and `");
        assert_eq!(html("*<b>* `\"&`"), "<em>&#60;b&#62;</em> <code>&#34;&#38;</code>");
        assert_eq!(html("<script>alert(1)</script>"), "&#60;script&#62;alert(1)&#60;/script&#62;");
        assert_eq!(html("**"), "**");
    }
}
