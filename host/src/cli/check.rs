//! `connector-host check`

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use console::style;

use super::advice::{Trouble, advice};
use super::exit::{Exit, Failure};
use super::progress::Progress;
use super::{ConfigOption, table, terminal};
use crate::capability::requests_sent;
use crate::configuration::Configuration;
use crate::integration::Integration;
use crate::plugin::{Engine, EngineOptions};
use crate::sync::{self, Checked, RetryPolicy};

#[derive(clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: ConfigOption,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(options: Options, engine: &EngineOptions) -> Result<Exit, Failure> {
    let integration = open(&options.config, engine).await?;
    let progress = Progress::new();
    let requests = Arc::new(AtomicU64::new(0));
    // Somebody waits for the answer: a vendor that is down is told soon, and not after a minute.
    let policy = RetryPolicy { attempts: integration.retry.attempts.min(3), ..integration.retry };
    let report = sync::check(&integration, policy, &progress, &requests).await?;
    let checked = Checked::new(&integration, &report, requests_sent(&requests));
    if options.json {
        terminal::json(&checked)?;
    } else {
        terminal::data(&text(&checked))?;
    }
    Ok(if checked.readable { Exit::Complete } else { Exit::Partial })
}

/// The integration that the options name.
pub(super) async fn open(options: &ConfigOption, engine: &EngineOptions) -> Result<Integration, Failure> {
    let mut configuration = Configuration::load(&options.config)?;
    if !options.streams.is_empty() {
        configuration.streams = Some(options.streams.clone());
    }
    Ok(Integration::open(&Engine::new(engine)?, &configuration).await?)
}

/// For a terminal.
pub(super) fn text(checked: &Checked) -> String {
    let mut rows = table::new(&["Stream", "Permission", "Access"]);
    for row in &checked.streams {
        let optional = if row.optional { " (optional)" } else { "" };
        let access = match row.access {
            "readable" => style("readable").green(),
            other => style(other).yellow(),
        };
        rows.add_row([
            format!("{}{optional}", row.stream),
            terminal::plain(&row.permissions.join(" or ")),
            access.to_string(),
        ]);
    }
    let account = terminal::plain(checked.account.as_deref().unwrap_or("-"));
    let mut text = format!("`{}` is connected to {account}\n{rows}\n", checked.integration);
    let troubles = checked.streams.iter().filter_map(|row| {
        Some(Trouble { stream: &row.stream, reason: row.reason.as_deref()?, hint: row.hint.as_deref() })
    });
    text.push_str(&advice(troubles));
    text
}
