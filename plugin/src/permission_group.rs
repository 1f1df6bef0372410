//! Endpoints that one permission opens: one cheap request tells whether it is granted.
//!
//! Duo refuses a missing permission, an edition without the feature and more with the same 403. `edition_of` tells them
//! apart: where the permission opens that group and not this one, the edition lacks the feature.

use serde::de::IgnoredAny;

use crate::api::{Client, Endpoint};
use crate::contract::{Error, ErrorKind};
use crate::settings::SIGNATURE;
use crate::signing::Scheme;

/// Endpoints that open together.
pub(crate) struct PermissionGroup {
    /// What opens them, in the words of the Duo Admin Panel. Several where the sources differ.
    pub(crate) permissions: &'static [&'static str],
    /// The group that the same permission opens in every edition of Duo, where this one is not in every edition.
    pub(crate) edition_of: Option<&'static Self>,
    /// Asks the cheapest endpoint. Yields the account's id where it learns it.
    pub(crate) probe: fn(&Client<'_>) -> Result<Option<String>, Error>,
}

/// *Grant resource - Read*
pub(crate) const GRANT_RESOURCE_READ: &[&str] = &["Grant resource - Read"];
/// The reference says the former, guides of other products ask for the latter too.
pub(crate) const GRANT_RESOURCE_READ_OR_APPLICATIONS: &[&str] =
    &["Grant resource - Read", "Grant applications"];
/// *Grant administrators - Read*
pub(crate) const GRANT_ADMINISTRATORS_READ: &[&str] = &["Grant administrators - Read"];
/// *Grant read log*
pub(crate) const GRANT_READ_LOG: &[&str] = &["Grant read log"];
/// *Grant read information*
pub(crate) const GRANT_READ_INFORMATION: &[&str] = &["Grant read information"];

/// Asks for one object of a list.
pub(crate) fn first_of(client: &Client<'_>, endpoint: &Endpoint<'_>) -> Result<Option<String>, Error> {
    client.get::<IgnoredAny>(endpoint, &[("limit", "1"), ("offset", "0")]).map(|_| None)
}

/// Refuses what `endpoint` would refuse: how Duo answers an old signature differs, and may look like a wrong key.
///
/// # Errors
///
/// `unexpected` where the endpoint takes only signatures of version 5, and the settings ask for another.
pub(crate) fn require_v5(client: &Client<'_>, endpoint: &Endpoint<'_>) -> Result<(), Error> {
    if !endpoint.v5_only || client.settings().scheme == Scheme::V5 {
        return Ok(());
    }
    let message = format!("did not try to read `{}`: it takes only signatures of version 5", endpoint.path);
    Err(Error::new(ErrorKind::Unexpected, message)
        .remedy(format!("set `{SIGNATURE}` to `{}`", Scheme::V5.name())))
}
