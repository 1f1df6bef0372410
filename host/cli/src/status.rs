//! `connector-host status` and `connector-host run`: send a request to the daemon.

use std::fmt::Write as _;

use chrono::{DateTime, Local, Utc};
use console::style;

use crate::exit::{Exit, Failure};
use crate::options::DirOption;
use crate::{table, terminal};
use connector_sandbox::text::{plain, plain_lines};
use connector_server::api_types::{IntegrationState, IntegrationStatus, Progress, RunOutcome, Status};
use connector_server::client::Client;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    dir: DirOption,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct RunOptions {
    /// Name of the integration
    integration: String,
    #[command(flatten)]
    dir: DirOption,
}

pub(crate) async fn run(options: Options) -> Result<Exit, Failure> {
    let status = Client::new(&options.dir.folders())?.status().await?;
    if options.json {
        terminal::json(&status)?;
    } else {
        terminal::data(&text(&status))?;
    }
    Ok(Exit::Complete)
}

pub(crate) async fn run_now(options: RunOptions) -> Result<Exit, Failure> {
    Client::new(&options.dir.folders())?.sync(&options.integration).await?;
    terminal::tell(&format!(
        "`{}` is running; `connector-host status` shows its progress\n",
        options.integration
    ));
    Ok(Exit::Complete)
}

fn text(status: &Status) -> String {
    let mut text = String::new();
    if status.integrations.is_empty() {
        text.push_str("No integration: write a configuration into the folder `integrations`\n");
    } else {
        let mut rows = table::new(&["Integration", "State", "Connector", "Run", "Next"]);
        for integration in &status.integrations {
            rows.add_row([
                integration.name.clone(),
                state(integration),
                plain(integration.connector.as_deref().unwrap_or_default()),
                run_of(integration),
                next(integration),
            ]);
        }
        let _ = writeln!(text, "{rows}");
    }
    for integration in &status.integrations {
        if let Some(message) = &integration.message {
            let _ = writeln!(text, "\n{}: {}", style(&integration.name).bold(), plain(message));
            if let Some(hint) = &integration.hint {
                let _ = writeln!(text, "  {}", plain_lines(hint).replace('\n', "\n  "));
            }
        }
    }
    if let Some(message) = &status.connector_message {
        let _ = writeln!(text, "\n{}", style(plain(message)).yellow());
    }
    text
}

fn state(integration: &IntegrationStatus) -> String {
    let waits = integration.progress.is_some_and(|progress| progress.waits_until.is_some());
    match integration.state {
        IntegrationState::Running if waits => style("waiting for the vendor").yellow().to_string(),
        IntegrationState::Running => style("running").cyan().to_string(),
        IntegrationState::Idle => "idle".to_owned(),
        IntegrationState::Queued => "waiting for other runs".to_owned(),
        IntegrationState::Paused => style("paused").yellow().to_string(),
        IntegrationState::Unusable => style("unusable").red().to_string(),
    }
}

/// The run that is under way, or the last one.
fn run_of(integration: &IntegrationStatus) -> String {
    match integration.progress {
        Some(Progress { started_at, pages, objects, .. }) => {
            let (pages, objects) = (table::number(pages), table::number(objects));
            format!("since {}: {objects} objects, {pages} pages", time(started_at))
        }
        None => last_run(integration),
    }
}

/// When it runs next, or resumes after a wait.
fn next(integration: &IntegrationStatus) -> String {
    match integration.progress {
        Some(progress) => {
            progress.waits_until.map(|until| format!("resumes {}", time(until))).unwrap_or_default()
        }
        None => integration.next_run.map(clock).unwrap_or_default(),
    }
}

fn last_run(integration: &IntegrationStatus) -> String {
    let Some(run) = &integration.last_run else { return String::new() };
    let outcome = match run.outcome {
        RunOutcome::Complete => style("complete").green(),
        RunOutcome::Partial => style("partial").yellow(),
        RunOutcome::Stopped => style("stopped").yellow(),
        RunOutcome::Failed => style("failed").red(),
    };
    let seconds = (run.ended_at - run.started_at).num_milliseconds() as f64 / 1000.0;
    format!("{outcome}, {}, {seconds:.1} s, {} requests", clock(run.ended_at), table::number(run.requests))
}

/// A time of day, in the time zone of this machine.
fn time(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local).format("%H:%M:%S").to_string()
}

/// A time in the time zone of this machine.
fn clock(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}
