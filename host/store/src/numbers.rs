//! The numbers that stand for kinds, streams, privileges and entities in the rows of a page.

use std::collections::{BTreeSet, HashMap};

use connector_sandbox::Digest;
use rusqlite::{OptionalExtension, Params, Transaction, params};

use connector_sandbox::contract::types::EntityRef;
use connector_sandbox::manifest::entity_type_word;

/// The numbers of what a page refers to. Each is looked up once a page, and added if it is new.
pub(crate) struct Numbers<'a> {
    transaction: &'a Transaction<'a>,
    integration: i64,
    /// By entity type and source type.
    kinds: HashMap<(&'static str, &'a str), i64>,
    /// By name, kind of the parent and kind of the child.
    privileges: HashMap<(&'a str, i64, i64), i64>,
    /// By kind and key.
    entities: HashMap<(i64, &'a str), i64>,
}

impl<'a> Numbers<'a> {
    pub(crate) fn new(transaction: &'a Transaction<'a>, integration: i64) -> Self {
        let (kinds, privileges, entities) = Default::default();
        Self { transaction, integration, kinds, privileges, entities }
    }

    pub(crate) fn kind(&mut self, entity_type: &'static str, source_type: &'a str) -> rusqlite::Result<i64> {
        if let Some(kind) = self.kinds.get(&(entity_type, source_type)) {
            return Ok(*kind);
        }
        let kind = find_or_add(
            self.transaction,
            "SELECT id FROM kind WHERE integration_id = ?1 AND entity_type = ?2 AND source_type = ?3",
            "INSERT INTO kind (integration_id, entity_type, source_type) VALUES (?1, ?2, ?3) RETURNING id",
            params![self.integration, entity_type, source_type],
        )?;
        self.kinds.insert((entity_type, source_type), kind);
        Ok(kind)
    }

    fn kind_of(&mut self, reference: &'a EntityRef) -> rusqlite::Result<i64> {
        self.kind(entity_type_word(reference.entity_type), &reference.source_type)
    }

    pub(crate) fn privilege(
        &mut self,
        name: &'a str,
        parent: &'a EntityRef,
        child: &'a EntityRef,
    ) -> rusqlite::Result<i64> {
        let key = (name, self.kind_of(parent)?, self.kind_of(child)?);
        if let Some(privilege) = self.privileges.get(&key) {
            return Ok(*privilege);
        }
        let privilege = find_or_add(
            self.transaction,
            "SELECT id FROM privilege WHERE name = ?1 AND parent_kind_id = ?2 AND child_kind_id = ?3",
            "INSERT INTO privilege (name, parent_kind_id, child_kind_id) VALUES (?1, ?2, ?3) RETURNING id",
            key,
        )?;
        self.privileges.insert(key, privilege);
        Ok(privilege)
    }

    /// Looks up all of these in the order of their keys. Entities that have no row get one without values.
    pub(crate) fn look_up(
        &mut self,
        references: impl Iterator<Item = &'a EntityRef>,
    ) -> rusqlite::Result<()> {
        let mut keys = BTreeSet::new();
        for reference in references {
            keys.insert((self.kind_of(reference)?, reference.source_id.as_str()));
        }
        for key in keys {
            if !self.entities.contains_key(&key) {
                let entity = find_or_add(
                    self.transaction,
                    "SELECT id FROM entity WHERE kind_id = ?1 AND source_id = ?2",
                    "INSERT INTO entity (kind_id, source_id) VALUES (?1, ?2) RETURNING id",
                    key,
                )?;
                self.entities.insert(key, entity);
            }
        }
        Ok(())
    }

    /// The number of an entity. It is faster after [`look_up`](Self::look_up) of all entities that the page refers to.
    pub(crate) fn entity(&mut self, reference: &'a EntityRef) -> rusqlite::Result<i64> {
        let key = (self.kind_of(reference)?, reference.source_id.as_str());
        if !self.entities.contains_key(&key) {
            self.look_up(std::iter::once(reference))?;
        }
        self.entities.get(&key).copied().ok_or(rusqlite::Error::QueryReturnedNoRows)
    }

    /// Remembers the number of an entity that was just written.
    pub(crate) fn remember(&mut self, kind: i64, source_id: &'a str, entity: i64) {
        self.entities.insert((kind, source_id), entity);
    }
}

/// The number of a stream of an integration.
pub(crate) fn stream(transaction: &Transaction<'_>, integration: i64, name: &str) -> rusqlite::Result<i64> {
    find_or_add(
        transaction,
        "SELECT id FROM stream WHERE name = ?1 AND integration_id = ?2",
        "INSERT INTO stream (name, integration_id) VALUES (?1, ?2) RETURNING id",
        params![name, integration],
    )
}

/// The number of a version of a connector.
pub(crate) fn connector(
    transaction: &Transaction<'_>,
    name: &str,
    version: &str,
    digest: &Digest,
) -> rusqlite::Result<i64> {
    find_or_add(
        transaction,
        "SELECT id FROM connector WHERE name = ?1 AND version = ?2 AND digest = ?3",
        "INSERT INTO connector (name, version, digest) VALUES (?1, ?2, ?3) RETURNING id",
        params![name, version, digest.to_string()],
    )
}

fn find_or_add(
    transaction: &Transaction<'_>,
    find: &str,
    add: &str,
    key: impl Params + Clone,
) -> rusqlite::Result<i64> {
    let found = transaction.prepare_cached(find)?.query_row(key.clone(), |row| row.get("id")).optional()?;
    match found {
        Some(id) => Ok(id),
        None => transaction.prepare_cached(add)?.query_row(key, |row| row.get("id")),
    }
}
