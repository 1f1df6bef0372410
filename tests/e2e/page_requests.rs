//! The Integrations page and its API without a browser: requests without permission, and what the answers hold.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{Setup, tenant};
use crate::served_page::{Page, client, form};

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
        "settings": { "api-hostname": tenant.host, "integration-key": "DI1" }, "secrets": { "secret-key": "xxxx" },
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
