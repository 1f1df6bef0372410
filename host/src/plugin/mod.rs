//! Loads a connector and makes one call to it.
//!
//! `engine` is the one place that configures wasmtime, `artifact` is a file before it is trusted,
//! `component` turns it into a [`Connector`] (`cache`
//! keeps what it compiled), `state` and
//! `printed` are what a call may touch, `call` runs it under its limits, `fault` says how it failed.

mod artifact;
mod cache;
mod call;
mod component;
mod engine;
mod fault;
mod imports;
mod printed;
mod state;

pub use artifact::{Artifact, Digest, Provenance, ProvenanceError, ReadError, Source, signature_path};
pub use call::CallContext;
pub use component::{Connector, LoadError};
pub use engine::{Engine, EngineError, EngineOptions};
pub use fault::Fault;
pub use imports::{ContractMismatch, ImportName};
