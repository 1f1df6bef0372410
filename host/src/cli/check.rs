//! `connector-host check`

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use console::style;
use serde::Serialize;

use super::advice::{Trouble, advice};
use super::exit::{Exit, Failure};
use super::progress::Progress;
use super::{ConfigOption, table, terminal};
use crate::capability::requests_sent;
use crate::configuration::Configuration;
use crate::contract::api::{Access, ErrorKind, Report};
use crate::integration::Integration;
use crate::plugin::{Engine, EngineOptions};
use crate::sync::{self, RetryPolicy};

#[derive(clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: ConfigOption,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What may be read.
#[derive(Serialize)]
pub(super) struct Checked {
    integration: String,
    account: Option<String>,
    readable: bool,
    requests: u64,
    streams: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    stream: String,
    permissions: Vec<String>,
    optional: bool,
    access: &'static str,
    reason: Option<String>,
    hint: Option<String>,
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
        terminal::data(&checked.text())?;
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

impl Checked {
    pub(super) fn new(integration: &Integration, report: &Report, requests: u64) -> Self {
        let streams = integration.selected.iter().map(|stream| {
            let row = report.streams.iter().find(|row| row.stream == stream.name);
            let (access, error) = match row.map(|row| &row.access) {
                Some(Access::Readable) => ("readable", None),
                Some(Access::Refused(error)) => (word(&error.kind), Some(error)),
                None => ("not-checked", None),
            };
            Row {
                stream: stream.name.clone(),
                permissions: stream.permissions.clone(),
                optional: stream.optional,
                access,
                reason: error.map(|error| error.message.clone()),
                hint: error.and_then(|error| error.remedy.clone()),
            }
        });
        let streams: Vec<_> = streams.collect();
        Self {
            integration: integration.name.clone(),
            account: report.account.clone(),
            readable: streams.iter().all(|row| row.optional || row.access == "readable"),
            requests,
            streams,
        }
    }

    pub(super) fn text(&self) -> String {
        let mut rows = table::new(&["Stream", "Permission", "Access"]);
        for row in &self.streams {
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
        let account = terminal::plain(self.account.as_deref().unwrap_or("-"));
        let mut text = format!("`{}` is connected to {account}\n{rows}\n", self.integration);
        let troubles = self.streams.iter().filter_map(|row| {
            Some(Trouble { stream: &row.stream, reason: row.reason.as_deref()?, hint: row.hint.as_deref() })
        });
        text.push_str(&advice(troubles));
        text
    }
}

fn word(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::MissingPermission(_) => "permission missing",
        ErrorKind::NotInEdition => "not in this edition",
        ErrorKind::RateLimited(_) => "rate limited",
        ErrorKind::Unavailable(_) => "unavailable",
        _ => "refused",
    }
}
