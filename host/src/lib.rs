//! Runs identity-governance connectors in a WebAssembly sandbox.
//!
//! # Layout
//!
//! Data flows one way: vendor -> [`capability`] -> connector ([`plugin`]) -> page -> [`sync`] -> [`store`] ->
//! [`output`].
//!
//! - [`contract`]: `wit/`, as Rust
//! - [`manifest`]: what a connector says of itself, validated
//! - [`bundled`]: the connectors inside the host
//! - [`journal`]: the last lines of each integration's log
//! - [`limits`]: what one call may use
//! - [`plugin`]: loads a connector and makes one call to it
//! - [`capability`]: everything a connector can reach: http, secrets, logging
//! - [`configuration`]: an integration, as written in a file and as meant
//! - [`seal`]: secrets that a configuration holds, encrypted
//! - [`integration`]: a connector with its settings and capabilities, ready to be called
//! - [`serving`]: which connector serves an integration now
//! - [`registry`]: the connectors there are, and how one takes over from another
//! - [`sync`]: a run: check, streams side by side, retry, checkpoints
//! - `daemon`: integrations on their schedules, connectors swapped while they run
//! - [`store`]: what is kept
//! - [`normal`]: the normal form as JSON, for the store and every export
//! - `web`: the Integrations page
//! - [`insights`]: what is derived from the data, rule by rule
//! - [`output`]: one file a format
//! - [`cli`]: one file a command

pub mod bundled;
pub mod capability;
pub mod cli;
pub mod configuration;
pub mod contract;
#[cfg(unix)]
pub mod daemon;
pub mod insights;
pub mod integration;
pub mod journal;
pub mod limits;
pub mod manifest;
pub mod normal;
pub mod output;
pub mod plugin;
pub mod registry;
pub mod seal;
pub mod serving;
pub mod store;
pub mod sync;
#[cfg(unix)]
pub mod web;
