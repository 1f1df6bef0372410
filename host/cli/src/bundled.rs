//! The connectors inside this program. `build.rs` builds them and writes the table.

use connector_sandbox::BundledConnector;

/// All bundled connectors. Commands without an argument use the first one.
pub const BUNDLED: &[BundledConnector] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));
