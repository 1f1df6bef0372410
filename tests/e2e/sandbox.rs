//! A connector that misbehaves: every way is held, named, and harms no other stream.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Ended, PROGRAM, Setup, ended, row, tenant, workspace};

const SECRET: &str = "s3cretThatNoGuestMayLeakAnywhere00000001";

/// The hostile component.
pub(crate) fn guest() -> PathBuf {
    component_build::build(
        &workspace().join("tests/guests/hostile"),
        "hostile",
        &Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile"),
    )
    .unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a command, as verbosely as can be, with the hostile connector in `folder`.
fn run(folder: &Path, connector: &Path, arguments: &[&str]) -> Ended {
    let configuration = format!(
        "name = \"hostile\"\nconnector = {connector:?}\n[settings]\nhost = \"good.example.com\"\n\
         key = {{ env = \"TEST_SECRET_KEY\" }}\n[limits]\ncall-seconds = 3\ncompute-seconds = 0.5\nmemory-mib = 64\n\
         output-mib = 8\nrequests = 20\nlog-kib = 64\npages = 20\n"
    );
    std::fs::write(folder.join("hostile.toml"), configuration).unwrap();
    ended(
        Command::new(PROGRAM)
            .arg("-vvv")
            .args(arguments)
            .args(["--config", "hostile.toml"])
            .current_dir(folder)
            .env("TEST_SECRET_KEY", SECRET)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null()),
    )
}

/// Syncs the hostile connector. Returns the summary, and everything that was written.
fn sync() -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path(), &guest(), &["sync", "--json"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    let exported = crate::harness::ended(
        Command::new(PROGRAM)
            .args(["export", "--store", "hostile.db", "--out", "out"])
            .current_dir(folder.path()),
    );
    assert_eq!(exported.code, 0, "{exported:?}");
    let mut written = [ended.stdout.as_str(), &ended.stderr].concat();
    for file in ["hostile.db", "out/entities.ndjson"] {
        written.push_str(&String::from_utf8_lossy(&std::fs::read(folder.path().join(file)).unwrap()));
    }
    (ended.json(), written)
}

#[test]
fn every_misbehaviour_is_held_and_named_and_harms_no_other_stream() {
    let (summary, written) = sync();
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    // The digits of its base64 that stand in the middle, whatever surrounds it.
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("key:{SECRET}"));
    let (lower, upper) = (SECRET.to_lowercase(), SECRET.to_uppercase());
    for disguise in [SECRET, &lower, &upper, &hex, &base64[8..40], &SECRET[..20], &SECRET[20..]] {
        assert!(!written.contains(disguise), "{disguise} is in {written}");
    }
    let streams = &summary["streams"];
    let reason =
        |stream: &str| row(streams, "stream", stream)["reason"].as_str().unwrap_or_default().to_owned();
    let reached = |what: &str| format!("the connector reached its limit of {what}");

    for (stream, what) in [
        ("spins", "0.5 s of computing (`compute-seconds`)"),
        ("waits", "3 s for a call (`call-seconds`)"),
        ("eats-memory", "64 MiB of memory (`memory-mib`)"),
        ("recurses-without-memory", "512 KiB of stack (`--stack-kib`)"),
        ("yields-a-huge-page", "8 MiB handed over at once (`output-mib`)"),
        ("yields-half-a-million-problems", "8 MiB handed over at once (`output-mib`)"),
        ("yields-a-hundred-thousand-entities", "8 MiB handed over at once (`output-mib`)"),
        ("yields-two-million-empty-names", "8 MiB handed over at once (`output-mib`)"),
        ("asks-again-and-again", "20 requests (`requests`)"),
        ("floods-the-log", "64 KiB of log (`log-kib`)"),
        ("floods-standard-error", "64 KiB of log (`log-kib`)"),
    ] {
        assert_eq!(reason(stream), reached(what), "{stream}");
    }
    assert_eq!(reason("never-ends"), "it has more than the limit of 20 pages (`pages`)");
    // Where Rust keeps its stack, in the guest's own memory: no limit of ours is reached.
    let stack = reason("recurses");
    assert!(stack.starts_with("the connector was stopped: wasm trap: "), "{stack}");
    let panic = reason("panics-with-the-secret");
    assert!(panic.contains("the connector panicked") && panic.ends_with("token=[redacted]"), "{panic}");
    assert_eq!(reason("exits"), "the connector exited with code 1");
    assert_eq!(reason("fails-with-the-secret"), "key [redacted] was refused");
    // No secret but the declared one, no variables, no arguments. (A guest with files would not have been linked.)
    assert_eq!(reason("asks-for-other-secrets"), "secrets [false, false, false, false], variables 0");
    let denied = "Err(HttpErrorKind::Denied)";
    let invalid = "Err(HttpErrorKind::InvalidRequest)";
    let expected = [denied, invalid, invalid, invalid, denied, denied, invalid].join(", ");
    assert_eq!(reason("asks-other-hosts"), format!("[{expected}]"));
    assert_eq!(reason("sends-the-secret-elsewhere"), format!("[{denied}, {denied}, {invalid}]"));
    assert_eq!(reason("injects-headers"), format!("[{}]", [invalid; 8].join(", ")));
    for stream in ["goes-in-circles", "goes-in-wide-circles"] {
        assert!(
            reason(stream).ends_with("its cursor does not advance: an earlier page had the same one"),
            "{stream}"
        );
    }
    let broke = |what: &str| format!("the connector broke the contract: {what}");
    for (stream, what) in [
        ("yields-a-long-key", "a key has 5000 bytes, more than the 1024 that a key may have"),
        ("yields-a-name-that-nobody-sees", "it yields a `group` without a name"),
    ] {
        assert_eq!(reason(stream), broke(what), "{stream}");
    }
    assert_eq!(reason("fails-with-a-forged-line"), "no error: forged   WARN forged [31m");
    let long = reason("fails-with-a-long-text");
    assert!(long.len() < 4200 && long.ends_with("x…"), "{}", long.len());
    assert_eq!(row(streams, "stream", "yields-a-long-name")["state"], "complete");
    assert!(written.contains("`name` has 5000 bytes; the rest was cut off"), "{written}");
    assert!(
        reason("yields-what-it-does-not-declare")
            .contains("it yields `group`, which this stream does not declare")
    );

    for stream in ["returns-the-secret", "logs-the-secret", "prints-the-secret", "hides-the-secret"] {
        assert_eq!(row(streams, "stream", stream)["state"], "complete", "{stream}");
    }
    assert!(written.contains("the key is [redacted] ERROR forged"), "a message is one line: {written}");
    assert!(written.contains("printed: and once more: [redacted]"), "{written}");
    for (hidden, times) in [("hidden: [redacted]", 7), ("hidden: a2V5On[redacted]", 1)] {
        assert_eq!(written.matches(hidden).count(), times, "{written}");
    }
}

#[test]
fn a_connector_that_misbehaves_in_describe_is_refused_before_anything_is_lent() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(guest()).unwrap();
    let place = whole.windows(14).position(|window| window == b"mode:describes").unwrap();
    for (mode, said) in [
        ("panics...", "could not describe itself: the connector panicked"),
        ("spins....", "could not describe itself: the connector reached its limit of 5 s"),
    ] {
        let mut bytes = whole.clone();
        bytes[place + 5..place + 14].copy_from_slice(mode.as_bytes());
        let path = folder.path().join("patched.wasm");
        std::fs::write(&path, bytes).unwrap();
        let ended = run(folder.path(), &path, &["sync"]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains(said), "{ended:?}");
        assert!(!folder.path().join("hostile.db").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_on_what_a_component_is_made_of_are_named_too() {
    let setup = Setup::new(tenant(10)).await;
    for (key, what) in
        [("instances", "core instances"), ("tables", "tables"), ("table-elements", "elements of a table")]
    {
        setup.configure(&format!("{}[limits]\n{key} = 1\n", setup.configuration()));
        let ended = setup.with_config("check", &[]);
        assert_eq!(ended.code, 1, "{ended:?}");
        let said = format!("the connector reached its limit of 1 {what} (`{key}`)");
        assert!(ended.stderr.contains(&said), "{ended:?}");
        assert!(ended.stderr.contains(&format!("raise `{key}` under `[limits]`")), "{ended:?}");
    }
}
