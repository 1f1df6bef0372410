//! One call: a fresh instance with its limits and its deadline, and the answer or the fault.

use std::pin::Pin;

use wasmtime::{Store, UpdateDeadline};

use crate::capabilities::{CallCapabilities, Redactor};
use crate::compile::Guest;
use crate::contract::ConnectorComponent;
use crate::engine::EPOCH_TICK;
use crate::fault::Fault;
use crate::limits::{Limit, LimitReached, Limits};
use crate::state::CallState;
use crate::text::plain;

/// The future of a call of an export.
pub(crate) type Call<'a, T> = Pin<Box<dyn Future<Output = wasmtime::Result<T>> + Send + 'a>>;

/// What the host gives one call.
pub struct CallContext {
    /// Time, memory and sizes.
    pub limits: Limits,
    /// All that the guest can reach, from [`Capabilities::for_call`](crate::capabilities::Capabilities::for_call).
    pub capabilities: CallCapabilities,
}

impl Guest {
    /// Runs `function` in a fresh instance, and drops it: after an error it can't be used, after an answer it is not
    /// needed.
    pub(crate) async fn call<T>(
        &self,
        context: CallContext,
        function: impl for<'a> FnOnce(&'a ConnectorComponent, &'a mut Store<CallState>) -> Call<'a, T>,
    ) -> Result<T, Fault> {
        let CallContext { limits, mut capabilities } = context;
        let redactor: Redactor = capabilities.redactor();
        let time = capabilities.start(&limits);
        let mut store = Store::new(&self.engine.wasmtime, CallState::new(limits, capabilities));
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits.output);
        // At each tick of the epoch, a guest that computes yields to other tasks, and the tick is counted. The time-out
        // below stops a call that waits in the host, where the epoch has no effect.
        let most = limits.compute.as_millis().div_ceil(EPOCH_TICK.as_millis());
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |mut context| {
            let ticks = &mut context.data_mut().ticks;
            *ticks = ticks.saturating_add(1);
            if u128::from(*ticks) > most {
                return Err(LimitReached::new(Limit::Compute, &limits, 0).into());
            }
            Ok(UpdateDeadline::Yield(1))
        });

        let called = time.within(async {
            let exports = self.pre.instantiate_async(&mut store).await?;
            function(&exports, &mut store).await
        });
        let answer = called.await;
        let state = store.data();
        tracing::trace!(memory = state.limiter.used(), ticks = state.ticks, "call ended");
        state.capabilities.log_printed(&state.printed());
        let stack = self.engine.stack;
        match answer {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => {
                // The guest chooses the names of its functions, so they are redacted and cleaned as well.
                tracing::debug!("guest failed: {}", plain(&redactor.text(&format!("{error:?}"))));
                Err(Fault::classify(&error, state, &limits, stack, &redactor))
            }
            None => Err(Fault::Limit(LimitReached::new(Limit::Call, &limits, stack))),
        }
    }
}
