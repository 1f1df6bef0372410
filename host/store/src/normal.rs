//! The normal form as JSON, in the names that every export shares: snake case, absent values as null, times as RFC 3339 in UTC.

use chrono::{DateTime, SecondsFormat};
use serde::ser::{Serialize, SerializeMap, Serializer};

use connector_sandbox::contract::types::{
    Account, Application, AttemptResult, Attribute, AttributeValue, Authenticator, AuthenticatorFactor,
    BypassCode, Connection, ConnectionKind, EntityType, Expiry, Identity, IdentityKind, MfaState, NormalForm,
    Policy, Resource, Status, Timestamp, UserAccess, UsesLeft,
};

/// A time. In JSON it is a text: `2026-09-20T14:30:00Z`. A time outside the calendar stays a number.
#[derive(Clone, Copy)]
struct Time(Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match DateTime::from_timestamp(self.0, 0) {
            Some(time) => serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Secs, true)),
            None => serializer.serialize_i64(self.0),
        }
    }
}

/// A time as text, as the store has it: text that sorts by time.
pub(crate) fn time_text(seconds: Timestamp) -> String {
    match DateTime::from_timestamp(seconds, 0) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Secs, true),
        None => seconds.to_string(),
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

/// Attributes as a JSON object, in the order of their names. Of two with the same name, the last one is kept.
pub(crate) struct Attributes<'a>(pub(crate) &'a [Attribute]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sorted: Vec<_> = self.0.iter().collect();
        sorted.sort_by_key(|attribute| attribute.name.as_str());
        let mut map = serializer.serialize_map(None)?;
        for same in sorted.chunk_by(|one, other| one.name == other.name) {
            let Some(Attribute { name, value }) = same.last() else { continue };
            match value {
                AttributeValue::Text(text) => map.serialize_entry(name, text),
                AttributeValue::Boolean(value) => map.serialize_entry(name, value),
                AttributeValue::Integer(value) => map.serialize_entry(name, value),
                AttributeValue::Number(value) => map.serialize_entry(name, value),
                AttributeValue::Timestamp(value) => map.serialize_entry(name, &Time(*value)),
                AttributeValue::Texts(texts) => map.serialize_entry(name, texts),
            }?;
        }
        map.end()
    }
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

fn mfa_state(state: MfaState) -> &'static str {
    match state {
        MfaState::Enrolled => "enrolled",
        MfaState::NotEnrolled => "not-enrolled",
        MfaState::Bypassed => "bypassed",
    }
}

/// The normal fields of an entity, without its name and keys, as a JSON object.
pub(crate) struct Fields<'a>(pub(crate) &'a NormalForm);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = Object(serializer.serialize_map(None)?);
        match self.0 {
            NormalForm::Identity(identity) => identity_fields(&mut object, identity),
            NormalForm::Connection(connection) => connection_fields(&mut object, connection),
            NormalForm::Resource(resource) => resource_fields(&mut object, resource),
        }?;
        object.0.end()
    }
}

/// A JSON object that is being written.
struct Object<M>(M);

impl<M: SerializeMap> Object<M> {
    fn field(&mut self, name: &'static str, value: impl Serialize) -> Result<(), M::Error> {
        self.0.serialize_entry(name, &value)
    }
}

fn identity_fields<M: SerializeMap>(object: &mut Object<M>, identity: &Identity) -> Result<(), M::Error> {
    object.field(
        "kind",
        match identity.kind {
            IdentityKind::Human => "human",
            IdentityKind::Service => "service",
        },
    )?;
    object.field("username", &identity.username)?;
    object.field("display_name", &identity.display_name)?;
    object.field("given_name", &identity.given_name)?;
    object.field("family_name", &identity.family_name)?;
    object.field("emails", &identity.emails)?;
    object.field("aliases", &identity.aliases)?;
    object.field("external_id", &identity.external_id)?;
    object.field("directory_key", &identity.directory_key)?;
    object.field("status", status(identity.status))?;
    object.field("vendor_status", &identity.vendor_status)?;
    object.field("status_reason", &identity.status_reason)?;
    object.field("mfa_state", identity.mfa_state.map(mfa_state))?;
    object.field("is_privileged", identity.is_privileged)?;
    object.field("created", identity.created.map(Time))?;
    object.field("last_login", identity.last_login.map(Time))
}

fn connection_fields<M: SerializeMap>(
    object: &mut Object<M>,
    connection: &Connection,
) -> Result<(), M::Error> {
    object.field(
        "kind",
        match connection.kind {
            ConnectionKind::Group => "group",
            ConnectionKind::Role => "role",
            ConnectionKind::AdministrativeUnit => "administrative-unit",
            ConnectionKind::Everyone => "everyone",
            ConnectionKind::Other => "other",
        },
    )?;
    object.field("description", &connection.description)?;
    object.field("status", status(connection.status))?;
    object.field("vendor_status", &connection.vendor_status)?;
    object.field("mfa_state", connection.mfa_state.map(mfa_state))?;
    object.field("is_privileged", connection.is_privileged)?;
    object.field("created", connection.created.map(Time))
}

fn resource_fields<M: SerializeMap>(object: &mut Object<M>, resource: &Resource) -> Result<(), M::Error> {
    match resource {
        Resource::Application(application) => application_fields(object, application),
        Resource::Authenticator(authenticator) => authenticator_fields(object, authenticator),
        Resource::BypassCode(code) => bypass_code_fields(object, code),
        Resource::Policy(Policy { is_global }) => {
            object.field("kind", "policy")?;
            object.field("is_global", is_global)
        }
        Resource::Account(Account { edition }) => {
            object.field("kind", "account")?;
            object.field("edition", edition)
        }
        Resource::Other => object.field("kind", "other"),
    }
}

fn application_fields<M: SerializeMap>(
    object: &mut Object<M>,
    application: &Application,
) -> Result<(), M::Error> {
    object.field("kind", "application")?;
    object.field("application_type", &application.application_type)?;
    object.field(
        "user_access",
        match application.user_access {
            UserAccess::AllUsers => "all-users",
            UserAccess::PermittedGroups => "permitted-groups",
            UserAccess::NoUsers => "no-users",
            UserAccess::Unknown => "unknown",
        },
    )?;
    object.field("self_service", application.self_service)?;
    object.field("policy_key", &application.policy_key)
}

fn authenticator_fields<M: SerializeMap>(
    object: &mut Object<M>,
    authenticator: &Authenticator,
) -> Result<(), M::Error> {
    object.field("kind", "authenticator")?;
    object.field(
        "factor",
        match authenticator.factor {
            AuthenticatorFactor::Phone => "phone",
            AuthenticatorFactor::HardwareToken => "hardware-token",
            AuthenticatorFactor::Webauthn => "webauthn",
            AuthenticatorFactor::U2f => "u2f",
            AuthenticatorFactor::Desktop => "desktop",
            AuthenticatorFactor::Other => "other",
        },
    )?;
    object.field("phishing_resistant", authenticator.phishing_resistant)?;
    object.field("platform", &authenticator.platform)?;
    object.field("model", &authenticator.model)?;
    object.field("activated", authenticator.activated)?;
    object.field("added", authenticator.added.map(Time))?;
    object.field("last_seen", authenticator.last_seen.map(Time))
}

fn bypass_code_fields<M: SerializeMap>(object: &mut Object<M>, code: &BypassCode) -> Result<(), M::Error> {
    object.field("kind", "bypass-code")?;
    object.field("created", code.created.map(Time))?;
    match code.expires {
        Expiry::Never => object.field("expires", "never"),
        Expiry::At(at) => object.field("expires", Time(at)),
        Expiry::Unknown => object.field("expires", ()),
    }?;
    match code.uses_left {
        UsesLeft::Unlimited => object.field("uses_left", "unlimited"),
        UsesLeft::Times(times) => object.field("uses_left", times),
        UsesLeft::Unknown => object.field("uses_left", ()),
    }?;
    object.field("issued_by", &code.issued_by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, to_value};

    #[test]
    fn times_are_utc_and_those_outside_the_calendar_stay_numbers() {
        assert_eq!(to_value(Time(1_581_620_180)).unwrap(), "2020-02-13T18:56:20Z");
        assert_eq!(to_value(Time(i64::MAX)).unwrap(), i64::MAX);
    }

    #[test]
    fn a_code_that_never_expires_differs_from_one_with_an_unknown_expiry() {
        let code = |expires, uses_left| {
            let code = BypassCode { created: None, expires, uses_left, issued_by: None };
            to_value(Fields(&NormalForm::Resource(Resource::BypassCode(code)))).unwrap()
        };
        let forever = code(Expiry::Never, UsesLeft::Unlimited);
        assert_eq!((&forever["expires"], &forever["uses_left"]), (&"never".into(), &"unlimited".into()));
        let unknown = code(Expiry::Unknown, UsesLeft::Unknown);
        assert_eq!((&unknown["expires"], &unknown["uses_left"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn attributes_have_the_order_of_their_names_and_the_last_of_two_counts() {
        let text = |name: &str, value: &str| Attribute {
            name: name.to_owned(),
            value: AttributeValue::Text(value.to_owned()),
        };
        let attributes = [text("b", "1"), text("a", "2"), text("b", "3")];
        assert_eq!(serde_json::to_string(&Attributes(&attributes)).unwrap(), r#"{"a":"2","b":"3"}"#);
    }
}
