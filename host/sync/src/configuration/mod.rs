//! An integration, as the operator configures it.
//!
//! `file` is the TOML file as written, `value` the source of a setting's value, `schedule` the times of scheduled runs,
//! `draft` a form before it is a file. This module parses the file: it resolves paths, fills in limits, and checks the
//! settings against the manifest.

mod about;
mod draft;
mod file;
mod schedule;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use connector_sandbox::capabilities::HttpLimits;
use connector_sandbox::contract::api;
use connector_sandbox::limits::Limits;
use connector_sandbox::manifest::{LONGEST_BUDGET, Manifest, SettingKind, SettingSpec};
use connector_sandbox::{Digest, Hint, Provenance, bounded_file};
use minisign_verify::PublicKey;
use secrecy::SecretString;
use zeroize::Zeroize as _;

use crate::retry::RetryPolicy;

pub use about::{About, MOST_REVIEWERS, Review, Reviewer};
pub use draft::{Draft, DraftError, FieldProblem, Part};
use file::Schedule as Schedules;
pub use schedule::Schedule;
pub use value::KEY_FILE;
pub use value::Value;

/// The most pages of one stream in one run: at a few hundred objects a page, tens of millions of objects.
const MOST_PAGES: u64 = 100_000;

/// The default of `run-seconds`. A longer run hangs, or reads too much for a day: it ends, and the next one resumes it.
const LONGEST_RUN: Duration = Duration::from_secs(24 * 60 * 60);
/// The largest `run-seconds`: at a few requests a minute, a log of years takes days.
const LONGEST_RUN_EVER: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The longest time that can be configured for a call, a request or a pause.
const LONGEST_CALL: Duration = Duration::from_secs(60 * 60);

/// The default of `keep-days`: a year, and some weeks for a late review.
const KEEP_DAYS: u32 = 400;
/// The default of `removal-percent`: more of a type is rarely deleted in a day, but often missing from a broken answer.
const REMOVAL_PERCENT: u8 = 20;
/// The largest `keep-days`: a century.
const LONGEST_KEEP_DAYS: u32 = 36_500;

/// The connector that a configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectorReference {
    /// By name: a bundled one or, for `serve`, one from its folder of connectors.
    Name(String),
    /// By the path of its file, which ends in `.wasm`.
    File(PathBuf),
}

impl ConnectorReference {
    fn parse(text: &str, folder: &Path) -> Option<Self> {
        if text.ends_with(".wasm") || text.contains('/') {
            return Some(Self::File(folder.join(text)));
        }
        is_name(text).then(|| Self::Name(text.to_owned()))
    }
}

impl fmt::Display for ConnectorReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}

/// The parsed configuration of an integration.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Its name in the store, in logs and on screen.
    pub name: String,
    /// Its description, owners and reviewers.
    pub about: About,
    /// Whether scheduled runs are disabled.
    pub paused: bool,
    /// The connector.
    pub connector: ConnectorReference,
    /// The digest and the signing key that the connector must have.
    pub provenance: Provenance,
    /// The streams to read; `None` is all of them.
    pub streams: Option<Vec<String>>,
    /// Values of settings, by name.
    pub settings: BTreeMap<String, Value>,
    /// Other addresses to connect to, by host.
    pub connect_to: BTreeMap<String, String>,
    /// Other addresses to connect to, for all integrations; not in the file. Those of hosts that the connector does not reach
    /// have no effect.
    pub connect_to_of_all: BTreeMap<String, String>,
    /// Certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The limits of a call.
    pub limits: Limits,
    /// The most pages of one stream in one run: an endless stream ends here.
    pub pages: u64,
    /// The limits of an HTTP exchange.
    pub http: HttpLimits,
    /// The times of scheduled runs.
    pub schedule: Schedule,
    /// How failed calls are repeated.
    pub retry: RetryPolicy,
    /// Whether to stay within the vendor's rate limits.
    pub budgets: bool,
    /// Rate limits that replace those of the manifest, by name: the requests, and their period in seconds.
    pub own_budgets: BTreeMap<String, (u32, u32)>,
    /// How long a run may take; the next one resumes it.
    pub run: Duration,
    /// How long runs are kept with their changes and problems, in days.
    pub keep_days: u32,
    /// The most objects of a type that one run may remove, in percent.
    pub removal_percent: u8,
}

/// The settings of an integration, checked against its connector's manifest.
#[derive(Debug)]
pub struct Settings {
    /// The settings that are not secret, including defaults.
    pub public: Vec<api::Setting>,
    /// The secret settings, by name. `Debug` hides them.
    pub secrets: BTreeMap<String, SecretString>,
}

/// A configuration that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The file can't be read.
    #[error("could not read the configuration `{path}`: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// It is not TOML, or has unknown keys or values of a wrong type.
    #[error("`{path}`, line {line}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from one.
        line: usize,
        /// What is wrong; never an excerpt, which might hold a secret.
        message: String,
    },
    /// A value in it is not allowed.
    #[error("`{key}` {reason}")]
    Key {
        /// The key.
        key: &'static str,
        /// What is wrong: the end of a sentence that begins with the key.
        reason: String,
    },
    /// Settings are missing or malformed.
    #[error("{} of `{integration}` can't be used:{}", settings_word(.problems), list(.problems))]
    Settings {
        /// The integration.
        integration: String,
        /// All problems.
        problems: Vec<SettingProblem>,
    },
}

/// What is wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// Its name.
    pub name: String,
    /// What is wrong; never the value.
    pub reason: String,
    /// Where to find the value, or what to write instead.
    pub help: String,
}

fn settings_word(problems: &[SettingProblem]) -> &'static str {
    if problems.len() == 1 { "a setting" } else { "settings" }
}

fn list(problems: &[SettingProblem]) -> String {
    problems.iter().map(|problem| format!("\n  `{}` {}", problem.name, problem.reason)).collect()
}

impl Hint for ConfigurationError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => Some(
                "`connector-host demo` shows a complete configuration; write yours to a file and name it with \
                 `--config`"
                    .to_owned(),
            ),
            Self::Syntax { .. } | Self::Key { .. } => None,
            Self::Settings { problems, .. } => {
                let lines = problems.iter().map(|problem| format!("`{}`: {}", problem.name, problem.help));
                Some(lines.collect::<Vec<_>>().join("\n"))
            }
        }
    }
}

/// What a name may consist of, for error messages.
const NAME_TAKES: &str = "letters, digits, `-` and `_`, at most 64 of them";

/// Whether an integration or a connector may have this name.
fn is_name(name: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    !name.is_empty() && name.len() <= 64 && name.chars().all(plain)
}

impl Configuration {
    /// Reads the file at `path`. Relative paths in it start from its folder.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`] when the file can't be read or is not a valid configuration.
    pub fn load(path: &Path) -> Result<Self, ConfigurationError> {
        let text = Self::read(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, path, folder)
    }

    /// The text of the file at `path`.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::Unreadable`] when the file can't be read.
    pub fn read(path: &Path) -> Result<String, ConfigurationError> {
        bounded_file::read_text(path, bounded_file::CONFIGURATION)
            .map_err(|error| ConfigurationError::Unreadable { path: path.to_owned(), error })
    }

    /// Parses `text`, the content of the file `path`; relative paths start from `folder`.
    ///
    /// # Errors
    ///
    /// As for [`Configuration::load`].
    pub fn parse(text: &str, path: &Path, folder: &Path) -> Result<Self, ConfigurationError> {
        let written = file::parse(text, path)?;
        let key = |key, reason: String| ConfigurationError::Key { key, reason };
        if !is_name(&written.name) {
            return Err(key("name", format!("takes {NAME_TAKES}")));
        }
        if written.streams.as_ref().is_some_and(Vec::is_empty) {
            return Err(key("streams", "names no stream; leave it out to read all of them".to_owned()));
        }
        let mut settings = BTreeMap::new();
        for (name, value) in written.settings {
            let value = Value::parse(value, folder, &written.name, &name);
            let value = value.map_err(|reason| ConfigurationError::Settings {
                integration: written.name.clone(),
                problems: vec![SettingProblem { name: name.clone(), reason, help: value::HOW.to_owned() }],
            })?;
            settings.insert(name, value);
        }
        let connector = ConnectorReference::parse(&written.connector, folder).ok_or_else(|| {
            key("connector", "takes the name of a connector, or the path of a `.wasm` file".to_owned())
        })?;
        let provenance = Provenance {
            sha256: match &written.provenance.sha256 {
                Some(text) => Some(Digest::parse(text).ok_or_else(|| {
                    key("sha256", "takes the 64 hexadecimal digits that `inspect` prints".to_owned())
                })?),
                None => None,
            },
            signed_by: match &written.provenance.minisign_public_key {
                Some(text) => Some(PublicKey::from_base64(text.trim()).map_err(|_| {
                    key("minisign-public-key", "takes the second line of a minisign `.pub` file".to_owned())
                })?),
                None => None,
            },
        };
        let Schedules { interval, cron } = &written.schedule;
        let schedule = Schedule::parse(interval.as_deref(), cron.as_deref())
            .map_err(|(name, reason)| key(name, reason))?;
        let defaults = (Limits::default(), HttpLimits::default(), RetryPolicy::default());
        let seconds_up_to = |most: Duration, key_name, value: Option<f64>, default: Duration| match value {
            None => Ok(default),
            Some(value) => Duration::try_from_secs_f64(value)
                .ok()
                .filter(|duration| !duration.is_zero() && *duration <= most)
                .ok_or_else(|| {
                    let most = most.as_secs();
                    key(key_name, format!("takes a number of seconds above 0, up to {most}"))
                }),
        };
        let seconds = |key_name, value, default| seconds_up_to(LONGEST_CALL, key_name, value, default);
        let mebibytes = |key_name, value: Option<u32>, default: usize| match value {
            None => Ok(default),
            Some(value @ 1..=2048) => Ok((value as usize) << 20),
            Some(_) => Err(key(key_name, "takes 1 to 2048 MiB".to_owned())),
        };
        let kibibytes = |key_name, value: Option<u32>, default: usize| match value {
            None => Ok(default),
            Some(value @ 1..=65_536) => Ok((value as usize) << 10),
            Some(_) => Err(key(key_name, "takes 1 to 65536 KiB".to_owned())),
        };
        let count = |key_name, value: Option<u32>, default: usize| match value {
            None => Ok(default),
            Some(value @ 1..=10_000_000) => Ok(value as usize),
            Some(_) => Err(key(key_name, "takes a number from 1 to 10000000".to_owned())),
        };
        let limits = written.limits;
        let retry = written.retry;
        let mut own_budgets = BTreeMap::new();
        for (name, budget) in written.budgets {
            let (requests, per_seconds) = (budget.requests, budget.per_seconds);
            if requests == 0 || !(1..=LONGEST_BUDGET).contains(&per_seconds) {
                let reason = "takes `requests` of at least 1, and `per-seconds` of at most a day".to_owned();
                return Err(key("budgets", reason));
            }
            own_budgets.insert(name, (requests, per_seconds));
        }
        let longest = retry.longest_seconds;
        let reviewers = written.review.reviewers;
        if reviewers.is_some_and(|reviewers| !(1..=MOST_REVIEWERS).contains(&reviewers)) {
            return Err(key("reviewers", format!("takes a number from 1 to {MOST_REVIEWERS}")));
        }
        let keep_days = written.store.keep_days.unwrap_or(KEEP_DAYS);
        if !(1..=LONGEST_KEEP_DAYS).contains(&keep_days) {
            return Err(key("keep-days", format!("takes a number from 1 to {LONGEST_KEEP_DAYS}")));
        }
        let removal_percent = written.store.removal_percent.unwrap_or(REMOVAL_PERCENT);
        if !(1..=100).contains(&removal_percent) {
            return Err(key("removal-percent", "takes a number from 1 to 100".to_owned()));
        }
        Ok(Self {
            name: written.name,
            about: About {
                description: written.description,
                owner: written.owner,
                secondary_owners: written.secondary_owners,
                review: Review { precedence: written.review.precedence, reviewers },
            },
            paused: written.paused,
            connector,
            provenance,
            streams: written.streams,
            settings,
            connect_to: written.network.connect_to,
            connect_to_of_all: BTreeMap::new(),
            ca_file: written.network.ca_file.map(|path| folder.join(path)),
            limits: Limits {
                call: seconds("call-seconds", limits.call_seconds, defaults.0.call)?,
                compute: seconds("compute-seconds", limits.compute_seconds, defaults.0.compute)?,
                memory: mebibytes("memory-mib", limits.memory_mib, defaults.0.memory)?,
                tables: count("tables", limits.tables, defaults.0.tables)?,
                table_elements: count("table-elements", limits.table_elements, defaults.0.table_elements)?,
                instances: count("instances", limits.instances, defaults.0.instances)?,
                requests: limits.requests.unwrap_or(defaults.0.requests).max(1),
                output: mebibytes("output-mib", limits.output_mib, defaults.0.output)?,
                log: kibibytes("log-kib", limits.log_kib, defaults.0.log)?,
            },
            pages: limits.pages.unwrap_or(MOST_PAGES).max(1),
            http: HttpLimits {
                exchange: seconds("request-seconds", limits.request_seconds, defaults.1.exchange)?,
                body: mebibytes("response-mib", limits.response_mib, defaults.1.body)?,
                ..defaults.1
            },
            retry: RetryPolicy {
                attempts: retry.attempts.unwrap_or(defaults.2.attempts).clamp(1, 100),
                first: seconds("first-seconds", retry.first_seconds, defaults.2.first)?,
                longest: seconds("longest-seconds", longest, defaults.2.longest)?,
                longest_slow: seconds("longest-seconds", longest, defaults.2.longest_slow)?,
            },
            schedule,
            budgets: limits.vendor_budgets.unwrap_or(true),
            own_budgets,
            run: seconds_up_to(LONGEST_RUN_EVER, "run-seconds", limits.run_seconds, LONGEST_RUN)?,
            keep_days,
            removal_percent,
        })
    }

    /// Checks the settings against `manifest`, and reads the secrets.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::Settings`] with all problems.
    pub fn settings(&self, manifest: &Manifest) -> Result<Settings, ConfigurationError> {
        let mut problems = Vec::new();
        let mut public = Vec::new();
        let mut secrets = BTreeMap::new();
        for spec in &manifest.settings {
            let value = match self.resolve(spec) {
                Ok(Some(value)) => value,
                Ok(None) => continue,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            if spec.kind == SettingKind::Secret {
                let mut value = value;
                secrets.insert(spec.name.clone(), SecretString::from(value.as_str()));
                value.zeroize();
            } else {
                public.push(api::Setting { name: spec.name.clone(), value });
            }
        }
        for name in self.settings.keys().filter(|name| manifest.setting(name).is_none()) {
            let known: Vec<_> = manifest.settings.iter().map(|spec| format!("`{}`", spec.name)).collect();
            problems.push(SettingProblem {
                name: name.clone(),
                reason: format!("is not a setting of {}", manifest.title),
                help: format!("the settings are {}", known.join(", ")),
            });
        }
        if !problems.is_empty() {
            return Err(ConfigurationError::Settings { integration: self.name.clone(), problems });
        }
        Ok(Settings { public, secrets })
    }

    /// The valid value of a setting; `None` if it is optional and not set.
    fn resolve(&self, spec: &SettingSpec) -> Result<Option<String>, SettingProblem> {
        let problem = |reason: String, help: &str| SettingProblem {
            name: spec.name.clone(),
            reason,
            help: help.to_owned(),
        };
        let value = match self.settings.get(&spec.name) {
            None => match &spec.default {
                Some(default) => default.clone(),
                None if spec.required => {
                    let reason = format!("({}) is missing from `[settings]`", spec.title);
                    return Err(problem(reason, &spec.help));
                }
                None => return Ok(None),
            },
            Some(value) if spec.kind == SettingKind::Secret && value.is_literal() => {
                let reason = "is a secret, and a configuration must not contain secrets".to_owned();
                return Err(problem(reason, value::HOW_SECRET));
            }
            Some(value) => {
                let read = if spec.kind == SettingKind::Secret { value.read_secret() } else { value.read() };
                read.map_err(|reason| problem(reason, value::HOW_SECRET))?
            }
        };
        match spec.objection(&value) {
            Some(objection) => Err(problem(objection, &spec.help)),
            None => Ok(Some(value)),
        }
    }
}

#[cfg(test)]
mod tests;
