//! `connector-host demo`: the main job, on a simulated tenant.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use console::style;
use duo_simulator::{Simulator, TenantOptions};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::bundled::BUNDLED;
use crate::check;
use crate::exit::{Exit, Failure};
use crate::progress::Progress;
use crate::{sync as sync_command, table, terminal};
use connector_sandbox::manifest::Manifest;
use connector_sandbox::text::plain;
use connector_sandbox::{Engine, EngineOptions};
use connector_server::PagesOptions;
use connector_server::folders::Folders;
use connector_server::recent_log::RecentLog;
use connector_server::{ServeOptions, serve};
use connector_store::{EntityRow, Reader};
use connector_sync::active::ActiveIntegration;
use connector_sync::check::Checked;
use connector_sync::configuration::Configuration;
use connector_sync::integration::Integration;
use connector_sync::{Event, Observer};

/// Rows of each table that are shown.
const ROWS: u32 = 5;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Users of the simulated tenant
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    users: u32,
    /// Tenants with the same seed are the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where configuration and data go
    #[arg(long, value_name = "DIR", default_value = "demo-data")]
    dir: PathBuf,
    /// Show it on the Integrations page, until Ctrl-C
    #[arg(long)]
    page: bool,
    /// Where the page listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8420", env = "CONNECTOR_HOST_LISTEN")]
    listen: std::net::SocketAddr,
}

#[cfg_attr(not(unix), expect(unused_variables, reason = "the page needs Unix"))]
pub(crate) async fn run(
    options: Options,
    engine: &EngineOptions,
    recent_log: RecentLog,
) -> Result<Exit, Failure> {
    let tenant = TenantOptions {
        users: options.users,
        seed: options.seed,
        // A page of the log: with what `check` asks, as much as a minute's budget lets through at once.
        events: Some(u64::from(options.users).saturating_mul(3).min(1000)),
        ..TenantOptions::default()
    };
    let simulator = Simulator::start(tenant).await.context("could not start the simulated tenant")?;
    step(&format!(
        "A simulated Cisco Duo tenant with {} users answers at {}",
        table::number(options.users.into()),
        simulator.url()
    ))?;
    if options.page {
        return show_page(&simulator, &options, engine, recent_log).await;
    }
    let config = write_configuration(&simulator, &options.dir)?;

    let configuration = Configuration::load(&config)?;
    let serving = Arc::new(ActiveIntegration::new(
        Integration::open(&Engine::new(engine)?, &configuration, BUNDLED).await?,
        Vec::new(),
    ));
    let integration = serving.current();
    let connector = &integration.connector;
    step(&format!(
        "The connector `{}` {} is in the sandbox: {} KiB, sha256 {:#}",
        connector.manifest().name,
        connector.manifest().version,
        connector.artifact().bytes.len().div_ceil(1024),
        connector.digest(),
    ))?;

    let store = options.dir.join("duo.db");
    let observer = Demo { integration: Arc::clone(&integration), progress: Progress::new() };
    let summary =
        connector_sync::run(serving, store.clone(), Arc::new(observer), CancellationToken::new()).await?;
    step("This came:")?;
    terminal::data(&tables(&Reader::open(&store)?, integration.manifest())?)?;
    terminal::data(&sync_command::text(&summary, integration.manifest(), &store))?;
    terminal::data(&next(&store, &options.dir))?;
    Ok(if summary.complete { Exit::Complete } else { Exit::Partial })
}

/// The page, with an integration that reads the tenant, and what to type to set up another.
async fn show_page(
    simulator: &Simulator,
    options: &Options,
    engine: &EngineOptions,
    recent_log: RecentLog,
) -> Result<Exit, Failure> {
    let root = options.dir.join("page");
    write_configuration(simulator, &root.join("integrations"))?;
    let tenant = simulator.options();
    terminal::data(&format!(
        "\n{title}\n\x20 API hostname      {}\n\x20 Integration key   {}\n\x20 Secret key        {}\n",
        tenant.host,
        tenant.integration_key,
        tenant.secret_key,
        title = style("To set up another with the wizard").bold(),
    ))?;
    let folders = Folders::new(root);
    // One that was printed by an earlier demo scrolled away long ago.
    let _ = std::fs::remove_file(folders.token());
    let stop = CancellationToken::new();
    let reloads = super::serve::listen_for_signals(&stop)?;
    let pages = PagesOptions { listen: options.listen, public_url: None, proxy: None };
    let connect_to = [(tenant.host.clone(), simulator.url())].into();
    let options = ServeOptions { folders, bundled: BUNDLED, connect_to, recent_log, pages: Some(pages) };
    serve(Engine::new(engine)?, options, stop, reloads).await?;
    Ok(Exit::Complete)
}

fn step(text: &str) -> anyhow::Result<()> {
    terminal::data(&format!("{} {text}\n", style("==>").cyan().bold()))
}

/// Writes a configuration just like one for a real tenant, and the key beside it.
fn write_configuration(simulator: &Simulator, dir: &Path) -> Result<PathBuf, Failure> {
    let tenant = simulator.options();
    let text = format!(
        "# Written by `connector-host demo` for its simulated tenant.\n\
         name      = \"duo\"\n\
         connector = \"duo\"\n\
         owner     = \"ann@example.com\"\n\n\
         [settings]\n\
         api-hostname    = \"{host}\"\n\
         integration-key = \"{integration_key}\"\n\
         secret-key      = {{ file = \"secret-key\" }}\n\n\
         [network]\n\
         connect-to = {{ \"{host}\" = \"{url}\" }}\n",
        host = tenant.host,
        integration_key = tenant.integration_key,
        url = simulator.url(),
    );
    let config = dir.join("duo.toml");
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(dir)?;
        std::fs::write(dir.join("secret-key"), &tenant.secret_key)?;
        std::fs::write(&config, text)
    };
    write().with_context(|| format!("could not write the demo's configuration to `{}`", dir.display()))?;
    Ok(config)
}

/// Shows the permissions as soon as they are known, and then the progress.
struct Demo {
    integration: Arc<Integration>,
    progress: Progress,
}

impl Observer for Demo {
    fn event(&self, event: Event<'_>) {
        if let Event::Checked { report } = event {
            let table = check::text(&Checked::new(&self.integration, report, 0));
            // A reader that has seen enough ends the demo at its next line.
            let _ = step("The permissions:").and_then(|()| terminal::data(&table));
            let _ = step("Syncing");
        }
        self.progress.event(event);
    }
}

/// The first rows of each kind of object.
fn tables(store: &Reader, manifest: &Manifest) -> Result<String, Failure> {
    let mut text = String::new();
    for entity in manifest.streams.iter().flat_map(|stream| &stream.entities) {
        let columns: &[(&str, &str)] = match entity.entity_type {
            "identity" => &[
                ("User name", "username"),
                ("E-mail", "emails"),
                ("Status", "status"),
                ("MFA", "mfa_state"),
                ("Last login", "last_login"),
            ],
            "connection" => &[("Status", "status"), ("MFA", "mfa_state"), ("Description", "description")],
            _ => &[("Kind", "kind")],
        };
        let mut header = vec!["Name"];
        header.extend(columns.iter().map(|(title, _)| *title));
        let mut rows = table::new(&header);
        for row in store.first_entities(&entity.source_type, ROWS)? {
            rows.add_row(cells(&row, columns));
        }
        let total = store.entity_total(&entity.source_type)?;
        text.push_str(&format!(
            "{} ({})\n{rows}\n\n",
            style(plain(&entity.title)).bold(),
            table::number(total)
        ));
    }
    Ok(text)
}

fn cells(row: &EntityRow, columns: &[(&str, &str)]) -> Vec<String> {
    let normal: Value = serde_json::from_str(&row.normal).unwrap_or_default();
    let mut cells = vec![plain(&row.name)];
    cells.extend(columns.iter().map(|(_, field)| {
        plain(&match normal.get(field) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(values)) => {
                values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
            }
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        })
    }));
    cells
}

fn next(store: &Path, dir: &Path) -> String {
    format!(
        "\n{title}\n\
         \x20 look at the data     sqlite3 {store} 'SELECT name, username, status, mfa_state FROM identity LIMIT 10'\n\
         \x20 who can reach what   sqlite3 {store} \"SELECT identity, through, last_success FROM application_access\n\
         \x20                        WHERE application = 'Okta' AND can_sign_in LIMIT 10\"\n\
         \x20 what wants review    connector-host report --store {store}\n\
         \x20 as a page            connector-host demo --page\n\
         \x20 export it            connector-host export --store {store} --format ndjson --out {out}\n\n\
         {real}\n\
         \x20 1. In the Duo Admin Panel: Applications > Add an Application > Admin API; grant resource - Read.\n\
         \x20 2. Copy {config} to duo.toml. Fill in your API hostname and integration key, set\n\
         \x20    secret-key = {{ env = \"DUO_SECRET_KEY\" }}, and delete [network].\n\
         \x20 3. export DUO_SECRET_KEY=...\n\
         \x20    connector-host check --config duo.toml\n\
         \x20    connector-host sync  --config duo.toml\n\n\
         (`connector-host` is `cargo run --` here.)\n",
        title = style("Next").bold(),
        real = style("With your own tenant").bold(),
        store = store.display(),
        out = dir.join("export").display(),
        config = dir.join("duo.toml").display(),
    )
}
