//! The streams: one file each, with its endpoint, Duo's types and their mapping, and one row in [`STREAMS`].
//!
//! A mapping loses nothing in silence: each element of `response` becomes an entity, or a problem that names its
//! place; each field that can't be understood becomes a problem that names the field.

mod groups;
mod users;

use serde::Deserialize;

use crate::api::{Client, Endpoint, Listing};
use crate::contract::{
    Attribute, AttributeValue, EntityRef, EntityType, Error, ErrorKind, Page, Position, Problem, Relation,
};
use crate::lenient::{Field, Record, Shape};
use crate::paging::{self, Cursor};

/// All streams, in the order a run should read them.
pub(crate) static STREAMS: &[&Stream] = &[&users::STREAM, &groups::STREAM];

/// A stream: how to read it, and what the manifest says of it.
pub(crate) struct Stream {
    /// Kebab case.
    pub(crate) name: &'static str,
    /// Plural, for a heading.
    pub(crate) title: &'static str,
    pub(crate) entities: &'static [EntityRow],
    pub(crate) relations: &'static [RelationRow],
    /// A run is complete without it.
    pub(crate) optional: bool,
    /// What opens it.
    pub(crate) family: &'static Family,
    /// Reads one page.
    pub(crate) read: fn(&Client<'_>, &Position) -> Result<Page, Error>,
}

/// A kind of entity that a stream yields. Fields and attributes are pairs of name and description.
pub(crate) struct EntityRow {
    pub(crate) entity_type: EntityType,
    pub(crate) source_type: &'static str,
    pub(crate) title: &'static str,
    pub(crate) fields: &'static [(&'static str, &'static str)],
    pub(crate) attributes: &'static [(&'static str, &'static str)],
}

/// A kind of relation that a stream yields, by source types.
pub(crate) struct RelationRow {
    pub(crate) parent: &'static str,
    pub(crate) privilege: &'static str,
    pub(crate) child: &'static str,
    pub(crate) description: &'static str,
}

/// Endpoints that open with the same permission, so that one request answers for all of them.
pub(crate) struct Family {
    /// Its cheapest endpoint.
    pub(crate) probe: Endpoint,
    /// The parameters that make it cheap.
    pub(crate) probe_params: &'static [(&'static str, &'static str)],
}

/// Users, groups, and what users hold.
pub(crate) static RESOURCE: Family =
    Family { probe: groups::ENDPOINT, probe_params: &[("limit", "1"), ("offset", "0")] };

/// The permission of [`RESOURCE`], in the words of the Duo Admin Panel.
const GRANT_RESOURCE_READ: &[&str] = &["Grant resource - Read"];

/// A kind of object in a list of Duo.
trait Object: for<'de> Deserialize<'de> + Default {
    /// Name of the field that holds its key.
    const KEY: &'static str;

    /// Takes out the key.
    fn key(&mut self) -> Field<String>;

    /// What else tells a person which object it is: a field's name and value.
    fn hint(&self) -> Option<(&'static str, &str)>;

    /// Adds the entity, the relations and the problems to `page`.
    fn map(self, key: String, page: &mut Page);
}

/// Reads and maps one page of the list at `endpoint`.
fn read_list<T: Object>(
    client: &Client<'_>,
    endpoint: &Endpoint,
    limit: u32,
    position: &Position,
) -> Result<Page, Error> {
    let cursor = Cursor::at(position)?;
    let params = cursor.params(limit);
    let params = params.each_ref().map(|(name, value)| (*name, value.as_str()));
    let reply = client.get::<Field<Listing<T>>>(endpoint, &params)?;
    let elements = match reply.response {
        Field::Is(listing) => listing.elements,
        // An absent list is not an empty one: all that is known would seem deleted.
        Field::Absent => return Err(no_list(client, endpoint, "missing")),
        Field::Wrong(what) => return Err(no_list(client, endpoint, &format!("{what} instead of a list"))),
    };
    let mut page = Page {
        entities: Vec::with_capacity(elements.len()),
        relations: Vec::new(),
        usages: Vec::new(),
        problems: Vec::new(),
        progress: cursor.next(endpoint.path, &reply.metadata)?,
        total: paging::total(&reply.metadata),
        window: None,
    };
    for (index, element) in elements.into_iter().enumerate() {
        map_element(element, &format_args!("`response[{index}]` at offset {}", cursor.offset), &mut page);
    }
    Ok(page)
}

fn map_element<T: Object>(element: Field<Record<T>>, place: &dyn std::fmt::Display, page: &mut Page) {
    let fault = match element {
        Field::Is(Record(mut object)) => match object.key() {
            Field::Is(key) => return object.map(key, page),
            Field::Absent => format!("has no `{}`{}", T::KEY, hint(&object)),
            Field::Wrong(what) => format!("has {what} as its `{}`{}", T::KEY, hint(&object)),
        },
        Field::Absent => "is empty".to_owned(),
        Field::Wrong(what) => format!("is {what}"),
    };
    page.problems.push(Problem {
        source_id: None,
        field: Some(T::KEY.to_owned()),
        message: format!("{place} {fault}; it was left out, because nothing could refer to it"),
    });
}

fn hint<T: Object>(object: &T) -> String {
    object.hint().map(|(name, value)| format!(" (its `{name}` is `{value}`)")).unwrap_or_default()
}

fn no_list(client: &Client<'_>, endpoint: &Endpoint, fault: &str) -> Error {
    let message =
        format!("could not read `{}` from `{}`: `response` is {fault}", endpoint.path, client.api_hostname());
    Error::new(ErrorKind::Unexpected, message)
}

/// Takes the fields of one object, and keeps a note of each that can't be understood.
struct Fields<'a> {
    key: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl Fields<'_> {
    /// The value of the field `name`; `None` where the vendor did not say.
    fn take<T: for<'de> Shape<'de>>(&mut self, name: &str, field: Field<T>) -> Option<T> {
        match field {
            Field::Is(value) => Some(value),
            Field::Absent => None,
            Field::Wrong(what) => {
                self.problem(name, format!("`{name}` is {what} instead of {}; it was left out", T::EXPECTED));
                None
            }
        }
    }

    fn problem(&mut self, name: &str, message: String) {
        self.problems.push(Problem {
            source_id: Some(self.key.to_owned()),
            field: Some(name.to_owned()),
            message,
        });
    }
}

/// The attributes of an entity: what the vendor did not say is left out.
#[derive(Default)]
struct Attributes(Vec<Attribute>);

impl Attributes {
    fn add<T>(&mut self, name: &str, value: Option<T>, as_value: fn(T) -> AttributeValue) {
        if let Some(value) = value {
            self.0.push(Attribute { name: name.to_owned(), value: as_value(value) });
        }
    }
}

fn reference(entity_type: EntityType, source_type: &str, source_id: String) -> EntityRef {
    EntityRef { entity_type, source_type: source_type.to_owned(), source_id }
}

fn grant(parent: EntityRef, privilege: &str, child: EntityRef) -> Relation {
    Relation { parent, privilege: privilege.to_owned(), privilege_value: true, child, attributes: Vec::new() }
}

#[cfg(test)]
mod tests;
