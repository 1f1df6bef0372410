//! A tenant that changes while it is read: what was there from the beginning to the end is in the store, whatever came
//! and went around it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use duo_simulator::tenant::{Kind, Tenant};

use crate::harness::{Random, Setup, row, tenant};

/// Runs at random; the walk itself is tried with tens of thousands of seeds in the connector's `paging`.
const SEEDS: u64 = 40;

/// Deletes, brings back and renames users. Who was deleted is in `left`.
fn change(tenant: &Tenant, random: &mut Random, users: u64, left: &mut BTreeSet<String>) {
    for _ in 0..random.below(4) {
        match random.below(4) {
            // As a directory sync does: many at once, or one by one.
            0 | 1 => {
                let at = random.below(tenant.count(Kind::User));
                let most = if random.below(5) == 0 { 350 } else { 3 };
                for _ in 0..=random.below(most) {
                    let key = tenant
                        .object(Kind::User, at)
                        .and_then(|user| Some(user["user_id"].as_str()?.to_owned()));
                    left.extend(key);
                    tenant.delete_user(at);
                }
            }
            2 => (0..=random.below(5)).for_each(|_| tenant.restore_user(random.below(users))),
            _ => tenant.rename_user(random.below(tenant.count(Kind::User))),
        }
    }
}

fn stored(setup: &Setup) -> BTreeSet<String> {
    let store = rusqlite::Connection::open(setup.path("duo.db")).unwrap();
    let mut statement = store
        .prepare("SELECT source_id FROM entity WHERE source_type = 'user' AND gone_run IS NULL")
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_is_in_the_store_and_what_left_before_does_not_come_back() {
    const USERS: u32 = 1700;
    let setup = Setup::new(tenant(USERS)).await;
    setup.reconfigure("[settings]", "streams = [\"users\"]\n[settings]");
    setup.configure(&format!(
        "{}[limits]\nvendor-budgets = false\n",
        std::fs::read_to_string(setup.path("duo.toml")).unwrap()
    ));
    let stepped_back = AtomicU64::new(0);
    for seed in 1..=SEEDS {
        let random = Arc::new(Mutex::new(Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))));
        let left = Arc::new(Mutex::new(BTreeSet::new()));
        let before: BTreeSet<String> = setup.simulator.tenant().user_keys().into_iter().collect();
        let asked = setup.simulator.recorded().len();
        setup.simulator.change_before_each({
            let (random, left) = (Arc::clone(&random), Arc::clone(&left));
            move |tenant, path, query| {
                // The first page is the beginning.
                if path == "/admin/v1/users" && query.contains("limit=300") && !query.ends_with("offset=0") {
                    change(tenant, &mut random.lock().unwrap(), USERS.into(), &mut left.lock().unwrap());
                }
            }
        });
        let summary = setup.sync(0);
        setup.simulator.change_before_each(|_, _, _| {});
        let after: BTreeSet<String> = setup.simulator.tenant().user_keys().into_iter().collect();
        let stored = stored(&setup);
        let left = left.lock().unwrap().clone();
        // Somebody who left may have come back.
        let missed: Vec<_> = before.difference(&left).filter(|key| !stored.contains(*key)).collect();
        assert!(missed.is_empty(), "seed {seed} missed {missed:?}: {summary}");
        let resurrected: Vec<_> = stored
            .iter()
            .filter(|key| !before.contains(*key) && !after.contains(*key) && !left.contains(*key))
            .collect();
        assert!(resurrected.is_empty(), "seed {seed} has {resurrected:?}");
        let users = row(&summary["entities"], "source_type", "user");
        assert_eq!(users["seen"], stored.len(), "seed {seed}: a row each");
        let pages = setup.simulator.recorded().len() - asked;
        stepped_back.fetch_add(u64::from(pages > 10), Ordering::Relaxed);
        // Next time there are enough again.
        (0..u64::from(USERS)).for_each(|number| setup.simulator.tenant().restore_user(number));
        for number in 0..u64::from(USERS) / 7 {
            setup.simulator.delete_user(number * 3);
        }
    }
    assert!(stepped_back.load(Ordering::Relaxed) > SEEDS / 4, "hardly a walk met a change");
    // And all is quiet again: exactly the tenant.
    setup.sync(0);
    assert_eq!(stored(&setup), setup.simulator.tenant().user_keys().into_iter().collect());
}
