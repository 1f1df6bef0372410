//! The file: what is refused, who may read it, who writes.

use super::*;

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

#[cfg(unix)]
#[test]
fn a_store_of_two_names_has_one_writer() {
    let (folder, store) = open();
    let other_name = folder.path().join("link.db");
    std::os::unix::fs::symlink(folder.path().join("test.db"), &other_name).unwrap();
    assert!(matches!(Store::open(&other_name), Err(StoreError::Busy(_))));
    drop(store);
    assert!(Store::open(&other_name).is_ok());
    // A name that leads to no file yet.
    let (new, link) = (folder.path().join("new.db"), folder.path().join("new link.db"));
    std::os::unix::fs::symlink(&new, &link).unwrap();
    let _store = Store::open(&link).unwrap();
    assert!(matches!(Store::open(&new), Err(StoreError::Busy(_))));
}

#[cfg(unix)]
#[test]
fn a_store_beside_which_no_file_can_be_made_is_read_unless_something_is_missing_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("what? #1 100%.db");
    let mut store = Store::open(&path).unwrap();
    run(&mut store, &page(vec![group("1", "one")], done()));
    drop(store);
    // As in a folder that can't be written, which the superuser, who may run this, would write to.
    let beside = |suffix: &str| folder.path().join(format!("what? #1 100%.db-{suffix}"));
    std::os::unix::fs::symlink("nowhere/at all", beside("shm")).unwrap();
    assert_eq!(names(&Store::open_read_only(&path).unwrap()), ["one"]);
    std::fs::write(beside("wal"), "something").unwrap();
    let Err(error) = Store::open_read_only(&path) else { panic!("what is in the log is missing") };
    assert!(matches!(error, StoreError::Sqlite { .. }), "{error}");
    assert!(error.hint().unwrap().contains("`-wal`"), "{error}");
}

#[test]
fn what_is_read_at_once_is_as_of_one_moment() {
    let (folder, mut store) = open();
    run(&mut store, &page(vec![group("1", "one")], done()));
    let reader = Store::open_read_only(&folder.path().join("test.db")).unwrap();
    let read = reader.at_once(|| {
        let before = names(&reader);
        run(&mut store, &page(vec![group("2", "two")], done()));
        Ok::<_, StoreError>([before, names(&reader)])
    });
    assert_eq!(read.unwrap(), [["one"], ["one"]]);
    assert_eq!(names(&reader), ["two"]);
}

/// The views, and their columns in order, as `docs/store.md` would have them.
#[test]
fn the_views_are_those_of_the_documentation() {
    let documented = include_str!("../../../../docs/store.md");
    let (_folder, store) = open();
    let list = |query: &str| -> Vec<String> {
        let mut query = store.connection.prepare(query).unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let views = list("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name");
    for view in &views {
        let columns = list(&format!("SELECT name FROM pragma_table_info('{view}')"));
        let columns = columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ");
        let (_, section) =
            documented.split_once(&format!("### `{view}`\n")).unwrap_or_else(|| panic!("no {view}"));
        let section = section.split("\n#").next().unwrap();
        assert!(section.contains(&format!("\n\n{columns}\n")), "{view}: {columns}");
    }
    assert_eq!(documented.matches("### `").count(), views.len());
}
