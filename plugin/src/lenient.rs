//! Values as Duo serves them: absent, null, blank, or of a type that has changed or is unknown.
//!
//! A value of an unexpected type does not make deserialization fail. It becomes [`Field::Malformed`], so that the
//! mapping reports it as a problem and keeps the other fields.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A field that may hold any JSON value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Field<T> {
    /// Absent, null or blank: the vendor gives no value.
    #[default]
    Missing,
    /// A value that could be converted.
    Value(T),
    /// Any other value; the text says what it is.
    Malformed(&'static str),
}

impl<T> Field<T> {
    /// The value, if it could be converted.
    pub(crate) fn ok(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Missing | Self::Malformed(_) => None,
        }
    }
}

/// A list of objects.
pub(crate) type List<T> = Field<Vec<Field<Record<T>>>>;

/// A type that converts each kind of JSON value that it understands. By default, a value is malformed, and a blank
/// text is missing.
pub(crate) trait Shape<'de>: Sized {
    /// What the field should hold, for messages.
    const EXPECTED: &'static str;

    fn text(text: &str) -> Field<Self> {
        if text.trim().is_empty() { Field::Missing } else { Field::Malformed("a text") }
    }

    fn boolean(_: bool) -> Field<Self> {
        Field::Malformed("true or false")
    }

    fn integer(_: i64) -> Field<Self> {
        Field::Malformed("a number")
    }

    fn number(_: f64) -> Field<Self> {
        Field::Malformed("a number")
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Field<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Malformed("a list"))
    }

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Field<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Malformed("an object"))
    }
}

impl<'de, T: Shape<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything(PhantomData))
    }
}

struct Anything<T>(PhantomData<T>);

impl<'de, T: Shape<'de>> Visitor<'de> for Anything<T> {
    type Value = Field<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::EXPECTED)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Missing)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::text(text))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(T::boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(T::integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Field::Malformed("a huge number"), T::integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(T::number(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        T::list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        T::object(object)
    }
}

impl Shape<'_> for String {
    const EXPECTED: &'static str = "a text";

    fn text(text: &str) -> Field<Self> {
        if text.trim().is_empty() { Field::Missing } else { Field::Value(text.to_owned()) }
    }

    fn boolean(value: bool) -> Field<Self> {
        Field::Value(value.to_string())
    }

    fn integer(value: i64) -> Field<Self> {
        Field::Value(value.to_string())
    }

    fn number(value: f64) -> Field<Self> {
        Field::Value(value.to_string())
    }
}

/// A key of an object, without white space around it. A key with control characters is malformed: the host refuses it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key(pub(crate) String);

impl From<Key> for String {
    fn from(Key(key): Key) -> Self {
        key
    }
}

impl Shape<'_> for Key {
    const EXPECTED: &'static str = "a key";

    fn text(text: &str) -> Field<Self> {
        match text.trim() {
            "" => Field::Missing,
            key if key.contains(char::is_control) => Field::Malformed("a text with control characters"),
            key => Field::Value(Self(key.to_owned())),
        }
    }

    fn boolean(value: bool) -> Field<Self> {
        Field::Value(Self(value.to_string()))
    }

    fn integer(value: i64) -> Field<Self> {
        Field::Value(Self(value.to_string()))
    }

    fn number(value: f64) -> Field<Self> {
        Field::Value(Self(value.to_string()))
    }
}

impl Shape<'_> for bool {
    const EXPECTED: &'static str = "true or false";

    fn text(text: &str) -> Field<Self> {
        match text.trim() {
            "" => Field::Missing,
            "1" => Field::Value(true),
            "0" => Field::Value(false),
            word if word.eq_ignore_ascii_case("true") => Field::Value(true),
            word if word.eq_ignore_ascii_case("false") => Field::Value(false),
            _ => Field::Malformed("a text"),
        }
    }

    fn boolean(value: bool) -> Field<Self> {
        Field::Value(value)
    }

    fn integer(value: i64) -> Field<Self> {
        match value {
            0 => Field::Value(false),
            1 => Field::Value(true),
            _ => Field::Malformed("a number"),
        }
    }

    fn number(value: f64) -> Field<Self> {
        whole(value).map_or(Field::Malformed("a number"), Self::integer)
    }
}

impl Shape<'_> for i64 {
    const EXPECTED: &'static str = "a whole number";

    fn text(text: &str) -> Field<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Field::Missing;
        }
        let value = text.parse().ok().or_else(|| text.parse().ok().and_then(whole));
        value.map_or(Field::Malformed("a text"), Field::Value)
    }

    fn integer(value: i64) -> Field<Self> {
        Field::Value(value)
    }

    fn number(value: f64) -> Field<Self> {
        whole(value).map_or(Field::Malformed("a huge number"), Field::Value)
    }
}

/// Words: a list, or a text that separates them by commas.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Words(pub(crate) Vec<Field<String>>);

impl<'de> Shape<'de> for Words {
    const EXPECTED: &'static str = "a list";

    fn text(text: &str) -> Field<Self> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let words: Vec<_> = words.map(|word| Field::Value(word.to_owned())).collect();
        if words.is_empty() { Field::Missing } else { Field::Value(Self(words)) }
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Field<Self>, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = list.next_element()? {
            words.push(word);
        }
        Ok(Field::Value(Self(words)))
    }
}

/// A number without its fraction; `None` outside the range in which `f64` represents every whole number.
pub(crate) fn whole(value: f64) -> Option<i64> {
    const LARGEST: f64 = 9_007_199_254_740_992.0; // 2^53
    #[expect(clippy::cast_possible_truncation, reason = "the fraction is cut, and the range is checked")]
    (value.abs() <= LARGEST).then(|| value.trunc() as i64)
}

/// An object, deserialized as `T`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Record<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Shape<'de> for Record<T> {
    const EXPECTED: &'static str = "an object";

    fn object<A: MapAccess<'de>>(object: A) -> Result<Field<Self>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(object)).map(|value| Field::Value(Self(value)))
    }
}

impl<'de, T: Deserialize<'de>> Shape<'de> for Vec<T> {
    const EXPECTED: &'static str = "a list";

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Field<Self>, A::Error> {
        let mut elements = Self::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Field::Value(elements))
    }
}

/// The members of an object, if their names are not known beforehand, in the order received.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Members(pub(crate) Vec<(String, Field<String>)>);

impl<'de> Shape<'de> for Members {
    const EXPECTED: &'static str = "an object";

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Field<Self>, A::Error> {
        // Some languages write an empty map as an empty list.
        let mut empty = true;
        while list.next_element::<IgnoredAny>()?.is_some() {
            empty = false;
        }
        Ok(if empty { Field::Missing } else { Field::Malformed("a list") })
    }

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Field<Self>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Field::Value(Self(members)))
    }
}

/// All scalars in a value of any shape, each with its path: the names of the members that contain it, joined by dots.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Leaves(pub(crate) Vec<(String, String)>);

impl Leaves {
    fn one(text: String) -> Field<Self> {
        Field::Value(Self(vec![(String::new(), text)]))
    }
}

impl<'de> Shape<'de> for Leaves {
    const EXPECTED: &'static str = "an object";

    fn text(text: &str) -> Field<Self> {
        if text.trim().is_empty() { Field::Missing } else { Self::one(text.to_owned()) }
    }

    fn boolean(value: bool) -> Field<Self> {
        Self::one(value.to_string())
    }

    fn integer(value: i64) -> Field<Self> {
        Self::one(value.to_string())
    }

    fn number(value: f64) -> Field<Self> {
        Self::one(value.to_string())
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Field<Self>, A::Error> {
        let mut leaves = Vec::new();
        while let Some(element) = list.next_element::<Field<Self>>()? {
            leaves.extend(element.ok().unwrap_or_default().0);
        }
        Ok(Field::Value(Self(leaves)))
    }

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Field<Self>, A::Error> {
        let mut leaves = Vec::new();
        while let Some((name, value)) = object.next_entry::<String, Field<Self>>()? {
            for (path, text) in value.ok().unwrap_or_default().0 {
                let path = if path.is_empty() { name.clone() } else { format!("{name}.{path}") };
                leaves.push((path, text));
            }
        }
        Ok(Field::Value(Self(leaves)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: for<'de> Shape<'de>>(json: &str) -> Field<T> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_text_takes_every_scalar_and_keeps_it_as_it_is() {
        for (json, expected) in [
            (r#""a b ""#, Field::Value("a b ".to_owned())),
            ("7", Field::Value("7".to_owned())),
            ("1.5", Field::Value("1.5".to_owned())),
            ("true", Field::Value("true".to_owned())),
            (r#""""#, Field::Missing),
            (r#"" \t""#, Field::Missing),
            ("null", Field::Missing),
            ("[1]", Field::Malformed("a list")),
            (r#"{"a":{}}"#, Field::Malformed("an object")),
        ] {
            assert_eq!(read::<String>(json), expected, "{json}");
        }
    }

    #[test]
    fn a_flag_takes_booleans_digits_and_words() {
        for (json, expected) in [
            ("true", Field::Value(true)),
            ("0", Field::Value(false)),
            ("1.0", Field::Value(true)),
            (r#""True""#, Field::Value(true)),
            (r#""0""#, Field::Value(false)),
            ("null", Field::Missing),
            (r#""""#, Field::Missing),
            ("2", Field::Malformed("a number")),
            (r#""unknown""#, Field::Malformed("a text")),
            ("[]", Field::Malformed("a list")),
        ] {
            assert_eq!(read::<bool>(json), expected, "{json}");
        }
    }

    #[test]
    fn a_whole_number_takes_digits_and_floats_but_nothing_out_of_range() {
        for (json, expected) in [
            ("-3", Field::Value(-3)),
            (r#"" 42 ""#, Field::Value(42)),
            (r#""42.9""#, Field::Value(42)),
            ("20.0", Field::Value(20)),
            ("1.6e9", Field::Value(1_600_000_000)),
            ("null", Field::Missing),
            (r#""""#, Field::Missing),
            ("true", Field::Malformed("true or false")),
            (r#""soon""#, Field::Malformed("a text")),
            (r#""NaN""#, Field::Malformed("a text")),
            ("18446744073709551615", Field::Malformed("a huge number")),
            ("1e300", Field::Malformed("a huge number")),
            ("{}", Field::Malformed("an object")),
        ] {
            assert_eq!(read::<i64>(json), expected, "{json}");
        }
    }

    #[test]
    fn a_list_keeps_what_is_wrong_in_it_in_its_place() {
        #[derive(Debug, Default, PartialEq, Deserialize)]
        #[serde(default)]
        struct Thing {
            name: Field<String>,
        }
        let list: List<Thing> = serde_json::from_str(r#"[{"name":1,"x":[]}, 5, null, [], {}]"#).unwrap();
        assert_eq!(
            list,
            Field::Value(vec![
                Field::Value(Record(Thing { name: Field::Value("1".into()) })),
                Field::Malformed("a number"),
                Field::Missing,
                Field::Malformed("a list"),
                Field::Value(Record(Thing::default())),
            ])
        );
        assert_eq!(serde_json::from_str::<List<Thing>>(r#""""#).unwrap(), Field::Missing);
        assert_eq!(serde_json::from_str::<List<Thing>>("{}").unwrap(), Field::Malformed("an object"));
    }

    #[test]
    fn leaves_carry_the_path_that_leads_to_them() {
        let Field::Value(Leaves(leaves)) =
            read::<Leaves>(r#"{"a":1,"b":{"c":[true,"x",null],"d":""},"e":[]}"#)
        else {
            panic!("an object has leaves");
        };
        let expected = [("a", "1"), ("b.c", "true"), ("b.c", "x")];
        assert_eq!(leaves, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
    }

    #[test]
    fn members_take_an_empty_list_for_an_empty_object() {
        assert_eq!(read::<Members>("[]"), Field::Missing);
        assert_eq!(read::<Members>("[1]"), Field::Malformed("a list"));
        let expected = vec![("b".to_owned(), Field::Missing), ("a".to_owned(), Field::Value("1".to_owned()))];
        assert_eq!(read::<Members>(r#"{"b":null,"a":1}"#), Field::Value(Members(expected)));
    }
}
