use connector_store::Writer;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::*;

/// A store that is filled row by row.
struct Filled {
    folder: tempfile::TempDir,
    connection: Connection,
}

const NOW: &str = "2026-11-24T12:00:00Z";
const LATELY: &str = "2026-11-01T00:00:00Z";
const LONG_AGO: &str = "2026-08-01T00:00:00Z";

impl Filled {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        drop(Writer::open(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "INSERT INTO integration VALUES (1, 'acme', 'acme', 'Acme', 'api.example.com');
                 INSERT INTO run (id, integration_id, started_at, finished_at, scope, connector_version, connector_digest)
                 VALUES (1, 1, '2026-11-24T11:00:00Z', '2026-11-24T11:01:00Z', '', '1.0.0', '00');
                 INSERT INTO connector VALUES (1, 'acme', '1.0.0', '00');
                 INSERT INTO stream VALUES (1, 1, 's');",
            )
            .unwrap();
        Self { folder, connection }
    }

    /// The number of an entity, which gets a row without values where it has none.
    fn number(&self, entity_type: &str, source_type: &str, id: &str) -> i64 {
        let kind = "INSERT OR IGNORE INTO kind (integration_id, entity_type, source_type) VALUES (1, ?1, ?2)";
        self.connection.execute(kind, [entity_type, source_type]).unwrap();
        let entity = "INSERT INTO entity (kind_id, source_id)
                      SELECT id, ?3 FROM kind WHERE entity_type = ?1 AND source_type = ?2
                      ON CONFLICT DO UPDATE SET source_id = source_id RETURNING id";
        self.connection.query_row(entity, [entity_type, source_type, id], |row| row.get("id")).unwrap()
    }

    fn entity(&self, entity_type: &str, source_type: &str, id: &str, normal: Value) -> &Self {
        let number = self.number(entity_type, source_type, id);
        let query = "UPDATE entity SET name = source_id, normal = ?2, attributes = '{}', stream_id = 1, connector_id = 1,
                         first_seen_run = 1, search = ''
                     WHERE id = ?1";
        self.connection.execute(query, params![number, normal.to_string()]).unwrap();
        self
    }

    fn user(&self, id: &str, normal: Value) -> &Self {
        self.entity("identity", "user", id, normal)
    }

    fn administrator(&self, id: &str, normal: Value) -> &Self {
        self.entity("identity", "administrator", id, normal)
    }

    fn relation(&self, parent: [&str; 3], privilege: &str, child: [&str; 3], grants: bool) -> &Self {
        let ends =
            [parent, child].map(|[entity_type, source_type, id]| self.number(entity_type, source_type, id));
        let kinds = "INSERT OR IGNORE INTO privilege (name, parent_kind_id, child_kind_id)
                     SELECT ?1, parent.kind_id, child.kind_id FROM entity parent, entity child
                     WHERE parent.id = ?2 AND child.id = ?3";
        self.connection.execute(kinds, params![privilege, ends[0], ends[1]]).unwrap();
        let query = "INSERT INTO relation (parent_id, privilege_id, child_id, privilege_value, attributes, stream_id,
                                           connector_id, first_seen_run)
                     SELECT parent.id, p.id, child.id, ?4, '{}', 1, 1, 1
                     FROM entity parent, entity child, privilege p
                     WHERE parent.id = ?2 AND child.id = ?3 AND p.name = ?1 AND p.parent_kind_id = parent.kind_id
                       AND p.child_kind_id = child.kind_id";
        self.connection.execute(query, params![privilege, ends[0], ends[1], i32::from(grants)]).unwrap();
        self
    }

    /// The keys that a rule finds.
    fn finds(&self, rule: &str) -> Option<Vec<String>> {
        let store = Reader::open(&self.folder.path().join("test.db")).unwrap();
        let found = find(&store, named(rule).unwrap(), Some("acme"), NOW.parse().unwrap(), 100, 0).unwrap();
        let keys: Vec<_> = found.rows.iter().map(|row| row.source_id.clone()).collect();
        assert!(found.rows.iter().all(|row| row.cells.len() == found.insight.columns.len()), "{rule}");
        found.count.map(|count| {
            assert_eq!(count, keys.len() as u64);
            keys
        })
    }

    #[track_caller]
    fn expect(&self, rule: &str, keys: &[&str]) {
        assert_eq!(self.finds(rule).unwrap_or_else(|| panic!("{rule}: not known")), keys, "{rule}");
    }
}

fn active(more: Value) -> Value {
    let mut normal = json!({ "status": "active", "last_login": LATELY, "created": LONG_AGO, "emails": [] });
    normal.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    normal
}

#[test]
fn where_nothing_was_read_nothing_is_known() {
    let store = Filled::new();
    let skip =
        "INSERT INTO run_stream (run_id, stream, state, started_at, whole) VALUES (1, 's', 'skipped', '', 1)";
    store.connection.execute(skip, []).unwrap();
    for insight in INSIGHTS {
        assert_eq!(store.finds(insight.name), None, "{}", insight.name);
    }
    // All was read that was selected; whether that yields users, no release before this one kept.
    store.connection.execute("UPDATE run_stream SET state = 'complete'", []).unwrap();
    assert_eq!(store.finds("users-in-bypass"), None);
    let yields =
        "INSERT INTO stream_type VALUES (1, 'user', 's'), (1, 'group', 't'), (1, 'application', 's')";
    store.connection.execute(yields, []).unwrap();
    store.expect("users-in-bypass", &[]);
    assert_eq!(store.finds("groups-in-bypass"), None, "its stream was not selected");
    assert_eq!(store.finds("unused-applications"), None, "no log was read");
}

#[test]
fn users() {
    let store = Filled::new();
    store
        .user("enrolled", active(json!({ "mfa_state": "enrolled" })))
        .user("without", active(json!({ "mfa_state": "not-enrolled" })))
        .user("disabled without", active(json!({ "mfa_state": "not-enrolled", "status": "disabled" })))
        .user("bypassed", active(json!({ "mfa_state": "bypassed" })))
        .user("idle", active(json!({ "last_login": LONG_AGO })))
        .user("idle, disabled", active(json!({ "last_login": LONG_AGO, "status": "disabled" })))
        .user("never", active(json!({ "last_login": null })))
        .user("never, but new", active(json!({ "last_login": null, "created": LATELY })));
    store.expect("users-without-mfa", &["without"]);
    store.expect("users-in-bypass", &["bypassed"]);
    store.expect("idle-users", &["never", "idle"]);
}

#[test]
fn groups_in_bypass() {
    let store = Filled::new();
    store.entity("connection", "group", "in", json!({ "mfa_state": "bypassed" })).entity(
        "connection",
        "group",
        "out",
        json!({ "mfa_state": null }),
    );
    store.expect("groups-in-bypass", &["in"]);
}

#[test]
fn bypass_codes() {
    let store = Filled::new();
    let code = |id: &str, expires: &str, uses: Value| {
        let normal = json!({ "expires": expires, "uses_left": uses, "created": LONG_AGO });
        store.entity("resource", "bypass-code", id, normal);
    };
    code("for ever", "never", json!(1));
    code("often", "2026-12-01T00:00:00Z", json!("unlimited"));
    code("often, expired", LONG_AGO, json!("unlimited"));
    code("once", "2026-12-01T00:00:00Z", json!(1));
    store.expect("bypass-codes-without-expiry", &["for ever"]);
    store.expect("bypass-codes-with-unlimited-uses", &["often"]);
}

#[test]
fn administrators() {
    let store = Filled::new();
    store
        .administrator("key", active(json!({})))
        .administrator("token", active(json!({})))
        .administrator("nothing", active(json!({ "last_login": LONG_AGO })))
        .administrator("disabled", active(json!({ "status": "disabled", "last_login": LONG_AGO })));
    store.expect("idle-administrators", &["nothing"]);
    assert_eq!(
        store.finds("administrators-without-phishing-resistant-factor"),
        None,
        "no credential was looked for"
    );
    store
        .entity("resource", "webauthn-credential", "W", json!({ "phishing_resistant": true }))
        .entity("resource", "hardware-token", "T", json!({ "phishing_resistant": false }))
        .relation(
            ["identity", "administrator", "key"],
            "owns",
            ["resource", "webauthn-credential", "W"],
            true,
        )
        .relation(["identity", "administrator", "token"], "owns", ["resource", "hardware-token", "T"], true);
    store.relation(
        ["identity", "administrator", "token"],
        "owns",
        ["resource", "webauthn-credential", "W"],
        false,
    );
    store.expect("administrators-without-phishing-resistant-factor", &["nothing", "token"]);
}

#[test]
fn owners() {
    let store = Filled::new();
    let owner = |id: &str| {
        store.administrator(id, active(json!({})));
        store.relation(
            ["identity", "administrator", id],
            "assigned",
            ["connection", "admin-role", "Owner"],
            true,
        );
    };
    // Where the edition has no roles, everybody is an owner.
    store.administrator("helper", active(json!({})));
    store.expect("number-of-owners", &["helper"]);
    store.relation(
        ["identity", "administrator", "helper"],
        "assigned",
        ["connection", "admin-role", "Help Desk"],
        true,
    );
    // There are roles, and nobody has that one: not even whom it is denied.
    store.administrator("denied", active(json!({})));
    let denied = ["identity", "administrator", "denied"];
    store.relation(denied, "assigned", ["connection", "admin-role", "Owner"], false);
    store.expect("number-of-owners", &["acme"]);
    store.entity("resource", "account", "DA1", json!({}));
    store.expect("number-of-owners", &["DA1"]);
    owner("1");
    store.expect("number-of-owners", &["1"]);
    owner("2");
    store.expect("number-of-owners", &[]);
    ["3", "4", "5"].into_iter().for_each(owner);
    store.expect("number-of-owners", &[]);
    owner("6");
    store.expect("number-of-owners", &["1", "2", "3", "4", "5", "6"]);
}

#[test]
fn applications() {
    let store = Filled::new();
    let everybody = ["connection", "all-users", "all"];
    store
        .entity("resource", "application", "open", json!({}))
        .entity("resource", "application", "denied", json!({}))
        .entity("resource", "application", "closed", json!({}))
        .relation(everybody, "access", ["resource", "application", "open"], true)
        .relation(everybody, "access", ["resource", "application", "denied"], false)
        .relation(["connection", "group", "G"], "access", ["resource", "application", "closed"], true);
    store.expect("applications-open-to-all", &["open"]);
    assert_eq!(store.finds("unused-applications"), None);
    store
        .connection
        .execute_batch(&format!(
            "INSERT INTO run_stream (run_id, stream, state, started_at, whole, window_from, window_to)
             VALUES (1, 'log', 'complete', '{NOW}', 1, '{LONG_AGO}', '{NOW}');
             INSERT INTO usage (resource_id, identity_id, last_success, last_attempt, stream_id, last_seen_run)
             SELECT id, 0, iif(source_id = 'open', '{LATELY}', NULL), '{LATELY}', 1, 1 FROM entity
             WHERE source_id IN ('open', 'closed')"
        ))
        .unwrap();
    store.expect("unused-applications", &["closed", "denied"]);
}

#[test]
fn through_a_group_that_is_gone_nobody_reaches_an_application() {
    let store = Filled::new();
    let group = |id: &'static str| ["connection", "group", id];
    let ann = ["identity", "user", "ann"];
    store.user("ann", active(json!({}))).entity("resource", "application", "vpn", json!({}));
    for id in ["here", "gone", "never read"] {
        store.relation(ann, "member", group(id), true);
        store.relation(group(id), "access", ["resource", "application", "vpn"], true);
    }
    store.entity("connection", "group", "here", json!({})).entity("connection", "group", "gone", json!({}));
    store.connection.execute("UPDATE entity SET gone_run = 1 WHERE source_id = 'gone'", []).unwrap();
    let mut ways = store.connection.prepare("SELECT through FROM application_access ORDER BY 1").unwrap();
    let ways = ways.query_map([], |row| row.get(0)).unwrap().collect::<Result<Vec<String>, _>>().unwrap();
    assert_eq!(ways, ["here", "never read"], "and no way looks like a direct one");
}

#[test]
fn service_accounts_with_write_grants() {
    let store = Filled::new();
    let account = ["resource", "account", "A"];
    let program = |id: &'static str| ["identity", "service-account", id];
    store
        .entity("identity", "service-account", "reader", json!({}))
        .entity("identity", "service-account", "writer", json!({}))
        .entity("identity", "service-account", "denied", json!({}))
        .relation(program("reader"), "resource-read", account, true)
        .relation(program("writer"), "resource-read", account, true)
        .relation(program("writer"), "resource-write", account, true)
        .relation(program("denied"), "resource-write", account, false);
    store.expect("service-accounts-with-write-grants", &["writer"]);
}

#[test]
fn shared_phones() {
    let store = Filled::new();
    let phone = |id: &'static str| ["resource", "phone", id];
    let user = |id: &'static str| ["identity", "user", id];
    store
        .entity("resource", "phone", "shared", json!({ "kind": "authenticator" }))
        .entity("resource", "phone", "own", json!({ "kind": "authenticator" }))
        .user("ann", active(json!({})))
        .user("bob", active(json!({})))
        .relation(user("ann"), "owns", phone("shared"), true)
        .relation(user("bob"), "owns", phone("shared"), true)
        .relation(user("ann"), "owns", phone("own"), true)
        .relation(user("bob"), "owns", phone("own"), false);
    store.expect("shared-phones", &["shared"]);
}

#[test]
fn rules_have_names_of_their_own_and_look_only_at_views() {
    let names: std::collections::BTreeSet<_> = INSIGHTS.iter().map(|insight| insight.name).collect();
    assert_eq!(names.len(), INSIGHTS.len());
    for insight in INSIGHTS {
        for table in ["entity ", "relation ", "usage ", "run_page", "run_stream "] {
            let reads = |word: &str| insight.select.contains(&format!("{word} {table}"));
            assert!(!reads("FROM") && !reads("JOIN"), "{} reads the table {table}", insight.name);
        }
    }
}

#[test]
fn charts_count_everything_once() {
    let store = Filled::new();
    store.user("a", active(json!({ "mfa_state": "enrolled" }))).user("b", json!({ "status": null })).entity(
        "resource",
        "phone",
        "P",
        json!({ "kind": "authenticator", "factor": "phone" }),
    );
    let path = store.folder.path().join("test.db");
    let charts = charts(&Reader::open(&path).unwrap(), None, NOW.parse().unwrap()).unwrap();
    let totals: Vec<_> = charts.iter().map(|chart| (chart.title, chart.total())).collect();
    assert_eq!(totals, [("Users by status", 2), ("Users by MFA state", 2), ("Authenticators by factor", 1)]);
}
