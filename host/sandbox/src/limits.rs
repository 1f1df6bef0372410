//! What one call of a connector may use, and the error that names the limit that it reached.

use std::fmt;
use std::time::Duration;

/// What a call may use. One page of a vendor needs a small part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the call to its answer. Waits for the vendor's answers count, waits for its rate limit do not.
    pub call: Duration,
    /// Time spent computing, in the guest; counted in ticks of 10 ms.
    pub compute: Duration,
    /// Linear memory, all memories of the guest together, in bytes.
    pub memory: usize,
    /// Tables of the guest.
    pub tables: usize,
    /// Elements of each table.
    pub table_elements: usize,
    /// Core instances that the component consists of.
    pub instances: usize,
    /// Requests sent, those that were refused included.
    pub requests: u32,
    /// What the guest may hand to the host at once, in bytes.
    pub output: usize,
    /// What it may log, and what it may print, each in bytes.
    pub log: usize,
}

impl Default for Limits {
    /// A page of 300 users is about 1 MiB of JSON, needs about 8 MiB in the guest and computes for a few milliseconds.
    /// A component made from one Rust crate has a handful of core instances, one memory and two tables.
    fn default() -> Self {
        Self {
            call: Duration::from_secs(120),
            compute: Duration::from_secs(30),
            memory: 256 << 20,
            tables: 16,
            table_elements: 20_000,
            instances: 32,
            requests: 256,
            output: 16 << 20,
            log: 256 << 10,
        }
    }
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of `Limits`, and the engine's stack")]
pub enum Limit {
    Call,
    Compute,
    Memory,
    Tables,
    TableElements,
    Instances,
    Stack,
    Requests,
    Output,
    Log,
}

impl Limit {
    /// Its name in the configuration, or on the command line.
    #[must_use]
    pub fn setting(self) -> &'static str {
        match self {
            Self::Call => "call-seconds",
            Self::Compute => "compute-seconds",
            Self::Memory => "memory-mib",
            Self::Tables => "tables",
            Self::TableElements => "table-elements",
            Self::Instances => "instances",
            Self::Stack => "--stack-kib",
            Self::Requests => "requests",
            Self::Output => "output-mib",
            Self::Log => "log-kib",
        }
    }

    /// The unit that follows the number: `64 MiB of memory`.
    fn unit(self) -> &'static str {
        match self {
            Self::Call => "s for a call",
            Self::Compute => "s of computing",
            Self::Memory => "MiB of memory",
            Self::Tables => "tables",
            Self::TableElements => "elements of a table",
            Self::Instances => "core instances",
            Self::Stack => "KiB of stack",
            Self::Requests => "requests",
            Self::Output => "MiB handed over at once",
            Self::Log => "KiB of log",
        }
    }
}

/// A call reached a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct LimitReached {
    /// Which limit.
    pub limit: Limit,
    /// Its value, in thousandths of the unit of its setting.
    thousandths: u64,
}

impl LimitReached {
    /// `limit` with its value in `limits`; `stack` is the engine's stack, in bytes.
    #[must_use]
    pub fn new(limit: Limit, limits: &Limits, stack: usize) -> Self {
        let whole = |value: usize| (value as u64).saturating_mul(1000);
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let thousandths = match limit {
            Limit::Call => milliseconds(limits.call),
            Limit::Compute => milliseconds(limits.compute),
            Limit::Memory => whole(limits.memory) >> 20,
            Limit::Tables => whole(limits.tables),
            Limit::TableElements => whole(limits.table_elements),
            Limit::Instances => whole(limits.instances),
            Limit::Stack => whole(stack) >> 10,
            Limit::Requests => u64::from(limits.requests) * 1000,
            Limit::Output => whole(limits.output) >> 20,
            Limit::Log => whole(limits.log) >> 10,
        };
        Self { limit, thousandths }
    }
}

impl fmt::Display for LimitReached {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = (self.thousandths as f64 / 1000.0, self.limit.unit());
        write!(formatter, "the connector reached its limit of {value} {unit} (`{}`)", self.limit.setting())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reached_limit_names_its_value_and_its_setting() {
        let limits = Limits { compute: Duration::from_millis(500), ..Limits::default() };
        let said = |limit| LimitReached::new(limit, &limits, 512 << 10).to_string();
        assert_eq!(
            said(Limit::Memory),
            "the connector reached its limit of 256 MiB of memory (`memory-mib`)"
        );
        assert_eq!(
            said(Limit::Compute),
            "the connector reached its limit of 0.5 s of computing (`compute-seconds`)"
        );
        assert_eq!(said(Limit::Stack), "the connector reached its limit of 512 KiB of stack (`--stack-kib`)");
    }
}
