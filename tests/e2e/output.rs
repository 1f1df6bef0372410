//! What people and machines read.

use std::process::Stdio;

use serde_json::json;

use crate::harness::{Setup, ended, tenant};

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_one_object_a_line_in_the_agreed_names() {
    let setup = Setup::new(tenant(25)).await;
    setup.sync(0);
    let (entities, relations) = setup.export();
    for entity in &entities {
        let entity = entity.as_object().unwrap();
        for key in ["entity_type", "source_type", "source_id", "name", "attributes"] {
            assert!(entity.contains_key(key), "{key} is missing: {entity:?}");
        }
        assert!(entity["attributes"].is_object());
        assert!(!entity["name"].as_str().unwrap().is_empty());
        let own: &[&str] = match entity["entity_type"].as_str().unwrap() {
            "identity" => &["status", "mfa_state", "created", "last_login"],
            "connection" => &["status", "mfa_state", "created", "description"],
            _ => &["kind"],
        };
        assert!(own.iter().all(|key| entity.contains_key(*key)), "{own:?}: {entity:?}");
    }
    let of_groups = |relation: &&serde_json::Value| {
        relation["privilege"] == "member" && relation["child"]["source_type"] == "group"
    };
    for relation in relations.iter().filter(of_groups) {
        assert_eq!(relation["parent"]["entity_type"], "identity");
        assert_eq!(
            relation["child"],
            json!({
                "entity_type": "connection",
                "source_type": "group",
                "source_id": relation["child"]["source_id"],
            })
        );
    }
    // The riskiest status is kept apart.
    let bypassed = entities.iter().filter(|entity| entity["vendor_status"] == "bypass");
    let states: Vec<_> = bypassed.map(|entity| (&entity["status"], &entity["mfa_state"])).collect();
    assert!(!states.is_empty(), "the tenant has users in bypass");
    assert!(states.iter().all(|state| *state == (&json!("active"), &json!("bypassed"))), "{states:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_and_talk_do_not_mix() {
    let setup = Setup::new(tenant(10)).await;
    let ended = setup.with_config("sync", &[]);
    assert!(ended.stdout.contains("The data lies in duo.db"), "{ended:?}");
    assert!(ended.stderr.contains("users: complete"), "{ended:?}");
    assert!(!ended.stderr.contains("The data lies in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let setup = Setup::new(tenant(10)).await;
    let mut child =
        setup.command(&["inspect", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_does_the_main_job() {
    let setup = Setup::new(tenant(10)).await;
    let run = || ended(&mut setup.command(&["demo", "--users", "320", "--dir", "demo"]));
    let first = run();
    assert_eq!(first.code, 0, "{first:?}");
    for expected in [
        "320 users",
        "sandbox",
        "readable",
        "What it read",
        "What a reviewer looks at first",
        "Severity",
        "Who can sign in to",
        "Through",
        "duo.db",
        "DUO_SECRET_KEY",
    ] {
        assert!(first.stdout.contains(expected), "{expected}: {first:?}");
    }
    let count_of = |title: &str| first.stdout.matches(&format!("│ {title} ")).count();
    assert_eq!((count_of("Users"), count_of("WebAuthn credentials")), (1, 1), "{first:?}");
    assert_eq!(run().code, 0, "and again over its own data");
    let export = setup.run(&["export", "--store", "demo/duo.db", "--out", "demo/export"]);
    assert_eq!(export.code, 0, "{export:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_know_the_commands() {
    let setup = Setup::new(tenant(10)).await;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = setup.run(&["completions", shell]);
        assert_eq!(ended.code, 0);
        assert!(ended.stdout.contains("inspect") && ended.stdout.contains("export"), "{shell}");
    }
}
