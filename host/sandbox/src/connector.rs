//! A connector: verified, compiled, described, and ready to be called.

use semver::Version;

use crate::artifact::{Artifact, Digest, Provenance, ProvenanceError, ReadError, Source};
use crate::call::CallContext;
use crate::capabilities::CallCapabilities;
use crate::compile::{self, CompileError, Guest};
use crate::contract::api;
use crate::engine::Engine;
use crate::fault::Fault;
use crate::hint::Hint;
use crate::imports::{ContractMismatch, ImportName};
use crate::limits::Limits;
use crate::manifest::{Manifest, ManifestError};
use crate::output;

/// The limits of `describe`, which needs little: a connector that exceeds them is broken.
fn describe_limits() -> Limits {
    let time = std::time::Duration::from_secs(5);
    Limits { call: time, compute: time, memory: 64 << 20, output: 4 << 20, ..Limits::default() }
}

/// A connector, compiled and described: ready to be called.
#[derive(Clone)]
pub struct Connector {
    guest: Guest,
    artifact: Artifact,
    manifest: Manifest,
}

/// Why a file is not a usable connector.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The operator does not trust it. It was not compiled.
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
        /// The digest of its bytes.
        digest: Digest,
        /// What does not fit.
        mismatch: ContractMismatch,
    },
    /// It could not describe itself.
    #[error("the connector `{source_name}` (sha256 {digest:#}) could not describe itself: {fault}")]
    Describe {
        /// Where it came from.
        source_name: String,
        /// The digest of its bytes.
        digest: Digest,
        /// How it failed.
        fault: Fault,
    },
    /// Its manifest is not valid.
    #[error("the manifest of `{source_name}` (sha256 {digest:#}) is not valid: {error}")]
    Manifest {
        /// Where it came from.
        source_name: String,
        /// The digest of its bytes.
        digest: Digest,
        /// What is wrong with it.
        error: ManifestError,
    },
}

impl Hint for LoadError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read(ReadError::Unreadable { .. }) => {
                "name a bundled connector, or the path of a `.wasm` file that you may read".to_owned()
            }
            Self::Provenance { error, .. } => return error.hint(),
            Self::Read(ReadError::TooLarge { .. }) | Self::NotAComponent { .. } => {
                "build the connector for the target `wasm32-wasip2`; `wit/README.md` says how".to_owned()
            }
            Self::Contract { mismatch, .. } => return mismatch.hint(),
            Self::Describe { .. } | Self::Manifest { .. } => {
                "this is a bug in the connector: report it to its author".to_owned()
            }
        })
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

    /// Verifies that the operator trusts a component, compiles it, and calls its `describe` without capabilities.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says why it is not a connector for this host.
    pub async fn load(
        engine: &Engine,
        artifact: Artifact,
        provenance: &Provenance,
    ) -> Result<Self, LoadError> {
        let source_name = artifact.source.to_string();
        let untrusted = |error| LoadError::Provenance { source_name: source_name.clone(), error };
        artifact.verify(provenance).map_err(untrusted)?;
        let digest = artifact.digest;
        let guest = compile::compile(engine, &artifact).await.map_err(|error| match error {
            CompileError::NotAComponent(reason) => {
                LoadError::NotAComponent { source_name: source_name.clone(), reason }
            }
            CompileError::Contract(mismatch) => {
                LoadError::Contract { source_name: source_name.clone(), digest, mismatch }
            }
        })?;
        let context = CallContext { limits: describe_limits(), capabilities: CallCapabilities::none() };
        let described = guest
            .call(context, |exports, store| Box::pin(exports.iga_connector_connector().call_describe(store)))
            .await
            .map_err(|fault| LoadError::Describe { source_name: source_name.clone(), digest, fault })?;
        // Compiling patterns takes a while.
        let parsed = tokio::task::spawn_blocking(move || Manifest::parse(described)).await;
        let parsed = parsed.map_err(|error| LoadError::Describe {
            source_name: source_name.clone(),
            digest,
            fault: Fault::Breach { reason: format!("its manifest can't be parsed: {error}") },
        })?;
        let manifest = parsed.map_err(|error| LoadError::Manifest { source_name, digest, error })?;
        Ok(Self { guest, artifact, manifest })
    }

    /// Calls `check` of the connector with these settings, once.
    ///
    /// # Errors
    ///
    /// [`Fault`] when the guest gave no answer; the inner error is the connector's own.
    pub async fn check(
        &self,
        context: CallContext,
        settings: &[api::Setting],
    ) -> Result<Result<api::Report, api::Error>, Fault> {
        let redactor = context.capabilities.redactor();
        let settings = settings.to_vec();
        let answer = self
            .guest
            .call(context, move |exports, store| {
                Box::pin(async move { exports.iga_connector_connector().call_check(store, &settings).await })
            })
            .await?;
        Ok(match answer {
            Ok(mut report) => {
                output::report(&redactor, &mut report);
                Ok(report)
            }
            Err(mut error) => {
                output::error(&redactor, &mut error);
                Err(error)
            }
        })
    }

    /// Asks the connector for the page of `stream` at `position`, once. `account` is the account that [`Self::check`]
    /// reported.
    ///
    /// # Errors
    ///
    /// [`Fault`] when the guest gave no answer; the inner error is the connector's own.
    pub async fn read(
        &self,
        context: CallContext,
        settings: &[api::Setting],
        account: Option<&str>,
        stream: &str,
        position: &api::Position,
    ) -> Result<Result<api::Page, api::Error>, Fault> {
        let redactor = context.capabilities.redactor();
        let (settings, account) = (settings.to_vec(), account.map(str::to_owned));
        let (stream, position) = (stream.to_owned(), position.clone());
        let answer = self
            .guest
            .call(context, move |exports, store| {
                Box::pin(async move {
                    let connector = exports.iga_connector_connector();
                    connector.call_read(store, &settings, account.as_deref(), &stream, &position).await
                })
            })
            .await?;
        Ok(match answer {
            Ok(mut page) => {
                output::page(&redactor, &mut page)?;
                Ok(page)
            }
            Err(mut error) => {
                output::error(&redactor, &mut error);
                Err(error)
            }
        })
    }

    /// Its validated manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its bytes, and where they came from.
    #[must_use]
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// The digest of its bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.artifact.digest
    }

    /// The interfaces that it imports.
    #[must_use]
    pub fn imports(&self) -> &[ImportName] {
        &self.guest.imports
    }

    /// The version of the contract it was built for.
    #[must_use]
    pub fn contract(&self) -> &Version {
        &self.guest.contract
    }
}
