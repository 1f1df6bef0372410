//! Where requests go, and where they do not.

use std::time::Duration;

use duo_simulator::Fault;

use crate::harness::{Setup, tenant};

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_an_authority_of_one_s_own() {
    let setup = Setup::over_tls(tenant(20)).await;
    setup.sync(0);
    // Without that authority the certificate is not trusted.
    setup.reconfigure("ca-file = \"ca.pem\"\n", "");
    let before = setup.simulator.requests();
    let ended = setup.with_config("check", &[]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("TLS"), "{ended:?}");
    assert_eq!(setup.simulator.requests(), before, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let setup = Setup::new(tenant(10)).await;
    let elsewhere = Setup::new(tenant(10)).await;
    setup.simulator.inject(Fault::RedirectTo(elsewhere.simulator.url()), 1000);
    let ended = setup.with_config("sync", &[]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("redirect"), "{ended:?}");
    assert_eq!(elsewhere.simulator.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_large_or_too_slow_is_cut_off() {
    let setup = Setup::new(tenant(10)).await;
    let configuration = setup.configuration().replace("attempts = 4", "attempts = 1");
    setup.configure(&format!("{configuration}[limits]\nresponse-mib = 1\nrequest-seconds = 0.5\n"));
    for (fault, said) in [
        (Fault::OversizedBody(8 << 20), "larger than 1 MiB"),
        (Fault::Slow(Duration::from_secs(5)), "did not answer"),
    ] {
        // Each of the seven probes: where one is answered, the check is.
        setup.simulator.inject(fault, 7);
        let ended = setup.with_config("check", &[]);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_answer_is_asked_for_again() {
    for fault in [Fault::TruncatedBody, Fault::Reset] {
        let setup = Setup::new(tenant(10)).await;
        // QueryParams twice, `check` would use up what the log may be asked in a minute.
        setup.configure(&format!("{}[limits]\nvendor-budgets = false\n", setup.configuration()));
        setup.simulator.inject_at("/admin/v1/groups", fault, 1);
        setup.sync(0);
    }
}
