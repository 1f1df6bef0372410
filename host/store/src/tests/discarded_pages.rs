//! Pages of a connector that was rolled back are discarded.

use super::*;

#[test]
fn pages_of_a_rolled_back_connector_are_discarded() {
    let (_folder, mut store) = open();
    run(&mut store, &page(vec![group("1", "one"), group("2", "two"), group("3", "three")], done()));
    let second = store.begin_run(&start()).unwrap();
    store.begin_stream(second.id, &name("groups"), true, 1).unwrap();
    let bad = PageReader { digest: Digest::of(b"bad"), ..reader() };
    store
        .commit_page(second.id, &name("groups"), &page(vec![group("1", "one")], more("a")), &reader())
        .unwrap();
    let invented = page(vec![group("2", "wrong"), group("9", "nine"), group("3", "three")], done());
    store.commit_page(second.id, &name("groups"), &invented, &bad).unwrap();
    assert_eq!(names(store.reader()), ["nine", "one", "three", "wrong"]);

    assert!(
        !store.discard_pages(second.id, &name("groups"), Digest::of(b"another")).unwrap(),
        "that connector read nothing"
    );
    assert!(store.discard_pages(second.id, &name("groups"), bad.digest).unwrap());
    assert!(
        !store.discard_pages(second.id, &name("groups"), bad.digest).unwrap(),
        "they are discarded already"
    );
    let checkpoint = store.begin_stream(second.id, &name("groups"), true, 1).unwrap();
    assert_eq!((checkpoint.state, checkpoint.cursor), (StreamState::Running, None));
    let truth = page(vec![group("1", "one"), group("2", "two")], done());
    store.commit_page(second.id, &name("groups"), &truth, &reader()).unwrap();
    assert_eq!(names(store.reader()), ["one", "two"]);
    let counts = store.reader().entity_counts(second.id).unwrap();
    assert_eq!((counts[0].seen, counts[0].new, counts[0].gone), (2, 0, 1), "{counts:?}");
}

/// A use of the VPN.
fn usage(at: i64) -> Usage {
    Usage {
        identity: None,
        identity_name: None,
        resource: access("1", "vpn").child,
        resource_name: Some(format!("at {at}")),
        last_success: Some(at),
        last_attempt: Some(Attempt { at, result: AttemptResult::Success, vendor_result: None }),
    }
}

fn log_page(usages: Vec<Usage>, progress: Progress) -> Page {
    Page { usages, window: Some(Window { from: 0, to: 9000 }), ..page(vec![], progress) }
}

/// The usages of the store: key and name of the resource, and the last success.
fn usages(store: &Writer) -> Vec<(String, Option<String>, Option<String>)> {
    let mut found = Vec::new();
    store
        .reader()
        .usages(|row| {
            found.push((row.resource[1].clone(), row.resource_name, row.last_success));
            Ok::<_, StoreError>(())
        })
        .unwrap();
    found
}

fn used(id: &str, name: &str, at: &str) -> (String, Option<String>, Option<String>) {
    (id.to_owned(), Some(name.to_owned()), Some(format!("1970-01-01T{at}Z")))
}

#[test]
fn usages_that_a_rolled_back_connector_invented_or_dated_too_late_are_restored() {
    let (_folder, mut store) = open();
    let bookmark = || Progress::Done(Some("b".to_owned()));
    run(&mut store, &log_page(vec![usage(1000)], bookmark()));
    let second = store.begin_run(&start()).unwrap().id;
    store.begin_stream(second, &name("groups"), true, 1).unwrap();
    store.commit_page(second, &name("groups"), &log_page(vec![usage(2000)], more("a")), &reader()).unwrap();
    let bad = PageReader { digest: Digest::of(b"bad"), ..reader() };
    let mut invented = usage(8000);
    invented.resource.source_id = "nothing".to_owned();
    store.commit_page(second, &name("groups"), &log_page(vec![usage(7200), invented], done()), &bad).unwrap();
    assert_eq!(usages(&store).len(), 2);

    // The host is killed here; the next one discards the pages.
    assert!(store.discard_pages(second, &name("groups"), bad.digest).unwrap());
    assert_eq!(usages(&store), [used("vpn", "at 1000", "00:16:40")], "as it was before the run");
    assert_eq!(store.begin_stream(second, &name("groups"), true, 1).unwrap().bookmark.as_deref(), Some("b"));
    let truth = log_page(vec![usage(2000), usage(3000)], bookmark());
    store.commit_page(second, &name("groups"), &truth, &reader()).unwrap();
    assert_eq!(usages(&store), [used("vpn", "at 3000", "00:50:00")]);

    // Later runs add to what the finished run has written.
    store.finish_run(second, RunOutcome::Complete).unwrap();
    let images =
        store.reader().connection.query_row("SELECT count(*) FROM usage_before", [], |row| row.get(0));
    assert_eq!(images, Ok(0));
    run(&mut store, &log_page(vec![usage(3500)], bookmark()));
    assert_eq!(usages(&store), [used("vpn", "at 3500", "00:58:20")]);
}

#[test]
fn an_object_that_another_stream_saw_too_stays_when_pages_are_discarded() {
    let (_folder, mut store) = open();
    let run = store.begin_run(&RunStart { scope: &names_of("groups, applications"), ..start() }).unwrap().id;
    let bad = PageReader { digest: Digest::of(b"bad"), ..reader() };
    store.begin_stream(run, &name("groups"), false, 1).unwrap();
    let wrong = page(vec![group("1", "wrong"), group("9", "nine")], done());
    store.commit_page(run, &name("groups"), &wrong, &bad).unwrap();
    store.begin_stream(run, &name("applications"), false, 1).unwrap();
    store.commit_page(run, &name("applications"), &page(vec![group("1", "one")], done()), &reader()).unwrap();
    assert!(store.discard_pages(run, &name("groups"), bad.digest).unwrap());
    store.commit_page(run, &name("groups"), &page(vec![], done()), &reader()).unwrap();
    assert_eq!(names(store.reader()).len(), 1, "the other stream saw it");
}
