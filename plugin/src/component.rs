//! The connector as a component: the imports as a [`Host`], and the exports.

use chrono::{DateTime, Utc};

use crate::contract::bindings::exports::iga::connector::connector::Guest;
use crate::contract::bindings::iga::connector::{http, logging, secrets};
use crate::contract::{
    Error, HttpError, Level, Manifest, Page, Position, Report, Request, Response, SecretError, Setting,
};
use crate::host::Host;

/// The host that runs this component.
struct Imports;

impl Host for Imports {
    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        http::send(request)
    }

    fn secret(&self, name: &str) -> Result<String, SecretError> {
        secrets::get(name)
    }

    fn log(&self, level: Level, message: &str) {
        logging::log(level, message);
    }

    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

struct Component;

impl Guest for Component {
    fn describe() -> Manifest {
        crate::describe()
    }

    fn check(settings: Vec<Setting>) -> Result<Report, Error> {
        crate::check(&Imports, &settings)
    }

    fn read(
        settings: Vec<Setting>,
        account: Option<String>,
        stream: String,
        position: Position,
    ) -> Result<Page, Error> {
        crate::read(&Imports, &settings, account.as_deref(), &stream, &position)
    }
}

#[expect(unsafe_code, unreachable_pub, reason = "generated: the exported symbols")]
mod export {
    use super::Component;
    crate::contract::bindings::export!(Component with_types_in crate::contract::bindings);
}
