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

    // An integration key belongs to one host: on another one nobody knows it.
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

    fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
        vector[field].as_str().unwrap_or_default()
    }

    /// The version each vector is valid in, after `tamper` had its way with the query.
    fn judge(vector: &Value, tamper: impl Fn(String) -> String) -> Option<SignatureVersion> {
        let mut headers = HeaderMap::new();
        for (name, value) in vector["x_duo_headers"].as_object().unwrap() {
            let name = HeaderName::try_from(name).unwrap();
            headers.insert(name, HeaderValue::from_str(value.as_str().unwrap()).unwrap());
        }
        // A client may send `+` for a space, and in any order.
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for pair in vector["params"].as_array().unwrap().iter().rev() {
            query.append_pair(pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        }
        let query = tamper(query.finish());
        let request = Request {
            method: text(vector, "method"),
            path: text(vector, "path"),
            query: &query,
            body: text(vector, "body").as_bytes(),
            headers: &headers,
        };
        let credentials = Credentials {
            host: text(vector, "host"),
            integration_key: text(vector, "ikey"),
            secret_key: text(vector, "skey"),
        };
        signature_version(&request, &credentials, text(vector, "date"), text(vector, "expected_hex"))
    }

    #[test]
    fn every_published_vector_is_valid_and_no_tampered_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugin/tests/signing-vectors.json");
        let vectors: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(vectors.len(), 20);
        for vector in &vectors {
            let expected = match (vector["sig_version"].as_u64().unwrap(), text(vector, "digest")) {
                (5, _) => SignatureVersion::V5,
                (_, "sha1") => SignatureVersion::V2Sha1,
                _ => SignatureVersion::V2Sha512,
            };
            assert_eq!(judge(vector, |query| query), Some(expected), "{}", vector["id"]);
            assert_eq!(judge(vector, |query| format!("{query}&x=1")), None, "{}", vector["id"]);
        }
    }
}
