//! Endpoints that one permission opens: one cheap request shows whether it is granted.
//!
//! Duo answers with the same 403 if a permission is missing, if the edition lacks the feature, and in other cases.
//! `edition_of` separates the first two: if the permission opens that group but not this one, the edition lacks
//! the feature.

use serde::de::IgnoredAny;

use crate::api::{Client, Endpoint};
use crate::contract::{Error, ErrorKind};
use crate::settings::SIGNATURE;
use crate::signing::Scheme;

/// Endpoints that the same permission opens.
pub(crate) struct PermissionGroup {
    /// The permissions that open them, as the Duo Admin Panel names them. Several if the sources differ.
    pub(crate) permissions: &'static [&'static str],
    /// If not every edition of Duo has this group: a group that the same permission opens in every edition.
    pub(crate) edition_of: Option<&'static Self>,
    /// Requests the cheapest endpoint.
    pub(crate) probe: fn(&Client<'_>) -> Result<(), Error>,
}

pub(crate) const GRANT_RESOURCE_READ: &[&str] = &["Grant resource - Read"];
/// Duo's reference names the first permission; guides of other products also require the second.
pub(crate) const GRANT_RESOURCE_READ_OR_APPLICATIONS: &[&str] =
    &["Grant resource - Read", "Grant applications"];
pub(crate) const GRANT_ADMINISTRATORS_READ: &[&str] = &["Grant administrators - Read"];
pub(crate) const GRANT_READ_LOG: &[&str] = &["Grant read log"];
pub(crate) const GRANT_READ_INFORMATION: &[&str] = &["Grant read information"];

/// Requests one object of a list.
pub(crate) fn first_of(client: &Client<'_>, endpoint: &Endpoint<'_>) -> Result<(), Error> {
    answers(client, endpoint, &[("limit", "1"), ("offset", "0")])
}

/// Requests `endpoint` with `params`, and ignores what it answers.
pub(crate) fn answers(
    client: &Client<'_>,
    endpoint: &Endpoint<'_>,
    params: &[(&str, &str)],
) -> Result<(), Error> {
    client.get::<IgnoredAny>(endpoint, params).map(|_| ())
}

/// Fails without a request if `endpoint` would refuse the signature. Duo's answers to an old signature vary, and may
/// look like a wrong key.
///
/// # Errors
///
/// `unexpected` if the endpoint takes only signatures of version 5, and the settings select another version.
pub(crate) fn require_v5(client: &Client<'_>, endpoint: &Endpoint<'_>) -> Result<(), Error> {
    if !endpoint.v5_only || client.settings().scheme == Scheme::V5 {
        return Ok(());
    }
    let message = format!("did not try to read `{}`: it takes only signatures of version 5", endpoint.path);
    Err(Error::new(ErrorKind::Unexpected, message)
        .remedy(format!("set `{SIGNATURE}` to `{}`", Scheme::V5.name())))
}
