//! Tells the test of Duo's official client whether there is a Python: without one it is reported as ignored. CI must have
//! one.

use std::process::Command;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(has_python)");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=CI");
    if Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("cargo::rustc-cfg=has_python");
    } else if std::env::var_os("CI").is_some() {
        println!("cargo::error=CI needs `python3`, so that Duo's official client reads the simulator");
    } else {
        println!("cargo::rerun-if-changed=no-python-yet");
    }
}
