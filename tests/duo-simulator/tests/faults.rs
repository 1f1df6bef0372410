//! Misbehaviour on demand, as a client meets it, and the life of the listener.

#![expect(clippy::unwrap_used, reason = "a test")]

mod client;

use std::time::Duration;

use client::Ask;
use duo_simulator::{Fault, Simulator, TenantOptions};
use serde_json::{Value, json};

const TARGET: &str = "/admin/v1/users?limit=1";

async fn simulator() -> Simulator {
    Simulator::start(TenantOptions::default()).await.unwrap()
}

#[tokio::test]
async fn faults_come_as_often_as_planned_and_where_planned() {
    let simulator = simulator().await;
    simulator.inject_at("/admin/v1/groups", Fault::TooManyRequests { retry_after: Some(7) }, 2);
    let mut statuses = Vec::new();
    for target in ["/admin/v1/groups", "/admin/v1/users", "/admin/v1/groups", "/admin/v1/groups"] {
        statuses.push(Ask::new(&simulator, target).send(&simulator).await.0);
    }
    assert_eq!(statuses, [429, 200, 429, 200]);
    assert_eq!(simulator.counters().by_status, [(200, 2), (429, 2)].into());
}

#[tokio::test]
async fn each_fault_that_is_an_answer_is_this_answer() {
    let simulator = simulator().await;
    let forbidden = json!({ "code": 40301, "message": "Access forbidden", "stat": "FAIL" });
    let too_many = json!({ "code": 42901, "message": "Too Many Requests", "stat": "FAIL" });
    let internal = json!({ "code": 50001, "message": "Internal server error", "stat": "FAIL" });
    let odd = json!({ "code": 40002, "message": "odd", "stat": "FAIL" });
    for (fault, status, body) in [
        (Fault::TooManyRequests { retry_after: None }, 429, too_many),
        (Fault::ServerError(503), 503, internal),
        (Fault::Forbidden, 403, forbidden),
        (Fault::FailWith200 { code: 40002, message: "odd".to_owned() }, 200, odd),
        (Fault::HtmlPage(502), 502, Value::Null),
        (Fault::InvalidJson, 200, Value::Null),
    ] {
        simulator.inject(fault.clone(), 1);
        assert_eq!(Ask::new(&simulator, TARGET).send(&simulator).await, (status, body), "{fault:?}");
        assert_eq!(Ask::new(&simulator, TARGET).send(&simulator).await.0, 200, "after {fault:?}");
    }
    simulator.inject(Fault::WrongContent, 1);
    let (status, body) = Ask::new(&simulator, TARGET).send(&simulator).await;
    assert!(status == 200 && body.get("stat").is_none(), "{body}");
}

#[tokio::test]
async fn each_fault_of_the_transport_is_what_it_says() {
    let simulator = simulator().await;
    for (retry_after, expected) in [(None, None), (Some(7), Some("7"))] {
        simulator.inject(Fault::TooManyRequests { retry_after }, 1);
        let response = Ask::new(&simulator, TARGET).response(&simulator).await.unwrap();
        let header = response.headers().get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!(header, expected);
    }

    simulator.inject(Fault::RedirectTo("http://127.0.0.1:1".to_owned()), 1);
    let response = Ask::new(&simulator, TARGET).response(&simulator).await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers().get("location").unwrap(), "http://127.0.0.1:1/admin/v1/users");

    simulator.inject(Fault::HtmlPage(200), 1);
    let response = Ask::new(&simulator, TARGET).response(&simulator).await.unwrap();
    assert_eq!(response.headers().get("content-type").unwrap(), "text/html; charset=utf-8");

    for bytes in [1, 65_536, 1_000_001] {
        simulator.inject(Fault::OversizedBody(bytes), 1);
        let response = Ask::new(&simulator, TARGET).response(&simulator).await.unwrap();
        assert_eq!(response.bytes().await.unwrap().len() as u64, bytes);
    }

    for gzip in [false, true] {
        for fault in [Fault::TruncatedBody, Fault::Reset] {
            simulator.inject(fault.clone(), 1);
            let ask = Ask { gzip, ..Ask::new(&simulator, TARGET) };
            // It breaks before or after the head.
            let body = match ask.response(&simulator).await {
                Ok(response) => response.bytes().await,
                Err(error) => Err(error),
            };
            assert!(body.is_err(), "{fault:?} {gzip}");
        }
    }
    assert_eq!(Ask::new(&simulator, TARGET).send(&simulator).await.0, 200);
}

#[tokio::test]
async fn slow_answers_are_right_and_under_way_together() {
    let simulator = simulator().await;
    simulator.inject(Fault::Slow(Duration::from_millis(200)), 2);
    let ask = || Ask::new(&simulator, TARGET).send(&simulator);
    let (one, other) = tokio::join!(ask(), ask());
    assert_eq!((one.0, other.0), (200, 200));
    assert_eq!(simulator.counters().peak_concurrent, 2);
}

#[tokio::test]
async fn the_port_is_free_again_when_the_simulator_is_dropped() {
    for tls in [false, true] {
        let options = TenantOptions::default();
        let first = Simulator::start_at(options.clone(), ([127, 0, 0, 1], 0).into(), tls).await.unwrap();
        let address = first.url().rsplit('/').next().unwrap().parse().unwrap();
        assert_eq!(first.ca_pem().is_some(), tls);
        let taken = Simulator::start_at(options.clone(), address, tls).await;
        assert!(taken.is_err_and(|error| error.to_string().contains(&address.to_string())));
        drop(first);
        let mut tries = 0;
        while Simulator::start_at(options.clone(), address, tls).await.is_err() {
            tries += 1;
            assert!(tries < 100, "{address} stays taken");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
