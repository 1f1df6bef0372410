//! A careful client, written for these tests; each test changes parts of what it sends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use duo_simulator::{SignatureVersion, Simulator};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Response;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha512};

/// A client to build on. Built with the whole workspace, the library has TLS, and then wants a provider for it even
/// where none is spoken; one may be installed already.
pub(crate) fn http() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The same goes for gzip, which the tests look at as it comes.
    reqwest::Client::builder().no_gzip()
}

/// A request that is about to be signed and sent.
#[derive(Clone)]
pub(crate) struct Ask {
    /// The verb.
    pub(crate) method: &'static str,
    /// Path and query; the query in canonical form.
    pub(crate) target: String,
    /// The version it is signed in.
    pub(crate) version: SignatureVersion,
    /// The key it names.
    pub(crate) integration_key: String,
    /// The key it is signed with.
    pub(crate) secret_key: String,
    /// The host it addresses and signs.
    pub(crate) host: String,
    /// Its date.
    pub(crate) date: String,
    /// Whether it says that it takes gzip.
    pub(crate) gzip: bool,
}

impl Ask {
    /// A right request for `target`.
    pub(crate) fn new(simulator: &Simulator, target: &str) -> Self {
        let options = simulator.options();
        Self {
            method: "GET",
            target: target.to_owned(),
            version: SignatureVersion::V5,
            integration_key: options.integration_key.clone(),
            secret_key: options.secret_key.clone(),
            host: options.host.clone(),
            date: Utc::now().to_rfc2822(),
            gzip: false,
        }
    }

    fn signature(&self) -> String {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let second = [&self.date, self.method, &self.host, path, query].join("\n");
        let key = self.secret_key.as_bytes();
        match self.version {
            SignatureVersion::V2Sha1 => hex(&sign::<Hmac<Sha1>>(key, &second)),
            SignatureVersion::V2Sha512 => hex(&sign::<Hmac<Sha512>>(key, &second)),
            SignatureVersion::V5 => {
                let empty = hex(&Sha512::digest(b""));
                hex(&sign::<Hmac<Sha512>>(key, &format!("{second}\n{empty}\n{empty}")))
            }
        }
    }

    /// Signs and sends; follows no redirect.
    pub(crate) async fn response(self, simulator: &Simulator) -> reqwest::Result<Response> {
        let credentials = STANDARD.encode(format!("{}:{}", self.integration_key, self.signature()));
        let client = http().redirect(reqwest::redirect::Policy::none()).build()?;
        let mut request = client
            .request(self.method.parse().unwrap(), format!("{}{}", simulator.url(), self.target))
            .header("host", self.host)
            .header("date", self.date)
            .header("authorization", format!("Basic {credentials}"));
        if self.gzip {
            request = request.header("accept-encoding", "gzip");
        }
        request.send().await
    }

    /// Signs, sends, and reads status and body; a body that is no JSON is null.
    pub(crate) async fn send(self, simulator: &Simulator) -> (u16, Value) {
        let response = self.response(simulator).await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }
}

fn sign<M: Mac + KeyInit>(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
