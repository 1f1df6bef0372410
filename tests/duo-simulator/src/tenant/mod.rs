//! The objects of a tenant. Each is computed from the seed and its number when it is asked for: a million users
//! cost no more memory than ten, and the last page no more time than the first.
//!
//! Who has which device is arithmetic (see `devices`), so that what is embedded in a user and what the device's
//! own list says agree in both directions.

mod administration;
mod applications;
mod devices;
mod draw;
mod events;
mod people;

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use chrono::Utc;
use serde_json::Value;

use crate::options::TenantOptions;
use draw::{Draw, Key};

/// 2026-11-01T00:00:00Z, in seconds since 1970. Objects date from before it, so that a tenant is the same tomorrow;
/// only its log ends today.
const EPOCH: i64 = 1_793_491_200;

/// A kind of object with a list endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `/admin/v1/users`
    User,
    /// `/admin/v1/groups`
    Group,
    /// `/admin/v1/phones`
    Phone,
    /// `/admin/v1/tokens`
    Token,
    /// `/admin/v1/webauthncredentials`
    WebauthnCredential,
    /// `/admin/v1/desktop_authenticators`
    DesktopAuthenticator,
    /// `/admin/v1/bypass_codes`
    BypassCode,
    /// `/admin/v3/integrations`
    Integration,
    /// `/admin/v1/admins`
    Administrator,
    /// `/admin/v1/administrative_units`
    AdministrativeUnit,
    /// `/admin/v2/policies`
    Policy,
}

/// A field that users are looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserField {
    /// User name or alias.
    Username,
    /// E-mail address.
    Email,
}

impl Kind {
    /// The letters its keys begin with.
    const fn prefix(self) -> &'static str {
        match self {
            Self::User => "DU",
            Self::Group => "DG",
            Self::Phone => "DP",
            Self::Token => "DH",
            Self::WebauthnCredential => "WA",
            Self::DesktopAuthenticator => "DA",
            Self::BypassCode => "DB",
            Self::Integration => "DI",
            Self::Administrator => "DE",
            Self::AdministrativeUnit => "DM",
            Self::Policy => "PO",
        }
    }
}

/// A tenant's objects.
pub struct Tenant {
    options: TenantOptions,
    /// Numbers of deleted users, ascending.
    deleted: RwLock<Vec<u64>>,
    /// Numbers of users that were renamed, and how often.
    renamed: RwLock<BTreeMap<u64, u32>>,
    /// Numbers of the users that are there, by their names, where they are listed so.
    by_name: Option<RwLock<Vec<u64>>>,
    /// The moment the tenant was made, in milliseconds since 1970: its log ends there.
    now_ms: i64,
}

impl Tenant {
    /// The tenant with these options.
    #[must_use]
    pub fn new(options: &TenantOptions) -> Self {
        let mut tenant = Self {
            options: options.clone(),
            deleted: RwLock::default(),
            renamed: RwLock::default(),
            by_name: None,
            now_ms: Utc::now().timestamp_millis(),
        };
        if options.users_by_name {
            let mut order: Vec<u64> = (0..tenant.users()).collect();
            order.sort_by_cached_key(|number| tenant.username(*number));
            tenant.by_name = Some(RwLock::new(order));
        }
        tenant
    }

    /// The moment the tenant was made, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// How many objects of `kind` there are.
    #[must_use]
    pub fn count(&self, kind: Kind) -> u64 {
        match kind {
            Kind::User => self.users() - self.deleted().len() as u64 + self.options.extra_users.len() as u64,
            Kind::Group => self.groups() + self.options.extra_groups.len() as u64,
            Kind::Phone => self.phones(),
            Kind::Token => self.user_tokens() + self.administrator_tokens(),
            Kind::WebauthnCredential => self.webauthn_credentials(),
            Kind::DesktopAuthenticator => self.desktop_authenticators(),
            Kind::BypassCode => self.bypass_codes(),
            Kind::Integration => self.applications(),
            Kind::Administrator => self.administrators(),
            Kind::AdministrativeUnit => self.units(),
            Kind::Policy => self.policies(),
        }
    }

    /// The object of `kind` at `index`, as its list endpoint serves it.
    #[must_use]
    pub fn object(&self, kind: Kind, index: u64) -> Option<Value> {
        if index >= self.count(kind) {
            return None;
        }
        Some(match kind {
            Kind::User => return self.user_at(index),
            Kind::Group => return self.group_at(index),
            Kind::Phone => self.phone(index, true),
            Kind::Token => self.token(index, true),
            Kind::WebauthnCredential => self.webauthn_credential(index, true),
            Kind::DesktopAuthenticator => self.desktop_authenticator(index, true),
            Kind::BypassCode => self.bypass_code(index),
            Kind::Integration => self.application(index),
            Kind::Administrator => self.administrator(index),
            Kind::AdministrativeUnit => self.unit(index),
            Kind::Policy => self.policy(index),
        })
    }

    /// Where in its list the object with `key` is.
    #[must_use]
    pub fn find(&self, kind: Kind, key: &str) -> Option<u64> {
        if kind == Kind::Integration && key == self.options.integration_key {
            return Some(applications::OWN);
        }
        if let Some(index) = self.find_extra(kind, key) {
            return Some(index);
        }
        let number = Key::new(self.options.seed, kind.prefix()).number(key)?;
        match kind {
            Kind::User => self.index_of_user(number),
            _ => Some(number).filter(|number| *number < self.count(kind)),
        }
    }

    /// Where the object is that was handed in with the options and has `key`.
    fn find_extra(&self, kind: Kind, key: &str) -> Option<u64> {
        let (extras, field) = match kind {
            Kind::User => (&self.options.extra_users, "user_id"),
            Kind::Group => (&self.options.extra_groups, "group_id"),
            _ => return None,
        };
        let place = extras.iter().position(|extra| extra.get(field).and_then(Value::as_str) == Some(key))?;
        Some(self.count(kind) - extras.len() as u64 + place as u64)
    }

    /// Where the objects of `kind` are that have these values. Scans.
    #[must_use]
    pub fn find_by(&self, kind: Kind, fields: &[(&str, &str)]) -> Vec<u64> {
        let matches = |index: &u64| {
            let object = self.object(kind, *index).unwrap_or_default();
            fields.iter().all(|(field, value)| object.get(field).and_then(Value::as_str) == Some(value))
        };
        (0..self.count(kind)).filter(matches).collect()
    }

    /// Deletes the user at `index`: later ones move up by one.
    pub fn delete_user(&self, index: u64) {
        let Some(number) = self.user_number(index) else { return };
        let mut deleted = self.deleted.write().unwrap_or_else(PoisonError::into_inner);
        if let Err(place) = deleted.binary_search(&number) {
            deleted.insert(place, number);
            self.unlist(number);
        }
    }

    /// Brings back the user with this number, counted from zero as if none was deleted: later ones move down by one.
    pub fn restore_user(&self, number: u64) {
        let mut deleted = self.deleted.write().unwrap_or_else(PoisonError::into_inner);
        if let Ok(place) = deleted.binary_search(&number) {
            deleted.remove(place);
            self.list_by_name(number);
        }
    }

    /// Gives the user at `index` another name. Where users are listed by name, it begins with another letter.
    pub fn rename_user(&self, index: u64) {
        let Some(number) = self.user_number(index) else { return };
        self.unlist(number);
        *self.renamed.write().unwrap_or_else(PoisonError::into_inner).entry(number).or_default() += 1;
        self.list_by_name(number);
    }

    /// Takes a user out of the order by name.
    fn unlist(&self, number: u64) {
        if let Some(order) = &self.by_name {
            order.write().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != number);
        }
    }

    /// Puts a user where its name belongs.
    fn list_by_name(&self, number: u64) {
        if let Some(order) = &self.by_name {
            let mut order = order.write().unwrap_or_else(PoisonError::into_inner);
            let name = self.username(number);
            let place = order.partition_point(|other| self.username(*other) < name);
            order.insert(place, number);
        }
    }

    /// The keys of all users that are there.
    #[must_use]
    pub fn user_keys(&self) -> Vec<String> {
        (0..self.users())
            .filter(|number| self.is_there(*number))
            .map(|number| self.key(Kind::User, number))
            .collect()
    }

    fn times_renamed(&self, number: u64) -> u32 {
        self.renamed.read().unwrap_or_else(PoisonError::into_inner).get(&number).copied().unwrap_or(0)
    }

    fn deleted(&self) -> std::sync::RwLockReadGuard<'_, Vec<u64>> {
        self.deleted.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key of the object of `kind` with this number.
    fn key(&self, kind: Kind, number: u64) -> String {
        Key::new(self.options.seed, kind.prefix()).text(number)
    }

    /// The choices of the object of `kind` with this number.
    fn draw(&self, kind: Kind, number: u64) -> Draw {
        Draw::new(self.options.seed, kind.prefix(), number)
    }
}

/// A moment within the `days` before the epoch, in seconds since 1970.
fn past(draw: &mut Draw, days: u64) -> i64 {
    EPOCH - i64::try_from(draw.below(days * 86_400)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
