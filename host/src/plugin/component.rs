//! From a file to a [`Connector`]: read, digest, compile, compare with the contract, ask for its manifest.

use std::fmt;
use std::path::PathBuf;

use semver::Version;
use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use super::call::CallContext;
use super::engine::Engine;
use super::fault::Fault;
use super::imports::{self, ContractMismatch, ImportName};
use super::state::Limits;
use crate::capability::Lent;
use crate::contract::ConnectorComponentPre;
use crate::manifest::{Manifest, ManifestError};

/// The largest file that is compiled, in bytes. The connectors we know of have less than one MiB.
const LARGEST: u64 = 64 << 20;

/// Describing itself is no work: a connector that takes longer, or more, is broken.
const DESCRIBE: Limits =
    Limits { call: std::time::Duration::from_secs(5), memory: 64 << 20, output: 4 << 20 };

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Shipped inside the host.
    Bundled {
        /// Its name, as a configuration writes it.
        name: &'static str,
        /// The component.
        bytes: &'static [u8],
    },
    /// A file.
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled { name, .. } => write!(formatter, "bundled `{name}`"),
            Self::File(path) => write!(formatter, "{}", path.display()),
        }
    }
}

/// SHA-256 of a component's bytes. Two components with the same digest are the same connector.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    /// 64 hexadecimal digits; `{:#}` prints the first twelve.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if formatter.alternate() { 6 } else { self.0.len() };
        self.0.iter().take(shown).try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

/// A connector, compiled and described: ready to be called.
#[derive(Clone)]
pub struct Connector {
    pub(super) engine: Engine,
    pub(super) pre: ConnectorComponentPre<super::state::CallState>,
    source: Source,
    digest: Digest,
    size: usize,
    imports: Vec<ImportName>,
    contract: Version,
    manifest: Manifest,
}

/// Why a file is not a usable connector.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read.
    #[error("could not read the connector `{path}`: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is larger than any connector.
    #[error("`{source_name}` has {size} bytes, more than the {LARGEST} a connector may have")]
    TooLarge {
        /// Where it came from.
        source_name: String,
        /// Its size in bytes.
        size: u64,
    },
    /// It is not a component.
    #[error("`{source_name}` is not a WebAssembly component: {reason}")]
    NotAComponent {
        /// Where it came from.
        source_name: String,
        /// What it is instead, or what the compiler said.
        reason: String,
    },
    /// It does not fit the contract.
    #[error("can't use the connector `{source_name}` (sha256 {digest:#}): {mismatch}")]
    Contract {
        /// Where it came from.
        source_name: String,
        /// Which bytes were looked at.
        digest: Digest,
        /// What does not fit.
        mismatch: ContractMismatch,
    },
    /// It could not describe itself.
    #[error("the connector `{source_name}` (sha256 {digest:#}) could not describe itself: {fault}")]
    Describe {
        /// Where it came from.
        source_name: String,
        /// Which bytes were looked at.
        digest: Digest,
        /// How it failed.
        fault: Fault,
    },
    /// It describes itself in a way that makes no sense.
    #[error("the manifest of `{source_name}` (sha256 {digest:#}) is not valid: {error}")]
    Manifest {
        /// Where it came from.
        source_name: String,
        /// Which bytes were looked at.
        digest: Digest,
        /// What is wrong with it.
        error: ManifestError,
    },
}

impl LoadError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable { .. } => {
                let bundled: Vec<_> =
                    crate::bundled::all().iter().map(|one| format!("`{}`", one.name)).collect();
                format!(
                    "`connector` names a bundled connector ({}) or the path of a `.wasm` file",
                    bundled.join(", ")
                )
            }
            Self::TooLarge { .. } | Self::NotAComponent { .. } => {
                "build the connector for the target `wasm32-wasip2`; `wit/README.md` says how".to_owned()
            }
            Self::Contract { mismatch, .. } => mismatch.hint(),
            Self::Describe { .. } | Self::Manifest { .. } => {
                "this is a bug in the connector: report it to its author".to_owned()
            }
        }
    }
}

impl Connector {
    /// Loads, compiles and describes the component at `source`. Nothing is lent to it meanwhile.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says what the file is instead of a connector for this host.
    pub async fn load(engine: &Engine, source: Source) -> Result<Self, LoadError> {
        let bytes = read(&source)?;
        let digest = Digest::of(&bytes);
        let size = bytes.len();
        let source_name = source.to_string();
        let component = compile(engine, bytes, &source_name).await?;
        let contract = |mismatch| LoadError::Contract { source_name: source_name.clone(), digest, mismatch };
        let (imports, version) = imports::examine(engine, &component).map_err(contract)?;
        let not_linkable = |error: wasmtime::Error| LoadError::NotAComponent {
            source_name: source_name.clone(),
            reason: format!("its imports or exports have other types than the contract's: {error:#}"),
        };
        let pre = engine
            .linker
            .instantiate_pre(&component)
            .and_then(ConnectorComponentPre::new)
            .map_err(not_linkable)?;

        let mut connector = Self {
            engine: engine.clone(),
            pre,
            source,
            digest,
            size,
            imports,
            contract: version,
            manifest: Manifest::default(),
        };
        let context = CallContext { limits: DESCRIBE, lent: Lent::nothing() };
        let described = connector
            .call(context, |guest, store| Box::pin(guest.iga_connector_connector().call_describe(store)))
            .await
            .map_err(|fault| LoadError::Describe { source_name: source_name.clone(), digest, fault })?;
        connector.manifest =
            Manifest::parse(described).map_err(|error| LoadError::Manifest { source_name, digest, error })?;
        Ok(connector)
    }

    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where it came from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Which bytes it is.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// All that it asks of the host.
    #[must_use]
    pub fn imports(&self) -> &[ImportName] {
        &self.imports
    }

    /// The version of the contract it was built for.
    #[must_use]
    pub fn contract(&self) -> &Version {
        &self.contract
    }
}

fn read(source: &Source) -> Result<Vec<u8>, LoadError> {
    let path = match source {
        Source::Bundled { bytes, .. } => return Ok(bytes.to_vec()),
        Source::File(path) => path,
    };
    let unreadable = |error| LoadError::Unreadable { path: path.clone(), error };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(LoadError::TooLarge { source_name: source.to_string(), size });
    }
    std::fs::read(path).map_err(unreadable)
}

/// Compiles off the runtime: it takes up to a few hundred milliseconds of all cores.
async fn compile(engine: &Engine, bytes: Vec<u8>, source_name: &str) -> Result<Component, LoadError> {
    let not_a_component =
        |reason: String| LoadError::NotAComponent { source_name: source_name.to_owned(), reason };
    // The preamble tells a component from a module, and both from anything else: a precompiled file, which
    // would be trusted, among them.
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => {}
        Some([0, b'a', b's', b'm', ..]) => {
            return Err(not_a_component("it is a core module, not a component".to_owned()));
        }
        _ if bytes.is_empty() => return Err(not_a_component("the file is empty".to_owned())),
        _ => return Err(not_a_component("it does not begin like WebAssembly".to_owned())),
    }
    let wasmtime = engine.wasmtime.clone();
    let compiled = tokio::task::spawn_blocking(move || Component::from_binary(&wasmtime, &bytes)).await;
    match compiled {
        Ok(Ok(component)) => Ok(component),
        Ok(Err(error)) => Err(not_a_component(format!("{error:#}"))),
        Err(error) => Err(not_a_component(format!("the compiler failed: {error}"))),
    }
}
