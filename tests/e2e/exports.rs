//! Exports, read by programs that no one here wrote.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Setup, tenant};

/// A store that was synced, exported in `formats`, each to the folder of its name.
async fn exported(formats: &[&str]) -> Setup {
    let setup = Setup::new(tenant(60)).await;
    setup.sync(0);
    for format in formats {
        let ended = setup.run(&["export", "--store", "duo.db", "--format", format, "--out", format]);
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    setup
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_python), ignore = "there is no `python3`")]
async fn python_reads_the_tables_strictly_and_every_relation_has_both_ends() {
    let setup = exported(&["balkanid", "csv", "sqlite"]).await;
    let output = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/exports.py"))
        .args([setup.path("balkanid"), setup.path("csv"), setup.path("sqlite/store.db")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let columns = &found["columns"];
    assert_eq!(
        columns["entities"],
        json!([
            "App",
            "Name",
            "Entity Type",
            "Source System",
            "Source ID",
            "Source Type",
            "Metadata Version",
            "Metadata"
        ])
    );
    assert_eq!(
        columns["entity_relations"],
        json!([
            "App",
            "Parent Entity Source ID",
            "Parent Entity Type",
            "Entity Source ID",
            "Entity Type",
            "Source System",
            "Metadata Version",
            "Metadata"
        ])
    );
    assert_eq!(
        columns["entitlements"],
        json!([
            "Project",
            "Privilege Name",
            "Privilege Value",
            "Email",
            "User ID",
            "Username",
            "Name",
            "Connection",
            "Connection Type",
            "Resource",
            "Resource Type"
        ])
    );
    assert_eq!(found["dangling"], json!([0, 0]), "{found}");
    assert_eq!((&found["ambiguous"], &found["blank"], &found["nobody"]), (&json!(0), &json!(0), &json!(0)));
    assert_eq!(found["entity_types"], json!(["connection", "identity", "resource"]));
    assert!(found["through"].as_u64().unwrap() > 0, "{found}");
    let rows = &found["rows"];
    assert!(rows["entities"].as_u64() >= found["stored"].as_u64(), "{found}");
    assert_eq!(rows["entity_relations"], rows["view_relations"]);
    assert_eq!(rows["view_application_access"], found["stored_access"]);
    assert_eq!(found["damage"], json!([]), "{found}");
    println!("Python read {found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_holds_files_is_overwritten_only_by_force() {
    let setup = exported(&["csv"]).await;
    std::fs::write(setup.path("csv/identity.csv"), "mine").unwrap();
    let again = ["export", "--store", "duo.db", "--format", "csv", "--out", "csv"];
    let refused = setup.run(&again);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("holds files") && refused.stderr.contains("--force"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(setup.path("csv/identity.csv")).unwrap(), "mine");
    assert_eq!(setup.run(&[&again[..], &["--force"]].concat()).code, 0);
    assert_ne!(std::fs::read_to_string(setup.path("csv/identity.csv")).unwrap(), "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_format_lists_those_there_are() {
    let setup = Setup::new(tenant(10)).await;
    let ended = setup.run(&["export", "--store", "duo.db", "--format", "xml", "--out", "out"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    for format in ["ndjson", "csv", "balkanid", "sqlite", "scim", "oaa", "ocsf"] {
        assert!(ended.stderr.contains(&format!("`{format}`")), "{format}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_is_a_store_that_reports_the_same() {
    let setup = exported(&["sqlite"]).await;
    let of = |store: &str| setup.run(&["runs", "--json", "--store", store]).stdout;
    assert_eq!(of("sqlite/store.db"), of("duo.db"));
}
