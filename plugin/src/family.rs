//! Endpoints that open with the same permission: one cheap request answers for all of them.
//!
//! Duo refuses a missing permission, an edition without the feature and more with the same 403. What a family
//! builds on tells them apart: where the permission opens one and not the other, the edition lacks it.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::api::{Client, Endpoint};
use crate::contract::{Error, ErrorKind};
use crate::lenient::{Field, Record};
use crate::paging::log;
use crate::settings::SIGNATURE;
use crate::signing::Scheme;
use crate::streams::{account, administrators, applications, groups, policies, units, usage};

/// Endpoints that open together.
pub(crate) struct Family {
    /// What opens them, in the words of the Duo Admin Panel. Several where the sources differ.
    pub(crate) permissions: &'static [&'static str],
    /// The family that the same permission opens in every edition, where this one is not in every edition.
    pub(crate) beyond: Option<&'static Self>,
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

/// Users, groups, and what users hold.
pub(crate) static RESOURCE: Family = Family {
    permissions: GRANT_RESOURCE_READ,
    beyond: None,
    probe: |client| first_of(client, &groups::ENDPOINT),
};

/// Applications, in the newest version that answers.
pub(crate) static APPLICATIONS: Family = Family {
    permissions: GRANT_RESOURCE_READ_OR_APPLICATIONS,
    beyond: None,
    probe: |client| match applications::current(client) {
        Some(endpoint) => match first_of(client, endpoint) {
            Err(error) if applications::is_refused(&error) => {
                // The refusal of the newest version names the remedy.
                first_of(client, &applications::LEGACY).map_err(|_| error)
            }
            probed => probed,
        },
        None => first_of(client, &applications::LEGACY),
    },
};

/// Policies and where they apply.
pub(crate) static POLICIES: Family = Family {
    permissions: GRANT_RESOURCE_READ,
    beyond: None,
    probe: |client| {
        require_v5(client, &policies::ENDPOINT)?;
        first_of(client, &policies::ENDPOINT)
    },
};

/// Administrators and their roles.
pub(crate) static ADMINISTRATORS: Family = Family {
    permissions: GRANT_ADMINISTRATORS_READ,
    beyond: None,
    probe: |client| first_of(client, &administrators::ENDPOINT),
};

/// Administrative units, which not every edition has.
pub(crate) static ADMINISTRATIVE_UNITS: Family = Family {
    permissions: GRANT_ADMINISTRATORS_READ,
    beyond: Some(&ADMINISTRATORS),
    probe: |client| first_of(client, &units::ENDPOINT),
};

/// The authentication log.
pub(crate) static LOG: Family = Family {
    permissions: GRANT_READ_LOG,
    beyond: None,
    probe: |client| {
        // A day, and one event of it.
        let walk = log::Walk::at(&crate::contract::Position::Beginning, 1, client.now())?;
        let params = walk.params(1);
        let params: Vec<_> = params.iter().map(|(name, value)| (*name, value.as_str())).collect();
        client.get::<IgnoredAny>(&usage::ENDPOINT, &params).map(|_| None)
    },
};

/// What the account says of itself.
pub(crate) static INFORMATION: Family = Family {
    permissions: GRANT_READ_INFORMATION,
    beyond: None,
    probe: |client| {
        let reply = client.get::<Field<Record<Summary>>>(&account::ENDPOINT, &[])?;
        Ok(reply.response.ok().and_then(|Record(summary)| summary.account_id.ok()))
    },
};

/// The part of the summary that names the account; older accounts lack it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Summary {
    account_id: Field<String>,
}

fn first_of(client: &Client<'_>, endpoint: &Endpoint<'_>) -> Result<Option<String>, Error> {
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
