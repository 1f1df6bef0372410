//! Missing objects: if too many are missing at once, they are kept until a second run agrees.

use super::*;

/// A run that sees the groups with these numbers. Returns what it held.
fn sees(store: &mut Writer, numbers: impl Iterator<Item = u32>) -> Option<HeldRemovals> {
    let run = store.begin_run(&start()).unwrap().id;
    store.begin_stream(run, &name("groups"), false, 1).unwrap();
    let groups = numbers.map(|number| group(&number.to_string(), "group")).collect();
    let held = store.commit_page(run, &name("groups"), &page(groups, done()), &reader()).unwrap();
    let outcome = if held.is_some() { RunOutcome::Partial } else { RunOutcome::Complete };
    let state = store.reader().run("acme", run).unwrap().unwrap().streams.remove(0).state;
    assert_eq!(state, if held.is_some() { StreamState::Incomplete } else { StreamState::Complete });
    store.finish_run(run, outcome).unwrap();
    store.forget_old_runs(run, 400).unwrap();
    held
}

fn present(store: &Writer) -> usize {
    names(store.reader()).len()
}

#[test]
fn more_than_a_fifth_of_a_type_is_removed_only_by_a_second_run_that_agrees() {
    let (_folder, mut store) = open();
    assert_eq!(sees(&mut store, 0..100), None);
    let held = HeldRemovals { source_type: "group".to_owned(), held: 21, present: 100 };
    assert_eq!(sees(&mut store, 21..100), Some(held));
    assert_eq!(present(&store), 100);
    // Others are missing now: the second run does not agree.
    assert!(sees(&mut store, 0..70).is_some());
    assert_eq!(present(&store), 100);
    // This run agrees on the thirty, and only a few others are missing.
    assert_eq!(sees(&mut store, 5..70), None);
    assert_eq!(present(&store), 65);
}

#[test]
fn an_empty_answer_removes_nothing_at_first() {
    let (_folder, mut store) = open();
    sees(&mut store, 0..750);
    assert_eq!(sees(&mut store, 0..0).unwrap().held, 750);
    assert_eq!(present(&store), 750);
    // The answer was wrong.
    assert_eq!(sees(&mut store, 0..749), None);
    assert_eq!(present(&store), 749);
    // It does not confirm a later empty answer.
    assert!(sees(&mut store, 0..0).is_some());
    assert_eq!(sees(&mut store, 0..0), None);
    assert_eq!(present(&store), 0);
}

#[test]
fn few_objects_a_small_share_and_a_limit_of_the_operator_are_removed_at_once() {
    for (before, after, percent) in [(25, 6, 20), (100, 80, 20), (750, 0, 100)] {
        let (_folder, mut store) = open();
        store.limit_removals(percent);
        sees(&mut store, 0..before);
        assert_eq!(sees(&mut store, 0..after), None, "{before} to {after}");
        assert_eq!(present(&store), after as usize);
    }
}

#[test]
fn a_run_that_ended_early_for_another_reason_is_no_confirmation() {
    let (_folder, mut store) = open();
    sees(&mut store, 0..100);
    let run = store.begin_run(&start()).unwrap().id;
    store.begin_stream(run, &name("groups"), false, 1).unwrap();
    store.end_stream(run, &incomplete("groups", StreamState::Incomplete, "cut off")).unwrap();
    store.finish_run(run, RunOutcome::Partial).unwrap();
    assert!(sees(&mut store, 50..100).is_some());
    assert_eq!(present(&store), 100);
}

#[test]
fn a_run_without_the_stream_does_not_turn_the_next_one_into_a_confirmation() {
    let (_folder, mut store) = open();
    sees(&mut store, 0..100);
    assert!(sees(&mut store, 50..100).is_some());
    // Its end deletes the bitmaps of the run that held the removals.
    let run = store.begin_run(&start()).unwrap().id;
    store.end_stream(run, &incomplete("groups", StreamState::Skipped, "no permission")).unwrap();
    store.finish_run(run, RunOutcome::Partial).unwrap();
    store.forget_old_runs(run, 400).unwrap();
    // Other objects are missing now: there is nothing left that could confirm it.
    assert!(sees(&mut store, 0..50).is_some());
    assert_eq!(present(&store), 100);
    assert_eq!(sees(&mut store, 0..50), None);
    assert_eq!(present(&store), 50);
}
