//! Turns bytes into a guest that can be instantiated: compiles them, or loads the compiled code from the cache, and
//! compares imports and exports with the contract. No code of the guest runs here.

use bytes::Bytes;
use semver::Version;
use wasmtime::component::Component;

use crate::artifact::{Artifact, Digest};
use crate::contract::ConnectorComponentPre;
use crate::engine::Engine;
use crate::imports::{self, ContractMismatch, ImportName};
use crate::state::CallState;

/// A component that fits the contract, compiled and linked.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) engine: Engine,
    pub(crate) pre: ConnectorComponentPre<CallState>,
    /// The interfaces that it imports.
    pub(crate) imports: Vec<ImportName>,
    /// The version of the contract it was built for.
    pub(crate) contract: Version,
}

/// Why bytes are not a guest of this host.
#[derive(Debug)]
pub(crate) enum CompileError {
    /// They are not a component: what they are instead, or what the compiler said.
    NotAComponent(String),
    /// The component does not fit the contract.
    Contract(ContractMismatch),
}

/// Compiles `artifact`, or takes it from the cache, and links it.
///
/// # Errors
///
/// [`CompileError`] says why it is not a guest of this host.
pub(crate) async fn compile(engine: &Engine, artifact: &Artifact) -> Result<Guest, CompileError> {
    let component = component(engine, artifact.bytes.clone(), artifact.digest).await?;
    let (imports, contract) = imports::examine(engine, &component).map_err(CompileError::Contract)?;
    let pre = engine.linker.instantiate_pre(&component).and_then(ConnectorComponentPre::new);
    let pre = pre.map_err(|error| {
        CompileError::NotAComponent(format!(
            "its imports or exports do not have the contract's types: {error:#}"
        ))
    })?;
    Ok(Guest { engine: engine.clone(), pre, imports, contract })
}

/// Compiles outside the runtime, or loads from the cache. Compiling takes up to a few hundred milliseconds of all cores.
async fn component(engine: &Engine, bytes: Bytes, digest: Digest) -> Result<Component, CompileError> {
    let not_a_component = CompileError::NotAComponent;
    // The preamble distinguishes a component from a module, and both from other files, such as precompiled ones.
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
