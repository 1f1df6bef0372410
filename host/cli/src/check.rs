//! `connector-host check`

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use console::style;

use crate::advice::advice;
use crate::bundled::BUNDLED;
use crate::exit::{Exit, Failure};
use crate::options::ConfigOption;
use crate::progress::Progress;
use crate::{table, terminal};
use connector_sandbox::capabilities::requests_sent;
use connector_sandbox::text::plain;
use connector_sandbox::{Engine, EngineOptions};
use connector_sync::check::{Checked, CheckedStream, check};
use connector_sync::configuration::Configuration;
use connector_sync::integration::Integration;
use connector_sync::retry::RetryPolicy;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    config: ConfigOption,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: Options, engine: &EngineOptions) -> Result<Exit, Failure> {
    let integration = open(&options.config, engine).await?;
    let progress = Progress::new();
    let requests = Arc::new(AtomicU64::new(0));
    // A person waits for the answer: an outage of the vendor is reported after a few attempts, not after a minute.
    let policy = RetryPolicy { attempts: integration.retry.attempts.min(3), ..integration.retry };
    let report = check(&integration, policy, &progress, &requests).await?;
    let checked = Checked::new(&integration, &report, requests_sent(&requests));
    if options.json {
        terminal::json(&checked)?;
    } else {
        terminal::data(&text(&checked))?;
    }
    Ok(if checked.readable { Exit::Complete } else { Exit::Partial })
}

/// The integration that the options name.
pub(crate) async fn open(options: &ConfigOption, engine: &EngineOptions) -> Result<Integration, Failure> {
    let mut configuration = Configuration::load(&options.config)?;
    if !options.streams.is_empty() {
        configuration.streams = Some(options.streams.clone());
    }
    Ok(Integration::open(&Engine::new(engine)?, &configuration, BUNDLED).await?)
}

/// The result as text for a terminal.
pub(crate) fn text(checked: &Checked) -> String {
    let mut rows = table::new(&["Stream", "Permission", "Access"]);
    for row in &checked.streams {
        let optional = if row.optional { " (optional)" } else { "" };
        let access = style(row.access.words());
        let access = if row.is_readable() { access.green() } else { access.yellow() };
        rows.add_row([
            format!("{}{optional}", row.stream),
            plain(&row.permissions.join(" or ")),
            access.to_string(),
        ]);
    }
    let account = plain(checked.account.as_deref().unwrap_or("-"));
    let mut text = format!("`{}` is connected to {account}\n{rows}\n", checked.integration);
    let incomplete: Vec<_> = checked.streams.iter().filter_map(CheckedStream::incomplete).collect();
    text.push_str(&advice(&incomplete));
    text
}
