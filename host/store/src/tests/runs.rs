//! Which runs are resumed, and how they end.

use std::time::Duration;

use super::*;

#[test]
fn an_interrupted_run_resumes_at_its_checkpoint() {
    let (folder, mut store) = open();
    let first = store.begin_run(&start()).unwrap();
    assert!(!first.resumed);
    assert_eq!(store.begin_stream(first.id, &name("groups"), true, 1).unwrap().cursor, None);
    store
        .commit_page(
            first.id,
            &name("groups"),
            &page(vec![group("1", "one")], more("v1:offset=1")),
            &reader(),
        )
        .unwrap();
    drop(store);

    let mut store = Writer::open(&folder.path().join("test.db")).unwrap();
    let second = store.begin_run(&start()).unwrap();
    assert!(second.resumed);
    assert_eq!(second.id, first.id);
    let checkpoint = store.begin_stream(second.id, &name("groups"), true, 1).unwrap();
    assert_eq!((checkpoint.cursor.as_deref(), checkpoint.pages), (Some("v1:offset=1"), 1));
    store.commit_page(second.id, &name("groups"), &page(vec![group("2", "two")], done()), &reader()).unwrap();
    assert_eq!(names(store.reader()), ["one", "two"], "what the interrupted run saw was seen");
    assert_eq!(store.begin_stream(second.id, &name("groups"), true, 1).unwrap().state, StreamState::Complete);
}

#[test]
fn a_finished_run_is_not_resumed() {
    let (_folder, mut store) = open();
    let first = run(&mut store, &page(vec![], done()));
    let second = store.begin_run(&start()).unwrap();
    assert!(!second.resumed && second.id > first);
}

#[test]
fn an_interrupted_run_of_other_streams_or_another_day_is_not_resumed() {
    let (_folder, mut store) = open();
    let first = store.begin_run(&start()).unwrap();
    let other = store.begin_run(&RunStart { scope: &names_of("users"), ..start() }).unwrap();
    assert!(!other.resumed && other.id > first.id);
    store.reader().connection.execute("UPDATE run SET started_at = '2020-01-01T00:00:00.000Z'", []).unwrap();
    assert!(!store.begin_run(&RunStart { scope: &names_of("users"), ..start() }).unwrap().resumed);
}

#[test]
fn a_run_is_shown_with_its_cost_and_how_its_streams_ended() {
    let (_folder, mut store) = open();
    let run = store.begin_run(&start()).unwrap().id;
    store.begin_stream(run, &name("groups"), true, 1).unwrap();
    store.commit_page(run, &name("groups"), &page(vec![group("1", "one")], more("next")), &reader()).unwrap();
    let effort = StreamCost { retries: 3, waited: Duration::from_millis(1500) };
    store.add_cost(run, &name("groups"), effort).unwrap();
    store.end_stream(run, &incomplete("groups", StreamState::Incomplete, "the vendor went away")).unwrap();
    store.end_stream(run, &incomplete("phones", StreamState::Skipped, "the grant is missing")).unwrap();
    store.add_requests(run, 7).unwrap();
    store.finish_run(run, RunOutcome::Partial).unwrap();
    let rows = store.reader().runs(Some("acme"), 10).unwrap();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.requests, row.retries, row.waited_seconds), (7, 3, 1.5));
    assert_eq!(row.outcome, Some(RunOutcome::Partial));
    let streams: Vec<_> =
        row.streams.iter().map(|one| (one.stream.as_str(), one.state.word(), one.pages)).collect();
    assert_eq!(streams, [("groups", "incomplete", 1), ("phones", "skipped", 0)]);
    assert!(store.reader().runs(Some("other"), 10).unwrap().is_empty());
}

/// Each run with its outcome, and how its streams ended and why.
fn ended(store: &Writer) -> Vec<String> {
    let rows = store.reader().runs(None, 10).unwrap().into_iter();
    let text = |run: RunRow| {
        let streams = run.streams.into_iter().map(|one| format!(" {} {:?}", one.state.word(), one.reason));
        format!("{} {:?}{}", run.run, run.outcome.map(RunOutcome::word), streams.collect::<String>())
    };
    rows.map(text).collect()
}

#[test]
fn an_interrupted_run_that_is_not_resumed_ends_as_partial() {
    let (_folder, mut store) = open();
    let first = store.begin_run(&start()).unwrap().id;
    store.begin_stream(first, &name("groups"), true, 1).unwrap();
    store.commit_page(first, &name("groups"), &page(vec![group("1", "one")], more("a")), &reader()).unwrap();
    store.begin_run(&RunStart { scope: &names_of("users"), ..start() }).unwrap();
    let abandoned = r#"1 Some("partial") incomplete Some("interrupted, and not resumed")"#;
    assert_eq!(ended(&store), ["2 None", abandoned]);
    // A resumed run does not end.
    assert!(store.begin_run(&RunStart { scope: &names_of("users"), ..start() }).unwrap().resumed);
    assert_eq!(ended(&store), ["2 None", abandoned]);
}

#[test]
fn a_run_is_resumed_within_a_day_of_its_last_page() {
    let (_folder, mut store) = open();
    let first = store.begin_run(&start()).unwrap().id;
    store.begin_stream(first, &name("groups"), true, 1).unwrap();
    store.commit_page(first, &name("groups"), &page(vec![], more("a")), &reader()).unwrap();
    store.reader().connection.execute("UPDATE run SET started_at = '2020-01-01T00:00:00.000Z'", []).unwrap();
    assert!(store.begin_run(&start()).unwrap().resumed, "its deadline stopped it, and it resumes");
    store
        .reader()
        .connection
        .execute("UPDATE run_page SET committed_at = '2020-01-02T00:00:00.000Z'", [])
        .unwrap();
    assert!(!store.begin_run(&start()).unwrap().resumed);
}

#[test]
fn a_stream_that_was_refused_and_is_read_later_in_the_run_records_its_changes() {
    let (_folder, mut store) = open();
    run(&mut store, &page(vec![group("1", "one")], done()));
    let second = store.begin_run(&start()).unwrap().id;
    let refused = IncompleteStream {
        permission: Some("Grant".to_owned()),
        hint: Some("give it".to_owned()),
        ..incomplete("groups", StreamState::Skipped, "missing")
    };
    store.end_stream(second, &refused).unwrap();
    // Interrupted, and resumed once the grant is back.
    assert!(store.begin_run(&start()).unwrap().resumed);
    store.begin_stream(second, &name("groups"), true, 1).unwrap();
    store.commit_page(second, &name("groups"), &page(vec![group("1", "ONE")], done()), &reader()).unwrap();
    assert_eq!(changes(&store, second), [change("changed", "ONE", &["name: \"one\" -> \"ONE\""])]);
    let stream = store.reader().run("acme", second).unwrap().unwrap().streams.remove(0);
    assert_eq!((stream.reason, stream.permission, stream.hint), (None, None, None));
}

#[test]
fn the_absence_of_a_type_is_known_once_all_streams_that_yield_it_were_read() {
    let (_folder, mut store) = open();
    let [groups, units, applications] = ["groups", "units", "applications"].map(name);
    let yields = |stream, entity_type, source_type| Yields { stream, entity_type, source_type };
    let start = RunStart {
        yields: &[
            yields(&groups, "connection", "group"),
            yields(&units, "connection", "group"),
            yields(&applications, "resource", "application"),
        ],
        ..start()
    };
    let knows = |store: &Writer, integration: Option<&str>, entity_type: &str| {
        store.reader().knows(integration, entity_type, "normal ->> 'kind' = 'application'").unwrap()
    };
    let mut read = |streams: &[&str]| {
        let run = store.begin_run(&start).unwrap().id;
        for stream in streams {
            store.begin_stream(run, &name(stream), false, 1).unwrap();
            store.commit_page(run, &name(stream), &page(vec![], done()), &reader()).unwrap();
        }
        store.finish_run(run, RunOutcome::Complete).unwrap();
        ["connection", "resource", "identity"].map(|entity_type| knows(&store, None, entity_type))
    };
    assert_eq!(read(&["groups"]), [false, false, false], "units may have some as well");
    assert_eq!(read(&["groups", "units"]), [true, false, false], "applications were not selected");
    assert_eq!(read(&["applications"]), [false, true, false], "the last run did not read groups");
    assert!(!knows(&store, Some("other"), "resource"));

    // Of several integrations, each must have been read.
    let other = RunStart { integration: "other", ..start };
    let run = store.begin_run(&other).unwrap().id;
    assert_eq!([None, Some("acme")].map(|one| knows(&store, one, "resource")), [false, true]);
    store.begin_stream(run, &name("applications"), false, 1).unwrap();
    let some = page(vec![application("vpn")], more("a"));
    store.commit_page(run, &name("applications"), &some, &reader()).unwrap();
    assert!(knows(&store, None, "resource"), "some are present");
}

#[test]
fn changes_of_an_interrupted_run_are_shown_with_those_of_the_next_run() {
    let (_folder, mut store) = open();
    let first = run(&mut store, &page(vec![group("1", "one")], done()));
    let second = store.begin_run(&start()).unwrap().id;
    store.begin_stream(second, &name("groups"), true, 1).unwrap();
    store.commit_page(second, &name("groups"), &page(vec![group("1", "ONE")], more("a")), &reader()).unwrap();
    let finished = |store: &Writer| {
        let mut finished = Vec::new();
        let each = |row: ChangeRow| {
            finished.push((row.run, row.run_finished_at.is_some()));
            Ok::<_, StoreError>(())
        };
        store.reader().changes(store.reader().before_latest(None).unwrap(), Some("acme"), each).unwrap();
        finished
    };
    assert_eq!(finished(&store), [(second, false)], "it may find more");
    // It is not resumed.
    let third = store.begin_run(&RunStart { scope: &names_of("all"), ..start() }).unwrap().id;
    store.begin_stream(third, &name("groups"), true, 1).unwrap();
    store
        .commit_page(
            third,
            &name("groups"),
            &page(vec![group("1", "ONE"), group("2", "two")], done()),
            &reader(),
        )
        .unwrap();
    store.finish_run(third, RunOutcome::Complete).unwrap();
    assert_eq!(store.reader().before_latest(None).unwrap(), first);
    assert_eq!(finished(&store), [(second, true), (third, true)]);
    let fourth = store.begin_run(&start()).unwrap().id;
    assert_eq!(store.reader().before_latest(Some("acme")).unwrap(), third);
    assert_eq!(store.reader().before_latest(Some("other")).unwrap(), RunId(0));
    assert!(fourth > third);
}
