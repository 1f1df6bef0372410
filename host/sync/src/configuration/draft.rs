//! An integration before it is a file: the form of the wizard, and the request body of the API.
//!
//! A draft becomes the same TOML that is written by hand. Parts of a file that a draft does not have (limits, networks,
//! comments) are kept. Secrets in a draft are already sealed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value, value};

use super::{About, MOST_REVIEWERS, Review, Reviewer, Schedule, file};
use connector_sandbox::manifest::{Manifest, SettingKind};

/// An integration as a person fills it in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Draft {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// The name of its connector.
    pub connector: String,
    /// Its description, owners and reviewers.
    #[serde(flatten)]
    pub about: About,
    /// Whether scheduled runs are disabled.
    #[serde(default)]
    pub paused: bool,
    /// The values of settings that are not secret; blank means the default.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// The sealed values of secrets that were filled in.
    #[serde(skip)]
    pub sealed: BTreeMap<String, String>,
    /// Settings whose values in the file are kept: secrets, and values from a variable or a file.
    #[serde(skip)]
    pub kept: BTreeSet<String>,
    /// The streams to read; if empty, all of them.
    #[serde(default)]
    pub streams: Vec<String>,
    /// The interval of scheduled runs: `6h`.
    #[serde(default)]
    pub interval: String,
    /// The times of scheduled runs, as a cron pattern. Excludes `interval`.
    #[serde(default)]
    pub cron: String,
}

/// What is wrong with one field of a draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// The field; a setting is `settings.NAME`.
    pub field: String,
    /// What is wrong: the end of a sentence that begins with the field's title. It never contains the value.
    pub reason: String,
}

/// A file that can't be read as a draft, or that a draft can't be written into.
#[derive(Debug, thiserror::Error)]
#[error("the configuration can't be edited here: {0}")]
pub struct DraftError(String);

/// The part of a draft that a step of the wizard shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Name, owner and description.
    About,
    /// The settings that are required.
    Connection,
    /// Everything else.
    Options,
}

impl Draft {
    /// The draft of the file with this text.
    ///
    /// # Errors
    ///
    /// When it is not a configuration.
    pub fn of(text: &str) -> Result<Self, DraftError> {
        let written = file::parse(text, std::path::Path::new("the file"));
        let written = written.map_err(|error| DraftError(error.to_string()))?;
        let (mut settings, mut kept) = (BTreeMap::new(), BTreeSet::new());
        for (name, value) in written.settings {
            match value {
                toml::Value::String(text) => drop(settings.insert(name, text)),
                toml::Value::Boolean(value) => drop(settings.insert(name, value.to_string())),
                toml::Value::Integer(value) => drop(settings.insert(name, value.to_string())),
                _ => drop(kept.insert(name)),
            }
        }
        Ok(Self {
            name: written.name,
            connector: written.connector,
            about: About {
                description: written.description,
                owner: written.owner,
                secondary_owners: written.secondary_owners,
                review: Review { precedence: written.review.precedence, reviewers: written.review.reviewers },
            },
            paused: written.paused,
            settings,
            sealed: BTreeMap::new(),
            kept,
            streams: written.streams.unwrap_or_default(),
            interval: written.schedule.interval.unwrap_or_default(),
            cron: written.schedule.cron.unwrap_or_default(),
        })
    }

    /// The new text of its file; `before` is the present text.
    ///
    /// # Errors
    ///
    /// When `before` is not TOML.
    pub fn write(&self, before: Option<&str>) -> Result<String, DraftError> {
        let mut document: DocumentMut = before.unwrap_or_default().parse().map_err(|_| {
            // The library quotes the line, which may hold a secret.
            DraftError("it is not TOML".to_owned())
        })?;
        let root = document.as_table_mut();
        set(root, "name", Some(self.name.as_str().into()));
        set(root, "connector", Some(self.connector.as_str().into()));
        set(root, "description", text(&self.about.description));
        set(root, "owner", text(&self.about.owner));
        set(root, "secondary-owners", list(&self.about.secondary_owners));
        set(root, "paused", self.paused.then(|| true.into()));
        set(root, "streams", list(&self.streams));
        let settings = table(root, "settings")?;
        settings.retain(|name, _| {
            self.kept.contains(name) || self.sealed.contains_key(name) || self.settings.contains_key(name)
        });
        for (name, value) in self.settings.iter().filter(|(name, _)| !self.kept.contains(*name)) {
            set(settings, name, text(value));
        }
        for (name, sealed) in &self.sealed {
            set(settings, name, Some(InlineTable::from_iter([("sealed", sealed.as_str())]).into()));
        }
        let schedule = table(root, "schedule")?;
        set(schedule, "interval", text(&self.interval));
        set(schedule, "cron", text(&self.cron));
        let review = table(root, "review")?;
        let precedence: Vec<_> =
            self.about.review.precedence.iter().map(|one| one.name().to_owned()).collect();
        set(review, "precedence", list(&precedence));
        set(review, "reviewers", self.about.review.reviewers.map(|count| i64::from(count).into()));
        root.retain(|_, item| item.as_table().is_none_or(|table| !table.is_empty() || !table.is_implicit()));
        Ok(document.to_string())
    }

    /// The problems of `part`, or of the whole draft, according to the connector's manifest.
    #[must_use]
    pub fn problems(&self, manifest: &Manifest, part: Option<Part>) -> Vec<FieldProblem> {
        let asks = |other: Part| part.is_none_or(|part| part == other);
        let mut problems = Vec::new();
        let mut problem = |field: &str, reason: String| {
            problems.push(FieldProblem { field: field.to_owned(), reason });
        };
        if asks(Part::About) {
            if !super::is_name(&self.name) {
                problem("name", format!("takes {}", super::NAME_TAKES));
            }
            if self.about.owner.trim().is_empty() {
                problem("owner", "is required: the person responsible for this integration".to_owned());
            }
        }
        for spec in &manifest.settings {
            let part_of_it = if spec.required { Part::Connection } else { Part::Options };
            let is_set = self.kept.contains(&spec.name) || self.sealed.contains_key(&spec.name);
            if !asks(part_of_it) || is_set {
                continue;
            }
            let field = format!("settings.{}", spec.name);
            match self.settings.get(&spec.name).filter(|value| !value.is_empty()) {
                None if spec.required && spec.default.is_none() => problem(&field, "is required".to_owned()),
                None => {}
                Some(_) if spec.kind == SettingKind::Secret => {
                    problem(&field, "is a secret, and was not sealed".to_owned());
                }
                Some(value) => {
                    if let Some(reason) = spec.objection(value) {
                        problem(&field, reason);
                    }
                }
            }
        }
        if asks(Part::Options) {
            for name in self.settings.keys().filter(|name| manifest.setting(name).is_none()) {
                problem(&format!("settings.{name}"), format!("is not a setting of {}", manifest.title));
            }
            if let Some(stream) = self.streams.iter().find(|name| manifest.stream(name).is_none()) {
                problem("streams", format!("names `{stream}`, which {} does not have", manifest.title));
            }
            let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let (interval, cron) = (given(&self.interval), given(&self.cron));
            if let Err((key, reason)) = Schedule::parse(interval.as_deref(), cron.as_deref()) {
                problem(key, reason);
            }
            let reviewers = self.about.review.reviewers;
            if reviewers.is_some_and(|reviewers| !(1..=MOST_REVIEWERS).contains(&reviewers)) {
                problem("reviewers", format!("takes a number from 1 to {MOST_REVIEWERS}"));
            }
            let precedence = &self.about.review.precedence;
            let twice = |one: &Reviewer| precedence.iter().filter(|other| *other == one).count() > 1;
            if precedence.iter().any(twice) {
                problem("precedence", "names a reviewer twice".to_owned());
            }
        }
        problems
    }
}

/// Changes the value of `key`, or removes it. The comments and spaces around a changed value are kept.
fn set(table: &mut Table, key: &str, new: Option<Value>) {
    match (new, table.get_mut(key)) {
        (None, _) => drop(table.remove(key)),
        (Some(new), Some(Item::Value(known))) => {
            let decor = known.decor().clone();
            *known = new;
            *known.decor_mut() = decor;
        }
        (Some(new), _) => drop(table.insert(key, value(new))),
    }
}

fn text(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| text.into())
}

fn list(texts: &[String]) -> Option<Value> {
    (!texts.is_empty()).then(|| Value::Array(Array::from_iter(texts.iter().map(String::as_str))))
}

/// The table `[key]`. It is created if missing, and is written only if it is not empty.
fn table<'a>(root: &'a mut Table, key: &str) -> Result<&'a mut Table, DraftError> {
    let implicit = || {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    };
    let item = root.entry(key).or_insert_with(implicit);
    if let Item::Value(Value::InlineTable(inline)) = item {
        *item = Item::Table(std::mem::take(inline).into_table());
    }
    item.as_table_mut().ok_or_else(|| DraftError(format!("its `{key}` is not a table")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Configuration;

    const BY_HAND: &str = "# Ours.\nname = \"acme\" # the name\nconnector = \"acme\"\n\n[settings]\n\
        api-hostname = \"api-1.example.com\"\nsecret-key = { env = \"ACME\" }\n\n[network]\n\
        connect-to = { \"a.example.com\" = \"http://127.0.0.1:1\" } # a test\n";

    fn parse(text: &str) -> Configuration {
        let (path, folder) = (std::path::Path::new("acme.toml"), std::path::Path::new(""));
        Configuration::parse(text, path, folder).unwrap()
    }

    #[test]
    fn a_draft_of_a_file_changes_nothing_in_it() {
        assert_eq!(Draft::of(BY_HAND).unwrap().write(Some(BY_HAND)).unwrap(), BY_HAND);
    }

    #[test]
    fn what_a_draft_does_not_know_stays() {
        let mut draft = Draft::of(BY_HAND).unwrap();
        draft.about.owner = "Ann \"A\" Example".to_owned();
        draft.interval = "6h".to_owned();
        draft.paused = true;
        draft.settings.insert("api-hostname".to_owned(), "api-2.example.com".to_owned());
        draft.sealed.insert("secret-key".to_owned(), "v1:AAAA".to_owned());
        draft.about.review.precedence = vec![Reviewer::RiskManager, Reviewer::BusinessOwner];
        let written = draft.write(Some(BY_HAND)).unwrap();
        for kept in ["# Ours.", "# the name", "# a test", "connect-to"] {
            assert!(written.contains(kept), "{kept}: {written}");
        }
        assert!(!written.contains("ACME"), "{written}");
        let configuration = parse(&written);
        assert_eq!(configuration.about, draft.about);
        assert!(configuration.paused);
        let again = Draft::of(&written).unwrap();
        assert_eq!(again.write(Some(&written)).unwrap(), written);
    }

    #[test]
    fn a_new_draft_is_a_configuration_that_parses() {
        let draft = Draft {
            name: "acme".to_owned(),
            connector: "acme".to_owned(),
            settings: [("a".to_owned(), "b\"\n[x]".to_owned())].into(),
            sealed: [("secret-key".to_owned(), "v1:AAAA".to_owned())].into(),
            ..Draft::default()
        };
        let written = draft.write(None).unwrap();
        assert_eq!(parse(&written).settings.len(), 2);
        assert_eq!(Draft::of(&written).unwrap().settings, draft.settings);
        assert!(Draft::of(&written).unwrap().kept.contains("secret-key"));
    }
}
