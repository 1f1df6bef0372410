//! Stream `bypass-codes`: data about the codes that replace MFA, from `/admin/v1/bypass_codes`. It never reads the codes
//! themselves: Duo does not serve them here, and the stream does not request them.
//!
//! Duo gives the e-mail of the administrator who issued a code. Only a page with such an e-mail costs a further read of
//! the list of administrators. If the permission for that list is missing, one problem per walk reports it, the e-mail
//! is kept, and the relation is left out. If the list can't be read for another reason, the page fails: otherwise, known
//! relations would seem removed.

use serde::Deserialize;

use super::administrators::{self, ADMINISTRATOR};
use super::groups::RESOURCE;
use super::list::read_from;
use super::object::{Attributes, Fields, Nullable, Object, entity, grant, identity, resource};
use super::users::{USER, UserOf};
use super::{EntityRow, RelationRow, Stream};
use crate::api::{Client, Endpoint};
use crate::contract::{
    BypassCode, EntityType, Error, ErrorKind, Expiry, NormalForm, Page, Position, Problem, Progress,
    Resource, UsesLeft,
};
use crate::lenient::{Field, Key, Record};
use crate::moment::Moment;
use crate::paging::offset::Cursor;
use crate::permission_group::GRANT_RESOURCE_READ;

const BYPASS_CODE: &str = "bypass-code";

const ENDPOINT: Endpoint<'_> =
    Endpoint { path: "/admin/v1/bypass_codes", permissions: GRANT_RESOURCE_READ, v5_only: false };

/// The largest page that Duo serves here.
const LIMIT: u32 = 500;

pub(super) static STREAM: Stream = Stream {
    name: "bypass-codes",
    title: "Bypass codes",
    entities: &[EntityRow {
        entity_type: EntityType::Resource,
        source_type: BYPASS_CODE,
        title: "Bypass codes",
        fields: &[
            ("created", "`created`"),
            ("expires", "`expiration`; never if it is null"),
            ("uses_left", "`reuse_count`; unlimited if it is null"),
            ("issued_by", "`admin_email`; none for codes made through the API or by the user"),
        ],
        attributes: &[],
    }],
    relations: &[
        RelationRow {
            parent: USER,
            privilege: "holds",
            child: BYPASS_CODE,
            description: "The code signs the user in (`user` of the code)",
        },
        RelationRow {
            parent: ADMINISTRATOR,
            privilege: "issued",
            child: BYPASS_CODE,
            description: "The administrator with this e-mail made the code. Needs *Grant administrators - Read*",
        },
    ],
    optional: false,
    log: false,
    permission_group: &RESOURCE,
    read,
};

fn read(client: &Client<'_>, position: &Position) -> Result<Page, Error> {
    let cursor = Cursor::at(position, None)?;
    let mut page = read_from::<Code>(client, &ENDPOINT, LIMIT, &cursor)?;
    let issued: Vec<(String, String)> = page.entities.iter().filter_map(issuer).collect();
    if issued.is_empty() || cursor.told {
        return Ok(page);
    }
    match administrators::addresses(client) {
        Ok(administrators) => {
            for (code, email) in issued {
                match administrators.key(&email) {
                    Ok(Some(administrator)) => {
                        let administrator = identity(ADMINISTRATOR, administrator);
                        page.relations.push(grant(administrator, "issued", resource(BYPASS_CODE, code)));
                    }
                    Ok(None) => {}
                    Err(several) => page.problems.push(ambiguous(code, several)),
                }
            }
        }
        Err(error) if matches!(error.kind, ErrorKind::MissingPermission(_) | ErrorKind::NotInEdition) => {
            page.problems.push(not_related(&error));
            if let Progress::More(next) = page.progress {
                let mut next = Cursor::at(&Position::At(next), None)?;
                next.told = true;
                page.progress = Progress::More(next.to_string());
            }
        }
        Err(error) => return Err(error),
    }
    Ok(page)
}

/// The problem if the issuer of a code may be each of `several` administrators.
fn ambiguous(code: String, several: usize) -> Problem {
    Problem {
        source_id: Some(code),
        field: Some("admin_email".to_owned()),
        message: format!("`admin_email` may be that of {several} administrators; the issuer was left out"),
    }
}

/// The problem if the issuers of codes are unknown because a permission is missing.
fn not_related(error: &Error) -> Problem {
    let Error { message, remedy, .. } = error;
    let remedy = remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
    Problem {
        source_id: None,
        field: Some("admin_email".to_owned()),
        message: format!("the issuers of bypass codes are left out: {message}{remedy}"),
    }
}

/// The key of the code, and the e-mail of its issuer.
fn issuer(entity: &crate::contract::Entity) -> Option<(String, String)> {
    match &entity.normal {
        NormalForm::Resource(Resource::BypassCode(code)) => {
            Some((entity.source_id.clone(), code.issued_by.clone()?))
        }
        _ => None,
    }
}

/// A bypass code, as Duo serves it in the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Code {
    bypass_code_id: Field<Key>,
    admin_email: Field<String>,
    created: Field<Moment>,
    expiration: Nullable<Moment>,
    reuse_count: Nullable<i64>,
    user: Field<Record<UserOf>>,
}

impl Object for Code {
    const KEY: &'static str = "bypass_code_id";

    fn key(&self) -> &Field<Key> {
        &self.bypass_code_id
    }

    fn map(self, key: String, client: &Client<'_>, page: &mut Page) {
        let mut fields = Fields { key: &key, now: client.now(), problems: &mut page.problems };
        let expires = match self.expiration {
            Nullable::Null => Expiry::Never,
            Nullable::Given(field) => fields.expiry("expiration", field).map_or(Expiry::Unknown, Expiry::At),
        };
        let uses_left = match self.reuse_count {
            Nullable::Null => UsesLeft::Unlimited,
            Nullable::Given(field) => uses_left(&mut fields, field),
        };
        let code = BypassCode {
            created: fields.past("created", self.created),
            expires,
            uses_left,
            issued_by: fields.take("admin_email", self.admin_email),
        };
        if let Some(user) = fields.nested("user", self.user) {
            page.relations.push(grant(identity(USER, user), "holds", resource(BYPASS_CODE, &*key)));
        }
        let normal = NormalForm::Resource(Resource::BypassCode(code));
        page.entities.push(entity(BYPASS_CODE, key, None, normal, Attributes::default()));
    }
}

/// How often the code can still be used.
fn uses_left(fields: &mut Fields<'_>, reuse_count: Field<i64>) -> UsesLeft {
    let Some(count) = fields.take("reuse_count", reuse_count) else { return UsesLeft::Unknown };
    u32::try_from(count).map_or_else(
        |_| {
            let message =
                format!("`reuse_count` is {count}, which is no possible number of uses; it was left out");
            fields.problem("reuse_count", message);
            UsesLeft::Unknown
        },
        UsesLeft::Times,
    )
}
