//! What a connector read that was rolled back.

use super::*;

#[test]
fn what_a_rolled_back_connector_read_is_taken_back() {
    let (_folder, mut store) = open();
    run(&mut store, &page(vec![group("1", "one"), group("2", "two"), group("3", "three")], done()));
    let second = store.begin_run(&start()).unwrap();
    store.begin_stream(second.id, "groups", true, 1).unwrap();
    let bad = PageReader { digest: "f".repeat(64), ..reader() };
    store.commit_page(second.id, "groups", &page(vec![group("1", "one")], more("a")), &reader()).unwrap();
    let invented = page(vec![group("2", "wrong"), group("9", "nine"), group("3", "three")], done());
    store.commit_page(second.id, "groups", &invented, &bad).unwrap();
    assert_eq!(names(&store), ["nine", "one", "three", "wrong"]);

    assert!(!store.take_back(second.id, "groups", &"e".repeat(64)).unwrap(), "that one read nothing");
    assert!(store.take_back(second.id, "groups", &bad.digest).unwrap());
    assert!(!store.take_back(second.id, "groups", &bad.digest).unwrap(), "once is enough");
    let checkpoint = store.begin_stream(second.id, "groups", true, 1).unwrap();
    assert_eq!((checkpoint.state, checkpoint.cursor), (StreamState::Running, None));
    let truth = page(vec![group("1", "one"), group("2", "two")], done());
    store.commit_page(second.id, "groups", &truth, &reader()).unwrap();
    assert_eq!(names(&store), ["one", "two"]);
    let counts = store.entity_counts(second.id).unwrap();
    assert_eq!((counts[0].seen, counts[0].new, counts[0].gone), (2, 0, 1), "{counts:?}");
}
