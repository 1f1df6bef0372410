//! Entities that a relation or a usage refers to, and that no stream has yielded.

use super::*;

/// How readers show the application `vpn`: in lists, in counts, in a search, whether it is known, and by its key.
fn shown(store: &Reader) -> (Vec<String>, Vec<TypeCount>, u64, bool, bool) {
    let which = Entities { source_type: "application", search: "vpn", turn: PageCursor::First, limit: 10 };
    (
        names(store),
        store.type_counts("acme").unwrap(),
        store.browse("acme", &which).unwrap().total,
        store.knows(None, "resource", "normal ->> 'kind' = 'application'").unwrap(),
        store.entity("acme", "application", "vpn").unwrap().is_some(),
    )
}

fn type_count(entity_type: &str, source_type: &str) -> TypeCount {
    TypeCount { entity_type: entity_type.to_owned(), source_type: source_type.to_owned(), count: 1 }
}

#[test]
fn an_entity_that_is_only_referred_to_is_not_present_until_a_stream_yields_it() {
    let (_folder, mut store) = open();
    let related = |entities| Page { relations: vec![access("1", "vpn")], ..page(entities, done()) };
    let first = run(&mut store, &related(vec![group("1", "one")]));
    let groups = type_count("connection", "group");
    assert_eq!(shown(store.reader()), (vec!["one".to_owned()], vec![groups.clone()], 0, false, false));
    assert_eq!(store.reader().entity_counts(first).unwrap().len(), 1, "only groups");
    let one = store.reader().entity("acme", "group", "1").unwrap().unwrap();
    let (linked, total) = store.reader().linked(&one, true, 10).unwrap();
    assert_eq!((total, linked[0].other.name.as_str(), linked[0].other.is_there), (1, "vpn", false));

    let second = run(&mut store, &related(vec![group("1", "one"), application("vpn")]));
    assert_eq!(changes(&store, second), [change("added", "vpn", &[])]);
    let applications = type_count("resource", "application");
    let both = vec!["one".to_owned(), "vpn".to_owned()];
    assert_eq!(shown(store.reader()), (both, vec![applications, groups], 1, true, true));
}

#[test]
fn a_discarded_entity_that_relations_refer_to_is_not_present_and_keeps_its_number() {
    let (_folder, mut store) = open();
    let run = store.begin_run(&start()).unwrap().id;
    let bad = PageReader { digest: Digest::of(b"bad"), ..reader() };
    store.begin_stream(run, &name("applications"), false, 1).unwrap();
    let related = Page { relations: vec![access("1", "vpn")], ..page(vec![], done()) };
    store.commit_page(run, &name("applications"), &related, &reader()).unwrap();
    store.begin_stream(run, &name("groups"), false, 1).unwrap();
    store.commit_page(run, &name("groups"), &page(vec![group("1", "invented")], more("a")), &bad).unwrap();
    assert!(store.discard_pages(run, &name("groups"), bad.digest).unwrap());
    assert!(names(store.reader()).is_empty());
    assert!(!store.reader().connection.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap());
    store.commit_page(run, &name("groups"), &page(vec![group("1", "one")], done()), &reader()).unwrap();
    let one = store.reader().entity("acme", "group", "1").unwrap().unwrap();
    assert_eq!(store.reader().linked(&one, true, 10).unwrap().1, 1, "the relation is its own again");
}
