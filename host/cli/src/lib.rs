//! The command line. One file a command.
//!
//! Data goes to standard output, everything else to standard error. `exit` prints the errors of all commands.

mod advice;
mod bundled;
mod check;
mod completions;
mod connector;
#[cfg(feature = "demo")]
mod demo;
mod exit;
mod export;
mod history;
mod inspect;
mod options;
mod progress;
mod report;
mod serve;
mod status;
mod sync;
mod table;
mod terminal;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use connector_sandbox::EngineOptions;
use connector_server::recent_log::RecentLog;
use exit::{Exit, Failure};

pub use bundled::BUNDLED;

/// Reads who has access to what from a vendor, through a connector in a sandbox.
///
/// A connector is a WebAssembly component. It gets no files, no network and no environment, only HTTPS GET requests to
/// the hosts that its manifest names, and the secrets that its manifest declares.
#[derive(Parser)]
#[command(
    name = "connector-host",
    bin_name = "connector-host",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Log more: -v each step, -vv each request, -vvv everything
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    /// Stack of a connector, in KiB
    #[arg(long, value_name = "KIB", global = true, default_value_t = 512,
          value_parser = clap::value_parser!(u32).range(16..=16_384))]
    stack_kib: u32,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  every selected stream is complete (optional ones, and those that this edition lacks, may be skipped)
  1  another error: the vendor can't be reached, the disk is full
  2  the command line, the configuration or the connector can't be used
  3  partial: a stream is incomplete, or was skipped because a permission is missing
  4  the vendor refused the credentials";

#[derive(Subcommand)]
enum Command {
    /// Read a simulated tenant, and show what was found
    ///
    /// Starts a simulated vendor on this machine, loads the connector into the sandbox, checks the
    /// permissions, reads the tenant, and prints what it found. Nothing leaves the machine.
    #[cfg(feature = "demo")]
    Demo(demo::Options),
    /// Show what a connector reads, and what it needs
    ///
    /// Compiles the connector and asks it for its manifest. It gets no capabilities.
    Inspect(inspect::Options),
    /// Try the credentials, and show which streams can be read
    ///
    /// Sends one cheap request for each permission. Prints a row for each stream: the permission it needs, and whether it
    /// is granted. Reads no data and writes no file.
    Check(check::Options),
    /// Read all streams that can be read, into a store
    ///
    /// Checks the permissions first, then reads the streams in parallel. Each page is kept when it arrives: an interrupted
    /// run is resumed at its last page.
    Sync(sync::Options),
    /// Run a folder of integrations, each on its schedule
    ///
    /// Reads `integrations/*.toml`, keeps the data in `data/NAME.db`, and loads connectors from `connectors/*.wasm` beside
    /// the bundled ones. A changed file takes effect at once, also in the middle of a run. SIGTERM ends it when the pages
    /// in flight are kept; SIGHUP reads all files again.
    Serve(serve::Options),
    /// Make a new token for the Integrations page; the previous one becomes invalid
    Token(serve::TokenOptions),
    /// Show what `serve` is doing
    Status(status::Options),
    /// Start a run of an integration of `serve` now
    Run(status::RunOptions),
    /// Show, install, activate and roll back the connectors of `serve`
    Connector(connector::Options),
    /// Show the runs of a store: how each ended, what it cost, which streams are incomplete
    Runs(history::RunsOptions),
    /// Show what a run changed: added, changed (from what to what), removed
    ///
    /// The first complete run of a stream has no changes: there is no earlier complete read to compare with.
    Changes(history::ChangesOptions),
    /// Show the findings of a store: users without MFA, bypass codes, idle administrators, and more
    Report(report::Options),
    /// Write the contents of a store in a format that other programs read
    Export(export::Options),
    /// Print completions for a shell
    ///
    /// For bash: `connector-host completions bash > /etc/bash_completion.d/connector-host`
    Completions(completions::Options),
}

/// The most threads for work that blocks: stores, files and name look-ups. What comes later waits; with more threads than
/// processors it would not be done earlier, and each has memory of its own.
const BLOCKING_THREADS: usize = 32;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    // From here on, secrets are in memory: this forbids core dumps, and debuggers of the same user.
    harden();
    let cli = Cli::parse();
    // Only the log shows what a daemon does.
    let verbose = if matches!(cli.command, Command::Serve(_)) { cli.verbose.max(1) } else { cli.verbose };
    let recent_log = RecentLog::default();
    start_log(verbose, &recent_log);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = match builder.enable_all().max_blocking_threads(BLOCKING_THREADS).build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(Exit::Failed, error.into()).report(),
    };
    let engine = EngineOptions { stack: (cli.stack_kib as usize) << 10, cache: code_cache() };
    let ended = runtime.block_on(async {
        match cli.command {
            #[cfg(feature = "demo")]
            Command::Demo(options) => demo::run(options, &engine, recent_log).await,
            Command::Inspect(options) => inspect::run(options, &engine).await,
            Command::Check(options) => check::run(options, &engine).await,
            Command::Sync(options) => sync::run(options, &engine).await,
            Command::Serve(options) => serve::run(options, &engine, recent_log).await,
            Command::Token(options) => serve::token(options).await,
            Command::Status(options) => status::run(options).await,
            Command::Run(options) => status::run_now(options).await,
            Command::Connector(options) => connector::run(options).await,
            Command::Runs(options) => history::runs(&options),
            Command::Changes(options) => history::changes(&options),
            Command::Report(options) => report::run(&options),
            Command::Export(options) => export::run(&options),
            Command::Completions(options) => completions::run(&options),
        }
    });
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(),
    }
}

/// The folder of compiled connectors, in the user's cache folder; `None` if there is none.
fn code_cache() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    let base = etcetera::choose_base_strategy().ok()?;
    Some(base.cache_dir().join("connector-host/code"))
}

fn harden() {
    use nix::sys::resource::{Resource, setrlimit};
    // If the system refuses, there is no alternative, and no log yet to report it.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_dumpable(false);
}

fn start_log(verbose: u8, recent_log: &RecentLog) {
    let default = match verbose {
        0 => "warn",
        1 => "connector=info,warn",
        2 => "connector=debug,info",
        _ => "trace",
    };
    // `RUST_LOG` is not read: at its highest levels libraries log headers, and headers hold signatures.
    let filter = if verbose > 2 {
        // The crates of this project log no secret. Of the libraries, only those that see no secret log more.
        EnvFilter::new("connector=trace,wasmtime=debug,info")
    } else {
        EnvFilter::new(default)
    };
    let printed = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && console::colors_enabled_stderr());
    tracing_subscriber::registry()
        .with(printed.with_filter(filter))
        .with(recent_log.clone().with_filter(LevelFilter::INFO))
        .init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
