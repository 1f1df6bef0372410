//! Writes the objects of a page: a row for each new or changed one, and a bit for each one that was seen.

use std::collections::HashMap;

use roaring::RoaringTreemap;
use rusqlite::{OptionalExtension, Row, ToSql, Transaction, params};

use crate::RunId;
use crate::change::{self, FieldChange, Kind, Object};
use crate::numbers::Numbers;
use crate::page_row::{EntityRow, PageRow, RelationRow};
use crate::seen::see;
use connector_sandbox::contract::types::{Entity, Relation};

/// The origin of a page, and the transaction that stores it.
pub(crate) struct PageWriter<'a> {
    pub(crate) transaction: &'a Transaction<'a>,
    pub(crate) integration: i64,
    pub(crate) run: RunId,
    pub(crate) stream: &'a str,
    pub(crate) stream_id: i64,
    pub(crate) connector: i64,
    /// Whether there is no earlier complete read to compare with.
    pub(crate) is_baseline: bool,
    /// Whether the run had recorded changes before this page.
    pub(crate) has_changes: bool,
}

/// A row of an object that a stream has yielded.
struct Known {
    id: i64,
    stream_id: i64,
    is_gone: bool,
    /// How the page differs from the row; `None` if it does not.
    changes: Option<Vec<FieldChange>>,
}

impl<'a> PageWriter<'a> {
    /// Writes the new and the changed ones of `entities`. Returns the rows of all of them.
    pub(crate) fn entities(
        &self,
        entities: &'a [Entity],
        numbers: &mut Numbers<'a>,
    ) -> rusqlite::Result<RoaringTreemap> {
        let rows = entities.iter().map(|entity| EntityRow::new(entity, numbers));
        let mut rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        rows.sort_by_key(|row| (row.kind, row.source_id));
        self.write(&rows, |row, id| numbers.remember(row.kind, row.source_id, id))
    }

    /// Writes the new and the changed ones of `relations`. Returns the rows of all of them.
    pub(crate) fn relations(
        &self,
        relations: &'a [Relation],
        numbers: &mut Numbers<'a>,
    ) -> rusqlite::Result<RoaringTreemap> {
        numbers.look_up(relations.iter().flat_map(|relation| [&relation.parent, &relation.child]))?;
        let rows = relations.iter().map(|relation| RelationRow::new(relation, numbers));
        let mut rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        rows.sort_by_key(|row| (row.parent, row.privilege, row.child));
        self.write(&rows, |_, _| ())
    }

    /// Writes new and changed rows. They are sorted by key, like the index that finds them.
    fn write<T: PageRow>(
        &self,
        rows: &[T],
        mut written: impl FnMut(&T, i64),
    ) -> rusqlite::Result<RoaringTreemap> {
        let mut find = self.transaction.prepare_cached(T::FIND)?;
        let mut insert = self.transaction.prepare_cached(T::INSERT)?;
        let mut update = self.transaction.prepare_cached(T::UPDATE)?;
        let mut seen = RoaringTreemap::new();
        let mut is_in_run = HashMap::new();
        for row in rows {
            let (key, values) = (row.key(), row.values());
            let known = find.query_row(key.as_slice(), |stored| Known::read(row, stored)).optional()?;
            let Some(known) = known else {
                let origin: [&dyn ToSql; 3] = [&self.stream_id, &self.connector, &self.run.0];
                let columns: Vec<_> = origin.into_iter().chain(key).chain(values).collect();
                let id = insert.query_row(columns.as_slice(), |row| row.get("id"))?;
                self.record(T::OBJECT, id, Kind::Added, &[])?;
                see(&mut seen, id);
                written(row, id);
                continue;
            };
            see(&mut seen, known.id);
            written(row, known.id);
            let is_own = known.stream_id == self.stream_id;
            if !known.is_gone && !is_own && self.is_in_run(known.stream_id, &mut is_in_run)? {
                continue;
            }
            if known.is_gone || !is_own || known.changes.is_some() {
                let origin: [&dyn ToSql; 3] = [&known.id, &self.stream_id, &self.connector];
                let columns: Vec<_> = origin.into_iter().chain(values).collect();
                update.execute(columns.as_slice())?;
                let fields = known.changes.unwrap_or_default();
                match (known.is_gone, fields.is_empty()) {
                    (true, _) => self.record(T::OBJECT, known.id, Kind::Added, &fields)?,
                    // Only its stream changed.
                    (false, true) => {}
                    (false, false) => self.record(T::OBJECT, known.id, Kind::Changed(fields), &[])?,
                }
            }
        }
        Ok(seen)
    }

    /// Whether another stream, to which an object belongs, is part of this run. If so, only that stream sets the values of
    /// the object: two streams may report it differently, and the values would depend on which of them is read last.
    fn is_in_run(&self, stream_id: i64, known: &mut HashMap<i64, bool>) -> rusqlite::Result<bool> {
        if let Some(is_in_run) = known.get(&stream_id) {
            return Ok(*is_in_run);
        }
        let mut statement = self.transaction.prepare_cached(
            "SELECT instr(', ' || scope || ', ', ', ' || stream.name || ', ') > 0
                 OR EXISTS (SELECT 1 FROM run_stream WHERE run_id = run.id AND stream = stream.name) AS is_in_run
             FROM run, stream WHERE run.id = ?1 AND stream.id = ?2",
        )?;
        let is_in_run = statement.query_row(params![self.run.0, stream_id], |row| row.get("is_in_run"))?;
        known.insert(stream_id, is_in_run);
        Ok(is_in_run)
    }

    /// Records a change. `since` has the fields in which an object that comes back differs from before its removal.
    pub(crate) fn record(
        &self,
        object: Object,
        id: i64,
        kind: Kind,
        since: &[FieldChange],
    ) -> rusqlite::Result<()> {
        // The first read of a stream records nothing, but corrects what another stream of the run has recorded.
        if self.is_baseline
            && !(self.has_changes && change::is_recorded(self.transaction, self.run, object, id)?)
        {
            return Ok(());
        }
        change::record(self.transaction, self.run, object, id, kind, since)
    }
}

impl Known {
    fn read(row: &impl PageRow, stored: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: stored.get("id")?,
            stream_id: stored.get("stream_id")?,
            is_gone: stored.get("is_gone")?,
            changes: row.changes_from(stored)?,
        })
    }
}
