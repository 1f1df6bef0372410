//! The Integrations page, as a test serves it and signs in.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::browser::Browser;
use crate::harness::Setup;
use crate::served::Served;

/// A served page, and the token to sign in with.
pub(crate) struct Page<'a> {
    pub(crate) served: Served<'a>,
    /// Where it is served, without a slash at its end.
    pub(crate) url: String,
    pub(crate) token: String,
}

impl<'a> Page<'a> {
    /// Connections to the host of the tenant go to the simulator.
    pub(crate) fn serve(setup: &'a Setup) -> Self {
        let tenant = setup.simulator.options();
        let route = format!("{}={}", tenant.host, setup.simulator.url());
        let served = Served::start_with(setup, &["--connect-to", &route]);
        let url = served.status()["page"].as_str().unwrap().to_owned();
        let log = served.log();
        let token = log.lines().map(str::trim).find(|line| line.len() == 43 && !line.contains(' '));
        Self { url, token: token.unwrap().to_owned(), served }
    }

    pub(crate) async fn sign_in(&self, browser: &Browser) {
        browser.goto(&self.url).await;
        assert!(browser.url().await.ends_with("/sign-in"));
        browser.fill("token", &self.token).await;
        browser.press("Sign in").await;
        browser.wait_for("Sign out").await;
    }

    /// Waits until the list of integrations follows the status, or no longer does.
    pub(crate) async fn follows(&self, browser: &Browser, follows: bool) {
        let is_connected = "return Boolean(document.querySelector('#integrations')?._htmx?.sse)";
        for _ in 0..400 {
            if browser.ask(is_connected).await == follows {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the list of integrations must be connected: {follows}");
    }

    /// What the server sets after a sign-in.
    pub(crate) async fn set_cookie(&self) -> String {
        let sign_in = client().post(format!("{}/sign-in", self.url));
        let answer = form(sign_in, &[("token", &self.token)]).send().await.unwrap();
        answer.headers()["set-cookie"].to_str().unwrap().to_owned()
    }

    pub(crate) fn api(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        client().request(method, format!("{}/api/v1{path}", self.url)).bearer_auth(&self.token)
    }

    /// Creates an integration by the API, and waits for the end of its first run.
    pub(crate) async fn create(&self, setup: &Setup) {
        self.begin(setup).await;
        self.served.wait_for_the_end("duo");
    }

    /// Creates an integration by the API, which begins its first run.
    pub(crate) async fn begin(&self, setup: &Setup) {
        let tenant = setup.simulator.options();
        let new = json!({
            "name": "duo", "connector": "duo", "owner": "ann@example.com",
            "settings": { "api-hostname": tenant.host, "integration-key": tenant.integration_key },
            "secrets": { "secret-key": tenant.secret_key },
        });
        let answer = self.api(Method::POST, "/integrations").json(&new).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED, "{}", answer.text().await.unwrap());
    }
}

pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// With a form as its body.
pub(crate) fn form(request: reqwest::RequestBuilder, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}
