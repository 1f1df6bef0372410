//! What is there, to be looked around in: a page of objects by name, one object and what it relates to, who reaches what.
//!
//! A page is found by the key that the page before ended with, so that the last page costs what the first one does.

use rusqlite::{OptionalExtension, ToSql, params};
use serde::{Deserialize, Serialize};

use crate::{EntityRow, Reader, StoreError};

/// How many objects of a source type are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TypeCount {
    /// `identity`, `connection` or `resource`.
    pub entity_type: String,
    /// The source type.
    pub source_type: String,
    /// How many.
    pub count: u64,
}

/// Where a page of objects begins or ends: the order is that of names, upper and lower case alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// A name.
    pub name: String,
    /// The key of the object with that name.
    pub source_id: String,
}

/// Which page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageCursor {
    /// The first one.
    First,
    /// The one that follows this object.
    After(Key),
    /// The one before this object.
    Before(Key),
}

/// Which objects.
#[derive(Clone, Debug)]
pub struct Entities<'a> {
    /// Of this source type.
    pub source_type: &'a str,
    /// That have this in name, key, user name or e-mail; blank for all.
    pub search: &'a str,
    /// Which page of them.
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
pub struct Found {
    /// `identity`, `connection` or `resource`.
    pub entity_type: String,
    /// Its source type.
    pub source_type: String,
    /// Its key.
    pub source_id: String,
    /// Its name; its key where it is not there.
    pub name: String,
    /// Whether it is there: a vendor may name what it does not list.
    pub is_there: bool,
    /// Its normal fields, a JSON object; blank where it is not there.
    #[serde(skip)]
    pub normal: String,
}

/// What an object is related to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Linked {
    /// The privilege.
    pub privilege: String,
    /// 1 where it grants, 0 where it denies.
    pub grants: bool,
    /// The other end.
    pub other: Found,
}

/// A way from an identity to an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
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
    /// The group or the like that it leads through, its source type; none where the access is direct.
    pub through_source_type: Option<String>,
    /// Its key.
    pub through_source_id: Option<String>,
    /// Its name.
    pub through: Option<String>,
    /// Whether neither end is disabled, locked or in the trash.
    pub can_sign_in: bool,
    /// When the identity last used the application, RFC 3339; none where not within the window read.
    pub last_success: Option<String>,
}

const ENTITY: &str =
    "SELECT i.name, e.entity_type, e.source_type, e.source_id, e.name, e.normal, e.attributes
    FROM entity e JOIN integration i ON i.id = e.integration_id";

/// The one integration of a store that is asked about.
const INTEGRATION: &str = "(SELECT id FROM integration WHERE name = ?1)";

impl Reader {
    /// The names of the integrations that it has data of.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn integrations(&self) -> Result<Vec<String>, StoreError> {
        self.rows("SELECT name FROM integration ORDER BY name", [], |row| row.get(0))
    }

    /// How many objects of each source type an integration has.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn type_counts(&self, integration: &str) -> Result<Vec<TypeCount>, StoreError> {
        // Counted in an index, which does not have the entity type: the first object of a source type tells it.
        let query = format!(
            "SELECT (SELECT e.entity_type FROM entity e
                     WHERE e.integration_id = counted.integration_id AND e.source_type = counted.source_type
                       AND e.gone_run IS NULL LIMIT 1), counted.source_type, counted.count
             FROM (SELECT integration_id, source_type, count(*) AS count FROM entity
                   WHERE integration_id = {INTEGRATION} AND gone_run IS NULL GROUP BY source_type) counted"
        );
        self.rows(&query, params![integration], |row| {
            let count: i64 = row.get(2)?;
            Ok(TypeCount { entity_type: row.get(0)?, source_type: row.get(1)?, count: count.unsigned_abs() })
        })
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
            r"AND e.search LIKE ?3 ESCAPE '\'"
        };
        let of_them = format!(
            "e.integration_id = {INTEGRATION} AND e.source_type = ?2 AND e.gone_run IS NULL {search}"
        );
        // Keys first, which the index has; the rows of this page only after that.
        let page = format!(
            "{ENTITY} JOIN (
                 SELECT e.id AS id FROM entity e WHERE {of_them} {beyond}
                 ORDER BY e.name COLLATE NOCASE {order}, e.source_id {order} LIMIT {}
             ) page ON page.id = e.id ORDER BY e.name COLLATE NOCASE {order}, e.source_id {order}",
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
        let total = format!("SELECT count(*) FROM entity e WHERE {of_them}");
        let total =
            self.rows(&total, params![integration, which.source_type, pattern], |row| row.get::<_, i64>(0));
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
            total: total?.first().copied().unwrap_or_default().unsigned_abs(),
            rows,
        })
    }

    /// One object that is there.
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
        let query = format!(
            "{ENTITY} WHERE e.integration_id = {INTEGRATION}
             AND e.entity_type IN ('identity', 'connection', 'resource')
             AND e.source_type = ?2 AND e.source_id = ?3 AND e.gone_run IS NULL"
        );
        let found = self.connection.prepare_cached(&query).and_then(|mut statement| {
            statement.query_row(params![integration, source_type, id], EntityRow::parse).optional()
        });
        found.map_err(|error| self.sqlite(error))
    }

    /// What an object has (`is_parent`), or what has it: the first `limit`, and how many there are.
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
        let of_it = format!(
            "r.integration_id = {INTEGRATION} AND r.{this}_entity_type = ?2 AND r.{this}_source_type = ?3
             AND r.{this}_source_id = ?4 AND r.gone_run IS NULL"
        );
        let query = format!(
            "SELECT r.privilege, r.privilege_value, r.{other}_entity_type, r.{other}_source_type,
                    r.{other}_source_id, coalesce(e.name, r.{other}_source_id), e.id IS NOT NULL,
                    coalesce(e.normal, '')
             FROM relation r LEFT JOIN entity e
                 ON e.integration_id = r.integration_id AND e.entity_type = r.{other}_entity_type
                 AND e.source_type = r.{other}_source_type AND e.source_id = r.{other}_source_id
                 AND e.gone_run IS NULL
             WHERE {of_it} LIMIT {limit}"
        );
        let key = params![object.integration, object.entity_type, object.source_type, object.source_id];
        let mut linked = self.rows(&query, key, |row| {
            Ok(Linked {
                privilege: row.get(0)?,
                grants: row.get(1)?,
                other: Found {
                    entity_type: row.get(2)?,
                    source_type: row.get(3)?,
                    source_id: row.get(4)?,
                    name: row.get(5)?,
                    is_there: row.get(6)?,
                    normal: row.get(7)?,
                },
            })
        })?;
        linked.sort_by(|a, b| {
            let key = |one: &Linked| {
                (one.other.source_type.clone(), one.privilege.clone(), one.other.name.to_lowercase())
            };
            key(a).cmp(&key(b))
        });
        let total = format!("SELECT count(*) FROM relation r WHERE {of_it}");
        let total = self.rows(&total, key, |row| row.get::<_, i64>(0))?;
        Ok((linked, total.first().copied().unwrap_or_default().unsigned_abs()))
    }

    /// The ways to an application, or from an identity: `limit` of them after `skip`, those last used first.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn access(&self, object: &EntityRow, skip: u64, limit: u32) -> Result<Vec<Access>, StoreError> {
        let of_it = if object.entity_type == "identity" {
            "identity_source_type = ?2 AND identity_source_id = ?3"
        } else {
            "application_source_type = ?2 AND application_source_id = ?3"
        };
        let query = format!(
            "SELECT application_source_type, application_source_id, application, identity_source_type,
                    identity_source_id, identity, through_source_type, through_source_id, through,
                    coalesce(can_sign_in, 0), last_success
             FROM application_access WHERE integration = ?1 AND {of_it}
             ORDER BY last_success IS NULL, last_success DESC, application, identity, through LIMIT ?4 OFFSET ?5"
        );
        let skip = i64::try_from(skip).unwrap_or(i64::MAX);
        let key = params![object.integration, object.source_type, object.source_id, limit, skip];
        self.rows(&query, key, |row| {
            Ok(Access {
                application_source_type: row.get(0)?,
                application_source_id: row.get(1)?,
                application: row.get(2)?,
                identity_source_type: row.get(3)?,
                identity_source_id: row.get(4)?,
                identity: row.get(5)?,
                through_source_type: row.get(6)?,
                through_source_id: row.get(7)?,
                through: row.get(8)?,
                can_sign_in: row.get(9)?,
                last_success: row.get(10)?,
            })
        })
    }
}
