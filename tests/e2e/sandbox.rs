//! A connector that misbehaves: every way is held, named, and harms no other stream.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{PROGRAM, ended, row, workspace};

const SECRET: &str = "s3cretThatNoGuestMayLeakAnywhere00000001";

/// Syncs the hostile connector, as verbosely as can be. Returns the summary, and everything that was written.
fn sync() -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let guest = component_build::build(
        &workspace().join("tests/guests/hostile"),
        "hostile",
        &std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile"),
    )
    .unwrap_or_else(|error| panic!("{error}"));
    let configuration = format!(
        "name = \"hostile\"\nconnector = {guest:?}\n[settings]\nhost = \"good.example.com\"\n\
         key = {{ env = \"TEST_SECRET_KEY\" }}\n[limits]\ncall-seconds = 1\nmemory-mib = 64\n"
    );
    std::fs::write(folder.path().join("hostile.toml"), configuration).unwrap();
    let ended = ended(
        Command::new(PROGRAM)
            .args(["-vvv", "sync", "--json", "--config", "hostile.toml"])
            .current_dir(folder.path())
            .env("TEST_SECRET_KEY", SECRET)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null()),
    );
    assert_eq!(ended.code, 3, "{ended:?}");
    let store = std::fs::read(folder.path().join("hostile.db")).unwrap();
    let written = [ended.stdout.as_str(), &ended.stderr, &String::from_utf8_lossy(&store)].concat();
    (ended.json(), written)
}

#[test]
fn every_misbehaviour_is_held_and_named_and_harms_no_other_stream() {
    let (summary, written) = sync();
    assert!(!written.contains(SECRET), "{written}");
    let streams = &summary["streams"];
    let reason =
        |stream: &str| row(streams, "stream", stream)["reason"].as_str().unwrap_or_default().to_owned();

    assert_eq!(reason("spins"), "the connector did not finish within 1 s");
    let memory = reason("eats-memory");
    assert!(memory.ends_with("MiB of memory and a call gets 64 MiB"), "{memory}");
    let stack = reason("recurses");
    assert!(stack.starts_with("the connector was stopped: wasm trap: "), "{stack}");
    let panic = reason("panics-with-the-secret");
    assert!(panic.contains("the connector panicked") && panic.ends_with("token=[redacted]"), "{panic}");
    assert_eq!(reason("exits"), "the connector ended itself with exit code 1");
    assert_eq!(reason("fails-with-the-secret"), "key [redacted] was refused");
    // No secret but the declared one, no variables, no arguments. (A guest with files would not have been linked.)
    assert_eq!(reason("asks-for-other-secrets"), "secrets [false, false, false, false], variables 0");
    let denied = "Err(HttpErrorKind::Denied)";
    let invalid = "Err(HttpErrorKind::InvalidRequest)";
    let expected = [denied, invalid, invalid, invalid, denied, denied, invalid].join(", ");
    assert_eq!(reason("asks-other-hosts"), format!("[{expected}]"));
    assert!(reason("goes-in-circles").ends_with("its cursor does not advance"));
    assert!(
        reason("yields-what-it-does-not-declare")
            .contains("it yields `group`, which this stream does not declare")
    );

    for stream in ["returns-the-secret", "logs-the-secret"] {
        assert_eq!(row(streams, "stream", stream)["state"], "complete", "{stream}");
    }
    assert!(written.contains("the key is [redacted] ERROR forged"), "a message is one line: {written}");
    assert_eq!(summary["requests"], 7, "denied requests count, so that they can be seen");
}
