//! Objects that two streams yield with different values.

use super::*;

/// A run of two streams, with their pages in this order: a stream that is named twice has two pages.
fn run_of(store: &mut Writer, pages: &[(&str, Vec<Entity>)]) -> RunId {
    let scope = names_of("groups, applications");
    let run = store.begin_run(&RunStart { scope: &scope, ..start() }).unwrap().id;
    for (index, (stream, entities)) in pages.iter().enumerate() {
        store.begin_stream(run, &name(stream), false, 1).unwrap();
        let is_last = !pages[index + 1..].iter().any(|(later, _)| later == stream);
        let progress = if is_last { done() } else { more(&index.to_string()) };
        let related = Page { relations: vec![access("1", "vpn")], ..page(entities.clone(), progress) };
        let related = if entities.is_empty() { Page { relations: vec![], ..related } } else { related };
        store.commit_page(run, &name(stream), &related, &reader()).unwrap();
    }
    store.finish_run(run, RunOutcome::Complete).unwrap();
    run
}

fn as_groups() -> Vec<Entity> {
    vec![group("1", "as groups has it")]
}

fn as_applications() -> Vec<Entity> {
    vec![group("1", "as applications has it")]
}

#[test]
fn an_object_that_two_streams_report_differently_does_not_change_with_their_order() {
    let (_folder, mut store) = open();
    let one =
        |store: &mut Writer| run_of(store, &[("groups", as_groups()), ("applications", as_applications())]);
    let other =
        |store: &mut Writer| run_of(store, &[("applications", as_applications()), ("groups", as_groups())]);
    let woven = |store: &mut Writer| {
        let pages = [("applications", vec![]), ("groups", as_groups()), ("applications", as_applications())];
        run_of(store, &pages)
    };
    one(&mut store);
    for again in [other, one, other, woven, other, one, woven] {
        let run = again(&mut store);
        assert_eq!(changes(&store, run), []);
        assert_eq!(names(store.reader()), ["as groups has it"]);
        assert_eq!(store.reader().relation_counts(run).unwrap()[0].seen, 1);
    }
}

#[test]
fn an_object_that_its_stream_no_longer_has_is_reassigned_to_the_stream_that_has_it() {
    for groups_first in [true, false] {
        let (_folder, mut store) = open();
        let run = |store: &mut Writer, of_groups: Vec<Entity>, of_applications: Vec<Entity>| {
            let mut pages = [("groups", of_groups), ("applications", of_applications)];
            if !groups_first {
                pages.reverse();
            }
            run_of(store, &pages)
        };
        run_of(&mut store, &[("groups", as_groups()), ("applications", as_applications())]);
        let moved = run(&mut store, vec![], as_applications());
        let kinds: Vec<_> = changes(&store, moved).into_iter().map(|(kind, ..)| kind).collect();
        assert!(!kinds.contains(&"removed".to_owned()), "another stream saw it: {kinds:?}");
        run(&mut store, vec![], as_applications());
        assert_eq!(names(store.reader()), ["as applications has it"]);
        let quiet = run(&mut store, vec![], as_applications());
        assert_eq!(changes(&store, quiet), []);
        // It belongs to that stream now, and no other stream yields it.
        let gone = run(&mut store, vec![], vec![]);
        assert_eq!(
            changes(&store, gone),
            [
                change("removed", "as applications has it", &[]),
                change("removed", "as applications has it access vpn", &[])
            ]
        );
        assert!(names(store.reader()).is_empty());
    }
}

#[test]
fn an_owner_that_is_not_part_of_the_run_loses_what_another_stream_sees() {
    let (_folder, mut store) = open();
    run_of(&mut store, &[("groups", as_groups()), ("applications", vec![])]);
    let applications = names_of("applications");
    let start = RunStart { scope: &applications, ..start() };
    let run = store.begin_run(&start).unwrap().id;
    store.begin_stream(run, &name("applications"), false, 1).unwrap();
    store.commit_page(run, &name("applications"), &page(as_applications(), done()), &reader()).unwrap();
    store.finish_run(run, RunOutcome::Complete).unwrap();
    assert_eq!(names(store.reader()), ["as applications has it"]);
}

#[test]
fn an_owner_that_may_not_be_read_keeps_what_another_stream_sees() {
    let (_folder, mut store) = open();
    run_of(&mut store, &[("groups", as_groups()), ("applications", as_applications())]);
    let run = store.begin_run(&RunStart { scope: &names_of("groups, applications"), ..start() }).unwrap().id;
    store.end_stream(run, &incomplete("groups", StreamState::Skipped, "no grant")).unwrap();
    store.begin_stream(run, &name("applications"), false, 1).unwrap();
    store.commit_page(run, &name("applications"), &page(as_applications(), done()), &reader()).unwrap();
    assert_eq!(changes(&store, run), []);
    assert_eq!(names(store.reader()), ["as groups has it"]);
    assert_eq!(store.reader().entity_counts(run).unwrap()[0].seen, 1, "it was seen");
}

#[test]
fn a_first_read_of_a_stream_corrects_removals_that_another_stream_recorded() {
    let (_folder, mut store) = open();
    let groups = names_of("groups");
    let scope = RunStart { scope: &groups, ..start() };
    let first = store.begin_run(&scope).unwrap().id;
    store.begin_stream(first, &name("groups"), false, 1).unwrap();
    let both = page(vec![group("1", "one"), group("2", "two")], done());
    store.commit_page(first, &name("groups"), &both, &reader()).unwrap();
    store.finish_run(first, RunOutcome::Complete).unwrap();
    // Two groups disappear; one of them is among the applications, which were never read before.
    let second = run_of(&mut store, &[("groups", vec![]), ("applications", vec![group("1", "one")])]);
    assert_eq!(changes(&store, second), [change("removed", "two", &[])]);
}
