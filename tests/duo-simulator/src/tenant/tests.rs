use std::collections::BTreeSet;

use super::*;

fn tenant(users: u32) -> Tenant {
    Tenant::new(&TenantOptions { users, ..TenantOptions::default() })
}

fn all(tenant: &Tenant, kind: Kind) -> Vec<Value> {
    (0..tenant.count(kind)).filter_map(|index| tenant.object(kind, index)).collect()
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

const KEYS: [(Kind, &str); 11] = [
    (Kind::User, "user_id"),
    (Kind::Group, "group_id"),
    (Kind::Phone, "phone_id"),
    (Kind::Token, "token_id"),
    (Kind::WebauthnCredential, "webauthnkey"),
    (Kind::DesktopAuthenticator, "dakey"),
    (Kind::BypassCode, "bypass_code_id"),
    (Kind::Integration, "integration_key"),
    (Kind::Administrator, "admin_id"),
    (Kind::AdministrativeUnit, "admin_unit_id"),
    (Kind::Policy, "policy_key"),
];

#[test]
fn every_object_is_found_by_its_key_and_keys_are_unique() {
    let tenant = tenant(300);
    for (kind, field) in KEYS {
        let objects = all(&tenant, kind);
        assert_eq!(objects.len() as u64, tenant.count(kind));
        let keys: BTreeSet<_> = objects.iter().map(|object| text(object, field).to_owned()).collect();
        assert_eq!(keys.len(), objects.len(), "{kind:?}");
        for (index, object) in (0..).zip(&objects) {
            assert_eq!(tenant.find(kind, text(object, field)), Some(index), "{kind:?}");
        }
    }
}

#[test]
fn the_same_options_make_the_same_tenant_and_another_seed_another() {
    let one = tenant(50);
    let mut other = Tenant::new(&one.options);
    // Tomorrow.
    other.now_ms += 86_400_000;
    for (kind, _) in KEYS {
        assert_eq!(all(&one, kind), all(&other, kind), "{kind:?}");
    }
    let third = Tenant::new(&TenantOptions { seed: 2, ..one.options.clone() });
    assert_ne!(one.object(Kind::User, 0), third.object(Kind::User, 0));
}

/// Pairs of user and device, as users embed them and as the device's own list has them.
fn pairs(tenant: &Tenant, embedded: &str, kind: Kind, key: &str) -> [BTreeSet<(String, String)>; 2] {
    let mut by_user = BTreeSet::new();
    for user in all(tenant, Kind::User) {
        for device in user[embedded].as_array().into_iter().flatten() {
            by_user.insert((text(&user, "user_id").to_owned(), text(device, key).to_owned()));
        }
    }
    let mut by_device = BTreeSet::new();
    for device in all(tenant, kind) {
        let users = device["users"].as_array().cloned().unwrap_or_default();
        for user in users.iter().chain(device.get("user")) {
            assert!(user.get("phones").is_none(), "nested users are partial");
            by_device.insert((text(user, "user_id").to_owned(), text(&device, key).to_owned()));
        }
    }
    [by_user, by_device]
}

#[test]
fn users_and_devices_agree_on_who_has_what() {
    let tenant = tenant(300);
    tenant.delete_user(20);
    tenant.delete_user(60);
    for (embedded, kind, key) in [
        ("phones", Kind::Phone, "phone_id"),
        ("tokens", Kind::Token, "token_id"),
        ("webauthncredentials", Kind::WebauthnCredential, "webauthnkey"),
        ("desktop_authenticators", Kind::DesktopAuthenticator, "dakey"),
    ] {
        let [by_user, by_device] = pairs(&tenant, embedded, kind, key);
        assert!(!by_user.is_empty());
        assert_eq!(by_user, by_device, "{embedded}");
    }
}

#[test]
fn members_of_a_group_are_those_who_say_so() {
    let tenant = tenant(300);
    for group in 0..tenant.count(Kind::Group) {
        let key = tenant.key(Kind::Group, group);
        let says = all(&tenant, Kind::User).into_iter().filter(|user| {
            user["groups"].as_array().unwrap().iter().any(|group| text(group, "group_id") == key)
        });
        let says: BTreeSet<_> = says.map(|user| text(&user, "user_id").to_owned()).collect();
        let (users, total) = tenant.group_users(group, 0, 1000);
        assert_eq!(total, says.len() as u64);
        assert_eq!(users.iter().map(|user| text(user, "user_id").to_owned()).collect::<BTreeSet<_>>(), says);
    }
}

#[test]
fn a_deleted_user_moves_later_ones_up() {
    let tenant = tenant(20);
    let before = all(&tenant, Kind::User);
    tenant.delete_user(5);
    let after = all(&tenant, Kind::User);
    assert_eq!(after.len(), 19);
    assert_eq!(after[4], before[4]);
    assert_eq!(text(&after[5], "user_id"), text(&before[6], "user_id"));
    assert_eq!(tenant.find(Kind::User, text(&before[5], "user_id")), None);
    assert_eq!(tenant.find(Kind::User, text(&before[6], "user_id")), Some(5));
}

#[test]
fn ten_users_show_every_status() {
    let statuses: BTreeSet<_> =
        all(&tenant(10), Kind::User).iter().map(|user| text(user, "status").to_owned()).collect();
    let expected = ["active", "bypass", "disabled", "locked out", "pending deletion"].map(str::to_owned);
    assert_eq!(statuses, BTreeSet::from(expected));
}

#[test]
fn the_far_end_of_a_million_users_is_as_near_as_the_beginning() {
    let tenant = tenant(1_000_000);
    let user = tenant.object(Kind::User, 999_999).unwrap();
    assert_eq!(tenant.find(Kind::User, text(&user, "user_id")), Some(999_999));
    assert_eq!(tenant.object(Kind::User, 1_000_000), None);
}

#[test]
fn lists_of_version_3_hold_no_whole_secret_key_and_those_of_version_1_do() {
    let tenant = tenant(1000);
    let secrets = tenant.planted_secrets();
    for index in 0..tenant.count(Kind::Integration) {
        let masked = tenant.object(Kind::Integration, index).unwrap();
        assert!(!secrets.contains(&text(&masked, "secret_key").to_owned()));
        assert!(secrets.contains(&text(&tenant.integration_v1(index).unwrap(), "secret_key").to_owned()));
    }
}

#[test]
fn events_are_in_order_of_time_and_found_by_their_id() {
    let tenant = tenant(100);
    let times: Vec<_> = (0..tenant.event_count()).map(|index| tenant.event_time(index)).collect();
    assert!(times.is_sorted_by(|earlier, later| earlier < later));
    assert!(times.iter().all(|time| *time < tenant.now_ms() && *time > tenant.now_ms() - 180 * 86_400_000));
    for index in [0, 7, tenant.event_count() - 1] {
        assert_eq!(tenant.event_of(&tenant.event_txid(index)), Some(index));
        assert_eq!(tenant.first_event_at(tenant.event_time(index)), index);
    }
}

#[test]
fn users_that_are_listed_by_name_move_with_a_new_one() {
    let options = TenantOptions { users: 300, users_by_name: true, ..TenantOptions::default() };
    let tenant = Tenant::new(&options);
    let names = || -> Vec<String> {
        all(&tenant, Kind::User).iter().map(|user| text(user, "username").to_owned()).collect()
    };
    let key = |index| text(&tenant.object(Kind::User, index).unwrap(), "user_id").to_owned();
    assert!(names().is_sorted());
    let mut moved = 0;
    for index in (0..300).step_by(7) {
        let renamed = key(index);
        tenant.rename_user(index);
        assert!(names().is_sorted());
        moved += u64::from(tenant.find(Kind::User, &renamed).unwrap().abs_diff(index) > 20);
    }
    assert!(moved > 20, "a new name mostly begins elsewhere: {moved}");
    let gone = key(5);
    tenant.delete_user(5);
    assert_eq!((names().len(), tenant.find(Kind::User, &gone)), (299, None));
    (0..300).for_each(|number| tenant.restore_user(number));
    assert_eq!((names().len(), tenant.find(Kind::User, &gone)), (300, Some(5)));
    assert!(names().is_sorted());
}
