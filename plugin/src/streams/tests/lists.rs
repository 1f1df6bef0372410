//! Properties of every list.

use proptest::prelude::*;

use super::*;
use crate::contract::{HttpError, HttpErrorKind};

#[test]
fn one_request_reads_a_page_as_large_as_duo_allows() {
    for (stream, url) in [
        ("users", "v1/users?limit=300&offset=600"),
        ("groups", "v1/groups?limit=500&offset=600"),
        ("phones", "v1/phones?limit=500&offset=600"),
        ("hardware-tokens", "v1/tokens?limit=500&offset=600"),
        ("webauthn-credentials", "v1/webauthncredentials?limit=500&offset=600"),
        ("desktop-authenticators", "v1/desktop_authenticators?limit=500&offset=600"),
        ("bypass-codes", "v1/bypass_codes?limit=500&offset=600"),
        ("applications", "v3/integrations?limit=500&offset=600"),
        ("policies", "v2/policies?limit=500&offset=600"),
        ("administrators", "v1/admins?limit=500&offset=600"),
        ("administrative-units", "v1/administrative_units?limit=50&offset=600"),
    ] {
        let host = TestHost::answering(200, &[], r#"{"stat":"OK","response":[]}"#);
        read(&host, &settings(), stream, &Position::At("v3:offset=600".into())).unwrap();
        let urls: Vec<String> = host.requests.take().into_iter().map(|request| request.url).collect();
        assert_eq!(urls, [format!("https://{HOSTNAME}/admin/{url}")]);
    }
}

#[test]
fn an_unknown_stream_and_a_foreign_cursor_are_refused_before_anything_is_sent() {
    let host = TestHost::default();
    let error = read(&host, &settings(), "calls\n", &Position::Beginning).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unexpected);
    assert_eq!(error.message, "there is no stream `calls\\n`");
    assert!(error.remedy.unwrap().starts_with("read one of `users`, `groups`, `phones`"));
    let error = read(&host, &settings(), "users", &Position::At("v3:x".into())).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidPosition);
}

#[test]
fn an_answer_without_a_list_is_an_error_and_never_an_empty_stream() {
    for body in [r#"{"stat":"OK"}"#, r#"{"stat":"OK","response":null}"#, r#"{"stat":"OK","response":""}"#] {
        let error = read_body("users", body).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unexpected);
        assert!(error.message.ends_with("`response` is missing"), "{}", error.message);
    }
    let error = read_body("users", r#"{"stat":"OK","response":{"user_id":"DU1"}}"#).unwrap_err();
    assert!(error.message.ends_with("`response` is an object instead of a list"), "{}", error.message);
}

#[test]
fn an_object_without_its_key_is_named_and_its_neighbours_are_unharmed() {
    let elements = [
        user(json!({})),
        json!({ "username": "ghost" }),
        json!("DU3"),
        json!({ "user_id": {} }),
        json!({ "user_id": "" }),
        user(json!({ "user_id": "DU6" })),
    ];
    let page = page_of("users", &elements);
    let keys: Vec<&str> = page.entities.iter().map(|entity| entity.source_id.as_str()).collect();
    assert_eq!(keys, ["DU1", "DU6", "all-users"]);
    let left_out = "; it was left out, because nothing could refer to it";
    let expected = [
        "`response[1]` at offset 0 has no `user_id` (its `username` is `ghost`)",
        "`response[2]` at offset 0 is a text",
        "`response[3]` at offset 0 has an object as its `user_id`",
        "`response[4]` at offset 0 has no `user_id`",
    ];
    for (problem, expected) in page.problems.iter().zip(expected) {
        assert_eq!((problem.source_id.as_deref(), problem.field.as_deref()), (None, Some("user_id")));
        assert_eq!(problem.message, format!("{expected}{left_out}"));
    }
    assert_eq!(page.problems.len(), expected.len());
}

#[test]
fn a_field_of_a_wrong_type_is_left_out_and_named() {
    let page = page_of("users", &[user(json!({ "created": "yesterday", "notes": ["a"], "email": "e@x" }))]);
    assert_eq!(identity(&page).created, None);
    assert_eq!(identity(&page).emails, ["e@x"]);
    let problems: Vec<(Option<&str>, &str)> =
        page.problems.iter().map(|problem| (problem.field.as_deref(), problem.message.as_str())).collect();
    assert_eq!(
        problems,
        [
            (Some("notes"), "`notes` is a list instead of a text; it was left out"),
            (Some("created"), "`created` is a text instead of a time; it was left out"),
        ]
    );
}

#[test]
fn a_child_account_is_named_and_signed_in_every_request() {
    for stream in describe().streams {
        let host = TestHost::answering(200, &[], r#"{"stat":"OK","response":[]}"#);
        let _ = read(&host, &with("account-id", "DA012345678901234567"), &stream.name, &Position::Beginning);
        let requests = host.requests.take();
        assert!(!requests.is_empty());
        assert!(requests.iter().all(|request| request.url.contains("account_id=DA012345678901234567")));
    }
    let error =
        read(&TestHost::default(), &with("account-id", "DA&x=1"), "users", &Position::Beginning).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSetting("account-id".to_owned()));
}

#[test]
fn the_last_page_of_a_list_that_is_too_short_is_kept_and_the_stream_is_not_complete() {
    let whole =
        r#"{"stat":"OK","response":[{"user_id":"DU1"}],"metadata":{"next_offset":1,"total_objects":9}}"#;
    let silent = r#"{"stat":"OK","response":[{"user_id":"DU1"},{"user_id":"DU2"}]}"#;
    let host = TestHost::with(move |request| {
        Ok(response(200, &[], if request.url.ends_with("offset=0") { whole } else { silent }))
    });
    let first = read(&host, &settings(), "users", &Position::Beginning).unwrap();
    let Progress::More(cursor) = first.progress else { panic!("{:?}", first.progress) };
    let second = read(&host, &settings(), "users", &Position::At(cursor)).unwrap();
    assert_eq!(second.entities.last().unwrap().source_id, "DU2");
    let Progress::More(cursor) = second.progress else { panic!("the walk ended, and missed seven objects") };
    let host = TestHost::answering(200, &[], r#"{"stat":"OK","response":[{"user_id":"DU2"}]}"#);
    let again = read(&host, &settings(), "users", &Position::At(cursor)).unwrap();
    let Progress::More(cursor) = again.progress else { panic!("the walk ended, and missed seven objects") };
    assert!(cursor.ends_with(";sweeps=1"), "the list is read once more: {cursor}");
}

proptest! {
    #[test]
    fn a_walk_sees_each_object_once_whatever_the_size_of_list_and_page(size in 0..40_usize, most in 1..15_usize) {
        let host = TestHost::with(move |request| {
            let (_, offset) = request.url.rsplit_once("offset=").unwrap();
            let offset: usize = offset.parse().unwrap();
            let end = size.min(offset + most);
            let elements: Vec<Value> = (offset..end).map(|n| json!({ "user_id": format!("DU{n}") })).collect();
            let mut metadata = json!({ "total_objects": size });
            if end < size {
                metadata["next_offset"] = json!(end);
            }
            let body = json!({ "stat": "OK", "response": elements, "metadata": metadata });
            Ok(response(200, &[], &body.to_string()))
        });
        let mut position = Position::Beginning;
        let mut seen = Vec::new();
        loop {
            let page = read(&host, &settings(), "users", &position).unwrap();
            prop_assert_eq!(page.total, Some(size as u64));
            let users = page.entities.into_iter().filter(|entity| entity.source_type == "user");
            seen.extend(users.map(|entity| entity.source_id));
            match page.progress {
                Progress::More(cursor) => position = Position::At(cursor),
                Progress::Done(bookmark) => {
                    prop_assert_eq!(bookmark, None);
                    break;
                }
            }
        }
        prop_assert_eq!(seen, (0..size).map(|n| format!("DU{n}")).collect::<Vec<_>>());
        // Each page except the first begins with the last object of the previous page, if a page has room for it.
        let due = if most == 1 || size <= most { size.div_ceil(most).max(1) } else { 1 + (size - most).div_ceil(most - 1) };
        prop_assert_eq!(host.requests.borrow().len(), due);
    }
}

/// Reads 60 units that cost a request each; the requests that `fails` selects fail. Returns the number of requests, and
/// the most attempts in a row at the same position.
fn units_where(fails: impl Fn(usize) -> bool + 'static) -> (usize, usize) {
    const UNITS: usize = 60;
    let sent = std::cell::Cell::new(0_usize);
    let host = TestHost::with(move |request| {
        sent.set(sent.get() + 1);
        if fails(sent.get()) {
            return match sent.get() % 3 {
                0 => Ok(response(429, &[], "")),
                1 => Ok(response(500, &[], "")),
                _ => Err(HttpError { kind: HttpErrorKind::Protocol, message: "broken".to_owned() }),
            };
        }
        let unit = |key: &str| json!({ "admin_unit_id": key, "name": key });
        let body = match request.url.split_once("/administrative_units/") {
            Some((_, key)) => {
                let contents = json!({ "groups": ["DG1"], "integrations": [] });
                json!({ "stat": "OK", "response": merged(unit(key), contents) })
            }
            None => {
                let (_, offset) = request.url.rsplit_once("offset=").unwrap();
                let offset: usize = offset.parse().unwrap();
                let end = UNITS.min(offset + 50);
                let units: Vec<_> = (offset..end).map(|number| unit(&format!("DU{number:02}"))).collect();
                let next = (end < UNITS).then_some(end);
                let metadata = json!({ "total_objects": UNITS, "next_offset": next });
                json!({ "stat": "OK", "response": units, "metadata": metadata })
            }
        };
        Ok(response(200, &[], &body.to_string()))
    });
    let (mut position, mut seen) = (Position::Beginning, std::collections::BTreeSet::new());
    let (mut attempts, mut most_attempts) = (0, 0);
    loop {
        attempts += 1;
        most_attempts = attempts.max(most_attempts);
        assert!(attempts < 100, "the walk does not end");
        match read(&host, &settings(), "administrative-units", &position) {
            Ok(page) => {
                attempts = 0;
                seen.extend(page.entities.into_iter().map(|unit| unit.source_id));
                match page.progress {
                    Progress::More(cursor) => {
                        assert!(cursor.len() <= 4096);
                        position = Position::At(cursor);
                    }
                    Progress::Done(_) => break,
                }
            }
            Err(error) => {
                assert!(
                    matches!(error.kind, ErrorKind::RateLimited(_) | ErrorKind::Unavailable(_)),
                    "{error:?}"
                );
            }
        }
    }
    assert_eq!(seen.len(), UNITS);
    (host.requests.borrow().len(), most_attempts)
}

#[test]
fn a_call_of_many_requests_keeps_what_it_has() {
    let (requests, _) = units_where(|_| false);
    assert_eq!(requests, 62);
    let (requests, _) = units_where(|request| request % 20 == 0);
    assert!(requests <= 78, "{requests} for 60 units");
}

#[test]
fn units_are_read_whole_within_the_retries_where_44_of_100_requests_fail() {
    for step in [2, 3, 7, 9, 11, 12] {
        let (_, attempts) = units_where(move |request| request * step % 25 < 11);
        assert!(attempts <= 7, "{attempts} attempts at one position, step {step}");
    }
}
