//! The state of one call: an empty WASI, its capabilities, and its limits.

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::capabilities::CallCapabilities;
use crate::limits::{Limit, LimitReached, Limits};
use crate::printed::Printed;

/// Handles a guest may hold: streams of WASI's standard input and output, and clocks' pollables.
const HANDLES: usize = 64;
/// Memories of a guest. Their number costs nothing; `Limits::memory` bounds their total size.
const MEMORIES: usize = 4;
/// The most random bytes that a guest may request at once.
const RANDOM: u64 = 4096;

/// The state behind a guest's imports, for one call.
pub(crate) struct CallState {
    wasi: WasiCtx,
    table: ResourceTable,
    printed: Printed,
    pub(crate) limiter: Limiter,
    /// Ticks of the epoch in which the guest computed.
    pub(crate) ticks: u32,
    /// All that the guest can reach, except WASI.
    pub(crate) capabilities: CallCapabilities,
}

impl CallState {
    pub(crate) fn new(limits: Limits, capabilities: CallCapabilities) -> Self {
        let printed = Printed::new(LimitReached::new(Limit::Log, &limits, 0), limits.log);
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        let mut wasi = WasiCtx::builder();
        wasi.stdout(printed.clone()).stderr(printed.clone()).max_random_size(RANDOM);
        if let Some(clock) = capabilities.clock() {
            wasi.wall_clock(clock);
        }
        Self { wasi: wasi.build(), table, printed, limiter: Limiter::new(limits), ticks: 0, capabilities }
    }

    /// What the guest wrote to its standard output and error. May hold a secret.
    pub(crate) fn printed(&self) -> String {
        self.printed.contents()
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Bounds the total memory of a guest; the engine's own limiter bounds each memory. It traps instead of letting the
/// guest's allocation fail, because a failed allocation looks like any other panic.
pub(crate) struct Limiter {
    limits: Limits,
    used: usize,
    counts: StoreLimits,
}

impl Limiter {
    fn new(limits: Limits) -> Self {
        let counts =
            StoreLimitsBuilder::new().instances(limits.instances).tables(limits.tables).memories(MEMORIES);
        Self { limits, used: 0, counts: counts.build() }
    }

    /// The most memory the guest had, in bytes. Memories only grow.
    pub(crate) fn used(&self) -> usize {
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
        if wanted > self.limits.memory {
            return Err(LimitReached::new(Limit::Memory, &self.limits, 0).into());
        }
        self.used = wanted;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.limits.table_elements {
            return Err(LimitReached::new(Limit::TableElements, &self.limits, 0).into());
        }
        Ok(true)
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
        let mut limiter = Limiter::new(Limits { memory: 100, ..Limits::default() });
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        let error = limiter.memory_growing(40, 41, None).unwrap_err();
        assert_eq!(error.downcast_ref::<LimitReached>().unwrap().limit, Limit::Memory);
        assert_eq!(limiter.used(), 100);
    }
}
