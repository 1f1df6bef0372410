//! `duo-simulator`: a simulated Cisco Duo tenant on loopback.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use duo_simulator::{Grant, Simulator, TenantOptions};

/// A simulated Cisco Duo tenant on loopback, as strict as the real Admin API.
///
/// Checks signature, date, host, keys, permissions and parameters, and pages with Duo's limits. Prints the
/// configuration that reads it, and answers until Ctrl-C.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Options {
    /// Users of the tenant
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// Tenants with the same seed are the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Answer https, with a certificate from an authority of its own
    #[arg(long, requires = "ca_file")]
    tls: bool,
    /// Where to write that authority, in PEM form
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Permissions of the Admin API application
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "resource-read,administrators-read,read-log,read-information"
    )]
    grants: Vec<Grant>,
    /// Enforce the limits per minute
    #[arg(long)]
    rate_limits: bool,
    /// Seconds that the tenant's clock is ahead of this machine's
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    clock_offset: i64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let tenant = TenantOptions {
        users: options.users,
        seed: options.seed,
        grants: options.grants.into_iter().collect(),
        rate_limits: options.rate_limits,
        clock_offset_seconds: options.clock_offset,
        ..TenantOptions::default()
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let simulator = Simulator::start_at(tenant, address, options.tls).await?;
    let mut ca_line = String::new();
    if let (Some(pem), Some(path)) = (simulator.ca_pem(), &options.ca_file) {
        std::fs::write(path, pem).with_context(|| format!("could not write `{}`", path.display()))?;
        // Whole, because the configuration may be put into another folder than this one.
        let path =
            std::path::absolute(path).with_context(|| format!("no such path: `{}`", path.display()))?;
        ca_line = format!("ca-file    = {:?}\n", path.display().to_string());
    }
    let tenant = simulator.options();
    let text = format!(
        "# duo.toml\n\
         name      = \"duo\"\n\
         connector = \"duo\"\n\
         [settings]\n\
         api-hostname    = \"{host}\"\n\
         integration-key = \"{key}\"\n\
         secret-key      = {{ env = \"DUO_SECRET_KEY\" }}\n\
         [network]\n\
         connect-to = {{ \"{host}\" = \"{url}\" }}\n\
         {ca_line}\n\
         # in the shell that reads it\n\
         export DUO_SECRET_KEY={secret}\n\n\
         # {users} users; Ctrl-C stops\n",
        host = tenant.host,
        key = tenant.integration_key,
        secret = tenant.secret_key,
        url = simulator.url(),
        users = tenant.users,
    );
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    drop(stdout);
    tokio::signal::ctrl_c().await?;
    Ok(())
}
