//! Stream `application-usage`: the last use of each application, and of each user at each application, from the
//! authentication log, version 2.
//!
//! An event is an attempt to sign in; enrollments are skipped. Each page folds its events into the last success and the
//! last attempt of each application, and of each user at each application. Applications and users that were deleted
//! after the event are included, with the key and name in the event.
//!
//! The Admin API and the Accounts API do not appear in this log.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::Stream;
use super::applications::APPLICATION;
use super::list::{elements, empty_page};
use super::object::{identity, resource};
use super::users::USER;
use crate::api::{Client, Endpoint, Listing};
use crate::contract::{Attempt, AttemptResult, Error, ErrorKind, Page, Position, Problem, Usage};
use crate::lenient::{Field, Key, Record, Shape};
use crate::moment::{Moment, NOT_PAST};
use crate::paging::log::Walk;
use crate::paging::offset;
use crate::permission_group::{GRANT_READ_LOG, PermissionGroup, answers};
use crate::settings::LOG_DAYS;

pub(crate) const ENDPOINT: Endpoint<'_> =
    Endpoint { path: "/admin/v2/logs/authentication", permissions: GRANT_READ_LOG, v5_only: false };

/// The largest page that Duo serves here.
const LIMIT: u32 = 1000;

/// The authentication log.
pub(crate) static LOG: PermissionGroup = PermissionGroup {
    permissions: GRANT_READ_LOG,
    edition_of: None,
    probe: |client| {
        // Requests one event of the last day.
        let walk = Walk::at(&Position::Beginning, 1, client.now())?;
        let params = walk.params(1);
        let params: Vec<_> = params.iter().map(|(name, value)| (*name, value.as_str())).collect();
        answers(client, &ENDPOINT, &params)
    },
};

pub(super) static STREAM: Stream = Stream {
    name: "application-usage",
    title: "Application usage",
    entities: &[],
    relations: &[],
    optional: true,
    log: true,
    permission_group: &LOG,
    read,
};

fn read(client: &Client<'_>, position: &Position) -> Result<Page, Error> {
    let walk = Walk::at(position, client.settings().log_days, client.now())?;
    let params = walk.params(LIMIT);
    let params: Vec<_> = params.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let reply = client
        .get::<Field<Listing<Event>>>(&ENDPOINT, &params)
        .map_err(|error| refused(error, walk.next.is_some()))?;
    let events = elements(client, &ENDPOINT, reply.response)?;
    let now = client.now();
    let last = events.iter().filter_map(|event| match event {
        Field::Value(Record(Event { timestamp: Field::Value(moment), .. })) => moment.past(now),
        _ => None,
    });
    let mut page = empty_page(walk.next(ENDPOINT.path, &reply.metadata, events.len(), last.max())?);
    page.total = offset::total(&reply.metadata);
    page.window = Some(walk.window());
    let mut uses = Uses::new();
    for (index, event) in events.into_iter().enumerate() {
        match event {
            Field::Value(Record(event)) => event.fold(index, now, &mut uses, &mut page.problems),
            Field::Missing => {
                page.problems.push(left_out(None, None, format!("`authlogs[{index}]` is empty")))
            }
            Field::Malformed(what) => {
                page.problems.push(left_out(None, None, format!("`authlogs[{index}]` is {what}")));
            }
        }
    }
    page.usages = uses.into_iter().map(|((application, user), last)| last.usage(application, user)).collect();
    Ok(page)
}

/// The code 40002 refers to the cursor if there is one, otherwise to the window.
fn refused(mut error: Error, in_mid_walk: bool) -> Error {
    if error.code.as_deref() == Some("40002") {
        if in_mid_walk {
            error.kind = ErrorKind::InvalidPosition;
        } else {
            error.remedy = Some(format!(
                "set `{LOG_DAYS}` to at most the days that the account keeps its log (*Log Retention* in the settings \
                 of the Duo Admin Panel)"
            ));
        }
    }
    error
}

fn left_out(source_id: Option<&str>, field: Option<&str>, fault: String) -> Problem {
    Problem {
        source_id: source_id.map(str::to_owned),
        field: field.map(str::to_owned),
        message: format!("{fault}; this event was left out"),
    }
}

/// An event of the log.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    txid: Field<String>,
    timestamp: Field<Moment>,
    event_type: Field<String>,
    result: Field<String>,
    reason: Field<String>,
    application: Field<Record<Named>>,
    user: Field<Record<Named>>,
}

/// The key and name of an application or a user at the time of the event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    key: Field<Key>,
    name: Field<String>,
}

/// The last use by the key of the application and the key of the user; `None` stands for all users.
type Uses = BTreeMap<(String, Option<String>), Last>;

/// The last use so far.
#[derive(Default)]
struct Last {
    application_name: Option<String>,
    user_name: Option<String>,
    success: Option<i64>,
    attempt: Option<Attempt>,
}

impl Event {
    fn fold(self, index: usize, now: DateTime<Utc>, uses: &mut Uses, problems: &mut Vec<Problem>) {
        let txid = self.txid.ok();
        let place = match &txid {
            Some(txid) => format!("the event `{}`", txid.escape_debug()),
            None => format!("`authlogs[{index}]`"),
        };
        let mut fields = EventFields { txid: txid.as_deref(), place, problems };
        let event_type = self.event_type.ok().unwrap_or_default();
        if event_type.trim().eq_ignore_ascii_case("enrollment") {
            return;
        }
        let at = match self.timestamp {
            Field::Value(moment) => match moment.past(now) {
                Some(at) => at,
                None => return fields.left_out("timestamp", &format!("is of {moment}, which is {NOT_PAST}")),
            },
            Field::Missing | Field::Malformed(_) => return fields.left_out("timestamp", "has no time"),
        };
        let Field::Value(Record(Named { key: Field::Value(Key(application)), name })) = self.application
        else {
            return fields.left_out("application", "names no application");
        };
        let application_name = fields.take("application.name", name);
        let (word, reason) = (fields.take("result", self.result), fields.take("reason", self.reason));
        let result = result(word.as_deref().unwrap_or_default());
        // An unknown word tells more than the reason.
        let vendor_result = if result == AttemptResult::Other { word.or(reason) } else { reason.or(word) };
        let attempt = Attempt { at, result, vendor_result };
        // An attempt with an unknown user name counts too, as a use of the application.
        let Record(Named { key, name }) = fields.take("user", self.user).unwrap_or_default();
        let (user, user_name) = (fields.take("user.key", key), fields.take("user.name", name));
        if let Some(Key(user)) = user {
            let last = uses.entry((application.clone(), Some(user))).or_default();
            last.see(&attempt, application_name.as_deref(), user_name.as_deref());
        }
        uses.entry((application, None)).or_default().see(&attempt, application_name.as_deref(), None);
    }
}

/// Takes the fields of one event, and records a problem for each malformed one.
struct EventFields<'a> {
    txid: Option<&'a str>,
    /// The event, for messages.
    place: String,
    problems: &'a mut Vec<Problem>,
}

impl EventFields<'_> {
    /// The event is left out, because of its `field`.
    fn left_out(&mut self, field: &str, fault: &str) {
        self.problems.push(left_out(self.txid, Some(field), format!("{} {fault}", self.place)));
    }

    /// The value of `field`; `None` if it is missing or malformed.
    fn take<T: for<'de> Shape<'de>>(&mut self, field: &str, value: Field<T>) -> Option<T> {
        if let Field::Malformed(what) = value {
            self.problems.push(Problem {
                source_id: self.txid.map(str::to_owned),
                field: Some(field.to_owned()),
                message: format!("{} has {what} as its `{field}`; it was left out", self.place),
            });
        }
        value.ok()
    }
}

impl Last {
    fn see(&mut self, attempt: &Attempt, application_name: Option<&str>, user_name: Option<&str>) {
        if attempt.result == AttemptResult::Success {
            self.success = self.success.max(Some(attempt.at));
        }
        if self.attempt.as_ref().is_none_or(|last| last.at <= attempt.at) {
            self.attempt = Some(attempt.clone());
            self.application_name = application_name.map(str::to_owned).or(self.application_name.take());
            self.user_name = user_name.map(str::to_owned).or(self.user_name.take());
        }
    }

    fn usage(self, application: String, user: Option<String>) -> Usage {
        Usage {
            identity: user.map(|user| identity(USER, user)),
            identity_name: self.user_name,
            resource: resource(APPLICATION, application),
            resource_name: self.application_name,
            last_success: self.success,
            last_attempt: self.attempt,
        }
    }
}

/// The result. The word is in lower case in this version, and in upper case in older logs.
fn result(word: &str) -> AttemptResult {
    match word.trim().to_ascii_lowercase().as_str() {
        "success" => AttemptResult::Success,
        "denied" | "failure" => AttemptResult::Denied,
        "fraud" => AttemptResult::Fraud,
        _ => AttemptResult::Other,
    }
}
