//! A tenant, a folder, and the program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use duo_simulator::{Simulator, TenantOptions};
use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_connector-host-under-test");

/// Retries that do not make a test wait.
const FAST_RETRY: &str = "[retry]\nattempts = 4\nfirst-seconds = 0.01\nlongest-seconds = 0.02\n";

/// A simulated tenant and a folder with a configuration for it.
pub(crate) struct Setup {
    pub(crate) simulator: Simulator,
    folder: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) fn tenant(users: u32) -> TenantOptions {
    // The log fits on one page: its budget would make tests wait.
    TenantOptions { users, events: Some(600), ..TenantOptions::default() }
}

impl Setup {
    /// A tenant, and a configuration that reads it.
    pub(crate) async fn new(options: TenantOptions) -> Self {
        Self::with(Simulator::start(options).await.unwrap())
    }

    /// The same over TLS.
    pub(crate) async fn over_tls(options: TenantOptions) -> Self {
        Self::with(Simulator::start_tls(options).await.unwrap())
    }

    /// For this tenant.
    pub(crate) fn with(simulator: Simulator) -> Self {
        let setup = Self { simulator, folder: tempfile::tempdir().unwrap() };
        setup.configure(&setup.configuration());
        setup
    }

    /// The configuration, for a test to change.
    pub(crate) fn configuration(&self) -> String {
        let tenant = self.simulator.options();
        let ca_file = match self.simulator.ca_pem() {
            Some(pem) => {
                std::fs::write(self.path("ca.pem"), pem).unwrap();
                "ca-file = \"ca.pem\"\n"
            }
            None => "",
        };
        format!(
            "name = \"duo\"\n\
             connector = \"duo\"\n\
             [settings]\n\
             api-hostname = \"{host}\"\n\
             integration-key = \"{key}\"\n\
             secret-key = {{ env = \"TEST_SECRET_KEY\" }}\n\
             [network]\n\
             connect-to = {{ \"{host}\" = \"{url}\" }}\n\
             {ca_file}{FAST_RETRY}",
            host = tenant.host,
            key = tenant.integration_key,
            url = self.simulator.url(),
        )
    }

    /// Writes the configuration.
    pub(crate) fn configure(&self, text: &str) {
        std::fs::write(self.path("duo.toml"), text).unwrap();
    }

    /// Replaces a part of the configuration that must be there.
    pub(crate) fn reconfigure(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path("duo.toml")).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        self.configure(&text.replace(from, to));
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, about to run in the folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("TEST_SECRET_KEY", &self.simulator.options().secret_key)
            .env("NO_COLOR", "1")
            // Daemons of tests that run side by side.
            .env("CONNECTOR_HOST_LISTEN", "127.0.0.1:0")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        ended(&mut self.command(arguments))
    }

    /// `check`, `sync` or another command with the configuration.
    pub(crate) fn with_config(&self, command: &str, more: &[&str]) -> Ended {
        self.run(&[&[command, "--config", "duo.toml"], more].concat())
    }

    /// Syncs, expects `code`, and returns the summary.
    pub(crate) fn sync(&self, code: i32) -> Value {
        let ended = self.with_config("sync", &["--json"]);
        assert_eq!(ended.code, code, "{ended:?}");
        ended.json()
    }

    /// Exports the store and returns entities and relations.
    pub(crate) fn export(&self) -> (Vec<Value>, Vec<Value>) {
        let ended =
            self.run(&["export", "--store", "duo.db", "--format", "ndjson", "--out", "out", "--force"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        let read = |name: &str| {
            let text = std::fs::read_to_string(self.path("out").join(name)).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
        };
        assert!(self.path("out/usages.ndjson").exists());
        (read("entities.ndjson"), read("relations.ndjson"))
    }
}

/// Numbers that look random, the same for each seed (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most.max(1)
    }
}

/// What a store holds, line by line.
pub(crate) fn contents(setup: &Setup, store: &str) -> BTreeMap<String, Vec<String>> {
    let ended = setup.run(&["export", "--store", store, "--out", "exported", "--force"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let read = |name: &str| {
        let text = std::fs::read_to_string(setup.path("exported").join(name)).unwrap();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        (name.to_owned(), lines)
    };
    BTreeMap::from([read("entities.ndjson"), read("relations.ndjson")])
}

/// Runs a command to its end.
pub(crate) fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The folder of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The value of `key` in the row of `rows` whose `name` is `value`.
pub(crate) fn row<'a>(rows: &'a Value, name: &str, value: &str) -> &'a Value {
    let mut rows = rows.as_array().unwrap().iter();
    rows.find(|row| row[name] == value).unwrap_or_else(|| panic!("no row whose {name} is {value}"))
}
