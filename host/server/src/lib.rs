//! `connector-host serve`: runs a folder of integrations on their schedules, with an API and the Integrations page.
//!
//! # Layout
//!
//! - [`serve()`]: composes the modules below, and runs them until it is stopped
//! - [`folders`]: the paths of all files
//! - [`registry`]: the active connectors; how a candidate is tried and takes over
//! - `supervisor`: the integrations, their schedules and runs, and changes of their configuration
//! - `changes`: publishes changes of the status
//! - [`recent_log`]: the last lines of each integration's log
//! - [`api_types`]: the types of the JSON API
//! - `api`: the JSON API, over the network and over the control socket (`control`)
//! - [`client`]: the client of the control socket, for the command line
//! - `metrics`: the metrics for Prometheus
//! - `pages`: the Integrations page
//! - [`authentication`]: the token, sessions, and the proxy that signs people in
//! - `watch`: reports changed files
//! - `connections`: accepts connections, with limits
//! - `task`: work that continues when its caller gives up

mod api;
pub mod api_types;
pub mod authentication;
mod changes;
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
mod task;
mod watch;

pub use pages::{PagesError, PagesOptions};
pub use serve::{ServeError, ServeOptions, serve};
