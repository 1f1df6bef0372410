//! The settings, parsed once into types. Any host may call the connector, so it validates every setting itself.

use std::fmt;

use crate::contract::{Error, ErrorKind, SecretError, Setting};
use crate::host::Host;
use crate::signing::Scheme;

/// Name of the setting with the API hostname of the Duo deployment.
pub(crate) const API_HOSTNAME: &str = "api-hostname";
/// Name of the setting with the integration key of the Admin API application.
pub(crate) const INTEGRATION_KEY: &str = "integration-key";
/// Name of the secret setting with the key that signs requests.
pub(crate) const SECRET_KEY: &str = "secret-key";
/// Name of the setting that selects how requests are signed. Its value is the name of a [`Scheme`].
pub(crate) const SIGNATURE: &str = "signature";
/// Name of the setting that names a child account.
pub(crate) const ACCOUNT_ID: &str = "account-id";
/// Name of the setting for how far back the first run reads the authentication log, in days.
pub(crate) const LOG_DAYS: &str = "log-days";
/// Name of the setting that hides all but the last digits of phone numbers.
pub(crate) const MASK_PHONE_NUMBERS: &str = "mask-phone-numbers";

/// How far back a query of the authentication log can look, in days.
pub(crate) const MOST_DAYS: i64 = 180;

/// The form of an API hostname: Duo's commercial and federal hosts. Source: the rule that other products apply.
pub(crate) const API_HOSTNAME_PATTERN: &str = r"^api-[a-zA-Z0-9]+\.(duosecurity|duofederal)\.com$";
/// The form of an integration key. Duo may choose any length and alphabet; the pattern excludes only characters that
/// would break the `Authorization` header.
pub(crate) const INTEGRATION_KEY_PATTERN: &str = r"^[^\s:]+$";

/// The form of an account id: ASCII letters and digits, of any length.
pub(crate) const ACCOUNT_ID_PATTERN: &str = r"^[A-Za-z0-9]+$";
/// The form of a number of days, 1 to 180.
pub(crate) const LOG_DAYS_PATTERN: &str = r"^([1-9]|[1-9][0-9]|1[0-7][0-9]|180)$";

/// The remedy for each of the three values that Duo shows there.
const WHERE_TO_COPY: &str =
    "copy it again from *Details* of the Admin API application in the Duo Admin Panel";

/// The parsed settings.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The API hostname, in lower case.
    pub(crate) api_hostname: String,
    /// The integration key of the Admin API application.
    pub(crate) integration_key: String,
    /// The secret key of the same application.
    pub(crate) secret_key: SecretKey,
    /// How requests are signed.
    pub(crate) scheme: Scheme,
    /// The child account to read, if the keys belong to its parent. Every request sends it, signed.
    pub(crate) account_id: Option<String>,
    /// How far back the first run reads the authentication log, in days.
    pub(crate) log_days: i64,
    /// Whether phone numbers are masked to their last four digits.
    pub(crate) mask_phone_numbers: bool,
}

/// A secret key. Its `Debug` form hides it.
pub(crate) struct SecretKey(String);

impl SecretKey {
    /// The key itself, for signing.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

impl Settings {
    /// Parses `settings`, and gets the secret key from `host`. Ignores unknown settings: they may belong to another
    /// version.
    ///
    /// # Errors
    ///
    /// `invalid-setting` with the name of the first invalid setting; `unexpected` if the host does not give the
    /// secret key. No message repeats a value: an operator may have pasted the secret key into the wrong field.
    pub(crate) fn parse(host: &dyn Host, settings: &[Setting]) -> Result<Self, Error> {
        Ok(Self {
            api_hostname: api_hostname(required(settings, API_HOSTNAME)?)?,
            integration_key: integration_key(required(settings, INTEGRATION_KEY)?)?,
            scheme: scheme(find(settings, SIGNATURE))?,
            account_id: account_id(find(settings, ACCOUNT_ID))?,
            log_days: log_days(find(settings, LOG_DAYS))?,
            mask_phone_numbers: boolean(MASK_PHONE_NUMBERS, find(settings, MASK_PHONE_NUMBERS))?,
            secret_key: secret_key(host)?,
        })
    }
}

fn find<'a>(settings: &'a [Setting], name: &str) -> Option<&'a str> {
    settings.iter().find(|setting| setting.name == name).map(|setting| setting.value.as_str())
}

fn required<'a>(settings: &'a [Setting], name: &str) -> Result<&'a str, Error> {
    match find(settings, name) {
        Some(value) if !value.trim().is_empty() => Ok(value),
        _ => Err(invalid(name, "has no value").remedy(WHERE_TO_COPY)),
    }
}

fn api_hostname(value: &str) -> Result<String, Error> {
    if let Some(fault) = white_space(value) {
        return Err(invalid(API_HOSTNAME, fault).remedy("remove it"));
    }
    let labels = value.strip_prefix("api-").and_then(|rest| {
        rest.strip_suffix(".duosecurity.com").or_else(|| rest.strip_suffix(".duofederal.com"))
    });
    match labels {
        Some(account) if !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Ok(value.to_ascii_lowercase())
        }
        _ if value.contains("://") => Err(invalid(API_HOSTNAME, "is a URL")
            .remedy("give the name only, without `https://` and without a path")),
        _ if value.starts_with("admin") => Err(invalid(API_HOSTNAME, "is the name of the Duo Admin Panel")
            .remedy(WHERE_TO_COPY)
            .detail("expected a name that begins with `api-`")),
        _ => Err(invalid(
            API_HOSTNAME,
            "is not of the form `api-XXXXXXXX.duosecurity.com` or `api-XXXXXXXX.duofederal.com`",
        )
        .remedy(WHERE_TO_COPY)),
    }
}

fn integration_key(value: &str) -> Result<String, Error> {
    if let Some(fault) = white_space(value) {
        return Err(invalid(INTEGRATION_KEY, fault).remedy("remove it"));
    }
    if value.contains(':') {
        return Err(invalid(INTEGRATION_KEY, "contains a colon, which no key contains").remedy(WHERE_TO_COPY));
    }
    Ok(value.to_owned())
}

fn scheme(value: Option<&str>) -> Result<Scheme, Error> {
    let Some(name) = value else { return Ok(Scheme::default()) };
    Scheme::named(name).ok_or_else(|| {
        let choices: Vec<String> = Scheme::ALL.iter().map(|scheme| format!("`{}`", scheme.name())).collect();
        invalid(SIGNATURE, "is not a known signature").remedy(format!("choose one of {}", choices.join(", ")))
    })
}

fn account_id(value: Option<&str>) -> Result<Option<String>, Error> {
    match value {
        None => Ok(None),
        Some(value) if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Ok(Some(value.to_owned()))
        }
        Some(_) => Err(invalid(ACCOUNT_ID, "is not of the form `DAXXXXXXXXXXXXXXXXXX`").remedy(
            "copy the child account's id, or remove the setting if the keys belong to the account itself",
        )),
    }
}

fn log_days(value: Option<&str>) -> Result<i64, Error> {
    let Some(value) = value else { return Ok(MOST_DAYS) };
    let days = value.parse().ok().filter(|days| (1..=MOST_DAYS).contains(days));
    days.ok_or_else(|| {
        invalid(LOG_DAYS, "is not a number from 1 to 180").remedy("Duo lets a query look back 180 days")
    })
}

fn boolean(name: &str, value: Option<&str>) -> Result<bool, Error> {
    match value {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(invalid(name, "is neither `true` nor `false`")),
    }
}

fn secret_key(host: &dyn Host) -> Result<SecretKey, Error> {
    let value = host.secret(SECRET_KEY).map_err(|error| match error {
        SecretError::NotSet => invalid(SECRET_KEY, "has no value").remedy(WHERE_TO_COPY),
        SecretError::NotGranted => Error::new(
            ErrorKind::Unexpected,
            format!("the host does not give the secret `{SECRET_KEY}`, which the manifest declares"),
        )
        .remedy("load the connector again, so that the host reads its current manifest"),
    })?;
    if value.trim().is_empty() {
        return Err(invalid(SECRET_KEY, "has no value").remedy(WHERE_TO_COPY));
    }
    // A copied line feed is a known cause of Duo's error 40103, which is less specific than this error.
    match white_space(&value) {
        Some(fault) => Err(invalid(SECRET_KEY, fault).remedy("remove it: a secret key has no white space")),
        None => Ok(SecretKey(value)),
    }
}

fn white_space(value: &str) -> Option<&'static str> {
    let inner = value.trim();
    if inner.contains(char::is_whitespace) {
        Some("contains white space")
    } else if inner.len() == value.len() {
        None
    } else if value.starts_with(char::is_whitespace) {
        Some("begins with white space")
    } else if value.ends_with(['\r', '\n']) {
        Some("ends with a line break")
    } else {
        Some("ends with white space")
    }
}

fn invalid(name: &str, fault: &str) -> Error {
    Error::new(ErrorKind::InvalidSetting(name.to_owned()), format!("setting `{name}` {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_host::{SECRET, TestHost};

    fn settings(pairs: &[(&str, &str)]) -> Vec<Setting> {
        pairs.iter().map(|(name, value)| Setting { name: (*name).into(), value: (*value).into() }).collect()
    }

    fn parse(pairs: &[(&str, &str)]) -> Result<Settings, Error> {
        Settings::parse(&TestHost::default(), &settings(pairs))
    }

    const GOOD_HOST: &str = "api-12345678.duosecurity.com";

    #[test]
    fn commercial_and_federal_hostnames_are_taken_in_any_case() {
        for (given, parsed) in [
            (GOOD_HOST, GOOD_HOST),
            ("api-a1B2.duofederal.com", "api-a1b2.duofederal.com"),
            ("api-X.duosecurity.com", "api-x.duosecurity.com"),
        ] {
            let settings = parse(&[(API_HOSTNAME, given), (INTEGRATION_KEY, "DI1")]).unwrap();
            assert_eq!(settings.api_hostname, parsed);
            assert_eq!(settings.scheme, Scheme::V5);
        }
    }

    #[test]
    fn a_wrong_hostname_is_named_and_never_repeated() {
        for (given, fault) in [
            ("", "has no value"),
            ("  ", "has no value"),
            (" api-1.duosecurity.com", "begins with white space"),
            ("api-1.duosecurity.com ", "ends with white space"),
            ("api-1.duosecurity.com\n", "ends with a line break"),
            ("api-1 .duosecurity.com", "contains white space"),
            ("https://api-1.duosecurity.com", "is a URL"),
            ("admin-1.duosecurity.com", "is the name of the Duo Admin Panel"),
            ("api-.duosecurity.com", "is not of the form"),
            ("api-1.duosecurity.com.", "is not of the form"),
            ("api-1.duosecurity.com:443", "is not of the form"),
            ("api-1.duosecurity.com/admin", "is not of the form"),
            ("api-1.evil.com", "is not of the form"),
            ("api-1.evil.com#.duosecurity.com", "is not of the form"),
            ("api-1@evil.duosecurity.com", "is not of the form"),
            ("api-ö.duosecurity.com", "is not of the form"),
            ("api-1.2.duosecurity.com", "is not of the form"),
            (SECRET, "is not of the form"),
        ] {
            let error = parse(&[(API_HOSTNAME, given), (INTEGRATION_KEY, "DI1")]).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidSetting(API_HOSTNAME.into()), "{given:?}");
            assert!(error.message.contains(fault), "{given:?}: {}", error.message);
            assert!(error.remedy.is_some(), "{given:?}");
            assert!(given.trim().is_empty() || !format!("{error:?}").contains(given), "{error:?}");
        }
    }

    #[test]
    fn an_integration_key_of_any_length_is_taken_but_not_one_that_breaks_the_header() {
        assert_eq!(
            parse(&[(API_HOSTNAME, GOOD_HOST), (INTEGRATION_KEY, "DIx")]).unwrap().integration_key,
            "DIx"
        );
        for given in ["", "DI 1", "DI1\n", "DI:1"] {
            let error = parse(&[(API_HOSTNAME, GOOD_HOST), (INTEGRATION_KEY, given)]).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidSetting(INTEGRATION_KEY.into()), "{given:?}");
        }
    }

    #[test]
    fn every_signature_can_be_chosen_and_no_other() {
        for scheme in Scheme::ALL {
            let given = [(API_HOSTNAME, GOOD_HOST), (INTEGRATION_KEY, "DI1"), (SIGNATURE, scheme.name())];
            assert_eq!(parse(&given).unwrap().scheme, scheme);
        }
        let error =
            parse(&[(API_HOSTNAME, GOOD_HOST), (INTEGRATION_KEY, "DI1"), (SIGNATURE, "v4")]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSetting(SIGNATURE.into()));
        assert_eq!(error.remedy.as_deref(), Some("choose one of `v5`, `v2-sha512`, `v2-sha1`"));
    }

    #[test]
    fn a_secret_key_with_white_space_is_refused_before_duo_refuses_it() {
        let given = settings(&[(API_HOSTNAME, GOOD_HOST), (INTEGRATION_KEY, "DI1")]);
        for (secret, fault) in [
            (Ok(format!("{SECRET}\n")), "ends with a line break"),
            (Ok(format!(" {SECRET}")), "begins with white space"),
            (Ok(String::new()), "has no value"),
            (Err(SecretError::NotSet), "has no value"),
        ] {
            let host = TestHost { secret, ..TestHost::default() };
            let error = Settings::parse(&host, &given).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidSetting(SECRET_KEY.into()));
            assert!(error.message.contains(fault), "{}", error.message);
            assert!(!format!("{error:?}{error}").contains(SECRET));
        }
        let host = TestHost { secret: Err(SecretError::NotGranted), ..TestHost::default() };
        assert_eq!(Settings::parse(&host, &given).unwrap_err().kind, ErrorKind::Unexpected);
    }

    #[test]
    fn settings_of_another_version_are_left_alone() {
        assert!(parse(&[("later", "x"), (API_HOSTNAME, GOOD_HOST), (INTEGRATION_KEY, "DI1")]).is_ok());
    }

    #[test]
    fn the_debug_form_hides_the_secret_key() {
        let settings = parse(&[(API_HOSTNAME, GOOD_HOST), (INTEGRATION_KEY, "DI1")]).unwrap();
        assert_eq!(settings.secret_key.reveal(), SECRET);
        assert!(!format!("{settings:?}").contains(SECRET));
    }
}
