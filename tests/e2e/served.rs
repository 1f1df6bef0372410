//! A running `serve` in a folder of its own.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Ended, Setup, row, workspace};

/// Longer than any step takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running `serve`.
pub(crate) struct Served<'a> {
    setup: &'a Setup,
    child: Child,
}

impl<'a> Served<'a> {
    /// Starts it in the setup's folder, with these integrations: name and configuration.
    pub(crate) fn start(setup: &'a Setup, integrations: &[(&str, String)]) -> Self {
        for folder in ["integrations", "connectors"] {
            std::fs::create_dir_all(setup.path(folder)).unwrap();
        }
        for (name, configuration) in integrations {
            std::fs::write(setup.path("integrations").join(format!("{name}.toml")), configuration).unwrap();
        }
        Self::again(setup)
    }

    /// Starts it with the folders as they are.
    pub(crate) fn again(setup: &'a Setup) -> Self {
        Self::start_with(setup, &[])
    }

    /// Starts it with the folders as they are, and with these options.
    pub(crate) fn start_with(setup: &'a Setup, options: &[&str]) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(setup.path("serve.log")).unwrap();
        let child =
            setup.command(&["serve"]).args(options).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let served = Self { setup, child };
        served.wait("it to answer", |served| served.run(&["status"]).code == 0);
        served
    }

    /// A command of the program, in the same folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.setup.run(arguments)
    }

    pub(crate) fn status(&self) -> Value {
        let ended = self.run(&["status", "--json"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.json()
    }

    /// The row of an integration.
    pub(crate) fn integration(&self, name: &str) -> Value {
        row(&self.status()["integrations"], "name", name).clone()
    }

    /// Waits until `holds` returns true; `what` names it in the failure.
    pub(crate) fn wait(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < PATIENCE, "timed out waiting for {what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a run of the integration has ended, and returns its row.
    pub(crate) fn wait_for_the_end(&self, name: &str) -> Value {
        self.wait("the end of a run", |served| !served.integration(name)["last_run"].is_null());
        self.integration(name)
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
    }

    /// Ends it as a service manager does. Returns its exit status and how long that took.
    pub(crate) fn terminate(mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        self.signal(nix::sys::signal::Signal::SIGTERM);
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), None, "it was killed: {}", self.log());
        (status, start.elapsed())
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.setup.path("serve.log")).unwrap_or_default()
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        // It has ended already where the test ended it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A variant of the Duo connector, in `folder`: its version, what it does, and the version of its cursors.
pub(crate) fn variant(folder: &Path, version: &str, does: &str, cursors: u8) -> PathBuf {
    let guest = component_build::build(
        &workspace().join("tests/guests/variant"),
        "variant",
        &Path::new(env!("CARGO_TARGET_TMPDIR")).join("variant"),
    );
    let mut bytes = std::fs::read(guest.unwrap_or_else(|error| panic!("{error}"))).unwrap();
    let place = bytes.windows(14).position(|window| window == b"variant:0.2.0:").unwrap();
    let words = format!("variant:{version}:{does:.<9}:cursor{cursors}:");
    assert_eq!(words.len(), 32);
    bytes[place..place + words.len()].copy_from_slice(words.as_bytes());
    let path = folder.join(format!("{version}-{does}-{cursors}.wasm"));
    std::fs::write(&path, bytes).unwrap();
    path
}
