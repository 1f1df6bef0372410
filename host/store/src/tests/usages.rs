//! Usages, and the window of the log that they are from.

use super::*;

#[test]
fn the_latest_use_wins_in_any_order_of_pages() {
    let usage = |success: Option<i64>, at: i64, result| Usage {
        identity: None,
        identity_name: None,
        resource: access("1", "vpn").child,
        resource_name: Some(format!("at {at}")),
        last_success: success,
        last_attempt: Some(Attempt { at, result, vendor_result: None }),
    };
    let events = [
        usage(Some(1000), 1000, AttemptResult::Success),
        usage(None, 3000, AttemptResult::Denied),
        usage(Some(2000), 2000, AttemptResult::Success),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
        let (_folder, mut store) = open();
        let usages = order.map(|index| events[index].clone()).to_vec();
        run(&mut store, &Page { usages, ..page(vec![], done()) });
        let mut rows = Vec::new();
        store
            .reader()
            .usages(|row| {
                rows.push(row);
                Ok::<_, StoreError>(())
            })
            .unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].last_success.as_deref(), Some("1970-01-01T00:33:20Z"));
        assert_eq!(rows[0].last_attempt.as_deref(), Some("1970-01-01T00:50:00Z"));
        assert_eq!(rows[0].resource_name.as_deref(), Some("at 3000"));
        assert_eq!(rows[0].last_attempt_result.as_deref(), Some("denied"), "{order:?}");
    }
}

#[test]
fn the_window_of_a_log_is_that_of_its_last_complete_run_and_found_in_one_pass() {
    let (_folder, mut store) = open();
    for number in 1..=40_i64 {
        let run = store.begin_run(&start()).unwrap().id;
        for (stream, every) in [("log", 3), ("other-log", 7), ("groups", 1)] {
            store.begin_stream(run, &name(stream), true, 1).unwrap();
            let window = (stream != "groups").then_some(Window { from: every, to: 100 * number });
            let progress = if number % every == 0 { done() } else { more("a") };
            store
                .commit_page(run, &name(stream), &Page { window, ..page(vec![], progress) }, &reader())
                .unwrap();
            if number % every != 0 {
                store.end_stream(run, &incomplete(stream, StreamState::Incomplete, "cut off")).unwrap();
            }
        }
        store.finish_run(run, RunOutcome::Partial).unwrap();
    }
    let rows = |query: &str, column| -> Vec<String> {
        let mut statement = store.reader().connection.prepare(query).unwrap();
        statement.query_map([], |row| row.get(column)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let windows = "SELECT stream || ' ' || unixepoch(window_from) || ' ' || unixepoch(window_to)
                   FROM usage_window ORDER BY stream";
    assert_eq!(rows(windows, 0), ["log 3 3900", "other-log 7 3500"]);
    let plan = rows("EXPLAIN QUERY PLAN SELECT * FROM usage_window", 3).join("\n");
    assert!(!plan.contains("CORRELATED"), "each run would look through all runs: {plan}");
}
