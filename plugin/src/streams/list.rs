//! One page of a list, object by object.

use crate::api::{Client, Endpoint, Listing};
use crate::contract::{Error, ErrorKind, Page, Position, Problem, Progress};
use crate::lenient::{Field, Key, Record};
use crate::paging::offset::{self, Cursor};

use super::object::Object;

/// Reads and maps one page of the list at `endpoint`.
pub(super) fn read_list<T: Object>(
    client: &Client<'_>,
    endpoint: &Endpoint<'_>,
    limit: u32,
    position: &Position,
) -> Result<Page, Error> {
    read_from::<T>(client, endpoint, limit, &Cursor::at(position, None)?)
}

/// Reads and maps the page of the list at `endpoint` that begins at `cursor`.
pub(super) fn read_from<T: Object>(
    client: &Client<'_>,
    endpoint: &Endpoint<'_>,
    limit: u32,
    cursor: &Cursor,
) -> Result<Page, Error> {
    let Listed { objects, mut page } = list::<T>(client, endpoint, limit, cursor)?;
    page.entities.reserve(objects.len());
    for (place, object) in objects {
        map_element(client, object, &place, &mut page);
    }
    Ok(page)
}

/// A page of a list before its objects are mapped.
pub(super) struct Listed<T> {
    /// The objects that were not on the previous page, each with its place, for messages.
    pub(super) objects: Vec<(String, Field<Record<T>>)>,
    /// The page to which the objects are added.
    pub(super) page: Page,
}

/// Reads the page of the list at `endpoint` that begins at `cursor`.
pub(super) fn list<T: Object>(
    client: &Client<'_>,
    endpoint: &Endpoint<'_>,
    limit: u32,
    cursor: &Cursor,
) -> Result<Listed<T>, Error> {
    let params = cursor.params(limit);
    let params = params.each_ref().map(|(name, value)| (*name, value.as_str()));
    let reply = client.get::<Field<Listing<T>>>(endpoint, &params)?;
    let elements = elements(client, endpoint, reply.response)?;
    let step = cursor.next(endpoint.path, &reply.metadata, &keys(&elements), limit)?;
    let mut page = empty_page(step.progress);
    page.total = offset::total(&reply.metadata);
    page.problems.extend(step.remark.map(|message| Problem {
        source_id: None,
        field: Some("total_objects".to_owned()),
        message,
    }));
    let place = |index| format!("`response[{index}]` at offset {}", cursor.begins());
    let objects = elements.into_iter().enumerate().skip(step.seen);
    Ok(Listed { objects: objects.map(|(index, object)| (place(index), object)).collect(), page })
}

fn keys<T: Object>(elements: &[Field<Record<T>>]) -> Vec<Option<&str>> {
    let keys = elements.iter().map(|element| match element {
        Field::Value(Record(object)) => match object.key() {
            Field::Value(Key(key)) => Some(key.as_str()),
            Field::Missing | Field::Malformed(_) => None,
        },
        Field::Missing | Field::Malformed(_) => None,
    });
    keys.collect()
}

/// A page with only its progress.
pub(super) fn empty_page(progress: Progress) -> Page {
    Page {
        entities: Vec::new(),
        relations: Vec::new(),
        usages: Vec::new(),
        problems: Vec::new(),
        progress,
        total: None,
        window: None,
    }
}

/// The elements of `response`.
///
/// # Errors
///
/// `unexpected` if there is no list. If an absent list counted as empty, all known objects would seem deleted.
pub(super) fn elements<T>(
    client: &Client<'_>,
    endpoint: &Endpoint<'_>,
    response: Field<Listing<T>>,
) -> Result<Vec<Field<Record<T>>>, Error> {
    match response {
        Field::Value(listing) => Ok(listing.elements),
        Field::Missing => Err(no_answer(client, endpoint, "missing")),
        Field::Malformed(what) => Err(no_answer(client, endpoint, &format!("{what} instead of a list"))),
    }
}

/// The error for a `response` that is missing or malformed.
pub(super) fn no_answer(client: &Client<'_>, endpoint: &Endpoint<'_>, fault: &str) -> Error {
    let message =
        format!("could not read `{}` from `{}`: `response` is {fault}", endpoint.path, client.api_hostname());
    Error::new(ErrorKind::Unexpected, message)
}

/// Maps one object, or adds a problem that says why it can't be mapped.
pub(super) fn map_element<T: Object>(
    client: &Client<'_>,
    element: Field<Record<T>>,
    place: &dyn std::fmt::Display,
    page: &mut Page,
) {
    let fault = match element {
        Field::Value(Record(object)) => match object.key().clone() {
            Field::Value(Key(key)) => return object.map(key, client, page),
            Field::Missing => format!("has no `{}`{}", T::KEY, hint(&object)),
            Field::Malformed(what) => format!("has {what} as its `{}`{}", T::KEY, hint(&object)),
        },
        Field::Missing => "is empty".to_owned(),
        Field::Malformed(what) => format!("is {what}"),
    };
    page.problems.push(Problem {
        source_id: None,
        field: Some(T::KEY.to_owned()),
        message: format!("{place} {fault}; it was left out, because nothing could refer to it"),
    });
}

fn hint<T: Object>(object: &T) -> String {
    match object.hint() {
        Some((name, Field::Value(value))) => format!(" (its `{name}` is `{value}`)"),
        _ => String::new(),
    }
}
