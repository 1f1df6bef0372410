//! From an [`Artifact`] to a [`Connector`]: verify, compile, compare with the contract, ask for its manifest.

use bytes::Bytes;
use semver::Version;
use wasmtime::component::Component;

use super::artifact::{Artifact, Digest, Provenance, ProvenanceError, ReadError, Source};
use super::call::CallContext;
use super::engine::Engine;
use super::fault::Fault;
use super::imports::{self, ContractMismatch, ImportName};
use crate::capability::Lent;
use crate::contract::ConnectorComponentPre;
use crate::limits::Limits;
use crate::manifest::{Manifest, ManifestError};

/// Describing itself is no work: a connector that takes longer, or more, is broken.
fn describe_limits() -> Limits {
    let time = std::time::Duration::from_secs(5);
    Limits { call: time, compute: time, memory: 64 << 20, output: 4 << 20, ..Limits::default() }
}

/// A connector, compiled and described: ready to be called.
#[derive(Clone)]
pub struct Connector {
    pub(super) engine: Engine,
    pub(super) pre: ConnectorComponentPre<super::state::CallState>,
    artifact: Artifact,
    imports: Vec<ImportName>,
    contract: Version,
    manifest: Manifest,
}

/// Why a file is not a usable connector.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is not what the operator trusts. It was not compiled.
    #[error("refused the connector `{source_name}`: {error}")]
    Provenance {
        /// Where it came from.
        source_name: String,
        /// What differs.
        error: ProvenanceError,
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
            Self::Read(ReadError::Unreadable { .. }) => {
                let bundled: Vec<_> =
                    crate::bundled::all().iter().map(|one| format!("`{}`", one.name)).collect();
                format!(
                    "`connector` names a bundled connector ({}) or the path of a `.wasm` file",
                    bundled.join(", ")
                )
            }
            Self::Provenance { error, .. } => error.hint(),
            Self::Read(ReadError::TooLarge { .. }) | Self::NotAComponent { .. } => {
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
    /// Reads the component at `source`, and loads it.
    ///
    /// # Errors
    ///
    /// As for [`Connector::load`].
    pub async fn read_and_load(
        engine: &Engine,
        source: Source,
        provenance: &Provenance,
    ) -> Result<Self, LoadError> {
        Self::load(engine, Artifact::read(source)?, provenance).await
    }

    /// Compiles a component and lets it describe itself, once it is what the operator trusts. Nothing is lent to it
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says what it is instead of a connector for this host.
    pub async fn load(
        engine: &Engine,
        artifact: Artifact,
        provenance: &Provenance,
    ) -> Result<Self, LoadError> {
        let source_name = artifact.source.to_string();
        let untrusted = |error| LoadError::Provenance { source_name: source_name.clone(), error };
        artifact.verify(provenance).map_err(untrusted)?;
        let (digest, bytes) = (artifact.digest, artifact.bytes.clone());
        let component = compile(engine, bytes, digest, &source_name).await?;
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
            artifact,
            imports,
            contract: version,
            manifest: Manifest::default(),
        };
        let context = CallContext { limits: describe_limits(), lent: Lent::nothing() };
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

    /// Its bytes, and where they came from.
    #[must_use]
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// Which bytes it is.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.artifact.digest
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

/// Compiles off the runtime, or takes it from the cache: it takes up to a few hundred milliseconds of all cores.
async fn compile(
    engine: &Engine,
    bytes: Bytes,
    digest: Digest,
    source_name: &str,
) -> Result<Component, LoadError> {
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
    let (wasmtime, cache) = (engine.wasmtime.clone(), engine.cache.clone());
    let compiled = tokio::task::spawn_blocking(move || {
        if let Some(component) = cache.as_ref().and_then(|cache| cache.load(&wasmtime, digest)) {
            return Ok(component);
        }
        let component = Component::from_binary(&wasmtime, &bytes)?;
        if let Some(cache) = cache {
            cache.store(&wasmtime, digest, &component);
        }
        Ok::<_, wasmtime::Error>(component)
    });
    let compiled = compiled.await;
    match compiled {
        Ok(Ok(component)) => Ok(component),
        Ok(Err(error)) => Err(not_a_component(format!("{error:#}"))),
        Err(error) => Err(not_a_component(format!("the compiler failed: {error}"))),
    }
}
