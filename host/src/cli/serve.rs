//! `connector-host serve`

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::DirOption;
use super::exit::{Exit, Failure};
use crate::daemon::Daemon;
use crate::plugin::{Engine, EngineOptions};

#[derive(clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    dir: DirOption,
}

pub(super) async fn run(options: Options, engine: &EngineOptions) -> Result<Exit, Failure> {
    let engine = Engine::new(engine)?;
    let stop = CancellationToken::new();
    let listen = |kind| signal(kind).context("could not listen for signals");
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut hang_up = listen(SignalKind::hangup())?;
    let (reload, reloads) = mpsc::channel(1);
    let stopper = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => stopper.cancel(),
                _ = interrupt.recv() => stopper.cancel(),
                // Full: a reload is waiting already.
                _ = hang_up.recv() => drop(reload.try_send(())),
            }
        }
    });
    Daemon::run(engine, options.dir.folders(), stop, reloads).await?;
    Ok(Exit::Complete)
}
