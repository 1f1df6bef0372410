//! Query plans: each frequent query uses an index.

use super::*;

/// The plan of a query over a store whose first run has ended, so that all indexes are there.
fn plan(query: &str) -> String {
    let (_folder, mut store) = open();
    run(&mut store, &page(vec![group("1", "one"), application("vpn")], done()));
    let mut statement = store.reader().connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>("detail")).unwrap();
    rows.collect::<Result<Vec<_>, _>>().unwrap().join("\n")
}

/// Asserts that `query` reads no table of objects from end to end.
#[track_caller]
fn searches_only(query: &str) -> String {
    let plan = plan(query);
    let scans = plan.lines().filter(|line| line.trim_start().starts_with("SCAN"));
    // Tables with a row for each kind, privilege or integration, and the result itself.
    let small =
        ["k", "i", "p", "owned", "grants", "member", "parent_kind", "child_kind", "application_access"];
    let large: Vec<_> =
        scans.filter(|line| line.split(' ').nth(1).is_some_and(|table| !small.contains(&table))).collect();
    assert!(large.is_empty(), "{query}\n{large:#?}\n{plan}");
    plan
}

#[test]
fn a_page_of_objects_and_a_search_read_one_index_in_its_order() {
    for search in ["", "AND (e.name LIKE '%x%' OR e.source_id LIKE '%x%' OR e.search LIKE '%x%')"] {
        let plan = plan(&format!(
            "SELECT e.id FROM entity e
             WHERE e.kind_id = (SELECT id FROM kind WHERE source_type = 'group')
               AND e.stream_id IS NOT NULL AND e.gone_run IS NULL
               AND (e.name COLLATE NOCASE, e.source_id) > ('a', 'b') {search}
             ORDER BY e.name COLLATE NOCASE, e.source_id LIMIT 50"
        ));
        assert!(plan.contains("USING COVERING INDEX entity_browse"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[test]
fn what_a_run_counts_and_marks_is_in_an_index() {
    for (table, number) in [("entity", "kind_id"), ("relation", "privilege_id")] {
        let plan = plan(&format!(
            "SELECT id, {number}, first_seen_run = 1 FROM {table} WHERE stream_id = 1 AND gone_run IS NULL"
        ));
        assert!(plan.contains(&format!("USING COVERING INDEX {table}_stream")), "{plan}");
    }
}

#[test]
fn objects_of_a_type_and_relations_of_a_key_are_found_without_a_scan() {
    searches_only("SELECT * FROM entities WHERE source_type = 'user' AND normal ->> 'status' = 'active'");
    searches_only(
        "SELECT * FROM entities WHERE integration = 'acme' AND source_type = 'user' AND source_id = '1'",
    );
    searches_only("SELECT * FROM identity WHERE mfa_state = 'bypassed'");
    for end in ["parent", "child"] {
        let key = format!("{end}_source_type = 'user' AND {end}_source_id = '1'");
        let queries = [
            format!("SELECT * FROM relations WHERE {key} AND privilege = 'owns'"),
            format!("SELECT * FROM relations WHERE {key}"),
            format!(
                "SELECT e.name, (SELECT count(*) FROM relations r
                                 WHERE r.integration = e.integration AND r.{end}_entity_type = e.entity_type
                                   AND r.{end}_source_type = e.source_type AND r.{end}_source_id = e.source_id)
                 FROM entities e WHERE e.source_type = 'group'"
            ),
        ];
        for query in queries {
            let plan = searches_only(&query);
            assert!(
                plan.contains(&format!("{end}_id=?")),
                "relations are found by their {end}: {query}\n{plan}"
            );
        }
    }
}

#[test]
fn a_count_of_relations_reads_no_entity_that_it_does_not_name() {
    let plan = searches_only(
        "WITH owned AS MATERIALIZED (SELECT child_source_id FROM relations WHERE privilege = 'owns' AND privilege_value)
         SELECT child_source_id, count(*) FROM owned GROUP BY 1",
    );
    assert!(plan.contains("USING COVERING INDEX relation_child") && !plan.contains("parent USING"), "{plan}");
}

#[test]
fn findings_over_the_normal_form_read_one_index() {
    let plan = searches_only(
        "SELECT count(*) FROM entities
         WHERE entity_type = 'identity' AND normal ->> 'kind' = 'human' AND normal ->> 'status' = 'active'
           AND normal ->> 'mfa_state' = 'bypassed' AND normal ->> 'is_privileged' = 0
           AND coalesce(normal ->> 'last_login', normal ->> 'created', '') < '2026-01-01'",
    );
    assert!(plan.contains("USING COVERING INDEX entity_state"), "{plan}");
}

#[test]
fn who_reaches_an_application_is_found_without_a_scan() {
    for end in ["application", "identity"] {
        let plan = searches_only(&format!(
            "SELECT * FROM application_access
             WHERE integration = 'acme' AND {end}_source_type = 'x' AND {end}_source_id = '1'"
        ));
        assert!(!plan.contains("AUTOMATIC"), "SQLite builds an index for each query: {plan}");
    }
}
