//! The walk through a list by offset. Of the objects, it knows only the keys.
//!
//! The vendor says where the next page begins (`metadata.next_offset`). The walk does not compute it from the length of
//! a page, because "the service is free to return a different number" of objects than requested. A page without
//! `next_offset` is the last one.
//!
//! The list may change during the walk. If an object before the end of a page is deleted, all later objects move up by
//! one, and the next page would skip one object. So each page begins with the last object of the previous page (the
//! overlap). If neither that object nor another one of the recent objects (the trail) is on the page, the walk steps
//! back, one page at a time, until it finds one. It reads everything after that object again.
//!
//! # What holds
//!
//! - Objects may be created and deleted anywhere. An object that exists during the whole walk is seen, as long as the
//!   objects that stay keep their order.
//! - If the list is ordered by name, a new name moves an object, possibly from the unread part of the list into the part
//!   already read. So after a walk that detects a change (of the total, or of the place of the trail), a second walk
//!   follows. It sees the objects that the first one missed, if the order does not change again.
//! - If the order does change, and the second walk detects it (the objects already read moved towards the end by more
//!   than the number of created objects), a third walk follows, and then an error. Growth alone looks like a new name,
//!   so it causes no third walk: a list that keeps growing would never end.
//! - Not detected: new names and other changes between the same two pages that cancel each other out, so that neither
//!   the total nor the place of the last seen object changes.
//!
//! # The end
//!
//! A list that does not change is walked through once. It is complete if the walk saw as many objects as
//! `total_objects` says. Objects are counted, not offsets: a page may have fewer objects than the distance to the next
//! page. If objects are missing, the end is requested once more, and then the list is walked through again.
//! `total_objects` is a hint: if two walks saw the same objects, without a hole between two pages, the list is complete,
//! and a problem reports both numbers. Otherwise, or if no page gave the total, the walk ends with an error.
//!
//! An object without a key may be any known object, so a walk that met one ends with an error, after reading the rest.
//!
//! # The cursor
//!
//! A cursor is `v3:offset=300;trail=1.DU7,2.DU3;total=951;seen=300.9f`: a version, then named values joined by `;`, in a
//! fixed order. Values equal to their default are left out. An unknown name is refused like an unknown version.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::api::{Metadata, NextOffset};
use crate::contract::{Error, ErrorKind, Position, Progress};
use crate::lenient::Field;

/// The version of cursors, raised when they change their meaning.
pub(crate) const CURSOR_VERSION: u32 = 3;
const VERSION: &str = "v3";
/// The distances from the objects of the trail to the next object. The far ones help if many near ones are deleted at
/// once.
const TRAIL: [i64; 14] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 96, 128, 256];
/// The most walks through one list while its order changes. A list that always changes must not be read forever.
const MOST_SWEEPS: u32 = 3;
/// The most steps back in one stream, for the same reason.
const MOST_STEPS: u32 = 1000;
/// The most bytes that the keys in [`Cursor::left`] may take. A cursor may have 4096 bytes.
const LONGEST_LEFT: usize = 2048;
/// The remedy if a list changes too fast.
const QUIETER: &str = "read the stream while fewer changes are made in Duo";

/// Where a page begins, and what the walk has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// How many objects come before the first one that was not yet seen.
    offset: i64,
    /// How many of these objects are read again.
    overlap: i64,
    /// The name of the list, if the stream reads a second one after or instead of its first.
    pub(crate) list: Option<&'static str>,
    /// Objects that were seen, the last one first: the distance to `offset`, and the key.
    trail: Vec<(i64, String)>,
    /// How many objects the list has, as the vendor last said: not every page says it.
    total: Option<u64>,
    /// The objects that this walk through the list saw.
    seen: Sum,
    /// The objects that the previous walk saw.
    before: Option<Sum>,
    /// How often the walk stepped back.
    steps: u32,
    /// How often the list was walked through before.
    sweeps: u32,
    /// An object was created, deleted or moved during this walk through the list.
    changed: bool,
    /// An object moved from the unread part of the list into the part already read.
    moved: bool,
    /// A page began after the place where the previous page ended.
    hole: bool,
    /// An object had no key.
    keyless: bool,
    /// Objects seem to be missing: the same place is requested once more.
    doubt: bool,
    /// The stream can't read a second list. It has reported that, and does not try again in this walk.
    pub(crate) told: bool,
    /// Keys of objects of the previous page that must still be requested one by one. The list continues after them.
    pub(crate) left: Vec<String>,
    /// The list has no page after the objects in `left`.
    pub(crate) ended: bool,
}

/// Identifies a set of objects: their number, and the sum of the hashes of their keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    hash: u64,
}

impl Sum {
    fn add(self, key: Option<&str>) -> Self {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        Self { count: self.count.saturating_add(1), hash: self.hash.wrapping_add(hasher.finish()) }
    }

    fn parse(text: &str) -> Option<Self> {
        let (count, hash) = text.split_once('.')?;
        Some(Self { count: count.parse().ok()?, hash: u64::from_str_radix(hash, 16).ok()? })
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:x}", self.count, self.hash)
    }
}

/// What follows a page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) progress: Progress,
    /// A problem to report although the list is complete.
    pub(crate) remark: Option<String>,
    /// How many objects at the beginning of the page were on the previous page.
    pub(crate) seen: usize,
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, overlap, list, trail, total, seen, before, steps, sweeps, .. } = self;
        write!(formatter, "{VERSION}:offset={offset}")?;
        if *overlap != nearest(trail) {
            write!(formatter, ";overlap={overlap}")?;
        }
        if let Some(list) = list {
            write!(formatter, ";list={list}")?;
        }
        for (index, (distance, key)) in trail.iter().enumerate() {
            let before = if index == 0 { ";trail=" } else { "," };
            write!(formatter, "{before}{distance}.{key}")?;
        }
        if let Some(total) = total {
            write!(formatter, ";total={total}")?;
        }
        if seen.count > 0 {
            write!(formatter, ";seen={seen}")?;
        }
        if let Some(before) = before {
            write!(formatter, ";before={before}")?;
        }
        for (name, count) in [("steps", *steps), ("sweeps", *sweeps)] {
            if count > 0 {
                write!(formatter, ";{name}={count}")?;
            }
        }
        let flags = [
            ("changed", self.changed),
            ("moved", self.moved),
            ("hole", self.hole),
            ("keyless", self.keyless),
            ("doubt", self.doubt),
            ("told", self.told),
            ("ended", self.ended),
        ];
        for (name, _) in flags.iter().filter(|(_, is)| *is) {
            write!(formatter, ";{name}")?;
        }
        if !self.left.is_empty() {
            write!(formatter, ";left={}", self.left.join(","))?;
        }
        Ok(())
    }
}

/// The distance from the nearest object of a trail to the next object.
fn nearest(trail: &[(i64, String)]) -> i64 {
    trail.first().map_or(0, |(distance, _)| *distance)
}

impl Cursor {
    /// The cursor at `position`. `second` is the name of the stream's second list, if it has one.
    ///
    /// # Errors
    ///
    /// `invalid-position` for a cursor that is invalid or of another version, and for a bookmark: lists have none.
    pub(crate) fn at(position: &Position, second: Option<&'static str>) -> Result<Self, Error> {
        match position {
            Position::Beginning => Ok(Self::default()),
            Position::At(cursor) => Self::parse(cursor, second)
                .ok_or_else(|| super::refused("the cursor does not belong to this version of the connector")),
            Position::After(_) => {
                Err(super::refused("the stream is read completely each time, and has no bookmarks"))
            }
        }
    }

    /// The beginning of the list called `list`.
    pub(crate) fn of(list: &'static str) -> Self {
        Self { list: Some(list), ..Self::default() }
    }

    fn parse(text: &str, second: Option<&'static str>) -> Option<Self> {
        let mut cursor = Self::default();
        let mut overlap = None;
        for (index, part) in text.strip_prefix(VERSION)?.strip_prefix(':')?.split(';').enumerate() {
            match part.split_once('=') {
                Some(("offset", value)) if index == 0 => cursor.offset = value.parse().ok()?,
                Some(("overlap", value)) => overlap = Some(value.parse().ok()?),
                Some(("list", value)) => cursor.list = Some(second.filter(|second| *second == value)?),
                Some(("trail", value)) => {
                    for anchor in value.split(',') {
                        let (distance, key) = anchor.split_once('.')?;
                        cursor.trail.push((distance.parse().ok()?, key.to_owned()));
                    }
                }
                Some(("total", value)) => cursor.total = Some(value.parse().ok()?),
                Some(("seen", value)) => cursor.seen = Sum::parse(value)?,
                Some(("before", value)) => cursor.before = Some(Sum::parse(value)?),
                Some(("steps", value)) => cursor.steps = value.parse().ok()?,
                Some(("sweeps", value)) => cursor.sweeps = value.parse().ok()?,
                Some(("left", value)) => cursor.left = value.split(',').map(str::to_owned).collect(),
                None if part == "changed" => cursor.changed = true,
                None if part == "moved" => cursor.moved = true,
                None if part == "hole" => cursor.hole = true,
                None if part == "keyless" => cursor.keyless = true,
                None if part == "doubt" => cursor.doubt = true,
                None if part == "told" => cursor.told = true,
                None if part == "ended" => cursor.ended = true,
                _ => return None,
            }
        }
        cursor.overlap = overlap.unwrap_or_else(|| nearest(&cursor.trail));
        let is_sound = cursor.overlap >= 0
            && cursor.offset >= cursor.overlap
            && cursor.left.iter().all(|key| is_key(key))
            && (!cursor.ended || !cursor.left.is_empty())
            && cursor
                .trail
                .iter()
                .all(|(distance, key)| (1..=cursor.offset).contains(distance) && is_key(key));
        // Accepts only text that `Display` writes: no sign, no leading zero, no other order.
        (is_sound && cursor.to_string() == text).then_some(cursor)
    }

    /// A cursor for the objects `left`, which must still be requested one by one; the list then continues with
    /// `progress`. `None` if the keys can't be written into a cursor.
    pub(crate) fn after(left: Vec<String>, progress: &Progress) -> Option<Self> {
        let next = match progress {
            Progress::More(cursor) => Self::parse(cursor, None)?,
            Progress::Done(_) => Self { ended: true, ..Self::default() },
        };
        let is_short = left.iter().map(|key| key.len() + 1).sum::<usize>() < LONGEST_LEFT;
        (is_short && left.iter().all(|key| is_key(key))).then_some(Self { left, ..next })
    }

    /// What follows after the objects in `left`.
    pub(crate) fn without_left(&self) -> Progress {
        let on = Self { left: Vec::new(), ended: false, ..self.clone() };
        if self.ended { Progress::Done(None) } else { Progress::More(on.to_string()) }
    }

    /// How many objects of the list come before the page.
    pub(crate) fn begins(&self) -> i64 {
        self.offset - self.overlap
    }

    /// The parameters that ask for at most `limit` objects from here.
    pub(crate) fn params(&self, limit: u32) -> [(&'static str, String); 2] {
        [("limit", limit.to_string()), ("offset", self.begins().to_string())]
    }

    /// What follows the page at this cursor, read from `path`. The page has objects with these `keys`; `limit` objects
    /// were requested.
    ///
    /// # Errors
    ///
    /// `unexpected` if `next_offset` is no number or not after this page's offset, if the list changes faster than it
    /// can be read, or if it may be incomplete at its end. In the last case, all other objects have been read. The error
    /// replaces the normal end, after which the host would mark the unseen objects as removed.
    pub(crate) fn next(
        &self,
        path: &str,
        metadata: &Metadata,
        keys: &[Option<&str>],
        limit: u32,
    ) -> Result<Step, Error> {
        let begins = self.begins();
        let next = self.next_offset(path, metadata)?;
        let total = total(metadata).or(self.total);
        if keys.is_empty() && next.is_some() && !self.doubt {
            return Ok(Step::more(&Self { doubt: true, total, ..self.clone() }));
        }
        let Some(found) = self.locate(keys, next) else { return self.step_back(path, limit) };

        let changed = self.changed || self.has_changed(found.shift, total);
        let moved = self.moved || self.has_moved(found.shift, total);
        let end = begins.saturating_add(i64::try_from(keys.len()).unwrap_or(i64::MAX));
        let offset = next.unwrap_or(end);
        let trail = trail(keys, begins, offset);
        // No overlap if the walk would not advance with it: if it is as long as the page, or if the vendor's
        // `next_offset` is not after `offset`.
        let leads_on = offset > self.offset || self.has_stepped_back();
        let trail = if leads_on && nearest(&trail) < offset - begins { trail } else { Vec::new() };
        let on = Self {
            offset,
            overlap: nearest(&trail),
            trail,
            total,
            seen: keys.iter().skip(found.seen).fold(self.seen, |seen, key| seen.add(*key)),
            changed,
            moved,
            hole: self.hole || offset > end,
            keyless: self.keyless || keys.contains(&None),
            doubt: false,
            ..self.clone()
        };
        if next.is_some() {
            return Ok(Step { seen: found.seen, ..Step::more(&on) });
        }
        // The end was requested once more, and no object followed. If there is no total, a further request does not help
        // either: nothing says how many objects should follow.
        let is_certain = self.doubt && (end <= self.offset || total.is_none());
        let step = on.end(path, end, is_certain)?;
        Ok(Step { seen: found.seen, ..step })
    }

    /// What follows the last page of the list, which ends at the offset `end`.
    fn end(self, path: &str, end: i64, is_certain: bool) -> Result<Step, Error> {
        // Growth looks like a new name, so growth alone causes one more walk only: a list that always grows must end.
        let again = (self.changed && self.sweeps == 0) || (self.moved && self.sweeps + 1 < MOST_SWEEPS);
        let end = u64::try_from(end).unwrap_or_default();
        // In a list that changed, objects before this place were created or deleted after they were counted.
        let found = if self.changed { end } else { end.min(self.seen.count) };
        let is_short = self.total.is_none_or(|total| total > found);
        // Requesting the end once more keeps the objects of this page, and costs a small request.
        if (is_short || self.keyless || (self.moved && !again)) && !is_certain {
            return Ok(Step::more(&Self { doubt: true, ..self }));
        }
        if again {
            return Ok(Step::more(&self.again()));
        }
        if self.keyless {
            return Err(keyless(path));
        }
        match self.total {
            None => return Err(without_total(path)),
            Some(total) if is_short => {
                let is_same = self.before == Some(self.seen);
                if is_same && !self.hole {
                    return Ok(Step { remark: Some(other_total(path, found, total)), ..Step::done() });
                }
                if is_same || self.sweeps + 1 >= MOST_SWEEPS {
                    return Err(too_short(path, found, total));
                }
                return Ok(Step::more(&self.again()));
            }
            Some(_) => {}
        }
        if self.moved { Err(out_of_order(path)) } else { Ok(Step::done()) }
    }

    /// The beginning of the same list, for another walk.
    fn again(&self) -> Self {
        let Self { list, steps, sweeps, told, seen, .. } = *self;
        Self { list, steps, sweeps: sweeps + 1, told, before: Some(seen), ..Self::default() }
    }

    /// Whether the list has changed since the previous page: the seen objects moved by `shift`, or were not at their
    /// place, or the total changed.
    fn has_changed(&self, shift: i64, total: Option<u64>) -> bool {
        let recounted = total.zip(self.total).is_some_and(|(now, before)| now != before);
        shift != 0 || recounted || self.has_stepped_back()
    }

    /// Whether the page begins before the nearest object of the trail, because that object was not at its place.
    fn has_stepped_back(&self) -> bool {
        self.overlap > nearest(&self.trail)
    }

    /// Whether an object moved from the unread part into the part already read: the seen objects moved towards the end
    /// by `shift`, and the growth of the list does not explain it.
    fn has_moved(&self, shift: i64, total: Option<u64>) -> bool {
        let count = |total: u64| i64::try_from(total).unwrap_or(i64::MAX);
        let grown = total.zip(self.total).map(|(now, before)| count(now) - count(before));
        // An object that was not at its place should have moved towards the beginning.
        let missed = self.has_stepped_back() && shift >= 0 && self.begins() > 0;
        missed || (shift > 0 && grown.is_none_or(|grown| grown < shift))
    }

    /// Where the next page begins, according to the vendor.
    fn next_offset(&self, path: &str, metadata: &Metadata) -> Result<Option<i64>, Error> {
        let begins = self.begins();
        let fault = match &metadata.next_offset {
            Field::Missing => return Ok(None),
            Field::Value(NextOffset::Number(next)) if *next > begins => return Ok(Some(*next)),
            Field::Value(NextOffset::Number(next)) => format!("is {next}, which does not lead forward"),
            Field::Value(NextOffset::Opaque(_)) => "is a text instead of a number".to_owned(),
            Field::Malformed(what) => format!("is {what} instead of a number"),
        };
        let message =
            format!("could not continue `{path}` from offset {begins}: the answer's `next_offset` {fault}");
        Err(Error::new(ErrorKind::Unexpected, message))
    }

    /// Where the trail is on the page; `None` if it is not there.
    fn locate(&self, keys: &[Option<&str>], next: Option<i64>) -> Option<Found> {
        let at_place = |(distance, key): &(i64, String)| {
            let index = usize::try_from(self.overlap - distance).ok()?;
            // After a step back, the objects before it may be new.
            let seen = usize::from(index == 0);
            (*keys.get(index)? == Some(key.as_str())).then_some(Found { shift: 0, seen })
        };
        // An empty page that is not the last one gives no information.
        if self.trail.is_empty() || (keys.is_empty() && next.is_some()) {
            return Some(Found { shift: 0, seen: 0 });
        }
        if let Some(found) = self.trail.first().and_then(at_place) {
            return Some(found);
        }
        let elsewhere = self.trail.iter().find_map(|(distance, key)| {
            let index = keys.iter().rposition(|found| *found == Some(key.as_str()))?;
            let index = i64::try_from(index).ok()?;
            Some(Found { shift: index + distance - self.overlap, seen: 0 })
        });
        // The beginning of the list can't move.
        elsewhere.or((self.begins() == 0).then_some(Found { shift: 0, seen: 0 }))
    }

    /// Moves the beginning of the page back, to read the objects before it again.
    fn step_back(&self, path: &str, limit: u32) -> Result<Step, Error> {
        if self.steps >= MOST_STEPS {
            let message = format!("could not read `{path}`: it changes faster than it can be read");
            return Err(Error::new(ErrorKind::Unexpected, message).remedy(QUIETER));
        }
        // One object less than a page: a longer step would leave a gap.
        let overlap = self.overlap.saturating_add(i64::from(limit.max(2)) - 1).min(self.offset);
        let back = Self { overlap, steps: self.steps + 1, ..self.clone() };
        Ok(Step::more(&back))
    }
}

impl Step {
    fn more(cursor: &Cursor) -> Self {
        Self { progress: Progress::More(cursor.to_string()), remark: None, seen: 0 }
    }

    fn done() -> Self {
        Self { progress: Progress::Done(None), remark: None, seen: 0 }
    }
}

/// The list ended after `found` objects, but the vendor says that it has more.
fn too_short(path: &str, found: u64, said: u64) -> Error {
    let message =
        format!("could not read all of `{path}`: it ended after {found} objects, and Duo says it has {said}");
    Error::new(ErrorKind::Unexpected, message).remedy(
        "read the stream again; if that does not help, ask Duo Support why the list has fewer objects than its \
         `total_objects`",
    )
}

/// Two walks saw the same objects, but the vendor says that there are more.
fn other_total(path: &str, found: u64, said: u64) -> String {
    format!("`{path}` has {found} objects in two reads, and Duo says it has {said} (`total_objects`)")
}

/// No page gave the total, so the list may be incomplete.
fn without_total(path: &str) -> Error {
    let message = format!(
        "could not read all of `{path}`: no answer says in `metadata` how many objects it has, so some may be missing"
    );
    Error::new(ErrorKind::Unexpected, message)
        .remedy("read the stream again; if that does not help, ask Duo Support")
}

/// Some objects have no key: each may be any of the known objects.
fn keyless(path: &str) -> Error {
    let message = format!(
        "could not read all of `{path}`: it has objects without a key, which may be any of the known objects"
    );
    Error::new(ErrorKind::Unexpected, message)
        .remedy("see the problems of this stream; none of its objects is marked as removed")
}

/// The order of the list changed during each walk.
fn out_of_order(path: &str) -> Error {
    let message = format!(
        "could not read all of `{path}`: its order changed each of the {MOST_SWEEPS} times that it was read, so an \
         object may be missing"
    );
    Error::new(ErrorKind::Unexpected, message).remedy(QUIETER)
}

/// Where the trail was found.
struct Found {
    /// By how many places it moved towards the end of the list.
    shift: i64,
    /// How many objects at the beginning of the page were on the previous page.
    seen: usize,
}

/// The trail of a walk that continues at `offset`, from the objects of a page that began at `begins`.
fn trail(keys: &[Option<&str>], begins: i64, offset: i64) -> Vec<(i64, String)> {
    let anchor = |distance: i64| {
        let index = usize::try_from(offset - begins - distance).ok()?;
        let key = keys.get(index).copied().flatten().filter(|key| is_key(key))?;
        Some((distance, key.to_owned()))
    };
    let last = i64::try_from(keys.len()).unwrap_or(i64::MAX);
    // The page may have fewer objects than the distance to the next page.
    let gap = (offset - begins - last).max(0);
    TRAIL.iter().filter_map(|distance| anchor(gap + distance)).collect()
}

/// Whether a cursor can contain the key.
fn is_key(key: &str) -> bool {
    (1..=64).contains(&key.len())
        && key.chars().all(|char| char.is_ascii_graphic() && !matches!(char, ';' | ',' | '='))
}

/// How many objects the list has, if the vendor says so.
pub(crate) fn total(metadata: &Metadata) -> Option<u64> {
    metadata.total_objects.clone().ok().and_then(|total| u64::try_from(total.0).ok())
}

#[cfg(test)]
mod changing;
#[cfg(test)]
mod tests;
