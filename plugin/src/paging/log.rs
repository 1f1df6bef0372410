//! The walk through a log of version 2: a window of time, oldest events first, by an opaque cursor.
//!
//! Duo serves events from 180 days ago to two minutes ago. The first run reads as many days as the setting says. A
//! later run continues where the previous run ended, with an overlap, because an event may be recorded late. An event
//! that is read twice changes nothing: the latest time wins.
//!
//! A cursor is `v2:since=…;from=…;to=…;seen=…;last=…;next=…`, a bookmark `v2:since=…;to=…`, in seconds since 1970.
//! `since` is the beginning of the first run: together, the runs cover `since` to `to`. `seen` is the number of events
//! since `from`, and `last` the time of the latest event.
//!
//! # The end
//!
//! The log ends when Duo gives no new cursor and the walk has seen as many events as `total_objects` says. If it has
//! seen fewer, or if Duo gives no total, the walk starts again at the time of the last event, without a cursor. If that
//! brings no later event, the walk ends: as complete if Duo gave no total, otherwise with an error, so that the bookmark
//! does not change. A log without events and without a total is an error too.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{offset, refused};
use crate::api::{Metadata, NextOffset};
use crate::contract::{Error, ErrorKind, Position, Progress, Window};
use crate::lenient::Field;
use crate::settings::MOST_DAYS;

/// The version of cursors and bookmarks, raised when they change their meaning.
pub(crate) const CURSOR_VERSION: u32 = 2;
const VERSION: &str = "v2";
const DAY: i64 = 86_400;
/// "Intentional two minute delay in availability": newer events may still be missing.
const DELAY: i64 = 120;
/// How far before the end of the previous run a run begins.
const OVERLAP: i64 = 900;
/// The distance that a window keeps from the oldest time that Duo serves. That time advances, so without the distance,
/// a retry or the next page would be refused.
const MARGIN: i64 = 3600;

/// The rest of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    /// The beginning of the period that all runs cover together, in seconds since 1970.
    since: i64,
    /// The window of this run, in seconds since 1970.
    from: i64,
    to: i64,
    /// The number of events read since `from`.
    seen: u64,
    /// The time of the latest event that was read, in seconds since 1970; 0 before the first.
    last: i64,
    /// Duo's own cursor; `None` for the first page.
    pub(crate) next: Option<String>,
}

impl fmt::Display for Walk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { since, from, to, seen, last, next } = self;
        let next = next.as_deref().unwrap_or_default();
        write!(formatter, "{VERSION}:since={since};from={from};to={to};seen={seen};last={last};next={next}")
    }
}

impl Walk {
    /// The walk at `position`. From the beginning, it covers the last `days` days.
    ///
    /// # Errors
    ///
    /// `invalid-position` for a cursor or bookmark that is invalid or of another version.
    pub(crate) fn at(position: &Position, days: i64, now: DateTime<Utc>) -> Result<Self, Error> {
        let now = now.timestamp();
        let oldest = now - MOST_DAYS * DAY + MARGIN;
        let to = now - DELAY;
        match position {
            Position::Beginning => {
                let from = (now - days * DAY).max(oldest);
                Ok(Self::new(from, from, to))
            }
            Position::After(bookmark) => {
                let (since, until) = bookmark_of(bookmark).ok_or_else(|| {
                    refused("the bookmark does not belong to this version of the connector")
                })?;
                // Keeps `from` before `to` even if the clock was set back.
                let from = (until - OVERLAP).min(to - OVERLAP);
                if from < oldest {
                    // Duo no longer serves the events in between, so the covered period starts anew.
                    return Ok(Self::new(oldest, oldest, to));
                }
                Ok(Self::new(since.min(from), from, to))
            }
            Position::At(cursor) => {
                let mut walk = Self::parse(cursor)
                    .ok_or_else(|| refused("the cursor does not belong to this version of the connector"))?;
                // During a long walk, its oldest days pass out of Duo's reach; they have already been read.
                walk.from = walk.from.max(oldest).min(walk.to - 1);
                Ok(walk)
            }
        }
    }

    fn new(since: i64, from: i64, to: i64) -> Self {
        Self { since, from, to, seen: 0, last: 0, next: None }
    }

    fn parse(text: &str) -> Option<Self> {
        let (times, next) = text.strip_prefix(VERSION)?.strip_prefix(":since=")?.split_once(";next=")?;
        let (since, times) = times.split_once(";from=")?;
        let (from, times) = times.split_once(";to=")?;
        let (to, times) = times.split_once(";seen=")?;
        let (seen, last) = times.split_once(";last=")?;
        let walk = Self {
            since: since.parse().ok()?,
            from: from.parse().ok()?,
            to: to.parse().ok()?,
            seen: seen.parse().ok()?,
            last: last.parse().ok()?,
            next: Some(next.to_owned()).filter(|next| !next.is_empty()),
        };
        // Accepts only text that `Display` writes, with a possible window.
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

    /// The period that this run and the previous runs cover.
    pub(crate) fn window(&self) -> Window {
        Window { from: self.since, to: self.to }
    }

    /// What follows the page at this position, read from `path`. `events` is the number of its events, and `last` the
    /// time of the latest one.
    ///
    /// # Errors
    ///
    /// `unexpected` if the log ends before the walk has seen as many events as Duo says it has, if `next_offset` is no
    /// cursor, or if there are neither events nor a total.
    pub(crate) fn next(
        &self,
        path: &str,
        metadata: &Metadata,
        events: usize,
        last: Option<i64>,
    ) -> Result<Progress, Error> {
        let next = match &metadata.next_offset {
            Field::Missing => None,
            Field::Value(NextOffset::Opaque(next)) => Some(next.clone()),
            Field::Value(NextOffset::Number(next)) => Some(next.to_string()),
            Field::Malformed(what) => {
                return Err(unexpected(path, format!("the answer's `next_offset` is {what}")));
            }
        };
        let seen = self.seen.saturating_add(events as u64);
        let last = self.last.max(last.unwrap_or(0));
        if let Some(next) = next.filter(|next| self.next.as_ref() != Some(next)) {
            return Ok(Progress::More(Self { seen, last, next: Some(next), ..self.clone() }.to_string()));
        }
        let total = offset::total(metadata);
        if total.is_some_and(|total| total <= seen) {
            return Ok(self.done());
        }
        // Starts again at the last event, and reads it again: other events may be in the same second.
        if self.from < last && last < self.to {
            return Ok(Progress::More(Self::new(self.since, last, self.to).to_string()));
        }
        match total {
            Some(total) => {
                Err(unexpected(path, format!("it ended after {seen} events, and Duo says it has {total}")))
            }
            None if seen == 0 => {
                Err(unexpected(path, "the answer has neither events nor `metadata`".to_owned()))
            }
            None => Ok(self.done()),
        }
    }

    fn done(&self) -> Progress {
        Progress::Done(Some(format!("{VERSION}:since={};to={}", self.since, self.to)))
    }
}

fn unexpected(path: &str, fault: String) -> Error {
    Error::new(ErrorKind::Unexpected, format!("could not read all of `{path}`: {fault}"))
}

fn bookmark_of(text: &str) -> Option<(i64, i64)> {
    let (since, to) = text.strip_prefix(VERSION)?.strip_prefix(":since=")?.split_once(";to=")?;
    let (since, to) = (since.parse().ok()?, to.parse().ok()?);
    (0 < since && since <= to && format!("{VERSION}:since={since};to={to}") == text).then_some((since, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Total;

    fn now() -> DateTime<Utc> {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn at(position: &Position, days: i64) -> Walk {
        Walk::at(position, days, now()).unwrap()
    }

    fn total(events: i64) -> Metadata {
        Metadata { total_objects: Field::Value(Total(events)), ..Metadata::default() }
    }

    fn more(progress: Progress) -> Walk {
        let Progress::More(cursor) = progress else { panic!("it ended") };
        at(&Position::At(cursor), 30)
    }

    #[test]
    fn the_log_ends_where_as_many_events_were_seen_as_duo_says() {
        let first = at(&Position::Beginning, 30);
        let bookmark = format!("v2:since={};to={}", first.since, first.to);
        let done = Progress::Done(Some(bookmark));
        assert_eq!(first.next("/p", &total(2), 2, Some(first.from + 1)).unwrap(), done);
        assert_eq!(first.next("/p", &total(0), 0, None).unwrap(), done);
        // The last page is empty, and either repeats its cursor or has none.
        let page = |total| Metadata { total_objects: Field::Value(Total(total)), ..metadata("1,a") };
        let last = more(first.next("/p", &page(3), 3, Some(first.from + 9)).unwrap());
        assert_eq!(last.next("/p", &page(3), 0, None).unwrap(), done);
        assert_eq!(last.next("/p", &total(3), 0, None).unwrap(), done);
    }

    #[test]
    fn a_log_that_ends_early_is_read_on_from_the_time_of_its_last_event() {
        let first = at(&Position::Beginning, 30);
        let at_last = first.from + 500;
        // An early end: no cursor, no metadata, or an empty page that repeats its cursor.
        let no_cursor = first.next("/p", &total(2500), 1000, Some(at_last)).unwrap();
        let no_metadata = first.next("/p", &Metadata::default(), 1000, Some(at_last)).unwrap();
        let begun = more(first.next("/p", &metadata("1,a"), 1000, Some(at_last)).unwrap());
        let page = Metadata { total_objects: Field::Value(Total(2500)), ..metadata("1,a") };
        let empty = begun.next("/p", &page, 0, None).unwrap();
        for progress in [no_cursor, no_metadata, empty] {
            let walk = more(progress);
            assert_eq!((walk.since, walk.from, walk.seen), (first.since, at_last, 0));
            assert_eq!(walk.next, None);
            // No new event: the log ends if Duo's total agrees or is absent; otherwise the bookmark does not change.
            let again = walk.next("/p", &total(1), 1, Some(at_last)).unwrap();
            assert!(matches!(again, Progress::Done(Some(_))));
            let again = walk.next("/p", &Metadata::default(), 1, Some(at_last)).unwrap();
            assert!(matches!(again, Progress::Done(Some(_))));
            let error = walk.next("/p", &total(1500), 1, Some(at_last)).unwrap_err();
            assert!(
                error.message.ends_with("ended after 1 events, and Duo says it has 1500"),
                "{}",
                error.message
            );
        }
        let error = first.next("/p", &Metadata::default(), 0, None).unwrap_err();
        assert!(error.message.contains("neither events nor `metadata`"), "{}", error.message);
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
        let walk = at(&Position::After(format!("v2:since={since};to={until}")), 30);
        assert_eq!((walk.from, walk.to), (until - OVERLAP, now - DELAY));
        assert_eq!(walk.window(), Window { from: since, to: now - DELAY });
        assert_eq!(
            walk.next("/p", &total(0), 0, None).unwrap(),
            Progress::Done(Some(format!("v2:since={since};to={}", now - DELAY)))
        );
    }

    #[test]
    fn after_too_long_a_pause_the_window_begins_anew() {
        let now = now().timestamp();
        let walk = at(&Position::After(format!("v2:since=5;to={}", now - 200 * DAY)), 30);
        assert_eq!(walk.window().from, now - 180 * DAY + MARGIN);
        assert_eq!(walk.from, walk.since);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_empty_window() {
        let until = now().timestamp() + 10 * DAY;
        let walk = at(&Position::After(format!("v2:since=1700000000;to={until}")), 30);
        assert!(walk.from < walk.to, "{walk}");
    }

    #[test]
    fn a_cursor_reads_what_it_writes_and_keeps_the_window() {
        let first = at(&Position::Beginning, 30);
        let Progress::More(cursor) =
            first.next("/p", &metadata("1532951895000,af0ba235"), 9, Some(first.from + 7)).unwrap()
        else {
            panic!()
        };
        let second = at(&Position::At(cursor.clone()), 7);
        assert_eq!(second.to_string(), cursor);
        assert_eq!((second.from, second.to), (first.from, first.to));
        assert_eq!(second.params(9)[4], ("next_offset", "1532951895000,af0ba235".to_owned()));
        assert_eq!((second.seen, second.last), (9, first.from + 7));
    }

    #[test]
    fn a_walk_that_takes_days_stays_within_reach() {
        let from = now().timestamp() - 190 * DAY;
        let to = now().timestamp() - 10 * DAY;
        let walk =
            at(&Position::At(format!("v2:since={from};from={from};to={to};seen=1;last=5;next=1,a")), 180);
        assert_eq!(walk.from, now().timestamp() - 180 * DAY + MARGIN);
        assert_eq!(walk.window().from, from);
    }

    #[test]
    fn foreign_cursors_and_bookmarks_are_refused() {
        for text in [
            "",
            "v3:offset=3",
            "v1:since=1;to=2",
            "v2:since=2;to=1",
            "v2:since=+1;to=2",
            "v2:since=1;to=2;x=3",
        ] {
            for position in [Position::At(text.into()), Position::After(text.into())] {
                let error = Walk::at(&position, 30, now()).unwrap_err();
                assert_eq!(error.kind, ErrorKind::InvalidPosition, "{text}");
            }
        }
        for text in [
            "v2:since=1;from=3;to=2;seen=0;last=0;next=a",
            "v2:since=3;from=2;to=4;seen=0;last=0;next=a",
            "v2:since=1;from=1;to=2;seen=x;last=0;next=",
        ] {
            assert!(Walk::parse(text).is_none(), "{text}");
        }
    }
}
