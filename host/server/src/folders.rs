//! The paths of the files of `serve`.

use std::path::{Path, PathBuf};

/// The folder of `serve`: `integrations/*.toml`, `connectors/*.wasm`, `data/*.db`.
#[derive(Clone, Debug)]
pub struct Folders {
    root: PathBuf,
}

impl Folders {
    /// The folder at `root`.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The path of the folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The configurations: `NAME.toml`.
    #[must_use]
    pub fn integrations(&self) -> PathBuf {
        self.root.join("integrations")
    }

    /// The connectors that are not bundled: `NAME.wasm`.
    #[must_use]
    pub fn connectors(&self) -> PathBuf {
        self.root.join("connectors")
    }

    /// The stores, and the program's own files.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The store of an integration.
    #[must_use]
    pub fn store(&self, integration: &str) -> PathBuf {
        self.data().join(format!("{integration}.db"))
    }

    /// The hash of the token to sign in with.
    #[must_use]
    pub fn token(&self) -> PathBuf {
        self.data().join("page-token")
    }

    /// The socket of the command line.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.data().join("control.sock")
    }

    /// The lock that a `serve` holds while it runs.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.data().join("serve.lock")
    }
}
