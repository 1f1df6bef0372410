//! What one call may touch: an empty WASI, the capabilities it was lent, and its limits.

use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::capability::Lent;

/// What a call may use. One page of a vendor needs a small part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the call to its answer, waiting for the vendor included.
    pub call: Duration,
    /// Linear memory, all memories of the guest together, in bytes.
    pub memory: usize,
    /// What the guest may hand to the host in one call, in bytes.
    pub output: usize,
}

impl Default for Limits {
    /// A page of 300 users is about 1 MiB of JSON and needs about 8 MiB in the guest.
    fn default() -> Self {
        Self { call: Duration::from_secs(120), memory: 256 << 20, output: 64 << 20 }
    }
}

/// Handles a guest may hold: streams of WASI's standard input and output, and clocks' pollables.
const HANDLES: usize = 64;
/// What a guest may write to its standard error, in bytes: enough for a panic.
const PRINTED: usize = 4096;
/// What a guest may ask of the random source at once, in bytes.
const RANDOM: u64 = 4096;

/// The state behind a guest's imports, for one call.
pub(crate) struct CallState {
    wasi: WasiCtx,
    table: ResourceTable,
    printed: MemoryOutputPipe,
    limits: Limits,
    pub(super) limiter: Limiter,
    /// What the host lends for this call.
    pub(crate) lent: Lent,
}

impl CallState {
    pub(super) fn new(limits: Limits, lent: Lent) -> Self {
        let printed = MemoryOutputPipe::new(PRINTED);
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        let mut wasi = WasiCtx::builder();
        wasi.stderr(printed.clone()).max_random_size(RANDOM);
        if let Some(clock) = lent.clock() {
            wasi.wall_clock(clock);
        }
        Self { wasi: wasi.build(), table, printed, limits, limiter: Limiter::new(limits.memory), lent }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// What the guest wrote to its standard error. May hold a secret.
    pub(super) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.printed.contents()).into_owned()
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The guest wanted more memory than a call gets.
#[derive(Debug, thiserror::Error)]
#[error("memory limit of {limit} bytes reached: {wanted} wanted")]
pub(super) struct MemoryLimitReached {
    /// Of all memories together, in bytes.
    pub(super) wanted: usize,
    /// In bytes.
    pub(super) limit: usize,
}

/// Bounds the memories of a guest together, where the engine's own limiter bounds each. It traps rather than
/// let the guest's allocator fail, because a failed allocation looks like any other panic.
pub(super) struct Limiter {
    limit: usize,
    used: usize,
    counts: StoreLimits,
}

impl Limiter {
    fn new(limit: usize) -> Self {
        // A component made from one Rust crate has a handful of core instances, one memory and two tables.
        let counts = StoreLimitsBuilder::new().instances(32).tables(16).memories(4).table_elements(20_000);
        Self { limit, used: 0, counts: counts.build() }
    }

    /// The most memory the guest had, in bytes. Memories only grow.
    pub(super) fn used(&self) -> usize {
        self.used
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.used.saturating_add(desired.saturating_sub(current));
        if wanted > self.limit {
            return Err(MemoryLimitReached { wanted, limit: self.limit }.into());
        }
        self.used = wanted;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.counts.table_growing(current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.counts.instances()
    }

    fn tables(&self) -> usize {
        self.counts.tables()
    }

    fn memories(&self) -> usize {
        self.counts.memories()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_bounded_together() {
        let mut limiter = Limiter::new(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        let error = limiter.memory_growing(40, 41, None).unwrap_err();
        assert_eq!(error.downcast_ref::<MemoryLimitReached>().unwrap().wanted, 101);
        assert_eq!(limiter.used(), 100);
    }
}
