//! The changes of a run: one row for each object, however often the run wrote it.

use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::RunId;

/// A changed field. Fields of the normal form have their names, fields of the vendor are `attributes.NAME`. A missing value
/// is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field.
    pub field: String,
    /// The earlier value.
    pub from: Value,
    /// The new value.
    pub to: Value,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    Entity,
    Relation,
}

impl Object {
    /// The name of its table, and its value in `change.object`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Entity => "entity",
            Self::Relation => "relation",
        }
    }
}

/// The kind of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Added,
    Changed(Vec<FieldChange>),
    Removed,
}

impl Kind {
    fn word(&self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed(_) => "changed",
            Self::Removed => "removed",
        }
    }

    fn parse(word: &str, fields: Option<String>) -> Self {
        match word {
            "added" => Self::Added,
            "removed" => Self::Removed,
            // The schema allows no other word, and only this module writes `fields`.
            _ => Self::Changed(fields.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()),
        }
    }

    /// Combines `self`, the earlier change of the run, with `later`. `None` if they cancel out. `since` has the fields in
    /// which an object that comes back differs from its state before the removal.
    fn then(self, later: Self, since: &[FieldChange]) -> Option<Self> {
        match (self, later) {
            (Self::Added, Self::Removed) => None,
            (Self::Added, _) => Some(Self::Added),
            (Self::Changed(before), Self::Changed(after)) => changed(merged(before, &after)),
            (Self::Removed, Self::Added) => changed(since.to_vec()),
            (_, later) => Some(later),
        }
    }
}

fn changed(fields: Vec<FieldChange>) -> Option<Kind> {
    (!fields.is_empty()).then_some(Kind::Changed(fields))
}

/// The changes of `before` followed by those of `after`, without those that cancel out.
fn merged(mut before: Vec<FieldChange>, after: &[FieldChange]) -> Vec<FieldChange> {
    for change in after {
        match before.iter_mut().find(|known| known.field == change.field) {
            Some(known) => known.to = change.to.clone(),
            None => before.push(change.clone()),
        }
    }
    before.retain(|change| change.from != change.to);
    before
}

/// Adds the fields in which the JSON object `to` differs from `from`, with `prefix` before each name.
pub(crate) fn fields_between(prefix: &str, from: &str, to: &str, changes: &mut Vec<FieldChange>) {
    if from == to {
        return;
    }
    let object = |text: &str| match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object,
        _ => serde_json::Map::new(),
    };
    let (from, to) = (object(from), object(to));
    let gone = from.keys().filter(|name| !to.contains_key(*name));
    for name in to.keys().chain(gone) {
        let value = |object: &serde_json::Map<String, Value>| object.get(name).cloned().unwrap_or_default();
        let (before, after) = (value(&from), value(&to));
        if before != after {
            changes.push(FieldChange { field: format!("{prefix}{name}"), from: before, to: after });
        }
    }
}

/// Whether `run` has recorded any change.
pub(crate) fn are_recorded(transaction: &Transaction<'_>, run: RunId) -> rusqlite::Result<bool> {
    transaction.prepare_cached("SELECT 1 FROM change WHERE run_id = ?1")?.exists([run.0])
}

/// Whether `run` has recorded a change of the object with this `id`.
pub(crate) fn is_recorded(
    transaction: &Transaction<'_>,
    run: RunId,
    object: Object,
    id: i64,
) -> rusqlite::Result<bool> {
    let find = "SELECT 1 FROM change WHERE run_id = ?1 AND object = ?2 AND object_id = ?3";
    transaction.prepare_cached(find)?.exists(params![run.0, object.word(), id])
}

/// Records a change of the object with this `id`, combined with the one that `run` has recorded. `since` has the fields in
/// which an object that comes back differs from its state before the removal.
pub(crate) fn record(
    transaction: &Transaction<'_>,
    run: RunId,
    object: Object,
    id: i64,
    kind: Kind,
    since: &[FieldChange],
) -> rusqlite::Result<()> {
    let key = params![run.0, object.word(), id];
    let known: Option<(String, Option<String>)> = transaction
        .prepare_cached(
            "SELECT kind, fields FROM change WHERE run_id = ?1 AND object = ?2 AND object_id = ?3",
        )?
        .query_row(key, |row| Ok((row.get("kind")?, row.get("fields")?)))
        .optional()?;
    let kind = match known {
        None => Some(kind),
        Some((word, fields)) => Kind::parse(&word, fields).then(kind, since),
    };
    let Some(kind) = kind else {
        let delete = "DELETE FROM change WHERE run_id = ?1 AND object = ?2 AND object_id = ?3";
        return transaction.prepare_cached(delete)?.execute(key).map(drop);
    };
    let fields = match &kind {
        Kind::Changed(fields) => serde_json::to_string(fields).ok(),
        Kind::Added | Kind::Removed => None,
    };
    let replace =
        "INSERT OR REPLACE INTO change (run_id, object, object_id, kind, fields) VALUES (?1, ?2, ?3, ?4, ?5)";
    let row = params![run.0, object.word(), id, kind.word(), fields];
    transaction.prepare_cached(replace)?.execute(row).map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(field: &str, from: &str, to: &str) -> FieldChange {
        FieldChange { field: field.to_owned(), from: json!(from), to: json!(to) }
    }

    #[test]
    fn a_value_that_changes_and_reverts_within_a_run_is_not_a_change() {
        let first = Kind::Changed(vec![change("name", "a", "b"), change("status", "x", "y")]);
        let second = Kind::Changed(vec![change("name", "b", "a"), change("status", "y", "z")]);
        let both = first.clone().then(second, &[]);
        assert_eq!(both, Some(Kind::Changed(vec![change("status", "x", "z")])));
        let third = Kind::Changed(vec![change("status", "z", "x")]);
        assert_eq!(both.unwrap().then(third, &[]), None);
        assert_eq!(Kind::Added.then(Kind::Removed, &[]), None);
        assert_eq!(Kind::Removed.then(Kind::Added, &[]), None);
        assert_eq!(
            Kind::Removed.then(Kind::Added, &[change("name", "a", "b")]),
            Some(Kind::Changed(vec![change("name", "a", "b")]))
        );
        assert_eq!(first.then(Kind::Removed, &[]), Some(Kind::Removed));
    }

    #[test]
    fn each_changed_field_has_its_earlier_and_its_new_value() {
        let mut changes = Vec::new();
        fields_between("", r#"{"a":1,"b":[1],"c":null}"#, r#"{"a":2,"b":[1],"d":true}"#, &mut changes);
        fields_between("attributes.", "{}", r#"{"notes":"x"}"#, &mut changes);
        let fields: Vec<_> =
            changes.iter().map(|one| (one.field.as_str(), one.from.clone(), one.to.clone())).collect();
        assert_eq!(
            fields,
            [
                ("a", json!(1), json!(2)),
                ("d", json!(null), json!(true)),
                ("attributes.notes", json!(null), json!("x"))
            ]
        );
    }
}
