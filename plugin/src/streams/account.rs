//! Stream `account`: the Duo account itself, from `/admin/v1/info/summary`.
//!
//! Its key is the API hostname, which is the same whatever is granted: Duo's own id may be read in one run and not in the
//! next, and would make two accounts of one. Other streams relate to the same key; the id is an attribute.

use serde::Deserialize;

use super::list::{empty_page, no_answer};
use super::object::{Attributes, Fields, entity};
use super::{EntityRow, Stream};
use crate::api::{Client, Endpoint};
use crate::contract::{Account, EntityType, Error, NormalForm, Page, Position, Progress, Resource};
use crate::lenient::{Field, Record};
use crate::paging::offset::Cursor;
use crate::permission_group::{GRANT_READ_INFORMATION, PermissionGroup, answers};

/// The source type of the account.
pub(super) const ACCOUNT: &str = "account";

pub(crate) const ENDPOINT: Endpoint<'_> =
    Endpoint { path: "/admin/v1/info/summary", permissions: GRANT_READ_INFORMATION, v5_only: false };

/// Information about the account.
pub(crate) static INFORMATION: PermissionGroup = PermissionGroup {
    permissions: GRANT_READ_INFORMATION,
    edition_of: None,
    probe: |client| answers(client, &ENDPOINT, &[]),
};

pub(super) static STREAM: Stream = Stream {
    name: "account",
    title: "Account",
    entities: &[EntityRow {
        entity_type: EntityType::Resource,
        source_type: ACCOUNT,
        title: "Accounts",
        fields: &[("edition", "`edition`; older accounts do not have it")],
        attributes: &[
            ("account_id", "`account_id`: Duo's own id; older accounts do not have it"),
            ("api_hostname", "The hostname of its API, which is its key too"),
            ("user_count", "Users, as Duo counts them"),
            ("user_pending_deletion_count", "Users in the trash"),
            ("admin_count", "Administrators"),
            ("integration_count", "Applications"),
            ("telephony_credits_remaining", "Credits left for calls and text messages"),
        ],
    }],
    relations: &[],
    optional: true,
    log: false,
    permission_group: &INFORMATION,
    read,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Summary {
    /// Older accounts lack it.
    account_id: Field<String>,
    edition: Field<String>,
    user_count: Field<i64>,
    user_pending_deletion_count: Field<i64>,
    admin_count: Field<i64>,
    integration_count: Field<i64>,
    telephony_credits_remaining: Field<i64>,
}

fn read(client: &Client<'_>, position: &Position) -> Result<Page, Error> {
    Cursor::at(position, None)?;
    let reply = client.get::<Field<Record<Summary>>>(&ENDPOINT, &[])?;
    let summary = match reply.response {
        Field::Value(Record(summary)) => summary,
        Field::Missing => return Err(no_answer(client, &ENDPOINT, "missing")),
        Field::Malformed(what) => {
            return Err(no_answer(client, &ENDPOINT, &format!("{what} instead of an object")));
        }
    };
    let mut page = empty_page(Progress::Done(None));
    let key = client.account();
    let mut fields = Fields { key, now: client.now(), problems: &mut page.problems };
    let account = Account { edition: fields.take("edition", summary.edition) };
    let mut attributes = Attributes::default();
    attributes.text("account_id", fields.take("account_id", summary.account_id));
    attributes.text("api_hostname", Some(client.api_hostname().to_owned()));
    for (name, count) in [
        ("user_count", summary.user_count),
        ("user_pending_deletion_count", summary.user_pending_deletion_count),
        ("admin_count", summary.admin_count),
        ("integration_count", summary.integration_count),
        ("telephony_credits_remaining", summary.telephony_credits_remaining),
    ] {
        attributes.integer(name, fields.take(name, count));
    }
    let normal = NormalForm::Resource(Resource::Account(account));
    page.entities.push(entity(ACCOUNT, key.to_owned(), None, normal, attributes));
    Ok(page)
}
