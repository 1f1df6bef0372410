//! A sandbox for identity-governance connectors: WebAssembly components that read a vendor's users, groups, devices and
//! permissions, and reach nothing but what their host gives them.
//!
//! An auditor can read in this crate alone what a connector can do. It is the only crate that uses wasmtime,
//! and the only one that connects to a vendor; it has no database and no web server. `examples/first_page.rs` shows how
//! another program embeds it.
//!
//! # Layout
//!
//! From a file to a page:
//!
//! - [`Artifact`]: the bytes of a component, their SHA-256 [`Digest`], and the [`Provenance`] they must have
//! - [`Engine`]: wasmtime's compiler and linker, one per process
//! - [`Connector`]: a component that was verified, compiled, compared with the contract, and that described itself
//! - [`manifest`]: what a connector declares, validated
//! - [`Capabilities`](capabilities::Capabilities): HTTP to allowed hosts, declared secrets and a log, given call by call
//! - [`Limits`](limits::Limits): what one call may use
//! - [`Fault`]: why a call gave no answer
//! - [`contract`]: the types of `wit/`, as Rust

#[cfg(not(unix))]
compile_error!("connector-host runs on Linux and macOS: it relies on file owners and modes");

mod artifact;
pub mod bounded_file;
mod cache;
mod call;
pub mod capabilities;
mod compile;
mod connector;
pub mod contract;
mod engine;
mod fault;
mod folding;
mod hint;
mod imports;
pub mod limits;
pub mod manifest;
mod output;
mod plain_manifest;
mod printed;
pub mod private_file;
mod state;
mod stream_name;
pub mod text;

pub use artifact::{
    Artifact, BundledConnector, Digest, Provenance, ProvenanceError, ReadError, Source, signature_path,
};
pub use call::CallContext;
pub use connector::{Connector, LoadError};
pub use engine::{Engine, EngineError, EngineOptions};
pub use fault::Fault;
pub use hint::Hint;
pub use imports::{ContractMismatch, ImportName};
pub use stream_name::StreamName;
