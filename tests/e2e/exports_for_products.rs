//! The exports for products, read by the libraries of their users.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Setup, ended, tenant};

/// A Python with the packages of `requirements.txt`.
fn python() -> PathBuf {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("export-readers");
    let python = environment.join("bin").join("python");
    let run = |command: &mut Command| {
        let ended = ended(command);
        assert_eq!(ended.code, 0, "{ended:?}");
    };
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(environment));
    }
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/requirements.txt");
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements));
    python
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_python), ignore = "there is no `python3`")]
async fn scim_models_and_the_client_of_veza_read_every_object() {
    let setup = Setup::new(tenant(60)).await;
    setup.sync(0);
    for format in ["scim", "oaa"] {
        let export = ["export", "--store", "duo.db", "--format", format, "--out", format];
        let ended = setup.run(&export);
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/exports_for_products.py");
    let read =
        ended(Command::new(python()).arg(script).args([setup.path("scim"), setup.path("oaa/oaa.json")]));
    assert_eq!(read.code, 0, "{read:?}");
    let found: Value = read.json();
    let store = rusqlite::Connection::open(setup.path("duo.db")).unwrap();
    let count = |what: &str| {
        let query = format!("SELECT count(*) FROM {what}");
        json!(store.query_row(&query, [], |row| row.get::<_, i64>(0)).unwrap())
    };
    assert_eq!(found["scim"]["users"], count("identity"));
    assert_eq!(found["scim"]["groups"], count("connection"));
    assert_eq!(found["oaa"]["local_users"], count("identity"));
    assert_eq!(found["oaa"]["local_roles"], count("connection WHERE kind = 'role'"));
    let credentials = count("resource WHERE kind IN ('authenticator', 'bypass-code')");
    assert_eq!(found["oaa"]["local_access_creds"], credentials);
    assert!(found["oaa"]["identity_to_permissions"].as_u64() > Some(0), "{found}");
}
