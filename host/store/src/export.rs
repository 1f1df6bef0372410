//! What exports read besides the objects themselves.

use std::path::Path;

use crate::read::count;
use crate::{Cell, Reader, StoreError};

/// Each way from an identity to what it can reach: directly, or through a connection. A connection that leads to no resource
/// has a row without a resource. Where one of the two relations denies, the whole way does.
const ENTITLEMENTS: &str = "
    SELECT i.name AS integration, coalesce(reach.name, hold.name) AS privilege,
           held.privilege_value AND coalesce(reached.privilege_value, 1) AS privilege_value,
           person.normal -> 'emails' ->> 0 AS email, person.source_id AS user_id,
           person.normal ->> 'username' AS username, coalesce(person.name, person.source_id) AS name,
           iif(held_kind.entity_type = 'connection', coalesce(target.name, target.source_id), NULL) AS connection,
           iif(held_kind.entity_type = 'connection', held_kind.source_type, NULL) AS connection_type,
           iif(held_kind.entity_type = 'connection', coalesce(far.name, far.source_id),
               coalesce(target.name, target.source_id)) AS resource,
           iif(held_kind.entity_type = 'connection', far_kind.source_type, held_kind.source_type) AS resource_type
    FROM privilege hold
    JOIN kind person_kind ON person_kind.id = hold.parent_kind_id AND person_kind.entity_type = 'identity'
    JOIN kind held_kind ON held_kind.id = hold.child_kind_id
    JOIN integration i ON i.id = person_kind.integration_id
    JOIN relation held ON held.privilege_id = hold.id AND held.gone_run IS NULL
    JOIN entity person ON person.id = held.parent_id
    JOIN entity target ON target.id = held.child_id
    LEFT JOIN (relation reached
               JOIN privilege reach ON reach.id = reached.privilege_id
               JOIN entity far ON far.id = reached.child_id
               JOIN kind far_kind ON far_kind.id = far.kind_id)
        ON reached.parent_id = held.child_id AND reached.gone_run IS NULL
           AND held_kind.entity_type = 'connection'";

/// Ends of present relations that are not present themselves: never read, or removed.
const REFERRED: &str = "
    SELECT i.name AS integration, k.entity_type, k.source_type, e.source_id, coalesce(e.name, e.source_id) AS name
    FROM entity e
    JOIN kind k ON k.id = e.kind_id
    JOIN integration i ON i.id = k.integration_id
    WHERE (e.stream_id IS NULL OR e.gone_run IS NOT NULL)
      AND (EXISTS (SELECT 1 FROM relation r WHERE r.parent_id = e.id AND r.gone_run IS NULL)
           OR EXISTS (SELECT 1 FROM privilege p
                      JOIN relation r ON r.privilege_id = p.id AND r.child_id = e.id AND r.gone_run IS NULL
                      WHERE p.child_kind_id = e.kind_id))";

impl Reader {
    /// The names of the columns of a view (`docs/store.md`).
    ///
    /// # Errors
    ///
    /// When SQLite fails, or there is no such view.
    pub fn view_columns(&self, view: &str) -> Result<Vec<String>, StoreError> {
        let statement = self.connection.prepare(&format!("SELECT * FROM \"{view}\""));
        let statement = statement.map_err(|error| self.sqlite(error))?;
        Ok(statement.column_names().map(str::to_owned).collect())
    }

    /// Calls `each` for every row of a view (`docs/store.md`), one row at a time.
    ///
    /// # Errors
    ///
    /// When SQLite fails, there is no such view, or `each` does.
    pub fn view_rows<E: From<StoreError>>(
        &self,
        view: &str,
        each: impl FnMut(Vec<Cell>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_found(&format!("SELECT * FROM \"{view}\""), &[], each)
    }

    /// Calls `each` for every way from an identity to what it can reach, one row at a time: integration, privilege, privilege
    /// value (`1` or `0`), e-mail address, source id, user name and name of the identity, name and source type of the
    /// connection, name and source type of the resource.
    ///
    /// # Errors
    ///
    /// When SQLite fails, or `each` does.
    pub fn entitlements<E: From<StoreError>>(
        &self,
        each: impl FnMut(Vec<Cell>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_found(ENTITLEMENTS, &[], each)
    }

    /// Calls `each` for every end of a present relation that is not present itself (its stream was not read, or it was
    /// removed): integration, entity type, source type, source id, and the last known name, else the source id.
    ///
    /// # Errors
    ///
    /// When SQLite fails, or `each` does.
    pub fn referred_entities<E: From<StoreError>>(
        &self,
        each: impl FnMut(Vec<Cell>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_found(REFERRED, &[], each)
    }

    /// Writes a compact copy of the store, of one moment, to `file`, which must be empty or missing. Not within
    /// [`Reader::snapshot`].
    ///
    /// # Errors
    ///
    /// When SQLite fails, or the disk is full.
    pub fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        let file = file.to_string_lossy();
        // SQLite counts the copy as a write of this connection.
        self.set("query_only", false)?;
        let copied = self.connection.execute("VACUUM INTO ?1", [file]);
        self.set("query_only", true)?;
        copied.map(drop).map_err(|error| self.sqlite(error))
    }

    /// How many entities are present.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn entity_count(&self) -> Result<u64, StoreError> {
        let query = "SELECT count(*) AS total FROM entities";
        let total = self.connection.query_row(query, [], |row| count(row, "total"));
        total.map_err(|error| self.sqlite(error))
    }
}
