//! No secret is in anything the program writes.

use crate::harness::{Setup, tenant};

/// Everything that is in a folder, as bytes.
fn contents(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.clone(), std::fs::read(path).unwrap()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_logs_store_exports_or_output() {
    let setup = Setup::new(tenant(120)).await;
    let mut written = Vec::new();
    for command in [&["check"][..], &["check", "--json"], &["sync"], &["sync", "--json"]] {
        let mut arguments = vec!["-vvv"];
        arguments.extend(command);
        arguments.extend(["--config", "duo.toml"]);
        let ended = setup.run(&arguments);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.stderr.contains("vendor answered"), "the log is on: {}", ended.stderr);
        written.push((arguments.join(" ").into(), [ended.stdout, ended.stderr].concat().into_bytes()));
    }
    setup.export();
    written.extend(contents(&setup.path("")));
    let secrets = setup.simulator.planted_secrets();
    assert!(secrets.contains(&setup.simulator.options().secret_key), "the tenant's own key is among them");
    for (path, bytes) in &written {
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a secret is in {}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_not_in_the_error() {
    let setup = Setup::new(tenant(10)).await;
    let wrong = "wr0ngS3cretKeyThatNobodyMaySee0000000001";
    let ended = crate::harness::ended(
        setup.command(&["-vvv", "sync", "--config", "duo.toml"]).env("TEST_SECRET_KEY", wrong),
    );
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(!ended.stderr.contains(wrong) && !ended.stdout.contains(wrong));
}
