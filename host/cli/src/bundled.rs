//! The connectors inside this program. `build.rs` builds them and writes the table.

use connector_sandbox::BundledConnector;

/// All of them; the first one is what commands without an argument take.
pub const BUNDLED: &[BundledConnector] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));
