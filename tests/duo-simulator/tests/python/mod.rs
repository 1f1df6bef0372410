//! A Python with Duo's official client in it. Also used by the benchmark `sync`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Installs the client into `environment`, a folder that is made, and returns the Python there.
///
/// # Panics
///
/// When there is no `python3`, or the packages can't be installed.
pub(crate) fn with_official_client(environment: &Path) -> PathBuf {
    let python = environment.join("bin").join("python");
    let requirements = environment.with_extension("requirements.txt");
    std::fs::write(&requirements, include_str!("../requirements.txt")).unwrap();
    let run = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(environment));
    }
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements));
    python
}
