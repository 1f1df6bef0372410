//! A real browser without a screen: Chromium, driven by its own driver. `build.rs` looks for them; without them, the tests
//! that need one are ignored.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

/// Longer than any step takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two looks at the page.
const LOOK: Duration = Duration::from_millis(50);

/// A browser with a profile of its own.
pub(crate) struct Browser {
    client: Client,
    process: Child,
    _profile: tempfile::TempDir,
}

/// The browser and its driver.
fn programs() -> (&'static str, &'static Path) {
    let found = option_env!("BROWSER").zip(option_env!("BROWSER_DRIVER"));
    let (browser, driver) = found.expect("tests that need a browser are ignored without one");
    (browser, Path::new(driver))
}

/// Starts the driver, and returns its port. The driver takes a port that is free for IPv4 or IPv6, and ends if the same port of
/// the other is taken: then it is started again.
fn start_driver(driver: &Path) -> (Child, String) {
    for _ in 0..10 {
        let mut command = Command::new(driver);
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let rest = line.strip_prefix("ChromeDriver was started successfully on port ")?;
            rest.strip_suffix('.').map(str::to_owned)
        });
        if let Some(port) = port {
            // Reading keeps its pipe open.
            std::thread::spawn(move || lines.for_each(drop));
            return (process, port);
        }
        let _ = process.kill();
        let _ = process.wait();
    }
    panic!("`{}` does not start", driver.display());
}

impl Browser {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// One that runs no scripts.
    pub(crate) async fn without_scripts() -> Self {
        Self::start_with(&["--blink-settings=scriptEnabled=false"]).await
    }

    async fn start_with(more: &[&str]) -> Self {
        let (browser, driver) = programs();
        let profile = tempfile::tempdir().unwrap();
        let (process, port) = start_driver(driver);
        let user_data = format!("--user-data-dir={}", profile.path().display());
        let usual = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1200,900",
            // So that a click does not wait for scrolling.
            "--force-prefers-reduced-motion",
            &user_data,
        ];
        let arguments: Vec<_> = usual.iter().chain(more).collect();
        let capabilities = json!({ "goog:chromeOptions": { "binary": browser, "args": arguments } });
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities.as_object().unwrap().clone());
        let client = builder.connect(&format!("http://127.0.0.1:{port}")).await.unwrap();
        Self { client, process, _profile: profile }
    }

    pub(crate) async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// The first element that is there, once it is.
    async fn element(&self, locator: Locator<'_>) -> Element {
        let start = Instant::now();
        loop {
            match self.client.find(locator).await {
                Ok(found) => return found,
                Err(error) if start.elapsed() > PATIENCE => {
                    panic!("no {locator:?}: {error}\n{}", self.text().await)
                }
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// The first element that a selector names.
    pub(crate) async fn find(&self, selector: &str) -> Element {
        self.element(Locator::Css(selector)).await
    }

    /// Clicks an element, or its replacement where the page changes meanwhile.
    async fn click_on(&self, locator: Locator<'_>) {
        let start = Instant::now();
        while let Err(error) = self.element(locator).await.click().await {
            assert!(start.elapsed() < PATIENCE, "{locator:?}: {error}\n{}", self.text().await);
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.click_on(Locator::Css(selector)).await;
    }

    /// Clicks the button that says this.
    pub(crate) async fn press(&self, label: &str) {
        let path = format!("//main//button[starts-with(normalize-space(.), '{label}')]");
        self.click_on(Locator::XPath(&path)).await;
    }

    pub(crate) async fn fill(&self, name: &str, value: &str) {
        let field = self.find(&format!("[name=\"{name}\"]")).await;
        field.clear().await.unwrap();
        field.send_keys(value).await.unwrap();
    }

    pub(crate) async fn value(&self, name: &str) -> String {
        self.find(&format!("[name=\"{name}\"]")).await.prop("value").await.unwrap().unwrap_or_default()
    }

    /// The visible text.
    pub(crate) async fn text(&self) -> String {
        match self.client.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// The HTML of the page at this moment.
    pub(crate) async fn source(&self) -> String {
        self.client.source().await.unwrap()
    }

    pub(crate) async fn url(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    /// Waits until the visible text has this, without loading the page again.
    pub(crate) async fn wait_for(&self, text: &str) {
        let start = Instant::now();
        while !self.text().await.contains(text) {
            assert!(start.elapsed() < PATIENCE, "timed out waiting for `{text}`:\n{}", self.text().await);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The result of a script in the page.
    pub(crate) async fn ask(&self, script: &str) -> serde_json::Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    pub(crate) async fn end(self) {
        let _ = self.client.clone().close().await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
