//! Applications and policies. Sections 4.10 and 4.11 of the reference.

use serde_json::{Value, json};

use super::draw::Draw;
use super::{Kind, Tenant};

/// The number of the Admin API application that reads the tenant.
pub(super) const OWN: u64 = 0;

const TYPES: [(&str, &str); 10] = [
    ("adminapi", "IGA connector"),
    ("cisco", "Corporate VPN"),
    ("sso-generic", "Intranet"),
    ("rdp", "Remote Desktop"),
    ("okta", "Okta"),
    ("websdk", "Kundenportal"),
    ("azure-ca", "Microsoft Entra ID"),
    ("unix", "Bastion hosts"),
    ("accountsapi", "Accounts API"),
    ("sso-oauth-client-credentials", "Reporting service"),
];

impl Tenant {
    pub(super) fn applications(&self) -> u64 {
        self.options.applications.map_or_else(|| (self.users() / 100).clamp(10, 40), u64::from).max(1)
    }

    pub(super) fn policies(&self) -> u64 {
        4
    }

    pub(super) fn application_key(&self, number: u64) -> String {
        if number == OWN { self.options.integration_key.clone() } else { self.key(Kind::Integration, number) }
    }

    fn application_type(number: u64) -> (&'static str, &'static str) {
        let index = usize::try_from(number % TYPES.len() as u64).unwrap_or(0);
        TYPES.get(index).copied().unwrap_or_default()
    }

    pub(super) fn application_name(&self, number: u64) -> String {
        let (_, name) = Self::application_type(number);
        if number < 10 { name.to_owned() } else { format!("{name} {number}") }
    }

    /// A secret that no client may keep.
    fn application_secret(&self, number: u64) -> String {
        if number == OWN {
            return self.options.secret_key.clone();
        }
        format!("pLaNtEdSk{}", Draw::new(self.options.seed, "skey", number).text(31))
    }

    fn client_secret(&self, number: u64) -> String {
        format!("pLaNtEdCs{}", Draw::new(self.options.seed, "client", number).text(31))
    }

    /// The key of the policy that an application has; most have none.
    fn policy_of(&self, number: u64) -> Option<u64> {
        (number % 4 == 1).then(|| 1 + (number / 4) % (self.policies() - 1))
    }

    /// The shape of version 3: the secret is masked.
    pub(super) fn application(&self, number: u64) -> Value {
        let secret = self.application_secret(number);
        let masked =
            format!("{}{}", "*".repeat(36), secret.get(secret.len().saturating_sub(4)..).unwrap_or_default());
        let mut application = self.application_common(number);
        let (kind, _) = Self::application_type(number);
        let access = match (kind, number % 3) {
            ("adminapi" | "accountsapi", _) | (_, 0) => "NO_USERS",
            (_, 1) => "PERMITTED_GROUPS",
            _ => "ALL_USERS",
        };
        if let Some(application) = application.as_object_mut() {
            application.insert("secret_key".to_owned(), masked.into());
            application.insert("user_access".to_owned(), access.into());
            if access != "PERMITTED_GROUPS" {
                application.insert("groups_allowed".to_owned(), json!([]));
            }
            if kind.starts_with("sso-") {
                let clients = json!([{ "client_id": format!("client-{number}"), "client_secret": self.client_secret(number) }]);
                application.insert("sso".to_owned(), json!({ "oauth_config": { "clients": clients } }));
            }
        }
        application
    }

    /// The shape of version 1, which has no `user_access` and once gave the secret away.
    #[must_use]
    pub fn integration_v1(&self, number: u64) -> Option<Value> {
        if number >= self.applications() {
            return None;
        }
        let mut application = self.application_common(number);
        if let Some(application) = application.as_object_mut() {
            application.insert("secret_key".to_owned(), self.application_secret(number).into());
            application.insert("enroll_policy".to_owned(), "".into());
            application.insert("visual_style".to_owned(), "default".into());
        }
        Some(application)
    }

    fn application_common(&self, number: u64) -> Value {
        let (kind, _) = Self::application_type(number);
        let groups: Vec<_> = [number % self.groups().max(1), (number * 3 + 1) % self.groups().max(1)]
            .into_iter()
            .filter(|_| number % 3 == 1)
            .map(|group| self.key(Kind::Group, group))
            .collect();
        let mut application = json!({
            "groups_allowed": groups,
            "integration_key": self.application_key(number),
            "name": self.application_name(number),
            "notes": if number.is_multiple_of(5) { "ask the owner first" } else { "" },
            "greeting": "",
            // Seen as a boolean, documented as a number.
            "self_service_allowed": if number.is_multiple_of(2) { json!(number.is_multiple_of(4)) } else { json!(1) },
            "type": kind,
            "username_normalization_policy": if number.is_multiple_of(2) { "None" } else { "Simple" },
        });
        let Some(object) = application.as_object_mut() else { return application };
        if let Some(policy) = self.policy_of(number) {
            object.insert("policy_key".to_owned(), self.key(Kind::Policy, policy).into());
        }
        if kind == "adminapi" || kind == "accountsapi" {
            object.insert("networks_for_api_access".to_owned(), "".into());
        }
        if kind == "adminapi" {
            let own = number == OWN;
            for (flag, granted) in [
                ("adminapi_admins", !own),
                ("adminapi_admins_read", true),
                ("adminapi_allow_to_set_permissions", number == 10),
                ("adminapi_info", own),
                ("adminapi_integrations", false),
                ("adminapi_read_log", own),
                ("adminapi_read_resource", true),
                ("adminapi_settings", false),
                ("adminapi_write_resource", !own),
            ] {
                object.insert(flag.to_owned(), u8::from(granted).into());
            }
        }
        application
    }

    pub(super) fn policy(&self, number: u64) -> Value {
        let (name, sections) = match number {
            0 => (
                "Global Policy",
                json!({
                    "authentication_policy": { "user_auth_behavior": "enforce" },
                    "new_user": { "new_user_behavior": "enroll" },
                    "authentication_methods": {
                        "allowed_auth_list": ["duo-push", "webauthn-roaming"],
                        "blocked_auth_list": ["sms", "phonecall"],
                    },
                    "remembered_devices": { "browser_apps": { "enabled": true, "remember_method": "risk-based" } },
                }),
            ),
            // Some exports have lists as text and booleans as text.
            1 => (
                "VPN",
                json!({ "authentication_methods": { "blocked_auth_list": "sms,phonecall", "require_verified_push": "true" } }),
            ),
            2 => ("Kiosk", json!({ "authentication_policy": { "user_auth_behavior": "bypass" } })),
            _ => ("Contractors", json!({ "remembered_devices": { "browser_apps": { "enabled": false } } })),
        };
        json!({
            "policy_key": self.key(Kind::Policy, number),
            "policy_name": name,
            "is_global_policy": number == 0,
            "sections": sections,
        })
    }

    /// The policy that applies where no other does.
    #[must_use]
    pub fn global_policy(&self) -> Value {
        self.policy(0)
    }

    /// Where policies apply: to applications, and to groups at applications, which are named, not keyed.
    #[must_use]
    pub fn policies_summary(&self) -> Value {
        let policies = (0..self.policies()).map(|policy| {
            let mut applies: Vec<Value> = Vec::new();
            for number in (0..self.applications()).filter(|number| self.policy_of(*number) == Some(policy)) {
                let target = |kind: &str| {
                    json!({
                        "app_integration_key": self.application_key(number),
                        "app_name": self.application_name(number),
                        "apply_type": kind,
                    })
                };
                applies.push(target("app"));
                if number % 8 == 1 {
                    let mut group = target("group_app");
                    if let Some(group) = group.as_object_mut() {
                        group.insert(
                            "group_name".to_owned(),
                            self.group_name(number % self.groups().max(1)).into(),
                        );
                    }
                    applies.push(group);
                }
            }
            let policy = self.policy(policy);
            json!({
                "policy_key": policy.get("policy_key"),
                "policy_name": policy.get("policy_name"),
                "policy_applies_to": applies,
            })
        });
        let policies: Vec<Value> = policies.collect();
        json!({
            "policy_count": policies.len(),
            "policies": policies,
            "response_is_truncated": false,
            "warnings": [],
        })
    }

    pub(super) fn application_secrets(&self) -> Vec<String> {
        (0..self.applications())
            .flat_map(|number| [self.application_secret(number), self.client_secret(number)])
            .collect()
    }
}
