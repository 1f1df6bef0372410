//! Events of the Open Cybersecurity Schema Framework (OCSF 1.3): what changed between two runs, one JSON event a line. Classes
//! and activities are those of OCSF's category *Identity & Access Management*:
//!
//! - an identity: *Account Change* (3001)
//! - an identity and a resource: *User Access Management* (3005)
//! - a connection, its members and its access: *Group Management* (3006)
//!
//! A resource by itself has no class there. Its relations do.

use std::io::Write as _;

use connector_store::{ChangedObject, ChangedRelation, FieldChange, ObjectName, Reader, RunId};
use serde_json::{Map, Value, json};

use super::ExportError;
use super::folder::{Folder, OutputFile};

/// The version of the schema that the events follow.
const VERSION: &str = "1.3.0";
/// The product that reports the events.
const PRODUCT: &str = "connector-host";
/// Identity & Access Management.
const CATEGORY: u32 = 3;
/// The activity of a change that the schema has no name for; `activity_name` says which.
const OTHER: u32 = 99;

/// A class of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    AccountChange = 3001,
    UserAccess = 3005,
    GroupManagement = 3006,
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Self::AccountChange => "Account Change",
            Self::UserAccess => "User Access Management",
            Self::GroupManagement => "Group Management",
        }
    }
}

/// What was done, as an `activity_id` and its caption.
type Activity = (u32, &'static str);

const ASSIGN: Activity = (1, "Assign Privileges");
const REVOKE: Activity = (2, "Revoke Privileges");
const ADD_USER: Activity = (3, "Add User");
const REMOVE_USER: Activity = (4, "Remove User");
const CHANGE: Activity = (OTHER, "Change");

/// Writes the changes that runs after `since` found.
pub(super) fn export(store: &Reader, since: RunId, folder: &mut Folder<'_>) -> Result<(), ExportError> {
    folder.write("events.ndjson", |file| {
        // The number of an event within its run is part of its identifier, which stays the same whatever `since` is.
        let (mut run, mut number) = (since, 0_u64);
        store.changed_objects(since, |change| {
            if change.run != run {
                (run, number) = (change.run, 0);
            }
            for event in events(&change) {
                number += 1;
                write(file, &change, number, event)?;
            }
            Ok(())
        })
    })
}

/// An event, without what all events have.
struct Event {
    class: Class,
    activity: Activity,
    about: Value,
}

fn write(
    file: &mut OutputFile,
    change: &ChangedObject,
    number: u64,
    event: Event,
) -> Result<(), ExportError> {
    let Event { class, activity: (activity, name), about } = event;
    let class_uid = class as u32;
    let mut all = json!({
        "activity_id": activity,
        "activity_name": name,
        "category_uid": CATEGORY,
        "category_name": "Identity & Access Management",
        "class_uid": class_uid,
        "class_name": class.name(),
        "type_uid": class_uid * 100 + activity,
        "type_name": format!("{}: {name}", class.name()),
        "severity_id": 1,
        "severity": "Informational",
        "time": change.found_at.timestamp_millis(),
        "metadata": {
            "version": VERSION,
            "product": { "name": PRODUCT, "vendor_name": PRODUCT },
            "log_name": change.integration,
            "uid": format!("{}/{}/{number}", change.integration, change.run),
        },
    });
    if let (Some(all), Value::Object(about)) = (all.as_object_mut(), about) {
        all.extend(about);
        if !change.fields.is_empty() {
            // The schema has no attribute for the earlier and the new value of any field.
            all.insert("unmapped".to_owned(), json!({ "changes": change.fields }));
        }
    }
    serde_json::to_writer(&mut *file, &all).map_err(|error| file.failed(error.into()))?;
    file.write_all(b"\n").map_err(|error| file.failed(error))?;
    file.count(1);
    Ok(())
}

/// The events of a change: more than one where a status and another field changed.
fn events(change: &ChangedObject) -> Vec<Event> {
    match &change.relation {
        Some(relation) => relation_event(change, relation).into_iter().collect(),
        None => entity_events(change),
    }
}

fn entity_events(change: &ChangedObject) -> Vec<Event> {
    let entity = &change.entity;
    let (class, about, activities) = match entity.entity_type.as_str() {
        "identity" => (Class::AccountChange, json!({ "user": user(entity) }), account_activities(change)),
        "connection" => {
            let activity = match change.kind.as_str() {
                "added" => (6, "Create"),
                "removed" => (5, "Delete"),
                _ => CHANGE,
            };
            (Class::GroupManagement, json!({ "group": named(entity) }), vec![activity])
        }
        _ => return Vec::new(),
    };
    activities.into_iter().map(|activity| Event { class, activity, about: about.clone() }).collect()
}

fn account_activities(change: &ChangedObject) -> Vec<Activity> {
    match change.kind.as_str() {
        "added" => return vec![(1, "Create")],
        "removed" => return vec![(6, "Delete")],
        _ => (),
    }
    let mut activities: Vec<_> = change.fields.iter().map(field_activity).collect();
    activities.sort_unstable();
    activities.dedup();
    activities
}

fn field_activity(field: &FieldChange) -> Activity {
    match (field.field.as_str(), field.to.as_str()) {
        ("status", Some("active")) => (2, "Enable"),
        ("status", Some("disabled")) => (5, "Disable"),
        ("status", Some("locked")) => (9, "Lock"),
        ("mfa_state", Some("enrolled")) => (10, "MFA Factor Enable"),
        ("mfa_state", Some("not-enrolled")) => (11, "MFA Factor Disable"),
        // What is not known now was not disabled.
        _ => CHANGE,
    }
}

/// Whether a relation gives or takes access now; `None` where neither is certain.
fn gives(change: &ChangedObject, relation: &ChangedRelation) -> Option<bool> {
    match change.kind.as_str() {
        "added" => Some(relation.grants),
        // Without a deny, another relation may give the access, or none.
        "removed" => relation.grants.then_some(false),
        _ => change.fields.iter().find(|field| field.field == "privilege_value")?.to.as_bool(),
    }
}

fn relation_event(change: &ChangedObject, relation: &ChangedRelation) -> Option<Event> {
    let (parent, child) = (&change.entity, &relation.child);
    let activity = |gives_now, takes_now| match gives(change, relation) {
        Some(true) => gives_now,
        Some(false) => takes_now,
        None => CHANGE,
    };
    let event = match (parent.entity_type.as_str(), child.entity_type.as_str()) {
        ("identity", "connection") => Event {
            class: Class::GroupManagement,
            activity: activity(ADD_USER, REMOVE_USER),
            about: json!({ "group": named(child), "user": user(parent) }),
        },
        ("identity", _) => Event {
            class: Class::UserAccess,
            activity: activity(ASSIGN, REVOKE),
            about: json!({
                "user": user(parent), "privileges": [relation.privilege], "resource": named(child),
            }),
        },
        ("connection", _) => Event {
            class: Class::GroupManagement,
            activity: activity(ASSIGN, REVOKE),
            about: json!({
                "group": named(parent), "privileges": [relation.privilege], "resource": named(child),
            }),
        },
        _ => return None,
    };
    Some(event)
}

/// A `user` object. OCSF's type 99 is named by `type`.
fn user(object: &ObjectName) -> Value {
    let mut user = named(object);
    user.insert("type_id".to_owned(), OTHER.into());
    Value::Object(user)
}

fn named(object: &ObjectName) -> Map<String, Value> {
    let fields = [("uid", &object.source_id), ("name", &object.name), ("type", &object.source_type)];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.as_str().into())).collect()
}

#[cfg(test)]
mod tests {
    use connector_sandbox::contract::types::{MfaState, Status};
    use connector_store::Writer;

    use super::*;
    use crate::export::{Existing, Format, export};
    use crate::test_store::{TestStore, VENDORS, run};

    /// The attributes that OCSF 1.3 requires of every event, and of each class.
    const ALWAYS: [&str; 7] =
        ["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"];
    const OF_A_CLASS: [(u64, &[&str]); 3] =
        [(3001, &["user"]), (3005, &["user", "privileges"]), (3006, &["group"])];
    /// The activities that OCSF 1.3 publishes for each class, and 99 for all.
    const ACTIVITIES: [(u64, &[u64]); 3] = [
        (3001, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 99]),
        (3005, &[1, 2, 99]),
        (3006, &[1, 2, 3, 4, 5, 6, 99]),
    ];

    /// The events between a run and the one that follows it.
    fn events_between(before: &TestStore, after: &TestStore) -> Vec<Value> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let mut writer = Writer::open(&path).unwrap();
        run(&mut writer, Some(&before.page));
        run(&mut writer, Some(&after.page));
        // Removals of most of a type need a second run that agrees.
        run(&mut writer, Some(&after.page));
        drop(writer);
        let store = Reader::open(&path).unwrap();
        let out = folder.path().join("out");
        export(&store, Format::Ocsf, &out, Existing::Refuse, Some(RunId(1))).unwrap();
        let text = std::fs::read_to_string(out.join("events.ndjson")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn tenants(vendor: crate::test_store::Vendor) -> (TestStore, TestStore) {
        let mut before = TestStore::new(vendor);
        before.user("ann", |_| ()).user("bob", |_| ()).user("cy", |_| ()).group("staff").application("vpn");
        before.relate((vendor.user, "ann"), "member", (vendor.group, "staff"), true);
        before.relate((vendor.user, "cy"), "access", (vendor.application, "vpn"), true);
        let mut after = TestStore::new(vendor);
        after
            .user("ann", |ann| {
                ann.status = Status::Locked;
                ann.mfa_state = Some(MfaState::Enrolled);
                ann.display_name = Some("Ann".to_owned());
            })
            .user("dora", |_| ())
            .user("cy", |_| ())
            .group("staff")
            .group("board")
            .application("vpn");
        after.relate((vendor.user, "dora"), "member", (vendor.group, "staff"), true);
        after.relate((vendor.user, "cy"), "access", (vendor.application, "vpn"), false);
        after.relate((vendor.group, "staff"), "access", (vendor.application, "vpn"), true);
        (before, after)
    }

    #[test]
    fn each_change_is_an_event_of_the_published_class_and_activity() {
        for vendor in VENDORS {
            let (before, after) = tenants(vendor);
            let events = events_between(&before, &after);
            let mut found: Vec<_> = events
                .iter()
                .map(|event| {
                    let subject = [&event["user"]["uid"], &event["group"]["uid"], &event["resource"]["uid"]];
                    let subject: Vec<_> = subject.into_iter().filter_map(Value::as_str).collect();
                    (event["type_uid"].as_u64().unwrap(), subject.join(" "))
                })
                .collect();
            found.sort();
            let expected = [
                (300_101, "dora"),
                (300_106, "bob"),
                (300_109, "ann"),
                (300_110, "ann"),
                (300_199, "ann"),
                (300_502, "cy vpn"),
                (300_601, "staff vpn"),
                (300_603, "dora staff"),
                (300_604, "ann staff"),
                (300_606, "board"),
            ];
            assert_eq!(found, expected.map(|(kind, who)| (kind, who.to_owned())), "{vendor:?}");
        }
    }

    #[test]
    fn every_event_has_what_the_schema_requires_and_an_identifier_of_its_own() {
        let (before, after) = tenants(VENDORS[0]);
        let events = events_between(&before, &after);
        for event in &events {
            let class = event["class_uid"].as_u64().unwrap();
            let activity = event["activity_id"].as_u64().unwrap();
            let of = |(known, _): &&(u64, &[&str])| *known == class;
            let required = OF_A_CLASS.iter().find(of).unwrap().1;
            for name in ALWAYS.iter().chain(required) {
                assert!(!event[name].is_null(), "{name}: {event}");
            }
            let allowed = ACTIVITIES.iter().find(|(known, _)| *known == class).unwrap().1;
            assert!(allowed.contains(&activity), "{event}");
            assert_eq!(event["type_uid"], class * 100 + activity);
            assert_eq!(event["category_uid"], 3);
            assert!(event["metadata"]["product"]["vendor_name"].is_string(), "{event}");
            assert!(event["time"].as_i64().unwrap() > 1_700_000_000_000, "milliseconds: {event}");
        }
        let mut identifiers: Vec<_> =
            events.iter().map(|event| event["metadata"]["uid"].as_str().unwrap()).collect();
        identifiers.sort_unstable();
        identifiers.dedup();
        assert_eq!(identifiers.len(), events.len());
    }
}
