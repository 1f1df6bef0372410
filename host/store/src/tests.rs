mod cost;
mod crash_images;
mod discarded_pages;
mod files;
mod owners;
mod plans;
mod referred;
mod removals;
mod retention;
mod runs;
mod streams;

mod usages;

use std::sync::LazyLock;

use super::*;
use connector_sandbox::contract::api::{Page, Progress, Window};
use connector_sandbox::contract::types::{
    Application, Attempt, AttemptResult, Connection as Group, ConnectionKind, Entity, EntityRef, EntityType,
    NormalForm, Problem, Relation, Resource, Status, Usage, UserAccess,
};
use connector_sandbox::{Digest, StreamName};

fn open() -> (tempfile::TempDir, Writer) {
    let folder = tempfile::tempdir().unwrap();
    let store = Writer::open(&folder.path().join("test.db")).unwrap();
    (folder, store)
}

/// The name of a stream.
fn name(text: &str) -> StreamName {
    StreamName::parse(text).unwrap()
}

fn names_of(scope: &str) -> Vec<StreamName> {
    scope.split(", ").map(name).collect()
}

fn incomplete(stream: &str, state: StreamState, reason: &str) -> IncompleteStream {
    IncompleteStream { stream: name(stream), state, reason: reason.to_owned(), permission: None, hint: None }
}

/// The connector of these tests.
fn reader() -> PageReader {
    PageReader {
        connector: "test".to_owned(),
        version: "1.0.0".to_owned(),
        digest: Digest::of(b"good"),
        cursor_version: 1,
    }
}

static SCOPE: LazyLock<[StreamName; 1]> = LazyLock::new(|| [name("groups")]);
static APPLICATIONS: LazyLock<StreamName> = LazyLock::new(|| name("applications"));
static YIELDS: LazyLock<[Yields<'static>; 2]> = LazyLock::new(|| {
    [
        Yields { stream: &SCOPE[0], entity_type: "connection", source_type: "group" },
        Yields { stream: &APPLICATIONS, entity_type: "resource", source_type: "application" },
    ]
});

fn start() -> RunStart<'static> {
    RunStart {
        integration: "acme",
        connector: "acme",
        title: "Acme",
        version: "1.0.0",
        digest: Digest::of(b"good"),
        account: None,
        tenant: "api.example.com",
        scope: &*SCOPE,
        yields: &*YIELDS,
    }
}

fn group(id: &str, name: &str) -> Entity {
    Entity {
        source_type: "group".to_owned(),
        source_id: id.to_owned(),
        name: name.to_owned(),
        normal: NormalForm::Connection(Group {
            kind: ConnectionKind::Group,
            description: None,
            status: Status::Active,
            vendor_status: Some("Active".to_owned()),
            mfa_state: None,
            is_privileged: None,
            created: None,
        }),
        attributes: vec![],
    }
}

fn application(id: &str) -> Entity {
    Entity {
        source_type: "application".to_owned(),
        normal: NormalForm::Resource(Resource::Application(Application {
            application_type: None,
            user_access: UserAccess::AllUsers,
            self_service: None,
            policy_key: None,
        })),
        ..group(id, id)
    }
}

fn access(group: &str, application: &str) -> Relation {
    let reference = |entity_type, source_type: &str, source_id: &str| EntityRef {
        entity_type,
        source_type: source_type.to_owned(),
        source_id: source_id.to_owned(),
    };
    Relation {
        parent: reference(EntityType::Connection, "group", group),
        privilege: "access".to_owned(),
        privilege_value: true,
        child: reference(EntityType::Resource, "application", application),
        attributes: vec![],
    }
}

fn page(entities: Vec<Entity>, progress: Progress) -> Page {
    Page {
        entities,
        relations: vec![],
        usages: vec![],
        problems: vec![],
        progress,
        total: None,
        window: None,
    }
}

fn done() -> Progress {
    Progress::Done(None)
}

fn more(cursor: &str) -> Progress {
    Progress::More(cursor.to_owned())
}

/// One complete run of the stream `groups`, of one page.
fn run(store: &mut Writer, page: &Page) -> RunId {
    let run = store.begin_run(&start()).unwrap();
    store.begin_stream(run.id, &name("groups"), true, 1).unwrap();
    store.commit_page(run.id, &name("groups"), page, &reader()).unwrap();
    store.finish_run(run.id, RunOutcome::Complete).unwrap();
    run.id
}

fn names(store: &Reader) -> Vec<String> {
    let mut names = Vec::new();
    store
        .entities(|row| {
            names.push(row.name);
            Ok::<_, StoreError>(())
        })
        .unwrap();
    names.sort();
    names
}

#[test]
fn a_complete_stream_marks_unseen_objects_as_removed() {
    let (_folder, mut store) = open();
    run(&mut store, &page(vec![group("1", "one"), group("2", "two"), group("3", "three")], done()));
    let second =
        run(&mut store, &page(vec![group("1", "one"), group("2", "TWO"), group("4", "four")], done()));
    assert_eq!(names(store.reader()), ["TWO", "four", "one"]);
    let counts = store.reader().entity_counts(second).unwrap();
    let expected = EntityCount {
        entity_type: "connection".to_owned(),
        source_type: "group".to_owned(),
        seen: 3,
        new: 1,
        changed: 1,
        gone: 1,
    };
    assert_eq!(counts, [expected]);
}

#[test]
fn a_removed_object_can_come_back() {
    let (_folder, mut store) = open();
    run(&mut store, &page(vec![group("1", "one")], done()));
    run(&mut store, &page(vec![], done()));
    assert!(names(store.reader()).is_empty());
    let third = run(&mut store, &page(vec![group("1", "one")], done()));
    assert_eq!(names(store.reader()), ["one"]);
    assert_eq!(store.reader().entity_counts(third).unwrap()[0].new, 1);
}

#[test]
fn an_incomplete_stream_marks_nothing_as_removed() {
    let (_folder, mut store) = open();
    run(&mut store, &page(vec![group("1", "one"), group("2", "two")], done()));
    let run = store.begin_run(&start()).unwrap();
    store.begin_stream(run.id, &name("groups"), true, 1).unwrap();
    store
        .commit_page(run.id, &name("groups"), &page(vec![group("1", "one")], more("next")), &reader())
        .unwrap();
    store.end_stream(run.id, &incomplete("groups", StreamState::Incomplete, "the vendor went away")).unwrap();
    store.finish_run(run.id, RunOutcome::Partial).unwrap();
    assert_eq!(names(store.reader()), ["one", "two"]);
}

#[test]
fn a_stream_leaves_the_objects_of_other_streams_alone() {
    let (_folder, mut store) = open();
    let first = store.begin_run(&start()).unwrap();
    for (stream, entity) in [("groups", group("1", "one")), ("applications", application("vpn"))] {
        store.begin_stream(first.id, &name(stream), true, 1).unwrap();
        store.commit_page(first.id, &name(stream), &page(vec![entity], done()), &reader()).unwrap();
    }
    store.finish_run(first.id, RunOutcome::Complete).unwrap();
    run(&mut store, &page(vec![group("1", "one")], done()));
    assert_eq!(names(store.reader()), ["one", "vpn"]);
}

#[test]
fn another_tenant_under_the_same_name_is_refused() {
    let (_folder, mut store) = open();
    run(&mut store, &page(vec![group("1", "one")], done()));
    for other in
        [RunStart { tenant: "api.example.org", ..start() }, RunStart { connector: "other", ..start() }]
    {
        assert!(matches!(store.begin_run(&other), Err(StoreError::AnotherTenant { .. })));
    }
    assert_eq!(names(store.reader()), ["one"]);
}

#[test]
fn a_relation_that_comes_back_or_turns_into_a_deny_has_changed() {
    let (_folder, mut store) = open();
    let related = |relations| Page { relations, ..page(vec![], done()) };
    run(&mut store, &related(vec![access("1", "vpn"), access("2", "vpn")]));
    run(&mut store, &related(vec![access("2", "vpn")]));
    let denied = Relation { privilege_value: false, ..access("2", "vpn") };
    let third = run(&mut store, &related(vec![access("1", "vpn"), denied]));
    let counts = store.reader().relation_counts(third).unwrap();
    assert_eq!((counts[0].new, counts[0].changed), (1, 1));
}

#[test]
fn relations_are_kept_once_and_removed_with_their_stream() {
    let (_folder, mut store) = open();
    let related = |relations| Page { relations, ..page(vec![], done()) };
    run(&mut store, &related(vec![access("1", "vpn"), access("1", "vpn"), access("2", "vpn")]));
    let second = run(&mut store, &related(vec![access("1", "vpn")]));
    let counts = store.reader().relation_counts(second).unwrap();
    assert_eq!((counts[0].seen, counts[0].new, counts[0].gone), (1, 0, 1));
}

#[test]
fn problems_are_counted_and_listed() {
    let (_folder, mut store) = open();
    let problem = |number: u32| Problem { source_id: None, field: None, message: format!("{number}") };
    let window = Some(Window { from: 0, to: 1 });
    let run =
        run(&mut store, &Page { problems: (0..30).map(problem).collect(), window, ..page(vec![], done()) });
    assert_eq!(store.reader().problem_count(run).unwrap(), 30);
    assert_eq!(store.reader().problems(run, 20).unwrap().len(), 20);
}

/// Changes after `run`: kind, name, fields.
fn changes(store: &Writer, run: RunId) -> Vec<(String, String, Vec<String>)> {
    let mut changes = Vec::new();
    store
        .reader()
        .changes(RunId(run.0 - 1), None, |row| {
            let fields = row.fields.iter().map(|one| format!("{}: {} -> {}", one.field, one.from, one.to));
            changes.push((row.kind, row.name, fields.collect()));
            Ok::<_, StoreError>(())
        })
        .unwrap();
    changes
}

fn change(kind: &str, name: &str, fields: &[&str]) -> (String, String, Vec<String>) {
    (kind.to_owned(), name.to_owned(), fields.iter().map(|field| (*field).to_owned()).collect())
}

#[test]
fn changes_are_recorded_field_by_field() {
    let (_folder, mut store) = open();
    let related = |entities, relations| Page { relations, ..page(entities, done()) };
    let first = run(
        &mut store,
        &related(vec![group("1", "one"), group("2", "two"), group("3", "three")], vec![access("1", "vpn")]),
    );
    assert_eq!(changes(&store, first), [], "there is no earlier complete read to compare with");
    let second = run(
        &mut store,
        &related(vec![group("1", "one"), group("2", "TWO"), group("4", "four")], vec![access("2", "vpn")]),
    );
    let expected = [
        change("changed", "TWO", &["name: \"two\" -> \"TWO\""]),
        change("removed", "three", &[]),
        change("added", "four", &[]),
        change("removed", "one access vpn", &[]),
        change("added", "TWO access vpn", &[]),
    ];
    assert_eq!(changes(&store, second), expected);
}

#[test]
fn a_run_over_an_unchanged_tenant_changes_nothing_and_writes_no_object() {
    let (_folder, mut store) = open();
    let groups = || (0..200).map(|n| group(&n.to_string(), &format!("group {n}"))).collect::<Vec<_>>();
    let related = Page { relations: vec![access("1", "vpn")], ..page(groups(), done()) };
    run(&mut store, &related);
    let forbid = "CREATE TEMP TRIGGER e BEFORE UPDATE ON entity BEGIN SELECT raise(ABORT, 'written'); END;
                  CREATE TEMP TRIGGER r BEFORE UPDATE ON relation BEGIN SELECT raise(ABORT, 'written'); END;
                  CREATE TEMP TRIGGER c BEFORE INSERT ON change BEGIN SELECT raise(ABORT, 'written'); END;";
    store.reader().connection.execute_batch(forbid).unwrap();
    let second = run(&mut store, &related);
    let counts = store.reader().entity_counts(second).unwrap();
    assert_eq!((counts[0].seen, counts[0].new, counts[0].changed, counts[0].gone), (200, 0, 0, 0));
}

#[test]
fn pages_of_objects_turn_forward_and_back_and_show_each_object_once() {
    let (_folder, mut store) = open();
    let names = ["b", "A", "a", "ä", "<x>", "B", "100%", "a_b", "a", "C"];
    let ids: Vec<String> = (0..names.len()).map(|index| format!("G{index}")).collect();
    let groups: Vec<_> = ids.iter().map(String::as_str).zip(names).collect();
    let entities = groups.iter().map(|(id, name)| group(id, name)).collect();
    run(&mut store, &page(entities, Progress::Done(None)));
    let browse = |turn: PageCursor, search: &str| {
        store.reader().browse("acme", &Entities { source_type: "group", search, turn, limit: 3 }).unwrap()
    };
    let keys =
        |page: &PageOf<EntityRow>| page.rows.iter().map(|row| row.source_id.clone()).collect::<Vec<_>>();

    let (mut seen, mut pages) = (Vec::new(), vec![browse(PageCursor::First, "")]);
    while let Some(after) = pages.last().unwrap().after.clone() {
        pages.push(browse(PageCursor::After(after), ""));
    }
    for page in &pages {
        assert_eq!(page.total, 10);
        seen.extend(keys(page));
    }
    assert_eq!(pages.len(), 4);
    assert_eq!(seen.iter().collect::<std::collections::BTreeSet<_>>().len(), 10, "{seen:?}");
    for (index, page_there) in pages.iter().enumerate().skip(1) {
        let back = browse(PageCursor::Before(page_there.before.clone().unwrap()), "");
        assert_eq!(keys(&back), keys(&pages[index - 1]));
    }
    assert_eq!(browse(PageCursor::First, "%").total, 1, "a search text is not a pattern");
    assert_eq!(browse(PageCursor::First, "_").total, 1);
    assert_eq!(browse(PageCursor::First, "g3").total, 1, "keys are searched as well");
    assert_eq!(browse(PageCursor::First, "nobody").total, 0);
}
