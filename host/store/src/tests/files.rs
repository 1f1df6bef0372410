//! The file of a store: refused files, permissions, and the lock.

use connector_sandbox::Hint as _;

use super::*;

#[test]
fn two_runs_do_not_write_at_once() {
    let (folder, store) = open();
    let path = folder.path().join("test.db");
    assert!(matches!(Writer::open(&path), Err(StoreError::Busy(_))));
    assert!(Reader::open(&path).is_ok(), "others may read meanwhile");
    drop(store);
    assert!(Writer::open(&path).is_ok());
}

#[test]
fn other_files_are_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a database, but long enough to be taken for one by a careless reader")
        .unwrap();
    assert!(matches!(Writer::open(&text), Err(StoreError::NotAStore { .. })));
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("not a database"));

    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(Writer::open(&other), Err(StoreError::NotAStore { .. })));
    assert!(matches!(Reader::open(&folder.path().join("none")), Err(StoreError::Missing(_))));
}

#[test]
fn a_reader_changes_nothing_and_leaves_no_file_behind() {
    let (folder, mut store) = open();
    run(&mut store, &page(vec![group("1", "one")], done()));
    drop(store);
    let reader = Reader::open(&folder.path().join("test.db")).unwrap();
    assert_eq!(names(&reader), ["one"]);
    assert!(reader.connection.execute("DELETE FROM entity", []).is_err(), "SQLite refuses writes");
    drop(reader);
    let files: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(files.iter().all(|file| file == "test.db" || file == "test.db.lock"), "{files:?}");
}

#[test]
fn a_store_of_a_later_release_is_refused() {
    let (folder, store) = open();
    store.reader().connection.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    drop(store);
    assert!(matches!(Writer::open(&folder.path().join("test.db")), Err(StoreError::OtherSchema { .. })));
}

#[test]
fn only_its_owner_may_read_a_store() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _store) = open();
    let mode = std::fs::metadata(folder.path().join("test.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

#[test]
fn a_store_with_two_names_has_one_writer() {
    let (folder, store) = open();
    let other_name = folder.path().join("link.db");
    std::os::unix::fs::symlink(folder.path().join("test.db"), &other_name).unwrap();
    assert!(matches!(Writer::open(&other_name), Err(StoreError::Busy(_))));
    drop(store);
    assert!(Writer::open(&other_name).is_ok());
    // A link to a file that does not exist yet.
    let (new, link) = (folder.path().join("new.db"), folder.path().join("new link.db"));
    std::os::unix::fs::symlink(&new, &link).unwrap();
    let _store = Writer::open(&link).unwrap();
    assert!(matches!(Writer::open(&new), Err(StoreError::Busy(_))));
}

#[test]
fn a_store_in_a_read_only_folder_is_read_unless_its_log_has_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("what? #1 100%.db");
    let mut store = Writer::open(&path).unwrap();
    run(&mut store, &page(vec![group("1", "one")], done()));
    drop(store);
    // Like a read-only folder. A test that runs as root could write to a real one.
    let beside = |suffix: &str| folder.path().join(format!("what? #1 100%.db-{suffix}"));
    std::os::unix::fs::symlink("nowhere/at all", beside("shm")).unwrap();
    assert_eq!(names(&Reader::open(&path).unwrap()), ["one"]);
    std::fs::write(beside("wal"), "something").unwrap();
    let Err(error) = Reader::open(&path) else { panic!("what is in the log is missing") };
    assert!(matches!(error, StoreError::Sqlite { .. }), "{error}");
    assert!(error.hint().unwrap().contains("`-wal`"), "{error}");
}

#[test]
fn a_snapshot_shows_one_moment() {
    let (folder, mut store) = open();
    run(&mut store, &page(vec![group("1", "one")], done()));
    let reader = Reader::open(&folder.path().join("test.db")).unwrap();
    let read = reader.snapshot(|| {
        let before = names(&reader);
        run(&mut store, &page(vec![group("2", "two")], done()));
        Ok::<_, StoreError>([before, names(&reader)])
    });
    assert_eq!(read.unwrap(), [["one"], ["one"]]);
    assert_eq!(names(&reader), ["two"]);
}

/// The views and their columns, in the order of `docs/store.md`.
#[test]
fn the_views_are_those_of_the_documentation() {
    let documented = include_str!("../../../../docs/store.md");
    let (_folder, store) = open();
    let list = |query: &str| -> Vec<String> {
        let mut query = store.reader().connection.prepare(query).unwrap();
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
