//! What is deleted with old runs, and what is kept.

use super::*;

/// Makes runs old.
fn age(store: &Writer, runs: &str) {
    let age = format!(
        "UPDATE run SET started_at = '2020-01-01T00:00:00.000Z', finished_at = '2020-01-01T00:01:00.000Z' WHERE {runs}"
    );
    store.reader().connection.execute(&age, []).unwrap();
}

fn count(store: &Writer, what: &str) -> i64 {
    store
        .reader()
        .connection
        .query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0))
        .unwrap()
}

fn dangles(store: &Writer) -> bool {
    store.reader().connection.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap()
}

#[test]
fn old_runs_are_deleted_with_their_changes_and_problems() {
    let (_folder, mut store) = open();
    let mut last = RunId(0);
    for number in 0..20 {
        let name = format!("name {}", number % 3);
        let problem = Problem { source_id: None, field: None, message: "odd".to_owned() };
        last = run(
            &mut store,
            &Page { problems: vec![problem], ..page(vec![group("1", &name), group("2", "two")], done()) },
        );
    }
    age(&store, "id <= 10");
    store.forget_old_runs(last, 400).unwrap();
    assert!(!dangles(&store));
    // The objects were first seen in the first run.
    assert_eq!(count(&store, "run WHERE id <= 10"), 1);
    assert_eq!(
        (count(&store, "change WHERE run_id <= 10"), count(&store, "problem WHERE run_id <= 10")),
        (0, 0)
    );
    assert_eq!((count(&store, "change"), count(&store, "problem")), (10, 10));
    assert_eq!(names(store.reader()).len(), 2);
    let next = run(&mut store, &page(vec![group("1", "other"), group("2", "two")], done()));
    assert_eq!(changes(&store, next).len(), 1, "it is compared with the run before");
}

#[test]
fn pages_of_all_but_the_last_runs_are_kept_as_numbers() {
    let (_folder, mut store) = open();
    let mut last = RunId(0);
    for _ in 0..8 {
        last = run(&mut store, &page(vec![group("1", "one")], done()));
        store.forget_old_runs(last, 400).unwrap();
    }
    assert_eq!(count(&store, "run_page"), 5);
    assert_eq!(
        count(&store, "run_page WHERE seen_entities IS NOT NULL"),
        1,
        "only the bitmap of the last run"
    );
    for run in 1..=8 {
        let readers = store.reader().connectors_of(RunId(run)).unwrap();
        assert_eq!(readers.iter().map(|reader| reader.pages).collect::<Vec<_>>(), [1], "of run {run}");
    }
    assert_eq!(store.reader().runs(None, 100).unwrap().len(), 8);
    assert_eq!(store.reader().entity_counts(last).unwrap()[0].seen, 1);
}

#[test]
fn runs_that_later_runs_need_are_never_deleted() {
    let (_folder, mut store) = open();
    let log = |progress| Page {
        usages: vec![Usage {
            identity: None,
            identity_name: None,
            resource: access("1", "vpn").child,
            resource_name: None,
            last_success: Some(1),
            last_attempt: None,
        }],
        window: Some(Window { from: 0, to: 1 }),
        ..page(vec![], progress)
    };
    run(&mut store, &log(Progress::Done(Some("bookmark".to_owned()))));
    let cut_off = store.begin_run(&start()).unwrap().id;
    store.begin_stream(cut_off, &name("log"), true, 1).unwrap();
    store.commit_page(cut_off, &name("log"), &page(vec![], more("cursor")), &reader()).unwrap();
    store.end_stream(cut_off, &incomplete("log", StreamState::Incomplete, "the vendor went away")).unwrap();
    store.finish_run(cut_off, RunOutcome::Partial).unwrap();
    let mut last = cut_off;
    for _ in 0..10 {
        last = store.begin_run(&start()).unwrap().id;
        for stream in ["groups", "log"] {
            store.end_stream(last, &incomplete(stream, StreamState::Skipped, "no grant")).unwrap();
        }
        store.finish_run(last, RunOutcome::Partial).unwrap();
    }
    age(&store, "1");
    store.forget_old_runs(last, 400).unwrap();
    assert!(!dangles(&store));
    assert_eq!(count(&store, "run"), 7, "the bookmark, the cursor, and the last five");
    assert_eq!(count(&store, "usage_window"), 1);
    let next = store.begin_run(&start()).unwrap().id;
    assert_eq!(
        store.begin_stream(next, &name("groups"), true, 1).unwrap().bookmark.as_deref(),
        Some("bookmark")
    );
    assert_eq!(store.begin_stream(next, &name("log"), true, 1).unwrap().cursor.as_deref(), Some("cursor"));
}
