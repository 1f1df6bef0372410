//! The imports of a component, read from its type before any of its code runs.

use std::fmt;

use semver::Version;
use wasmtime::component::Component;

use crate::contract;
use crate::engine::Engine;
use crate::hint::Hint;

/// The WASI interfaces a guest may import; `engine` links them, and no others.
const WASI: [&str; 16] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/random",
];

/// Also linked: guests seed their hash maps from it.
const WASI_SEED: &str = "wasi:random/insecure-seed";

/// The interfaces of the contract a guest may import.
const CONTRACT: [&str; 4] = ["http", "secrets", "logging", "types"];

/// An interface a component imports or exports, such as `iga:connector/http@0.1.0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImportName {
    interface: String,
    version: Option<Version>,
}

impl ImportName {
    fn parse(name: &str) -> Self {
        let (interface, version) = name.split_once('@').unwrap_or((name, ""));
        Self { interface: interface.to_owned(), version: Version::parse(version).ok() }
    }

    /// The name of the interface in the contract, if it belongs to the contract.
    fn of_contract(&self) -> Option<&str> {
        self.interface.strip_prefix(contract::PACKAGE)?.strip_prefix('/')
    }
}

impl fmt::Display for ImportName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.interface)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(formatter, "@{version}"))
    }
}

/// A component this host can't link, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContractMismatch {
    /// It was built for an incompatible version of the contract.
    #[error(
        "it was built for `{}@{built_for}`, but this host offers `{}`",
        contract::PACKAGE,
        contract::VERSION
    )]
    Version {
        /// The version it was built for.
        built_for: Version,
        /// The imports and exports that carry it.
        names: Vec<ImportName>,
    },
    /// It exports no connector.
    #[error("it does not export `{}/connector`, so it is not a connector", contract::PACKAGE)]
    NotAConnector,
    /// It imports interfaces that no connector may use.
    #[error("it imports interfaces that no connector may use: {}", join(.0))]
    Denied(Vec<ImportName>),
}

impl Hint for ContractMismatch {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Version { built_for, .. } => format!(
                "rebuild it with the `wit/` of this release, or use a host that offers {}.{}",
                built_for.major, built_for.minor
            ),
            Self::NotAConnector => {
                "build it for the world `connector-component` of `wit/`; `wit/README.md` says how".to_owned()
            }
            Self::Denied(_) => {
                "a connector reaches the network through `iga:connector/http` only; build it without sockets, \
                 files and `wasi:http`"
                    .to_owned()
            }
        })
    }
}

fn join(names: &[ImportName]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The imports of a component, and the version of the contract it was built for.
pub(crate) fn examine(
    engine: &Engine,
    component: &Component,
) -> Result<(Vec<ImportName>, Version), ContractMismatch> {
    let component_type = component.component_type();
    let imports: Vec<_> =
        component_type.imports(&engine.wasmtime).map(|(name, _)| ImportName::parse(name)).collect();
    let exports: Vec<_> =
        component_type.exports(&engine.wasmtime).map(|(name, _)| ImportName::parse(name)).collect();
    let version = judge(&imports, &exports)?;
    Ok((imports, version))
}

fn judge(imports: &[ImportName], exports: &[ImportName]) -> Result<Version, ContractMismatch> {
    let export = exports.iter().find(|name| name.of_contract() == Some("connector"));
    let built_for = export.and_then(|name| name.version.clone()).ok_or(ContractMismatch::NotAConnector)?;

    let other_track: Vec<_> = imports
        .iter()
        .chain(export)
        .filter(|name| name.of_contract().is_some() && !name.version.as_ref().is_some_and(is_offered))
        .cloned()
        .collect();
    if let Some(version) = other_track.iter().find_map(|name| name.version.clone()) {
        return Err(ContractMismatch::Version { built_for: version, names: other_track });
    }
    let denied: Vec<_> = imports.iter().filter(|name| !is_lent(name)).cloned().collect();
    if denied.is_empty() { Ok(built_for) } else { Err(ContractMismatch::Denied(denied)) }
}

/// Whether wasmtime's linker accepts `version` for the offered one: the same major, and below 1.0 the same minor version.
fn is_offered(version: &Version) -> bool {
    Version::parse(contract::VERSION).is_ok_and(|offered| {
        version.pre.is_empty()
            && version.major == offered.major
            && (version.major > 0 || version.minor == offered.minor)
    })
}

fn is_lent(name: &ImportName) -> bool {
    match name.of_contract() {
        Some(interface) => CONTRACT.contains(&interface),
        None => {
            let known = WASI.contains(&name.interface.as_str()) || name.interface == WASI_SEED;
            known && name.version.as_ref().is_some_and(|version| (version.major, version.minor) == (0, 2))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<ImportName> {
        names.iter().map(|name| ImportName::parse(name)).collect()
    }

    const CONNECTOR: &str = "iga:connector/connector@0.1.0";

    #[test]
    fn the_contract_and_the_start_up_part_of_wasi_are_lent() {
        let imports = names(&["iga:connector/http@0.1.0", "wasi:cli/exit@0.2.6", "wasi:io/poll@0.2.12"]);
        assert_eq!(judge(&imports, &names(&[CONNECTOR])), Ok(Version::new(0, 1, 0)));
    }

    #[test]
    fn a_later_patch_of_the_contract_is_the_same_track() {
        let exports = names(&["iga:connector/connector@0.1.7"]);
        assert_eq!(judge(&[], &exports), Ok(Version::new(0, 1, 7)));
    }

    #[test]
    fn another_track_is_named_with_both_versions() {
        let imports = names(&["iga:connector/http@0.2.0"]);
        let mismatch = judge(&imports, &names(&["iga:connector/connector@0.2.0"])).unwrap_err();
        assert_eq!(
            mismatch.to_string(),
            "it was built for `iga:connector@0.2.0`, but this host offers `0.1.0`"
        );
    }

    #[test]
    fn sockets_files_and_wasi_http_are_denied_by_name() {
        for import in [
            "wasi:sockets/tcp@0.2.6",
            "wasi:filesystem/types@0.2.6",
            "wasi:http/outgoing-handler@0.2.6",
            "wasi:cli/exit@0.3.0",
            "iga:connector/shell@0.1.0",
            "env",
        ] {
            let mismatch = judge(&names(&[import]), &names(&[CONNECTOR]));
            assert_eq!(mismatch, Err(ContractMismatch::Denied(names(&[import]))), "{import}");
        }
    }

    #[test]
    fn a_component_of_another_kind_is_not_a_connector() {
        assert_eq!(judge(&[], &names(&["wasi:cli/run@0.2.6"])), Err(ContractMismatch::NotAConnector));
    }
}
