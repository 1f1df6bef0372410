use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// A vector of `tests/signing-vectors.json`.
#[derive(Deserialize)]
struct Vector {
    id: String,
    sig_version: u32,
    digest: String,
    ikey: String,
    skey: String,
    method: String,
    host: String,
    path: String,
    date: String,
    params: Vec<(String, String)>,
    body: Option<String>,
    x_duo_headers: BTreeMap<String, String>,
    canonical_params: String,
    body_sha512: Option<String>,
    x_duo_headers_sha512: Option<String>,
    expected_hex: String,
    expected_authorization: String,
}

/// A name, the parameters, and their canonical form.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../../tests/signing-vectors.json")).unwrap()
}

fn scheme(vector: &Vector) -> Scheme {
    match (vector.sig_version, vector.digest.as_str()) {
        (2, "sha1") => Scheme::V2Sha1,
        (2, "sha512") => Scheme::V2Sha512,
        (5, "sha512") => Scheme::V5,
        other => panic!("vector {} has an unknown scheme: {other:?}", vector.id),
    }
}

#[test]
fn every_published_vector_is_reproduced() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 20);
    for vector in &vectors {
        let headers: Vec<(&str, &str)> =
            vector.x_duo_headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let params = canonical_params(&vector.params);
        assert_eq!(params, vector.canonical_params, "{}", vector.id);
        let body = vector.body.as_deref().unwrap_or_default().as_bytes();
        if let Some(expected) = &vector.body_sha512 {
            assert_eq!(&body_hash(body), expected, "{}", vector.id);
        }
        if let Some(expected) = &vector.x_duo_headers_sha512 {
            assert_eq!(&x_duo_hash(&headers), expected, "{}", vector.id);
        }
        let unsigned = Unsigned {
            date: &vector.date,
            method: &vector.method,
            host: &vector.host,
            path: &vector.path,
            params: &params,
            body,
            headers: &headers,
        };
        let authorization = authorization(scheme(vector), &vector.ikey, &vector.skey, &unsigned);
        assert_eq!(authorization, vector.expected_authorization, "{}", vector.id);
        let decoded = STANDARD.decode(authorization.strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(decoded).unwrap(), format!("{}:{}", vector.ikey, vector.expected_hex));
    }
}

#[test]
fn the_vectors_cover_every_scheme() {
    for scheme_wanted in Scheme::ALL {
        assert!(vectors().iter().any(|vector| scheme(vector) == scheme_wanted), "{scheme_wanted:?}");
    }
}

/// The cases P1 to P14 that the test suites of the official clients share. P8 has the parameters of vector V02.
#[test]
fn parameters_are_canonicalized_as_the_official_clients_do() {
    let digits = "0123456789";
    let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let punctuation: String = (0x21..=0x7e_u8).map(char::from).filter(char::is_ascii_punctuation).collect();
    let whitespace = "\t\n\u{b}\u{c}\r ";
    let cases: &[Case] = &[
        ("P1", &[], ""),
        ("P2", &[("realname", "First Last")], "realname=First%20Last"),
        ("P3", &[("realname", "First Last"), ("username", "root")], "realname=First%20Last&username=root"),
        (
            "P4",
            &[("words", "First Last"), ("success", "true"), ("digit", "5")],
            "digit=5&success=true&words=First%20Last",
        ),
        (
            "P5",
            &[("words", "First Last"), ("success", "false"), ("digit", "5")],
            "digit=5&success=false&words=First%20Last",
        ),
        (
            "P6",
            &[
                ("digits", digits),
                ("letters", letters),
                ("punctuation", &punctuation),
                ("whitespace", whitespace),
            ],
            "digits=0123456789&letters=abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ&punctuation=%21%22%23%24%25%26%27%28%29%2A%2B%2C-.%2F%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E_%60%7B%7C%7D~&whitespace=%09%0A%0B%0C%0D%20",
        ),
        (
            "P7",
            &[
                ("bar", "\u{2815}\u{aaa3}\u{37cf}\u{4bb7}\u{36e9}\u{cc05}\u{668e}\u{8162}\u{c2bd}\u{a1f1}"),
                ("baz", "\u{0df3}\u{84bd}\u{5669}\u{9985}\u{b8a4}\u{ac3a}\u{7be7}\u{6f69}\u{934a}\u{b91c}"),
                ("foo", "\u{d4ce}\u{d6d6}\u{7938}\u{50c0}\u{8a20}\u{8f15}\u{fd0b}\u{8024}\u{5cb3}\u{c655}"),
                ("qux", "\u{8b97}\u{c846}\u{002d}\u{828e}\u{831a}\u{ccca}\u{a2d4}\u{8c3e}\u{b8b2}\u{99be}"),
            ],
            "bar=%E2%A0%95%EA%AA%A3%E3%9F%8F%E4%AE%B7%E3%9B%A9%EC%B0%85%E6%9A%8E%E8%85%A2%EC%8A%BD%EA%87%B1&baz=%E0%B7%B3%E8%92%BD%E5%99%A9%E9%A6%85%EB%A2%A4%EA%B0%BA%E7%AF%A7%E6%BD%A9%E9%8D%8A%EB%A4%9C&foo=%ED%93%8E%ED%9B%96%E7%A4%B8%E5%83%80%E8%A8%A0%E8%BC%95%EF%B4%8B%E8%80%A4%E5%B2%B3%EC%99%95&qux=%E8%AE%97%EC%A1%86-%E8%8A%8E%E8%8C%9A%EC%B3%8A%EA%8B%94%E8%B0%BE%EB%A2%B2%E9%A6%BE",
        ),
        ("P9", &[("foo_bar", "2"), ("foo", "1")], "foo=1&foo_bar=2"),
        (
            "P10",
            &[("ip_whitelist_enroll_policy", "2"), ("ip_whitelist", "1")],
            "ip_whitelist=1&ip_whitelist_enroll_policy=2",
        ),
        (
            "P11",
            &[("username", "H ell?o"), ("password", "H-._~i"), ("password", "A(!'*)")],
            "password=A%28%21%27%2A%29&password=H-._~i&username=H%20ell%3Fo",
        ),
        (
            "P12",
            &[("next_offset", "fjaewoifjew"), ("next_offset", "473891274832917498"), ("foo", "1")],
            // The C# client keeps the given order. Python and Go sort the values of a key, as this crate does.
            "foo=1&next_offset=473891274832917498&next_offset=fjaewoifjew",
        ),
        (
            "P13",
            &[("realname", "First"), ("realname", "Last"), ("something", "test")],
            "realname=First&realname=Last&something=test",
        ),
        ("P14", &[("limit", "100"), ("offset", "0")], "limit=100&offset=0"),
        ("an empty value", &[("key", "")], "key="),
        (
            "a key that begins like another",
            &[("foo_bar", "3"), ("foo0", "4"), ("foo-bar", "2"), ("foo", "1")],
            "foo=1&foo-bar=2&foo0=4&foo_bar=3",
        ),
    ];
    for (name, params, expected) in cases {
        assert_eq!(&canonical_params(params), expected, "{name}");
    }
}

#[test]
fn headers_are_hashed_as_the_official_clients_do() {
    let cases: &[Case] = &[
        (
            "H1",
            &[],
            "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
        ),
        (
            "H2",
            &[("X-Duo-Header-1", "header_value_1")],
            "630b4bfe7e9abd03da2eee8f0a5d4e60a254ec880a839bcc2223bb5b9443e8ef24d58f0254f1f5934bf8c017ebd0fd5b1acf86766bdbe74185e712a4092df3ed",
        ),
        (
            "H3",
            &[("X-Duo-B", "header_value_2"), ("x-duo-A", "header_value_1"), ("Date", "not signed")],
            "60be11a30e0756f2ee2afdce1db849b987dcf86c1133394bd7bbbc9877920330c4d78aceacbb377ab8cbd9a8efe6a410fed4047376635ac71226ab46ca10d2b1",
        ),
        (
            "H4",
            &[("X-Duo-Header-1", "hEaDeR_vAlUe_1")],
            "419a8a12163c2db70ff06d438cc32fc40aeae8ebbc05e4240027757dcdc5a5b7f8d1cd86041d35b0fd07277dac05484d882bc0e7a8fe3eeb6b18066e45f15048",
        ),
        (
            "H5",
            &[("x-duo-date", "Fri, 24 May 2024 12:00:00 -0000")],
            "fa03691e132cfedf936dc9f9b86f7183697dd258d380fc55e3a91567a6cb4dac2ef24cac5df934ff39cd9fba99b3ed180a8a5cf234c27832b1c5660db2a9c15d",
        ),
    ];
    for (name, headers, expected) in cases {
        assert_eq!(&x_duo_hash(headers), expected, "{name}");
    }
}

#[test]
fn bodies_are_hashed_as_the_official_clients_do() {
    for (body, expected) in [
        (
            r#"{"activation_code":"duo://x1bTAIQGWXppdi2ctPVn-YXBpLWR1bzEuZHVvLnRlc3Q","user_id":"DU439XKOX2W6LMYHWLEV"}"#,
            "9ddab7d898836a76fafbb0dcef7bc83f14036b39bbb1ebbe43044f7c76338fa699eba8f0d3ecb329a084f32ef23c8a1609efad25032923b651e6f3f6d2f7b773",
        ),
        (
            r#"{"limit":10,"offset":2}"#,
            "66fabab062974c3dd3f4d27284e41bf8121d71c0e63e95631992062ef5d1a4058403af3482c8c32ae63cd724cbf0aa793a931ef273539ef6f3745751c22f25f6",
        ),
        (
            "I am an ascii string",
            "c1710f1224e4973bfbb9ca1a297e63756a4b1736ebd1b646ba3d63a392b73d24a52ac8b4afb6eafca6dfe91f09e2e75117c377398a7d2f22136b05c038b94151",
        ),
        (
            r#"{"alpha":["a","b","c","d"],"data":"abc123","info":{"another":2,"test":1}}"#,
            "c30ca4ffc7fe4272aa6ae7a3c94cf71c11ed8ae7aaa32e81a401a59f1cef0866ccb02304380cdc48a813b1566c457653fa62736022f0cfeadcec8cd7c6233480",
        ),
        (
            "{}",
            "27c74670adb75075fad058d5ceaf7b20c4e7786c83bae8a32f626f9782af34c9a33c2046ef60fd2a7878d378e29fec851806bbd9a67878f3a9f1cda4830763fd",
        ),
    ] {
        assert_eq!(body_hash(body.as_bytes()), expected, "{body}");
    }
}

/// Go's `TestCanonicalizeV5`.
#[test]
fn the_canonical_request_of_version_5_has_seven_lines_and_of_version_2_the_first_five() {
    let body = r#"{"activation_code":"duo://x1bTAIQGWXppdi2ctPVn-YXBpLWR1bzEuZHVvLnRlc3Q","user_id":"DU439XKOX2W6LMYHWLEV"}"#;
    let unsigned = Unsigned {
        date: "Fri, 07 Dec 2012 17:18:00 -0000",
        method: "post",
        host: "FOO.example.CoM",
        path: "/Foo/BaR2/qux",
        params: "username=H%20ell%3Fo",
        body: body.as_bytes(),
        headers: &[],
    };
    let five = "Fri, 07 Dec 2012 17:18:00 -0000\nPOST\nfoo.example.com\n/Foo/BaR2/qux\nusername=H%20ell%3Fo";
    let body_line = "9ddab7d898836a76fafbb0dcef7bc83f14036b39bbb1ebbe43044f7c76338fa699eba8f0d3ecb329a084f32ef23c8a1609efad25032923b651e6f3f6d2f7b773";
    let header_line = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
    assert_eq!(canonical_request(Scheme::V2Sha1, &unsigned), five);
    assert_eq!(canonical_request(Scheme::V2Sha512, &unsigned), five);
    assert_eq!(canonical_request(Scheme::V5, &unsigned), format!("{five}\n{body_line}\n{header_line}"));
}

#[test]
fn a_scheme_has_the_name_it_is_found_by() {
    for scheme in Scheme::ALL {
        assert_eq!(Scheme::named(scheme.name()), Some(scheme));
    }
    assert_eq!(Scheme::named("V5"), None);
}

proptest! {
    #[test]
    fn encoding_keeps_every_text(text in any::<String>()) {
        let encoded = percent_encode(&text);
        prop_assert_eq!(percent_decode_str(&encoded).decode_utf8().unwrap(), text.as_str());
    }

    #[test]
    fn encoded_text_has_only_unreserved_characters_and_upper_case_triplets(text in any::<String>()) {
        let encoded = percent_encode(&text).into_owned();
        let mut bytes = encoded.bytes();
        while let Some(byte) = bytes.next() {
            if byte == b'%' {
                for _ in 0..2 {
                    let digit = bytes.next().unwrap();
                    prop_assert!(digit.is_ascii_digit() || (b'A'..=b'F').contains(&digit));
                }
            } else {
                prop_assert!(byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
            }
        }
    }

    #[test]
    fn the_order_of_parameters_does_not_change_the_signature(
        (params, shuffled) in prop::collection::vec((".{0,6}", ".{0,6}"), 0..6)
            .prop_flat_map(|params| (Just(params.clone()), Just(params).prop_shuffle()))
    ) {
        let sign = |params: &[(String, String)]| {
            let params = canonical_params(params);
            let unsigned = Unsigned {
                date: "Tue, 21 Aug 2012 17:29:18 -0000", method: "GET", host: "h", path: "/p",
                params: &params, body: b"", headers: &[],
            };
            authorization(Scheme::V5, "i", "s", &unsigned)
        };
        prop_assert_eq!(sign(&params), sign(&shuffled));
    }

    #[test]
    fn a_query_holds_every_parameter_it_was_made_of(
        mut params in prop::collection::vec((".{1,6}", ".{0,6}"), 0..6)
    ) {
        let query = canonical_params(&params);
        let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let mut decoded: Vec<(String, String)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(key, value)| (decode(key), decode(value)))
            .collect();
        params.sort();
        decoded.sort();
        prop_assert_eq!(decoded, params);
    }
}
