//! The connectors that ship inside the host. `build.rs` builds them and writes the table.

/// A connector inside the host.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    /// Its name, as a configuration writes it.
    pub name: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

static TABLE: &[Bundled] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// All of them; the first one is what commands without an argument take.
#[must_use]
pub fn all() -> &'static [Bundled] {
    TABLE
}

/// The one called `name`.
#[must_use]
pub fn find(name: &str) -> Option<Bundled> {
    TABLE.iter().copied().find(|bundled| bundled.name == name)
}
