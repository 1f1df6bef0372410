//! Lists and logs whose counts and offsets do not agree with what is served.

use super::*;

/// The offset that a request asks for.
fn offset_of(request: &crate::contract::Request) -> usize {
    request.url.rsplit_once("offset=").unwrap().1.parse().unwrap()
}

/// The groups from `from` to `to`.
fn groups(from: usize, to: usize) -> Vec<Value> {
    (from..to).map(|number| json!({ "group_id": format!("DG{number}"), "name": "g" })).collect()
}

fn answer(response: &[Value], next: Option<usize>, total: usize) -> crate::contract::Response {
    let metadata = json!({ "next_offset": next, "total_objects": total });
    let body = json!({ "stat": "OK", "response": response, "metadata": metadata });
    super::response(200, &[], &body.to_string())
}

#[test]
fn a_list_of_500_that_says_540_in_every_walk_is_complete_and_a_problem_tells_both_numbers() {
    let host = TestHost::with(|request| {
        let from = offset_of(request);
        let to = 500.min(from + 200);
        Ok(answer(&groups(from.min(to), to), (to < 500).then_some(to), 540))
    });
    let pages = walk(&host, "groups").unwrap();
    let keys: std::collections::BTreeSet<_> =
        pages.iter().flat_map(|page| &page.entities).map(|group| &group.source_id).collect();
    assert_eq!(keys.len(), 500);
    let problems: Vec<_> = pages.iter().flat_map(|page| &page.problems).collect();
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(problem.field.as_deref(), Some("total_objects"));
    assert!(problem.message.contains("500") && problem.message.contains("540"), "{}", problem.message);
}

#[test]
fn an_offset_that_leads_past_objects_that_were_never_served_leaves_the_list_incomplete() {
    // 100 objects, then nothing, and 100 more: 200 of 300.
    let host = TestHost::with(|request| {
        let from = offset_of(request);
        Ok(match from {
            0..100 => answer(&groups(from, 100), Some(100), 300),
            100..200 => answer(&groups(from, from), Some(200), 300),
            _ => answer(&groups(from.min(300), 300), None, 300),
        })
    });
    let error = walk(&host, "groups").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unexpected);
    assert!(error.message.contains("300"), "{}", error.message);
}

#[test]
fn an_empty_page_that_repeats_its_cursor_ends_the_log() {
    for total in [json!(2), Value::Null] {
        let shown = total.clone();
        let host = TestHost::with(move |request| {
            let (_, from) = request.url.split_once("mintime=").unwrap();
            let from: i64 = from.split('&').next().unwrap().parse().unwrap();
            let event = |number: i64| {
                json!({
                    "txid": format!("t{number}"), "timestamp": 1_790_000_000 + number, "result": "success",
                    "application": { "key": "DI1" }, "user": { "key": "DU1" },
                })
            };
            let is_after_the_last = request.url.contains("next_offset=");
            let numbers = [1, 2].into_iter().filter(|number| (1_790_000_000 + number) * 1000 >= from);
            let events: Vec<_> = numbers.filter(|_| !is_after_the_last).map(event).collect();
            let metadata = json!({ "next_offset": ["1790000002000", "t2"], "total_objects": total });
            let response = json!({ "authlogs": events, "metadata": metadata });
            Ok(super::response(200, &[], &json!({ "stat": "OK", "response": response }).to_string()))
        });
        let pages = walk(&host, "application-usage").unwrap();
        let last = pages.last().unwrap();
        assert!(
            matches!(&last.progress, Progress::Done(Some(bookmark)) if bookmark.starts_with("v2:")),
            "{shown}"
        );
        let latest = pages.iter().flat_map(|page| &page.usages).filter_map(|usage| usage.last_success).max();
        assert_eq!(latest, Some(1_790_000_002));
    }
}
