//! `connector-host inspect`

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;

use crate::bundled::BUNDLED;
use crate::exit::{Exit, Failure};
use crate::{table, terminal};
use connector_report::documentation;
use connector_sandbox::manifest::{HostRule, Manifest, SettingKind};
use connector_sandbox::text::plain;
use connector_sandbox::{Connector, Engine, EngineOptions, Provenance, Source};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A bundled connector, or the path of a component [default: the first bundled one]
    connector: Option<String>,
    /// Print one JSON document
    #[arg(long, conflicts_with = "docs")]
    json: bool,
    /// Print the connector's documentation as Markdown: set-up, scopes, every field and relation
    #[arg(long)]
    docs: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    source: String,
    contract: String,
    sha256: String,
    size: usize,
    imports: Vec<String>,
    manifest: &'a Manifest,
}

pub(crate) async fn run(options: Options, engine: &EngineOptions) -> Result<Exit, Failure> {
    let named = match &options.connector {
        Some(name) => BUNDLED.iter().find(|bundled| bundled.name == name),
        None => BUNDLED.first(),
    };
    let source = match named {
        Some(bundled) => Source::Bundled(*bundled),
        None => Source::File(PathBuf::from(options.connector.unwrap_or_default())),
    };
    let connector = Connector::read_and_load(&Engine::new(engine)?, source, &Provenance::default()).await?;
    let report = Report {
        source: connector.artifact().source.to_string(),
        contract: format!("{}@{}", connector_sandbox::contract::PACKAGE, connector.contract()),
        sha256: connector.digest().to_string(),
        size: connector.artifact().bytes.len(),
        imports: connector.imports().iter().map(ToString::to_string).collect(),
        manifest: connector.manifest(),
    };
    if options.docs {
        let page = documentation(connector.manifest()).context("could not write the documentation")?;
        terminal::data(page.trim_end())?;
    } else if options.json {
        terminal::json(&report)?;
    } else {
        terminal::data(&text(&report))?;
    }
    Ok(Exit::Complete)
}

fn text(report: &Report<'_>) -> String {
    let manifest = report.manifest;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10} {}", plain(value));
    };
    line("Connector", &format!("{} ({}) {}", manifest.title, manifest.name, manifest.version));
    line("", &manifest.description);
    line("Source", &report.source);
    line("Contract", &report.contract);
    line("SHA-256", &report.sha256);
    line("Size", &format!("{} KiB", report.size.div_ceil(1024)));
    let hosts = manifest.hosts.iter().map(|host| match host {
        HostRule::Name(name) => name.clone(),
        HostRule::Setting(name) => format!("the value of `{name}`"),
    });
    line("Reaches", &format!("{} (https, GET)", hosts.collect::<Vec<_>>().join(", ")));
    let secrets = manifest.settings.iter().filter(|setting| setting.kind == SettingKind::Secret);
    let secrets: Vec<_> = secrets.map(|setting| format!("`{}`", setting.name)).collect();
    line("Secrets", &secrets.join(", "));
    let (ours, wasi): (Vec<&String>, Vec<_>) =
        report.imports.iter().partition(|import| import.starts_with(connector_sandbox::contract::PACKAGE));
    for (index, import) in ours.into_iter().enumerate() {
        line(if index == 0 { "Imports" } else { "" }, import);
    }
    line("", &format!("and {} of WASI: clocks, random, closed standard streams", wasi.len()));

    let mut settings = table::new(&["Setting", "Title", "Kind", "Required", "Default"]);
    for setting in &manifest.settings {
        let kind = serde_json::to_value(setting.kind).unwrap_or_default();
        settings.add_row([
            plain(&setting.name),
            plain(&setting.title),
            kind.as_str().unwrap_or_default().to_owned(),
            if setting.required { "yes" } else { "no" }.to_owned(),
            plain(setting.default.as_deref().unwrap_or_default()),
        ]);
    }
    let mut streams = table::new(&["Stream", "Yields", "Relations", "Permission", "Optional"]);
    for stream in &manifest.streams {
        let entities = stream
            .entities
            .iter()
            .map(|entity| format!("{} `{}`", entity.entity_type, plain(&entity.source_type)));
        let relations = stream
            .relations
            .iter()
            .map(|relation| plain(&format!("{} {} {}", relation.parent, relation.privilege, relation.child)));
        streams.add_row([
            plain(&stream.name),
            entities.collect::<Vec<_>>().join("\n"),
            relations.collect::<Vec<_>>().join("\n"),
            plain(&stream.permissions.join(" or ")),
            if stream.optional { "yes" } else { "no" }.to_owned(),
        ]);
    }
    let _ = writeln!(text, "\n{settings}\n\n{streams}");
    text
}
