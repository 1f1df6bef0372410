//! The walk through a list by offset. Knows nothing of objects.
//!
//! The vendor says where the next page begins (`metadata.next_offset`); nothing is computed from the length of
//! a page, because "the service is free to return a different number" than was asked for. No `next_offset` is
//! the end of the list.
//!
//! A cursor is `v1:offset=300`, or `v1:offset=300;list=legacy`: a version, then named values joined by `;`. A name that this version does not
//! know is refused like a version that it does not know, so that a later one may add what must not be
//! overlooked (the key of the last object seen, to notice that the list moved).

use std::fmt;

use super::VERSION;
use crate::api::{Metadata, NextOffset};
use crate::contract::{Error, ErrorKind, Position, Progress};
use crate::lenient::Field;

/// Where a page begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// How many objects come before.
    pub(crate) offset: i64,
    /// Which list, where a stream reads a second one after or instead of its first.
    pub(crate) list: Option<&'static str>,
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{VERSION}:offset={}", self.offset)?;
        match self.list {
            Some(list) => write!(formatter, ";list={list}"),
            None => Ok(()),
        }
    }
}

impl Cursor {
    /// Where `position` is, in a stream whose second list, if any, is called `second`.
    ///
    /// # Errors
    ///
    /// `invalid-position` for a cursor of another version, and for a bookmark: these lists have none.
    pub(crate) fn at(position: &Position, second: Option<&'static str>) -> Result<Self, Error> {
        match position {
            Position::Beginning => Ok(Self::default()),
            Position::At(cursor) => Self::parse(cursor, second)
                .ok_or_else(|| super::refused("the cursor is not one of this version of the connector")),
            Position::After(_) => {
                Err(super::refused("the stream is read whole each time, and has no bookmarks"))
            }
        }
    }

    fn parse(text: &str, second: Option<&'static str>) -> Option<Self> {
        let offset = text.strip_prefix(VERSION)?.strip_prefix(":offset=")?;
        let (offset, list) = match offset.split_once(";list=") {
            None => (offset, None),
            Some((offset, list)) => (offset, Some(second.filter(|second| *second == list)?)),
        };
        let cursor = Self { offset: offset.parse().ok().filter(|&offset| offset >= 0)?, list };
        // Only what `Display` writes: no sign, no leading zero.
        (cursor.to_string() == text).then_some(cursor)
    }

    /// The parameters that ask for at most `limit` objects from here.
    pub(crate) fn params(self, limit: u32) -> [(&'static str, String); 2] {
        [("limit", limit.to_string()), ("offset", self.offset.to_string())]
    }

    /// What follows the page that began here, read from `path`.
    ///
    /// # Errors
    ///
    /// `unexpected` where the vendor would have the walk go in circles, or gives no number.
    pub(crate) fn next(self, path: &str, metadata: &Metadata) -> Result<Progress, Error> {
        let fault = match &metadata.next_offset {
            Field::Absent => return Ok(Progress::Done(None)),
            Field::Is(NextOffset::Number(next)) if *next > self.offset => {
                return Ok(Progress::More(Self { offset: *next, ..self }.to_string()));
            }
            Field::Is(NextOffset::Number(next)) => format!("is {next}, which does not lead on"),
            Field::Is(NextOffset::Opaque(_)) => "is a text instead of a number".to_owned(),
            Field::Wrong(what) => format!("is {what} instead of a number"),
        };
        let offset = self.offset;
        let message =
            format!("could not read `{path}` on from offset {offset}: the answer's `next_offset` {fault}");
        Err(Error::new(ErrorKind::Unexpected, message))
    }
}

/// How many objects the list has, where the vendor says.
pub(crate) fn total(metadata: &Metadata) -> Option<u64> {
    metadata.total_objects.clone().ok().and_then(|total| u64::try_from(total.0).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(next_offset: Field<NextOffset>) -> Metadata {
        Metadata { next_offset, ..Metadata::default() }
    }

    #[test]
    fn a_cursor_reads_what_it_writes() {
        for offset in [0, 1, 300, i64::MAX] {
            let text = Cursor { offset, list: None }.to_string();
            assert_eq!(Cursor::at(&Position::At(text), None).unwrap(), Cursor { offset, list: None });
        }
        assert_eq!(Cursor { offset: 300, list: None }.to_string(), "v1:offset=300");
        let second = Cursor { offset: 0, list: Some("legacy") };
        assert_eq!(second.to_string(), "v1:offset=0;list=legacy");
        assert_eq!(Cursor::at(&Position::At(second.to_string()), Some("legacy")).unwrap(), second);
        assert!(Cursor::at(&Position::At(second.to_string()), None).is_err());
        assert_eq!(Cursor::at(&Position::Beginning, None).unwrap().offset, 0);
    }

    #[test]
    fn a_cursor_of_another_version_is_refused() {
        for text in [
            "",
            "300",
            "v1",
            "v1:",
            "v1:offset=",
            "v1:offset=-1",
            "v1:offset=+1",
            "v1:offset=01",
            "v1:offset=1 ",
            "v1:offset=1;anchor=DU1",
            "v1:offset=1;list=",
            "v1:offset=1;list=other",
            "v1:offset=1;list=legacy;list=legacy",
            "v2:offset=300",
            "v10:offset=3",
            "v1:offset=9223372036854775808",
        ] {
            let error = Cursor::at(&Position::At(text.into()), Some("legacy")).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidPosition, "{text}");
        }
        let error = Cursor::at(&Position::After("v1:offset=300".into()), None).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidPosition);
    }

    #[test]
    fn the_vendor_says_where_the_next_page_begins() {
        let here = Cursor { offset: 300, list: None };
        let next = |next_offset| here.next("/p", &metadata(next_offset));
        assert_eq!(next(Field::Absent).unwrap(), Progress::Done(None));
        assert_eq!(next(Field::Is(NextOffset::Number(301))).unwrap(), Progress::More("v1:offset=301".into()));
        assert_eq!(next(Field::Is(NextOffset::Number(900))).unwrap(), Progress::More("v1:offset=900".into()));
    }

    #[test]
    fn a_walk_in_circles_is_an_error_and_not_the_end() {
        let here = Cursor { offset: 300, list: None };
        for next_offset in [
            Field::Is(NextOffset::Number(300)),
            Field::Is(NextOffset::Number(0)),
            Field::Is(NextOffset::Number(-1)),
            Field::Is(NextOffset::Opaque("1,b".into())),
            Field::Wrong("a list"),
        ] {
            let error = here.next("/p", &metadata(next_offset.clone())).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unexpected, "{next_offset:?}");
            assert!(error.message.contains("`/p`") && error.message.contains("300"), "{}", error.message);
        }
    }
}
