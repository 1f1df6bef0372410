//! Options that several commands share.

use std::path::PathBuf;

use clap::Args;
use connector_server::folders::Folders;

/// The integration.
#[derive(Args)]
pub(crate) struct ConfigOption {
    /// The integration's configuration, a TOML file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Read only this stream (may be repeated)
    #[arg(long = "stream", value_name = "NAME")]
    pub(crate) streams: Vec<String>,
}

/// The folder of the daemon.
#[derive(Args)]
pub(crate) struct DirOption {
    /// The folder of `serve`, with `integrations`, `connectors` and `data`
    #[arg(long, value_name = "DIR", default_value = ".", env = "CONNECTOR_HOST_DIR")]
    pub(crate) dir: PathBuf,
}

impl DirOption {
    pub(crate) fn folders(&self) -> Folders {
        Folders::new(self.dir.clone())
    }
}

/// The store.
#[derive(clap::Args)]
pub(crate) struct StoreOption {
    /// The store that `sync` or `serve` wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) store: PathBuf,
    /// Only this integration
    #[arg(long, value_name = "NAME")]
    pub(crate) integration: Option<String>,
}
