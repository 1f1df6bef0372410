//! Checks a page against the contract and the manifest, so that later streams, runs and readers can rely on it.

use std::collections::HashMap;

use connector_sandbox::contract::api::{Page, Progress};
use connector_sandbox::contract::types::{Entity, EntityRef, Relation};
use connector_sandbox::manifest::{ANY_PRIVILEGE, Manifest, StreamSpec, entity_type_word};
use connector_sandbox::text::is_blank;
use connector_store::normal;

/// The longest cursor or bookmark, in bytes; see the contract.
const LONGEST_CURSOR: usize = 4096;

/// Checks `page` of the stream `spec` of the connector with this manifest.
///
/// # Errors
///
/// How it breaks the contract.
pub(crate) fn examine(manifest: &Manifest, spec: &StreamSpec, page: &Page) -> Result<(), String> {
    page.entities.iter().try_for_each(|entity| entity_is_declared(spec, entity))?;
    page.relations.iter().try_for_each(|relation| relation_is_declared(spec, relation))?;
    if !page.usages.is_empty() && !spec.usages {
        return Err("it yields usages, which this stream does not declare".to_owned());
    }
    let ends = page.relations.iter().flat_map(|relation| [&relation.parent, &relation.child]);
    let used = page.usages.iter().flat_map(|usage| usage.identity.iter().chain([&usage.resource]));
    // Once for the page: both may have many thousands.
    let declared: HashMap<_, _> = manifest.entity_types().collect();
    ends.chain(used).try_for_each(|end| reference_can_be_kept(&declared, end))?;
    let text = match &page.progress {
        Progress::More(cursor) => Some(cursor),
        Progress::Done(bookmark) => bookmark.as_ref(),
    };
    if text.is_some_and(|text| text.len() > LONGEST_CURSOR) {
        return Err(format!("its cursor is longer than {LONGEST_CURSOR} bytes"));
    }
    Ok(())
}

fn entity_is_declared(spec: &StreamSpec, entity: &Entity) -> Result<(), String> {
    let Entity { source_type, source_id, name, normal, .. } = entity;
    let entity_type = entity_type_word(normal::entity_type(normal));
    match spec.entities.iter().find(|spec| spec.source_type == *source_type) {
        None => Err(format!("it yields `{source_type}`, which this stream does not declare")),
        Some(spec) if spec.entity_type != entity_type => {
            Err(format!("it yields `{source_type}` as {entity_type}"))
        }
        Some(_) if is_blank(name) => Err(format!("it yields a `{source_type}` without a name")),
        Some(_) => match fault_of_key(source_id) {
            Some(fault) => Err(format!("it yields a `{source_type}` {fault}")),
            None => Ok(()),
        },
    }
}

fn relation_is_declared(spec: &StreamSpec, relation: &Relation) -> Result<(), String> {
    let Relation { parent, privilege, child, .. } = relation;
    let (parent, child) = (&parent.source_type, &child.source_type);
    let is_declared = spec.relations.iter().any(|spec| {
        spec.parent == *parent
            && spec.child == *child
            && (spec.privilege == *privilege || spec.privilege == ANY_PRIVILEGE)
    });
    if is_declared {
        return Ok(());
    }
    Err(format!("it relates `{parent}` `{privilege}` `{child}`, which this stream does not declare"))
}

/// Checks an end of a relation or a usage. `declared` has the entity type of each source type: any stream of the connector may
/// declare it.
fn reference_can_be_kept(declared: &HashMap<&str, &'static str>, end: &EntityRef) -> Result<(), String> {
    let EntityRef { entity_type, source_type, source_id } = end;
    if let Some(fault) = fault_of_key(source_id) {
        return Err(format!("it relates a `{source_type}` {fault}"));
    }
    let entity_type = entity_type_word(*entity_type);
    match declared.get(source_type.as_str()) {
        Some(declared) if *declared != entity_type => {
            Err(format!("it relates a `{source_type}` as {entity_type}, and the manifest says {declared}"))
        }
        _ => Ok(()),
    }
}

/// Why a key can't be kept.
fn fault_of_key(key: &str) -> Option<&'static str> {
    if is_blank(key) {
        Some("without a key")
    } else if key.chars().any(char::is_control) {
        Some("with control characters in its key")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use connector_sandbox::StreamName;
    use connector_sandbox::contract::types::{EntityRef, EntityType, NormalForm, Resource, Usage};
    use connector_sandbox::manifest::{EntitySpec, RelationSpec};

    use super::*;

    fn spec() -> StreamSpec {
        StreamSpec {
            name: StreamName::parse("things").unwrap(),
            title: "Things".to_owned(),
            entities: vec![EntitySpec {
                entity_type: "resource",
                source_type: "thing".to_owned(),
                title: "Things".to_owned(),
                fields: vec![],
                attributes: vec![],
            }],
            relations: vec![RelationSpec {
                parent: "thing".to_owned(),
                privilege: "has".to_owned(),
                child: "thing".to_owned(),
                description: String::new(),
            }],
            usages: true,
            permissions: vec![],
            optional: false,
            budget: None,
            incremental: false,
            cursor_version: 1,
        }
    }

    fn manifest() -> Manifest {
        Manifest {
            name: "things".to_owned(),
            title: "Things".to_owned(),
            version: "1.0.0".to_owned(),
            description: String::new(),
            setup: vec![],
            settings: vec![],
            hosts: vec![],
            budgets: vec![],
            streams: vec![spec()],
        }
    }

    fn end(key: &str) -> EntityRef {
        EntityRef {
            entity_type: EntityType::Resource,
            source_type: "thing".to_owned(),
            source_id: key.to_owned(),
        }
    }

    fn page() -> Page {
        let (entities, relations, usages, problems) = (vec![], vec![], vec![], vec![]);
        Page {
            entities,
            relations,
            usages,
            problems,
            progress: Progress::Done(None),
            total: None,
            window: None,
        }
    }

    fn with_entity(key: &str, name: &str) -> Page {
        let entity = Entity {
            source_type: "thing".to_owned(),
            source_id: key.to_owned(),
            name: name.to_owned(),
            normal: NormalForm::Resource(Resource::Other),
            attributes: vec![],
        };
        Page { entities: vec![entity], ..page() }
    }

    fn with_relation(parent: &str, privilege: &str, child: &str) -> Page {
        let relation = Relation {
            parent: end(parent),
            privilege: privilege.to_owned(),
            privilege_value: true,
            child: end(child),
            attributes: vec![],
        };
        Page { relations: vec![relation], ..page() }
    }

    fn with_usage(identity: Option<&str>, resource: &str) -> Page {
        let usage = Usage {
            identity: identity.map(end),
            identity_name: None,
            resource: end(resource),
            resource_name: None,
            last_success: None,
            last_attempt: None,
        };
        Page { usages: vec![usage], ..page() }
    }

    #[test]
    fn a_page_whose_keys_can_not_be_kept_is_refused_and_the_fault_is_named() {
        for (page, expected) in [
            (with_entity("a", "A"), Ok(())),
            (with_entity("a", " "), Err("it yields a `thing` without a name")),
            (with_entity(" ", "A"), Err("it yields a `thing` without a key")),
            (with_entity("a\0b", "A"), Err("it yields a `thing` with control characters in its key")),
            (with_relation("a", "has", "b"), Ok(())),
            (
                with_relation("a", "is", "b"),
                Err("it relates `thing` `is` `thing`, which this stream does not declare"),
            ),
            (with_relation("", "has", "b"), Err("it relates a `thing` without a key")),
            (
                with_relation("a", "has", "b\nc"),
                Err("it relates a `thing` with control characters in its key"),
            ),
            (with_usage(Some("a"), "b"), Ok(())),
            (with_usage(None, "b\0"), Err("it relates a `thing` with control characters in its key")),
            (with_usage(Some(" "), "b"), Err("it relates a `thing` without a key")),
            (with_entity("a", "\u{200b}"), Err("it yields a `thing` without a name")),
            (with_relation("a", "has", "\u{2800}"), Err("it relates a `thing` without a key")),
        ] {
            assert_eq!(examine(&manifest(), &spec(), &page), expected.map_err(str::to_owned), "{page:?}");
        }
    }
    #[test]
    fn an_end_of_another_entity_type_than_the_manifest_says_is_refused() {
        let mut page = with_relation("a", "has", "b");
        page.relations[0].child.entity_type = EntityType::Identity;
        let fault = examine(&manifest(), &spec(), &page).unwrap_err();
        assert_eq!(fault, "it relates a `thing` as identity, and the manifest says resource");
    }
}
