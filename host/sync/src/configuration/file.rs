//! The configuration file as written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ConfigurationError, Reviewer};

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Written {
    pub(super) name: String,
    pub(super) connector: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) owner: String,
    #[serde(default)]
    pub(super) secondary_owners: Vec<String>,
    #[serde(default)]
    pub(super) paused: bool,
    #[serde(default)]
    pub(super) review: Review,
    pub(super) streams: Option<Vec<String>>,
    #[serde(default)]
    pub(super) settings: BTreeMap<String, toml::Value>,
    #[serde(default)]
    pub(super) provenance: Provenance,
    #[serde(default)]
    pub(super) schedule: Schedule,
    #[serde(default)]
    pub(super) store: Store,
    #[serde(default)]
    pub(super) network: Network,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) retry: Retry,
    #[serde(default)]
    pub(super) budgets: BTreeMap<String, Budget>,
}

/// `[review]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Review {
    #[serde(default)]
    pub(super) precedence: Vec<Reviewer>,
    pub(super) reviewers: Option<u32>,
}

/// A line of `[budgets]`
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Budget {
    pub(super) requests: u32,
    pub(super) per_seconds: u32,
}

/// `[schedule]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Schedule {
    pub(super) interval: Option<String>,
    pub(super) cron: Option<String>,
}

/// `[store]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Store {
    pub(super) keep_days: Option<u32>,
    pub(super) removal_percent: Option<u8>,
}

/// `[provenance]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Provenance {
    pub(super) sha256: Option<String>,
    pub(super) minisign_public_key: Option<String>,
}

/// `[network]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Network {
    #[serde(default)]
    pub(super) connect_to: BTreeMap<String, String>,
    pub(super) ca_file: Option<PathBuf>,
}

/// `[limits]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Limits {
    pub(super) memory_mib: Option<u32>,
    pub(super) call_seconds: Option<f64>,
    pub(super) compute_seconds: Option<f64>,
    pub(super) tables: Option<u32>,
    pub(super) table_elements: Option<u32>,
    pub(super) instances: Option<u32>,
    pub(super) requests: Option<u32>,
    pub(super) output_mib: Option<u32>,
    pub(super) log_kib: Option<u32>,
    pub(super) pages: Option<u64>,
    pub(super) request_seconds: Option<f64>,
    pub(super) response_mib: Option<u32>,
    pub(super) run_seconds: Option<f64>,
    pub(super) vendor_budgets: Option<bool>,
}

/// `[retry]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Retry {
    pub(super) attempts: Option<u32>,
    pub(super) first_seconds: Option<f64>,
    pub(super) longest_seconds: Option<f64>,
}

pub(super) fn parse(text: &str, path: &Path) -> Result<Written, ConfigurationError> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.get(..start).map_or(1, |before| before.matches('\n').count() + 1);
        ConfigurationError::Syntax { path: path.to_owned(), line, message: without_values(error.message()) }
    })
}

/// The library's message without the value that it quotes, as in `invalid type: string "...", expected a map`: the value
/// may be a secret in the wrong place. Names are in backticks, and are kept.
fn without_values(message: &str) -> String {
    let mut kept = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once('"') {
        kept.push_str(before.trim_end());
        // A quoted value may contain quotes; in serde's messages, `, expected ...` follows it.
        rest = after.rfind("\", expected").map_or("", |end| after.get(end + 1..).unwrap_or_default());
    }
    kept.push_str(rest);
    kept.lines().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_in_the_wrong_place_is_not_repeated() {
        for text in [
            "name = \"acme\"\nconnector = \"acme\"\nsettings = \"hunter2\\\", expected x\"\n",
            "name = \"acme\"\nconnector = \"acme\"\n[settings]\nsecret-key = hunter2",
            "name = \"acme\"\nconnector = \"acme\"\n[limits]\nmemory-mib = \"hunter2\"",
        ] {
            let Err(error) = parse(text, Path::new("acme.toml")) else { panic!("parsed: {text}") };
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
