//! Bad input gets one clear message, the documented exit code, and leaves the store alone.
//!
//! The messages are snapshots in `snapshots/`: a change of words is a visible diff.

use connector_host::BUNDLED;
use duo_simulator::{Fault, TenantOptions};

use crate::harness::{Ended, Setup, ended, tenant};

/// Holds the message against its snapshot, after replacing what differs from run to run.
fn assert_message(setup: &Setup, name: &str, ended: &Ended, code: i32) {
    assert_eq!(ended.code, code, "{name}: {ended:?}");
    assert_eq!(ended.stdout, "", "{name}: data is no place for an error");
    assert!(!ended.stderr.contains("panicked") && !ended.stderr.contains("RUST_BACKTRACE"), "{ended:?}");
    for store in ["duo.db", "duo.db-wal"] {
        assert!(!setup.path(store).exists(), "{name}: the store was touched");
    }
    let folder = setup.path("").display().to_string();
    let settings = {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.add_filter(&regex::escape(&folder), "[folder]/");
        settings.add_filter(r"section range \d+\.\.\d+", "section range [range]");
        settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:[port]");
        settings.add_filter(r"waiting \d+\.\d s", "waiting [pause] s");
        settings.add_filter(r"sha256 [0-9a-f]{12}", "sha256 [digest]");
        settings.add_filter(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [-+A-Z0-9]+", "[date]");
        settings.add_filter(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d ?[A-Z+:0-9]*", "[date]");
        settings.add_filter(r"\b(4|5) min(utes)?( \d+ s(econds)?)?", "[skew]");
        settings
    };
    settings.bind(|| insta::assert_snapshot!(name, ended.stderr));
}

async fn setup() -> Setup {
    Setup::new(tenant(10)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_setting() {
    let setup = setup().await;
    let key = setup.simulator.options().integration_key.clone();
    setup.reconfigure(&format!("integration-key = \"{key}\"\n"), "");
    assert_message(&setup, "missing-setting", &setup.with_config("sync", &[]), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_hostname() {
    let setup = setup().await;
    let host = setup.simulator.options().host.clone();
    setup.reconfigure(&host, "https://duo.example.com/");
    assert_message(&setup, "malformed-hostname", &setup.with_config("sync", &[]), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_configuration() {
    let setup = setup().await;
    setup.reconfigure("{ env = \"TEST_SECRET_KEY\" }", "\"hunter2hunter2hunter2\"");
    let ended = setup.with_config("sync", &[]);
    assert!(!ended.stderr.contains("hunter2"));
    assert_message(&setup, "secret-in-configuration", &ended, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_whose_variable_is_not_set() {
    let setup = setup().await;
    let ended = ended(setup.command(&["check", "--config", "duo.toml"]).env_remove("TEST_SECRET_KEY"));
    assert_message(&setup, "variable-not-set", &ended, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_whose_file_is_missing() {
    let setup = setup().await;
    setup.reconfigure("env = \"TEST_SECRET_KEY\"", "file = \"no-such-file\"");
    assert_message(&setup, "secret-file-missing", &setup.with_config("check", &[]), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_copied_with_white_space() {
    let setup = setup().await;
    let key = format!("{} ", setup.simulator.options().secret_key);
    let ended = ended(setup.command(&["check", "--config", "duo.toml"]).env("TEST_SECRET_KEY", key));
    assert_message(&setup, "secret-with-white-space", &ended, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_not_there() {
    let setup = setup().await;
    let ended = setup.run(&["sync", "--config", "none.toml"]);
    assert_message(&setup, "no-configuration", &ended, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_with_an_unknown_key() {
    let setup = setup().await;
    setup.reconfigure("[retry]", "[retries]");
    assert_message(&setup, "unknown-key", &setup.with_config("sync", &[]), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_does_not_exist() {
    let setup = setup().await;
    assert_message(&setup, "unknown-stream", &setup.with_config("sync", &["--stream", "usrs"]), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_integration_key() {
    let setup = setup().await;
    let key = setup.simulator.options().integration_key.clone();
    setup.reconfigure(&key, "DIWRONGWRONGWRONGWRO");
    assert_message(&setup, "wrong-integration-key", &setup.with_config("sync", &[]), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_key() {
    let setup = setup().await;
    let wrong = "0000000000000000000000000000000000000000";
    for command in ["check", "sync"] {
        let ended = ended(setup.command(&[command, "--config", "duo.toml"]).env("TEST_SECRET_KEY", wrong));
        assert_message(&setup, "wrong-secret-key", &ended, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_five_minutes_off() {
    for (name, clock_offset_seconds) in [("clock-behind", 303), ("clock-ahead", -303)] {
        let setup = Setup::new(TenantOptions { clock_offset_seconds, ..tenant(10) }).await;
        assert_message(&setup, name, &setup.with_config("sync", &[]), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_can_t_be_reached() {
    let setup = setup().await;
    // A port that was just free: nothing listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    setup.reconfigure(&setup.simulator.url(), &format!("http://127.0.0.1:{port}"));
    assert_message(&setup, "unreachable", &setup.with_config("sync", &[]), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_html_page_instead_of_an_answer() {
    let setup = setup().await;
    setup.simulator.inject(Fault::HtmlPage(200), 1000);
    assert_message(&setup, "html-page", &setup.with_config("sync", &[]), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_is_none() {
    let setup = setup().await;
    let core_module = wat::parse_str("(module)").unwrap();
    let other_contract = wat::parse_str(
        r#"(component
            (instance $empty)
            (import "iga:connector/http@0.2.0" (instance))
            (export "iga:connector/connector@0.2.0" (instance $empty)))"#,
    );
    let wants_sockets = wat::parse_str(
        r#"(component
            (instance $empty)
            (import "wasi:sockets/tcp@0.2.6" (instance))
            (export "iga:connector/connector@0.1.0" (instance $empty)))"#,
    );
    // The contract has no way to write: a component that wants one is not linked.
    let wants_to_post = wat::parse_str(
        r#"(component
            (instance $empty)
            (import "iga:connector/http@0.1.0" (instance (export "post" (func (param "url" string)))))
            (export "iga:connector/connector@0.1.0" (instance $empty)))"#,
    );
    let truncated = BUNDLED[0].bytes[..100_000].to_vec();
    let no_connector = wat::parse_str("(component)").unwrap();
    let cases: [(&str, Option<Vec<u8>>); 9] = [
        ("connector-missing", None),
        ("connector-empty", Some(vec![])),
        ("connector-text", Some(b"#!/bin/sh\n".to_vec())),
        ("connector-core-module", Some(core_module)),
        ("connector-of-another-contract", Some(other_contract.unwrap())),
        ("connector-that-wants-sockets", Some(wants_sockets.unwrap())),
        ("connector-that-wants-to-post", Some(wants_to_post.unwrap())),
        ("connector-truncated", Some(truncated)),
        ("connector-that-exports-nothing", Some(no_connector)),
    ];
    for (name, bytes) in cases {
        if let Some(bytes) = bytes {
            std::fs::write(setup.path("bad.wasm"), bytes).unwrap();
        }
        setup.configure(&setup.configuration().replace("connector = \"duo\"", "connector = \"bad.wasm\""));
        assert_message(&setup, name, &setup.with_config("sync", &[]), 2);
        assert_eq!(setup.run(&["inspect", "bad.wasm"]).code, 2, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_is_not_the_one_that_was_pinned_or_signed() {
    let setup = setup().await;
    let component = BUNDLED[0].bytes;
    std::fs::write(setup.path("connector.wasm"), component).unwrap();
    let keys = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let configure = |provenance: &str| {
        let configuration =
            setup.configuration().replace("connector = \"duo\"", "connector = \"connector.wasm\"");
        setup.configure(&format!("{configuration}[provenance]\n{provenance}\n"));
    };
    let signed = format!("minisign-public-key = \"{}\"", keys.pk.to_base64());

    configure(&format!("sha256 = \"{}\"", "0".repeat(64)));
    let ended = setup.with_config("sync", &[]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains(&format!("but the configuration pins {}", "0".repeat(64))), "{ended:?}");
    configure(&format!("sha256 = \"{}\"\n{signed}", connector_sandbox::Digest::of(component)));
    assert_message(&setup, "connector-unsigned", &setup.with_config("sync", &[]), 2);

    let sign = |bytes: &[u8]| {
        let signature = minisign::sign(None, &keys.sk, bytes, None, None).unwrap().into_string();
        std::fs::write(setup.path("connector.wasm.minisig"), signature).unwrap();
    };
    sign(b"another component");
    assert_message(&setup, "connector-of-another-signature", &setup.with_config("sync", &[]), 2);
    sign(component);
    assert_eq!(setup.with_config("check", &[]).code, 0);
    configure("sha256 = \"abc\"");
    assert_message(&setup, "pin-malformed", &setup.with_config("sync", &[]), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_none() {
    let setup = setup().await;
    std::fs::write(setup.path("notes.txt"), "not a database").unwrap();
    let ended = setup.with_config("sync", &["--store", "notes.txt"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert_eq!(std::fs::read_to_string(setup.path("notes.txt")).unwrap(), "not a database");
    let ended = setup.run(&["export", "--store", "none.db", "--out", "out"]);
    assert_message(&setup, "no-store", &ended, 2);
}
