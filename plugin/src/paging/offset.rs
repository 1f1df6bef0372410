//! The walk through a list by offset. Knows nothing of objects but their keys.
//!
//! The vendor says where the next page begins (`metadata.next_offset`); nothing is computed from the length of
//! a page, because "the service is free to return a different number" than was asked for. No `next_offset` is
//! the end of the list.
//!
//! The list may change while it is walked through: an object deleted before the place where a page ended moves all
//! others up by one, and the next page would begin after one that was never seen. So each page begins with the last object
//! of the page before (the overlap). Where that is not there, the walk steps back, a page at a time, until it meets an
//! object that it saw (the trail): all that follows that one is read again.
//!
//! # What holds
//!
//! - Objects may come and go anywhere: one that is there from the beginning to the end is seen, as long as those that stay
//!   keep their order.
//! - Where the list is ordered by a name, a new name moves an object, perhaps from the part that was not read yet into the
//!   part that was. A walk that met a change, of the total or of the place of the trail, is followed by another one: whoever
//!   was missed is seen then, if the order holds so long.
//! - Where it does not, and the other walk can tell (what was read was moved on by more than was created), a third one
//!   follows, and then an error. It can't tell a growing list from one with new names: one that grows is not to be
//!   walked through for ever.
//! - What can't be detected: new names and other changes between the same two pages that cancel each other out, so that the
//!   total and the place of the last object that was seen stay as they were.
//!
//! # The end
//!
//! A list that does not change is walked through once, and is complete where as many objects were seen as `total_objects`
//! says. Objects are counted, not offsets: a page may be shorter than the way to the next one. Where something is missing, the
//! end is asked for once more, and then the list is walked through again. `total_objects` is a hint: where both walks saw the
//! same objects, without a hole between two pages, the list is complete, and a problem tells both numbers. Otherwise, and where
//! the list never said how many objects it has, the walk ends with an error.
//!
//! An object without a key may be any known one, so a walk that met one ends with an error, after all that could be read.
//!
//! # The cursor
//!
//! A cursor is `v3:offset=300;trail=1.DU7,2.DU3;total=951;seen=300.9f`: a version, then named values joined by `;`, in the
//! order of the fields of [`Cursor`], those left out that have their default. A name that this version does not
//! know is refused like a version that it does not know.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::api::{Metadata, NextOffset};
use crate::contract::{Error, ErrorKind, Position, Progress};
use crate::lenient::Field;

/// The version of cursors, raised when they change their meaning.
pub(crate) const CURSOR_VERSION: u32 = 3;
const VERSION: &str = "v3";
/// How far before the next object those of the trail are. Far ones serve where many near ones are deleted at once.
const TRAIL: [i64; 14] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 96, 128, 256];
/// Walks through one list whose order does not hold. One that never does would be walked through for ever.
const MOST_SWEEPS: u32 = 3;
/// Steps back in one stream, for the same reason.
const MOST_STEPS: u32 = 1000;
/// The bytes of keys in a cursor, of the 4096 that it may have.
const LONGEST_LEFT: usize = 2048;
/// What helps where it changes too fast.
const QUIETER: &str = "read it when less is changed in Duo";

/// Where a page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// How many objects come before the ones that were not seen yet.
    offset: i64,
    /// How many of those before are read again.
    overlap: i64,
    /// Which list, where a stream reads a second one after or instead of its first.
    pub(crate) list: Option<&'static str>,
    /// Objects that were seen, the last one first: how far before `offset`, and the key.
    trail: Vec<(i64, String)>,
    /// How many objects the list has, as the vendor said last: not each of its pages says it.
    total: Option<u64>,
    /// The objects that this walk through the list saw.
    seen: Sum,
    /// The objects that the walk before this one saw.
    before: Option<Sum>,
    /// Times that the walk stepped back.
    steps: u32,
    /// Times that the list was walked through before.
    sweeps: u32,
    /// Something came, went or moved during this walk through the list.
    changed: bool,
    /// An object came from the part that was not read yet into the part that was.
    moved: bool,
    /// The next page begins behind the last object of the page before it.
    hole: bool,
    /// An object had no key.
    keyless: bool,
    /// Something of the list seems to be missing: the same place is asked for once more.
    doubt: bool,
    /// What the stream can't read beside this list was told, and is not tried again in this walk.
    pub(crate) told: bool,
    /// Keys of objects of the page before that must still be asked for one by one. The list is read on after them.
    pub(crate) left: Vec<String>,
    /// The list has no page after these.
    pub(crate) ended: bool,
}

/// How many objects there are, and which: the sum of the hashes of their keys.
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
    /// What a person should know of a list that is complete.
    pub(crate) remark: Option<String>,
    /// Which objects of the page were on the page before.
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

/// How far before the next object the nearest one of a trail is.
fn nearest(trail: &[(i64, String)]) -> i64 {
    trail.first().map_or(0, |(distance, _)| *distance)
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

    /// At the beginning of the list called `list`.
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
        // Only what `Display` writes: no sign, no leading zero, no other order.
        (is_sound && cursor.to_string() == text).then_some(cursor)
    }

    /// After objects that must still be asked for one by one, the list goes on with `progress`. `None` where a key can't stand in
    /// a cursor.
    pub(crate) fn after(left: Vec<String>, progress: &Progress) -> Option<Self> {
        let next = match progress {
            Progress::More(cursor) => Self::parse(cursor, None)?,
            Progress::Done(_) => Self { ended: true, ..Self::default() },
        };
        let is_short = left.iter().map(|key| key.len() + 1).sum::<usize>() < LONGEST_LEFT;
        (is_short && left.iter().all(|key| is_key(key))).then_some(Self { left, ..next })
    }

    /// What follows, once there is nothing left.
    pub(crate) fn without_left(&self) -> Progress {
        let on = Self { left: Vec::new(), ended: false, ..self.clone() };
        if self.ended { Progress::Done(None) } else { Progress::More(on.to_string()) }
    }

    /// How many objects come before the page.
    pub(crate) fn begins(&self) -> i64 {
        self.offset - self.overlap
    }

    /// The parameters that ask for at most `limit` objects from here.
    pub(crate) fn params(&self, limit: u32) -> [(&'static str, String); 2] {
        [("limit", limit.to_string()), ("offset", self.begins().to_string())]
    }

    /// What follows the page that began here, read from `path`, with objects of these `keys`, of which `limit` were
    /// asked for.
    ///
    /// # Errors
    ///
    /// `unexpected` where the vendor would have the walk go in circles, or gives no number; where the list changes
    /// faster than it can be read; and where something of it is missing at its end. The last one comes after all
    /// that could be read: at an end, the host marks as removed what was not seen.
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
        // An overlap as long as a page would not lead on; nor does one that the vendor does not count as we do.
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
        // Where nothing followed when the end was asked for once more, that is how it is. Nor does asking for ever help where
        // nothing says how much should follow.
        let is_certain = self.doubt && (end <= self.offset || total.is_none());
        let step = on.end(path, end, is_certain)?;
        Ok(Step { seen: found.seen, ..step })
    }

    /// What follows the last page of the list, which ended at the offset `end`.
    fn end(self, path: &str, end: i64, is_certain: bool) -> Result<Step, Error> {
        // Growth looks like new names; a list that always grows must come to an end.
        let again = (self.changed && self.sweeps == 0) || (self.moved && self.sweeps + 1 < MOST_SWEEPS);
        let end = u64::try_from(end).unwrap_or_default();
        // In a list that changed, objects before this place were added and deleted since they were counted.
        let found = if self.changed { end } else { end.min(self.seen.count) };
        let is_short = self.total.is_none_or(|total| total > found);
        // Asking once more keeps what is on this page, and costs a small request.
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

    /// At the beginning of the same list, once more.
    fn again(&self) -> Self {
        let Self { list, steps, sweeps, told, seen, .. } = *self;
        Self { list, steps, sweeps: sweeps + 1, told, before: Some(seen), ..Self::default() }
    }

    /// Whether the list is another one than at the page before: what was seen moved by `shift`, or was not where it was,
    /// or there are more or fewer objects.
    fn has_changed(&self, shift: i64, total: Option<u64>) -> bool {
        let recounted = total.zip(self.total).is_some_and(|(now, before)| now != before);
        shift != 0 || recounted || self.has_stepped_back()
    }

    /// Whether the page begins further back than the nearest object of the trail, which was missed at its place.
    fn has_stepped_back(&self) -> bool {
        self.overlap > nearest(&self.trail)
    }

    /// Whether an object came from the part that was not read yet into the part that was: what was seen moved towards the
    /// end by `shift`, and that is not because there are more objects.
    fn has_moved(&self, shift: i64, total: Option<u64>) -> bool {
        let count = |total: u64| i64::try_from(total).unwrap_or(i64::MAX);
        let grown = total.zip(self.total).map(|(now, before)| count(now) - count(before));
        // What was missed at its place should have moved towards the beginning.
        let missed = self.has_stepped_back() && shift >= 0 && self.begins() > 0;
        missed || (shift > 0 && grown.is_none_or(|grown| grown < shift))
    }

    /// Where the vendor says that the next page begins.
    fn next_offset(&self, path: &str, metadata: &Metadata) -> Result<Option<i64>, Error> {
        let begins = self.begins();
        let fault = match &metadata.next_offset {
            Field::Missing => return Ok(None),
            Field::Value(NextOffset::Number(next)) if *next > begins => return Ok(Some(*next)),
            Field::Value(NextOffset::Number(next)) => format!("is {next}, which does not lead on"),
            Field::Value(NextOffset::Opaque(_)) => "is a text instead of a number".to_owned(),
            Field::Malformed(what) => format!("is {what} instead of a number"),
        };
        let message =
            format!("could not read `{path}` on from offset {begins}: the answer's `next_offset` {fault}");
        Err(Error::new(ErrorKind::Unexpected, message))
    }

    /// Where on the page the trail is met; `None` where it is not.
    fn locate(&self, keys: &[Option<&str>], next: Option<i64>) -> Option<Found> {
        let at_place = |(distance, key): &(i64, String)| {
            let index = usize::try_from(self.overlap - distance).ok()?;
            // After a step back, what comes before it may be new.
            let seen = usize::from(index == 0);
            (*keys.get(index)? == Some(key.as_str())).then_some(Found { shift: 0, seen })
        };
        // A page without objects, and another one after it, tells nothing.
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
        // The beginning of the list is a place that can't move.
        elsewhere.or((self.begins() == 0).then_some(Found { shift: 0, seen: 0 }))
    }

    /// Reads again what comes before the page that began here.
    fn step_back(&self, path: &str, limit: u32) -> Result<Step, Error> {
        if self.steps >= MOST_STEPS {
            let message = format!("could not read `{path}`: it changes faster than it can be read");
            return Err(Error::new(ErrorKind::Unexpected, message).remedy(QUIETER));
        }
        // One more than fits would leave a gap.
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

/// The list ended after `found` objects, and the vendor says that it has more.
fn too_short(path: &str, found: u64, said: u64) -> Error {
    let message =
        format!("could not read all of `{path}`: it ended after {found} objects, and Duo says it has {said}");
    Error::new(ErrorKind::Unexpected, message).remedy(
        "read it again; where that does not help, ask Duo Support why the list has fewer objects than its \
         `total_objects`",
    )
}

/// Two walks saw the same objects, and the vendor says that there are more.
fn other_total(path: &str, found: u64, said: u64) -> String {
    format!("`{path}` has {found} objects in two reads, and Duo says it has {said} (`total_objects`)")
}

/// Nothing says whether the list is complete.
fn without_total(path: &str) -> Error {
    let message = format!(
        "could not read all of `{path}`: no answer says in `metadata` how many objects it has, so some may be missing"
    );
    Error::new(ErrorKind::Unexpected, message)
        .remedy("read it again; where that does not help, ask Duo Support")
}

/// Some objects can't be told apart from objects that were deleted.
fn keyless(path: &str) -> Error {
    let message = format!(
        "could not read all of `{path}`: it has objects without a key, which may be any of the known objects"
    );
    Error::new(ErrorKind::Unexpected, message)
        .remedy("see the problems of this stream; nothing of it is marked as removed")
}

/// No sweep met the list in one order.
fn out_of_order(path: &str) -> Error {
    let message = format!(
        "could not read all of `{path}`: its order changed each of the {MOST_SWEEPS} times that it was read, so an \
         object may be missing"
    );
    Error::new(ErrorKind::Unexpected, message).remedy(QUIETER)
}

/// The trail, met again.
struct Found {
    /// By how much it moved towards the end of the list.
    shift: i64,
    /// How many objects at the beginning of the page were on the page before.
    seen: usize,
}

/// The trail of a walk that continues at `offset`, of a page that began at `begins`.
fn trail(keys: &[Option<&str>], begins: i64, offset: i64) -> Vec<(i64, String)> {
    let anchor = |distance: i64| {
        let index = usize::try_from(offset - begins - distance).ok()?;
        let key = keys.get(index).copied().flatten().filter(|key| is_key(key))?;
        Some((distance, key.to_owned()))
    };
    let last = i64::try_from(keys.len()).unwrap_or(i64::MAX);
    // The page may be shorter than the way to the next one.
    let gap = (offset - begins - last).max(0);
    TRAIL.iter().filter_map(|distance| anchor(gap + distance)).collect()
}

/// Whether it can stand in a cursor.
fn is_key(key: &str) -> bool {
    (1..=64).contains(&key.len())
        && key.chars().all(|char| char.is_ascii_graphic() && !matches!(char, ';' | ',' | '='))
}

/// How many objects the list has, where the vendor says.
pub(crate) fn total(metadata: &Metadata) -> Option<u64> {
    metadata.total_objects.clone().ok().and_then(|total| u64::try_from(total.0).ok())
}

#[cfg(test)]
mod changing;
#[cfg(test)]
mod tests;
