//! The example, as it stands, reads the simulated tenant.

use std::path::Path;

use duo_simulator::{Simulator, TenantOptions};

#[path = "../examples/first_page.rs"]
#[expect(dead_code, reason = "its `main` is not called")]
mod example;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_reads_the_first_page_of_users() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("duo");
    let wasm = component_build::build(&root.join("plugin"), "duo-connector", &target).unwrap();
    let simulator = Simulator::start(TenantOptions { users: 400, ..TenantOptions::default() }).await.unwrap();
    let tenant = simulator.options();
    let network = connector_sandbox::capabilities::Network {
        connect_to: [(tenant.host.clone(), simulator.url())].into(),
        ..Default::default()
    };
    let settings =
        [("api-hostname", tenant.host.as_str()), ("integration-key", tenant.integration_key.as_str())];
    let read = example::first_page(&wasm, &settings, &tenant.secret_key, network).await;
    let page = read.unwrap();
    let users = page.entities.iter().filter(|entity| entity.source_type == "user").count();
    assert_eq!((users, page.total), (300, Some(400)));
    assert!(page.problems.is_empty(), "{:?}", page.problems);
}
