//! The official clients' signatures, from inside a component.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use connector_host::BUNDLED;
use connector_sandbox::contract::api::Position;
use connector_sandbox::{Engine, EngineOptions};
use connector_sync::configuration::Configuration;
use connector_sync::integration::Integration;
use serde::Deserialize;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::harness::workspace;

/// A row of `signing-vectors.json`.
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
    x_duo_headers: std::collections::BTreeMap<String, String>,
    expected_authorization: String,
}

fn vectors() -> Vec<Vector> {
    let text = std::fs::read_to_string(workspace().join("plugin/tests/signing-vectors.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

struct Wasi(WasiCtx, ResourceTable);

impl WasiView for Wasi {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.0, table: &mut self.1 }
    }
}

type Pair = (String, String);
type Sign = (u32, String, String, String, String, String, String, String, Vec<Pair>, Vec<u8>, Vec<Pair>);

/// The connector has no reason to send a POST or a header of Duo's: a guest of its own signs all vectors with
/// the same code, for the same target, in the same profile.
#[test]
fn every_vector_holds_inside_a_component() {
    let guest = component_build::build(
        &workspace().join("tests/guests/signing-probe"),
        "signing-probe",
        &std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("signing-probe"),
    )
    .unwrap_or_else(|error| panic!("{error}"));
    let engine = wasmtime::Engine::new(Config::new().concurrency_support(false)).unwrap();
    let component = Component::from_file(&engine, guest).unwrap();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
    let mut store = Store::new(&engine, Wasi(WasiCtx::builder().build(), ResourceTable::new()));
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let sign = instance.get_typed_func::<Sign, (Result<String, String>,)>(&mut store, "sign").unwrap();

    let vectors = vectors();
    assert_eq!(vectors.len(), 20);
    for vector in vectors {
        let (signed,) = sign
            .call(
                &mut store,
                (
                    vector.sig_version,
                    vector.digest,
                    vector.ikey,
                    vector.skey,
                    vector.method,
                    vector.host,
                    vector.path,
                    vector.date,
                    vector.params,
                    vector.body.unwrap_or_default().into_bytes(),
                    vector.x_duo_headers.into_iter().collect(),
                ),
            )
            .unwrap();
        assert_eq!(signed, Ok(vector.expected_authorization), "{}", vector.id);
    }
}

/// Answers one request with an empty list, and returns the request's head.
fn serve_once(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let body = r#"{"stat":"OK","response":[],"metadata":{"total_objects":0}}"#;
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
    String::from_utf8(head).unwrap()
}

/// What the shipped component sends is, byte for byte, what the official client would sign at that moment.
#[tokio::test(flavor = "multi_thread")]
async fn the_bundled_component_signs_as_the_official_client_does() {
    // Tue, 21 Aug 2012 17:29:18, the moment of these vectors.
    let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(1_345_570_158);
    let engine = Engine::new(&EngineOptions { cache: None, ..EngineOptions::default() }).unwrap();
    for (id, signature) in [("D01", "v5"), ("D02", "v2-sha512"), ("D03", "v2-sha1")] {
        let vector = vectors().into_iter().find(|vector| vector.id == id).unwrap();
        assert_eq!(vector.path, "/admin/v1/users");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        connector_sandbox::private_file::replace(&folder.path().join("key"), vector.skey.as_bytes()).unwrap();
        let text = format!(
            "name = \"duo\"\nconnector = \"duo\"\n[settings]\napi-hostname = \"{host}\"\n\
             integration-key = \"{key}\"\nsecret-key = {{ file = \"key\" }}\nsignature = \"{signature}\"\n\
             [network]\nconnect-to = {{ \"{host}\" = \"http://{address}\" }}\n",
            host = vector.host,
            key = vector.ikey,
            address = listener.local_addr().unwrap(),
        );
        let path = folder.path().join("duo.toml");
        let configuration = Configuration::parse(&text, &path, folder.path()).unwrap();
        let mut integration = Integration::open(&engine, &configuration, BUNDLED).await.unwrap();
        integration.stop_clock(moment);
        let users = integration.manifest().stream("users").unwrap().clone();
        let server = std::thread::spawn(move || serve_once(&listener));
        integration
            .read(
                &users,
                None,
                &Position::Beginning,
                &Default::default(),
                &connector_sandbox::capabilities::ignore_waits(),
            )
            .await
            .unwrap();
        let head = server.join().unwrap();
        assert!(head.starts_with("GET /admin/v1/users?limit=300&offset=0 HTTP/1.1\r\n"), "{head}");
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        // The vectors write UTC as `-0000`; the connector must sign the very string it sends.
        assert_eq!(header("date"), Some(vector.date.as_str()), "{id}");
        assert_eq!(header("authorization"), Some(vector.expected_authorization.as_str()), "{id}");
        assert_eq!(header("host"), Some(vector.host.to_lowercase().as_str()), "{id}");
    }
}
