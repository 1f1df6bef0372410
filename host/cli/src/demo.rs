//! `connector-host demo`: reads a simulated tenant, and shows what was found.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use chrono::Utc;
use console::style;
use duo_simulator::{Simulator, TenantOptions};
use tokio_util::sync::CancellationToken;

use crate::bundled::BUNDLED;
use crate::check;
use crate::exit::{Exit, Failure};
use crate::progress::Progress;
use crate::{report, sync as sync_command, table, terminal};
use connector_report::insights;
use connector_report::render::readable_time;
use connector_sandbox::manifest::Manifest;
use connector_sandbox::text::plain;
use connector_sandbox::{Engine, EngineOptions, private_file};
use connector_server::PagesOptions;
use connector_server::folders::Folders;
use connector_server::recent_log::RecentLog;
use connector_server::{ServeOptions, serve};
use connector_store::{QueryParams, Reader};
use connector_sync::active::ActiveIntegration;
use connector_sync::check::Checked;
use connector_sync::configuration::Configuration;
use connector_sync::integration::Integration;
use connector_sync::{Event, Observer, Summary};

/// How many findings are shown.
const FINDINGS: usize = 3;
/// How many objects are named as examples of a finding.
const EXAMPLES: u32 = 3;
/// How many of the people who can sign in to an application are shown.
const PEOPLE_SHOWN: u32 = 5;

/// The application that is reached through the most groups and other connections.
const APPLICATION: &str = "SELECT application FROM application_access WHERE can_sign_in
    GROUP BY application ORDER BY count(DISTINCT through) DESC, application LIMIT 1";
/// The people who can sign in to an application; `BY_IDENTITY` makes one row for each.
const PEOPLE: &str = "SELECT identity, username, group_concat(through, ', '), mfa_state, max(last_success)
    FROM application_access";
const BY_IDENTITY: &str =
    "AND can_sign_in GROUP BY identity_source_type, identity_source_id ORDER BY identity";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Users of the simulated tenant
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    users: u32,
    /// Seed of the simulated tenant: the same seed and users make the same tenant
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where configuration and data go
    #[arg(long, value_name = "DIR", default_value = "demo-data")]
    dir: PathBuf,
    /// Serve the Integrations page with this tenant, until Ctrl-C
    #[arg(long)]
    page: bool,
    /// Where the page listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8420", env = "CONNECTOR_HOST_LISTEN")]
    listen: std::net::SocketAddr,
}

pub(crate) async fn run(
    options: Options,
    engine: &EngineOptions,
    recent_log: RecentLog,
) -> Result<Exit, Failure> {
    let tenant = TenantOptions {
        users: options.users,
        seed: options.seed,
        // One page of the log: together with the requests of `check`, it fits into the budget of a minute.
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
        table::number(connector.artifact().bytes.len().div_ceil(1024) as u64),
        connector.digest(),
    ))?;

    let store = options.dir.join("duo.db");
    let observer = Demo { integration: Arc::clone(&integration), progress: Progress::new() };
    let summary =
        connector_sync::run(serving, store.clone(), Arc::new(observer), CancellationToken::new()).await?;
    step("What it read")?;
    terminal::data(&objects(&summary, integration.manifest()))?;
    terminal::data(&format!("{}\n", sync_command::remarks(&summary, &store).trim_start_matches('\n')))?;
    let reader = Reader::open(&store)?;
    step("What a reviewer looks at first")?;
    terminal::data(&findings(&reader)?)?;
    if let Some(answer) = access(&reader)? {
        terminal::data(&answer)?;
    }
    terminal::data(&next(&store, &options.dir))?;
    Ok(if summary.complete { Exit::Complete } else { Exit::Partial })
}

/// Serves the page with an integration that reads the tenant, and prints the values to set up another one.
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
    // The token that an earlier demo printed is no longer on the screen: without its file, a new one is made and printed.
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

/// Writes a configuration like one for a real tenant, and the secret key beside it.
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
        private_file::replace(&dir.join("secret-key"), tenant.secret_key.as_bytes())?;
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
            // An event can't return an error. If standard output fails, the next step of the demo returns it.
            let _ = step("The permissions:").and_then(|()| terminal::data(&table));
            let _ = step("Syncing");
        }
        self.progress.event(event);
    }
}

/// How many objects of each type were read.
fn objects(summary: &Summary, manifest: &Manifest) -> String {
    let mut rows = table::new(&["Objects", "Type", "#Read"]);
    for count in &summary.entities {
        let title = plain(manifest.title_of(&count.source_type));
        rows.add_row([title, count.entity_type.clone(), table::number(count.seen)]);
    }
    format!("{rows}\n")
}

/// The findings that matter most.
fn findings(store: &Reader) -> Result<String, Failure> {
    let mut found = insights::all(store, None, Utc::now(), EXAMPLES)?;
    found.retain(|found| found.count.is_some_and(|count| count > 0));
    found.sort_by_key(|found| found.insight.severity);
    let mut rows = table::new(&["Severity", "Finding", "#Objects", "For example"]);
    for found in found.iter().take(FINDINGS) {
        let examples = found.rows.iter().map(|row| plain(&row.name)).collect::<Vec<_>>().join(", ");
        rows.add_row([
            report::severity(found),
            found.insight.title.to_owned(),
            report::count(found),
            examples,
        ]);
    }
    Ok(format!("{rows}\n"))
}

/// Who can sign in to `APPLICATION`, and through what.
fn access(store: &Reader) -> Result<Option<String>, Failure> {
    let question = |limit| QueryParams { integration: None, now: "", idle_since: "", limit, offset: 0 };
    let Some(Some(application)) = store.ask(APPLICATION, question(1))?.into_iter().flatten().next() else {
        return Ok(None);
    };
    let people = format!("{PEOPLE} WHERE application = ({APPLICATION}) {BY_IDENTITY}");
    let mut rows = table::new(&["User", "User name", "Through", "MFA", "Last sign-in"]);
    for row in store.ask(&people, question(PEOPLE_SHOWN))? {
        rows.add_row(row.iter().map(|cell| cell.as_deref().map(readable).unwrap_or_default()));
    }
    let total = store.count(&people, question(1))?;
    let more = total.saturating_sub(PEOPLE_SHOWN.into());
    let more = if more > 0 { format!("and {} more\n", table::number(more)) } else { String::new() };
    step(&format!("Who can sign in to {}: {} users", plain(&application), table::number(total)))?;
    Ok(Some(format!("{rows}\n{more}")))
}

fn readable(cell: &str) -> String {
    plain(&readable_time(cell))
}

fn next(store: &Path, dir: &Path) -> String {
    format!(
        "\n{title}\n\
         \x20 look at the data     sqlite3 {store} 'SELECT name, username, status, mfa_state FROM identity LIMIT 10'\n\
         \x20 who reaches what     sqlite3 {store} \"SELECT identity, through, last_success FROM application_access\n\
         \x20                        WHERE application = 'Okta' AND can_sign_in LIMIT 10\"\n\
         \x20 all findings         connector-host report --store {store}\n\
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
