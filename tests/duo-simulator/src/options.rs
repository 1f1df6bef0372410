//! What a simulated tenant is like.

use std::collections::BTreeSet;

use serde_json::Value;

/// A permission of the tenant's Admin API application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Grant {
    /// *Grant resource - Read*
    ResourceRead,
    /// *Grant administrators - Read*
    AdministratorsRead,
    /// *Grant read log*
    ReadLog,
    /// *Grant read information*
    ReadInformation,
    /// *Grant settings*
    Settings,
    /// *Grant applications*
    Applications,
}

/// The permissions that are ticked.
pub type Grants = BTreeSet<Grant>;

/// What a simulated tenant is like. Two tenants with the same options are the same.
#[derive(Clone, Debug)]
pub struct TenantOptions {
    /// Users, 1 to 1,000,000.
    pub users: u32,
    /// Decides every generated value.
    pub seed: u64,
    /// Groups; `None` takes a number that suits `users`.
    pub groups: Option<u32>,
    /// Applications; `None` takes a number that suits `users`.
    pub applications: Option<u32>,
    /// Administrators; `None` is nine.
    pub administrators: Option<u32>,
    /// Administrative units; `None` is three.
    pub units: Option<u32>,
    /// Authentication events; `None` is three per user.
    pub events: Option<u64>,
    /// API hostname that clients must address and sign.
    pub host: String,
    /// Integration key.
    pub integration_key: String,
    /// Secret key.
    pub secret_key: String,
    /// The permissions that are ticked.
    pub grants: Grants,
    /// Where the tenant is a child account: every request must carry this `account_id`.
    pub account_id: Option<String>,
    /// Whether *Grant applications* is needed to list applications, as some product guides say.
    pub applications_need_their_grant: bool,
    /// Whether the edition has administrator roles and administrative units.
    pub has_roles: bool,
    /// Whether the last page says `"next_offset": null` rather than nothing.
    pub null_next_offset: bool,
    /// Whether the limits per minute are enforced.
    pub rate_limits: bool,
    /// The simulator's clock, in seconds ahead of the machine's.
    pub clock_offset_seconds: i64,
    /// Whether users are listed by their names: one with a new name then stands elsewhere. Duo documents no order.
    pub users_by_name: bool,
    /// Served after the generated users, as they are.
    pub extra_users: Vec<Value>,
    /// Served after the generated groups, as they are.
    pub extra_groups: Vec<Value>,
}

impl Default for TenantOptions {
    /// A hundred users, all grants but *Grant settings* and *Grant applications*.
    fn default() -> Self {
        Self {
            users: 100,
            seed: 1,
            groups: None,
            applications: None,
            administrators: None,
            units: None,
            events: None,
            host: "api-51mu1a7e.duosecurity.com".to_owned(),
            integration_key: "DISIMULATEDTENANT001".to_owned(),
            secret_key: "5imu1atedS3cretKeyOfNoRealTenant00000001".to_owned(),
            grants: [Grant::ResourceRead, Grant::AdministratorsRead, Grant::ReadLog, Grant::ReadInformation]
                .into(),
            account_id: None,
            applications_need_their_grant: false,
            has_roles: true,
            null_next_offset: false,
            rate_limits: false,
            clock_offset_seconds: 0,
            users_by_name: false,
            extra_users: Vec::new(),
            extra_groups: Vec::new(),
        }
    }
}
