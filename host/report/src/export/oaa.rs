//! A payload of Veza's Open Authorization API, template *Custom Application*: an application for each integration.
//!
//! | here | in OAA |
//! |---|---|
//! | identity | local user; a service identity has the user type `service_account` |
//! | group, everyone | local group; their members are in `groups` of the users |
//! | role | local role with the permissions it gives |
//! | administrative unit | resource; the roles of an identity that is restricted to units are scoped to them |
//! | authenticator, bypass code | access credential of the users who have it |
//! | another resource | resource |
//! | another relation to a resource | permission in `identity_to_permissions` |
//!
//! OAA has no deny: relations that deny are left out. All references are by `id`, which is `source_type/source_id`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::folder::{Folder, OutputFile};
use super::json_list::{Separator, text};
use super::{ExportError, texts};
use connector_store::Reader;

/// The objects of an integration with what they lead to by relations that grant: a JSON array of arrays of privilege, entity
/// type, kind, source type and source id of the other end, if it is present.
const OBJECTS: &str = "
    SELECT e.source_type, e.source_id, e.name, e.normal, (
        SELECT json_group_array(json_array(r.privilege, r.child_entity_type, c.normal ->> 'kind',
                                           r.child_source_type, r.child_source_id))
        FROM relations r
        JOIN entities c ON c.integration = r.integration AND c.entity_type = r.child_entity_type
            AND c.source_type = r.child_source_type AND c.source_id = r.child_source_id
        WHERE r.integration = e.integration AND r.parent_entity_type = e.entity_type
            AND r.parent_source_type = e.source_type AND r.parent_source_id = e.source_id AND r.privilege_value
    ) AS leads_to
    FROM entities e WHERE e.integration = ?1 AND e.entity_type = ?2";

/// The permission types of OAA say what happens to data. Privileges of a vendor do not tell.
const PERMISSION_TYPE: &str = "Uncategorized";

pub(super) fn export(store: &Reader, folder: &mut Folder<'_>) -> Result<(), ExportError> {
    let integrations = store.integrations()?;
    folder.write("oaa.json", |file| {
        text(file, "{\"applications\":[")?;
        let mut applications = Separator::default();
        for integration in &integrations {
            applications.before_item(file)?;
            application(store, file, integration)?;
        }
        text(file, "\n],\"identity_to_permissions\":[")?;
        let mut separator = Separator::default();
        let mut privileges = BTreeSet::new();
        for integration in &integrations {
            for entity_type in ["identity", "connection"] {
                each(store, integration, entity_type, |object| {
                    privileges.extend(object.reached().into_keys().map(str::to_owned));
                    match object.permissions(integration) {
                        Some(permissions) => separator.item(file, &permissions),
                        None => Ok(()),
                    }
                })?;
            }
        }
        text(file, "\n],\"permissions\":[")?;
        let mut permissions = Separator::default();
        for name in privileges {
            let permission = json!({
                "name": name, "permission_type": [PERMISSION_TYPE], "apply_to_sub_resources": false,
                "resource_types": [],
            });
            permissions.item(file, &permission)?;
        }
        text(file, "\n]}\n")
    })
}

fn application(store: &Reader, file: &mut OutputFile, integration: &str) -> Result<(), ExportError> {
    let head = json!({ "name": integration, "application_type": integration }).to_string();
    text(file, head.strip_suffix('}').unwrap_or(&head))?;
    let lists: [(&str, &[(&str, Kind)]); 5] = [
        ("local_users", &[("identity", Kind::User)]),
        ("local_groups", &[("connection", Kind::Group)]),
        ("local_roles", &[("connection", Kind::Role)]),
        ("local_access_creds", &[("resource", Kind::Credential)]),
        ("resources", &[("resource", Kind::Resource), ("connection", Kind::Unit)]),
    ];
    for (list, kinds) in lists {
        text(file, &format!(",\n\"{list}\":["))?;
        let mut separator = Separator::default();
        for (entity_type, kind) in kinds {
            each(store, integration, entity_type, |object| {
                if object.kind() != *kind {
                    return Ok(());
                }
                file.count(1);
                separator.item(file, &object.in_application())
            })?;
        }
        text(file, "\n]")?;
    }
    text(file, "}")
}

/// What an object is in OAA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    User,
    Group,
    Role,
    Credential,
    Resource,
    /// An administrative unit: a connection here, a resource in OAA.
    Unit,
}

impl Kind {
    /// By entity type and the field `kind` of the normal form.
    fn of(entity_type: &str, kind: &str) -> Self {
        match (entity_type, kind) {
            ("identity", _) => Self::User,
            ("connection", "role") => Self::Role,
            ("connection", "administrative-unit") => Self::Unit,
            ("connection", _) => Self::Group,
            (_, "authenticator" | "bypass-code") => Self::Credential,
            _ => Self::Resource,
        }
    }
}

/// An object, and what it leads to.
struct Object {
    entity_type: String,
    id: String,
    source_type: String,
    name: String,
    normal: Fields,
    /// Privilege, kind of the other end, its id.
    leads_to: Vec<(String, Kind, String)>,
}

/// Calls `each` for every object of an entity type, one at a time.
fn each(
    store: &Reader,
    integration: &str,
    entity_type: &str,
    mut each: impl FnMut(Object) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    store.each_found(OBJECTS, &[integration, entity_type], |cells| {
        let [source_type, source_id, name, normal, leads_to] = texts(&cells);
        let found: Vec<[String; 5]> = serde_json::from_str(leads_to).map_err(ExportError::Row)?;
        let found = found.into_iter().map(|[privilege, entity_type, kind, source_type, source_id]| {
            (privilege, Kind::of(&entity_type, &kind), id(&source_type, &source_id))
        });
        each(Object {
            entity_type: entity_type.to_owned(),
            id: id(source_type, source_id),
            source_type: source_type.to_owned(),
            name: name.to_owned(),
            normal: Fields::parse(normal)?,
            leads_to: found.collect(),
        })
    })
}

fn id(source_type: &str, source_id: &str) -> String {
    format!("{source_type}/{source_id}")
}

impl Object {
    fn kind(&self) -> Kind {
        Kind::of(&self.entity_type, self.normal.text("kind").unwrap_or_default())
    }

    /// The ids of what it leads to of that kind, each once.
    fn ids(&self, kind: Kind) -> Vec<&str> {
        let of_kind = self.leads_to.iter().filter(|(_, other, _)| *other == kind);
        let mut ids: Vec<_> = of_kind.map(|(.., id)| id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Its description in the lists of the application.
    fn in_application(&self) -> Value {
        let normal = &self.normal;
        let fields = match self.kind() {
            Kind::User => json!({
                "email": normal.emails().first(),
                "identities": normal.emails(),
                "groups": self.ids(Kind::Group),
                "access_creds": self.ids(Kind::Credential),
                "is_active": normal.is_active(),
                "created_at": normal.value("created"),
                "last_login_at": normal.value("last_login"),
                "user_type": if normal.text("kind") == Some("service") { "service_account" } else { "human" },
            }),
            Kind::Group => json!({ "created_at": normal.value("created"), "groups": self.ids(Kind::Group) }),
            Kind::Role => json!({ "permissions": self.reached().into_keys().collect::<Vec<_>>() }),
            Kind::Credential => json!({
                "is_active": normal.value("activated").as_bool() != Some(false),
                "created_at": normal.text("created").or(normal.text("added")),
                "last_used_at": normal.value("last_seen"),
                "expires_at": normal.text("expires").filter(|expires| *expires != "never"),
                "can_expire": normal.text("expires").map(|expires| expires != "never"),
            }),
            Kind::Resource | Kind::Unit => json!({ "resource_type": self.source_type }),
        };
        let mut object = Map::from_iter([("id".to_owned(), self.id.as_str().into())]);
        object.insert("name".to_owned(), self.oaa_name().into());
        if let Value::Object(fields) = fields {
            let is_blank = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            object.extend(fields.into_iter().filter(|(_, value)| !is_blank(value)));
        }
        Value::Object(object)
    }

    /// OAA requires a name.
    fn oaa_name(&self) -> &str {
        let name = self.normal.text("username").unwrap_or(&self.name);
        if name.is_empty() { &self.id } else { name }
    }

    /// The privileges by which it reaches resources, and the ids of the resources. Units are the scope of its roles, if it has
    /// any: a restriction is no permission.
    fn reached(&self) -> BTreeMap<&str, Vec<&str>> {
        let has_roles = self.leads_to.iter().any(|(_, kind, _)| *kind == Kind::Role);
        let mut reached = BTreeMap::<_, Vec<_>>::new();
        for (privilege, kind, id) in &self.leads_to {
            if *kind == Kind::Resource || (*kind == Kind::Unit && !has_roles) {
                reached.entry(privilege.as_str()).or_default().push(id.as_str());
            }
        }
        reached
    }

    /// Its permissions and roles, if it has any.
    fn permissions(&self, integration: &str) -> Option<Value> {
        let identity_type = match self.kind() {
            Kind::User => "local_user",
            Kind::Group => "local_group",
            // A role has its permissions itself; the others have none.
            Kind::Role | Kind::Credential | Kind::Resource | Kind::Unit => return None,
        };
        let units = self.ids(Kind::Unit);
        let permissions: Vec<_> = self
            .reached()
            .into_iter()
            .map(|(permission, resources)| {
                json!({ "application": integration, "permission": permission, "resources": resources })
            })
            .collect();
        let role = |role| {
            let mut role =
                json!({ "application": integration, "role": role, "apply_to_application": units.is_empty() });
            if let (Some(role), false) = (role.as_object_mut(), units.is_empty()) {
                role.insert("resources".to_owned(), json!(units));
            }
            role
        };
        let roles: Vec<_> = self.ids(Kind::Role).into_iter().map(role).collect();
        if permissions.is_empty() && roles.is_empty() {
            return None;
        }
        let mut all = json!({ "identity": self.id, "identity_type": identity_type });
        for (name, list) in [("application_permissions", permissions), ("role_assignments", roles)] {
            if let (Some(all), false) = (all.as_object_mut(), list.is_empty()) {
                all.insert(name.to_owned(), list.into());
            }
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use connector_sandbox::contract::types::{ConnectionKind, Expiry, UsesLeft};

    use super::*;
    use crate::export::{Existing, Format, export};
    use crate::test_store::{TestStore, VENDORS, Vendor};

    fn payload(store: &TestStore) -> Value {
        let folder = tempfile::tempdir().unwrap();
        export(&store.read(true), Format::Oaa, folder.path(), Existing::Refuse, None).unwrap();
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("oaa.json")).unwrap()).unwrap()
    }

    fn tenant(vendor: Vendor) -> TestStore {
        let mut store = TestStore::new(vendor);
        store.user("ann", |ann| ann.emails = vec!["ann@example.com".to_owned()]).service("robot", false);
        store.administrator("root", |_| ()).administrator("local", |_| ());
        store.group("staff").application("vpn").account("acme");
        store.connection(vendor.role, "owner", ConnectionKind::Role, |_| ());
        store.connection(vendor.everyone, "emea", ConnectionKind::AdministrativeUnit, |_| ());
        store.bypass_code("code", Expiry::Never, UsesLeft::Unlimited);
        store.relate((vendor.user, "ann"), "member", (vendor.group, "staff"), true);
        store.relate((vendor.user, "ann"), "holds", (vendor.bypass_code, "code"), true);
        store.relate((vendor.group, "staff"), "access", (vendor.application, "vpn"), true);
        store.relate((vendor.user, "ann"), "access", (vendor.application, "vpn"), false);
        store.relate((vendor.service, "robot"), "read", (vendor.account, "acme"), true);
        store.relate((vendor.role, "owner"), "all", (vendor.account, "acme"), true);
        for id in ["root", "local"] {
            store.relate((vendor.administrator, id), "assigned", (vendor.role, "owner"), true);
        }
        store.relate((vendor.administrator, "local"), "within", (vendor.everyone, "emea"), true);
        store
    }

    #[test]
    fn access_leads_from_users_through_groups_and_roles_to_resources_and_a_deny_is_left_out() {
        for vendor in VENDORS {
            let payload = payload(&tenant(vendor));
            let id = |source_type: &str, id: &str| format!("{source_type}/{id}");
            let application = &payload["applications"][0];
            let users = application["local_users"].as_array().unwrap();
            let ann = users.iter().find(|user| user["id"] == id(vendor.user, "ann")).unwrap();
            assert_eq!(ann["groups"], json!([id(vendor.group, "staff")]));
            assert_eq!(ann["access_creds"], json!([id(vendor.bypass_code, "code")]));
            assert_eq!(ann["identities"], json!(["ann@example.com"]));
            let robot = users.iter().find(|user| user["id"] == id(vendor.service, "robot")).unwrap();
            assert_eq!(robot["user_type"], "service_account");
            let code = &application["local_access_creds"][0];
            assert_eq!((&code["can_expire"], &code["expires_at"]), (&json!(false), &Value::Null));
            assert_eq!(application["local_roles"][0]["permissions"], json!(["all"]));

            let mut found: Vec<_> = payload["identity_to_permissions"].as_array().unwrap().clone();
            found.sort_by_key(|one| one["identity"].to_string());
            let mut expected = vec![
                json!({
                    "identity": id(vendor.group, "staff"), "identity_type": "local_group",
                    "application_permissions": [
                        { "application": "acme", "permission": "access", "resources": [id(vendor.application, "vpn")] },
                    ],
                }),
                json!({
                    "identity": id(vendor.service, "robot"), "identity_type": "local_user",
                    "application_permissions": [
                        { "application": "acme", "permission": "read", "resources": [id(vendor.account, "acme")] },
                    ],
                }),
                json!({
                    "identity": id(vendor.administrator, "root"), "identity_type": "local_user",
                    "role_assignments": [
                        { "application": "acme", "role": id(vendor.role, "owner"), "apply_to_application": true },
                    ],
                }),
                json!({
                    "identity": id(vendor.administrator, "local"), "identity_type": "local_user",
                    "role_assignments": [{
                        "application": "acme", "role": id(vendor.role, "owner"), "apply_to_application": false,
                        "resources": [id(vendor.everyone, "emea")],
                    }],
                }),
            ];
            expected.sort_by_key(|one| one["identity"].to_string());
            assert_eq!(found, expected);
            let permissions = payload["permissions"].as_array().unwrap().iter();
            let names: Vec<_> = permissions.map(|permission| permission["name"].as_str().unwrap()).collect();
            assert_eq!(names, ["access", "all", "read"]);
        }
    }
}
