//! Lists that change at random during the walk.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::api::Total;

/// A list, and the changes before each page.
#[derive(Clone, Debug)]
struct Changing {
    objects: Vec<u32>,
    changes: Vec<Vec<Change>>,
}

#[derive(Clone, Debug)]
enum Change {
    Delete(Index),
    /// This many objects in a row.
    DeleteMany(Index, usize),
    Insert(Index),
    /// From one place to another, as in a list that is sorted by name when a name changes.
    Move(Index, Index),
}

struct Walked {
    /// The objects that existed during the whole walk.
    stayed: BTreeSet<u32>,
    seen: BTreeSet<u32>,
    /// Why the list was not read completely.
    error: Option<Error>,
    /// Whether an object moved in the last sweep, after its first page was read.
    moved_at_last: bool,
    /// Whether objects moved between two pages of the first sweep without changing the total or the last seen object.
    hidden: bool,
    sweeps: u32,
}

impl Walked {
    fn missed(&self) -> Vec<&u32> {
        self.stayed.difference(&self.seen).collect()
    }
}

impl Changing {
    /// Walks through the list with pages of `limit`. If `at_first`, the list changes only in the first sweep.
    fn walk(mut self, limit: u32, at_first: bool) -> Walked {
        let mut walked = Walked {
            stayed: self.objects.iter().copied().collect(),
            seen: BTreeSet::new(),
            error: None,
            moved_at_last: false,
            hidden: false,
            sweeps: 0,
        };
        let mut fresh = 1_000_000;
        let mut position = Position::Beginning;
        let mut cursors = BTreeSet::new();
        for page in 0.. {
            let cursor = Cursor::at(&position, None).unwrap();
            if cursor.sweeps > walked.sweeps {
                (walked.sweeps, walked.moved_at_last) = (cursor.sweeps, false);
            }
            if !at_first || cursor.sweeps == 0 {
                let shown = |objects: &[u32]| {
                    let last = usize::try_from(cursor.offset).unwrap().checked_sub(1);
                    (last.and_then(|last| objects.get(last).copied()), objects.len())
                };
                let before = shown(&self.objects);
                let moves = self.change(page, &mut fresh, &mut walked.stayed);
                // Nothing was read before the first page of a sweep.
                if moves && cursor.offset > 0 {
                    walked.moved_at_last = true;
                    walked.hidden |= cursor.sweeps == 0 && shown(&self.objects) == before;
                }
            }
            let begins = usize::try_from(cursor.begins()).unwrap();
            let end = self.objects.len().min(begins + limit as usize);
            let objects = self.objects.get(begins..end).unwrap_or_default();
            let metadata = Metadata {
                next_offset: if end < self.objects.len() {
                    Field::Value(NextOffset::Number(end.try_into().unwrap()))
                } else {
                    Field::Missing
                },
                total_objects: Field::Value(Total(self.objects.len().try_into().unwrap())),
            };
            let keys: Vec<String> = objects.iter().map(ToString::to_string).collect();
            let keys: Vec<_> = keys.iter().map(|key| Some(key.as_str())).collect();
            let step = match cursor.next("/p", &metadata, &keys, limit) {
                Ok(step) => step,
                Err(error) => return Walked { error: Some(error), ..walked },
            };
            // Skipped objects must have been on an earlier page.
            assert!(objects.iter().take(step.seen).all(|object| walked.seen.contains(object)));
            walked.seen.extend(objects.iter().skip(step.seen));
            match step.progress {
                Progress::Done(_) => return walked,
                Progress::More(cursor) => {
                    assert!(cursor.len() <= 4096);
                    assert!(cursors.insert(cursor.clone()), "the cursor is a repetition: {cursor}");
                    position = Position::At(cursor);
                }
            }
        }
        unreachable!()
    }

    /// Applies the changes before this page. Returns whether an object moves.
    fn change(&mut self, page: usize, fresh: &mut u32, stayed: &mut BTreeSet<u32>) -> bool {
        let mut moves = false;
        for change in self.changes.get(page).into_iter().flatten() {
            let len = self.objects.len();
            match change {
                Change::Insert(index) => {
                    self.objects.insert(index.index(len + 1), *fresh);
                    *fresh += 1;
                }
                _ if len == 0 => {}
                Change::Delete(index) => {
                    stayed.remove(&self.objects.remove(index.index(len)));
                }
                Change::DeleteMany(index, count) => {
                    let from = index.index(len);
                    for gone in self.objects.drain(from..len.min(from + count)) {
                        stayed.remove(&gone);
                    }
                }
                Change::Move(from, to) => {
                    let object = self.objects.remove(from.index(len));
                    self.objects.insert(to.index(len), object);
                    moves = true;
                }
            }
        }
        moves
    }
}

fn changes(
    change: impl Strategy<Value = Change> + Clone + 'static,
    at_once: usize,
) -> impl Strategy<Value = Changing> {
    let changes = prop::collection::vec(prop::collection::vec(change, 0..=at_once), 0..30);
    (0_u32..120, changes).prop_map(|(objects, changes)| Changing { objects: (0..objects).collect(), changes })
}

fn change() -> impl Strategy<Value = Change> + Clone {
    prop_oneof![
        any::<Index>().prop_map(Change::Delete),
        (any::<Index>(), 1_usize..40).prop_map(|(index, count)| Change::DeleteMany(index, count)),
        any::<Index>().prop_map(Change::Insert),
    ]
}

/// The same changes, and moves.
fn change_or_move() -> impl Strategy<Value = Change> + Clone {
    prop_oneof![2 => change(), 1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Move(from, to))]
}

/// A change of one object: deleted or created.
fn one_change() -> impl Strategy<Value = Change> + Clone {
    prop_oneof![any::<Index>().prop_map(Change::Delete), any::<Index>().prop_map(Change::Insert)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn whatever_comes_and_goes_what_stays_is_seen(list in changes(change(), 4), limit in 2_u32..25) {
        let walked = list.walk(limit, false);
        prop_assert!(walked.missed().is_empty(), "missed {:?}", walked.missed());
    }

    #[test]
    fn what_moves_alone_or_beside_another_change_is_seen(
        objects in 0_u32..120,
        quiet in 0_usize..30,
        from in any::<Index>(),
        to in any::<Index>(),
        other in prop::option::of(one_change()),
        other_first in any::<bool>(),
        limit in 2_u32..25,
    ) {
        let mut changes = vec![Vec::new(); quiet];
        let mut at_once: Vec<_> = [Change::Move(from, to)].into_iter().chain(other).collect();
        if other_first {
            at_once.reverse();
        }
        changes.push(at_once);
        let walked = Changing { objects: (0..objects).collect(), changes }.walk(limit, false);
        prop_assert!(walked.missed().is_empty(), "missed {:?}", walked.missed());
        prop_assert_eq!(walked.error, None);
    }

    #[test]
    fn whatever_moves_comes_and_goes_in_the_first_walk_is_seen_in_the_next(
        list in changes(change_or_move(), 4),
        limit in 2_u32..25,
    ) {
        let walked = list.walk(limit, true);
        prop_assert!(walked.hidden || walked.missed().is_empty(), "missed {:?}", walked.missed());
        prop_assert_eq!(&walked.error, &None);
        prop_assert!(walked.sweeps <= 1, "a walk without changes is the last one");
    }

    #[test]
    fn a_walk_in_whose_last_sweep_the_order_holds_misses_nothing_or_says_so(
        list in changes(change_or_move(), 3),
        limit in 2_u32..25,
    ) {
        let walked = list.walk(limit, false);
        let is_told = walked.error.is_some() || walked.moved_at_last;
        prop_assert!(is_told || walked.missed().is_empty(), "missed {:?}", walked.missed());
    }

    #[test]
    fn a_list_that_stays_as_it_is_is_read_once(objects in 0_u32..300, limit in 2_u32..50) {
        let list = Changing { objects: (0..objects).collect(), changes: vec![] };
        let Walked { stayed, seen, error, sweeps, .. } = list.walk(limit, false);
        prop_assert_eq!((stayed, error, sweeps), (seen, None, 0));
    }
}
