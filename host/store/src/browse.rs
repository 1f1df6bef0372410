//! Pages of objects by name, one object with its relations, and the paths to an application.
//!
//! A page is found by the key at the end of the page before, so the last page costs as much as the first one.

use rusqlite::{ToSql, params};
use serde::{Deserialize, Serialize};

use crate::read::{ENTITIES, count};
use crate::{EntityRow, Reader, StoreError};

/// How many objects of a source type are present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TypeCount {
    /// `identity`, `connection` or `resource`.
    pub entity_type: String,
    /// The source type.
    pub source_type: String,
    /// How many.
    pub count: u64,
}

/// The position of an object in a list. Objects are sorted by name, ignoring case, and then by key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The name of the object.
    pub name: String,
    /// The key of the object.
    pub source_id: String,
}

/// Selects a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageCursor {
    /// The first one.
    First,
    /// The one that follows this object.
    After(Key),
    /// The one before this object.
    Before(Key),
}

/// Selects objects of an integration.
#[derive(Clone, Debug)]
pub struct Entities<'a> {
    /// Of this source type.
    pub source_type: &'a str,
    /// With this text in the name, the key, the user name or an e-mail address; blank for all.
    pub search: &'a str,
    /// The page.
    pub turn: PageCursor,
    /// The most on a page.
    pub limit: u32,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct PageOf<T> {
    /// What is on it.
    pub rows: Vec<T>,
    /// Where the page before ends, if there is one.
    pub before: Option<Key>,
    /// Where the next page begins, if there is one.
    pub after: Option<Key>,
    /// How many there are on all pages.
    pub total: u64,
}

/// Names an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntityLink {
    /// `identity`, `connection` or `resource`.
    pub entity_type: String,
    /// Its source type.
    pub source_type: String,
    /// Its key.
    pub source_id: String,
    /// Its name; its key where it is not present.
    pub name: String,
    /// Whether it is present: a vendor may refer to an object that it does not list.
    pub is_there: bool,
    /// Its normal fields, a JSON object; blank where it is not present.
    #[serde(skip)]
    pub normal: String,
}

/// A relation of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Linked {
    /// The privilege.
    pub privilege: String,
    /// Whether it grants; otherwise it denies.
    pub grants: bool,
    /// The other end.
    pub other: EntityLink,
}

/// A path from an identity to an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessPath {
    /// The application's source type.
    pub application_source_type: String,
    /// The application's key.
    pub application_source_id: String,
    /// The application's name.
    pub application: String,
    /// The identity's source type.
    pub identity_source_type: String,
    /// The identity's key.
    pub identity_source_id: String,
    /// The identity's name.
    pub identity: String,
    /// The source type of the group or other connection that it leads through; `None` if the access is direct.
    pub through_source_type: Option<String>,
    /// The key of that connection.
    pub through_source_id: Option<String>,
    /// The name of that connection.
    pub through: Option<String>,
    /// Whether neither the identity nor the connection is disabled, locked or about to be deleted.
    pub can_sign_in: bool,
    /// When the identity last used the application, RFC 3339; `None` if it did not within the window of the log.
    pub last_success: Option<String>,
}

/// The kind of the source type ?2 of the integration ?1.
const KIND: &str = "(SELECT k.id FROM kind k JOIN integration i ON i.id = k.integration_id
                     WHERE i.name = ?1 AND k.source_type = ?2)";

impl Reader {
    /// The names of the integrations in the store.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn integrations(&self) -> Result<Vec<String>, StoreError> {
        self.rows("SELECT name FROM integration ORDER BY name", [], |row| row.get("name"))
    }

    /// How many objects of each source type an integration has.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn type_counts(&self, integration: &str) -> Result<Vec<TypeCount>, StoreError> {
        let query = "SELECT k.entity_type, k.source_type, (
                         SELECT count(*) FROM entity e
                         WHERE e.kind_id = k.id AND e.stream_id IS NOT NULL AND e.gone_run IS NULL
                     ) AS count
                     FROM kind k JOIN integration i ON i.id = k.integration_id
                     WHERE i.name = ?1 ORDER BY k.source_type";
        let counts = self.rows(query, [integration], |row| {
            Ok(TypeCount {
                entity_type: row.get("entity_type")?,
                source_type: row.get("source_type")?,
                count: count(row, "count")?,
            })
        })?;
        Ok(counts.into_iter().filter(|one| one.count > 0).collect())
    }

    /// A page of the objects of an integration.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn browse(&self, integration: &str, which: &Entities<'_>) -> Result<PageOf<EntityRow>, StoreError> {
        let (beyond, order, key) = match &which.turn {
            PageCursor::First => ("", "", None),
            PageCursor::After(key) => ("AND (e.name COLLATE NOCASE, e.source_id) > (?4, ?5)", "", Some(key)),
            PageCursor::Before(key) => {
                ("AND (e.name COLLATE NOCASE, e.source_id) < (?4, ?5)", "DESC", Some(key))
            }
        };
        let pattern = which.search.trim().replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
        let pattern = format!("%{pattern}%");
        let search = if which.search.trim().is_empty() {
            "AND ?3 IS NOT NULL"
        } else {
            r"AND (e.name LIKE ?3 ESCAPE '\' OR e.source_id LIKE ?3 ESCAPE '\' OR e.search LIKE ?3 ESCAPE '\')"
        };
        let matching =
            format!("e.kind_id = {KIND} AND e.stream_id IS NOT NULL AND e.gone_run IS NULL {search}");
        // The inner select reads only the index; the outer one reads the rows of this page.
        let page = format!(
            "SELECT ?1 AS integration, k.entity_type, k.source_type, e.source_id, e.name, e.normal, e.attributes
             FROM (
                 SELECT e.id FROM entity e WHERE {matching} {beyond}
                 ORDER BY e.name COLLATE NOCASE {order}, e.source_id {order} LIMIT {}
             ) page
             JOIN entity e ON e.id = page.id
             JOIN kind k ON k.id = e.kind_id
             ORDER BY e.name COLLATE NOCASE {order}, e.source_id {order}",
            which.limit.saturating_add(1)
        );
        let (name, id) = key.map_or(("", ""), |key| (key.name.as_str(), key.source_id.as_str()));
        let mut values: Vec<&dyn ToSql> = vec![&integration, &which.source_type, &pattern];
        if key.is_some() {
            values.extend::<[&dyn ToSql; 2]>([&name, &id]);
        }
        let mut rows = self.rows(&page, values.as_slice(), EntityRow::parse)?;
        let is_more = rows.len() > which.limit as usize;
        rows.truncate(which.limit as usize);
        let backwards = matches!(which.turn, PageCursor::Before(_));
        if backwards {
            rows.reverse();
        }
        let total = format!("SELECT count(*) AS total FROM entity e WHERE {matching}");
        let key_of_all = params![integration, which.source_type, pattern];
        let total = self.rows(&total, key_of_all, |row| count(row, "total"))?;
        let key = |row: Option<&EntityRow>| {
            row.map(|row| Key { name: row.name.clone(), source_id: row.source_id.clone() })
        };
        let (has_before, has_after) = match which.turn {
            PageCursor::First => (false, is_more),
            PageCursor::After(_) => (true, is_more),
            PageCursor::Before(_) => (is_more, true),
        };
        Ok(PageOf {
            before: key(rows.first()).filter(|_| has_before),
            after: key(rows.last()).filter(|_| has_after),
            total: total.first().copied().unwrap_or_default(),
            rows,
        })
    }

    /// A present object.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn entity(
        &self,
        integration: &str,
        source_type: &str,
        id: &str,
    ) -> Result<Option<EntityRow>, StoreError> {
        let query = format!("{ENTITIES} WHERE integration = ?1 AND source_type = ?2 AND source_id = ?3");
        let mut found = self.rows(&query, params![integration, source_type, id], EntityRow::parse)?;
        Ok(found.pop())
    }

    /// The children of an object if `is_parent`, otherwise its parents: the first `limit`, and how many there are.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn linked(
        &self,
        object: &EntityRow,
        is_parent: bool,
        limit: u32,
    ) -> Result<(Vec<Linked>, u64), StoreError> {
        let (this, other) = if is_parent { ("parent", "child") } else { ("child", "parent") };
        let related = format!(
            "FROM entity this
             JOIN privilege p ON p.{this}_kind_id = this.kind_id
             JOIN relation r ON r.privilege_id = p.id AND r.{this}_id = this.id AND r.gone_run IS NULL
             WHERE this.kind_id = {KIND} AND this.source_id = ?3"
        );
        let query = format!(
            "SELECT related.privilege, related.privilege_value, k.entity_type, k.source_type, e.source_id,
                    e.stream_id IS NOT NULL AND e.gone_run IS NULL AS is_there,
                    coalesce(e.name, e.source_id) AS name, coalesce(e.normal, '') AS normal
             FROM (SELECT p.name AS privilege, r.privilege_value, r.{other}_id AS other_id {related} LIMIT ?4) related
             JOIN entity e ON e.id = related.other_id
             JOIN kind k ON k.id = e.kind_id"
        );
        let (integration, source_type, id) = (&object.integration, &object.source_type, &object.source_id);
        let mut linked = self.rows(&query, params![integration, source_type, id, limit], |row| {
            let is_there: bool = row.get("is_there")?;
            // A removed entity is shown by its key, like one that was never read.
            let (name, normal) =
                if is_there { ("name", row.get("normal")?) } else { ("source_id", String::new()) };
            Ok(Linked {
                privilege: row.get("privilege")?,
                grants: row.get("privilege_value")?,
                other: EntityLink {
                    entity_type: row.get("entity_type")?,
                    source_type: row.get("source_type")?,
                    source_id: row.get("source_id")?,
                    name: row.get(name)?,
                    is_there,
                    normal,
                },
            })
        })?;
        linked.sort_by(|a, b| {
            let key = |one: &Linked| {
                (one.other.source_type.clone(), one.privilege.clone(), one.other.name.to_lowercase())
            };
            key(a).cmp(&key(b))
        });
        let total = format!("SELECT count(*) AS total {related}");
        let total = self.rows(&total, params![integration, source_type, id], |row| count(row, "total"))?;
        Ok((linked, total.first().copied().unwrap_or_default()))
    }

    /// The paths to an application, or from an identity: `limit` of them after the first `skip`, the last used ones first.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn access(&self, object: &EntityRow, skip: u64, limit: u32) -> Result<Vec<AccessPath>, StoreError> {
        let of_it = if object.entity_type == "identity" {
            "identity_source_type = ?2 AND identity_source_id = ?3"
        } else {
            "application_source_type = ?2 AND application_source_id = ?3"
        };
        let query = format!(
            "SELECT application_source_type, application_source_id, application, identity_source_type,
                    identity_source_id, identity, through_source_type, through_source_id, through,
                    coalesce(can_sign_in, 0) AS can_sign_in, last_success
             FROM application_access WHERE integration = ?1 AND {of_it}
             ORDER BY last_success IS NULL, last_success DESC, application, identity, through LIMIT ?4 OFFSET ?5"
        );
        let skip = i64::try_from(skip).unwrap_or(i64::MAX);
        let key = params![object.integration, object.source_type, object.source_id, limit, skip];
        self.rows(&query, key, |row| {
            Ok(AccessPath {
                application_source_type: row.get("application_source_type")?,
                application_source_id: row.get("application_source_id")?,
                application: row.get("application")?,
                identity_source_type: row.get("identity_source_type")?,
                identity_source_id: row.get("identity_source_id")?,
                identity: row.get("identity")?,
                through_source_type: row.get("through_source_type")?,
                through_source_id: row.get("through_source_id")?,
                through: row.get("through")?,
                can_sign_in: row.get("can_sign_in")?,
                last_success: row.get("last_success")?,
            })
        })
    }
}
