//! The devices of users: phones, tokens, credentials and codes.

use super::*;

#[test]
fn phone_numbers_are_masked_to_their_last_digits_where_the_setting_says_so() {
    for (stream, object, shown) in [
        ("phones", json!({ "phone_id": "DP1", "number": "+15555550100" }), "+*******0100"),
        ("phones", json!({ "phone_id": "DP1", "number": "555-0100" }), "***-0100"),
        ("phones", json!({ "phone_id": "DP1", "number": "100" }), "100"),
        ("administrators", json!({ "admin_id": "DE1", "phone": "+15555550199" }), "+*******0199"),
    ] {
        let number = object.get("number").or(object.get("phone")).unwrap().as_str().unwrap().to_owned();
        let body = json!({ "stat": "OK", "response": [object] }).to_string();
        let whole = format!("{:?}", read_body(stream, &body).unwrap());
        assert!(whole.contains(&number), "{whole}");
        let masked = read_with(&with("mask-phone-numbers", "true"), stream, &Position::Beginning, &body);
        let masked = format!("{:?}", masked.unwrap());
        assert!(masked.contains(shown), "{masked}");
        assert!(shown == number || !masked.contains(&number), "{masked}");
    }
    // People write the number into the label too.
    for (label, shown) in
        [("Ann's iPhone 15 (555-555-0100)", "Ann's iPhone ** (***-***-0100)"), ("iPhone 15", "iPhone 15")]
    {
        let body = json!({ "stat": "OK", "response": [{ "phone_id": "DP1", "name": label }] }).to_string();
        let page =
            read_with(&with("mask-phone-numbers", "true"), "phones", &Position::Beginning, &body).unwrap();
        assert_eq!(page.entities[0].name, shown);
    }
}

#[test]
fn a_code_that_never_expires_is_told_from_one_that_says_nothing() {
    let code = |extra| {
        let page = page_of("bypass-codes", &[merged(json!({ "bypass_code_id": "DB1" }), extra)]);
        let NormalForm::Resource(Resource::BypassCode(code)) = page.entities[0].normal.clone() else {
            panic!()
        };
        (code.expires, code.uses_left, page.problems.len())
    };
    assert_eq!(
        code(json!({ "expiration": null, "reuse_count": null })),
        (Expiry::Never, UsesLeft::Unlimited, 0)
    );
    assert_eq!(
        code(json!({ "expiration": 1_600_000_000, "reuse_count": 1 })),
        (Expiry::At(1_600_000_000), UsesLeft::Times(1), 0)
    );
    assert_eq!(code(json!({ "expiration": 0, "reuse_count": 1 })), (Expiry::Unknown, UsesLeft::Times(1), 1));
    assert_eq!(code(json!({})), (Expiry::Unknown, UsesLeft::Unknown, 0));
    assert_eq!(
        code(json!({ "expiration": " ", "reuse_count": "" })),
        (Expiry::Unknown, UsesLeft::Unknown, 0)
    );
    assert_eq!(code(json!({ "expiration": [], "reuse_count": -1 })), (Expiry::Unknown, UsesLeft::Unknown, 2));
}

#[test]
fn who_issued_a_code_costs_a_request_only_where_a_code_says_so() {
    let urls = |admin_email: Value, status| {
        let code = json!({ "bypass_code_id": "DB1", "admin_email": admin_email });
        let body =
            json!({ "stat": "OK", "response": [code], "metadata": { "total_objects": 1 } }).to_string();
        let host = TestHost::with(move |request| {
            let forbidden = r#"{"code":40301,"message":"Access forbidden","stat":"FAIL"}"#;
            Ok(match request.url.contains("/admins?") {
                true if status == 403 => response(403, &[], forbidden),
                true if status == 404 => response(404, &[], ""),
                true => response(200, &[], ADMINISTRATORS),
                false => response(200, &[], &body),
            })
        });
        let page = read(&host, &settings(), "bypass-codes", &Position::Beginning).unwrap();
        let issued = page.relations.iter().filter(|relation| relation.privilege == "issued").count();
        (host.requests.borrow().len(), issued, page.problems.len(), page.entities.len())
    };
    assert_eq!(urls(Value::Null, 200), (1, 0, 0, 1));
    assert_eq!(urls("A@Example.com".into(), 200), (2, 1, 0, 1));
    assert_eq!(urls("gone@example.com".into(), 200), (2, 0, 0, 1));
    assert_eq!(urls("a@example.com".into(), 403), (2, 0, 1, 1));
    assert_eq!(urls("a@example.com".into(), 404), (2, 0, 1, 1));
}

#[test]
fn administrators_whose_addresses_differ_in_case_only_are_told_apart_or_the_issuer_is_unknown() {
    let administrators = |emails: &[&str]| {
        let rows =
            (1..).zip(emails).map(|(n, email)| json!({ "admin_id": format!("DE{n}"), "email": email }));
        let metadata = json!({ "total_objects": emails.len() });
        json!({ "stat": "OK", "response": rows.collect::<Vec<_>>(), "metadata": metadata }).to_string()
    };
    for (emails, issuer, problems) in [
        (["b@x.org", "A@X.org"].as_slice(), Some("DE2"), 0),
        (&["A@x.org", "a@x.org"], Some("DE2"), 0),
        (&[" a@x.org", "a@X.ORG"], Some("DE1"), 0),
        (&["A@x.org", "a@X.org"], None, 1),
        (&["a@x.org", "a@x.org"], None, 1),
        (&["b@x.org"], None, 0),
    ] {
        let rows = administrators(emails);
        let code = json!({ "bypass_code_id": "DB1", "admin_email": "a@x.org" });
        let body =
            json!({ "stat": "OK", "response": [code], "metadata": { "total_objects": 1 } }).to_string();
        let host = TestHost::with(move |request| {
            Ok(response(200, &[], if request.url.contains("/admins?") { &rows } else { &body }))
        });
        let page = read(&host, &settings(), "bypass-codes", &Position::Beginning).unwrap();
        let issued = page.relations.iter().find(|relation| relation.privilege == "issued");
        assert_eq!(issued.map(|relation| relation.parent.source_id.as_str()), issuer, "{emails:?}");
        assert_eq!(page.problems.len(), problems, "{emails:?}: {:?}", page.problems);
        assert!(page.problems.iter().all(|problem| problem.source_id.as_deref() == Some("DB1")));
    }
}

#[test]
fn two_phones_with_one_number_are_two_phones() {
    let phone = |key: &str, user: &str| json!({ "phone_id": key, "number": "+15555550100", "users": [{ "user_id": user }] });
    let page = page_of("phones", &[phone("DP1", "DU1"), phone("DP2", "DU2")]);
    let keys: Vec<_> = page.entities.iter().map(|phone| (&*phone.source_id, &*phone.name)).collect();
    assert_eq!(keys, [("DP1", "+15555550100"), ("DP2", "+15555550100")]);
    let owned: Vec<_> =
        page.relations.iter().map(|owns| (&*owns.parent.source_id, &*owns.child.source_id)).collect();
    assert_eq!(owned, [("DU1", "DP1"), ("DU2", "DP2")]);
    assert_eq!(page.problems, []);
}

/// Two pages with one code each, both issued by the same administrator. The list of administrators gives this answer.
fn issued_by(status: u16, administrators: &'static str) -> TestHost {
    TestHost::with(move |request| {
        if request.url.contains("/admins?") {
            return Ok(response(status, &[], administrators));
        }
        let first = request.url.ends_with("offset=0");
        let code = |key: &str| json!({ "bypass_code_id": key, "admin_email": "a@example.com" });
        let codes = [code(if first { "DB1" } else { "DB2" })];
        let metadata = if first { json!({ "next_offset": 1 }) } else { json!({ "total_objects": 2 }) };
        Ok(response(200, &[], &json!({ "stat": "OK", "response": codes, "metadata": metadata }).to_string()))
    })
}

#[test]
fn who_issued_a_code_is_not_left_out_where_the_list_of_administrators_can_not_be_read_just_now() {
    for (status, body, kind) in [
        (200, "hello", ErrorKind::Unexpected),
        (200, r#"{"stat":"OK"}"#, ErrorKind::Unexpected),
        (200, r#"{"stat":"OK","response":[],"metadata":{"next_offset":0}}"#, ErrorKind::Unexpected),
        (503, "", ErrorKind::Unavailable(None)),
        (429, "", ErrorKind::RateLimited(None)),
    ] {
        let host = issued_by(status, body);
        let error = read(&host, &settings(), "bypass-codes", &Position::Beginning).unwrap_err();
        assert_eq!(error.kind, kind, "{status} {body}");
        assert!(error.message.contains("/admin/v1/admins"), "{}", error.message);
    }
}

#[test]
fn the_permission_that_relates_codes_to_who_issued_them_is_named_once_in_a_walk() {
    let host = issued_by(403, r#"{"code":40301,"message":"Access forbidden","stat":"FAIL"}"#);
    let first = read(&host, &settings(), "bypass-codes", &Position::Beginning).unwrap();
    let [problem] = first.problems.as_slice() else { panic!("{:?}", first.problems) };
    assert_eq!(problem.field.as_deref(), Some("admin_email"));
    assert!(problem.message.starts_with("the issuers of bypass codes are left out: "), "{}", problem.message);
    assert!(problem.message.contains("*Grant administrators - Read*"), "{}", problem.message);
    let Progress::More(cursor) = first.progress else { panic!("{:?}", first.progress) };
    let second = read(&host, &settings(), "bypass-codes", &Position::At(cursor)).unwrap();
    assert_eq!((second.entities.len(), second.problems, second.progress), (1, vec![], Progress::Done(None)));
    assert_eq!(host.requests.borrow().len(), 3, "the list of administrators is not requested again");
}

/// The entities of this type and key, and the relations to them.
fn of<'a>(page: &'a Page, source_type: &str, key: &str) -> (Vec<&'a Entity>, Vec<&'a Relation>) {
    let entities =
        page.entities.iter().filter(|one| (&*one.source_type, &*one.source_id) == (source_type, key));
    let relations = page.relations.iter();
    let relations =
        relations.filter(|one| (&*one.child.source_type, &*one.child.source_id) == (source_type, key));
    (entities.collect(), relations.collect())
}

#[test]
fn a_credential_is_the_same_in_its_own_list_and_inside_an_administrator() {
    let whole = json!({
        "webauthnkey": "WA1", "credential_name": "blue key", "label": "Security Key", "date_added": 1559592490,
        "uv_capable": true,
    });
    let odd = json!({ "webauthnkey": "WA1", "credential_name": "", "label": [], "date_added": "5", "uv_capable": 0 });
    let mut objects = vec![whole.clone(), odd];
    for field in ["credential_name", "label", "date_added", "uv_capable"] {
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(field);
        objects.push(without);
    }
    for credential in objects {
        let listed = merged(credential.clone(), json!({ "admin": { "admin_id": "DE1" } }));
        let listed = page_of("webauthn-credentials", &[listed]);
        let administrator = json!({ "admin_id": "DE1", "webauthncredentials": [credential] });
        let embedded = page_of("administrators", &[administrator]);
        let (entities, relations) = of(&listed, "webauthn-credential", "WA1");
        assert_eq!((entities.len(), relations.len()), (1, 1), "{credential}");
        assert_eq!((entities, relations), of(&embedded, "webauthn-credential", "WA1"), "{credential}");
        assert_eq!(listed.problems, embedded.problems, "{credential}");
    }
}

#[test]
fn a_hardware_token_is_described_by_its_own_list_only_and_owned_alike_in_both() {
    let token = json!({ "token_id": "DH1", "type": "d1", "serial": "123456" });
    let listed =
        page_of("hardware-tokens", &[merged(token.clone(), json!({ "admins": [{ "admin_id": "DE1" }] }))]);
    let embedded = page_of("administrators", &[json!({ "admin_id": "DE1", "hardtoken": token })]);
    let (entities, relations) = of(&listed, "hardware-token", "DH1");
    assert_eq!((entities.len(), relations.len()), (1, 1));
    assert_eq!((vec![], relations), of(&embedded, "hardware-token", "DH1"));
}
