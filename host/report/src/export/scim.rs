//! SCIM 2.0 (RFC 7643): identities as Users and connections as Groups, in pages of `ListResponse` (RFC 7644).
//!
//! A SCIM `id` is unique among all resources, so it is `integration/source_type/source_id`; `externalId` is the vendor's key.
//! A group has the members that a relation grants; what SCIM has no attribute for stays out.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::folder::{Folder, OutputFile};
use super::json_list::{Separator, text, value};
use super::{ExportError, texts};
use connector_store::Reader;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// Resources on a page.
const PAGE: usize = 1000;

/// A page of objects of a source type, in the order of their keys.
const OBJECTS: &str = "
    SELECT source_id, name, normal FROM entities
    WHERE integration = ?1 AND entity_type = ?2 AND source_type = ?3 AND source_id > ?4
    ORDER BY source_id LIMIT 1000";

/// The present members of a connection, by relations that grant.
const MEMBERS: &str = "
    SELECT r.parent_entity_type, r.parent_source_type, r.parent_source_id, e.name
    FROM relations r
    JOIN entities e ON e.integration = r.integration AND e.entity_type = r.parent_entity_type
        AND e.source_type = r.parent_source_type AND e.source_id = r.parent_source_id
    WHERE r.integration = ?1 AND r.child_entity_type = 'connection' AND r.child_source_type = ?2
        AND r.child_source_id = ?3 AND r.privilege_value
        AND r.parent_entity_type IN ('identity', 'connection')";

pub(super) fn export(store: &Reader, folder: &mut Folder<'_>) -> Result<(), ExportError> {
    pages(store, folder, "identity", "users", |file, row| value(file, &user(row)?))?;
    pages(store, folder, "connection", "groups", |file, row| group(store, file, row))
}

/// Writes the objects of an entity type to the files `NAME-0001.json`, `NAME-0002.json` and so on. A page has objects of one
/// source type. Without objects there is one page without resources.
fn pages(
    store: &Reader,
    folder: &mut Folder<'_>,
    entity_type: &str,
    name: &str,
    write: impl Fn(&mut OutputFile, &Object<'_>) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let mut types = Vec::new();
    for integration in store.integrations()? {
        let counts = store.type_counts(&integration)?.into_iter();
        let counts = counts.filter(|one| one.entity_type == entity_type && one.count > 0);
        types.extend(counts.map(|one| (integration.clone(), one.source_type, one.count)));
    }
    let total: u64 = types.iter().map(|(.., count)| count).sum();
    let (mut number, mut start) = (0, 1);
    let mut next = |count| {
        let list = json!({
            "schemas": [LIST], "totalResults": total, "startIndex": start, "itemsPerPage": count,
        });
        number += 1;
        start += count;
        (format!("{name}-{number:04}.json"), list.to_string())
    };
    for (integration, source_type, count) in &types {
        let mut after = String::new();
        for done in (0..*count).step_by(PAGE) {
            let (file, list) = next((count - done).min(PAGE as u64));
            folder.write(&file, |file| {
                list_response(file, &list, |file, separator| {
                    let key = [integration.as_str(), entity_type, source_type, &after.clone()];
                    store.each_found(OBJECTS, &key, |cells| {
                        let [source_id, name, normal] = texts(&cells).map(str::to_owned);
                        after.clone_from(&source_id);
                        separator.before_item(file)?;
                        file.count(1);
                        write(file, &Object { integration, source_type, source_id, name, normal })
                    })
                })
            })?;
        }
    }
    if types.is_empty() {
        let (file, list) = next(0);
        folder.write(&file, |file| list_response(file, &list, |_, _| Ok(())))?;
    }
    Ok(())
}

/// Writes a `ListResponse` whose resources `write` writes.
fn list_response(
    file: &mut OutputFile,
    list: &str,
    write: impl FnOnce(&mut OutputFile, &mut Separator) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    text(file, list.strip_suffix('}').unwrap_or(list))?;
    text(file, ",\"Resources\":[")?;
    write(file, &mut Separator::default())?;
    text(file, "\n]}\n")
}

/// An identity or a connection.
struct Object<'a> {
    integration: &'a str,
    source_type: &'a str,
    source_id: String,
    name: String,
    normal: String,
}

/// What all resources have.
fn resource(row: &Object<'_>, schema: &str, kind: &str) -> Result<(Map<String, Value>, Fields), ExportError> {
    let normal = Fields::parse(&row.normal)?;
    let mut meta = json!({ "resourceType": kind });
    if let (Some(meta), Some(created)) = (meta.as_object_mut(), normal.text("created")) {
        meta.insert("created".to_owned(), created.into());
    }
    let resource = json!({
        "schemas": [schema],
        "id": id(row.integration, row.source_type, &row.source_id),
        "externalId": row.source_id,
        "displayName": row.name,
        "meta": meta,
    });
    let Value::Object(resource) = resource else { return Ok((Map::new(), normal)) };
    Ok((resource, normal))
}

fn user(row: &Object<'_>) -> Result<Map<String, Value>, ExportError> {
    let (mut user, normal) = resource(row, USER, "User")?;
    // RFC 7643 requires a user name.
    let user_name = normal.text("username").unwrap_or(&row.source_id);
    user.insert("userName".to_owned(), user_name.into());
    user.insert("userType".to_owned(), normal.value("kind").clone());
    user.insert("active".to_owned(), normal.is_active().into());
    let names = [("givenName", "given_name"), ("familyName", "family_name")];
    let names =
        names.into_iter().filter_map(|(name, field)| Some((name.to_owned(), normal.text(field)?.into())));
    let names: Map<_, _> = names.collect();
    if !names.is_empty() {
        user.insert("name".to_owned(), names.into());
    }
    if !normal.emails().is_empty() {
        let emails = normal.emails().iter().enumerate();
        let emails = emails.map(|(index, email)| json!({ "value": email, "primary": index == 0 }));
        user.insert("emails".to_owned(), emails.collect());
    }
    Ok(user)
}

#[derive(Serialize)]
struct Member {
    value: String,
    display: String,
    r#type: &'static str,
}

/// Writes a group member by member: all users may be in one.
fn group(store: &Reader, file: &mut OutputFile, row: &Object<'_>) -> Result<(), ExportError> {
    let (group, _) = resource(row, GROUP, "Group")?;
    let group = Value::Object(group).to_string();
    let mut separator = Separator::default();
    text(file, group.strip_suffix('}').unwrap_or(&group))?;
    text(file, ",\"members\":[")?;
    let key = [row.integration, row.source_type, &row.source_id];
    store.each_found(MEMBERS, &key, |cells| {
        let [entity_type, source_type, source_id, name] = texts(&cells);
        let member = Member {
            value: id(row.integration, source_type, source_id),
            display: name.to_owned(),
            r#type: if entity_type == "identity" { "User" } else { "Group" },
        };
        separator.item(file, &member)
    })?;
    text(file, "]}")
}

fn id(integration: &str, source_type: &str, source_id: &str) -> String {
    format!("{integration}/{source_type}/{source_id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::{Existing, Format, Written, export};
    use crate::test_store::{TestStore, VENDORS};

    fn pages_of(store: &TestStore) -> Vec<(String, Value)> {
        let folder = tempfile::tempdir().unwrap();
        let written = export(&store.read(true), Format::Scim, folder.path(), Existing::Refuse, None).unwrap();
        let page = |Written { path, .. }: Written| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), serde_json::from_str(&text).unwrap())
        };
        written.into_iter().map(page).collect()
    }

    #[test]
    fn pages_say_where_they_begin_and_how_many_resources_there_are() {
        for vendor in VENDORS {
            let mut store = TestStore::new(vendor);
            for number in 0..=PAGE {
                store.user(&format!("user {number}"), |_| ());
            }
            let pages = pages_of(&store);
            let sizes: Vec<_> = pages
                .iter()
                .map(|(name, page)| {
                    let resources = page["Resources"].as_array().unwrap().len();
                    assert_eq!(page["itemsPerPage"], resources, "{name}");
                    (
                        name.as_str(),
                        page["startIndex"].as_u64().unwrap(),
                        page["totalResults"].as_u64().unwrap(),
                    )
                })
                .collect();
            let expected =
                [("users-0001.json", 1, 1001), ("users-0002.json", 1001, 1001), ("groups-0001.json", 1, 0)];
            assert_eq!(sizes, expected);
        }
    }

    #[test]
    fn a_group_has_the_present_members_that_a_relation_grants() {
        for vendor in VENDORS {
            let mut store = TestStore::new(vendor);
            store.user("ann", |_| ()).user("bob", |bob| bob.username = None).group("staff");
            store.relate((vendor.user, "ann"), "member", (vendor.group, "staff"), true);
            store.relate((vendor.user, "bob"), "member", (vendor.group, "staff"), false);
            store.relate((vendor.user, "never listed"), "member", (vendor.group, "staff"), true);
            let pages = pages_of(&store);
            let users = pages[0].1["Resources"].as_array().unwrap();
            let names: Vec<_> = users.iter().map(|user| user["userName"].as_str().unwrap()).collect();
            assert_eq!(names, ["ann", "bob"], "the key is the user name of a user without one");
            let group = &pages[1].1["Resources"][0];
            let ann =
                json!({ "value": format!("acme/{}/ann", vendor.user), "display": "ann", "type": "User" });
            assert_eq!(group["members"], json!([ann]));
        }
    }
}
