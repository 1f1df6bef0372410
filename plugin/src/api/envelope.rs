//! The envelope of every answer: `{"stat": "OK", "response": ..., "metadata": {...}}`, or
//! `{"stat": "FAIL", "code": ..., "message": ..., "message_detail": ...}`.
//!
//! The whole answer is parsed in one pass, directly into the types of the stream. Only if that fails, the elements of
//! `response` are parsed one by one, so that a single bad object does not cost the whole page.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::lenient::{Field, Record, Shape};

/// The member `metadata` of a list.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Metadata {
    /// Where the next page begins; absent or null on the last page.
    pub(crate) next_offset: Field<NextOffset>,
    /// How many objects the list has.
    pub(crate) total_objects: Field<Total>,
}

/// Where the next page begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NextOffset {
    /// A number, or a text of digits: how many objects come before the page.
    Number(i64),
    /// The opaque cursor of a log: a text, or a list of texts, joined by commas.
    Opaque(String),
}

impl<'de> Shape<'de> for NextOffset {
    const EXPECTED: &'static str = "a whole number";

    fn text(text: &str) -> Field<Self> {
        // Unlike in other fields, blank does not mean absent: if the walk ended by mistake, the unread objects would
        // seem deleted.
        if text.trim().is_empty() {
            return Field::Malformed("a blank text");
        }
        Field::Value(text.parse().map_or_else(|_| Self::Opaque(text.to_owned()), Self::Number))
    }

    fn integer(value: i64) -> Field<Self> {
        Field::Value(Self::Number(value))
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Field<Self>, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = list.next_element::<Field<String>>()? {
            parts.push(part.ok());
        }
        let parts: Option<Vec<String>> = parts.into_iter().collect();
        Ok(match parts {
            Some(parts) if !parts.is_empty() => Field::Value(Self::Opaque(parts.join(","))),
            _ => Field::Malformed("a list that does not consist of texts"),
        })
    }
}

/// A number, or `{"relation": "eq", "value": n}` as in newer endpoints.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Total(pub(crate) i64);

impl<'de> Shape<'de> for Total {
    const EXPECTED: &'static str = "a whole number";

    fn text(text: &str) -> Field<Self> {
        i64::text(text).ok().map_or(Field::Missing, |total| Field::Value(Self(total)))
    }

    fn integer(value: i64) -> Field<Self> {
        Field::Value(Self(value))
    }

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Field<Self>, A::Error> {
        let mut total = Field::Missing;
        while let Some(name) = object.next_key::<String>()? {
            if name == "value" {
                total = object
                    .next_value::<Field<i64>>()?
                    .ok()
                    .map_or(Field::Missing, |value| Field::Value(Self(value)));
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(total)
    }
}

/// The member `response` of a list: its elements. In newer endpoints, an object that has the elements in its only list,
/// and its own `metadata` beside them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Listing<T> {
    pub(crate) elements: Vec<Field<Record<T>>>,
    metadata: Field<Record<Metadata>>,
}

impl<'de, T: Deserialize<'de>> Shape<'de> for Listing<T> {
    const EXPECTED: &'static str = "a list";

    fn list<A: SeqAccess<'de>>(list: A) -> Result<Field<Self>, A::Error> {
        let elements = Vec::list(list)?;
        Ok(match elements {
            Field::Value(elements) => Field::Value(Self { elements, metadata: Field::Missing }),
            Field::Missing => Field::Missing,
            Field::Malformed(what) => Field::Malformed(what),
        })
    }

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Field<Self>, A::Error> {
        let mut metadata = Field::Missing;
        let mut found = None;
        while let Some(name) = object.next_key::<String>()? {
            if name == "metadata" {
                metadata = object.next_value()?;
            } else if let Field::Value(elements) = object.next_value()?
                && found.replace(elements).is_some()
            {
                while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(Field::Malformed("an object with several lists"));
            }
        }
        Ok(found.map_or(Field::Malformed("an object"), |elements| Field::Value(Self { elements, metadata })))
    }
}

/// A type that `response` is parsed into.
pub(crate) trait Payload: for<'de> Deserialize<'de> + Default {
    /// The `metadata` inside it.
    fn metadata(&mut self) -> Option<Metadata> {
        None
    }

    /// Parses it element by element, after it could not be parsed as a whole.
    fn salvage(_: &RawValue) -> Option<Self> {
        None
    }
}

/// For calls that need a successful answer, but not its content.
impl Payload for IgnoredAny {}

impl<T: for<'de> Deserialize<'de> + Default> Payload for Field<Record<T>> {}

impl<T: for<'de> Deserialize<'de> + Default> Payload for Field<Listing<T>> {
    fn metadata(&mut self) -> Option<Metadata> {
        match self {
            Self::Value(listing) => {
                std::mem::take(&mut listing.metadata).ok().map(|Record(metadata)| metadata)
            }
            Self::Missing | Self::Malformed(_) => None,
        }
    }

    fn salvage(response: &RawValue) -> Option<Self> {
        let elements: Vec<&RawValue> = serde_json::from_str(response.get()).ok()?;
        let elements = elements
            .into_iter()
            .map(|element| {
                serde_json::from_str(element.get())
                    .unwrap_or(Field::Malformed("JSON with a broken text or a duplicate field"))
            })
            .collect();
        Some(Self::Value(Listing { elements, metadata: Field::Missing }))
    }
}

/// What the vendor says about the success of the call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) stat: Option<String>,
    /// Five digits: HTTP status times 100 plus a number. A text, because it may be blank or have another form.
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) message_detail: Option<String>,
}

impl Verdict {
    pub(crate) fn is_ok(&self) -> bool {
        self.stat.as_deref() == Some("OK")
    }
}

/// The parts of an answer.
#[derive(Debug)]
pub(crate) struct Envelope<R> {
    pub(crate) verdict: Verdict,
    pub(crate) response: R,
    /// The `metadata` beside `response`, otherwise the one inside it.
    pub(crate) metadata: Metadata,
    /// Why `response` was parsed element by element; `None` if it was parsed as a whole.
    pub(crate) salvaged: Option<String>,
}

/// Why an answer is not an envelope.
#[derive(Debug, PartialEq)]
pub(crate) enum Unreadable {
    /// There is no body.
    Empty,
    /// The JSON ends too early.
    Truncated,
    /// An HTML page, with its title.
    Html(Option<String>),
    /// JSON, but not an object; the text says what it is.
    NoObject(&'static str),
    /// Anything else, with the message of the parser.
    NoJson(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "R: Deserialize<'de> + Default"))]
struct Wire<R> {
    stat: Field<String>,
    code: Field<String>,
    message: Field<String>,
    message_detail: Field<String>,
    response: R,
    metadata: Field<Record<Metadata>>,
}

/// Parses the body of an answer.
///
/// # Errors
///
/// When the body is not a JSON object.
pub(crate) fn parse<R: Payload>(body: &[u8]) -> Result<Envelope<R>, Unreadable> {
    // RFC 8259 allows a parser to ignore a byte order mark.
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let start = body.trim_ascii_start();
    match start.first() {
        None => return Err(Unreadable::Empty),
        Some(b'<') => return Err(Unreadable::Html(title(&String::from_utf8_lossy(start)))),
        Some(_) => {}
    }
    // Whole and salvaged answers use one kind of reader: each further kind is compiled for every type of every stream.
    let text = String::from_utf8_lossy(body);
    match serde_json::from_str::<Field<Record<Wire<R>>>>(&text) {
        Ok(Field::Value(Record(wire))) => Ok(Envelope::new(wire, None)),
        Ok(Field::Missing) => Err(Unreadable::NoObject("null")),
        Ok(Field::Malformed(what)) => Err(Unreadable::NoObject(what)),
        Err(error) if error.is_eof() => Err(Unreadable::Truncated),
        Err(error) => salvage(&text, &error).ok_or_else(|| Unreadable::NoJson(error.to_string())),
    }
}

fn salvage<R: Payload>(text: &str, error: &serde_json::Error) -> Option<Envelope<R>> {
    let wire: Field<Record<Wire<Option<Box<RawValue>>>>> = serde_json::from_str(text).ok()?;
    let Record(Wire { stat, code, message, message_detail, response, metadata }) = wire.ok()?;
    let response = R::salvage(&response?)?;
    let wire = Wire { stat, code, message, message_detail, response, metadata };
    Some(Envelope::new(wire, Some(error.to_string())))
}

impl<R: Payload> Envelope<R> {
    fn new(wire: Wire<R>, salvaged: Option<String>) -> Self {
        let Wire { stat, code, message, message_detail, mut response, metadata } = wire;
        let metadata = match metadata {
            Field::Value(Record(metadata)) => metadata,
            Field::Missing => response.metadata().unwrap_or_default(),
            Field::Malformed(what) => {
                Metadata { next_offset: Field::Malformed(what), total_objects: Field::Missing }
            }
        };
        let verdict = Verdict {
            stat: stat.ok(),
            code: code.ok(),
            message: message.ok(),
            message_detail: message_detail.ok(),
        };
        Self { verdict, response, metadata, salvaged }
    }
}

/// The title of an HTML page.
fn title(html: &str) -> Option<String> {
    // ASCII lower case keeps the positions.
    let lower = html.to_ascii_lowercase();
    let open = lower.find("<title")?;
    let start = open + lower.get(open..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find('<')?;
    let title = html.get(start..end)?.trim();
    (!title.is_empty()).then(|| title.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Thing {
        id: Field<String>,
    }

    type Things = Field<Listing<Thing>>;

    fn thing(id: &str) -> Field<Record<Thing>> {
        Field::Value(Record(Thing { id: Field::Value(id.into()) }))
    }

    fn metadata(next_offset: Field<NextOffset>, total_objects: Field<Total>) -> Metadata {
        Metadata { next_offset, total_objects }
    }

    #[test]
    fn metadata_is_read_in_all_its_forms_and_places() {
        let offset = |offset| metadata(Field::Value(NextOffset::Number(offset)), Field::Missing);
        let total = |total| metadata(Field::Missing, Field::Value(Total(total)));
        let opaque = |text: &str| metadata(Field::Value(NextOffset::Opaque(text.to_owned())), Field::Missing);
        let wrong = |what| metadata(Field::Malformed(what), Field::Missing);
        for (json, expected) in [
            ("", Metadata::default()),
            (r#","metadata":null"#, Metadata::default()),
            (r#","metadata":{}"#, Metadata::default()),
            (r#","metadata":{"next_offset":null}"#, Metadata::default()),
            (r#","metadata":{"total_objects":7}"#, total(7)),
            (r#","metadata":{"total_objects":"7"}"#, total(7)),
            (r#","metadata":{"total_objects":{"relation":"eq","value":9}}"#, total(9)),
            (r#","metadata":{"next_offset":300,"prev_offset":0}"#, offset(300)),
            (r#","metadata":{"next_offset":"300"}"#, offset(300)),
            (r#","metadata":{"next_offset":""}"#, wrong("a blank text")),
            (r#","metadata":{"next_offset":"1,b"}"#, opaque("1,b")),
            (r#","metadata":{"next_offset":["1","b"]}"#, opaque("1,b")),
            (r#","metadata":{"next_offset":[]}"#, wrong("a list that does not consist of texts")),
            (r#","metadata":{"next_offset":["1",{}]}"#, wrong("a list that does not consist of texts")),
            (r#","metadata":{"next_offset":1.5}"#, wrong("a number")),
            (r#","metadata":"odd""#, wrong("a text")),
        ] {
            let body = format!(r#"{{"stat":"OK","response":[]{json}}}"#);
            assert_eq!(parse::<Things>(body.as_bytes()).unwrap().metadata, expected, "{json}");
        }
        let within = r#"{"response":{"items":[{"id":"a"}],"metadata":{"next_offset":5}},"stat":"OK"}"#;
        let envelope = parse::<Things>(within.as_bytes()).unwrap();
        assert_eq!(envelope.metadata, offset(5));
        assert_eq!(envelope.response.ok().unwrap().elements, [thing("a")]);
    }

    #[test]
    fn what_is_no_envelope_is_told_apart() {
        for (body, expected) in [
            ("", Unreadable::Empty),
            (" \n", Unreadable::Empty),
            (r#"{"stat":"OK","response":[{"id":"#, Unreadable::Truncated),
            ("<!doctype html><TITLE lang=en> Sign in </TITLE>", Unreadable::Html(Some("Sign in".into()))),
            ("\n<html><body>x", Unreadable::Html(None)),
            ("<title", Unreadable::Html(None)),
            ("<title></title>", Unreadable::Html(None)),
            ("[]", Unreadable::NoObject("a list")),
            ("null", Unreadable::NoObject("null")),
            ("5", Unreadable::NoObject("a number")),
        ] {
            assert_eq!(parse::<Things>(body.as_bytes()).unwrap_err(), expected, "{body}");
        }
        for body in ["Service Unavailable", "{\"stat\":\"OK\"} x", "{'stat':1}"] {
            assert!(matches!(parse::<Things>(body.as_bytes()), Err(Unreadable::NoJson(_))), "{body}");
        }
    }

    #[test]
    fn one_broken_object_does_not_take_the_page_with_it() {
        for broken in [r#"{"id":"x","id":"y"}"#, r#"{"id":"\ud83d"}"#, r#"{"id":1e999}"#] {
            let body = format!(
                r#"{{"stat":"OK","response":[{{"id":"a"}},{broken},{{"id":"b"}}],"metadata":{{"next_offset":3}}}}"#
            );
            let envelope = parse::<Things>(body.as_bytes()).unwrap();
            let elements = envelope.response.ok().unwrap().elements;
            assert_eq!(elements.len(), 3, "{broken}");
            assert_eq!((&elements[0], &elements[2]), (&thing("a"), &thing("b")), "{broken}");
            assert!(matches!(elements[1], Field::Malformed(_)), "{broken}: {:?}", elements[1]);
            assert!(envelope.salvaged.is_some());
            assert_eq!(envelope.metadata.next_offset, Field::Value(NextOffset::Number(3)));
        }
    }

    #[test]
    fn a_byte_that_is_no_utf_8_is_replaced() {
        let body = [br#"{"stat":"OK","response":[{"id":"a"#.as_slice(), b"\xff", br#""}]}"#].concat();
        assert_eq!(parse::<Things>(&body).unwrap().response.ok().unwrap().elements, [thing("a\u{fffd}")]);
    }

    #[test]
    fn a_byte_order_mark_before_the_json_is_ignored() {
        let body = [b"\xEF\xBB\xBF".as_slice(), br#"{"stat":"OK","response":[{"id":"a"}]}"#].concat();
        assert_eq!(parse::<Things>(&body).unwrap().response.ok().unwrap().elements, [thing("a")]);
    }

    #[test]
    fn an_object_without_its_only_list_is_no_listing() {
        let body = br#"{"stat":"OK","response":{"a":[],"b":[],"c":1}}"#;
        assert_eq!(parse::<Things>(body).unwrap().response, Field::Malformed("an object with several lists"));
        let body = br#"{"stat":"OK","response":{"user_id":"x"}}"#;
        assert_eq!(parse::<Things>(body).unwrap().response, Field::Malformed("an object"));
    }
}
