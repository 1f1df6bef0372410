//! Administrators, administrative units and the account. Sections 4.12 to 4.14 and 4.18 of the reference.

use serde_json::{Value, json};

use super::draw::Draw;
use super::{Kind, Tenant, past};

const ROLES: [&str; 9] = [
    "Owner",
    "Administrator",
    "Application Manager",
    "User Manager",
    "Help Desk",
    "Security Analyst",
    "Billing",
    "Read-only",
    "Regional Support (custom)",
];

impl Tenant {
    pub(super) fn administrators(&self) -> u64 {
        self.options.administrators.map_or(9, u64::from)
    }

    pub(super) fn units(&self) -> u64 {
        self.options.units.map_or(3, u64::from)
    }

    fn administrator_name(number: u64) -> String {
        match number {
            0 => "Ellery Munson".to_owned(),
            1 => "Zoë Łapińska".to_owned(),
            number => format!("Admin {number}"),
        }
    }

    pub(super) fn administrator_email(&self, number: u64) -> String {
        format!("admin{number}@example.com")
    }

    fn administrator_last_login(&self, number: u64) -> Option<i64> {
        let mut draw = Draw::new(self.options.seed, "admin-login", number);
        (number != 3).then(|| past(&mut draw, 60))
    }

    /// Null for those who came before October 2021.
    fn administrator_created(&self, number: u64) -> Option<i64> {
        (number != 1)
            .then(|| past(&mut Draw::new(self.options.seed, "admin-created", number), 900) - 86_400 * 90)
    }

    fn units_of_administrator(&self, number: u64) -> Vec<u64> {
        if number < 5 { vec![] } else { (0..self.units()).filter(|unit| unit % 3 == number % 3).collect() }
    }

    pub(super) fn partial_administrator(&self, number: u64) -> Value {
        json!({
            "admin_id": self.key(Kind::Administrator, number),
            "created": self.administrator_created(number),
            "email": self.administrator_email(number),
            "last_login": self.administrator_last_login(number),
            "name": Self::administrator_name(number),
        })
    }

    pub(super) fn administrator(&self, number: u64) -> Value {
        let units = self.units_of_administrator(number);
        let has_token = number < self.administrator_tokens();
        let token = has_token.then(|| self.token(self.user_tokens() + number, false));
        let mut administrator = self.partial_administrator(number);
        let Some(object) = administrator.as_object_mut() else { return administrator };
        let status = match number {
            3 => "Pending Activation",
            4 => "Expired",
            6 => "Disabled",
            _ => "Active",
        };
        object.insert("status".to_owned(), status.into());
        object.insert(
            "phone".to_owned(),
            if number.is_multiple_of(4) { Value::Null } else { "+15555550199".into() },
        );
        object.insert("hardtoken".to_owned(), token.unwrap_or(Value::Null));
        object.insert("password_change_required".to_owned(), false.into());
        object.insert("restricted_by_admin_units".to_owned(), (!units.is_empty()).into());
        let units: Vec<_> = units.into_iter().map(|unit| self.key(Kind::AdministrativeUnit, unit)).collect();
        object.insert("admin_units".to_owned(), units.into());
        // Editions without roles have no such field.
        if self.options.has_roles {
            let role = ROLES.get(usize::try_from(number % ROLES.len() as u64).unwrap_or(0)).copied();
            object.insert("role".to_owned(), role.into());
        }
        administrator
    }

    /// Invitations: their codes and links are as good as passwords.
    #[must_use]
    pub fn admin_activations(&self) -> Vec<Value> {
        let (code, link) = self.activation();
        vec![json!({
            "admin_activation_id": "DAA000000000000001",
            "admin_role": "Owner",
            "code": code,
            "email": self.administrator_email(3),
            "email_sent": 1,
            "expires": super::EPOCH + 86_400,
            "link": link,
            "message": "",
            "subject": "",
            "valid_days": 7,
        })]
    }

    fn activation(&self) -> (String, String) {
        let code = format!("pLaNtEdAc{}", Draw::new(self.options.seed, "activation", 0).text(20));
        let link = format!("https://admin.example.com/activate/{code}");
        (code, link)
    }

    /// In the list a unit does not say whom it is for.
    pub(super) fn unit(&self, number: u64) -> Value {
        json!({
            "admin_unit_id": self.key(Kind::AdministrativeUnit, number),
            "name": match number { 0 => "EMEA".to_owned(), 1 => "Americas".to_owned(), number => format!("Unit {number}") },
            "description": if number.is_multiple_of(2) { "help desk" } else { "" },
            "restrict_by_groups": true,
            // Documented as a boolean, possible as a number.
            "restrict_by_integrations": u8::from(number.is_multiple_of(2)),
        })
    }

    fn unit_members(&self, number: u64) -> (Vec<String>, Vec<String>, Vec<String>) {
        let administrators =
            (0..self.administrators()).filter(|of| self.units_of_administrator(*of).contains(&number));
        let groups = (0..self.groups()).filter(|group| group % self.units().max(1) == number).take(20);
        let applications = (0..self.applications()).filter(|application| application % 4 == number);
        (
            administrators.map(|administrator| self.key(Kind::Administrator, administrator)).collect(),
            groups.map(|group| self.key(Kind::Group, group)).collect(),
            applications.map(|application| self.application_key(application)).collect(),
        )
    }

    /// A unit with whom it is for.
    #[must_use]
    pub fn unit_details(&self, number: u64) -> Option<Value> {
        if number >= self.units() {
            return None;
        }
        let (administrators, groups, applications) = self.unit_members(number);
        let mut unit = self.unit(number);
        if let Some(unit) = unit.as_object_mut() {
            unit.insert("admins".to_owned(), administrators.into());
            unit.insert("groups".to_owned(), groups.into());
            unit.insert("integrations".to_owned(), applications.into());
        }
        Some(unit)
    }

    /// Where the units are that an administrator, group or application belongs to; without any, all.
    #[must_use]
    pub fn units_of(
        &self,
        administrator: Option<&str>,
        group: Option<&str>,
        application: Option<&str>,
    ) -> Vec<u64> {
        let has =
            |keys: &[String], key: Option<&str>| key.is_none_or(|key| keys.iter().any(|found| found == key));
        let matches = |unit: &u64| {
            let (administrators, groups, applications) = self.unit_members(*unit);
            has(&administrators, administrator) && has(&groups, group) && has(&applications, application)
        };
        (0..self.units()).filter(matches).collect()
    }

    /// `/admin/v1/admins/password_mgmt`
    #[must_use]
    pub fn password_mgmt(&self) -> Vec<Value> {
        let rows = (0..self.administrators()).map(|number| {
            // Clients write it as text; both were seen.
            let external = if number.is_multiple_of(2) { json!(false) } else { json!("False") };
            json!({ "admin_id": self.key(Kind::Administrator, number), "has_external_password_mgmt": external })
        });
        rows.collect()
    }

    /// `/admin/v1/admins/allowed_auth_methods`
    #[must_use]
    pub fn allowed_auth_methods(&self) -> Value {
        json!({
            "hardware_token_enabled": true, "mobile_otp_enabled": true, "push_enabled": true, "sms_enabled": false,
            "verified_push_enabled": true, "verified_push_length": 6, "voice_enabled": false,
            "webauthn_enabled": true, "yubikey_enabled": true,
        })
    }

    /// `/admin/v1/info/summary`
    #[must_use]
    pub fn info_summary(&self) -> Value {
        json!({
            "account_id": self.options.account_id.as_deref().unwrap_or("DASIMULATEDACCOUNT01"),
            "admin_count": self.administrators(),
            "edition": if self.options.has_roles { "Duo Premier" } else { "Duo Essentials" },
            "integration_count": self.applications(),
            "telephony_credits_remaining": 473,
            "user_count": self.count(Kind::User),
            "user_pending_deletion_count": 1,
        })
    }

    /// `/admin/v1/info/authentication_attempts`
    #[must_use]
    pub fn authentication_attempts(&self) -> Value {
        json!({
            "authentication_attempts": { "ERROR": 0, "FAILURE": 1, "FRAUD": 0, "SUCCESS": self.event_count() },
            "mintime": self.now_ms / 1000 - 30 * 86_400,
            "maxtime": self.now_ms / 1000,
        })
    }

    /// `/admin/v1/settings`
    #[must_use]
    pub fn settings(&self) -> Value {
        json!({
            "name": "Example Inc", "helpdesk_bypass": "allow", "helpdesk_bypass_expiration": 0,
            "inactive_admin_expiration": 0, "inactive_user_expiration": 0, "instant_restore_enabled": 1,
            "language": "EN", "lockout_expire_duration": null, "lockout_threshold": 10, "log_retention_days": null,
            "minimum_password_length": 12, "mobile_otp_enabled": false, "push_enabled": false, "sms_enabled": false,
            "timezone": "UTC", "user_telephony_cost_max": 20.0, "pending_deletion_days": 7,
        })
    }

    /// Every secret the tenant has.
    #[must_use]
    pub fn planted_secrets(&self) -> Vec<String> {
        let (code, link) = self.activation();
        let mut secrets = vec![self.options.secret_key.clone(), code, link];
        secrets.extend(self.application_secrets());
        secrets.sort();
        secrets.dedup();
        secrets
    }
}
