//! Duo's request signature: the canonical request and its HMAC. Pure: no I/O, no clock.
//!
//! The lines of a canonical request, joined by a single newline:
//!
//! | line | content | v2 | v5 |
//! |---|---|---|---|
//! | 1 | date, exactly as in the `Date` header | x | x |
//! | 2 | method, in upper case | x | x |
//! | 3 | API hostname, in lower case | x | x |
//! | 4 | path | x | x |
//! | 5 | parameters: see [`canonical_params`] | x | x |
//! | 6 | SHA-512 of the body: see [`body_hash`] | | x |
//! | 7 | SHA-512 of the `x-duo-` headers: see [`x_duo_hash`] | | x |
//!
//! Source: the official clients (`duo_client` 5.7.0 `client.py`, `duoapi.go`, `duo_hmac`). Their published test
//! vectors are in `tests/signing-vectors.json`.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Digest, Sha512};

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How a request is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// Version 2 with HMAC-SHA1: the older documented example. Newer endpoints refuse it.
    V2Sha1,
    /// Version 2 with HMAC-SHA512.
    V2Sha512,
    /// Version 5, HMAC-SHA512: all endpoints accept it, and some accept nothing else.
    #[default]
    V5,
}

impl Scheme {
    /// All schemes, the default one first.
    pub const ALL: [Self; 3] = [Self::V5, Self::V2Sha512, Self::V2Sha1];

    /// The name of the scheme, as a setting.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2Sha1 => "v2-sha1",
            Self::V2Sha512 => "v2-sha512",
            Self::V5 => "v5",
        }
    }

    /// The scheme with this [name](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.name() == name)
    }
}

/// A request before it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned<'a> {
    /// RFC 2822, in UTC. Exactly the same text must be sent as the `Date` header.
    pub date: &'a str,
    /// In any case.
    pub method: &'a str,
    /// The API hostname without a port, in any case.
    pub host: &'a str,
    /// From the first `/`, without the query.
    pub path: &'a str,
    /// The result of [`canonical_params`] for the query, and in version 2 for a form body too.
    pub params: &'a str,
    /// The exact bytes of the body; empty for a GET. Version 2 does not sign it.
    pub body: &'a [u8],
    /// Headers. Only headers that begin with `x-duo-` are signed; version 2 signs none.
    pub headers: &'a [(&'a str, &'a str)],
}

/// The value of the `Authorization` header.
///
/// The HMAC key is the UTF-8 bytes of the secret key, which is not decoded from hexadecimal or base64.
pub fn authorization(
    scheme: Scheme,
    integration_key: &str,
    secret_key: &str,
    request: &Unsigned<'_>,
) -> String {
    let text = canonical_request(scheme, request);
    let signature = match scheme {
        Scheme::V2Sha1 => mac::<Hmac<Sha1>>(secret_key, &text),
        Scheme::V2Sha512 | Scheme::V5 => mac::<Hmac<Sha512>>(secret_key, &text),
    };
    format!("Basic {}", STANDARD.encode(format!("{integration_key}:{signature}")))
}

/// The text that is signed; the table of this module describes its lines.
pub fn canonical_request(scheme: Scheme, request: &Unsigned<'_>) -> String {
    let Unsigned { date, method, host, path, params, body, headers } = *request;
    let method = method.to_ascii_uppercase();
    let host = host.to_ascii_lowercase();
    let mut text = format!("{date}\n{method}\n{host}\n{path}\n{params}");
    if scheme == Scheme::V5 {
        text.push('\n');
        text.push_str(&body_hash(body));
        text.push('\n');
        text.push_str(&x_duo_hash(headers));
    }
    text
}

/// Parameters as they are signed and sent as the query: percent-encoded, sorted by encoded key and then by
/// encoded value, joined by `&`. A repeated key stays repeated. Without parameters, the text is empty.
pub fn canonical_params<K: AsRef<str>, V: AsRef<str>>(params: &[(K, V)]) -> String {
    let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = params
        .iter()
        .map(|(key, value)| (percent_encode(key.as_ref()), percent_encode(value.as_ref())))
        .collect();
    pairs.sort();
    let mut text = String::new();
    for (key, value) in &pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(key);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// Encodes the UTF-8 bytes of `text` as `%XX` in upper case, except the unreserved characters of RFC 3986, as in
/// OAuth 1.0 (RFC 5849, section 3.6): a space becomes `%20`, and `~` stays.
pub fn percent_encode(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, RESERVED).into()
}

/// SHA-512 of a body, in lower-case hexadecimal.
pub fn body_hash(body: &[u8]) -> String {
    hexadecimal(&Sha512::digest(body))
}

/// SHA-512 of the headers that begin with `x-duo-`, in lower-case hexadecimal. The names are in lower case, the
/// headers sorted by name, and all names and values joined by NUL. Values keep their case.
pub fn x_duo_hash(headers: &[(&str, &str)]) -> String {
    let mut signed: Vec<(String, &str)> = headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), *value))
        .filter(|(name, _)| name.starts_with("x-duo-"))
        .collect();
    signed.sort();
    let parts: Vec<&str> = signed.iter().flat_map(|(name, value)| [name.as_str(), value]).collect();
    body_hash(parts.join("\0").as_bytes())
}

fn mac<M: Mac + KeyInit>(key: &str, text: &str) -> String {
    // HMAC accepts keys of any length: RFC 2104, section 2.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key.as_bytes()) else { return String::new() };
    mac.update(text.as_bytes());
    hexadecimal(&mac.finalize().into_bytes())
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a `String` can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests;
