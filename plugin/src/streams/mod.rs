//! The streams. Each has one file with its endpoint, Duo's types and their mapping, and one row in [`STREAMS`].
//!
//! A mapping drops nothing silently: each element of `response` becomes an entity, or a problem that names its
//! place; each malformed field becomes a problem that names the field.

pub(crate) mod account;
pub(crate) mod administrators;
pub(crate) mod applications;
mod bypass_codes;
mod desktop_authenticators;
pub(crate) mod groups;
mod list;
mod object;
mod phones;
pub(crate) mod policies;
mod service_accounts;
mod tokens;
pub(crate) mod units;
pub(crate) mod usage;
mod users;
mod webauthn_credentials;

use crate::api::Client;
use crate::contract::{EntityType, Error, Page, Position};
use crate::permission_group::PermissionGroup;

/// All streams, in the order a run should read them.
pub(crate) static STREAMS: &[&Stream] = &[
    &users::STREAM,
    &groups::STREAM,
    &phones::STREAM,
    &tokens::STREAM,
    &webauthn_credentials::STREAM,
    &desktop_authenticators::STREAM,
    &bypass_codes::STREAM,
    &applications::STREAM,
    &policies::STREAM,
    &administrators::STREAM,
    &units::STREAM,
    &account::STREAM,
    &usage::STREAM,
];

/// A stream: how to read it, and what the manifest says about it.
pub(crate) struct Stream {
    /// Kebab case.
    pub(crate) name: &'static str,
    /// Plural, for a heading.
    pub(crate) title: &'static str,
    pub(crate) entities: &'static [EntityRow],
    pub(crate) relations: &'static [RelationRow],
    /// Whether a run is complete without it.
    pub(crate) optional: bool,
    /// Whether it reads a log: it returns usages, and continues from a bookmark.
    pub(crate) log: bool,
    /// The permissions that open it.
    pub(crate) permission_group: &'static PermissionGroup,
    /// Reads one page.
    pub(crate) read: fn(&Client<'_>, &Position) -> Result<Page, Error>,
}

/// A type of entity that a stream returns. Fields and attributes are pairs of name and description.
pub(crate) struct EntityRow {
    pub(crate) entity_type: EntityType,
    pub(crate) source_type: &'static str,
    pub(crate) title: &'static str,
    pub(crate) fields: &'static [(&'static str, &'static str)],
    pub(crate) attributes: &'static [(&'static str, &'static str)],
}

/// A type of relation that a stream returns, between source types.
pub(crate) struct RelationRow {
    pub(crate) parent: &'static str,
    pub(crate) privilege: &'static str,
    pub(crate) child: &'static str,
    pub(crate) description: &'static str,
}

#[cfg(test)]
mod tests;
