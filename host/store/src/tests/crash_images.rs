//! The files of a store as a power failure would leave them: each image opens, is intact, and the next run on it ends with
//! the content of the vendor.
//!
//! `synchronous = NORMAL` syncs the log before a checkpoint and the file after one. So a power failure may lose the end of
//! the log, from any byte; or, within a checkpoint, any of the pages that it writes to the file, while the log is complete.

use std::path::{Path, PathBuf};

use super::*;

const PAGES: u32 = 12;
const IMAGES: u32 = 200;

/// A page of the vendor in its first state or its second one: groups are renamed, removed and added between them.
fn vendor_page(number: u32, second: bool) -> Page {
    let first = number * 30;
    let ids = first + u32::from(second)..first + 30;
    let name =
        |id: u32| if second && id.is_multiple_of(3) { format!("new {id}") } else { format!("old {id}") };
    let entities = ids.clone().map(|id| group(&id.to_string(), &name(id))).collect();
    let relations = ids.map(|id| access(&id.to_string(), &format!("vpn {}", id % 5))).collect();
    let progress = if number + 1 == PAGES { done() } else { more(&(number + 1).to_string()) };
    Page { relations, ..page(entities, progress) }
}

/// Runs to the end, from the checkpoint if there is one; calls `after` with the store after each page.
fn read_vendor(store: &mut Writer, second: bool, mut after: impl FnMut(&mut Writer)) {
    let run = store.begin_run(&start()).unwrap().id;
    let checkpoint = store.begin_stream(run, &name("groups"), false, 1).unwrap();
    if checkpoint.state == StreamState::Running {
        let first = checkpoint.cursor.map_or(0, |cursor| cursor.parse().unwrap());
        for number in first..PAGES {
            store.commit_page(run, &name("groups"), &vendor_page(number, second), &reader()).unwrap();
            after(store);
        }
    }
    store.finish_run(run, RunOutcome::Complete).unwrap();
    after(store);
}

fn content(store: &Reader) -> Vec<String> {
    let rows = |query: &str| -> Vec<String> {
        let mut statement = store.connection.prepare(query).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let entities = rows("SELECT source_id || ' ' || name || normal FROM entities ORDER BY 1");
    let relations = rows(
        "SELECT parent_source_id || ' ' || privilege || ' ' || child_source_id FROM relations ORDER BY 1",
    );
    [entities, relations].concat()
}

/// Numbers that look random, and are the same in each run of the test.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

/// Opens an image, and asserts that the next run on it ends with `expected`.
#[track_caller]
fn recovers(folder: &Path, file: &[u8], log: &[u8], expected: &[String]) {
    let path = folder.join("image.db");
    std::fs::write(&path, file).unwrap();
    std::fs::write(log_of(&path), log).unwrap();
    let mut store = Writer::open(&path).unwrap();
    let check = |store: &Writer| -> String {
        store.reader().connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(check(&store), "ok");
    read_vendor(&mut store, true, |_| ());
    assert_eq!(check(&store), "ok");
    assert!(!store.reader().connection.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap());
    assert!(content(store.reader()) == expected, "the next run ends with other content");
}

#[test]
fn after_a_power_failure_at_any_moment_the_next_run_ends_with_the_content_of_the_vendor() {
    let (folder, mut store) = open();
    let path = folder.path().join("test.db");
    read_vendor(&mut store, false, |_| ());
    let before = content(store.reader());
    drop(store);

    // A moment of the second run is the file and the log after a page.
    let mut store = Writer::open(&path).unwrap();
    let mut moments = Vec::new();
    read_vendor(&mut store, true, |_| {
        moments.push((std::fs::read(&path).unwrap(), std::fs::read(log_of(&path)).unwrap()));
    });
    let expected = content(store.reader());
    assert_ne!(before, expected);

    let images = tempfile::tempdir().unwrap();
    let mut sequence = Sequence(0x5EED);
    for _ in 0..IMAGES {
        let (file, log) = &moments[sequence.below(moments.len())];
        let kept = sequence.below(log.len() + 1);
        recovers(images.path(), file, &log[..kept], &expected);
    }

    // A power failure within a checkpoint: some pages of the file are already those after it.
    let (file, log) = moments.last().unwrap();
    store.reader().connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let checkpointed = std::fs::read(&path).unwrap();
    const PAGE: usize = 4096;
    for _ in 0..IMAGES / 4 {
        let mut image = file.clone();
        image.resize(checkpointed.len(), 0);
        for (page, after) in image.chunks_mut(PAGE).zip(checkpointed.chunks(PAGE)) {
            if sequence.below(2) == 0 {
                page.copy_from_slice(after);
            }
        }
        recovers(images.path(), &image, log, &expected);
    }
}
