//! What no sync can do without: the bytes of the tenant through `serde_json`, and as many rows into SQLite, page by page.

use std::time::Duration;

use duo_simulator::Simulator;
use duo_simulator::tenant::Kind;
use nix::sys::resource::UsageWho;

use crate::child::processor;

/// The lists that have nearly all objects, and the objects of a page.
const LISTS: [(Kind, usize); 3] = [(Kind::User, 300), (Kind::Phone, 500), (Kind::WebauthnCredential, 500)];

/// Processor time to parse, processor time to write, and the number of rows.
pub(crate) fn floor(simulator: &Simulator) -> (Duration, Duration, u64) {
    let tenant = simulator.tenant();
    let (mut parse, mut insert, mut rows) = (Duration::ZERO, Duration::ZERO, 0_u64);
    let folder = tempfile::tempdir().unwrap();
    let mut store = rusqlite::Connection::open(folder.path().join("floor.db")).unwrap();
    store
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE entity (id INTEGER PRIMARY KEY, kind TEXT, key TEXT, object TEXT, UNIQUE (kind, key));
             CREATE TABLE relation (id INTEGER PRIMARY KEY, parent TEXT, child TEXT, UNIQUE (parent, child));",
        )
        .unwrap();
    for (kind, limit) in LISTS {
        let name = format!("{kind:?}");
        for start in (0..tenant.count(kind)).step_by(limit) {
            let end = tenant.count(kind).min(start + limit as u64);
            let page: Vec<_> = (start..end).filter_map(|index| tenant.object(kind, index)).collect();
            let bytes = serde_json::to_vec(&page).unwrap();
            let begun = processor(UsageWho::RUSAGE_THREAD);
            let page: Vec<serde_json::Value> = serde_json::from_slice(&bytes).unwrap();
            parse += processor(UsageWho::RUSAGE_THREAD) - begun;

            let begun = processor(UsageWho::RUSAGE_THREAD);
            let transaction = store.transaction().unwrap();
            {
                let mut entity = transaction
                    .prepare_cached("INSERT INTO entity (kind, key, object) VALUES (?1, ?2, ?3)")
                    .unwrap();
                let mut relation = transaction
                    .prepare_cached("INSERT INTO relation (parent, child) VALUES (?1, ?2)")
                    .unwrap();
                for (number, object) in page.iter().enumerate() {
                    let key = format!("{}", start + number as u64);
                    // About as long as what is kept of an object.
                    entity.execute((&name, &key, &bytes.get(..600).map(String::from_utf8_lossy))).unwrap();
                    let related = match kind {
                        Kind::User => object["groups"].as_array().map_or(0, Vec::len) + 1,
                        _ => 1,
                    };
                    for child in 0..related {
                        relation.execute((format!("{name} {key}"), child.to_string())).unwrap();
                    }
                    rows += 1 + related as u64;
                }
            }
            transaction.commit().unwrap();
            insert += processor(UsageWho::RUSAGE_THREAD) - begun;
        }
    }
    (parse, insert, rows)
}
