//! Which path answers what. Sections 3.2 and 4 of the reference.

use serde_json::{Value, json};

use crate::authentication::{SignatureVersion, parameters};
use crate::endpoints;
use crate::failure::Failure;
use crate::log;
use crate::paging::{Page, Parameters};
use crate::shared::Shared;
use crate::tenant::{Kind, UserField};

/// Answers a request that was signed with `version`.
pub(crate) fn answer(
    shared: &Shared,
    path: &str,
    query: &str,
    version: SignatureVersion,
) -> Result<Value, Failure> {
    if endpoints::needs_v5(path) && version != SignatureVersion::V5 {
        return Err(Failure::forbidden());
    }
    let parameters = parameters(query);
    let parameters = Parameters(&parameters);
    // A parent's key reads a child account only where every call names it.
    if shared.options.account_id.as_deref() != parameters.get("account_id") {
        return Err(Failure::forbidden_account());
    }
    let endpoint = endpoints::find(path).ok_or(Failure::not_found())?;
    if !shared.grants().contains(&endpoint.grant(shared.options.applications_need_their_grant)) {
        return Err(Failure::forbidden());
    }
    if shared.options.rate_limits && !shared.counters.admit(endpoint.class) {
        return Err(Failure::too_many_requests());
    }
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    Route { shared, parameters }.answer(&segments)
}

struct Route<'a> {
    shared: &'a Shared,
    parameters: Parameters<'a>,
}

impl Route<'_> {
    fn answer(&self, segments: &[&str]) -> Result<Value, Failure> {
        let tenant = &self.shared.tenant;
        match segments {
            ["admin", "v1", "users"] => self.users(),
            ["admin", "v1", "users", id] => self.one(Kind::User, id),
            ["admin", "v1", "users", id, part] => self.part_of_user(id, part),
            ["admin", "v1", "groups"] => match self.parameters.list("group_id_list")? {
                Some(keys) => self.some(Kind::Group, 500, &keys),
                None => self.list(Kind::Group, 500),
            },
            ["admin", "v1" | "v2", "groups", id] => self.one(Kind::Group, id),
            ["admin", "v2", "groups", id, "users"] => {
                let index = tenant.find(Kind::Group, id).ok_or(Failure::not_found())?;
                let page = Page::parse(&self.parameters, 500)?;
                let (users, total) = tenant.group_users(index, page.offset, page.limit);
                let mut users = users.into_iter();
                Ok(page.answer(total, self.shared.options.null_next_offset, |_| users.next()))
            }
            ["admin", "v1", "phones"] => self.filtered(Kind::Phone, &["number", "extension"]),
            ["admin", "v1", "tokens"] => self.filtered(Kind::Token, &["type", "serial"]),
            ["admin", "v1", "phones", rest @ ..] => self.list_or_one(Kind::Phone, rest),
            ["admin", "v1", "tokens", rest @ ..] => self.list_or_one(Kind::Token, rest),
            ["admin", "v1", "webauthncredentials", rest @ ..] => {
                self.list_or_one(Kind::WebauthnCredential, rest)
            }
            ["admin", "v1", "desktop_authenticators", rest @ ..] => {
                self.list_or_one(Kind::DesktopAuthenticator, rest)
            }
            ["admin", "v1", "bypass_codes", rest @ ..] => self.list_or_one(Kind::BypassCode, rest),
            // Deprecated; the tenant has none.
            ["admin", "v1", "u2ftokens"] => self.page(500, 0, |_| None),
            ["admin", "v1", "integrations"] => {
                self.page(500, tenant.count(Kind::Integration), |index| tenant.integration_v1(index))
            }
            ["admin", "v1", "integrations", key] => {
                let index = tenant.find(Kind::Integration, key).ok_or(Failure::not_found())?;
                one(tenant.integration_v1(index))
            }
            ["admin", "v1", "integrations", key, "skey"] => {
                let index = tenant.find(Kind::Integration, key).ok_or(Failure::not_found())?;
                let application = tenant.integration_v1(index);
                one(application.map(|application| json!({ "secret_key": application.get("secret_key") })))
            }
            ["admin", "v2", "integrations", "oauth_cc", key, "client_secret", client_id] => {
                one(self.client(key, Some(client_id)))
            }
            ["admin", "v2", "integrations", "oidc", key, "client_secret"] => one(self.client(key, None)),
            ["admin", "v2" | "v3", "integrations", rest @ ..] => self.list_or_one(Kind::Integration, rest),
            ["admin", "v1", "admins", "activations"] => self.rows(&tenant.admin_activations()),
            ["admin", "v1", "admins", "allowed_auth_methods"] => one(Some(tenant.allowed_auth_methods())),
            ["admin", "v1", "admins", "password_mgmt"] => self.rows(&tenant.password_mgmt()),
            ["admin", "v1", "admins", id, "password_mgmt"] => {
                let index = tenant.find(Kind::Administrator, id).ok_or(Failure::not_found())?;
                one(usize::try_from(index).ok().and_then(|index| tenant.password_mgmt().get(index).cloned()))
            }
            ["admin", "v1", "admins", rest @ ..] => self.list_or_one(Kind::Administrator, rest),
            // The same answer as for a missing permission.
            ["admin", "v1", "administrative_units", ..] if !self.shared.options.has_roles => {
                Err(Failure::forbidden())
            }
            ["admin", "v1", "administrative_units"] => self.units(),
            ["admin", "v1", "administrative_units", id] => {
                let index = tenant.find(Kind::AdministrativeUnit, id).ok_or(Failure::not_found())?;
                one(tenant.unit_details(index))
            }
            ["admin", "v2", "policies", "summary"] => one(Some(tenant.policies_summary())),
            ["admin", "v2", "policies", "global"] => one(Some(tenant.global_policy())),
            ["admin", "v2", "policies", rest @ ..] => self.list_or_one(Kind::Policy, rest),
            ["admin", "v2", "logs", "authentication"] => {
                let now = self.shared.now().timestamp_millis();
                log::page(tenant, &self.parameters, now, self.shared.options.null_next_offset)
            }
            ["admin", "v1", "info", "summary"] => one(Some(tenant.info_summary())),
            ["admin", "v1", "info", "authentication_attempts"] => one(Some(tenant.authentication_attempts())),
            ["admin", "v1", "settings"] => one(Some(tenant.settings())),
            _ => Err(Failure::not_found()),
        }
    }

    fn page(
        &self,
        most: u64,
        total: u64,
        object: impl FnMut(u64) -> Option<Value>,
    ) -> Result<Value, Failure> {
        let page = Page::parse(&self.parameters, most)?;
        Ok(page.answer(total, self.shared.options.null_next_offset, object))
    }

    fn rows(&self, rows: &[Value]) -> Result<Value, Failure> {
        self.page(500, rows.len() as u64, |index| rows.get(usize::try_from(index).ok()?).cloned())
    }

    fn list(&self, kind: Kind, most: u64) -> Result<Value, Failure> {
        let tenant = &self.shared.tenant;
        self.page(most, tenant.count(kind), |index| tenant.object(kind, index))
    }

    fn one(&self, kind: Kind, key: &str) -> Result<Value, Failure> {
        let tenant = &self.shared.tenant;
        one(tenant.find(kind, key).and_then(|index| tenant.object(kind, index)))
    }

    fn list_or_one(&self, kind: Kind, rest: &[&str]) -> Result<Value, Failure> {
        match rest {
            [] => self.list(kind, 500),
            [key] => self.one(kind, key),
            _ => Err(Failure::not_found()),
        }
    }

    /// A list that some parameters narrow.
    fn filtered(&self, kind: Kind, names: &[&str]) -> Result<Value, Failure> {
        let given = names.iter().filter_map(|name| self.parameters.get(name).map(|value| (*name, value)));
        let given: Vec<_> = given.collect();
        if given.is_empty() {
            self.list(kind, 500)
        } else {
            self.at(kind, 500, &self.shared.tenant.find_by(kind, &given))
        }
    }

    /// The objects with these keys; unknown ones are left out.
    fn some(&self, kind: Kind, most: u64, keys: &[String]) -> Result<Value, Failure> {
        let tenant = &self.shared.tenant;
        let found: Vec<_> = keys.iter().filter_map(|key| tenant.find(kind, key)).collect();
        self.at(kind, most, &found)
    }

    fn at(&self, kind: Kind, most: u64, found: &[u64]) -> Result<Value, Failure> {
        self.page(most, found.len() as u64, |index| {
            let index = found.get(usize::try_from(index).ok()?)?;
            self.shared.tenant.object(kind, *index)
        })
    }

    fn users(&self) -> Result<Value, Failure> {
        let tenant = &self.shared.tenant;
        for (name, field) in [("username", UserField::Username), ("email", UserField::Email)] {
            if let Some(value) = self.parameters.get(name) {
                return self.at(Kind::User, 300, &tenant.find_users_by(field, value));
            }
        }
        if let Some(keys) = self.parameters.list("user_id_list")? {
            return self.some(Kind::User, 300, &keys);
        }
        if let Some(names) = self.parameters.list("username_list")? {
            let found = names.iter().flat_map(|name| tenant.find_users_by(UserField::Username, name));
            return self.at(Kind::User, 300, &found.collect::<Vec<_>>());
        }
        self.list(Kind::User, 300)
    }

    /// What belongs to a user: embedded in it, or, for bypass codes, found by it.
    fn part_of_user(&self, key: &str, part: &str) -> Result<Value, Failure> {
        let tenant = &self.shared.tenant;
        let index = tenant.find(Kind::User, key).ok_or(Failure::not_found())?;
        let field = match part {
            "groups" | "phones" | "tokens" | "webauthncredentials" | "u2ftokens" => part,
            "desktopauthenticators" => "desktop_authenticators",
            "bypass_codes" => {
                let codes = tenant.bypass_codes_of(index);
                return self.at(Kind::BypassCode, 500, &codes);
            }
            _ => return Err(Failure::not_found()),
        };
        let user = tenant.object(Kind::User, index).unwrap_or_default();
        let parts = user.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
        self.rows(&parts)
    }

    /// An OAuth client of an application, with its secret.
    fn client(&self, key: &str, client_id: Option<&str>) -> Option<Value> {
        let tenant = &self.shared.tenant;
        let application = tenant.object(Kind::Integration, tenant.find(Kind::Integration, key)?)?;
        let mut clients = application.pointer("/sso/oauth_config/clients")?.as_array()?.iter();
        let wanted = |client: &&Value| {
            client_id.is_none_or(|id| client.get("client_id").and_then(Value::as_str) == Some(id))
        };
        clients.find(wanted).cloned()
    }

    fn units(&self) -> Result<Value, Failure> {
        let filters = ["admin_id", "group_id", "integration_key"].map(|name| self.parameters.get(name));
        if filters.iter().flatten().count() > 1 {
            return Err(Failure::invalid_parameter("admin_id"));
        }
        let [admin, group, application] = filters;
        let found = self.shared.tenant.units_of(admin, group, application);
        self.at(Kind::AdministrativeUnit, 500, &found)
    }
}

/// The answer for a single object: without metadata.
fn one(object: Option<Value>) -> Result<Value, Failure> {
    object.map(|object| json!({ "stat": "OK", "response": object })).ok_or(Failure::not_found())
}
