//! The import `secrets`: only the secrets that the manifest declares and the operator set.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::{CallCapabilities, Redactor};
use crate::contract::secrets::{self, SecretError};

/// The secrets of an integration, by the name of their setting. Prints none of them.
#[derive(Default)]
pub struct Secrets {
    declared: BTreeSet<String>,
    values: BTreeMap<String, SecretString>,
    /// Built once: building it costs as much as a fresh instance.
    redactor: Redactor,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secrets").field("declared", &self.declared).finish_non_exhaustive()
    }
}

impl Secrets {
    /// `declared` are all secret settings of the manifest, `values` those that are set.
    #[must_use]
    pub fn new(declared: BTreeSet<String>, values: BTreeMap<String, SecretString>) -> Self {
        let redactor = Redactor::new(values.values().map(ExposeSecret::expose_secret));
        Self { declared, values, redactor }
    }

    /// No secrets.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The redactor of these secrets.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        self.redactor.clone()
    }

    fn get(&self, name: &str) -> Result<&SecretString, SecretError> {
        if !self.declared.contains(name) {
            return Err(SecretError::NotGranted);
        }
        self.values.get(name).ok_or(SecretError::NotSet)
    }
}

impl secrets::Host for CallCapabilities {
    async fn get(&mut self, name: String) -> wasmtime::Result<Result<String, SecretError>> {
        let secret = self.secrets.get(&name);
        // Logged once per call: a guest can ask any number of times.
        let undeclared = matches!(secret, Err(SecretError::NotGranted));
        if undeclared && !std::mem::replace(&mut self.asked_for_more, true) {
            tracing::warn!(
                integration = self.log.integration(),
                "the connector asked for a secret that its manifest does not declare"
            );
        }
        Ok(secret.map(|secret| secret.expose_secret().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let declared = ["secret-key", "proxy-password"].map(str::to_owned).into();
        Secrets::new(declared, [("secret-key".to_owned(), "correct horse".into())].into())
    }

    #[test]
    fn only_declared_secrets_are_given() {
        let secrets = secrets();
        assert_eq!(secrets.get("secret-key").unwrap().expose_secret(), "correct horse");
        assert_eq!(secrets.get("proxy-password").unwrap_err(), SecretError::NotSet);
        assert_eq!(secrets.get("PATH").unwrap_err(), SecretError::NotGranted);
    }

    #[test]
    fn debug_prints_no_secret() {
        assert!(!format!("{:?}", secrets()).contains("horse"));
    }
}
