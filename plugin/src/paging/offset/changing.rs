//! Lists that change while they are walked through, at random.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::api::Total;

/// A list, and what happens to it between two pages.
#[derive(Clone, Debug)]
struct Changing {
    objects: Vec<u32>,
    changes: Vec<Vec<Change>>,
}

#[derive(Clone, Debug)]
enum Change {
    Delete(Index),
    /// So many in a row.
    DeleteMany(Index, usize),
    Insert(Index),
    /// From one place to another, as where the list is sorted by a name that changes.
    Move(Index, Index),
}

struct Walked {
    /// The objects that were there from the beginning to the end.
    stayed: BTreeSet<u32>,
    seen: BTreeSet<u32>,
    /// Why the list was not read whole.
    error: Option<Error>,
}

impl Changing {
    fn walk(mut self, limit: u32) -> Walked {
        let mut stayed: BTreeSet<u32> = self.objects.iter().copied().collect();
        let mut fresh = 1_000_000;
        let mut seen = BTreeSet::new();
        let mut position = Position::Beginning;
        let mut cursors = BTreeSet::new();
        for page in 0.. {
            for change in self.changes.get(page).into_iter().flatten() {
                let len = self.objects.len();
                match change {
                    Change::Insert(index) => {
                        self.objects.insert(index.index(len + 1), fresh);
                        fresh += 1;
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
                    }
                }
            }
            let cursor = Cursor::at(&position, None).unwrap();
            let begins = usize::try_from(cursor.begins()).unwrap();
            let end = self.objects.len().min(begins + limit as usize);
            let objects = self.objects.get(begins..end).unwrap_or_default();
            let metadata = Metadata {
                next_offset: if end < self.objects.len() {
                    Field::Is(NextOffset::Number(end.try_into().unwrap()))
                } else {
                    Field::Absent
                },
                total_objects: Field::Is(Total(self.objects.len().try_into().unwrap())),
            };
            let keys: Vec<String> = objects.iter().map(ToString::to_string).collect();
            let keys: Vec<_> = keys.iter().map(|key| Some(key.as_str())).collect();
            let step = match cursor.next("/p", &metadata, &keys, limit) {
                Ok(step) => step,
                Err(error) => return Walked { stayed, seen, error: Some(error) },
            };
            // What is left out must have been on a page before.
            assert!(objects.iter().take(step.seen).all(|object| seen.contains(object)));
            seen.extend(objects.iter().skip(step.seen));
            match step.progress {
                Progress::Done(_) => return Walked { stayed, seen, error: None },
                Progress::More(cursor) => {
                    assert!(cursor.len() <= 4096);
                    assert!(cursors.insert(cursor.clone()), "the host would take it for a circle: {cursor}");
                    position = Position::At(cursor);
                }
            }
        }
        unreachable!()
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn whatever_comes_and_goes_what_stays_is_seen(list in changes(change(), 4), limit in 2_u32..25) {
        let Walked { stayed, seen, .. } = list.walk(limit);
        let missed: Vec<_> = stayed.difference(&seen).collect();
        prop_assert!(missed.is_empty(), "missed {missed:?}");
    }

    // Of several moves between the same pages, one can hide another: there, nothing is promised.
    #[test]
    fn what_moves_once_is_seen(
        objects in 0_u32..120,
        quiet in 0_usize..30,
        from in any::<Index>(),
        to in any::<Index>(),
        limit in 2_u32..25,
    ) {
        let mut changes = vec![Vec::new(); quiet];
        changes.push(vec![Change::Move(from, to)]);
        let list = Changing { objects: (0..objects).collect(), changes };
        let Walked { stayed, seen, .. } = list.walk(limit);
        let missed: Vec<_> = stayed.difference(&seen).collect();
        prop_assert!(missed.is_empty(), "missed {missed:?}");
    }

    #[test]
    fn a_list_that_stays_as_it_is_is_read_once(objects in 0_u32..300, limit in 2_u32..50) {
        let list = Changing { objects: (0..objects).collect(), changes: vec![] };
        let Walked { stayed, seen, error } = list.walk(limit);
        prop_assert_eq!((stayed, error), (seen, None));
    }
}
