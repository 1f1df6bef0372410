//! `connector-host serve`: a folder of integrations, each run on its schedule, with an API and the Integrations page.
//!
//! # Layout
//!
//! - [`serve`]: composes what follows, and runs it until it is stopped
//! - [`folders`]: where everything lies
//! - [`registry`]: the connectors there are; how a candidate is tried and takes over
//! - `supervisor`: the integrations, their schedules and runs, and what people change of them
//! - [`recent_log`]: the last lines of each integration's log
//! - [`api_types`]: the types of the JSON API
//! - `api`: the JSON API, over the network and over the control socket (`control`)
//! - [`client`]: the other end of the control socket, for the command line
//! - `metrics`: what Prometheus reads
//! - `pages`: the Integrations page
//! - [`authentication`]: who may look
//! - `watch`: notices changed files
//! - `connections`: takes connections, with limits

mod api;
pub mod api_types;
pub mod authentication;
pub mod client;
mod connections;
mod control;
pub mod folders;
mod metrics;
mod pages;
pub mod recent_log;
pub mod registry;
mod serve;
mod supervisor;
mod watch;

pub use pages::{PagesError, PagesOptions};
pub use serve::{ServeError, ServeOptions, serve};
