//! Loads a connector and makes one call to it.
//!
//! `engine` is the one place that configures wasmtime, `component` turns a file into a [`Connector`], `state`
//! is what a call may touch, `call` runs it under its limits, `fault` says how it failed.

mod call;
mod component;
mod engine;
mod fault;
mod imports;
mod state;

pub use call::CallContext;
pub use component::{Connector, Digest, LoadError, Source};
pub use engine::{Engine, EngineError};
pub use fault::Fault;
pub use imports::{ContractMismatch, ImportName};
pub use state::Limits;
