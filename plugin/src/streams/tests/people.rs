//! Users and groups.

use super::*;

#[test]
fn every_status_of_a_user_keeps_its_meaning_and_its_word() {
    let enrolled = Some(MfaState::Enrolled);
    for (word, status, mfa_state) in [
        ("active", Status::Active, enrolled),
        ("Active", Status::Active, enrolled),
        ("bypass", Status::Active, Some(MfaState::Bypassed)),
        ("disabled", Status::Disabled, enrolled),
        ("locked out", Status::Locked, enrolled),
        ("pending deletion", Status::PendingDeletion, enrolled),
        ("hibernating", Status::Other, enrolled),
    ] {
        let page = page_of("users", &[user(json!({ "status": word, "is_enrolled": true }))]);
        let identity = identity(&page);
        assert_eq!((identity.status, identity.mfa_state), (status, mfa_state), "{word}");
        assert_eq!(identity.vendor_status.as_deref(), Some(word));
        assert_eq!(page.problems, []);
    }
    let page = page_of("users", &[json!({ "user_id": "DU1" })]);
    assert_eq!((identity(&page).status, &identity(&page).vendor_status), (Status::Other, &None));
}

#[test]
fn the_state_of_mfa_is_unknown_where_duo_does_not_tell() {
    let state = |extra| identity(&page_of("users", &[user(extra)])).mfa_state;
    assert_eq!(state(json!({})), None);
    assert_eq!(state(json!({ "is_enrolled": null })), None);
    assert_eq!(state(json!({ "is_enrolled": 0 })), Some(MfaState::NotEnrolled));
    assert_eq!(state(json!({ "is_enrolled": "true" })), Some(MfaState::Enrolled));
}

#[test]
fn a_user_always_has_a_name() {
    let name = |extra| {
        let page = page_of("users", &[merged(json!({ "user_id": "DU1" }), extra)]);
        (page.entities[0].name.clone(), identity(&page).display_name.clone())
    };
    let all =
        json!({ "realname": "R N", "firstname": "F", "lastname": "L", "username": "u", "email": "e@x" });
    assert_eq!(name(all), ("R N".into(), Some("R N".into())));
    assert_eq!(name(json!({ "realname": "", "firstname": "F", "lastname": "L" })).0, "F L");
    assert_eq!(name(json!({ "firstname": null, "lastname": "L", "username": "u" })).0, "L");
    assert_eq!(name(json!({ "realname": " ", "username": "u", "email": "e@x" })), ("u".into(), None));
    assert_eq!(name(json!({ "username": "", "email": "e@x" })).0, "e@x");
    assert_eq!(name(json!({})).0, "DU1");
}

#[test]
fn aliases_come_in_their_order_and_once() {
    let aliases = |extra| identity(&page_of("users", &[user(extra)])).aliases.clone();
    let new =
        json!({ "aliases": { "alias10": "j", "alias2": "b", "alias1": "a", "alias3": "b", "alias4": null } });
    assert_eq!(aliases(new), ["a", "b", "j"]);
    assert_eq!(aliases(json!({ "alias1": "x", "alias2": "", "alias3": "y", "alias4": "x" })), ["x", "y"]);
    assert_eq!(aliases(json!({ "aliases": {}, "alias1": "x" })), ["x"]);
    assert_eq!(aliases(json!({ "aliases": { "alias1": "a" }, "alias1": "x" })), ["a"]);
    assert_eq!(aliases(json!({ "aliases": [] })), [""; 0]);
}

#[test]
fn each_group_of_a_user_is_a_relation_or_a_problem() {
    let groups = json!([{ "group_id": "DG1" }, {}, 5, { "group_id": [] }, null, { "group_id": "DG2" }]);
    let page = page_of("users", &[user(json!({ "groups": groups }))]);
    let children: Vec<&str> =
        page.relations.iter().map(|relation| relation.child.source_id.as_str()).collect();
    assert_eq!(children, ["all-users", "DG1", "DG2"]);
    assert!(
        page.relations.iter().all(|relation| relation.parent.source_id == "DU1" && relation.privilege_value)
    );
    let messages: Vec<&str> = page.problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "`groups[1]` has no `group_id`; this relation was left out",
            "`groups[2]` is a number; this relation was left out",
            "`groups[3]` has a list as its `group_id`; this relation was left out",
            "`groups[4]` is empty; this relation was left out",
        ]
    );
    for problem in &page.problems {
        assert_eq!((problem.source_id.as_deref(), problem.field.as_deref()), (Some("DU1"), Some("groups")));
    }
}

#[test]
fn every_status_of_a_group_keeps_its_meaning_and_its_word() {
    for (word, status, mfa_state) in [
        ("Active", Status::Active, None),
        ("active", Status::Active, None),
        ("Bypass", Status::Active, Some(MfaState::Bypassed)),
        ("Disabled", Status::Disabled, None),
        ("Hibernating", Status::Other, None),
    ] {
        let page = page_of("groups", &[json!({ "group_id": "DG1", "name": "g", "status": word })]);
        assert_eq!((connection(&page).status, connection(&page).mfa_state), (status, mfa_state), "{word}");
        assert_eq!(connection(&page).vendor_status.as_deref(), Some(word));
    }
}

#[test]
fn a_group_without_a_name_is_called_by_its_key() {
    assert_eq!(page_of("groups", &[json!({ "group_id": "DG1", "name": "" })]).entities[0].name, "DG1");
}

#[test]
fn a_time_that_can_not_be_right_is_no_value() {
    for (served, expected, problems) in [
        (json!(0), None, 0),
        (json!(-1), None, 0),
        (json!(1_545_605_961_000_i64), Some(1_545_605_961), 0),
        (json!("1545605961"), Some(1_545_605_961), 0),
        (json!(5), None, 1),
        (json!(4_102_444_800_i64), None, 1),
        (json!(i64::MAX), None, 1),
    ] {
        let times = json!({ "created": served, "last_login": served, "last_directory_sync": served });
        let page = page_of("users", &[user(times)]);
        let user = identity(&page);
        assert_eq!((user.created, user.last_login), (expected, expected), "{served}");
        assert_eq!(page.problems.len(), 3 * problems, "{served}: {:?}", page.problems);
        let administrator = json!({ "admin_id": "DE1", "created": served, "last_login": served });
        let page = page_of("administrators", &[administrator]);
        let administrator = identity(&page);
        assert_eq!((administrator.created, administrator.last_login), (expected, expected), "{served}");
    }
}

#[test]
fn a_user_in_the_trash_keeps_its_groups_and_its_word() {
    for (word, status) in [("pending deletion", Status::PendingDeletion), ("deleted", Status::Other)] {
        let trashed = user(json!({ "status": word, "groups": [{ "group_id": "DG1" }] }));
        let page = page_of("users", &[trashed]);
        assert_eq!((identity(&page).status, identity(&page).vendor_status.as_deref()), (status, Some(word)));
        assert_eq!(page.relations.len(), 2, "the group and all users");
        assert_eq!(page.problems, []);
    }
}

#[test]
fn the_devices_inside_a_user_are_left_to_their_own_lists() {
    let devices = json!({
        "phones": [{ "phone_id": "DP1" }], "tokens": [{ "token_id": "DH1" }],
        "webauthncredentials": [{ "webauthnkey": "WA1" }], "desktop_authenticators": [{ "dakey": "DK1" }],
    });
    assert_eq!(page_of("users", &[user(devices)]), page_of("users", &[user(json!({}))]));
}

/// Reads five groups, sorted by name, two a page. Before the request with this number, `renamed` gets a new name. Returns
/// the last name of each group.
fn groups_of_which_one_is_renamed(
    renamed: &'static str,
    before: usize,
) -> std::collections::BTreeMap<String, String> {
    let requests = std::cell::Cell::new(0);
    let host = TestHost::with(move |request| {
        requests.set(requests.get() + 1);
        let mut groups = [("DG1", "a"), ("DG2", "b"), ("DG3", "c"), ("DG4", "d"), ("DG5", "e")];
        if requests.get() >= before {
            let renamed = groups.iter_mut().find(|(key, _)| *key == renamed).unwrap();
            renamed.1 = if renamed.1 < "c" { "z" } else { "A" };
            groups.sort_by_key(|(_, name)| *name);
        }
        let (_, offset) = request.url.rsplit_once("offset=").unwrap();
        let offset: usize = offset.parse().unwrap();
        let end = groups.len().min(offset + 2);
        let page = &groups[offset.min(end)..end];
        let page: Vec<_> = page.iter().map(|(key, name)| json!({ "group_id": key, "name": name })).collect();
        let next = (end < groups.len()).then_some(end);
        let metadata = json!({ "total_objects": groups.len(), "next_offset": next });
        let body = json!({ "stat": "OK", "response": page, "metadata": metadata });
        Ok(response(200, &[], &body.to_string()))
    });
    let pages = walk(&host, "groups").unwrap();
    assert!(pages.iter().all(|page| page.problems.is_empty()));
    let groups = pages.into_iter().flat_map(|page| page.entities);
    groups.map(|group| (group.source_id, group.name)).collect()
}

#[test]
fn a_group_that_is_renamed_between_two_pages_is_seen_and_so_are_all_others() {
    let old = ["a", "b", "c", "d", "e"];
    for (index, key) in ["DG1", "DG2", "DG3", "DG4", "DG5"].into_iter().enumerate() {
        for before in 1..6 {
            let names = groups_of_which_one_is_renamed(key, before);
            assert_eq!(names.len(), 5, "{key}, before request {before}: {names:?}");
            let others = names.iter().filter(|(group, _)| *group != key).map(|(_, name)| name.as_str());
            let expected = old.iter().enumerate().filter(|(place, _)| *place != index);
            assert!(others.eq(expected.map(|(_, name)| *name)), "{names:?}");
            // One that is renamed after its page was read has its new name in the next run.
            let new = if index < 2 { "z" } else { "A" };
            let may_be_old = before > 1 + index.div_ceil(2);
            assert!(names[key] == new || (may_be_old && names[key] == old[index]), "{before}: {names:?}");
        }
    }
}
