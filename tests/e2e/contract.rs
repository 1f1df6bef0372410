//! What is promised to others: the contract, the component's imports, the manifest, the help. Each is a golden
//! file, so that a change of it is a visible diff.

use crate::harness::{Setup, ended, tenant};

fn assert_golden(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_and_imports_of_the_bundled_connector() {
    let setup = Setup::new(tenant(10)).await;
    let ended = setup.run(&["inspect", "--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let mut report = ended.json();
    // These two change with each build of the component.
    let digest = report["sha256"].take();
    assert_eq!(digest.as_str().map(str::len), Some(64));
    assert!(
        report["size"].take().as_u64().is_some_and(|size| size < 2 << 20),
        "a component has less than 2 MiB"
    );
    assert_golden("inspect", &serde_json::to_string_pretty(&report).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_component_asks_for_no_sockets_files_or_wasi_http() {
    let setup = Setup::new(tenant(10)).await;
    let report = setup.run(&["inspect", "--json"]).json();
    for import in report["imports"].as_array().unwrap() {
        let import = import.as_str().unwrap();
        let offered = ["iga:connector/", "wasi:cli/", "wasi:clocks/", "wasi:io/", "wasi:random/"];
        assert!(offered.iter().any(|prefix| import.starts_with(prefix)), "{import}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_of_the_bundled_connector() {
    let setup = Setup::new(tenant(10)).await;
    let ended = setup.run(&["inspect", "--docs"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let kept = std::fs::read_to_string(crate::harness::workspace().join("docs/connectors/duo.md")).unwrap();
    let (made, _) = kept.split_once("\n\n<!-- Written by hand from here on").unwrap();
    assert_eq!(ended.stdout, made, "replace this part by the output of `cargo run -- inspect --docs`");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help() {
    let setup = Setup::new(tenant(10)).await;
    let mut text = String::new();
    for command in [
        "",
        "demo",
        "inspect",
        "check",
        "sync",
        "serve",
        "status",
        "run",
        "connector",
        "connector list",
        "connector install",
        "connector activate",
        "connector rollback",
        "export",
        "completions",
    ] {
        let arguments: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let ended = ended(setup.command(&arguments).env("COLUMNS", "100"));
        assert_eq!(ended.code, 0);
        text.push_str(&format!("$ connector-host {}\n{}\n", arguments.join(" "), ended.stdout));
    }
    assert_golden("help", &text);
}

#[test]
fn the_word_of_the_vendor_is_not_in_the_host() {
    // The manifest is the only place that knows the vendor; the demo is about one, and `bundled` has a table.
    fn visit(folder: &std::path::Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("cli/src/demo.rs")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                let line = text.lines().position(|line| line.to_lowercase().contains("duo"));
                assert_eq!(line, None, "{}", path.display());
            }
        }
    }
    for package in ["sandbox", "store", "sync", "report", "server", "cli"] {
        visit(&crate::harness::workspace().join("host").join(package).join("src"));
    }
}
