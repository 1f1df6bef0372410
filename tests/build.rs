//! Tells the tests of the pages whether there is a browser, and those of exports whether there is a Python: without one they are
//! reported as ignored. CI must have both.

use std::path::PathBuf;

/// The names that Chromium has on different systems.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

fn main() {
    println!("cargo::rustc-check-cfg=cfg(has_browser)");
    println!("cargo::rustc-check-cfg=cfg(has_python)");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=CI");
    if find("python3").is_some() {
        println!("cargo::rustc-cfg=has_python");
    } else if std::env::var_os("CI").is_some() {
        println!("cargo::error=CI needs `python3`, so that it reads the exports");
    }
    let found = BROWSERS.iter().find_map(|name| find(name)).zip(find("chromedriver"));
    match found {
        Some((browser, driver)) => {
            println!("cargo::rustc-cfg=has_browser");
            println!("cargo::rustc-env=BROWSER={}", browser.display());
            println!("cargo::rustc-env=BROWSER_DRIVER={}", driver.display());
        }
        None if std::env::var_os("CI").is_some() => {
            println!("cargo::error=CI needs Chromium and `chromedriver`, so that the tests of the pages run");
        }
        None => println!("cargo::rerun-if-changed=no-browser-yet"),
    }
}

/// The program of that name in the search path.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}
