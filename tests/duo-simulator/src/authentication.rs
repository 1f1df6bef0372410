//! Verifies a request the way the server does: it decodes what came, puts it into canonical form itself, and
//! compares. Section 1 of the reference; written without a look at any client of ours.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha512};

use crate::failure::Failure;

/// How far a request's date may be off, in seconds. Not documented; a third party's wiki says five minutes.
const SKEW: i64 = 300;

/// How a request was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureVersion {
    /// Version 2 with HMAC-SHA1.
    V2Sha1,
    /// Version 2 with HMAC-SHA512.
    V2Sha512,
    /// Version 5.
    V5,
}

/// Whom a request must come from.
pub(crate) struct Credentials<'a> {
    pub(crate) host: &'a str,
    pub(crate) integration_key: &'a str,
    pub(crate) secret_key: &'a str,
}

/// The signed parts of a request.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The query, or the form for version 2.
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) headers: &'a HeaderMap,
}

impl Request<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Verifies `request`; `now` is the server's clock, in seconds since 1970.
pub(crate) fn verify(
    request: &Request<'_>,
    credentials: &Credentials<'_>,
    now: i64,
) -> Result<SignatureVersion, Failure> {
    let authorization = request.header("authorization").ok_or(Failure::missing_credentials())?;
    let encoded = authorization.strip_prefix("Basic ").ok_or(Failure::missing_credentials())?;
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or(Failure::missing_credentials())?;
    let (integration_key, signature) = decoded.split_once(':').ok_or(Failure::missing_credentials())?;

    // An integration key belongs to one host: another host does not know it.
    let host = request.header("host").unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if !name.eq_ignore_ascii_case(credentials.host) || integration_key != credentials.integration_key {
        return Err(Failure::invalid_integration_key());
    }

    let date = request.header("x-duo-date").or_else(|| request.header("date"));
    let date = date.ok_or(Failure::missing_credentials())?;
    let sent = DateTime::parse_from_rfc2822(date).map_err(|_| Failure::bad_timestamp())?;
    if (sent.timestamp() - now).abs() > SKEW {
        return Err(Failure::bad_timestamp());
    }
    signature_version(request, credentials, date, signature).ok_or(Failure::invalid_signature())
}

/// The version that `signature` is valid in.
pub(crate) fn signature_version(
    request: &Request<'_>,
    credentials: &Credentials<'_>,
    date: &str,
    signature: &str,
) -> Option<SignatureVersion> {
    let lines = [
        date.to_owned(),
        request.method.to_uppercase(),
        credentials.host.to_lowercase(),
        request.path.to_owned(),
        canonical(request.query),
    ];
    let second = lines.join("\n");
    let fifth = format!("{second}\n{}\n{}", sha512(request.body), sha512(&duo_headers(request.headers)));
    let key = credentials.secret_key.as_bytes();
    // 40 hexadecimal digits are SHA-1, 128 are SHA-512.
    let candidates = match signature.len() {
        40 => vec![(hex(&mac::<Hmac<Sha1>>(key, &second)), SignatureVersion::V2Sha1)],
        _ => vec![
            (hex(&mac::<Hmac<Sha512>>(key, &fifth)), SignatureVersion::V5),
            (hex(&mac::<Hmac<Sha512>>(key, &second)), SignatureVersion::V2Sha512),
        ],
    };
    candidates.into_iter().find(|(valid, _)| valid == signature).map(|(_, version)| version)
}

/// The parameters of a query: percent signs undone, `+` for a space, in the order they came.
pub(crate) fn parameters(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The query in canonical form: every byte but the unreserved ones escaped, sorted by name and then value.
fn canonical(query: &str) -> String {
    let mut pairs: Vec<_> =
        parameters(query).iter().map(|(name, value)| (escape(name), escape(value))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn escape(text: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    escaped.collect()
}

/// Names and values of the `X-Duo-*` headers, sorted by name, with a NUL between all of them.
fn duo_headers(headers: &HeaderMap) -> Vec<u8> {
    let signed: BTreeMap<_, _> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-duo-"))
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let parts: Vec<&[u8]> = signed.iter().flat_map(|(name, value)| [name.as_bytes(), value]).collect();
    parts.join(&0)
}

fn mac<M: Mac + KeyInit>(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes keys of any length.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn sha512(bytes: &[u8]) -> String {
    hex(&Sha512::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use serde_json::Value;

    use super::*;

    /// A signed request of the published vectors, in parts that can be tampered with.
    #[derive(Clone)]
    struct Signed {
        method: String,
        host: String,
        path: String,
        query: String,
        body: String,
        headers: Vec<(String, String)>,
        date: String,
        secret_key: String,
        signature: String,
        version: SignatureVersion,
    }

    impl Signed {
        fn read(vector: &Value) -> Self {
            let text = |field: &str| vector[field].as_str().unwrap_or_default().to_owned();
            // A client may send `+` for a space, and in any order.
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            for pair in vector["params"].as_array().unwrap().iter().rev() {
                query.append_pair(pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
            }
            let headers = vector["x_duo_headers"].as_object().unwrap().iter();
            Self {
                method: text("method"),
                host: text("host"),
                path: text("path"),
                query: query.finish(),
                body: text("body"),
                headers: headers
                    .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                    .collect(),
                date: text("date"),
                secret_key: text("skey"),
                signature: text("expected_hex"),
                version: match (vector["sig_version"].as_u64().unwrap(), vector["digest"].as_str().unwrap()) {
                    (5, _) => SignatureVersion::V5,
                    (_, "sha1") => SignatureVersion::V2Sha1,
                    _ => SignatureVersion::V2Sha512,
                },
            }
        }

        fn judge(&self) -> Option<SignatureVersion> {
            let headers = headers(&self.headers);
            let request = Request {
                method: &self.method,
                path: &self.path,
                query: &self.query,
                body: self.body.as_bytes(),
                headers: &headers,
            };
            let credentials =
                Credentials { host: &self.host, integration_key: "", secret_key: &self.secret_key };
            signature_version(&request, &credentials, &self.date, &self.signature)
        }
    }

    fn headers(pairs: &[(String, String)]) -> HeaderMap {
        let pair = |(name, value): &(String, String)| {
            (HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn vectors() -> Vec<(String, Signed)> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugin/tests/signing-vectors.json");
        let vectors: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        vectors.iter().map(|vector| (vector["id"].to_string(), Signed::read(vector))).collect()
    }

    #[test]
    fn every_vector_is_valid_in_its_own_version() {
        let vectors = vectors();
        assert!(vectors.len() >= 20, "{}", vectors.len());
        for version in [SignatureVersion::V2Sha1, SignatureVersion::V2Sha512, SignatureVersion::V5] {
            assert!(vectors.iter().any(|(_, signed)| signed.version == version), "{version:?}");
        }
        for (id, signed) in vectors {
            assert_eq!(signed.judge(), Some(signed.version), "{id}");
        }
    }

    #[test]
    fn a_change_of_any_signed_part_is_noticed() {
        type Tamper = fn(&mut Signed);
        let everywhere: [(&str, Tamper); 11] = [
            ("method", |signed| signed.method = "DELETE".to_owned()),
            ("host", |signed| signed.host.insert(0, 'x')),
            ("path", |signed| signed.path.push('/')),
            ("case of the path", |signed| signed.path = signed.path.to_uppercase()),
            ("query", |signed| signed.query.push_str("&x=1")),
            ("empty parameter", |signed| signed.query.push_str("&x")),
            ("date", |signed| signed.date.push(' ')),
            ("key", |signed| signed.secret_key.push('x')),
            ("last digit", |signed| {
                let last = if signed.signature.ends_with('0') { '1' } else { '0' };
                signed.signature.pop();
                signed.signature.push(last);
            }),
            ("length", |signed| {
                signed.signature.pop();
            }),
            ("case of the digits", |signed| signed.signature = signed.signature.to_uppercase()),
        ];
        let fifth_only: [(&str, Tamper); 3] = [
            ("body", |signed| signed.body.push(' ')),
            ("added header", |signed| signed.headers.push(("x-duo-added".to_owned(), "1".to_owned()))),
            ("header", |signed| match signed.headers.first_mut() {
                Some((_, value)) => value.push('x'),
                None => signed.headers.push(("x-duo-date".to_owned(), String::new())),
            }),
        ];
        for (id, signed) in vectors() {
            for (what, tamper) in everywhere {
                let mut tampered = signed.clone();
                tamper(&mut tampered);
                assert_eq!(tampered.judge(), None, "{id}: {what}");
            }
            for (what, tamper) in fifth_only {
                let mut tampered = signed.clone();
                tamper(&mut tampered);
                let expected = (signed.version != SignatureVersion::V5).then_some(signed.version);
                assert_eq!(tampered.judge(), expected, "{id}: {what}");
            }
            // Nobody signs what is not Duo's.
            let mut other = signed.clone();
            other.headers.push(("x-other".to_owned(), "1".to_owned()));
            assert_eq!(other.judge(), Some(signed.version), "{id}");
        }
    }

    /// 2024-05-24T12:00:00Z.
    const NOW: i64 = 1_716_552_000;

    /// Sends a date, signed, in the header `name`.
    fn send(name: &str, date: &str, host: &str) -> Result<SignatureVersion, Failure> {
        let credentials =
            Credentials { host: "api-1.duosecurity.com", integration_key: "DI1", secret_key: "s" };
        let mut all = vec![("host".to_owned(), host.to_owned()), (name.to_owned(), date.to_owned())];
        let signed = headers(&all);
        let lines =
            [date, "GET", "api-1.duosecurity.com", "/p", "", &sha512(b""), &sha512(&duo_headers(&signed))]
                .join("\n");
        let signature = hex(&mac::<Hmac<Sha512>>(b"s", &lines));
        all.push((
            "authorization".to_owned(),
            format!("Basic {}", STANDARD.encode(format!("DI1:{signature}"))),
        ));
        let request = Request { method: "GET", path: "/p", query: "", body: b"", headers: &headers(&all) };
        verify(&request, &credentials, NOW)
    }

    #[test]
    fn dates_are_taken_in_each_form_that_clients_send_and_within_five_minutes() {
        let host = "api-1.duosecurity.com";
        for name in ["date", "x-duo-date"] {
            for date in [
                "Fri, 24 May 2024 12:00:00 -0000",
                "Fri, 24 May 2024 12:00:00 +0000",
                "Fri, 24 May 2024 14:00:00 +0200",
                "Fri, 24 May 2024 12:00:00 GMT",
                "Fri, 24 May 2024 11:55:00 GMT",
                "Fri, 24 May 2024 12:05:00 GMT",
            ] {
                assert_eq!(send(name, date, host), Ok(SignatureVersion::V5), "{name}: {date}");
            }
            for date in [
                "Fri, 24 May 2024 11:54:59 GMT",
                "Fri, 24 May 2024 12:05:01 GMT",
                "Fri, 24 May 2024 12:00:00 +0200",
                "2024-05-24T12:00:00Z",
                "1716552000",
                "",
            ] {
                assert_eq!(send(name, date, host), Err(Failure::bad_timestamp()), "{name}: {date}");
            }
        }
    }

    #[test]
    fn the_host_is_compared_without_port_and_case() {
        let date = "Fri, 24 May 2024 12:00:00 GMT";
        for host in ["api-1.duosecurity.com", "api-1.duosecurity.com:8443", "API-1.DuoSecurity.com"] {
            assert_eq!(send("date", date, host), Ok(SignatureVersion::V5), "{host}");
        }
        for host in
            ["127.0.0.1:8443", "localhost", "api-2.duosecurity.com", "api-1.duosecurity.com.example", ""]
        {
            assert_eq!(send("date", date, host), Err(Failure::invalid_integration_key()), "{host}");
        }
    }
}
