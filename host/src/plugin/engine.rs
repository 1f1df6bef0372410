//! The engine: one a process. Nothing else configures wasmtime.

use std::time::Duration;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Cache, CacheConfig, Config};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiView, p2};

use super::state::CallState;
use crate::capability::Lent;
use crate::contract;

/// How often the epoch advances: how long a guest computes before others get their turn.
const EPOCH_TICK: Duration = Duration::from_millis(10);

/// The compiler, its cache, and the linker that decides what a guest can import.
#[derive(Clone)]
pub struct Engine {
    pub(super) wasmtime: wasmtime::Engine,
    pub(super) linker: std::sync::Arc<Linker<CallState>>,
}

/// The engine could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("could not set up the WebAssembly engine: {0}")]
pub struct EngineError(String);

impl Engine {
    /// Sets up the engine, with compiled components cached on disk where the user has a cache directory.
    ///
    /// # Errors
    ///
    /// When this machine can't run WebAssembly, or no thread can be started.
    pub fn new() -> Result<Self, EngineError> {
        // Without a home directory there is no cache: compiling costs a fraction of a second then.
        Self::with_cache(Cache::new(CacheConfig::new()).ok())
    }

    /// Sets up the engine without a cache: each load compiles.
    ///
    /// # Errors
    ///
    /// As for [`Engine::new`].
    pub fn without_cache() -> Result<Self, EngineError> {
        Self::with_cache(None)
    }

    fn with_cache(cache: Option<Cache>) -> Result<Self, EngineError> {
        let failed = |error: wasmtime::Error| EngineError(format!("{error:#}"));
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            // WASI 0.2 only: calls are several times cheaper, and the async ABI is not reachable.
            .concurrency_support(false)
            .cache(cache);
        let wasmtime = wasmtime::Engine::new(&config).map_err(failed)?;

        let mut linker = Linker::new(&wasmtime);
        link(&mut linker).map_err(failed)?;

        // A thread of its own: an executor that a guest keeps busy would not tick. It holds the engine weakly,
        // or it would keep it alive for ever.
        let weak = wasmtime.weak();
        std::thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || {
                while let Some(engine) = weak.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    std::thread::sleep(EPOCH_TICK);
                }
            })
            .map_err(|error| EngineError(error.to_string()))?;
        Ok(Self { wasmtime, linker: std::sync::Arc::new(linker) })
    }
}

/// All that a guest can import: the contract, and what a Rust guest for `wasm32-wasip2` needs of WASI to start
/// and to tell the time. No sockets, no name lookup, no files, no `wasi:http`. `imports` names the same set.
fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    use p2::bindings::{cli, random};

    contract::http::add_to_linker::<_, HasSelf<Lent>>(linker, |state| &mut state.lent)?;
    contract::secrets::add_to_linker::<_, HasSelf<Lent>>(linker, |state| &mut state.lent)?;
    contract::logging::add_to_linker::<_, HasSelf<Lent>>(linker, |state| &mut state.lent)?;

    // Clocks, random, standard streams (all closed) and what they are made of.
    p2::add_to_linker_proxy_interfaces_async(linker)?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    // Empty, both, but every Rust program for this target asks.
    cli::environment::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    Ok(())
}
