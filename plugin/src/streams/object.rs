//! Converts the fields of a Duo object into the normal form.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

use crate::api::Client;
use crate::contract::{
    Attribute, AttributeValue, Entity, EntityRef, EntityType, NormalForm, Page, Problem, Relation,
};
use crate::lenient::{Field, Key, List, Record, Shape, Words};
use crate::moment::{Moment, NOT_EXPIRY, NOT_PAST};

/// A type of object in one of Duo's lists.
pub(super) trait Object: for<'de> Deserialize<'de> + Default {
    /// Name of the field that holds its key.
    const KEY: &'static str;

    /// The key.
    fn key(&self) -> &Field<Key>;

    /// Another field that shows a person which object it is: the name and value of the field.
    fn hint(&self) -> Option<(&'static str, &Field<String>)> {
        None
    }

    /// Adds the entity, the relations and the problems to `page`.
    fn map(self, key: String, client: &Client<'_>, page: &mut Page);
}

/// An object inside another one. Only its key is used: its other fields are partial, and may be wrong.
pub(super) trait Nested: for<'de> Deserialize<'de> + Default {
    /// Name of the field that holds its key.
    const KEY: &'static str;

    /// The key.
    fn key(self) -> Field<Key>;
}

/// Declares an object inside another one.
macro_rules! nested {
    ($(#[$doc:meta])* $name:ident, $key:ident) => {
        $(#[$doc])*
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(default)]
        pub(super) struct $name {
            $key: crate::lenient::Field<crate::lenient::Key>,
        }

        impl crate::streams::object::Nested for $name {
            const KEY: &'static str = stringify!($key);

            fn key(self) -> crate::lenient::Field<crate::lenient::Key> {
                self.$key
            }
        }
    };
}
pub(super) use nested;

/// A field that has a meaning when it is null.
#[derive(Debug)]
pub(super) enum Nullable<T> {
    /// It is null.
    Null,
    /// It is absent, or has a value.
    Given(Field<T>),
}

impl<T> Default for Nullable<T> {
    fn default() -> Self {
        Self::Given(Field::Missing)
    }
}

impl<'de, T: Shape<'de>> Deserialize<'de> for Nullable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|given| given.map_or(Self::Null, Self::Given))
    }
}

/// Takes the fields of one object, and records a problem for each malformed one.
pub(super) struct Fields<'a> {
    pub(super) key: &'a str,
    pub(super) now: DateTime<Utc>,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Fields<'_> {
    /// The value of the field `name`; `None` if it is missing or malformed.
    pub(super) fn take<T: for<'de> Shape<'de>>(&mut self, name: &str, field: Field<T>) -> Option<T> {
        match field {
            Field::Value(value) => Some(value),
            Field::Missing => None,
            Field::Malformed(what) => {
                self.problem(name, format!("`{name}` is {what} instead of {}; it was left out", T::EXPECTED));
                None
            }
        }
    }

    /// When something happened, in seconds since 1970; `None` if the field is missing or malformed, means "never", or is
    /// not plausible.
    pub(super) fn past(&mut self, name: &str, field: Field<Moment>) -> Option<i64> {
        let moment = self.take(name, field).filter(|moment| !moment.is_never())?;
        let seconds = moment.past(self.now);
        if seconds.is_none() {
            self.problem(name, format!("`{name}` is {moment}, which is {NOT_PAST}; it was left out"));
        }
        seconds
    }

    /// When something ends, in seconds since 1970. The time may be in the future.
    pub(super) fn expiry(&mut self, name: &str, field: Field<Moment>) -> Option<i64> {
        let moment = self.take(name, field)?;
        let seconds = moment.expiry();
        if seconds.is_none() {
            self.problem(name, format!("`{name}` is {moment}, which is {NOT_EXPIRY}; it was left out"));
        }
        seconds
    }

    /// The key of the object in the field `name`; `None` if there is no object or no key.
    pub(super) fn nested<T: Nested>(&mut self, name: &str, field: Field<Record<T>>) -> Option<String> {
        let Record(object) = self.take(name, field)?;
        match object.key() {
            Field::Value(Key(key)) => Some(key),
            Field::Missing => {
                self.problem(name, format!("`{name}` has no `{}`; this relation was left out", T::KEY));
                None
            }
            Field::Malformed(what) => {
                let message = format!("`{name}` has {what} as its `{}`; this relation was left out", T::KEY);
                self.problem(name, message);
                None
            }
        }
    }

    /// The keys of the objects in the list `name`.
    pub(super) fn keys<T: Nested>(&mut self, name: &str, list: List<T>) -> Vec<String> {
        let elements = self.take(name, list).unwrap_or_default();
        let mut keys = Vec::with_capacity(elements.len());
        for (index, element) in elements.into_iter().enumerate() {
            let fault = match element {
                Field::Value(Record(object)) => match object.key() {
                    Field::Value(Key(key)) => {
                        keys.push(key);
                        continue;
                    }
                    Field::Missing => format!("has no `{}`", T::KEY),
                    Field::Malformed(what) => format!("has {what} as its `{}`", T::KEY),
                },
                Field::Missing => "is empty".to_owned(),
                Field::Malformed(what) => format!("is {what}"),
            };
            self.problem(name, format!("`{name}[{index}]` {fault}; this relation was left out"));
        }
        keys
    }

    /// The texts or keys in the list `name`.
    pub(super) fn list<T: for<'de> Shape<'de>>(&mut self, name: &str, list: Field<Vec<Field<T>>>) -> Vec<T> {
        let elements = self.take(name, list).unwrap_or_default();
        let mut values = Vec::with_capacity(elements.len());
        for (index, element) in elements.into_iter().enumerate() {
            let fault = match element {
                Field::Value(value) => {
                    values.push(value);
                    continue;
                }
                Field::Missing => "empty",
                Field::Malformed(what) => what,
            };
            let expected = T::EXPECTED;
            self.problem(
                name,
                format!("`{name}[{index}]` is {fault} instead of {expected}; it was left out"),
            );
        }
        values
    }

    /// The words in the field `name`.
    pub(super) fn words(&mut self, name: &str, words: Field<Words>) -> Vec<String> {
        match self.take(name, words) {
            Some(Words(words)) => self.list(name, Field::Value(words)),
            None => Vec::new(),
        }
    }

    /// Records a problem with the field `name`.
    pub(super) fn problem(&mut self, name: &str, message: String) {
        self.problems.push(Problem {
            source_id: Some(self.key.to_owned()),
            field: Some(name.to_owned()),
            message,
        });
    }
}

/// The attributes of an entity. Missing values are left out.
#[derive(Default)]
pub(super) struct Attributes(pub(super) Vec<Attribute>);

impl Attributes {
    pub(super) fn add<T>(&mut self, name: &str, value: Option<T>, as_value: fn(T) -> AttributeValue) {
        if let Some(value) = value {
            self.0.push(Attribute { name: name.to_owned(), value: as_value(value) });
        }
    }

    pub(super) fn text(&mut self, name: &str, value: Option<String>) {
        self.add(name, value, AttributeValue::Text);
    }

    pub(super) fn boolean(&mut self, name: &str, value: Option<bool>) {
        self.add(name, value, AttributeValue::Boolean);
    }

    pub(super) fn integer(&mut self, name: &str, value: Option<i64>) {
        self.add(name, value, AttributeValue::Integer);
    }

    pub(super) fn timestamp(&mut self, name: &str, value: Option<i64>) {
        self.add(name, value, AttributeValue::Timestamp);
    }

    /// An empty list is left out.
    pub(super) fn texts(&mut self, name: &str, values: Vec<String>) {
        self.add(name, Some(values).filter(|values| !values.is_empty()), AttributeValue::Texts);
    }
}

/// An entity. The key replaces a missing `name`.
pub(super) fn entity(
    source_type: &str,
    source_id: String,
    name: Option<String>,
    normal: NormalForm,
    attributes: Attributes,
) -> Entity {
    Entity {
        source_type: source_type.to_owned(),
        name: name.unwrap_or_else(|| source_id.clone()),
        source_id,
        normal,
        attributes: attributes.0,
    }
}

/// A reference to an identity.
pub(super) fn identity(source_type: &str, source_id: impl Into<String>) -> EntityRef {
    reference(EntityType::Identity, source_type, source_id.into())
}

/// A reference to a connection.
pub(super) fn connection(source_type: &str, source_id: impl Into<String>) -> EntityRef {
    reference(EntityType::Connection, source_type, source_id.into())
}

/// A reference to a resource.
pub(super) fn resource(source_type: &str, source_id: impl Into<String>) -> EntityRef {
    reference(EntityType::Resource, source_type, source_id.into())
}

fn reference(entity_type: EntityType, source_type: &str, source_id: String) -> EntityRef {
    EntityRef { entity_type, source_type: source_type.to_owned(), source_id }
}

/// The relation "`parent` has `privilege` on `child`".
pub(super) fn grant(parent: EntityRef, privilege: &str, child: EntityRef) -> Relation {
    Relation { parent, privilege: privilege.to_owned(), privilege_value: true, child, attributes: Vec::new() }
}

/// A phone number, masked except for its last four digits if the settings say so.
pub(super) fn phone_number(client: &Client<'_>, number: Option<String>) -> Option<String> {
    if client.settings().mask_phone_numbers { number.as_deref().map(masked) } else { number }
}

/// The label of a phone, masked like a number if it may contain one: people write the number into the label.
pub(super) fn phone_label(client: &Client<'_>, label: Option<String>) -> Option<String> {
    /// A label with fewer digits contains a model or a year.
    const SHORTEST_NUMBER: usize = 7;
    let digits = label.iter().flat_map(|label| label.chars()).filter(char::is_ascii_digit).count();
    if digits < SHORTEST_NUMBER { label } else { phone_number(client, label) }
}

/// Replaces all digits except the last four with stars.
fn masked(number: &str) -> String {
    let digits = number.chars().filter(char::is_ascii_digit).count();
    let mut hidden = digits.saturating_sub(4);
    let mask = |digit: char| match digit {
        '0'..='9' if hidden > 0 => {
            hidden -= 1;
            '*'
        }
        other => other,
    };
    number.chars().map(mask).collect()
}
