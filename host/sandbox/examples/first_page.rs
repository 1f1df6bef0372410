//! Loads a connector, gives it HTTP and a secret, and prints the first page of users of a Duo account:
//!
//!     DUO_SECRET_KEY=... first_page duo.wasm api-XXXXXXXX.duosecurity.com DIXXXXXXXXXXXXXXXXXX

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use connector_sandbox::capabilities::{Capabilities, Network, ignore_waits};
use connector_sandbox::contract::api::{Page, Position, Setting};
use connector_sandbox::limits::Limits;
use connector_sandbox::{CallContext, Connector, Engine, EngineOptions, Provenance, Source};

type Error = Box<dyn std::error::Error>;

/// The first page of the stream `users`, read by the component in the file `wasm`.
pub(crate) async fn first_page(
    wasm: &Path,
    settings: &[(&str, &str)],
    secret: &str,
    network: Network,
) -> Result<Page, Error> {
    let engine = Engine::new(&EngineOptions::default())?;
    let source = Source::File(wasm.to_owned());
    let connector = Connector::read_and_load(&engine, source, &Provenance::default()).await?;
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| Setting { name: (*name).to_owned(), value: (*value).to_owned() })
        .collect();
    let secrets = BTreeMap::from([("secret-key".to_owned(), secret.into())]);
    let capabilities = Capabilities::new("example", connector.manifest(), &settings, secrets, &network)?;
    let capabilities = capabilities.for_call("users", None, &Arc::default(), &ignore_waits()).await;
    let context = CallContext { limits: Limits::default(), capabilities };
    // The outer error is a fault of the component, the inner one what the connector says of the vendor's answer.
    let page = connector.read(context, &settings, None, "users", &Position::Beginning).await?;
    page.map_err(|error| error.message.into())
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "this is what it is for")]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [wasm, host, integration_key] = arguments.as_slice() else {
        return Err("usage: first_page DUO.WASM API-HOSTNAME INTEGRATION-KEY".into());
    };
    let settings = [("api-hostname", host.as_str()), ("integration-key", integration_key)];
    let secret = std::env::var("DUO_SECRET_KEY")?;
    let page = first_page(Path::new(wasm), &settings, &secret, Network::default()).await?;
    page.entities.iter().for_each(|user| println!("{:<24} {}", user.source_id, user.name));
    Ok(())
}
