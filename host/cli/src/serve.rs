//! `connector-host serve`, and `connector-host token`, which makes a new token to sign in to its page.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::bundled::BUNDLED;
use crate::exit::{Exit, Failure};
use crate::options::DirOption;
use crate::terminal;
use connector_sandbox::{Engine, EngineOptions, bounded_file};
use connector_server::PagesOptions;
use connector_server::authentication::{Proxy, new_token};
use connector_server::client::Client;
use connector_server::recent_log::RecentLog;
use connector_server::{ServeOptions, serve};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    dir: DirOption,
    /// Where the Integrations page listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8420", env = "CONNECTOR_HOST_LISTEN")]
    listen: SocketAddr,
    /// Serve no Integrations page and no API
    #[arg(long, conflicts_with = "listen")]
    no_page: bool,
    /// Address of the page behind a proxy: `https://connectors.example.com`
    #[arg(long, value_name = "URL")]
    public_url: Option<Url>,
    /// Header in which a proxy names the person who signed in: `X-Forwarded-Email`
    ///
    /// People then sign in at the proxy only, not with the token. The proxy must remove this header from incoming requests,
    /// and prove itself with `X-Connector-Host-Proxy-Secret`.
    #[arg(long, value_name = "HEADER", requires = "proxy_secret_file")]
    proxy_header: Option<String>,
    /// The file with the secret that the proxy sends in `X-Connector-Host-Proxy-Secret`
    #[arg(long, value_name = "FILE", requires = "proxy_header")]
    proxy_secret_file: Option<PathBuf>,
    /// Connect to another address for a host, for all integrations: `api.example.com=http://127.0.0.1:8443`. May be
    /// repeated
    #[arg(long, value_name = "HOST=URL", value_parser = host_and_url)]
    connect_to: Vec<(String, String)>,
}

#[derive(clap::Args)]
pub(crate) struct TokenOptions {
    #[command(flatten)]
    dir: DirOption,
}

fn host_and_url(text: &str) -> Result<(String, String), String> {
    let (host, url) = text.split_once('=').ok_or("takes HOST=URL")?;
    Ok((host.to_owned(), url.to_owned()))
}

pub(crate) async fn run(
    options: Options,
    engine: &EngineOptions,
    recent_log: RecentLog,
) -> Result<Exit, Failure> {
    let engine = Engine::new(engine)?;
    let options = options.parse(recent_log)?;
    let stop = CancellationToken::new();
    let reloads = listen_for_signals(&stop)?;
    serve(engine, options, stop, reloads).await?;
    Ok(Exit::Complete)
}

/// Cancels `stop` on SIGTERM and SIGINT. The receiver gets a message on SIGHUP: all files must be read again.
pub(crate) fn listen_for_signals(stop: &CancellationToken) -> Result<mpsc::Receiver<()>, Failure> {
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
                // If the channel is full, a reload is already due.
                _ = hang_up.recv() => drop(reload.try_send(())),
            }
        }
    });
    Ok(reloads)
}

impl Options {
    fn parse(self, recent_log: RecentLog) -> Result<ServeOptions, Failure> {
        let proxy = match (self.proxy_header, self.proxy_secret_file) {
            (Some(header), Some(file)) => {
                let read = bounded_file::read_secret(&file, bounded_file::VALUE);
                let text = read.with_context(|| format!("could not read `{}`", file.display()))?;
                let secret = text.trim();
                if secret.len() < 16 {
                    let error =
                        anyhow::anyhow!("the secret in `{}` has fewer than 16 characters", file.display());
                    return Err(Failure::new(Exit::Usage, error));
                }
                let proxy = Proxy::new(&header, SecretString::from(secret));
                Some(proxy.ok_or_else(|| {
                    let error = anyhow::anyhow!(
                        "`--proxy-header {header}` is not the name of a header, or one with another meaning: name one \
                         that only the proxy sets, such as `X-Forwarded-Email`"
                    );
                    Failure::new(Exit::Usage, error)
                })?)
            }
            _ => None,
        };
        let pages = PagesOptions { listen: self.listen, public_url: self.public_url, proxy };
        Ok(ServeOptions {
            folders: self.dir.folders(),
            bundled: BUNDLED,
            connect_to: self.connect_to.into_iter().collect::<BTreeMap<_, _>>(),
            recent_log,
            pages: (!self.no_page).then_some(pages),
        })
    }
}

/// Makes a new token.
pub(crate) async fn token(options: TokenOptions) -> Result<Exit, Failure> {
    let folders = options.dir.folders();
    let token = new_token(&folders.token())?;
    terminal::data(&format!("{token}\n"))?;
    terminal::tell("Sign in with this token. It is shown only once. All users must sign in again\n");
    // A running `serve` ends the sessions of the former token at once.
    Client::new(&folders)?.refresh_token().await?;
    Ok(Exit::Complete)
}
