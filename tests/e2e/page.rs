//! The Integrations page in a real browser: the wizard, a wrong key, a missing grant, a live sync, hostile names.

use std::time::Duration;

use duo_simulator::{Fault, Grant};
use reqwest::Method;

use crate::browser::Browser;
use crate::harness::{Setup, tenant};
use crate::served::Served;
use crate::served_page::Page;

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
    page.follows(&browser, true).await;
    // A connection that ended for good, as one that never began, begins again.
    let end = "document.addEventListener('htmx:sse:before:connection', event => event.preventDefault(), { once: true });
               document.querySelector('#integrations')._htmx.sse.reader.cancel()";
    browser.ask(end).await;
    page.follows(&browser, false).await;
    page.follows(&browser, true).await;
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
