//! One call: a fresh instance, its limits, its deadline, and what leaves it.

use std::pin::Pin;

use wasmtime::{Store, UpdateDeadline};

use super::component::Connector;
use super::engine::EPOCH_TICK;
use super::fault::Fault;
use super::state::CallState;
use crate::capability::{Lent, Redactor, plain};
use crate::contract::ConnectorComponent;
use crate::contract::api;
use crate::limits::{Limit, LimitReached, Limits};

/// A call of an export, on its way.
pub(super) type Call<'a, T> = Pin<Box<dyn Future<Output = wasmtime::Result<T>> + Send + 'a>>;

/// What the host gives a call.
pub struct CallContext {
    /// Time, memory and size.
    pub limits: Limits,
    /// The capabilities.
    pub lent: Lent,
}

impl Connector {
    /// Asks the connector to try its settings.
    ///
    /// # Errors
    ///
    /// [`Fault`] when the guest gave no answer at all; the inner error is the connector's own.
    pub async fn check(
        &self,
        context: CallContext,
        settings: &[api::Setting],
    ) -> Result<Result<api::Report, api::Error>, Fault> {
        let redactor = context.lent.redactor();
        let settings = settings.to_vec();
        let answer = self
            .call(context, move |guest, store| {
                Box::pin(async move { guest.iga_connector_connector().call_check(store, &settings).await })
            })
            .await?;
        Ok(match answer {
            Ok(mut report) => {
                redactor.report(&mut report);
                Ok(report)
            }
            Err(mut error) => {
                redactor.error(&mut error);
                Err(error)
            }
        })
    }

    /// Asks the connector for one page.
    ///
    /// # Errors
    ///
    /// [`Fault`] when the guest gave no answer at all; the inner error is the connector's own.
    pub async fn read(
        &self,
        context: CallContext,
        settings: &[api::Setting],
        account: Option<&str>,
        stream: &str,
        position: &api::Position,
    ) -> Result<Result<api::Page, api::Error>, Fault> {
        let redactor = context.lent.redactor();
        let (settings, account) = (settings.to_vec(), account.map(str::to_owned));
        let (stream, position) = (stream.to_owned(), position.clone());
        let answer = self
            .call(context, move |guest, store| {
                Box::pin(async move {
                    let connector = guest.iga_connector_connector();
                    connector.call_read(store, &settings, account.as_deref(), &stream, &position).await
                })
            })
            .await?;
        Ok(match answer {
            Ok(mut page) => {
                redactor.page(&mut page);
                Ok(page)
            }
            Err(mut error) => {
                redactor.error(&mut error);
                Err(error)
            }
        })
    }

    /// Runs `function` in a fresh instance. After an error the instance is dead, and after an answer it is not
    /// needed: it is dropped either way.
    pub(super) async fn call<T>(
        &self,
        context: CallContext,
        function: impl for<'a> FnOnce(&'a ConnectorComponent, &'a mut Store<CallState>) -> Call<'a, T>,
    ) -> Result<T, Fault> {
        let CallContext { limits, mut lent } = context;
        let redactor: Redactor = lent.redactor();
        let time = lent.start(&limits);
        let mut store = Store::new(&self.engine.wasmtime, CallState::new(limits, lent));
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits.output);
        // With each tick of the epoch a guest that computes yields, so that others get their turn, and pays for it. The
        // time-out below stops what waits in the host, where the epoch does not reach.
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
            let guest = self.pre.instantiate_async(&mut store).await?;
            function(&guest, &mut store).await
        });
        let answer = called.await;
        let state = store.data();
        tracing::trace!(memory = state.limiter.used(), ticks = state.ticks, "call ended");
        state.lent.log_printed(&state.printed());
        let stack = self.engine.stack;
        match answer {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => {
                // The names of its functions are its own words.
                tracing::debug!("guest failed: {}", plain(&redactor.text(&format!("{error:?}"))));
                Err(Fault::classify(&error, state, &limits, stack, &redactor))
            }
            None => Err(Fault::Limit(LimitReached::new(Limit::Call, &limits, stack))),
        }
    }
}
