//! The walk through a log of version 2: a window of time, oldest events first, by an opaque cursor.
//!
//! Duo serves the last 180 days up to two minutes ago. A first run reads as many days as the setting says; a later
//! one continues where the last one ended, with an overlap, because an event may be filed late. What is seen
//! twice changes nothing: the latest time wins.
//!
//! A cursor is `v1:since=…;from=…;to=…;next=…`, a bookmark `v1:since=…;to=…`, in seconds since 1970. `since` is where
//! the first run began: together the runs cover `since` to `to`.

use std::fmt;

use chrono::{DateTime, Utc};

use super::refused;
use crate::api::{Metadata, NextOffset};
use crate::contract::{Error, ErrorKind, Position, Progress, Window};
use crate::lenient::Field;
use crate::settings::MOST_DAYS;

/// The version of cursors and bookmarks, raised when they change their meaning.
pub(crate) const CURSOR_VERSION: u32 = 1;
const VERSION: &str = "v1";
const DAY: i64 = 86_400;
/// "Intentional two minute delay in availability": what is newer may still be missing.
const DELAY: i64 = 120;
/// How far a run looks back before the end of the last one.
const OVERLAP: i64 = 900;
/// The oldest moment is out of reach a moment later: a retry, or the next page, would be refused.
const MARGIN: i64 = 3600;

/// What is left of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    /// Where what all runs together cover begins, in seconds since 1970.
    since: i64,
    /// The window of this run, in seconds since 1970.
    from: i64,
    to: i64,
    /// Duo's own cursor; `None` for the first page.
    pub(crate) next: Option<String>,
}

impl fmt::Display for Walk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { since, from, to, next } = self;
        write!(
            formatter,
            "{VERSION}:since={since};from={from};to={to};next={}",
            next.as_deref().unwrap_or_default()
        )
    }
}

impl Walk {
    /// The walk that `position` is in. The first one looks `days` back.
    ///
    /// # Errors
    ///
    /// `invalid-position` for a cursor or bookmark of another version.
    pub(crate) fn at(position: &Position, days: i64, now: DateTime<Utc>) -> Result<Self, Error> {
        let now = now.timestamp();
        let oldest = now - MOST_DAYS * DAY + MARGIN;
        let to = now - DELAY;
        match position {
            Position::Beginning => {
                let from = (now - days * DAY).max(oldest);
                Ok(Self { since: from, from, to, next: None })
            }
            Position::After(bookmark) => {
                let (since, until) = bookmark_of(bookmark)
                    .ok_or_else(|| refused("the bookmark is not one of this version of the connector"))?;
                // A clock that was set back must not make a window without an end.
                let from = (until - OVERLAP).min(to - OVERLAP);
                if from < oldest {
                    // Nobody can know any more what happened in between.
                    return Ok(Self { since: oldest, from: oldest, to, next: None });
                }
                Ok(Self { since: since.min(from), from, to, next: None })
            }
            Position::At(cursor) => {
                let mut walk = Self::parse(cursor)
                    .ok_or_else(|| refused("the cursor is not one of this version of the connector"))?;
                // A long walk outlives its oldest days, which it has read.
                walk.from = walk.from.max(oldest).min(walk.to - 1);
                Ok(walk)
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (times, next) = text.strip_prefix(VERSION)?.strip_prefix(":since=")?.split_once(";next=")?;
        let (since, times) = times.split_once(";from=")?;
        let (from, to) = times.split_once(";to=")?;
        let walk = Self {
            since: since.parse().ok()?,
            from: from.parse().ok()?,
            to: to.parse().ok()?,
            next: Some(next.to_owned()).filter(|next| !next.is_empty()),
        };
        // Only what `Display` writes, and what a window can be.
        (walk.to_string() == text && 0 < walk.since && walk.since <= walk.from && walk.from < walk.to)
            .then_some(walk)
    }

    /// The parameters that ask for at most `limit` events from here, in milliseconds.
    pub(crate) fn params(&self, limit: u32) -> Vec<(&'static str, String)> {
        let mut params = vec![
            ("limit", limit.to_string()),
            ("mintime", self.from.saturating_mul(1000).to_string()),
            ("maxtime", self.to.saturating_mul(1000).to_string()),
            ("sort", "ts:asc".to_owned()),
        ];
        params.extend(self.next.clone().map(|next| ("next_offset", next)));
        params
    }

    /// What this run and those before it cover.
    pub(crate) fn window(&self) -> Window {
        Window { from: self.since, to: self.to }
    }

    /// What follows the page that began here, read from `path`.
    ///
    /// # Errors
    ///
    /// `unexpected` where the vendor would have the walk go in circles, or gives no cursor.
    pub(crate) fn next(&self, path: &str, metadata: &Metadata) -> Result<Progress, Error> {
        let next = match &metadata.next_offset {
            Field::Missing => {
                return Ok(Progress::Done(Some(format!("{VERSION}:since={};to={}", self.since, self.to))));
            }
            Field::Value(NextOffset::Opaque(next)) => Ok(next.clone()),
            Field::Value(NextOffset::Number(next)) => Ok(next.to_string()),
            Field::Malformed(what) => Err(format!("is {what}")),
        };
        match next {
            Ok(next) if self.next.as_ref() != Some(&next) => {
                Ok(Progress::More(Self { next: Some(next), ..self.clone() }.to_string()))
            }
            other => {
                let fault = other.err().unwrap_or_else(|| "does not lead on".to_owned());
                let message = format!("could not read `{path}` on: the answer's `next_offset` {fault}");
                Err(Error::new(ErrorKind::Unexpected, message))
            }
        }
    }
}

fn bookmark_of(text: &str) -> Option<(i64, i64)> {
    let (since, to) = text.strip_prefix(VERSION)?.strip_prefix(":since=")?.split_once(";to=")?;
    let (since, to) = (since.parse().ok()?, to.parse().ok()?);
    (0 < since && since <= to && format!("{VERSION}:since={since};to={to}") == text).then_some((since, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn at(position: &Position, days: i64) -> Walk {
        Walk::at(position, days, now()).unwrap()
    }

    fn metadata(next: &str) -> Metadata {
        Metadata { next_offset: Field::Value(NextOffset::Opaque(next.into())), ..Metadata::default() }
    }

    #[test]
    fn a_first_run_looks_back_as_far_as_it_is_told_and_duo_allows() {
        let now = now().timestamp();
        for (days, from) in [(1, now - DAY), (30, now - 30 * DAY), (180, now - 180 * DAY + MARGIN)] {
            let walk = at(&Position::Beginning, days);
            assert_eq!((walk.since, walk.from, walk.to, walk.next.clone()), (from, from, now - 120, None));
            let params = walk.params(1000);
            assert_eq!(params[1], ("mintime", format!("{from}000")));
            assert_eq!(params[2], ("maxtime", format!("{}000", now - 120)));
        }
    }

    #[test]
    fn a_later_run_goes_on_with_an_overlap_and_covers_what_both_saw() {
        let now = now().timestamp();
        let (since, until) = (now - 100 * DAY, now - DAY);
        let walk = at(&Position::After(format!("v1:since={since};to={until}")), 30);
        assert_eq!((walk.from, walk.to), (until - OVERLAP, now - DELAY));
        assert_eq!(walk.window(), Window { from: since, to: now - DELAY });
        assert_eq!(
            walk.next("/p", &Metadata::default()).unwrap(),
            Progress::Done(Some(format!("v1:since={since};to={}", now - DELAY)))
        );
    }

    #[test]
    fn after_too_long_a_pause_the_window_begins_anew() {
        let now = now().timestamp();
        let walk = at(&Position::After(format!("v1:since=5;to={}", now - 200 * DAY)), 30);
        assert_eq!(walk.window().from, now - 180 * DAY + MARGIN);
        assert_eq!(walk.from, walk.since);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_empty_window() {
        let until = now().timestamp() + 10 * DAY;
        let walk = at(&Position::After(format!("v1:since=1700000000;to={until}")), 30);
        assert!(walk.from < walk.to, "{walk}");
    }

    #[test]
    fn a_cursor_reads_what_it_writes_and_keeps_the_window() {
        let first = at(&Position::Beginning, 30);
        let Progress::More(cursor) = first.next("/p", &metadata("1532951895000,af0ba235")).unwrap() else {
            panic!()
        };
        let second = at(&Position::At(cursor.clone()), 7);
        assert_eq!(second.to_string(), cursor);
        assert_eq!((second.from, second.to), (first.from, first.to));
        assert_eq!(second.params(9)[4], ("next_offset", "1532951895000,af0ba235".to_owned()));
        assert_eq!(
            second.next("/p", &metadata("1532951895000,af0ba235")).unwrap_err().kind,
            ErrorKind::Unexpected
        );
    }

    #[test]
    fn a_walk_that_takes_days_stays_within_reach() {
        let from = now().timestamp() - 190 * DAY;
        let to = now().timestamp() - 10 * DAY;
        let walk = at(&Position::At(format!("v1:since={from};from={from};to={to};next=1,a")), 180);
        assert_eq!(walk.from, now().timestamp() - 180 * DAY + MARGIN);
        assert_eq!(walk.window().from, from);
    }

    #[test]
    fn foreign_cursors_and_bookmarks_are_refused() {
        for text in [
            "",
            "v1:offset=3",
            "v2:since=1;to=2",
            "v1:since=2;to=1",
            "v1:since=+1;to=2",
            "v1:since=1;to=2;x=3",
        ] {
            for position in [Position::At(text.into()), Position::After(text.into())] {
                let error = Walk::at(&position, 30, now()).unwrap_err();
                assert_eq!(error.kind, ErrorKind::InvalidPosition, "{text}");
            }
        }
        for text in
            ["v1:since=1;from=3;to=2;next=a", "v1:since=3;from=2;to=4;next=a", "v1:since=1;from=1;to=x;next="]
        {
            assert!(Walk::parse(text).is_none(), "{text}");
        }
    }
}
