//! `connector-host connector`: shows and changes the connectors of `serve`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use console::style;

use crate::exit::{Exit, Failure};
use crate::options::DirOption;
use crate::{table, terminal};
use connector_sandbox::text::plain;
use connector_server::api_types::{ConnectorStatus, Swapped};
use connector_server::client::Client;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the active, the installed and the refused connectors, and why they were refused
    List {
        #[command(flatten)]
        dir: DirOption,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Try a component, and make it the active connector if it passes
    ///
    /// The trial compares it with the digests and keys that the integrations trust, compiles it, compares it with the
    /// contract and their settings, and runs its check for each of them. If it passes, it reads the next page of running
    /// syncs. If not, nothing changes.
    Install {
        /// The component, a .wasm file; its signature, if any, lies beside it as FILE.minisig
        file: PathBuf,
        /// Name of the connector [default: the file's name]
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        access: AccessOption,
        #[command(flatten)]
        dir: DirOption,
    },
    /// Make an installed connector the active one
    Activate {
        /// The beginning of its SHA-256
        digest: String,
        #[command(flatten)]
        access: AccessOption,
        #[command(flatten)]
        dir: DirOption,
    },
    /// Make the previously active connector the active one again
    Rollback {
        /// Name of the connector; needed if there are several
        name: Option<String>,
        #[command(flatten)]
        dir: DirOption,
    },
}

#[derive(clap::Args)]
struct AccessOption {
    /// Accept hosts and secrets that the active connector does not request
    #[arg(long)]
    accept_new_access: bool,
}

pub(crate) async fn run(options: Options) -> Result<Exit, Failure> {
    let swapped = match options.command {
        Command::List { dir, json } => {
            let connectors = Client::new(&dir.folders())?.status().await?.connectors;
            if json {
                terminal::json(&connectors)?;
            } else {
                terminal::data(&text(&connectors))?;
            }
            return Ok(Exit::Complete);
        }
        Command::Install { file, name, access, dir } => {
            let path = file.canonicalize().with_context(|| format!("could not find `{}`", file.display()))?;
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let client = Client::new(&dir.folders())?;
            client.install(path, name.unwrap_or(stem), access.accept_new_access).await?
        }
        Command::Activate { digest, access, dir } => {
            Client::new(&dir.folders())?.activate(digest, access.accept_new_access).await?
        }
        Command::Rollback { name, dir } => {
            let client = Client::new(&dir.folders())?;
            let name = match name {
                Some(name) => name,
                None => only_one(&client.status().await?.connectors)?,
            };
            client.roll_back(&name).await?
        }
    };
    terminal::data(&told(&swapped))?;
    Ok(Exit::Complete)
}

/// The name of the connector, if there is only one.
fn only_one(connectors: &[ConnectorStatus]) -> Result<String, Failure> {
    let mut names: Vec<_> = connectors.iter().map(|connector| connector.connector.clone()).collect();
    names.dedup();
    match names.as_slice() {
        [name] => Ok(name.clone()),
        _ => Err(Failure::new(
            Exit::Usage,
            anyhow::anyhow!("name the connector to roll back: there are {} of them", names.len()),
        )),
    }
}

fn told(swapped: &Swapped) -> String {
    let before = swapped.previous.as_deref().map(|before| format!(", in place of {}", table::digest(before)));
    let integrations = match swapped.integrations.as_slice() {
        [] => "no integration uses it".to_owned(),
        some => format!("it serves `{}`", some.join("`, `")),
    };
    format!(
        "{} `{}` {} ({}) took over{}; {integrations}\n",
        style("==>").cyan().bold(),
        swapped.connector,
        plain(&swapped.version),
        table::digest(&swapped.digest),
        before.unwrap_or_default(),
    )
}

fn text(connectors: &[ConnectorStatus]) -> String {
    if connectors.is_empty() {
        return "No connector is active: no integration uses one\n".to_owned();
    }
    let mut rows = table::new(&["Connector", "Version", "State", "SHA-256", "Why"]);
    for connector in connectors {
        let state = match connector.state.as_str() {
            "active" => style("active").green().to_string(),
            "refused" => style("refused").red().to_string(),
            other => other.to_owned(),
        };
        rows.add_row([
            connector.connector.clone(),
            plain(&connector.version),
            state,
            table::digest(&connector.digest),
            plain(connector.reason.as_deref().unwrap_or_default()),
        ]);
    }
    format!("{rows}\n")
}
