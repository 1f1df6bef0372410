//! The endpoints there are: what each needs and counts as. Sections 1.6, 2.4, 4.10.4 and 5.2 of the reference.

use self::RateClass::{Log, Page, Single};
use crate::options::Grant::{
    self, AdministratorsRead, Applications, ReadInformation, ReadLog, ResourceRead, Settings,
};

/// A class of requests that Duo limits together, per minute: a Duo employee's figures of 2019, section 2.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RateClass {
    Page,
    Single,
    Log,
}

impl RateClass {
    pub(crate) const fn per_minute(self) -> usize {
        match self {
            Self::Page => 200,
            Self::Single => 300,
            Self::Log => 2,
        }
    }
}

/// An endpoint that is served.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Its path; a part in braces stands for any key.
    pub(crate) pattern: &'static str,
    /// The permission it needs.
    grant: Grant,
    /// The limit it counts against.
    pub(crate) class: RateClass,
    /// Whether it reveals a secret: a read-only client never asks it.
    pub(crate) reveals_secret: bool,
}

impl Endpoint {
    const fn new(pattern: &'static str, grant: Grant, class: RateClass) -> Self {
        Self { pattern, grant, class, reveals_secret: false }
    }

    const fn secret(pattern: &'static str, grant: Grant, class: RateClass) -> Self {
        Self { reveals_secret: true, ..Self::new(pattern, grant, class) }
    }

    /// The permission it needs. Sources disagree about lists of applications: some product guides ask for
    /// *Grant applications*, and a tenant can be told to.
    pub(crate) fn grant(&self, applications_need_their_grant: bool) -> Grant {
        if applications_need_their_grant && self.pattern.contains("/integrations") {
            return Applications;
        }
        self.grant
    }

    fn matches(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        let same = self.pattern.split('/').all(|expected| {
            parts
                .next()
                .is_some_and(|part| part == expected || (expected.starts_with('{') && !part.is_empty()))
        });
        same && parts.next().is_none()
    }
}

/// Of two that match a path the first one counts: a word goes before a key.
const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new("/admin/v1/users", ResourceRead, Page),
    Endpoint::new("/admin/v1/users/{user_id}", ResourceRead, Single),
    Endpoint::new("/admin/v1/users/{user_id}/groups", ResourceRead, Page),
    Endpoint::new("/admin/v1/users/{user_id}/phones", ResourceRead, Page),
    Endpoint::new("/admin/v1/users/{user_id}/tokens", ResourceRead, Page),
    Endpoint::new("/admin/v1/users/{user_id}/webauthncredentials", ResourceRead, Page),
    Endpoint::new("/admin/v1/users/{user_id}/u2ftokens", ResourceRead, Page),
    Endpoint::new("/admin/v1/users/{user_id}/desktopauthenticators", ResourceRead, Page),
    Endpoint::new("/admin/v1/users/{user_id}/bypass_codes", ResourceRead, Page),
    Endpoint::new("/admin/v1/groups", ResourceRead, Page),
    Endpoint::new("/admin/v1/groups/{group_id}", ResourceRead, Single),
    Endpoint::new("/admin/v2/groups/{group_id}", ResourceRead, Single),
    Endpoint::new("/admin/v2/groups/{group_id}/users", ResourceRead, Page),
    Endpoint::new("/admin/v1/phones", ResourceRead, Page),
    Endpoint::new("/admin/v1/phones/{phone_id}", ResourceRead, Single),
    Endpoint::new("/admin/v1/tokens", ResourceRead, Page),
    Endpoint::new("/admin/v1/tokens/{token_id}", ResourceRead, Single),
    Endpoint::new("/admin/v1/webauthncredentials", ResourceRead, Page),
    Endpoint::new("/admin/v1/webauthncredentials/{webauthnkey}", ResourceRead, Single),
    Endpoint::new("/admin/v1/u2ftokens", ResourceRead, Page),
    Endpoint::new("/admin/v1/desktop_authenticators", ResourceRead, Page),
    Endpoint::new("/admin/v1/desktop_authenticators/{dakey}", ResourceRead, Single),
    Endpoint::new("/admin/v1/bypass_codes", ResourceRead, Page),
    Endpoint::new("/admin/v1/bypass_codes/{bypass_code_id}", ResourceRead, Single),
    Endpoint::new("/admin/v1/integrations", ResourceRead, Page),
    Endpoint::new("/admin/v1/integrations/{integration_key}", ResourceRead, Single),
    Endpoint::secret("/admin/v1/integrations/{integration_key}/skey", Applications, Single),
    Endpoint::new("/admin/v2/integrations", ResourceRead, Page),
    Endpoint::new("/admin/v2/integrations/{integration_key}", ResourceRead, Single),
    Endpoint::secret(
        "/admin/v2/integrations/oauth_cc/{integration_key}/client_secret/{client_id}",
        Applications,
        Single,
    ),
    Endpoint::secret("/admin/v2/integrations/oidc/{integration_key}/client_secret", Applications, Single),
    Endpoint::new("/admin/v3/integrations", ResourceRead, Page),
    Endpoint::new("/admin/v3/integrations/{integration_key}", ResourceRead, Single),
    Endpoint::new("/admin/v1/admins", AdministratorsRead, Page),
    Endpoint::secret("/admin/v1/admins/activations", AdministratorsRead, Page),
    Endpoint::new("/admin/v1/admins/allowed_auth_methods", AdministratorsRead, Single),
    Endpoint::new("/admin/v1/admins/password_mgmt", AdministratorsRead, Page),
    Endpoint::new("/admin/v1/admins/{admin_id}", AdministratorsRead, Single),
    Endpoint::new("/admin/v1/admins/{admin_id}/password_mgmt", AdministratorsRead, Single),
    Endpoint::new("/admin/v1/administrative_units", AdministratorsRead, Page),
    Endpoint::new("/admin/v1/administrative_units/{admin_unit_id}", AdministratorsRead, Single),
    Endpoint::new("/admin/v2/policies", ResourceRead, Page),
    Endpoint::new("/admin/v2/policies/summary", ResourceRead, Single),
    Endpoint::new("/admin/v2/policies/global", ResourceRead, Single),
    Endpoint::new("/admin/v2/policies/{policy_key}", ResourceRead, Single),
    Endpoint::new("/admin/v2/logs/authentication", ReadLog, Log),
    Endpoint::new("/admin/v1/info/summary", ReadInformation, Single),
    Endpoint::new("/admin/v1/info/authentication_attempts", ReadInformation, Single),
    Endpoint::new("/admin/v1/settings", Settings, Single),
];

/// The endpoint that serves `path`.
pub(crate) fn find(path: &str) -> Option<&'static Endpoint> {
    ENDPOINTS.iter().find(|endpoint| endpoint.matches(path))
}

/// Whether `path` is of a section that takes signature v5 only, whether or not anything is served there.
pub(crate) fn needs_v5(path: &str) -> bool {
    let within = |section: &str| {
        path.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    ["/admin/v3", "/admin/v2/integrations", "/admin/v2/policies", "/admin/v2/passport"]
        .into_iter()
        .any(within)
        || (within("/admin/v1/integrations") && path.ends_with("/skey"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_found_by_a_path_of_its_own() {
        for endpoint in ENDPOINTS {
            let path = endpoint.pattern.replace(['{', '}'], "");
            assert_eq!(find(&path).map(|found| found.pattern), Some(endpoint.pattern));
            assert!(find(&format!("{path}/more/and/more")).is_none());
            assert!(find(&format!("{path}/")).is_none(), "{path}");
        }
    }

    #[test]
    fn the_newer_sections_need_the_newer_signature() {
        for (path, expected) in [
            ("/admin/v3/integrations", true),
            ("/admin/v3/anything", true),
            ("/admin/v2/integrations", true),
            ("/admin/v2/integrations/DI1", true),
            ("/admin/v2/integrations_of_another_kind", false),
            ("/admin/v2/policies/summary", true),
            ("/admin/v2/passport/config", true),
            ("/admin/v1/integrations", false),
            ("/admin/v1/integrations/DI1", false),
            ("/admin/v1/integrations/DI1/skey", true),
            ("/admin/v2/groups/DG1/users", false),
            ("/admin/v2/logs/authentication", false),
            ("/admin/v1/users", false),
        ] {
            assert_eq!(needs_v5(path), expected, "{path}");
        }
    }

    #[test]
    fn those_of_section_4_10_4_reveal_secrets_and_no_others() {
        let revealing: Vec<_> = ENDPOINTS
            .iter()
            .filter(|endpoint| endpoint.reveals_secret)
            .map(|endpoint| endpoint.pattern)
            .collect();
        assert_eq!(
            revealing,
            [
                "/admin/v1/integrations/{integration_key}/skey",
                "/admin/v2/integrations/oauth_cc/{integration_key}/client_secret/{client_id}",
                "/admin/v2/integrations/oidc/{integration_key}/client_secret",
                "/admin/v1/admins/activations",
            ]
        );
    }
}
