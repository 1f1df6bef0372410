//! The engine: one per process. No other module configures wasmtime.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::Config;
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiView, p2};

use crate::cache::CodeCache;
use crate::capabilities::CallCapabilities;
use crate::contract;
use crate::state::CallState;

/// How often the epoch advances: how long a guest computes before others get their turn.
pub(crate) const EPOCH_TICK: Duration = Duration::from_millis(10);

/// The stack for the host's functions, beside the guest's, in bytes.
const HOST_STACK: usize = 1536 << 10;

/// The compiler, its cache, and the linker that decides what a guest can import.
#[derive(Clone)]
pub struct Engine {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) linker: Arc<Linker<CallState>>,
    /// The stack of a guest, in bytes.
    pub(crate) stack: usize,
    pub(crate) cache: Option<CodeCache>,
}

/// The engine could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("could not set up the WebAssembly engine: {0}")]
pub struct EngineError(String);

/// The options of an engine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The stack of a guest, in bytes; 16 KiB to 16 MiB.
    pub stack: usize,
    /// Where compiled components are kept; `None` compiles each time.
    pub cache: Option<PathBuf>,
}

impl Default for EngineOptions {
    /// Half a MiB of stack, and no cache.
    fn default() -> Self {
        Self { stack: 512 << 10, cache: None }
    }
}

impl Engine {
    /// Sets up the engine.
    ///
    /// # Errors
    ///
    /// When this machine can't run WebAssembly, or no thread can be started.
    pub fn new(options: &EngineOptions) -> Result<Self, EngineError> {
        let failed = |error: wasmtime::Error| EngineError(format!("{error:#}"));
        let stack = options.stack.clamp(16 << 10, 16 << 20);
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            // WASI 0.2 only: calls are several times cheaper, and the async ABI is not reachable.
            .concurrency_support(false)
            .max_wasm_stack(stack)
            // The host's functions run on the same stack.
            .async_stack_size(stack + HOST_STACK);
        let wasmtime = wasmtime::Engine::new(&config).map_err(failed)?;

        let mut linker = Linker::new(&wasmtime);
        link(&mut linker).map_err(failed)?;

        // A separate thread: an executor that a guest keeps busy would not tick. It holds the engine weakly, so that
        // the engine can be dropped.
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
        let cache = options.cache.as_deref().and_then(CodeCache::open);
        Ok(Self { wasmtime, linker: Arc::new(linker), stack, cache })
    }
}

/// All that a guest can import: the contract, and the part of WASI that a Rust guest for `wasm32-wasip2` needs to start
/// and to read the time. No sockets, no name lookup, no files, no `wasi:http`. `imports` lists the same set.
fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    use p2::bindings::{cli, random};

    contract::http::add_to_linker::<_, HasSelf<CallCapabilities>>(linker, |state| &mut state.capabilities)?;
    contract::secrets::add_to_linker::<_, HasSelf<CallCapabilities>>(linker, |state| {
        &mut state.capabilities
    })?;
    contract::logging::add_to_linker::<_, HasSelf<CallCapabilities>>(linker, |state| {
        &mut state.capabilities
    })?;

    // Clocks, random numbers, standard streams (input is closed, output is recorded), and the interfaces that these use.
    p2::add_to_linker_proxy_interfaces_async(linker)?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    // The environment is empty and there is no terminal, but every Rust program for this target imports these.
    cli::environment::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, CallState::cli)?;
    Ok(())
}
