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
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The configurations: `NAME.toml`.
    pub(crate) fn integrations(&self) -> PathBuf {
        self.root.join("integrations")
    }

    /// The connectors that are not bundled: `NAME.wasm`.
    pub(crate) fn connectors(&self) -> PathBuf {
        self.root.join("connectors")
    }

    /// The stores, and the program's own files.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The store of an integration.
    pub(crate) fn store(&self, integration: &str) -> PathBuf {
        self.data().join(format!("{integration}.db"))
    }

    /// The hash of the token to sign in with.
    #[must_use]
    pub fn token(&self) -> PathBuf {
        self.data().join("page-token")
    }

    /// The socket of the command line.
    pub(crate) fn socket(&self) -> PathBuf {
        self.data().join("control.sock")
    }

    /// The lock that a `serve` holds while it runs.
    pub(crate) fn lock(&self) -> PathBuf {
        self.data().join("serve.lock")
    }
}
