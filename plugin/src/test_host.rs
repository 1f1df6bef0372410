//! A host in memory, for the tests of this crate.

use std::cell::RefCell;

use chrono::{DateTime, TimeDelta, Utc};

use crate::contract::{HttpError, Level, Request, Response, SecretError, Setting};
use crate::host::Host;
use crate::settings::{API_HOSTNAME, INTEGRATION_KEY};

/// The secret key of all tests: no message, log or page may contain it.
pub(crate) const SECRET: &str = "Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep";

/// The API hostname of all tests.
pub(crate) const HOSTNAME: &str = "api-12345678.duosecurity.com";

type Tenant = Box<dyn Fn(&Request) -> Result<Response, HttpError>>;

/// A host that answers each request with a function.
pub(crate) struct TestHost {
    pub(crate) secret: Result<String, SecretError>,
    pub(crate) now: DateTime<Utc>,
    /// How long each answer takes.
    pub(crate) takes: TimeDelta,
    pub(crate) tenant: Tenant,
    /// The requests that were sent.
    pub(crate) requests: RefCell<Vec<Request>>,
    /// The lines that were logged.
    pub(crate) log: RefCell<Vec<String>>,
}

impl Default for TestHost {
    fn default() -> Self {
        Self {
            secret: Ok(SECRET.to_owned()),
            now: "2026-11-24T17:29:18Z".parse().unwrap(),
            takes: TimeDelta::zero(),
            tenant: Box::new(|request| panic!("an unexpected request to {}", request.url)),
            requests: RefCell::default(),
            log: RefCell::default(),
        }
    }
}

impl TestHost {
    /// A host that answers each request with `tenant`.
    pub(crate) fn with(tenant: impl Fn(&Request) -> Result<Response, HttpError> + 'static) -> Self {
        Self { tenant: Box::new(tenant), ..Self::default() }
    }

    /// The same, but each answer takes the time `takes`.
    pub(crate) fn slow(
        takes: TimeDelta,
        tenant: impl Fn(&Request) -> Result<Response, HttpError> + 'static,
    ) -> Self {
        Self { takes, ..Self::with(tenant) }
    }

    /// A host that gives the same answer to each request.
    pub(crate) fn answering(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let response = response(status, headers, body);
        Self::with(move |_| Ok(response.clone()))
    }
}

pub(crate) fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Response { status, headers, body: body.as_bytes().to_vec() }
}

/// The required settings.
pub(crate) fn settings() -> Vec<Setting> {
    [(API_HOSTNAME, HOSTNAME), (INTEGRATION_KEY, "DIWJ8X6AEYOR5OMC6TQ1")]
        .map(|(name, value)| Setting { name: name.to_owned(), value: value.to_owned() })
        .to_vec()
}

impl Host for TestHost {
    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        self.requests.borrow_mut().push(request.clone());
        (self.tenant)(request)
    }

    fn secret(&self, name: &str) -> Result<String, SecretError> {
        if name == crate::settings::SECRET_KEY { self.secret.clone() } else { Err(SecretError::NotGranted) }
    }

    fn log(&self, _: Level, message: &str) {
        self.log.borrow_mut().push(message.to_owned());
    }

    fn now(&self) -> DateTime<Utc> {
        let answered = i32::try_from(self.requests.borrow().len()).unwrap();
        self.now + self.takes * answered
    }
}
