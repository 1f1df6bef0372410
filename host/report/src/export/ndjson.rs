//! Newline-delimited JSON: one object a line, written row by row, so that the size of the store needs no memory.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::ExportError;
use super::folder::{Folder, OutputFile};
use connector_store::{EntityRow, Reader, RelationRow, UsageRow};

#[derive(Serialize)]
struct EntityLine<'a> {
    integration: &'a str,
    entity_type: &'a str,
    source_type: &'a str,
    source_id: &'a str,
    name: &'a str,
    #[serde(flatten)]
    normal: BTreeMap<String, Value>,
    attributes: Box<RawValue>,
}

#[derive(Serialize)]
struct Reference<'a> {
    entity_type: &'a str,
    source_type: &'a str,
    source_id: &'a str,
}

#[derive(Serialize)]
struct RelationLine<'a> {
    integration: &'a str,
    parent: Reference<'a>,
    privilege: &'a str,
    privilege_value: bool,
    child: Reference<'a>,
    attributes: Box<RawValue>,
}

#[derive(Serialize)]
struct UsageLine<'a> {
    integration: &'a str,
    identity: Option<Reference<'a>>,
    identity_name: Option<&'a str>,
    resource: Reference<'a>,
    resource_name: Option<&'a str>,
    last_success: Option<&'a str>,
    last_attempt: Option<&'a str>,
    last_attempt_result: Option<&'a str>,
    last_attempt_vendor: Option<&'a str>,
    /// A use that is not listed did not happen between these two times. Earlier uses are not known.
    window_from: Option<&'a str>,
    window_to: Option<&'a str>,
}

pub(super) fn export(store: &Reader, folder: &mut Folder<'_>) -> Result<(), ExportError> {
    folder.write("entities.ndjson", |file| store.entities(|row| Lines(file).entity(&row)))?;
    folder.write("relations.ndjson", |file| store.relations(|row| Lines(file).relation(&row)))?;
    folder.write("usages.ndjson", |file| store.usages(|row| Lines(file).usage(&row)))
}

struct Lines<'a>(&'a mut OutputFile);

impl Lines<'_> {
    fn entity(&mut self, row: &EntityRow) -> Result<(), ExportError> {
        self.line(&EntityLine {
            integration: &row.integration,
            entity_type: &row.entity_type,
            source_type: &row.source_type,
            source_id: &row.source_id,
            name: &row.name,
            normal: serde_json::from_str(&row.normal).map_err(ExportError::Row)?,
            attributes: RawValue::from_string(row.attributes.clone()).map_err(ExportError::Row)?,
        })
    }

    fn relation(&mut self, row: &RelationRow) -> Result<(), ExportError> {
        self.line(&RelationLine {
            integration: &row.integration,
            parent: Reference::new(&row.parent),
            privilege: &row.privilege,
            privilege_value: row.privilege_value,
            child: Reference::new(&row.child),
            attributes: RawValue::from_string(row.attributes.clone()).map_err(ExportError::Row)?,
        })
    }

    fn usage(&mut self, row: &UsageRow) -> Result<(), ExportError> {
        self.line(&UsageLine {
            integration: &row.integration,
            identity: row.identity.as_ref().map(|[source_type, source_id]| Reference {
                entity_type: "identity",
                source_type,
                source_id,
            }),
            identity_name: row.identity_name.as_deref(),
            resource_name: row.resource_name.as_deref(),
            resource: Reference {
                entity_type: "resource",
                source_type: &row.resource[0],
                source_id: &row.resource[1],
            },
            last_success: row.last_success.as_deref(),
            last_attempt: row.last_attempt.as_deref(),
            last_attempt_result: row.last_attempt_result.as_deref(),
            last_attempt_vendor: row.last_attempt_vendor.as_deref(),
            window_from: row.window.as_ref().map(|[from, _]| from.as_str()),
            window_to: row.window.as_ref().map(|[_, to]| to.as_str()),
        })
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), ExportError> {
        serde_json::to_writer(&mut *self.0, line).map_err(|error| self.0.failed(error.into()))?;
        self.0.write_all(b"\n").map_err(|error| self.0.failed(error))?;
        self.0.count(1);
        Ok(())
    }
}

impl<'a> Reference<'a> {
    fn new([entity_type, source_type, source_id]: &'a [String; 3]) -> Self {
        Self { entity_type, source_type, source_id }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use connector_sandbox::contract::types::ConnectionKind;
    use connector_store::{Reader, Writer};

    use crate::export::{Existing, Format, export};
    use crate::test_store::{TestStore, VENDORS, run};

    #[test]
    fn all_files_are_of_one_moment_whatever_is_written_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let mut writer = Writer::open(&path).unwrap();
        run(&mut writer, None);
        let over = AtomicBool::new(false);
        let count = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap().lines().count();
        std::thread::scope(|scope| {
            let over = &over;
            scope.spawn(move || {
                let vendor = VENDORS[0];
                let mut store = TestStore::new(vendor);
                for id in 0..2000 {
                    let id = id.to_string();
                    store.connection(vendor.group, &id, ConnectionKind::Group, |_| ());
                    store.relate((vendor.group, &id), "access", (vendor.application, "vpn"), true);
                    run(&mut writer, Some(&store.page));
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            let mut pairs = Vec::new();
            for _ in 0..20 {
                let store = Reader::open(&path).unwrap();
                export(&store, Format::Ndjson, folder.path(), Existing::Replace, None).unwrap();
                pairs.push((count("entities.ndjson"), count("relations.ndjson")));
            }
            over.store(true, Ordering::Relaxed);
            assert!(pairs.iter().all(|(groups, accesses)| groups == accesses), "{pairs:?}");
        });
    }
}
