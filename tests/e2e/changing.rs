//! A tenant that changes while it is read: what was there from the beginning to the end is in the store, whatever came
//! and went around it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use duo_simulator::TenantOptions;
use duo_simulator::tenant::{Kind, Tenant};
use serde_json::Value;

use crate::harness::{Random, Setup, row, tenant};

/// Runs at random; the walk itself is tried with tens of thousands of seeds in the connector's `paging`.
const SEEDS: u64 = 40;

/// Six pages.
const USERS: u32 = 1700;

fn random(seed: u64) -> Arc<Mutex<Random>> {
    Arc::new(Mutex::new(Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))))
}

/// A tenant of which only the users are read.
async fn users_of(options: TenantOptions) -> Setup {
    let setup = Setup::new(options).await;
    setup.reconfigure("[settings]", "streams = [\"users\"]\n[settings]");
    setup.configure(&format!(
        "{}[limits]\nvendor-budgets = false\n[store]\nremoval-percent = 100\n",
        std::fs::read_to_string(setup.path("duo.toml")).unwrap()
    ));
    setup
}

/// Deletes a user; its key is in `left`.
fn delete(tenant: &Tenant, at: u64, left: &mut BTreeSet<String>) {
    let user = tenant.object(Kind::User, at);
    left.extend(user.and_then(|user| Some(user["user_id"].as_str()?.to_owned())));
    tenant.delete_user(at);
}

/// Deletes, brings back and renames users. Who was deleted is in `left`.
fn change(tenant: &Tenant, random: &mut Random, left: &mut BTreeSet<String>) {
    for _ in 0..random.below(4) {
        match random.below(4) {
            // As a directory sync does: many at once, or one by one.
            0 | 1 => {
                let at = random.below(tenant.count(Kind::User));
                let most = if random.below(5) == 0 { 350 } else { 3 };
                (0..=random.below(most)).for_each(|_| delete(tenant, at, left));
            }
            2 => (0..=random.below(5)).for_each(|_| tenant.restore_user(random.below(USERS.into()))),
            _ => tenant.rename_user(random.below(tenant.count(Kind::User))),
        }
    }
}

/// Gives a user a new name, and may delete one or bring one back: too little to hide it.
fn rename(tenant: &Tenant, random: &mut Random, left: &mut BTreeSet<String>) {
    tenant.rename_user(random.below(tenant.count(Kind::User)));
    match random.below(3) {
        0 => delete(tenant, random.below(tenant.count(Kind::User)), left),
        1 => {
            let users = tenant.count(Kind::User);
            while tenant.count(Kind::User) == users {
                tenant.restore_user(random.below(USERS.into()));
            }
        }
        _ => {}
    }
}

/// The keys of the users in the store: those that are there, or those that are gone.
fn stored(setup: &Setup, is_gone: bool) -> BTreeSet<String> {
    let store = rusqlite::Connection::open(setup.path("duo.db")).unwrap();
    let mut statement = store
        .prepare(
            "SELECT e.source_id FROM entity e JOIN kind k ON k.id = e.kind_id
             WHERE k.source_type = 'user' AND e.stream_id IS NOT NULL AND (e.gone_run IS NOT NULL) = ?1",
        )
        .unwrap();
    let rows = statement.query_map([is_gone], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// How the stream ended; and why, where it is not complete.
fn ended(setup: &Setup) -> (Value, Option<String>) {
    let ended = setup.with_config("sync", &["--json"]);
    let summary = ended.json();
    let users = row(&summary["streams"], "stream", "users");
    let reason =
        (users["state"] != "complete").then(|| users["reason"].as_str().unwrap_or_default().to_owned());
    assert_eq!(ended.code, if reason.is_some() { 3 } else { 0 }, "{ended:?}");
    (summary, reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_is_in_the_store_and_what_left_before_does_not_come_back() {
    let setup = users_of(tenant(USERS)).await;
    let stepped_back = AtomicU64::new(0);
    let mut incomplete = 0;
    for seed in 1..=SEEDS {
        let left = Arc::new(Mutex::new(BTreeSet::new()));
        let before: BTreeSet<String> = setup.simulator.tenant().user_keys().into_iter().collect();
        let asked = setup.simulator.recorded().len();
        setup.simulator.change_before_each({
            let (random, left) = (random(seed), Arc::clone(&left));
            move |tenant, path, query| {
                // The first page is the beginning.
                if path == "/admin/v1/users" && query.contains("limit=300") && !query.ends_with("offset=0") {
                    change(tenant, &mut random.lock().unwrap(), &mut left.lock().unwrap());
                }
            }
        });
        let (summary, reason) = ended(&setup);
        setup.simulator.change_before_each(|_, _, _| {});
        let after: BTreeSet<String> = setup.simulator.tenant().user_keys().into_iter().collect();
        let stored = stored(&setup, false);
        let left = left.lock().unwrap().clone();
        // Somebody who left may have come back.
        let missed: Vec<_> = before.difference(&left).filter(|key| !stored.contains(*key)).collect();
        assert!(missed.is_empty(), "seed {seed} missed {missed:?}: {summary}");
        if let Some(reason) = reason {
            // Whoever comes and goes all the time looks like a changed order. Nobody is gone then.
            assert!(reason.contains("its order changed each of the 3 times"), "seed {seed}: {reason}");
            incomplete += 1;
        } else {
            let resurrected: Vec<_> = stored
                .iter()
                .filter(|key| !before.contains(*key) && !after.contains(*key) && !left.contains(*key))
                .collect();
            assert!(resurrected.is_empty(), "seed {seed} has {resurrected:?}");
            let users = row(&summary["entities"], "source_type", "user");
            assert_eq!(users["seen"], stored.len(), "seed {seed}: a row each");
        }
        let pages = setup.simulator.recorded().len() - asked;
        stepped_back.fetch_add(u64::from(pages > 10), Ordering::Relaxed);
        // Next time there are enough again.
        (0..u64::from(USERS)).for_each(|number| setup.simulator.tenant().restore_user(number));
        for number in 0..u64::from(USERS) / 7 {
            setup.simulator.delete_user(number * 3);
        }
    }
    assert!(stepped_back.load(Ordering::Relaxed) > SEEDS / 4, "hardly a walk met a change");
    assert!(incomplete <= SEEDS / 2, "{incomplete} walks could not tell");
    // And all is quiet again: exactly the tenant.
    setup.sync(0);
    assert_eq!(stored(&setup, false), setup.simulator.tenant().user_keys().into_iter().collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_another_name_while_users_are_read_by_name_is_not_gone() {
    let setup = users_of(TenantOptions { users_by_name: true, ..tenant(USERS) }).await;
    (0..100).for_each(|number| setup.simulator.delete_user(number * 11));
    setup.sync(0);
    for seed in 1..=SEEDS {
        let left = Arc::new(Mutex::new(BTreeSet::new()));
        let before: BTreeSet<String> = setup.simulator.tenant().user_keys().into_iter().collect();
        let pages = Arc::new(AtomicU64::new(0));
        setup.simulator.change_before_each({
            let (random, left, pages) = (random(seed), Arc::clone(&left), Arc::clone(&pages));
            move |tenant, path, query| {
                if path != "/admin/v1/users" || !query.contains("limit=300") {
                    return;
                }
                // In the first walk through the list, in any case.
                if (1..6).contains(&pages.fetch_add(1, Ordering::Relaxed)) {
                    rename(tenant, &mut random.lock().unwrap(), &mut left.lock().unwrap());
                }
            }
        });
        let (summary, reason) = ended(&setup);
        setup.simulator.change_before_each(|_, _, _| {});
        assert_eq!(reason, None, "seed {seed}: the second walk meets a quiet list");
        let left = left.lock().unwrap().clone();
        let gone = stored(&setup, true);
        let missed: Vec<_> = before.difference(&left).filter(|key| gone.contains(*key)).collect();
        assert!(missed.is_empty(), "seed {seed} took {missed:?} for gone: {summary}");
    }
    // A list that stays as it is costs no second walk.
    let asked = setup.simulator.recorded().len();
    setup.sync(0);
    let users = setup.simulator.recorded().split_off(asked).into_iter();
    assert_eq!(users.filter(|request| request.path == "/admin/v1/users").count(), 6);
    assert_eq!(stored(&setup, false), setup.simulator.tenant().user_keys().into_iter().collect());
}
