//! Builds a guest crate into a WebAssembly component, from a build script or a test.
//!
//! Cargo runs inside cargo here, which needs three precautions: a target directory of its own (the outer
//! cargo holds the lock of the other), an environment without the outer cargo's wrappers and flags (clippy
//! would otherwise lint, and coverage instrument, the guest), and the wasm target asked for by name (rustup's
//! auto-install may be off).

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target that guests are compiled for.
pub const TARGET: &str = "wasm32-wasip2";

/// The cargo profile guests are built in; see the workspace's `Cargo.toml`.
pub const PROFILE: &str = "component";

/// Why there is no component. Displays what was run and what it printed.
#[derive(Debug)]
pub struct BuildError(String);

impl fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for BuildError {}

/// Builds the package whose `Cargo.toml` lies in `package_dir` and returns the path of its component.
///
/// `target_dir` must not be the one of a cargo that is running. `name` is the package's name.
///
/// # Errors
///
/// When the wasm target can't be installed or the guest does not compile.
pub fn build(package_dir: &Path, name: &str, target_dir: &Path) -> Result<PathBuf, BuildError> {
    ensure_target()?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(package_dir)
        .args(["build", "--quiet", "--lib", "--locked", "--package", name])
        .args(["--target", TARGET, "--profile", PROFILE])
        .arg("--target-dir")
        .arg(target_dir);
    for (variable, _) in std::env::vars_os() {
        if is_of_the_outer_cargo(&variable) {
            cargo.env_remove(variable);
        }
    }
    run(&mut cargo, "build the guest")?;
    let file = format!("{}.wasm", name.replace('-', "_"));
    Ok(target_dir.join(TARGET).join(PROFILE).join(file))
}

/// What the outer cargo sets for its own compilation, and what must not reach the guest's.
fn is_of_the_outer_cargo(variable: &OsStr) -> bool {
    let Some(variable) = variable.to_str() else { return false };
    matches!(
        variable,
        "RUSTC_WRAPPER" | "RUSTC_WORKSPACE_WRAPPER" | "RUSTFLAGS" | "RUSTDOCFLAGS" | "RUSTC" | "RUSTDOC"
    ) || variable == "CARGO_ENCODED_RUSTFLAGS"
        || variable == "CARGO_TARGET_DIR"
        || variable.starts_with("CARGO_CFG_")
        || variable.starts_with("CARGO_FEATURE_")
        || variable.starts_with("CARGO_PROFILE_")
        || variable.starts_with("CARGO_BUILD_")
        || matches!(variable, "TARGET" | "HOST" | "PROFILE" | "OPT_LEVEL" | "DEBUG" | "OUT_DIR" | "NUM_JOBS")
}

/// Asks rustup for the wasm target where the compiler does not have it. A compiler without rustup must bring
/// the target itself; the guest's build then says so.
fn ensure_target() -> Result<(), BuildError> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let library = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
    let present = library.is_ok_and(|output| {
        Path::new(String::from_utf8_lossy(&output.stdout).trim())
            .read_dir()
            .is_ok_and(|mut dir| dir.next().is_some())
    });
    if present {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]);
    run(&mut rustup, "install the wasm target")
}

fn run(command: &mut Command, purpose: &str) -> Result<(), BuildError> {
    let output = command
        .output()
        .map_err(|error| BuildError(format!("could not {purpose}: `{command:?}` did not start: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let printed = String::from_utf8_lossy(&output.stderr);
    Err(BuildError(format!("could not {purpose}: `{command:?}` ended with {}\n{printed}", output.status)))
}
