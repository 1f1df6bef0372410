//! Signs what it is told to with the connector's own code, compiled to the same target in the same profile.

use duo_connector::signing::{self, Scheme, Unsigned};

#[expect(clippy::too_many_arguments, reason = "a vector has eleven parts")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "signing-probe" });
}

struct Probe;

impl bindings::Guest for Probe {
    fn sign(
        version: u32,
        digest: String,
        integration_key: String,
        secret_key: String,
        method: String,
        host: String,
        path: String,
        date: String,
        params: Vec<(String, String)>,
        body: Vec<u8>,
        x_duo_headers: Vec<(String, String)>,
    ) -> Result<String, String> {
        let scheme = match (version, digest.as_str()) {
            (2, "sha1") => Scheme::V2Sha1,
            (2, "sha512") => Scheme::V2Sha512,
            (5, "sha512") => Scheme::V5,
            _ => return Err(format!("unknown signature: version {version} with `{digest}`")),
        };
        let headers: Vec<(&str, &str)> =
            x_duo_headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let unsigned = Unsigned {
            date: &date,
            method: &method,
            host: &host,
            path: &path,
            params: &signing::canonical_params(&params),
            body: &body,
            headers: &headers,
        };
        Ok(signing::authorization(scheme, &integration_key, &secret_key, &unsigned))
    }
}

bindings::export!(Probe with_types_in bindings);
