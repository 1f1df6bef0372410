//! A host that is killed at any moment, many times: the next run resumes after the last committed page, loses nothing, and counts
//! nothing twice.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::{Random, Setup, contents, tenant};

const USERS: u32 = 900;
const KILLS: u32 = 250;

fn stored(setup: &Setup) -> BTreeSet<String> {
    let store = rusqlite::Connection::open(setup.path("duo.db")).unwrap();
    let mut statement = store.prepare("SELECT source_id FROM entities WHERE source_type = 'user'").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_hundreds_of_kills_at_random_the_store_equals_the_tenant() {
    let setup = Setup::new(tenant(USERS)).await;
    setup.configure(&format!("{}[limits]\nvendor-budgets = false\n", setup.configuration()));
    let mut random = Random(0x5EED_0F5E_ED0F_5EED);
    let (mut kills, mut resumed, mut finished) = (0, 0, 0);
    // The kills are spread over the whole time of a run.
    let start = Instant::now();
    setup.sync(0);
    let longest = start.elapsed();
    while kills < KILLS {
        let mut child = setup
            .command(&["sync", "--config", "duo.toml"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(random.below(longest.as_micros() as u64)));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
        // Some runs may end: then the store must equal the tenant.
        if random.below(8) == 0 {
            let summary = setup.sync(0);
            resumed += u32::from(summary["resumed"] == true);
            finished += 1;
            let there: BTreeSet<String> = setup.simulator.tenant().user_keys().into_iter().collect();
            if summary["resumed"] == true {
                // It may have read objects before they changed; the next one reads all of them.
                setup.sync(0);
            }
            assert_eq!(stored(&setup), there, "after {kills} kills");
            for _ in 0..random.below(40) {
                setup.simulator.delete_user(random.below(u64::from(USERS) / 2));
                setup.simulator.tenant().restore_user(random.below(USERS.into()));
            }
        }
    }
    assert!(resumed > finished / 5, "few kills hit a run: {resumed} of {finished}");
    setup.sync(0);
    setup.sync(0);
    let store = rusqlite::Connection::open(setup.path("duo.db")).unwrap();
    let check: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let fresh = setup.with_config("sync", &["--store", "fresh.db"]);
    assert_eq!(fresh.code, 0, "{fresh:?}");
    assert_eq!(contents(&setup, "duo.db"), contents(&setup, "fresh.db"), "exactly the tenant");
}
