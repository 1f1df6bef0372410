//! The normal form as JSON, in the names that every export shares: snake case, absent values as null, times as
//! RFC 3339 in UTC.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

use connector_sandbox::contract::types::{
    Account, Application, AttemptResult, Attribute, AttributeValue, Authenticator, AuthenticatorFactor,
    BypassCode, Connection, ConnectionKind, EntityType, Expiry, Identity, IdentityKind, MfaState, NormalForm,
    Policy, Resource, Status, Timestamp, UserAccess, UsesLeft,
};

/// A time as text: `2026-09-20T14:30:00Z`. A time outside the calendar stays a number.
#[must_use]
pub fn time(seconds: Timestamp) -> Value {
    match DateTime::from_timestamp(seconds, 0) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Secs, true).into(),
        None => seconds.into(),
    }
}

/// A time as text, as the store has it: text that sorts by time.
pub(crate) fn time_text(seconds: Timestamp) -> String {
    match time(seconds) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn optional_time(seconds: Option<Timestamp>) -> Value {
    seconds.map_or(Value::Null, time)
}

/// The normal fields of an entity, without its name and keys.
#[must_use]
pub fn fields(normal: &NormalForm) -> Value {
    match normal {
        NormalForm::Identity(identity) => identity_fields(identity),
        NormalForm::Connection(connection) => connection_fields(connection),
        NormalForm::Resource(resource) => resource_fields(resource),
    }
}

/// The type of an entity with these fields.
#[must_use]
pub fn entity_type(normal: &NormalForm) -> EntityType {
    match normal {
        NormalForm::Identity(_) => EntityType::Identity,
        NormalForm::Connection(_) => EntityType::Connection,
        NormalForm::Resource(_) => EntityType::Resource,
    }
}

/// Attributes as an object. Of two with the same name, the last one is kept.
#[must_use]
pub fn attributes(attributes: &[Attribute]) -> Value {
    let entries = attributes.iter().map(|attribute| {
        let value = match &attribute.value {
            AttributeValue::Text(text) => Value::from(text.as_str()),
            AttributeValue::Boolean(value) => Value::from(*value),
            AttributeValue::Integer(value) => Value::from(*value),
            AttributeValue::Number(value) => Value::from(*value),
            AttributeValue::Timestamp(value) => time(*value),
            AttributeValue::Texts(texts) => Value::from(texts.as_slice()),
        };
        (attribute.name.clone(), value)
    });
    Value::Object(entries.collect::<Map<_, _>>())
}

/// The word for how an attempt ended.
#[must_use]
pub fn attempt_result(result: AttemptResult) -> &'static str {
    match result {
        AttemptResult::Success => "success",
        AttemptResult::Denied => "denied",
        AttemptResult::Fraud => "fraud",
        AttemptResult::Other => "other",
    }
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Disabled => "disabled",
        Status::Locked => "locked",
        Status::Pending => "pending",
        Status::Expired => "expired",
        Status::PendingDeletion => "pending-deletion",
        Status::Other => "other",
    }
}

fn mfa_state(state: Option<MfaState>) -> Option<&'static str> {
    state.map(|state| match state {
        MfaState::Enrolled => "enrolled",
        MfaState::NotEnrolled => "not-enrolled",
        MfaState::Bypassed => "bypassed",
    })
}

fn identity_fields(identity: &Identity) -> Value {
    json!({
        "kind": match identity.kind {
            IdentityKind::Human => "human",
            IdentityKind::Service => "service",
        },
        "username": identity.username,
        "display_name": identity.display_name,
        "given_name": identity.given_name,
        "family_name": identity.family_name,
        "emails": identity.emails,
        "aliases": identity.aliases,
        "external_id": identity.external_id,
        "directory_key": identity.directory_key,
        "status": status(identity.status),
        "vendor_status": identity.vendor_status,
        "status_reason": identity.status_reason,
        "mfa_state": mfa_state(identity.mfa_state),
        "is_privileged": identity.is_privileged,
        "created": optional_time(identity.created),
        "last_login": optional_time(identity.last_login),
    })
}

fn connection_fields(connection: &Connection) -> Value {
    json!({
        "kind": match connection.kind {
            ConnectionKind::Group => "group",
            ConnectionKind::Role => "role",
            ConnectionKind::AdministrativeUnit => "administrative-unit",
            ConnectionKind::Everyone => "everyone",
            ConnectionKind::Other => "other",
        },
        "description": connection.description,
        "status": status(connection.status),
        "vendor_status": connection.vendor_status,
        "mfa_state": mfa_state(connection.mfa_state),
        "is_privileged": connection.is_privileged,
        "created": optional_time(connection.created),
    })
}

fn resource_fields(resource: &Resource) -> Value {
    match resource {
        Resource::Application(Application { application_type, user_access, self_service, policy_key }) => {
            json!({
                "kind": "application",
                "application_type": application_type,
                "user_access": match user_access {
                    UserAccess::AllUsers => "all-users",
                    UserAccess::PermittedGroups => "permitted-groups",
                    UserAccess::NoUsers => "no-users",
                    UserAccess::Unknown => "unknown",
                },
                "self_service": self_service,
                "policy_key": policy_key,
            })
        }
        Resource::Authenticator(authenticator) => authenticator_fields(authenticator),
        Resource::BypassCode(BypassCode { created, expires, uses_left, issued_by }) => json!({
            "kind": "bypass-code",
            "created": optional_time(*created),
            "expires": match expires {
                Expiry::Never => "never".into(),
                Expiry::At(at) => time(*at),
                Expiry::Unknown => Value::Null,
            },
            "uses_left": match uses_left {
                UsesLeft::Unlimited => "unlimited".into(),
                UsesLeft::Times(times) => Value::from(*times),
                UsesLeft::Unknown => Value::Null,
            },
            "issued_by": issued_by,
        }),
        Resource::Policy(Policy { is_global }) => json!({ "kind": "policy", "is_global": is_global }),
        Resource::Account(Account { edition }) => json!({ "kind": "account", "edition": edition }),
        Resource::Other => json!({ "kind": "other" }),
    }
}

fn authenticator_fields(authenticator: &Authenticator) -> Value {
    json!({
        "kind": "authenticator",
        "factor": match authenticator.factor {
            AuthenticatorFactor::Phone => "phone",
            AuthenticatorFactor::HardwareToken => "hardware-token",
            AuthenticatorFactor::Webauthn => "webauthn",
            AuthenticatorFactor::U2f => "u2f",
            AuthenticatorFactor::Desktop => "desktop",
            AuthenticatorFactor::Other => "other",
        },
        "phishing_resistant": authenticator.phishing_resistant,
        "platform": authenticator.platform,
        "model": authenticator.model,
        "activated": authenticator.activated,
        "added": optional_time(authenticator.added),
        "last_seen": optional_time(authenticator.last_seen),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_those_outside_the_calendar_stay_numbers() {
        assert_eq!(time(1_581_620_180), "2020-02-13T18:56:20Z");
        assert_eq!(time(i64::MAX), i64::MAX);
    }

    #[test]
    fn a_code_that_never_expires_differs_from_one_with_an_unknown_expiry() {
        let code = |expires, uses_left| {
            let code = BypassCode { created: None, expires, uses_left, issued_by: None };
            fields(&NormalForm::Resource(Resource::BypassCode(code)))
        };
        let forever = code(Expiry::Never, UsesLeft::Unlimited);
        assert_eq!((&forever["expires"], &forever["uses_left"]), (&"never".into(), &"unlimited".into()));
        let unknown = code(Expiry::Unknown, UsesLeft::Unknown);
        assert_eq!((&unknown["expires"], &unknown["uses_left"]), (&Value::Null, &Value::Null));
    }
}
