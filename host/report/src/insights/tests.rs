use connector_sandbox::contract::types::{ConnectionKind, Expiry, MfaState, Status, UsesLeft};

use super::*;
use crate::test_store::{LATELY, LONG_AGO, NOW, TestStore, VENDORS};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).unwrap()
}

/// The keys that a rule finds; `None` if its result is not known.
fn finds(store: &Reader, rule: &str) -> Option<Vec<String>> {
    let found = find(store, named(rule).unwrap(), Some("acme"), now(), 100, 0).unwrap();
    let keys: Vec<_> = found.rows.iter().map(|row| row.source_id.clone()).collect();
    assert!(found.rows.iter().all(|row| row.cells.len() == found.insight.columns.len()), "{rule}");
    found.count.map(|count| {
        assert_eq!(count, keys.len() as u64);
        keys
    })
}

/// Fills a store with the objects of each vendor, and expects each rule to find the same.
#[track_caller]
fn expect(fill: impl Fn(&mut TestStore), expected: &[(&str, &[&str])]) {
    for vendor in VENDORS {
        let mut store = TestStore::new(vendor);
        fill(&mut store);
        let reader = store.read(true);
        for (rule, keys) in expected {
            assert_eq!(finds(&reader, rule).as_deref().unwrap_or_default(), *keys, "{rule} of {vendor:?}");
        }
    }
}

#[test]
fn where_nothing_was_read_nothing_is_known() {
    for vendor in VENDORS {
        let mut store = TestStore::new(vendor);
        let reader = store.read(false);
        for insight in INSIGHTS {
            assert_eq!(finds(&reader, insight.name), None, "{}", insight.name);
        }
        let reader = store.read(true);
        assert_eq!(finds(&reader, "users-in-bypass"), Some(vec![]), "all that yields users was read");
        assert_eq!(finds(&reader, "unused-applications"), None, "no log was read");
        store.log(&[]);
        assert_eq!(finds(&store.read(true), "unused-applications"), Some(vec![]));
    }
}

#[test]
fn users() {
    expect(
        |store| {
            store
                .user("enrolled", |user| user.mfa_state = Some(MfaState::Enrolled))
                .user("without", |user| user.mfa_state = Some(MfaState::NotEnrolled))
                .user("disabled without", |user| {
                    (user.mfa_state, user.status) = (Some(MfaState::NotEnrolled), Status::Disabled);
                })
                .user("bypassed", |user| user.mfa_state = Some(MfaState::Bypassed))
                .user("idle", |user| user.last_login = Some(LONG_AGO))
                .user("idle, disabled", |user| {
                    (user.last_login, user.status) = (Some(LONG_AGO), Status::Disabled);
                })
                .user("never", |user| user.last_login = None)
                .user("never, but new", |user| (user.last_login, user.created) = (None, Some(LATELY)))
                .administrator("administrator", |user| user.mfa_state = Some(MfaState::NotEnrolled))
                .service("program", false);
        },
        &[
            ("users-without-mfa", &["without"]),
            ("users-in-bypass", &["bypassed"]),
            ("idle-users", &["never", "idle"]),
        ],
    );
}

#[test]
fn groups_in_bypass() {
    expect(
        |store| {
            let group = store.vendor.group;
            store
                .connection(group, "in", ConnectionKind::Group, |one| {
                    one.mfa_state = Some(MfaState::Bypassed);
                })
                .group("out");
        },
        &[("groups-in-bypass", &["in"])],
    );
}

#[test]
fn bypass_codes() {
    let later = Expiry::At(NOW + 86_400);
    expect(
        |store| {
            store
                .bypass_code("for ever", Expiry::Never, UsesLeft::Times(1))
                .bypass_code("often", later, UsesLeft::Unlimited)
                .bypass_code("often, expired", Expiry::At(LONG_AGO), UsesLeft::Unlimited)
                .bypass_code("once", later, UsesLeft::Times(1));
        },
        &[("bypass-codes-without-expiry", &["for ever"]), ("bypass-codes-with-unlimited-uses", &["often"])],
    );
}

#[test]
fn administrators() {
    expect(
        |store| {
            let (administrator, authenticator) = (store.vendor.administrator, store.vendor.authenticator);
            store
                .administrator("key", |_| ())
                .administrator("token", |_| ())
                .administrator("nothing", |user| user.last_login = Some(LONG_AGO))
                .administrator("disabled", |user| {
                    (user.status, user.last_login) = (Status::Disabled, Some(LONG_AGO));
                })
                .authenticator("W", true)
                .authenticator("T", false)
                .relate((administrator, "key"), "owns", (authenticator, "W"), true)
                .relate((administrator, "token"), "owns", (authenticator, "T"), true)
                .relate((administrator, "token"), "owns", (authenticator, "W"), false);
        },
        &[
            ("idle-administrators", &["nothing"]),
            ("administrators-without-phishing-resistant-factor", &["nothing", "token"]),
        ],
    );
}

#[test]
fn owners() {
    let fill = |owners: &'static [&'static str], has_roles: bool| {
        move |store: &mut TestStore| {
            let (administrator, role) = (store.vendor.administrator, store.vendor.role);
            store.account("A1").administrator("helper", |_| ());
            for (id, is_privileged) in [("everything", true), ("help desk", false)] {
                store.connection(role, id, ConnectionKind::Role, |one| {
                    one.is_privileged = Some(is_privileged)
                });
            }
            if has_roles {
                store.relate((administrator, "helper"), "assigned", (role, "help desk"), true);
                // A denied role does not count.
                store.relate((administrator, "helper"), "assigned", (role, "everything"), false);
            }
            for owner in owners {
                store.administrator(owner, |_| ());
                store.relate((administrator, owner), "assigned", (role, "everything"), true);
            }
        }
    };
    expect(fill(&[], false), &[("number-of-owners", &["helper"])]);
    expect(fill(&[], true), &[("number-of-owners", &["A1"])]);
    expect(fill(&["1"], true), &[("number-of-owners", &["1"])]);
    expect(fill(&["1", "2"], true), &[("number-of-owners", &[])]);
    expect(fill(&["1", "2", "3", "4", "5"], true), &[("number-of-owners", &[])]);
    let six: &[&str] = &["1", "2", "3", "4", "5", "6"];
    expect(fill(&["1", "2", "3", "4", "5", "6"], true), &[("number-of-owners", six)]);
}

#[test]
fn applications() {
    expect(
        |store| {
            let (everyone, group, application) =
                (store.vendor.everyone, store.vendor.group, store.vendor.application);
            store
                .connection(everyone, "all", ConnectionKind::Everyone, |_| ())
                .group("G")
                .application("open")
                .application("denied")
                .application("closed")
                .relate((everyone, "all"), "access", (application, "open"), true)
                .relate((everyone, "all"), "access", (application, "denied"), false)
                .relate((group, "G"), "access", (application, "closed"), true)
                .log(&["open"]);
        },
        &[("applications-open-to-all", &["open"]), ("unused-applications", &["closed", "denied"])],
    );
}

#[test]
fn service_accounts_with_write_grants() {
    expect(
        |store| {
            let (service, account) = (store.vendor.service, store.vendor.account);
            store
                .account("A1")
                .service("reader", false)
                .service("writer", true)
                .relate((service, "reader"), "resource-read", (account, "A1"), true)
                .relate((service, "writer"), "resource-write", (account, "A1"), true)
                .administrator("a person", |_| ());
        },
        &[("service-accounts-with-write-grants", &["writer"])],
    );
}

#[test]
fn shared_authenticators() {
    expect(
        |store| {
            let (user, authenticator) = (store.vendor.user, store.vendor.authenticator);
            store
                .authenticator("shared", false)
                .authenticator("own", false)
                .user("ann", |_| ())
                .user("bob", |_| ())
                .relate((user, "ann"), "owns", (authenticator, "shared"), true)
                .relate((user, "bob"), "owns", (authenticator, "shared"), true)
                .relate((user, "ann"), "owns", (authenticator, "own"), true)
                .relate((user, "bob"), "owns", (authenticator, "own"), false);
        },
        &[("shared-authenticators", &["shared"])],
    );
}

#[test]
fn an_application_is_reached_through_groups_that_exist_or_were_not_read() {
    for vendor in VENDORS {
        let mut store = TestStore::new(vendor);
        store.user("ann", |_| ()).application("vpn").group("here");
        for id in ["here", "never read"] {
            store.relate((vendor.user, "ann"), "member", (vendor.group, id), true);
            store.relate((vendor.group, id), "access", (vendor.application, "vpn"), true);
        }
        store.relate((vendor.user, "ann"), "owns", (vendor.application, "vpn"), true);
        let reader = store.read(true);
        let application = reader.entity("acme", vendor.application, "vpn").unwrap().unwrap();
        assert!(application.is_application());
        let ways = reader.access(&application, 0, 10).unwrap();
        let through: Vec<_> = ways.iter().map(|way| way.through.as_deref().unwrap()).collect();
        assert_eq!(through, ["here", "never read"], "no other relation is access");
    }
}

#[test]
fn rules_have_names_of_their_own_and_look_only_at_views() {
    let names: std::collections::BTreeSet<_> = INSIGHTS.iter().map(|insight| insight.name).collect();
    assert_eq!(names.len(), INSIGHTS.len());
    for insight in INSIGHTS {
        for table in ["entity ", "relation ", "usage ", "run_page", "run_stream "] {
            let reads = |word: &str| insight.select.contains(&format!("{word} {table}"));
            assert!(!reads("FROM") && !reads("JOIN"), "{} reads the table {table}", insight.name);
        }
    }
}

#[test]
fn charts_count_everything_once() {
    for vendor in VENDORS {
        let mut store = TestStore::new(vendor);
        store
            .user("a", |user| user.mfa_state = Some(MfaState::Enrolled))
            .user("b", |user| user.status = Status::Other)
            .administrator("c", |_| ())
            .authenticator("P", false);
        let charts = charts(&store.read(true), None, now()).unwrap();
        let totals: Vec<_> = charts.iter().map(|chart| (chart.title, chart.total())).collect();
        assert_eq!(
            totals,
            [("Users by status", 2), ("Users by MFA state", 2), ("Authenticators by factor", 1)]
        );
    }
}
