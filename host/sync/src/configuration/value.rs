//! The source of a setting's value.

use std::fmt;
use std::path::{Path, PathBuf};

use connector_sandbox::bounded_file;

use crate::seal::SealingKey;

/// How a setting is written.
pub(super) const HOW: &str =
    "write a text, a number, `true` or `false`, `{ env = \"NAME\" }` or `{ file = \"PATH\" }`";

/// How a secret is written.
pub(super) const HOW_SECRET: &str =
    "keep it in an environment variable or a file, and write `{ env = \"NAME\" }` or `{ file = \"PATH\" }`";

/// The source of a setting's value.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// The configuration itself. Not for secrets.
    Literal(String),
    /// An environment variable.
    Environment(String),
    /// A file; one line break at its end is not part of the value.
    File(PathBuf),
    /// The configuration itself, in which the value is encrypted.
    Sealed(Sealed),
}

/// A value that is encrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    text: String,
    integration: String,
    setting: String,
    key_file: PathBuf,
}

/// The path of the sealing key, relative to the folder of the configurations.
pub const KEY_FILE: &str = "../data/seal.key";

impl fmt::Debug for Value {
    /// Hides a literal: in a configuration that will be refused, it may be a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => formatter.write_str("Literal(..)"),
            Self::Environment(name) => write!(formatter, "Environment({name})"),
            Self::File(path) => write!(formatter, "File({})", path.display()),
            Self::Sealed(_) => formatter.write_str("Sealed(..)"),
        }
    }
}

impl Value {
    /// Parses the value of `setting` of `integration`; relative paths start from `folder`.
    pub(super) fn parse(
        value: toml::Value,
        folder: &Path,
        integration: &str,
        setting: &str,
    ) -> Result<Self, String> {
        match value {
            toml::Value::String(text) => Ok(Self::Literal(text)),
            toml::Value::Boolean(value) => Ok(Self::Literal(value.to_string())),
            toml::Value::Integer(value) => Ok(Self::Literal(value.to_string())),
            toml::Value::Table(table) => {
                let mut entries = table.into_iter();
                match (entries.next(), entries.next()) {
                    (Some((key, toml::Value::String(name))), None) if key == "env" => {
                        Ok(Self::Environment(name))
                    }
                    (Some((key, toml::Value::String(path))), None) if key == "file" => {
                        Ok(Self::File(folder.join(path)))
                    }
                    (Some((key, toml::Value::String(text))), None) if key == "sealed" => {
                        Ok(Self::Sealed(Sealed {
                            text,
                            integration: integration.to_owned(),
                            setting: setting.to_owned(),
                            key_file: folder.join(KEY_FILE),
                        }))
                    }
                    _ => Err("is a table, which takes one of the keys `env`, `file` and `sealed`".to_owned()),
                }
            }
            other => Err(format!("is of type {}, which no setting takes", other.type_str())),
        }
    }

    /// Whether the value is in the configuration itself, and not encrypted.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }

    /// Reads the value.
    ///
    /// # Errors
    ///
    /// Returns what is wrong: the end of a sentence that begins with the setting's name.
    pub fn read(&self) -> Result<String, String> {
        match self {
            Self::Literal(text) => Ok(text.clone()),
            Self::Environment(name) => match std::env::var(name) {
                Ok(value) if value.is_empty() => {
                    Err(format!("comes from the variable `{name}`, which is empty"))
                }
                Ok(value) => Ok(value),
                Err(std::env::VarError::NotPresent) => {
                    Err(format!("comes from the environment variable `{name}`, which is not set"))
                }
                Err(std::env::VarError::NotUnicode(_)) => {
                    Err(format!("comes from the environment variable `{name}`, which is not text"))
                }
            },
            Self::Sealed(Sealed { text, integration, setting, key_file }) => {
                let opened = SealingKey::load(key_file).and_then(|key| key.open(integration, setting, text));
                let opened = opened.map(|secret| secret.as_str().to_owned());
                opened.map_err(|error| format!("can't be opened: {error}"))
            }
            Self::File(path) => of_file(path, &bounded_file::read_text(path, bounded_file::VALUE)),
        }
    }

    /// As [`Self::read`], for a secret: a file that all users of this machine may read is refused.
    ///
    /// # Errors
    ///
    /// As for [`Self::read`].
    pub fn read_secret(&self) -> Result<String, String> {
        match self {
            Self::File(path) => of_file(path, &bounded_file::read_secret(path, bounded_file::VALUE)),
            other => other.read(),
        }
    }
}

/// The value in a file: its text without one line break at the end.
fn of_file(path: &Path, read: &std::io::Result<impl AsRef<str>>) -> Result<String, String> {
    let text = read
        .as_ref()
        .map_err(|error| format!("comes from the file `{}`, which can't be read: {error}", path.display()))?;
    let text = text.as_ref();
    let line = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n'));
    Ok(line.unwrap_or(text).to_owned())
}
