//! The log of authentications.

use super::*;

fn event(extra: Value) -> Value {
    let event = json!({
        "txid": "t", "timestamp": 1_600_000_100, "event_type": "authentication", "result": "success", "reason": "user_approved",
        "application": { "key": "DI1", "name": "VPN" }, "user": { "key": "DU1", "name": "u1", "groups": [] },
    });
    merged(event, extra)
}

fn usages(events: &[Value]) -> Page {
    read_body("application-usage", &json!({ "stat": "OK", "response": { "authlogs": events } }).to_string())
        .unwrap()
}

#[test]
fn events_are_folded_into_the_last_success_and_the_last_attempt() {
    let page = usages(&[
        event(json!({})),
        event(
            json!({ "timestamp": 1_600_000_300, "result": "denied", "reason": "no_response", "application": { "key": "DI1", "name": "New VPN" } }),
        ),
        event(json!({ "timestamp": 1_600_000_200 })),
        event(
            json!({ "timestamp": 1_600_000_250, "user": { "key": null, "name": "nobody" }, "result": "fraud", "reason": null }),
        ),
        event(json!({ "timestamp": 1_600_000_900, "event_type": "enrollment" })),
    ]);
    assert_eq!(page.problems, []);
    let [anybody, user] = page.usages.as_slice() else { panic!("{:?}", page.usages) };
    assert_eq!(
        (anybody.identity.as_ref(), user.identity.as_ref().unwrap().source_id.as_str()),
        (None, "DU1")
    );
    for usage in [anybody, user] {
        assert_eq!(usage.last_success, Some(1_600_000_200));
        let attempt = usage.last_attempt.as_ref().unwrap();
        assert_eq!((attempt.at, attempt.vendor_result.as_deref()), (1_600_000_300, Some("no_response")));
        assert_eq!(usage.resource_name.as_deref(), Some("New VPN"));
    }
    assert_eq!(user.identity_name.as_deref(), Some("u1"));
}

#[test]
fn an_event_that_can_not_be_placed_is_a_problem() {
    let page = usages(&[
        event(json!({ "application": null })),
        event(json!({ "timestamp": "soon" })),
        json!("odd"),
        json!(null),
        event(json!({ "txid": "t5" })),
    ]);
    assert_eq!(page.usages.len(), 2);
    let problems: Vec<(Option<&str>, Option<&str>)> = page
        .problems
        .iter()
        .map(|problem| (problem.source_id.as_deref(), problem.field.as_deref()))
        .collect();
    assert_eq!(
        problems,
        [(Some("t"), Some("application")), (Some("t"), Some("timestamp")), (None, None), (None, None)]
    );
}

#[test]
fn a_cursor_that_duo_refuses_starts_the_log_over_and_a_window_names_its_setting() {
    let body =
        r#"{"code":40002,"message":"Invalid request parameters","message_detail":"mintime","stat":"FAIL"}"#;
    let host = TestHost::answering(400, &[], body);
    let error = read(&host, &settings(), "application-usage", &Position::Beginning).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unexpected);
    assert!(error.remedy.unwrap().contains("log-days"));
    let now = host.now.timestamp();
    let cursor = format!("v2:since={0};from={0};to={1};seen=1;last=0;next=1,a", now - 1000, now);
    let error = read(&host, &settings(), "application-usage", &Position::At(cursor)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidPosition);
}

#[test]
fn the_time_of_an_event_is_never_in_the_future_and_milliseconds_are_understood() {
    let page = usages(&[
        event(json!({ "timestamp": 1_795_000_000_000_i64 })),
        event(json!({ "timestamp": 4_102_444_800_i64, "txid": "t2" })),
        event(json!({ "timestamp": 0, "txid": "t3" })),
    ]);
    assert_eq!(page.usages.len(), 2);
    for usage in &page.usages {
        assert_eq!(usage.last_success, Some(1_795_000_000));
        assert_eq!(usage.last_attempt.as_ref().unwrap().at, 1_795_000_000);
    }
    let problems: Vec<Option<&str>> =
        page.problems.iter().map(|problem| problem.source_id.as_deref()).collect();
    assert_eq!(problems, [Some("t2"), Some("t3")]);
    assert!(page.problems[0].message.contains("2100-01-01T00:00:00Z"), "{}", page.problems[0].message);
}
