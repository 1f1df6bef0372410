//! The Integrations page in a real browser: the wizard, a wrong key, a missing grant, a live sync, hostile names, and requests
//! without permission.

use std::time::Duration;

use duo_simulator::{Fault, Grant};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::browser::Browser;
use crate::harness::{Setup, tenant};
use crate::served::Served;

/// A served page, and the token to sign in with.
struct Page<'a> {
    served: Served<'a>,
    url: String,
    token: String,
}

impl<'a> Page<'a> {
    /// Connections to the host of the tenant go to the simulator.
    fn serve(setup: &'a Setup) -> Self {
        let tenant = setup.simulator.options();
        let route = format!("{}={}", tenant.host, setup.simulator.url());
        let served = Served::start_with(setup, &["--connect-to", &route]);
        let url = served.status()["page"].as_str().unwrap().to_owned();
        let log = served.log();
        let token = log.lines().map(str::trim).find(|line| line.len() == 43 && !line.contains(' '));
        Self { url, token: token.unwrap().to_owned(), served }
    }

    async fn sign_in(&self, browser: &Browser) {
        browser.goto(&self.url).await;
        assert!(browser.url().await.ends_with("/sign-in"));
        browser.fill("token", &self.token).await;
        browser.press("Sign in").await;
        browser.wait_for("Sign out").await;
    }

    /// Waits until the list of integrations follows the status. A browser that lost its first connection is loaded again.
    async fn followed(&self, browser: &Browser) {
        let is_connected = "return Boolean(document.querySelector('#integrations')?._htmx?.sse)";
        for attempt in 1..200 {
            if browser.ask(is_connected).await == true {
                return;
            }
            if attempt % 50 == 0 {
                browser.goto(&self.url).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the page does not follow the status");
    }

    /// What the server sets after a sign-in.
    async fn set_cookie(&self) -> String {
        let sign_in = client().post(format!("{}/sign-in", self.url));
        let answer = form(sign_in, &[("token", &self.token)]).send().await.unwrap();
        answer.headers()["set-cookie"].to_str().unwrap().to_owned()
    }

    fn api(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        client().request(method, format!("{}/api/v1{path}", self.url)).bearer_auth(&self.token)
    }

    /// Creates an integration by the API, and waits for the end of its first run.
    async fn create(&self, setup: &Setup) {
        self.begin(setup).await;
        self.served.wait_for_the_end("duo");
    }

    /// Creates an integration by the API, which begins its first run.
    async fn begin(&self, setup: &Setup) {
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

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// With a form as its body.
fn form(request: reqwest::RequestBuilder, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// From the list to the step *Connection*.
async fn begin(browser: &Browser) {
    browser.click("a[href='/set-up']").await;
    browser.press("Connect Cisco Duo").await;
    browser.press("Next").await;
    browser.wait_for("Owner is required").await;
    browser.fill("owner", "ann@example.com").await;
    browser.fill("description", "all of \"it\"").await;
    browser.press("Next").await;
}

async fn connect(browser: &Browser, setup: &Setup, secret: &str) {
    let tenant = setup.simulator.options();
    browser.fill("settings.api-hostname", &tenant.host).await;
    browser.fill("settings.integration-key", &tenant.integration_key).await;
    browser.fill("settings.secret-key", secret).await;
    browser.press("Next").await;
}

/// Whether a file in a folder, or below it, has a secret.
fn has_secret(folder: &std::path::Path, secret: &str) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return has_secret(&path, secret);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
    })
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_browser), ignore = "there is no Chromium with its `chromedriver`")]
async fn the_wizard_leads_from_nothing_to_data_and_keeps_what_was_typed() {
    let setup = Setup::new(tenant(30)).await;
    std::fs::remove_file(setup.path("duo.toml")).unwrap();
    let page = Page::serve(&setup);
    let browser = Browser::start().await;
    page.sign_in(&browser).await;
    browser.wait_for("No integration yet").await;
    begin(&browser).await;
    browser.wait_for("Sign in to the Duo Admin Panel").await;

    // An error is shown at its field, and the other values are kept.
    let (secret, wrong) = (setup.simulator.options().secret_key.clone(), "w".repeat(40));
    connect(&browser, &setup, &wrong).await;
    browser.wait_for("code 40103").await;
    browser.wait_for("copy secret-key again").await;
    assert_eq!(browser.value("settings.integration-key").await, setup.simulator.options().integration_key);
    assert_eq!(browser.value("settings.secret-key").await, "", "a secret is never sent back");
    browser.fill("settings.api-hostname", "https://evil.example").await;
    browser.press("Next").await;
    browser.wait_for("API hostname does not look like").await;
    let field = browser.find(".is-wrong").await.text().await.unwrap();
    assert!(field.contains("does not look like"), "{field}");
    assert_eq!(browser.value("settings.api-hostname").await, "https://evil.example");

    connect(&browser, &setup, &secret).await;
    browser.wait_for("All object types that are not optional can be read").await;
    assert!(browser.text().await.contains("Grant administrators - Read"));
    browser.press("Next").await;
    browser.fill("interval", "every now and then").await;
    browser.press("Save").await;
    browser.wait_for("Every takes a time such as").await;
    browser.fill("interval", "6h").await;
    browser.fill("settings.log-days", "30").await;
    browser.fill("reviewers", "some").await;
    browser.ask("document.querySelectorAll('[name=streams]').forEach(box => box.checked = false)").await;
    browser.press("Save").await;
    browser.wait_for("select at least one object type").await;
    let selected = "return document.querySelectorAll('[name=streams]:checked').length";
    assert_eq!(browser.ask(selected).await, 0, "what was not selected stays so");
    assert_eq!(browser.value("reviewers").await, "some");
    browser.fill("reviewers", "2").await;
    browser.ask("document.querySelectorAll('[name=streams]').forEach(box => box.checked = true)").await;
    browser.press("Save").await;
    browser.wait_for("Data available").await;
    let text = browser.text().await;
    assert!(text.contains("Connected") && text.contains("ann@example.com"), "{text}");
    assert!(!has_secret(&setup.path(""), &secret), "a file has the secret in clear");
    assert!(!page.served.log().contains(&secret));

    // An edit: a blank secret keeps the one that is set, as long as the host is the same.
    browser.press("Edit").await;
    browser.fill("owner", "bob@example.com").await;
    browser.press("Next").await;
    browser.wait_for("Leave it blank to keep it").await;
    assert!(!browser.source().await.contains("v1:"), "not even sealed");
    let asked = setup.simulator.recorded().len();
    browser.fill("settings.api-hostname", "api-elsewhere.duosecurity.com").await;
    browser.press("Next").await;
    browser.wait_for("is required again: the one that is set was entered for another address").await;
    assert_eq!(setup.simulator.recorded().len(), asked);
    browser.fill("settings.api-hostname", &setup.simulator.options().host).await;
    browser.press("Next").await;
    browser.wait_for("All object types that are not optional can be read").await;
    browser.press("Next").await;
    assert_eq!(browser.value("interval").await, "6h");
    assert_eq!(browser.value("settings.log-days").await, "30");
    // A change that was made meanwhile is not overwritten.
    assert!(page.api(Method::POST, "/integrations/duo/pause").send().await.unwrap().status().is_success());
    browser.press("Save").await;
    browser.wait_for("was changed or paused meanwhile").await;
    assert!(page.api(Method::POST, "/integrations/duo/resume").send().await.unwrap().status().is_success());
    browser.press("Save").await;
    browser.wait_for("bob@example.com").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_browser), ignore = "there is no Chromium with its `chromedriver`")]
async fn everything_works_without_scripts() {
    let setup = Setup::new(tenant(30)).await;
    without_log(&setup);
    std::fs::remove_file(setup.path("duo.toml")).unwrap();
    let page = Page::serve(&setup);
    let browser = Browser::without_scripts().await;
    page.sign_in(&browser).await;
    begin(&browser).await;
    connect(&browser, &setup, &setup.simulator.options().secret_key).await;
    // The button of the previous page has the same name.
    browser.wait_for("All object types that are not optional can be read").await;
    browser.press("Next").await;
    browser.press("Save").await;
    // A click returns before its request arrives.
    browser.wait_for("ann@example.com").await;
    page.served.wait_for_the_end("duo");
    browser.goto(&page.url).await;
    assert!(browser.text().await.contains("Data available"));
    browser.press("Pause").await;
    browser.wait_for("Paused").await;
    assert_eq!(page.served.integration("duo")["state"], "paused");
    let refused = page.served.run(&["run", "duo"]);
    assert!(refused.code != 0 && refused.stderr.contains("is paused"), "{refused:?}");
    browser.press("Resume").await;
    browser.press("Sync now").await;
    page.served.wait("a second run", |_| runs(&setup) == 2);
    browser.goto(&format!("{}/integrations/duo/remove", page.url)).await;
    browser.click("[name=data]").await;
    browser.press("Remove").await;
    browser.wait_for("No integration yet").await;
    page.served.wait("the end of its data", |_| !setup.path("data/duo.db").exists());
    browser.end().await;
}

/// Removes the grant for the log: at two requests a minute, a second run would wait.
fn without_log(setup: &Setup) {
    let grants = [Grant::ResourceRead, Grant::AdministratorsRead, Grant::ReadInformation];
    setup.simulator.set_grants(grants.into_iter().collect());
}

fn runs(setup: &Setup) -> i64 {
    let store = rusqlite::Connection::open(setup.path("data/duo.db"));
    store
        .and_then(|store| {
            store.query_row("SELECT count(*) FROM run WHERE finished_at IS NOT NULL", [], |row| row.get(0))
        })
        .unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_browser), ignore = "there is no Chromium with its `chromedriver`")]
async fn a_missing_grant_is_shown_with_the_object_types_that_lack_it() {
    let setup = Setup::new(tenant(30)).await;
    std::fs::remove_file(setup.path("duo.toml")).unwrap();
    setup
        .simulator
        .set_grants([Grant::ResourceRead, Grant::ReadLog, Grant::ReadInformation].into_iter().collect());
    let page = Page::serve(&setup);
    let browser = Browser::start().await;
    page.sign_in(&browser).await;
    begin(&browser).await;
    connect(&browser, &setup, &setup.simulator.options().secret_key).await;
    browser.wait_for("Some object types can't be read").await;
    assert!(browser.text().await.contains("permission missing"));
    browser.press("Next").await;
    browser.press("Save").await;
    browser.wait_for("Grant administrators - Read is missing: 2 object types not read").await;
    // It is still shown after a restart.
    page.served.wait_for_the_end("duo");
    let message = page.served.integration("duo")["status_message"].clone();
    let (served, url) = (page.served, page.url);
    assert!(served.terminate().0.success());
    let served = Served::again(&setup);
    assert_eq!(served.integration("duo")["status_message"], message, "{url}");
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_browser), ignore = "there is no Chromium with its `chromedriver`")]
async fn a_sync_is_followed_without_loading_the_page_again() {
    let setup = Setup::new(tenant(3000)).await;
    without_log(&setup);
    std::fs::remove_file(setup.path("duo.toml")).unwrap();
    let page = Page::serve(&setup);
    let browser = Browser::start().await;
    page.sign_in(&browser).await;
    page.followed(&browser).await;
    setup.simulator.inject_at("/admin/v1/users", Fault::Slow(Duration::from_millis(300)), 1000);
    page.begin(&setup).await;
    browser.wait_for("Reading:").await;
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 3 {
        let text = browser.text().await;
        assert!(text.contains("Reading:"), "it was over after {seen:?}: {text}");
        seen.extend(text.lines().filter(|line| line.starts_with("Reading:")).map(str::to_owned));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    browser.press("Stop").await;
    page.served.wait_for_the_end("duo");
    assert_eq!(page.served.integration("duo")["last_run"]["outcome"], "stopped");
    setup.simulator.heal();
    browser.wait_for("Sync now").await;
    browser.ask("window.stays = 1").await;
    page.served.run(&["run", "duo"]);
    page.served.wait("the end", |served| served.integration("duo")["last_run"]["outcome"] == "complete");
    let objects = page.served.integration("duo")["objects"].as_u64().unwrap();
    browser.wait_for(&format!("{},{:03} objects", objects / 1000, objects % 1000)).await;
    browser.wait_for("Next run").await;
    assert_eq!(browser.ask("return window.stays").await, 1, "it was loaded again");

    // Another token ends the session, and the open page shows that.
    page.served.run(&["token"]);
    browser.wait_for("You are signed out").await;
    assert!(!browser.text().await.contains("Sync now"));
    browser.end().await;
}

/// A name that a vendor, or a person who fills in a form, may use.
const HOSTILE: &str =
    "<script>window.hacked=1</script>\"'><img src=x onerror=window.hacked=2>\u{202e}gnp.exe{{7*7}}";

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_browser), ignore = "there is no Chromium with its `chromedriver`")]
async fn hostile_names_stay_names_in_every_view() {
    let setup = Setup::new(tenant(60)).await;
    std::fs::remove_file(setup.path("duo.toml")).unwrap();
    let page = Page::serve(&setup);
    page.create(&setup).await;
    let store = rusqlite::Connection::open(setup.path("data/duo.db")).unwrap();
    store
        .execute(
            "UPDATE entity SET name = ?1 || substr(name, 1, 3), attributes = json_set(attributes, '$.note', ?1),
                 normal = json_set(normal, '$.username', ?1, '$.emails', json_array(?1), '$.issued_by', ?1)",
            [HOSTILE],
        )
        .unwrap();
    store
        .execute(
            "UPDATE run_stream SET reason = ?1, hint = ?1, permission = ?1, state = 'skipped'",
            [HOSTILE],
        )
        .unwrap();
    store.execute("INSERT INTO problem VALUES (1, 'users', ?1, ?1, ?1)", [HOSTILE]).unwrap();
    store
        .execute(
            "INSERT INTO change SELECT 1, 'entity', id, 'changed',
                 json_array(json_object('field', ?1, 'from', ?1, 'to', ?1)) FROM entity LIMIT 3",
            [HOSTILE],
        )
        .unwrap();
    let keys: Vec<(String, String)> = store
        .prepare("SELECT source_type, min(source_id) FROM entities GROUP BY source_type")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let file = setup.path("integrations/duo.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let quoted = HOSTILE.replace('\\', "\\\\").replace('"', "\\\"");
    std::fs::write(
        &file,
        text.replace(
            "owner = \"ann@example.com\"",
            &format!("owner = \"{quoted}\"\ndescription = \"{quoted}\""),
        ),
    )
    .unwrap();
    page.served.wait("the other owner", |served| served.integration("duo")["owner"] == HOSTILE);

    let browser = Browser::start().await;
    page.sign_in(&browser).await;
    let mut views =
        vec!["/integrations".to_owned(), "/integrations/duo".into(), "/integrations/duo/runs/1".into()];
    for (source_type, id) in keys {
        views.push(format!("/integrations/duo/data/{source_type}"));
        views.push(format!("/integrations/duo/data/{source_type}/object?id={id}"));
    }
    views.push(format!(
        "/integrations/duo/data/user?q={}",
        url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>()
    ));
    views.extend(
        ["users-without-mfa", "users-in-bypass", "shared-authenticators", "bypass-codes-without-expiry"]
            .map(|rule| format!("/integrations/duo/insights/{rule}")),
    );
    views.push("/insights".to_owned());
    let mut shown = 0;
    for view in &views {
        browser.goto(&format!("{}{view}", page.url)).await;
        assert_eq!(browser.ask("return window.hacked === undefined").await, true, "{view}");
        let elements = browser.ask("return document.querySelectorAll('main img, main script').length").await;
        assert_eq!(elements, 0, "{view}");
        shown += usize::from(browser.text().await.contains("<script>window.hacked=1</script>"));
        assert!(!browser.text().await.contains("gnp.exe49"), "{view}");
    }
    assert!(shown >= views.len() - 4, "{shown} of {} views show a hostile name", views.len());
    // In a form, too.
    browser.goto(&page.url).await;
    browser.press("Edit").await;
    assert_eq!(browser.value("owner").await, HOSTILE);
    assert_eq!(browser.ask("return window.hacked === undefined").await, true);
    browser.end().await;

    let report = setup.path("report.html");
    let ended = page.served.run(&["report", "--store", "data/duo.db", "--html", "report.html"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let html = std::fs::read_to_string(&report).unwrap();
    assert!(
        html.contains("window.hacked=1") && !html.contains("<script") && !html.contains("<img"),
        "{html}"
    );
    let ended = page.served.run(&["report", "--store", "data/duo.db"]);
    assert!(
        ended.stdout.contains("window.hacked=1") && !ended.stdout.contains('\u{202e}'),
        "{}",
        ended.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_without_the_token_or_from_another_site_is_answered() {
    let setup = Setup::new(tenant(10)).await;
    std::fs::remove_file(setup.path("duo.toml")).unwrap();
    let page = Page::serve(&setup);
    page.create(&setup).await;
    let (client, url) = (client(), page.url.as_str());
    let get = |path: &str| client.get(format!("{url}{path}"));
    for path in ["/", "/integrations", "/events", "/integrations/duo", "/integrations/duo/data", "/insights"]
    {
        let answer = get(path).send().await.unwrap();
        assert_eq!(
            (answer.status(), &answer.headers()["location"]),
            (StatusCode::SEE_OTHER, &"/sign-in".parse().unwrap()),
            "{path}"
        );
    }
    for path in [
        "/api/v1/status",
        "/api/v1/integrations/duo/entities?source_type=user",
        "/api/v1/openapi.json",
        "/metrics",
    ] {
        assert_eq!(get(path).send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{path}");
        assert!(get(path).bearer_auth(&page.token).send().await.unwrap().status().is_success(), "{path}");
    }
    // Requests of the control socket do not exist here.
    let install = page.api(Method::POST, "/connectors/install").json(&json!({ "path": "/etc/passwd" }));
    assert!(install.send().await.unwrap().status().is_client_error());

    let cookie = page.set_cookie().await;
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let list = get("/integrations").header("cookie", &cookie).send().await.unwrap();
    let policy = list.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(list.headers()["cache-control"], "no-store");
    let html = list.text().await.unwrap();
    let csrf = html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();

    let post = |csrf: &str| {
        let sync = client.post(format!("{url}/integrations/duo/pause")).header("cookie", &cookie);
        form(sync, &[("csrf", csrf)])
    };
    assert_eq!(post("").send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(post("guess").send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let elsewhere = post(&csrf).header("origin", "http://evil.example").send().await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::FORBIDDEN);
    let rebound = post(&csrf).header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), StatusCode::MISDIRECTED_REQUEST);
    // A cookie alone changes nothing by the API: a browser sends it with every request.
    let by_cookie = client.post(format!("{url}/api/v1/integrations/duo/pause")).header("cookie", &cookie);
    assert_eq!(by_cookie.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(page.served.integration("duo")["state"], "idle");
    assert_eq!(post(&csrf).send().await.unwrap().status(), StatusCode::SEE_OTHER);
    assert_eq!(page.served.integration("duo")["state"], "paused");

    let sign_in = |token: &str| form(client.post(format!("{url}/sign-in")), &[("token", token)]).send();
    let mut last = StatusCode::OK;
    for _ in 0..12 {
        last = sign_in("guess").await.unwrap().status();
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        sign_in(&page.token).await.unwrap().status(),
        StatusCode::SEE_OTHER,
        "wrong tokens do not lock its owner out"
    );
    // Another token ends all sessions.
    let token = page.served.run(&["token"]).stdout;
    assert_eq!(token.trim().len(), 43);
    let list = get("/integrations").header("cookie", &cookie).send().await.unwrap();
    assert_eq!(list.status(), StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_begins_with_identities_and_names_the_vendor_by_the_title_of_its_connector() {
    let setup = Setup::new(tenant(10)).await;
    std::fs::remove_file(setup.path("duo.toml")).unwrap();
    let page = Page::serve(&setup);
    page.create(&setup).await;
    let cookie = page.set_cookie().await;
    let get = async |path: &str| {
        let request = client().get(format!("{}{path}", page.url)).header("cookie", &cookie);
        request.send().await.unwrap().text().await.unwrap()
    };
    let list = get("/integrations/duo/data").await;
    assert!(list.contains("<h1><bdi>Users</bdi></h1>"), "{list}");
    let link = list.split("href=\"").find(|link| link.contains("/data/user/object?id=")).unwrap();
    let object = get(link.split('"').next().unwrap()).await;
    for title in ["<h2>Overview</h2>", "<bdi>Cisco Duo</bdi> attributes", "<h2>Memberships and devices</h2>"]
    {
        assert!(object.contains(title), "{title}: {object}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_names_errors_and_never_returns_secrets() {
    let setup = Setup::new(tenant(300)).await;
    std::fs::remove_file(setup.path("duo.toml")).unwrap();
    let page = Page::serve(&setup);
    let tenant = setup.simulator.options();
    let wrong = json!({
        "name": "no/name", "connector": "duo",
        "settings": { "api-hostname": "evil.example", "unknown": "x" },
        "secrets": { "secret-key": "hunter2 hunter2" },
    });
    let answer = page.api(Method::POST, "/integrations").json(&wrong).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let text = answer.text().await.unwrap();
    for field in ["name", "owner", "settings.api-hostname", "settings.integration-key", "settings.unknown"] {
        assert!(text.contains(&format!("\"field\":\"{field}\"")), "{field}: {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    let broken = page.api(Method::POST, "/integrations").header("content-type", "application/json");
    let text = broken.body("{\"secrets\": hunter2").send().await.unwrap().text().await.unwrap();
    assert!(text.contains("is not JSON") && !text.contains("hunter2"), "{text}");

    page.create(&setup).await;
    let again = json!({
        "name": "duo", "connector": "duo", "owner": "x",
        "settings": { "api-hostname": tenant.host, "integration-key": "DI1" }, "secrets": { "secret-key": "x" },
    });
    let text =
        page.api(Method::POST, "/integrations").json(&again).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("is taken by another integration"), "{text}");

    // A name is no path: a connector that was not installed does not run.
    let planted_file = setup.path("planted.wasm");
    std::fs::copy(crate::served::variant(&setup.path(""), "0.3.0", "works", 1), &planted_file).unwrap();
    for name in [planted_file.with_extension("").to_str().unwrap(), "../planted", "/etc/passwd", "none"] {
        let mut planted = again.clone();
        planted["name"] = json!("planted");
        planted["connector"] = json!(name);
        for path in ["/check", "/integrations"] {
            let answer = page.api(Method::POST, path).json(&planted).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path} {name}");
            let text = answer.text().await.unwrap();
            assert!(text.contains("there is no connector"), "{text}");
        }
    }

    // All pages of the list, each object once.
    let (mut ids, mut next) = (std::collections::BTreeSet::new(), serde_json::Value::Null);
    loop {
        let mut query = vec![("source_type", "user".to_owned()), ("limit", "70".to_owned())];
        if let Some(name) = next["name"].as_str() {
            query.extend([
                ("after_name", name.to_owned()),
                ("after_source_id", next["source_id"].as_str().unwrap().to_owned()),
            ]);
        }
        let query: String =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&query).finish();
        let answer =
            page.api(Method::GET, &format!("/integrations/duo/entities?{query}")).send().await.unwrap();
        let answer: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(answer["total"], 300);
        ids.extend(
            answer["entities"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["source_id"].as_str().unwrap().to_owned()),
        );
        next = answer["next"].clone();
        if next.is_null() {
            break;
        }
    }
    assert_eq!(ids, setup.simulator.tenant().user_keys().into_iter().collect());
    let metrics =
        client().get(format!("{}/metrics", page.url)).bearer_auth(&page.token).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("connector_host_integration_connected{integration=\"duo\"} 1"), "{metrics}");
    let everything = [page.api(Method::GET, "/status"), page.api(Method::GET, "/integrations/duo/insights")];
    for request in everything {
        assert!(!request.send().await.unwrap().text().await.unwrap().contains(&tenant.secret_key));
    }
}
