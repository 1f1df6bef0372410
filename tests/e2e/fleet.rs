//! Many integrations in one `serve`.

use std::time::Duration;

use duo_simulator::Fault;
use serde_json::Value;

use crate::harness::{Setup, tenant};
use crate::served::Served;
use crate::served_page::{Page, client};

const INTEGRATIONS: u32 = 24;

/// The configurations of a fleet that reads one tenant.
fn fleet(setup: &Setup) -> Vec<(String, String)> {
    let numbered = (0..INTEGRATIONS).map(|number| {
        let name = format!("duo-{number:02}");
        let named = setup.configuration().replace("name = \"duo\"", &format!("name = \"{name}\""));
        (name, format!("{named}[limits]\nvendor-budgets = false\n"))
    });
    numbered.collect()
}

fn serve<'a>(setup: &'a Setup, fleet: &[(String, String)]) -> Served<'a> {
    let fleet: Vec<_> = fleet.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
    Served::start(setup, &fleet)
}

/// How many integrations are in a state.
fn count(status: &Value, state: &str) -> u32 {
    let integrations = status["integrations"].as_array().unwrap().iter();
    integrations.filter(|one| one["state"] == state).map(|_| 1).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_fleet_that_is_due_at_once_sixteen_runs_read_and_the_others_wait_for_a_place() {
    let setup = Setup::new(tenant(10)).await;
    setup.simulator.inject_at("/admin/v1/users", Fault::Slow(Duration::from_secs(2)), INTEGRATIONS);
    let served = serve(&setup, &fleet(&setup));
    let (mut most, mut queued) = (0, 0);
    served.wait("a queue", |served| served.run(&["status"]).stdout.contains("waiting for other runs"));
    served.wait("all runs", |served| {
        let status = served.status();
        most = most.max(count(&status, "running"));
        queued = queued.max(count(&status, "queued"));
        let integrations = status["integrations"].as_array().unwrap();
        integrations.iter().all(|one| one["last_run"]["outcome"] == "complete")
    });
    assert!((1..=16).contains(&most), "{most} ran at the same time");
    assert!(queued > 0, "none was queued");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_the_vendor_takes_no_place() {
    let setup = Setup::new(tenant(10)).await;
    let refused = Fault::TooManyRequests { retry_after: Some(600) };
    setup.simulator.inject_at("/admin/v1/phones", refused, INTEGRATIONS);
    let served = serve(&setup, &fleet(&setup));
    served.wait("all runs to wait", |served| {
        let status = served.status();
        let integrations = status["integrations"].as_array().unwrap();
        integrations.iter().all(|one| !one["progress"]["waits_until"].is_null())
    });
    assert_eq!(count(&served.status(), "running"), INTEGRATIONS);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_shows_the_integrations_that_its_filter_names() {
    let setup = Setup::new(tenant(10)).await;
    std::fs::create_dir_all(setup.path("integrations")).unwrap();
    for (name, text) in fleet(&setup) {
        let text = text.replace("[settings]", "paused = true\n[settings]");
        let text = if name == "duo-07" { text.replace("paused", "owner = \"Zoë\"\npaused") } else { text };
        std::fs::write(setup.path("integrations").join(format!("{name}.toml")), text).unwrap();
    }
    std::fs::write(setup.path("integrations").join("broken.toml"), "name = 1").unwrap();
    let page = Page::serve(&setup);
    let cookie = page.set_cookie().await;
    let shown = async |query: &str| {
        let request = client().get(format!("{}/integrations{query}", page.url)).header("cookie", &cookie);
        let html = request.send().await.unwrap().text().await.unwrap();
        let cards = u32::try_from(html.matches("class=\"card integration\"").count()).unwrap();
        (cards, html)
    };
    let (all, html) = shown("").await;
    assert_eq!(all, INTEGRATIONS + 1);
    assert!(html.contains("role=\"search\""), "{html}");
    for (query, expected) in [
        ("?q=DUO-1", 10),
        ("?q=zo%C3%AB", 1),
        ("?q=cisco", INTEGRATIONS),
        ("?status=Not+usable", 1),
        ("?q=duo-0&status=Paused", 10),
        ("?status=Connected", 0),
        ("?status=%3Cb%3E", 0),
    ] {
        let (cards, html) = shown(query).await;
        assert_eq!(cards, expected, "{query}");
        assert!(
            html.contains(&format!("{expected} of {} integrations", INTEGRATIONS + 1)),
            "{query}: {html}"
        );
        assert!(html.contains("Show all") && !html.contains("<b>"), "{query}: {html}");
    }
}
