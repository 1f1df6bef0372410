//! Where a stream begins, resumes and starts over.

use connector_sandbox::Hint as _;

use super::*;

#[test]
fn a_cursor_of_another_version_is_deleted_with_the_problems_before_it() {
    let (_folder, mut store) = open();
    let run = store.begin_run(&start()).unwrap();
    store.begin_stream(run.id, &name("groups"), true, 1).unwrap();
    store.commit_page(run.id, &name("groups"), &page(vec![group("1", "one")], more("a")), &reader()).unwrap();
    let same = store.begin_stream(run.id, &name("groups"), true, 1).unwrap();
    assert_eq!((same.cursor.as_deref(), same.pages), (Some("a"), 1));
    let other = store.begin_stream(run.id, &name("groups"), true, 2).unwrap();
    assert_eq!((other.cursor, other.pages), (None, 0));
}

#[test]
fn a_stream_without_a_cursor_begins_after_its_bookmark_or_sees_all_objects() {
    let (_folder, mut store) = open();
    let bookmark = || Progress::Done(Some("v1:2026".to_owned()));
    run(&mut store, &page(vec![group("1", "one"), group("2", "two")], bookmark()));
    // The run before was interrupted before its first page; by now the stream is no longer incremental.
    let second = store.begin_run(&start()).unwrap();
    store.begin_stream(second.id, &name("groups"), true, 1).unwrap();
    store.begin_stream(second.id, &name("groups"), false, 1).unwrap();
    store.commit_page(second.id, &name("groups"), &page(vec![group("1", "one")], done()), &reader()).unwrap();
    assert_eq!(names(store.reader()), ["one"], "it read all objects, so the other one is removed");
}

#[test]
fn a_bookmark_is_handed_to_the_next_run() {
    let (_folder, mut store) = open();
    run(&mut store, &page(vec![], Progress::Done(Some("v1:2026".to_owned()))));
    let second = store.begin_run(&start()).unwrap();
    assert_eq!(
        store.begin_stream(second.id, &name("groups"), true, 1).unwrap().bookmark.as_deref(),
        Some("v1:2026")
    );
}

#[test]
fn a_read_after_a_bookmark_removes_no_earlier_object() {
    let (_folder, mut store) = open();
    run(
        &mut store,
        &page(vec![group("1", "one"), group("2", "two")], Progress::Done(Some("v1:a".to_owned()))),
    );
    run(&mut store, &page(vec![group("2", "TWO")], Progress::Done(Some("v1:b".to_owned()))));
    assert_eq!(names(store.reader()), ["TWO", "one"]);
    // Starting over reads all objects.
    let third = store.begin_run(&start()).unwrap();
    store.begin_stream(third.id, &name("groups"), true, 1).unwrap();
    store.forget_checkpoint(third.id, &name("groups"), true).unwrap();
    store.commit_page(third.id, &name("groups"), &page(vec![group("2", "TWO")], done()), &reader()).unwrap();
    assert_eq!(names(store.reader()), ["TWO"]);
}

#[test]
fn an_object_that_was_deleted_before_a_stream_started_over_is_removed() {
    let both = || page(vec![group("1", "one"), group("2", "two")], more("a"));
    let start_over: [fn(&mut Writer, RunId); 3] = [
        |store, run| drop(store.begin_stream(run, &name("groups"), true, 2).unwrap()),
        |store, run| store.forget_checkpoint(run, &name("groups"), true).unwrap(),
        |store, run| assert!(store.discard_pages(run, &name("groups"), Digest::of(b"bad")).unwrap()),
    ];
    for start_over in start_over {
        let (_folder, mut store) = open();
        run(&mut store, &Page { progress: done(), ..both() });
        let second = store.begin_run(&start()).unwrap().id;
        store.begin_stream(second, &name("groups"), true, 1).unwrap();
        store.commit_page(second, &name("groups"), &both(), &reader()).unwrap();
        let bad = PageReader { digest: Digest::of(b"bad"), ..reader() };
        store.commit_page(second, &name("groups"), &page(vec![], more("b")), &bad).unwrap();
        start_over(&mut store, second);
        let rest = page(vec![group("1", "one")], done());
        store.commit_page(second, &name("groups"), &rest, &reader()).unwrap();
        assert_eq!(names(store.reader()), ["one"]);
    }
}

/// A page of a log, with the time that it covers.
fn log_page(window: (i64, i64), progress: Progress) -> Page {
    Page { window: Some(Window { from: window.0, to: window.1 }), ..page(vec![], progress) }
}

/// A run that read one page of a log and ended early.
fn cut_off(store: &mut Writer, cursor: &str, window: (i64, i64)) -> RunId {
    let run = store.begin_run(&start()).unwrap().id;
    store.begin_stream(run, &name("log"), true, 1).unwrap();
    store.commit_page(run, &name("log"), &log_page(window, more(cursor)), &reader()).unwrap();
    store.end_stream(run, &incomplete("log", StreamState::Incomplete, "the vendor went away")).unwrap();
    store.finish_run(run, RunOutcome::Partial).unwrap();
    run
}

#[test]
fn the_next_run_resumes_a_log_that_was_cut_off() {
    let (_folder, mut store) = open();
    cut_off(&mut store, "page 2700", (100, 200));
    // A run without permission to read the log changes none of that.
    let refused = store.begin_run(&start()).unwrap().id;
    store.end_stream(refused, &incomplete("log", StreamState::Skipped, "no grant")).unwrap();
    store.finish_run(refused, RunOutcome::Partial).unwrap();

    let next = store.begin_run(&start()).unwrap().id;
    let begun = store.begin_stream(next, &name("log"), true, 1).unwrap();
    assert_eq!((begun.cursor.as_deref(), begun.bookmark, begun.pages), (Some("page 2700"), None, 0));
    let last = page(vec![], Progress::Done(Some("bookmark".to_owned())));
    store.commit_page(next, &name("log"), &last, &reader()).unwrap();
    store.finish_run(next, RunOutcome::Complete).unwrap();
    let window: (String, String) = store
        .reader()
        .connection
        .query_row("SELECT window_from, window_to FROM usage_window", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(window, ("1970-01-01T00:01:40Z".to_owned(), "1970-01-01T00:03:20Z".to_owned()));
    let later = store.begin_run(&start()).unwrap().id;
    let begun = store.begin_stream(later, &name("log"), true, 1).unwrap();
    assert_eq!((begun.cursor, begun.bookmark.as_deref()), (None, Some("bookmark")), "it was read to its end");
}

#[test]
fn a_log_is_not_resumed_by_another_cursor_version_or_after_it_started_over() {
    let (_folder, mut store) = open();
    cut_off(&mut store, "a", (100, 200));
    let second = store.begin_run(&start()).unwrap().id;
    assert_eq!(
        store.begin_stream(second, &name("log"), true, 2).unwrap().cursor,
        None,
        "it has other cursors"
    );
    store.finish_run(second, RunOutcome::Partial).unwrap();

    let (_folder, mut store) = open();
    cut_off(&mut store, "a", (100, 200));
    let second = store.begin_run(&start()).unwrap().id;
    assert_eq!(
        store.begin_stream(second, &name("log"), false, 1).unwrap().cursor,
        None,
        "it is not a log stream now"
    );
    let second = store.begin_run(&RunStart { scope: &names_of("other"), ..start() }).unwrap().id;
    assert_eq!(
        store.begin_stream(second, &name("log"), true, 1).unwrap().cursor,
        None,
        "it has started over since"
    );

    let (_folder, mut store) = open();
    cut_off(&mut store, "a", (100, 200));
    let second = store.begin_run(&start()).unwrap().id;
    assert!(store.begin_stream(second, &name("log"), true, 1).unwrap().cursor.is_some());
    store.forget_checkpoint(second, &name("log"), true).unwrap();
    assert_eq!(
        store.begin_stream(second, &name("log"), true, 1).unwrap().cursor,
        None,
        "the vendor refused it"
    );
}

#[test]
fn a_stream_that_resumed_an_earlier_run_marks_nothing_as_removed() {
    let (_folder, mut store) = open();
    let first = store.begin_run(&start()).unwrap().id;
    store.begin_stream(first, &name("groups"), true, 1).unwrap();
    store.commit_page(first, &name("groups"), &page(vec![group("1", "one")], more("a")), &reader()).unwrap();
    store.end_stream(first, &incomplete("groups", StreamState::Incomplete, "the vendor went away")).unwrap();
    store.finish_run(first, RunOutcome::Partial).unwrap();
    run(&mut store, &page(vec![group("2", "two")], done()));
    assert_eq!(names(store.reader()), ["one", "two"]);
}

#[test]
fn a_page_for_a_stream_that_has_ended_is_refused() {
    let (_folder, mut store) = open();
    let run = run(&mut store, &page(vec![group("1", "one")], done()));
    for stream in ["groups", "never-begun"] {
        let late = store.commit_page(run, &name(stream), &page(vec![group("2", "two")], done()), &reader());
        let error = late.unwrap_err();
        assert!(matches!(error, StoreError::StreamEnded { .. }) && error.hint().is_some(), "{error}");
    }
    assert_eq!(names(store.reader()), ["one"]);
}
