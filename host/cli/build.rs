//! Builds the connectors that ship inside the host and writes their table, `bundled.rs`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Name that a configuration uses, package, folder below the workspace's root.
const BUNDLED: [(&str, &str, &str); 1] = [("duo", "duo-connector", "plugin")];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // Shared by the profiles of the host: the guest's profile is always the same.
    let target_dir = out.ancestors().nth(4).ok_or("OUT_DIR is not below a target directory")?.join("guests");

    let mut table = String::from("&[\n");
    for (name, package, folder) in BUNDLED {
        let component = component_build::build(&root.join(folder), package, &target_dir)?;
        // A copy, because the guest's own file moves on with its next build.
        let copy = out.join(format!("{name}.wasm"));
        std::fs::copy(&component, &copy)?;
        writeln!(table, "    BundledConnector {{ name: {name:?}, bytes: include_bytes!({copy:?}) }},")?;
        watch(&root.join(folder));
    }
    table.push(']');
    std::fs::write(out.join("bundled.rs"), table)?;
    for file in ["wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(file).display());
    }
    Ok(())
}

/// The sources of a guest. Not its tests: they do not change the component.
fn watch(folder: &Path) {
    for file in ["src", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", folder.join(file).display());
    }
}
