//! The contract `iga:connector`, as Rust types. Generated from `wit/`, which is its documentation.

#![expect(missing_docs, reason = "generated; `wit/` documents every item")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "connector-component",
    imports: { default: async | trappable },
    exports: { default: async },
    additional_derives: [PartialEq],
});

pub use exports::iga::connector::connector as api;
pub use iga::connector::{http, logging, secrets, types};

/// Package of the contract.
pub const PACKAGE: &str = "iga:connector";

/// Version of the contract this host offers.
pub const VERSION: &str = "0.1.0";
