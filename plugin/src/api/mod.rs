//! One call of the Admin API: sign, send and parse the envelope, or return an error with its remedy. Does not depend
//! on the streams.

mod envelope;
mod failure;

use chrono::{DateTime, Utc};

#[cfg(test)]
pub(crate) use envelope::Total;
pub(crate) use envelope::{Listing, Metadata, NextOffset, Payload};

use crate::contract::{Error, Level, Request, Response};
use crate::host::Host;
use crate::settings::Settings;
use crate::signing::{self, Unsigned};

const USER_AGENT: &str = concat!("duo-connector/", env!("CARGO_PKG_VERSION"));

/// One path of the Admin API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint<'a> {
    /// From `/admin/`, without the query.
    pub(crate) path: &'a str,
    /// The permissions of the Admin API application that open it, as Duo names them. Several if the sources differ.
    pub(crate) permissions: &'static [&'static str],
    /// Whether it refuses signatures of version 2.
    pub(crate) v5_only: bool,
}

/// The result of a successful call.
#[derive(Debug)]
pub(crate) struct Reply<R> {
    /// The member `response`.
    pub(crate) response: R,
    /// The member `metadata`, from beside or inside `response`.
    pub(crate) metadata: Metadata,
}

/// Calls the Admin API with one set of settings.
#[derive(Clone, Copy)]
pub(crate) struct Client<'a> {
    host: &'a dyn Host,
    settings: &'a Settings,
    account: Option<&'a str>,
}

/// A request that was made, for error messages.
struct Call<'a> {
    endpoint: &'a Endpoint<'a>,
    settings: &'a Settings,
    signed_at: DateTime<Utc>,
}

impl<'a> Client<'a> {
    /// `account` is the account that `check` reported.
    pub(crate) fn new(host: &'a dyn Host, settings: &'a Settings, account: Option<&'a str>) -> Self {
        Self { host, settings, account }
    }

    /// The settings of all its calls.
    pub(crate) fn settings(&self) -> &'a Settings {
        self.settings
    }

    /// The key of the account: what `check` reported, which is the API hostname.
    pub(crate) fn account(&self) -> &'a str {
        self.account.unwrap_or(&self.settings.api_hostname)
    }

    /// The current time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.host.now()
    }

    /// Writes a line to the operator's log.
    pub(crate) fn log(&self, level: Level, message: &str) {
        self.host.log(level, message);
    }

    /// The API hostname that it calls.
    pub(crate) fn api_hostname(&self) -> &str {
        &self.settings.api_hostname
    }

    /// GETs `endpoint` with `params`.
    ///
    /// # Errors
    ///
    /// Every kind but `invalid-position`; see the table in `failure`.
    pub(crate) fn get<R: Payload>(
        &self,
        endpoint: &Endpoint<'_>,
        params: &[(&str, &str)],
    ) -> Result<Reply<R>, Error> {
        let call = Call { endpoint, settings: self.settings, signed_at: self.host.now() };
        let response = self.send(&call, params)?;
        let envelope = envelope::parse::<R>(&response.body)
            .map_err(|fault| failure::unreadable(&call, &response, &fault))?;
        if let Some(fault) = &envelope.salvaged {
            let line = format!("GET {}: parsed object by object, because of: {fault}", endpoint.path);
            self.host.log(Level::Warn, &line);
        }
        if envelope.verdict.is_ok() {
            Ok(Reply { response: envelope.response, metadata: envelope.metadata })
        } else {
            Err(failure::failed(&call, &response, &envelope.verdict))
        }
    }

    /// Signs and sends the request; a status other than 2xx is an error. Separate from `get`, which is compiled for
    /// each type of object.
    fn send(&self, call: &Call<'_>, params: &[(&str, &str)]) -> Result<Response, Error> {
        let Settings { api_hostname, integration_key, secret_key, scheme, account_id, .. } = self.settings;
        let path = call.endpoint.path;
        // The format of Duo's Python client: a day of two digits, and `-0000` for UTC.
        let date = call.signed_at.format("%a, %d %b %Y %H:%M:%S -0000").to_string();
        let child = account_id.iter().map(|account| ("account_id", account.as_str()));
        let params: Vec<(&str, &str)> = params.iter().copied().chain(child).collect();
        let query = signing::canonical_params(&params);
        let unsigned = Unsigned {
            date: &date,
            method: "GET",
            host: api_hostname,
            path,
            params: &query,
            body: b"",
            headers: &[],
        };
        let authorization = signing::authorization(*scheme, integration_key, secret_key.reveal(), &unsigned);
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let request = Request {
            url: format!("https://{api_hostname}{target}"),
            headers: vec![
                ("date".to_owned(), date),
                ("authorization".to_owned(), authorization),
                ("accept".to_owned(), "application/json".to_owned()),
                ("user-agent".to_owned(), USER_AGENT.to_owned()),
            ],
        };
        let response = self.host.send(&request).map_err(|error| failure::unanswered(call, &error))?;
        let line = format!("GET {target}: {}, {} bytes", response.status, response.body.len());
        self.host.log(Level::Debug, &line);
        if (200..300).contains(&response.status) {
            Ok(response)
        } else {
            Err(failure::refused(call, &response))
        }
    }
}

#[cfg(test)]
mod tests;
