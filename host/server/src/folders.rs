//! Where `serve` keeps everything.

use std::path::{Path, PathBuf};

/// The folder of `serve`: `integrations/*.toml`, `connectors/*.wasm`, `data/*.db`.
#[derive(Clone, Debug)]
pub struct Folders {
    root: PathBuf,
}

impl Folders {
    /// Below `root`.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The configurations.
    #[must_use]
    pub fn integrations(&self) -> PathBuf {
        self.root.join("integrations")
    }

    /// The connectors that are not bundled.
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

    /// The hash of the token that people sign in with.
    #[must_use]
    pub fn token(&self) -> PathBuf {
        self.data().join("page-token")
    }

    /// The socket that the command line talks to.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.data().join("control.sock")
    }

    /// The lock that one `serve` holds as long as it runs.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.data().join("serve.lock")
    }
}
