//! What a connector declares, parsed and validated once: a [`Manifest`] is always valid.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};
use serde::Serialize;

use crate::contract::api;
use crate::contract::types::EntityType;
use crate::folding::can_be_redacted;
use crate::plain_manifest::plain_manifest;
use crate::stream_name::{StreamName, is_kebab_case};

/// A validated manifest. Documented item by item in `wit/connector.wit`; serializes for `inspect --json`.
#[derive(Clone, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the fields are the contract's")]
pub struct Manifest {
    pub name: String,
    pub title: String,
    pub version: String,
    pub description: String,
    pub setup: Vec<String>,
    pub settings: Vec<SettingSpec>,
    pub hosts: Vec<HostRule>,
    pub budgets: Vec<RequestBudget>,
    pub streams: Vec<StreamSpec>,
}

/// A setting the operator fills in.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are the contract's")]
pub struct SettingSpec {
    pub name: String,
    pub title: String,
    pub help: String,
    pub kind: SettingKind,
    pub required: bool,
    #[serde(serialize_with = "pattern_source")]
    pub pattern: Option<Regex>,
    pub default: Option<String>,
    pub example: Option<String>,
    pub choices: Vec<String>,
}

/// What kind of value a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the cases are the contract's")]
pub enum SettingKind {
    Text,
    Secret,
    Boolean,
    Integer,
    Choice,
}

/// A host the connector may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostRule {
    /// This name.
    Name(String),
    /// The value of this setting.
    Setting(String),
}

/// The longest time a budget spans, in seconds: vendors count by the second, the minute, the hour or the day.
pub const LONGEST_BUDGET: u32 = 24 * 60 * 60;

/// At most `requests` in any `per_seconds`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the contract's")]
pub struct RequestBudget {
    pub name: String,
    pub requests: u32,
    pub per_seconds: u32,
}

/// A stream: reads one list of the vendor, page by page.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are the contract's")]
pub struct StreamSpec {
    pub name: StreamName,
    pub title: String,
    pub entities: Vec<EntitySpec>,
    pub relations: Vec<RelationSpec>,
    pub usages: bool,
    pub permissions: Vec<String>,
    pub optional: bool,
    pub budget: Option<String>,
    pub incremental: bool,
    pub cursor_version: u32,
}

/// A kind of entity a stream yields.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are the contract's")]
pub struct EntitySpec {
    pub entity_type: &'static str,
    pub source_type: String,
    pub title: String,
    pub fields: Vec<FieldSpec>,
    pub attributes: Vec<FieldSpec>,
}

/// A field or attribute.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are the contract's")]
pub struct FieldSpec {
    pub name: String,
    pub description: String,
}

/// A kind of relation a stream yields.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are the contract's")]
pub struct RelationSpec {
    pub parent: String,
    pub privilege: String,
    pub child: String,
    pub description: String,
}

/// The most elements of each list of a manifest. Known connectors have at most 40.
pub(crate) const MOST: usize = 256;

/// The most memory that a compiled pattern may take, in bytes; and those of all settings together.
const LARGEST_PATTERN: usize = 1 << 20;
const PATTERNS: usize = 4 << 20;

/// The privilege of a [`RelationSpec`] for relations that have the vendor's own names of privileges.
pub const ANY_PRIVILEGE: &str = "*";

/// What is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// A name is blank, or not in kebab case.
    #[error("{what} is called `{name}`, which is not kebab case")]
    Name {
        /// What is named.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Two things share a name.
    #[error("two {what} are called `{name}`")]
    Twice {
        /// What is named, in plural.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Something refers to a name that the manifest does not declare.
    #[error("{what} names `{name}`, which the manifest does not declare")]
    Unknown {
        /// What refers.
        what: &'static str,
        /// What it refers to.
        name: String,
    },
    /// A setting contradicts itself.
    #[error("setting `{name}`: {reason}")]
    Setting {
        /// The setting.
        name: String,
        /// Why.
        reason: String,
    },
    /// A list is too long.
    #[error("{what} has {found} elements, more than the {MOST} that it may have")]
    TooMany {
        /// Which list.
        what: &'static str,
        /// How many.
        found: usize,
    },
    /// A rate limit allows no request, or its time span is not valid.
    #[error("budget `{0}` must allow at least one request in a span of 1 second to 1 day")]
    Budget(String),
    /// One source type is declared with two entity types.
    #[error("source type `{0}` is declared with two entity types")]
    Contradiction(String),
    /// The version is not a semantic one.
    #[error("version `{0}` is not a semantic version")]
    Version(String),
}

impl Manifest {
    /// Parses what a connector answered to `describe`. Its texts are cleaned as [`plain`](crate::text::plain) does.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] names the first part that is not valid.
    pub fn parse(raw: api::Manifest) -> Result<Self, ManifestError> {
        bound(&raw)?;
        let raw = plain_manifest(raw);
        kebab("the connector", &raw.name)?;
        if semver::Version::parse(&raw.version).is_err() {
            return Err(ManifestError::Version(raw.version));
        }
        distinct("settings", raw.settings.iter().map(|setting| &setting.name))?;
        distinct("budgets", raw.budgets.iter().map(|budget| &budget.name))?;
        distinct("streams", raw.streams.iter().map(|stream| &stream.name))?;
        let mut types = BTreeMap::new();
        for entity in raw.streams.iter().flat_map(|stream| &stream.entities) {
            let known = *types.entry(&entity.source_type).or_insert(entity.entity_type);
            if known != entity.entity_type {
                return Err(ManifestError::Contradiction(entity.source_type.clone()));
            }
        }

        let is_wrong = |budget: &&api::RequestBudget| {
            budget.requests == 0 || !(1..=LONGEST_BUDGET).contains(&budget.per_seconds)
        };
        if let Some(budget) = raw.budgets.iter().find(is_wrong) {
            return Err(ManifestError::Budget(budget.name.clone()));
        }

        let patterns = raw.settings.iter().filter(|setting| setting.pattern.is_some()).count();
        let size = LARGEST_PATTERN.min(PATTERNS / patterns.max(1));
        let settings = raw.settings.into_iter().map(|setting| SettingSpec::parse(setting, size));
        let settings: Vec<_> = settings.collect::<Result<_, _>>()?;
        let hosts = raw.hosts.into_iter().map(|host| HostRule::parse(host, &settings));
        let hosts = hosts.collect::<Result<_, _>>()?;
        let budgets = raw.budgets.into_iter().map(|budget| RequestBudget {
            name: budget.name,
            requests: budget.requests,
            per_seconds: budget.per_seconds,
        });
        let budgets: Vec<_> = budgets.collect();
        let streams = raw.streams.into_iter().map(|stream| StreamSpec::parse(stream, &budgets));
        let streams = streams.collect::<Result<_, _>>()?;
        Ok(Self {
            name: raw.name,
            title: raw.title,
            version: raw.version,
            description: raw.description,
            setup: raw.setup,
            settings,
            hosts,
            budgets,
            streams,
        })
    }

    /// The setting called `name`.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&SettingSpec> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// The stream called `name`.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<&StreamSpec> {
        self.streams.iter().find(|stream| stream.name == name)
    }

    /// Each source type that a stream declares, with its entity type.
    pub fn entity_types(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let entities = self.streams.iter().flat_map(|stream| &stream.entities);
        entities.map(|entity| (entity.source_type.as_str(), entity.entity_type))
    }

    /// The title of a source type, for a table's heading: `Users`.
    #[must_use]
    pub fn title_of<'a>(&'a self, source_type: &'a str) -> &'a str {
        let mut entities = self.streams.iter().flat_map(|stream| &stream.entities);
        entities.find(|entity| entity.source_type == source_type).map_or(source_type, |entity| &entity.title)
    }
}

impl SettingSpec {
    /// `size` is the most memory that its compiled pattern may take, in bytes.
    fn parse(raw: api::SettingSpec, size: usize) -> Result<Self, ManifestError> {
        kebab("a setting", &raw.name)?;
        let invalid =
            |reason: &str| ManifestError::Setting { name: raw.name.clone(), reason: reason.to_owned() };
        let pattern = raw
            .pattern
            .as_deref()
            .map(|pattern| whole_value(pattern, size))
            .transpose()
            .map_err(|error| invalid(&error))?;
        let kind = match raw.kind {
            api::SettingKind::Text => SettingKind::Text,
            api::SettingKind::Secret => SettingKind::Secret,
            api::SettingKind::Boolean => SettingKind::Boolean,
            api::SettingKind::Integer => SettingKind::Integer,
            api::SettingKind::Choice => SettingKind::Choice,
        };
        if kind == SettingKind::Secret && raw.default.is_some() {
            return Err(invalid("a secret has no default"));
        }
        if (kind == SettingKind::Choice) == raw.choices.is_empty() {
            return Err(invalid("the kind `choice` needs choices, and no other kind may have them"));
        }
        let spec = Self {
            name: raw.name,
            title: raw.title,
            help: raw.help,
            kind,
            required: raw.required,
            pattern,
            default: raw.default,
            example: raw.example,
            choices: raw.choices,
        };
        if let Some(reason) = spec.default.as_deref().and_then(|default| spec.objection(default)) {
            return Err(ManifestError::Setting { name: spec.name, reason: format!("its default {reason}") });
        }
        Ok(spec)
    }

    /// What is wrong with `value`, for the end of a sentence. `None` if it is valid. Never repeats the value.
    #[must_use]
    pub fn objection(&self, value: &str) -> Option<String> {
        let fits = match self.kind {
            SettingKind::Boolean => matches!(value, "true" | "false"),
            SettingKind::Integer => value.parse::<i64>().is_ok(),
            SettingKind::Choice => self.choices.iter().any(|choice| choice == value),
            SettingKind::Text | SettingKind::Secret => true,
        };
        if !fits {
            return Some(match self.kind {
                SettingKind::Boolean => "must be `true` or `false`".to_owned(),
                SettingKind::Integer => "must be a whole number".to_owned(),
                _ => format!("must be one of `{}`", self.choices.join("`, `")),
            });
        }
        if value.trim().is_empty() {
            return Some("is blank".to_owned());
        }
        if value.trim() != value {
            return Some("begins or ends with white space, perhaps copied with it".to_owned());
        }
        if self.kind == SettingKind::Secret && !can_be_redacted(value) {
            return Some("has fewer than 4 characters, so it could not be removed from logs".to_owned());
        }
        let matches = self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(value));
        (!matches).then(|| match &self.example {
            Some(example) => format!("does not look like `{example}`"),
            None => "does not match the pattern of the setting".to_owned(),
        })
    }
}

impl HostRule {
    fn parse(raw: String, settings: &[SettingSpec]) -> Result<Self, ManifestError> {
        let Some(name) = raw.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            let is_name = raw.contains('.')
                && raw.chars().all(|char| matches!(char, 'a'..='z' | '0'..='9' | '.' | '-'))
                && !raw.starts_with('.')
                && !raw.ends_with('.');
            return if is_name {
                Ok(Self::Name(raw))
            } else {
                Err(ManifestError::Name { what: "a host", name: raw })
            };
        };
        let setting = settings.iter().find(|setting| setting.name == name);
        let setting =
            setting.ok_or_else(|| ManifestError::Unknown { what: "a host", name: name.to_owned() })?;
        // Without a pattern the operator's typo, or an attacker's value, would decide where secrets go.
        if setting.pattern.is_none() || setting.kind == SettingKind::Secret {
            return Err(ManifestError::Setting {
                name: name.to_owned(),
                reason: "it names a host, so it needs a pattern and can't be a secret".to_owned(),
            });
        }
        Ok(Self::Setting(name.to_owned()))
    }
}

impl StreamSpec {
    fn parse(raw: api::StreamSpec, budgets: &[RequestBudget]) -> Result<Self, ManifestError> {
        let Some(name) = StreamName::parse(&raw.name) else {
            return Err(not_kebab_case("a stream", &raw.name));
        };
        if let Some(name) = &raw.budget
            && !budgets.iter().any(|budget| budget.name == *name)
        {
            return Err(ManifestError::Unknown { what: "a stream's budget", name: name.clone() });
        }
        let entities = raw.entities.into_iter().map(EntitySpec::parse).collect::<Result<_, _>>()?;
        let relations = raw.relations.into_iter().map(|relation| RelationSpec {
            parent: relation.parent,
            privilege: relation.privilege,
            child: relation.child,
            description: relation.description,
        });
        Ok(Self {
            name,
            title: raw.title,
            entities,
            relations: relations.collect(),
            usages: raw.usages,
            permissions: raw.permissions,
            optional: raw.optional,
            budget: raw.budget,
            incremental: raw.incremental,
            cursor_version: raw.cursor_version,
        })
    }
}

impl EntitySpec {
    fn parse(raw: api::EntitySpec) -> Result<Self, ManifestError> {
        kebab("a source type", &raw.source_type)?;
        let fields = |specs: Vec<api::FieldSpec>| {
            let specs = specs.into_iter();
            specs.map(|spec| FieldSpec { name: spec.name, description: spec.description }).collect()
        };
        Ok(Self {
            entity_type: entity_type_word(raw.entity_type),
            source_type: raw.source_type,
            title: raw.title,
            fields: fields(raw.fields),
            attributes: fields(raw.attributes),
        })
    }
}

/// The word for an entity type, as the consuming product writes it.
#[must_use]
pub fn entity_type_word(entity_type: EntityType) -> &'static str {
    match entity_type {
        EntityType::Identity => "identity",
        EntityType::Connection => "connection",
        EntityType::Resource => "resource",
    }
}

/// A pattern that must match the whole value. Its size is bounded, because it comes from a guest.
fn whole_value(pattern: &str, size: usize) -> Result<Regex, String> {
    let pattern = format!("^(?:{pattern})$");
    // What a match keeps in memory is bounded as well.
    let regex = RegexBuilder::new(&pattern).size_limit(size).dfa_size_limit(size).build();
    regex.map_err(|_| "its pattern is not a regular expression, or is too large".to_owned())
}

fn pattern_source<S: serde::Serializer>(pattern: &Option<Regex>, serializer: S) -> Result<S::Ok, S::Error> {
    let source = pattern.as_ref().map(|pattern| {
        let source = pattern.as_str();
        source.strip_prefix("^(?:").and_then(|rest| rest.strip_suffix(")$")).unwrap_or(source)
    });
    source.serialize(serializer)
}

fn kebab(what: &'static str, name: &str) -> Result<(), ManifestError> {
    if is_kebab_case(name) { Ok(()) } else { Err(not_kebab_case(what, name)) }
}

fn not_kebab_case(what: &'static str, name: &str) -> ManifestError {
    ManifestError::Name { what, name: name.chars().take(64).collect() }
}

/// Refuses lists that are too long.
fn bound(raw: &api::Manifest) -> Result<(), ManifestError> {
    let mut lists = vec![
        ("`setup`", raw.setup.len()),
        ("`settings`", raw.settings.len()),
        ("`hosts`", raw.hosts.len()),
        ("`budgets`", raw.budgets.len()),
        ("`streams`", raw.streams.len()),
    ];
    lists.extend(raw.settings.iter().map(|setting| ("`choices` of a setting", setting.choices.len())));
    for stream in raw.streams.iter().take(MOST) {
        lists.extend([
            ("`entities` of a stream", stream.entities.len()),
            ("`relations` of a stream", stream.relations.len()),
            ("`permissions` of a stream", stream.permissions.len()),
        ]);
        for entity in stream.entities.iter().take(MOST) {
            lists.extend([
                ("`fields` of an entity", entity.fields.len()),
                ("`attributes` of an entity", entity.attributes.len()),
            ]);
        }
    }
    match lists.into_iter().find(|(_, found)| *found > MOST) {
        Some((what, found)) => Err(ManifestError::TooMany { what, found }),
        None => Ok(()),
    }
}

fn distinct<'a>(what: &'static str, names: impl Iterator<Item = &'a String>) -> Result<(), ManifestError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(ManifestError::Twice { what, name: name.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
