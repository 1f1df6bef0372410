use super::*;
use crate::contract::api::{Page, Progress, Window};
use crate::contract::types::{
    Application, Attempt, AttemptResult, Connection as Group, ConnectionKind, Entity, EntityRef, EntityType,
    NormalForm, Problem, Relation, Resource, Status, Usage, UserAccess,
};

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("test.db")).unwrap();
    (folder, store)
}

fn why(reason: &str) -> Why {
    Why { reason: reason.to_owned(), ..Why::default() }
}

/// The connector of these tests.
fn reader() -> PageReader {
    PageReader {
        connector: "test".to_owned(),
        version: "1.0.0".to_owned(),
        digest: "0".repeat(64),
        cursor_version: 1,
    }
}

fn start() -> RunStart<'static> {
    RunStart {
        integration: "acme",
        connector: "acme",
        title: "Acme",
        version: "1.0.0",
        digest: "00",
        account: None,
        tenant: "api.example.com",
        scope: "groups",
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
fn run(store: &mut Store, page: &Page) -> RunId {
    let run = store.begin_run(&start()).unwrap();
    store.begin_stream(run.id, "groups", true, 1).unwrap();
    store.commit_page(run.id, "groups", page, &reader()).unwrap();
    store.finish_run(run.id, true).unwrap();
    run.id
}

fn names(store: &Store) -> Vec<String> {
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
fn a_complete_stream_marks_what_it_no_longer_saw() {
    let (_folder, mut store) = open();
    run(&mut store, &page(vec![group("1", "one"), group("2", "two"), group("3", "three")], done()));
    let second =
        run(&mut store, &page(vec![group("1", "one"), group("2", "TWO"), group("4", "four")], done()));
    assert_eq!(names(&store), ["TWO", "four", "one"]);
    let counts = store.entity_counts(second).unwrap();
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
fn what_was_gone_can_come_back() {
    let (_folder, mut store) = open();
    run(&mut store, &page(vec![group("1", "one")], done()));
    run(&mut store, &page(vec![], done()));
    assert!(names(&store).is_empty());
    let third = run(&mut store, &page(vec![group("1", "one")], done()));
    assert_eq!(names(&store), ["one"]);
    assert_eq!(store.entity_counts(third).unwrap()[0].new, 1);
}

#[test]
fn an_incomplete_stream_marks_nothing_as_gone() {
    let (_folder, mut store) = open();
    run(&mut store, &page(vec![group("1", "one"), group("2", "two")], done()));
    let run = store.begin_run(&start()).unwrap();
    store.begin_stream(run.id, "groups", true, 1).unwrap();
    store.commit_page(run.id, "groups", &page(vec![group("1", "one")], more("next")), &reader()).unwrap();
    store.end_stream(run.id, "groups", StreamState::Incomplete, &why("the vendor went away")).unwrap();
    store.finish_run(run.id, false).unwrap();
    assert_eq!(names(&store), ["one", "two"]);
}

#[test]
fn a_stream_says_nothing_of_what_another_one_yields() {
    let (_folder, mut store) = open();
    let first = store.begin_run(&start()).unwrap();
    for (stream, entity) in [("groups", group("1", "one")), ("applications", application("vpn"))] {
        store.begin_stream(first.id, stream, true, 1).unwrap();
        store.commit_page(first.id, stream, &page(vec![entity], done()), &reader()).unwrap();
    }
    store.finish_run(first.id, true).unwrap();
    run(&mut store, &page(vec![group("1", "one")], done()));
    assert_eq!(names(&store), ["one", "vpn"]);
}

#[test]
fn an_interrupted_run_goes_on_from_its_checkpoint() {
    let (folder, mut store) = open();
    let first = store.begin_run(&start()).unwrap();
    assert!(!first.resumed);
    assert_eq!(store.begin_stream(first.id, "groups", true, 1).unwrap().cursor, None);
    store
        .commit_page(first.id, "groups", &page(vec![group("1", "one")], more("v1:offset=1")), &reader())
        .unwrap();
    drop(store);

    let mut store = Store::open(&folder.path().join("test.db")).unwrap();
    let second = store.begin_run(&start()).unwrap();
    assert!(second.resumed);
    assert_eq!(second.id, first.id);
    let checkpoint = store.begin_stream(second.id, "groups", true, 1).unwrap();
    assert_eq!((checkpoint.cursor.as_deref(), checkpoint.pages), (Some("v1:offset=1"), 1));
    store.commit_page(second.id, "groups", &page(vec![group("2", "two")], done()), &reader()).unwrap();
    assert_eq!(names(&store), ["one", "two"], "what the interrupted run saw was seen");
    assert_eq!(store.begin_stream(second.id, "groups", true, 1).unwrap().state, StreamState::Complete);
}

#[test]
fn a_finished_run_is_not_gone_on_with() {
    let (_folder, mut store) = open();
    let first = run(&mut store, &page(vec![], done()));
    let second = store.begin_run(&start()).unwrap();
    assert!(!second.resumed && second.id > first);
}

#[test]
fn a_bookmark_is_handed_to_the_next_run() {
    let (_folder, mut store) = open();
    run(&mut store, &page(vec![], Progress::Done(Some("v1:2026".to_owned()))));
    let second = store.begin_run(&start()).unwrap();
    assert_eq!(
        store.begin_stream(second.id, "groups", true, 1).unwrap().bookmark.as_deref(),
        Some("v1:2026")
    );
}

#[test]
fn what_came_after_a_bookmark_says_nothing_of_what_was_before() {
    let (_folder, mut store) = open();
    run(
        &mut store,
        &page(vec![group("1", "one"), group("2", "two")], Progress::Done(Some("v1:a".to_owned()))),
    );
    run(&mut store, &page(vec![group("2", "TWO")], Progress::Done(Some("v1:b".to_owned()))));
    assert_eq!(names(&store), ["TWO", "one"]);
    // Starting over reads all there is.
    let third = store.begin_run(&start()).unwrap();
    store.begin_stream(third.id, "groups", true, 1).unwrap();
    store.forget_checkpoint(third.id, "groups", true).unwrap();
    store.commit_page(third.id, "groups", &page(vec![group("2", "TWO")], done()), &reader()).unwrap();
    assert_eq!(names(&store), ["TWO"]);
}

#[test]
fn an_interrupted_run_of_other_streams_or_another_day_is_not_gone_on_with() {
    let (_folder, mut store) = open();
    let first = store.begin_run(&start()).unwrap();
    let other = store.begin_run(&RunStart { scope: "users", ..start() }).unwrap();
    assert!(!other.resumed && other.id > first.id);
    store.connection.execute("UPDATE run SET started_at = '2020-01-01T00:00:00.000Z'", []).unwrap();
    assert!(!store.begin_run(&RunStart { scope: "users", ..start() }).unwrap().resumed);
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
    assert_eq!(names(&store), ["one"]);
}

#[test]
fn two_runs_do_not_write_at_once() {
    let (folder, store) = open();
    let path = folder.path().join("test.db");
    assert!(matches!(Store::open(&path), Err(StoreError::Busy(_))));
    assert!(Store::open_read_only(&path).is_ok(), "others may read meanwhile");
    drop(store);
    assert!(Store::open(&path).is_ok());
}

#[test]
fn a_relation_that_comes_back_or_turns_into_a_deny_has_changed() {
    let (_folder, mut store) = open();
    let related = |relations| Page { relations, ..page(vec![], done()) };
    run(&mut store, &related(vec![access("1", "vpn"), access("2", "vpn")]));
    run(&mut store, &related(vec![access("2", "vpn")]));
    let denied = Relation { privilege_value: false, ..access("2", "vpn") };
    let third = run(&mut store, &related(vec![access("1", "vpn"), denied]));
    let counts = store.relation_counts(third).unwrap();
    assert_eq!((counts[0].new, counts[0].changed), (1, 1));
}

#[test]
fn relations_are_kept_once_and_go_with_their_stream() {
    let (_folder, mut store) = open();
    let related = |relations| Page { relations, ..page(vec![], done()) };
    run(&mut store, &related(vec![access("1", "vpn"), access("1", "vpn"), access("2", "vpn")]));
    let second = run(&mut store, &related(vec![access("1", "vpn")]));
    let counts = store.relation_counts(second).unwrap();
    assert_eq!((counts[0].seen, counts[0].new, counts[0].gone), (1, 0, 1));
}

#[test]
fn the_latest_use_wins_in_whatever_order_pages_come() {
    let usage = |success: Option<i64>, at: i64, result| Usage {
        identity: None,
        identity_name: None,
        resource: access("1", "vpn").child,
        resource_name: Some(format!("at {at}")),
        last_success: success,
        last_attempt: Some(Attempt { at, result, vendor_result: None }),
    };
    let events = [
        usage(Some(1000), 1000, AttemptResult::Success),
        usage(None, 3000, AttemptResult::Denied),
        usage(Some(2000), 2000, AttemptResult::Success),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
        let (_folder, mut store) = open();
        let usages = order.map(|index| events[index].clone()).to_vec();
        run(&mut store, &Page { usages, ..page(vec![], done()) });
        let mut rows = Vec::new();
        store
            .usages(|row| {
                rows.push(row);
                Ok::<_, StoreError>(())
            })
            .unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].last_success.as_deref(), Some("1970-01-01T00:33:20Z"));
        assert_eq!(rows[0].last_attempt.as_deref(), Some("1970-01-01T00:50:00Z"));
        assert_eq!(rows[0].resource_name.as_deref(), Some("at 3000"));
        assert_eq!(rows[0].last_attempt_result.as_deref(), Some("denied"), "{order:?}");
    }
}

#[test]
fn problems_are_counted_and_listed() {
    let (_folder, mut store) = open();
    let problem = |number: u32| Problem { source_id: None, field: None, message: format!("{number}") };
    let window = Some(Window { from: 0, to: 1 });
    let run =
        run(&mut store, &Page { problems: (0..30).map(problem).collect(), window, ..page(vec![], done()) });
    assert_eq!(store.problem_count(run).unwrap(), 30);
    assert_eq!(store.problems(run, 20).unwrap().len(), 20);
}

#[test]
fn other_files_are_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a database, but long enough to be taken for one by a careless reader")
        .unwrap();
    assert!(matches!(Store::open(&text), Err(StoreError::NotAStore { .. })));
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("not a database"));

    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(Store::open(&other), Err(StoreError::NotAStore { .. })));
    assert!(matches!(Store::open_read_only(&folder.path().join("none")), Err(StoreError::Missing(_))));
}

#[test]
fn a_reader_changes_nothing_and_leaves_nothing_behind() {
    let (folder, mut store) = open();
    run(&mut store, &page(vec![group("1", "one")], done()));
    drop(store);
    let mut reader = Store::open_read_only(&folder.path().join("test.db")).unwrap();
    assert_eq!(names(&reader), ["one"]);
    assert!(matches!(reader.begin_run(&start()), Err(StoreError::Sqlite { .. })));
    drop(reader);
    let files: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(files.iter().all(|file| file == "test.db" || file == "test.db.lock"), "{files:?}");
}

#[test]
fn a_store_of_a_later_release_is_refused() {
    let (folder, store) = open();
    store.connection.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    drop(store);
    assert!(matches!(Store::open(&folder.path().join("test.db")), Err(StoreError::OtherSchema { .. })));
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_a_store() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _store) = open();
    let mode = std::fs::metadata(folder.path().join("test.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

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

#[test]
fn a_cursor_of_another_version_is_forgotten_with_what_was_found_on_its_way() {
    let (_folder, mut store) = open();
    let run = store.begin_run(&start()).unwrap();
    store.begin_stream(run.id, "groups", true, 1).unwrap();
    store.commit_page(run.id, "groups", &page(vec![group("1", "one")], more("a")), &reader()).unwrap();
    let same = store.begin_stream(run.id, "groups", true, 1).unwrap();
    assert_eq!((same.cursor.as_deref(), same.pages), (Some("a"), 1));
    let other = store.begin_stream(run.id, "groups", true, 2).unwrap();
    assert_eq!((other.cursor, other.pages), (None, 0));
}

#[test]
fn a_stream_that_has_no_cursor_begins_after_its_bookmark_or_sees_all_there_is() {
    let (_folder, mut store) = open();
    let bookmark = || Progress::Done(Some("v1:2026".to_owned()));
    run(&mut store, &page(vec![group("1", "one"), group("2", "two")], bookmark()));
    // The run before was interrupted before its first page; by now the stream is no longer incremental.
    let second = store.begin_run(&start()).unwrap();
    store.begin_stream(second.id, "groups", true, 1).unwrap();
    store.begin_stream(second.id, "groups", false, 1).unwrap();
    store.commit_page(second.id, "groups", &page(vec![group("1", "one")], done()), &reader()).unwrap();
    assert_eq!(names(&store), ["one"], "it read all there is, so the other one is gone");
}

/// Changes after `run`: kind, name, fields.
fn changes(store: &Store, run: RunId) -> Vec<(String, String, Vec<String>)> {
    let mut changes = Vec::new();
    store
        .changes(RunId(run.0 - 1), None, |row| {
            let fields = row.fields.iter().map(|one| format!("{}: {} -> {}", one.field, one.from, one.to));
            changes.push((row.kind, row.name, fields.collect()));
            Ok::<_, StoreError>(())
        })
        .unwrap();
    changes
}

fn told(kind: &str, name: &str, fields: &[&str]) -> (String, String, Vec<String>) {
    (kind.to_owned(), name.to_owned(), fields.iter().map(|field| (*field).to_owned()).collect())
}

#[test]
fn what_is_other_than_before_is_told_field_by_field() {
    let (_folder, mut store) = open();
    let related = |entities, relations| Page { relations, ..page(entities, done()) };
    let first = run(
        &mut store,
        &related(vec![group("1", "one"), group("2", "two"), group("3", "three")], vec![access("1", "vpn")]),
    );
    assert_eq!(changes(&store, first), [], "there is nothing to be other than");
    let second = run(
        &mut store,
        &related(vec![group("1", "one"), group("2", "TWO"), group("4", "four")], vec![access("2", "vpn")]),
    );
    let expected = [
        told("changed", "TWO", &["name: \"two\" -> \"TWO\""]),
        told("removed", "three", &[]),
        told("added", "four", &[]),
        told("removed", "one access vpn", &[]),
        told("added", "TWO access vpn", &[]),
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
    store.connection.execute_batch(forbid).unwrap();
    let second = run(&mut store, &related);
    let counts = store.entity_counts(second).unwrap();
    assert_eq!((counts[0].seen, counts[0].new, counts[0].changed, counts[0].gone), (200, 0, 0, 0));
}

#[test]
fn a_store_of_an_earlier_release_is_brought_up_to_date_with_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let store = Connection::open(folder.path().join("test.db")).unwrap();
    // As the first release of all left it.
    let (first, tables) = MIGRATIONS[0];
    store
        .execute_batch(&format!(
            "{tables}
             PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {first};
             INSERT INTO integration VALUES (1, 'acme', 'acme', 'Acme', 'api.example.com');
             INSERT INTO run (id, integration_id, started_at, finished_at, scope, connector_version, connector_digest)
             VALUES (1, 1, '2026-01-01T00:00:00Z', '2026-01-01T00:01:00Z', 'groups', '1.0.0', '00');
             INSERT INTO connector VALUES (1, 'acme', '1.0.0', '00');
             INSERT INTO entity (integration_id, entity_type, source_type, source_id, name, normal, attributes, stream,
                                 connector_id, first_seen_run)
             VALUES (1, 'connection', 'group', '1', 'one', '{{}}', '{{}}', 'groups', 1, 1);"
        ))
        .unwrap();
    drop(store);
    let path = folder.path().join("test.db");
    let Err(refused) = Store::open_read_only(&path) else { panic!("a reader migrates nothing") };
    assert!(refused.hint().unwrap().contains("the next `sync`"), "{refused}");
    let store = Store::open(&path).unwrap();
    assert_eq!(names(&store), ["one"]);
    assert_eq!(store.runs(None, 10).unwrap().len(), 1, "the views are there");
    let found = Entities { source_type: "group", search: "ON", turn: Turn::First, limit: 10 };
    assert_eq!(store.browse("acme", &found).unwrap().total, 1, "what was there is found");
}

#[test]
fn the_schemas_follow_each_other() {
    let versions = MIGRATIONS.map(|(version, _)| version);
    assert!(versions.windows(2).all(|pair| pair[1] == pair[0] + 1), "{versions:?}");
    assert_eq!((versions[0], versions[versions.len() - 1]), (FIRST_SCHEMA, SCHEMA_VERSION));
}

#[test]
fn a_run_is_shown_with_what_it_cost_and_how_its_streams_ended() {
    let (_folder, mut store) = open();
    let run = store.begin_run(&start()).unwrap().id;
    store.begin_stream(run, "groups", true, 1).unwrap();
    store.commit_page(run, "groups", &page(vec![group("1", "one")], more("next")), &reader()).unwrap();
    let effort = Effort { retries: 3, waited: Duration::from_millis(1500) };
    store.add_effort(run, "groups", effort).unwrap();
    store.end_stream(run, "groups", StreamState::Incomplete, &why("the vendor went away")).unwrap();
    store.end_stream(run, "phones", StreamState::Skipped, &why("the grant is missing")).unwrap();
    store.add_requests(run, 7).unwrap();
    store.finish_run(run, false).unwrap();
    let rows = store.runs(Some("acme"), 10).unwrap();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.requests, row.retries, row.waited_seconds), (7, 3, 1.5));
    assert_eq!(row.outcome.as_deref(), Some("partial"));
    let streams: Vec<_> =
        row.streams.iter().map(|one| (one.stream.as_str(), one.state.as_str(), one.pages)).collect();
    assert_eq!(streams, [("groups", "incomplete", 1), ("phones", "skipped", 0)]);
    assert!(store.runs(Some("other"), 10).unwrap().is_empty());
}

#[test]
fn pages_of_objects_turn_both_ways_and_lose_none() {
    let (_folder, mut store) = open();
    let names = ["b", "A", "a", "ä", "<x>", "B", "100%", "a_b", "a", "C"];
    let ids: Vec<String> = (0..names.len()).map(|index| format!("G{index}")).collect();
    let groups: Vec<_> = ids.iter().map(String::as_str).zip(names).collect();
    let entities = groups.iter().map(|(id, name)| group(id, name)).collect();
    run(&mut store, &page(entities, Progress::Done(None)));
    let browse = |turn: Turn, search: &str| {
        store.browse("acme", &Entities { source_type: "group", search, turn, limit: 3 }).unwrap()
    };
    let keys =
        |page: &PageOf<EntityRow>| page.rows.iter().map(|row| row.source_id.clone()).collect::<Vec<_>>();

    let (mut seen, mut pages) = (Vec::new(), vec![browse(Turn::First, "")]);
    while let Some(after) = pages.last().unwrap().after.clone() {
        pages.push(browse(Turn::After(after), ""));
    }
    for page in &pages {
        assert_eq!(page.total, 10);
        seen.extend(keys(page));
    }
    assert_eq!(pages.len(), 4);
    assert_eq!(seen.iter().collect::<std::collections::BTreeSet<_>>().len(), 10, "{seen:?}");
    for (index, page_there) in pages.iter().enumerate().skip(1) {
        let back = browse(Turn::Before(page_there.before.clone().unwrap()), "");
        assert_eq!(keys(&back), keys(&pages[index - 1]));
    }
    assert_eq!(browse(Turn::First, "%").total, 1, "what is searched for is not a pattern");
    assert_eq!(browse(Turn::First, "_").total, 1);
    assert_eq!(browse(Turn::First, "g3").total, 1, "keys are searched as well");
    assert_eq!(browse(Turn::First, "nobody").total, 0);
}

#[test]
fn a_page_of_objects_is_found_in_the_index() {
    let (_folder, store) = open();
    let plan = |query: &str| -> String {
        let mut statement = store.connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        rows.collect::<Result<Vec<_>, _>>().unwrap().join("\n")
    };
    let plan = plan(
        "SELECT e.id FROM entity e WHERE e.integration_id = 1 AND e.source_type = 'user' AND e.gone_run IS NULL
         AND (e.name COLLATE NOCASE, e.source_id) > ('a', 'b') AND e.search LIKE '%x%'
         ORDER BY e.name COLLATE NOCASE, e.source_id LIMIT 50",
    );
    assert!(plan.contains("USING COVERING INDEX entity_browse") && !plan.contains("TEMP B-TREE"), "{plan}");
}
