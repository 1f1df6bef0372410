//! A real browser without a screen: Chromium, driven by its own driver. `build.rs` looks for them; without them, the tests
//! that need one are ignored.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

/// Longer than any step takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two looks at the page.
const LOOK: Duration = Duration::from_millis(50);

/// The key of an element's id in answers of the driver, as WebDriver defines it.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How an element is looked for: a WebDriver strategy, and its expression.
type Locator<'a> = (&'static str, &'a str);

/// A session of WebDriver: commands over HTTP, with JSON bodies. Crates that speak it turn on features of `syn`, so that tests
/// would build wasmtime a second time.
struct Session {
    client: reqwest::Client,
    url: String,
}

impl Session {
    async fn begin(driver: &str, capabilities: Value) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut session = Self { client, url: format!("{driver}/session") };
        let begun =
            session.command(Method::POST, "", json!({ "capabilities": { "alwaysMatch": capabilities } }));
        let begun = begun.await.unwrap();
        session.url = format!("{}/{}", session.url, begun["sessionId"].as_str().unwrap());
        session
    }

    /// What the driver answers, or its error.
    async fn command(&self, method: Method, path: &str, body: Value) -> Result<Value, String> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url));
        if method == Method::POST {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let is_success = answer.status().is_success();
        let mut answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        if is_success { Ok(answer["value"].take()) } else { Err(answer["value"]["message"].to_string()) }
    }

    async fn get(&self, path: &str) -> Result<Value, String> {
        self.command(Method::GET, path, Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, String> {
        self.command(Method::POST, path, body).await
    }

    async fn find(&self, (using, value): Locator<'_>) -> Result<Element<'_>, String> {
        let found = self.post("/element", json!({ "using": using, "value": value })).await?;
        Ok(Element { session: self, path: format!("/element/{}", found[ELEMENT].as_str().unwrap()) })
    }
}

/// An element of the page.
pub(crate) struct Element<'a> {
    session: &'a Session,
    path: String,
}

impl Element<'_> {
    /// The visible text.
    pub(crate) async fn text(&self) -> Result<String, String> {
        let text = self.session.get(&format!("{}/text", self.path)).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    async fn click(&self) -> Result<(), String> {
        self.session.post(&format!("{}/click", self.path), json!({})).await.map(drop)
    }
}

/// A browser with a profile of its own.
pub(crate) struct Browser {
    session: Session,
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
        let _ = rustls::crypto::ring::default_provider().install_default();
        let session = Session::begin(&format!("http://127.0.0.1:{port}"), capabilities).await;
        Self { session, process, _profile: profile }
    }

    pub(crate) async fn goto(&self, url: &str) {
        self.session.post("/url", json!({ "url": url })).await.unwrap();
    }

    /// The first element that is there, once it is.
    async fn element(&self, locator: Locator<'_>) -> Element<'_> {
        let start = Instant::now();
        loop {
            match self.session.find(locator).await {
                Ok(found) => return found,
                Err(error) if start.elapsed() > PATIENCE => {
                    panic!("no {locator:?}: {error}\n{}", self.text().await)
                }
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// The first element that a selector names.
    pub(crate) async fn find(&self, selector: &str) -> Element<'_> {
        self.element(("css selector", selector)).await
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
        self.click_on(("css selector", selector)).await;
    }

    /// Clicks the button that says this.
    pub(crate) async fn press(&self, label: &str) {
        let path = format!("//main//button[starts-with(normalize-space(.), '{label}')]");
        self.click_on(("xpath", &path)).await;
    }

    pub(crate) async fn fill(&self, name: &str, value: &str) {
        let field = self.find(&format!("[name=\"{name}\"]")).await;
        let path = &field.path;
        self.session.post(&format!("{path}/clear"), json!({})).await.unwrap();
        self.session.post(&format!("{path}/value"), json!({ "text": value })).await.unwrap();
    }

    pub(crate) async fn value(&self, name: &str) -> String {
        let field = self.find(&format!("[name=\"{name}\"]")).await;
        let value = self.session.get(&format!("{}/property/value", field.path)).await.unwrap();
        value.as_str().unwrap_or_default().to_owned()
    }

    /// The visible text.
    pub(crate) async fn text(&self) -> String {
        match self.session.find(("css selector", "body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// The HTML of the page at this moment.
    pub(crate) async fn source(&self) -> String {
        self.session.get("/source").await.unwrap().as_str().unwrap().to_owned()
    }

    pub(crate) async fn url(&self) -> String {
        self.session.get("/url").await.unwrap().as_str().unwrap().to_owned()
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
    pub(crate) async fn ask(&self, script: &str) -> Value {
        self.session.post("/execute/sync", json!({ "script": script, "args": [] })).await.unwrap()
    }

    pub(crate) async fn end(self) {
        let _ = self.session.command(Method::DELETE, "", Value::Null).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
