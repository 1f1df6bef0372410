//! The JSON API, described by its OpenAPI document. The command line uses the same routes over the control socket.

mod error;

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use connector_report::insights::Report;
use connector_store::{Entities, Key, PageCursor, RunId};
use connector_sync::configuration::Draft;
use serde::Deserialize;
use utoipa::openapi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{IntoParams, Modify, OpenApi};

use crate::api_types::{
    ActivateRequest, Change, CheckResult, ConnectorStatus, EntityPage, ErrorBody, Findings,
    IntegrationStatus, NewIntegration, Run, Status, Swapped, TypeCount,
};
use crate::supervisor::{ActionError, Supervisor};
use error::{Path, Query, method_not_allowed, not_found};

pub(crate) use error::ApiError;

/// Objects, runs or changes in an answer without `limit`.
const DEFAULT_LIMIT: u32 = 100;
/// The most objects, runs or changes in an answer.
const MOST: u32 = 1000;

/// The document that describes the API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "connector-host",
        description = "Integrations, their runs and the objects that they read. Each request sends the token: \
                       `Authorization: Bearer TOKEN` (else 401, and 429 after ten wrong ones in a minute). Times are RFC \
                       3339 in UTC. An error is returned as `ErrorBody`."
    ),
    servers((url = "/api/v1")),
    paths(
        status, integrations, create, check, integration, remove, sync, stop, pause, resume, runs, changes, types, entities,
        report, connectors, activate, roll_back
    ),
    components(schemas(ErrorBody)),
    security(("token" = [])),
    modifiers(&Token, &Refusals)
)]
struct Document;

/// The security scheme of all requests.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// The errors that every request, or every request with a body, may be answered with.
struct Refusals;

impl Modify for Refusals {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let body =
            openapi::ContentBuilder::new().schema(Some(openapi::Ref::from_schema_name("ErrorBody"))).build();
        for item in document.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten();
            for operation in operations {
                let with_body = operation.request_body.is_some();
                for (status, description, needs_body) in REFUSALS {
                    if needs_body && !with_body {
                        continue;
                    }
                    let answer = openapi::ResponseBuilder::new()
                        .description(description)
                        .content("application/json", body.clone())
                        .build();
                    let known = operation.responses.responses.entry(status.to_owned());
                    known.or_insert_with(|| answer.into());
                }
            }
        }
    }
}

/// Status, reason, and whether only a request with a body is answered with it.
const REFUSALS: [(&str, &str, bool); 9] = [
    ("400", "A parameter or the document is not valid", false),
    ("401", "The token is missing or wrong", false),
    ("403", "The request comes from another site", false),
    ("408", "The document took too long to arrive", true),
    ("413", "The document is too large, or incomplete", true),
    ("415", "The content type is not `application/json`", true),
    ("421", "The server does not have this name", false),
    ("429", "Too many wrong tokens", false),
    ("500", "A store can't be read", false),
];

/// The routes of the API. The caller authenticates the requests.
pub(crate) fn router() -> Router<Arc<Supervisor>> {
    Router::new()
        .route("/openapi.json", get(|| async { Json(Document::openapi()) }))
        .route("/status", get(status))
        .route("/integrations", get(integrations).post(create))
        .route("/check", post(check))
        .route("/integrations/{name}", get(integration).delete(remove))
        .route("/integrations/{name}/sync", post(sync))
        .route("/integrations/{name}/stop", post(stop))
        .route("/integrations/{name}/pause", post(pause))
        .route("/integrations/{name}/resume", post(resume))
        .route("/integrations/{name}/runs", get(runs))
        .route("/integrations/{name}/changes", get(changes))
        .route("/integrations/{name}/types", get(types))
        .route("/integrations/{name}/entities", get(entities))
        .route("/integrations/{name}/insights", get(report))
        .route("/connectors", get(connectors))
        .route("/connectors/activate", post(activate))
        .route("/connectors/{name}/rollback", post(roll_back))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
}

/// The draft of a new integration, with its secrets encrypted.
async fn draft_of(new: NewIntegration, supervisor: &Supervisor) -> Result<Draft, ApiError> {
    let manifest = supervisor.manifest(&new.connector).await?;
    let (mut draft, secrets) = new.into_draft();
    for (setting, secret) in &secrets {
        supervisor.seal(&mut draft, &manifest, setting, secret).await?;
    }
    let problems = draft.problems(&manifest, None);
    if problems.is_empty() { Ok(draft) } else { Err(ActionError::Fields(problems).into()) }
}

/// The status of all integrations and connectors.
#[utoipa::path(get, path = "/status", responses((status = 200, body = Status)))]
async fn status(State(supervisor): State<Arc<Supervisor>>) -> Json<Status> {
    Json(supervisor.status())
}

/// The integrations.
#[utoipa::path(get, path = "/integrations", responses((status = 200, body = Vec<IntegrationStatus>)))]
async fn integrations(State(supervisor): State<Arc<Supervisor>>) -> Json<Vec<IntegrationStatus>> {
    Json(supervisor.status().integrations)
}

fn find(supervisor: &Supervisor, name: &str) -> Result<IntegrationStatus, ApiError> {
    let found = supervisor.status().integrations.into_iter().find(|integration| integration.name == name);
    found.ok_or_else(|| {
        let error = format!("there is no integration `{name}`");
        ApiError::new(StatusCode::NOT_FOUND, ErrorBody::new(error))
    })
}

/// Creates an integration, which begins to run.
#[utoipa::path(
    post,
    path = "/integrations",
    request_body = NewIntegration,
    responses(
        (status = 201, body = IntegrationStatus),
        (status = 404, body = ErrorBody, description = "There is no such connector"),
        (status = 409, body = ErrorBody),
        (status = 422, body = ErrorBody)
    )
)]
async fn create(
    State(supervisor): State<Arc<Supervisor>>,
    new: Result<Json<NewIntegration>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(new) = new?;
    let draft = draft_of(new, &supervisor).await?;
    supervisor.save_draft(&draft, None).await?;
    Ok((StatusCode::CREATED, Json(find(&supervisor, &draft.name)?)).into_response())
}

/// Checks what may be read with an integration, without creating it.
#[utoipa::path(
    post,
    path = "/check",
    request_body = NewIntegration,
    responses(
        (status = 200, body = CheckResult),
        (status = 404, body = ErrorBody, description = "There is no such connector"),
        (status = 409, body = ErrorBody, description = "The vendor refused"),
        (status = 422, body = ErrorBody)
    )
)]
async fn check(
    State(supervisor): State<Arc<Supervisor>>,
    new: Result<Json<NewIntegration>, JsonRejection>,
) -> Result<Json<CheckResult>, ApiError> {
    let Json(new) = new?;
    let draft = draft_of(new, &supervisor).await?;
    Ok(Json(supervisor.check_draft(&draft, None).await?.into()))
}

/// One integration.
#[utoipa::path(
    get,
    path = "/integrations/{name}",
    params(("name" = String, Path)),
    responses((status = 200, body = IntegrationStatus), (status = 404, body = ErrorBody))
)]
async fn integration(
    State(supervisor): State<Arc<Supervisor>>,
    Path(name): Path<String>,
) -> Result<Json<IntegrationStatus>, ApiError> {
    Ok(Json(find(&supervisor, &name)?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Removal {
    /// Whether its data is removed as well.
    #[serde(default)]
    data: bool,
}

/// Removes an integration.
#[utoipa::path(
    delete,
    path = "/integrations/{name}",
    params(("name" = String, Path), Removal),
    responses((status = 204), (status = 404, body = ErrorBody))
)]
async fn remove(
    State(supervisor): State<Arc<Supervisor>>,
    Path(name): Path<String>,
    Query(removal): Query<Removal>,
) -> Result<StatusCode, ApiError> {
    supervisor.remove(&name, removal.data).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Runs an integration now, or once more after the run under way.
#[utoipa::path(
    post,
    path = "/integrations/{name}/sync",
    params(("name" = String, Path)),
    responses((status = 200, body = Status), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody))
)]
async fn sync(
    State(supervisor): State<Arc<Supervisor>>,
    Path(name): Path<String>,
) -> Result<Json<Status>, ApiError> {
    supervisor.sync_now(&name)?;
    Ok(Json(supervisor.status()))
}

/// Ends the run under way; the next one resumes it.
#[utoipa::path(
    post,
    path = "/integrations/{name}/stop",
    params(("name" = String, Path)),
    responses((status = 200, body = Status), (status = 404, body = ErrorBody))
)]
async fn stop(
    State(supervisor): State<Arc<Supervisor>>,
    Path(name): Path<String>,
) -> Result<Json<Status>, ApiError> {
    supervisor.stop_run(&name)?;
    Ok(Json(supervisor.status()))
}

/// Pauses an integration.
#[utoipa::path(
    post,
    path = "/integrations/{name}/pause",
    params(("name" = String, Path)),
    responses((status = 200, body = Status), (status = 404, body = ErrorBody))
)]
async fn pause(
    State(supervisor): State<Arc<Supervisor>>,
    Path(name): Path<String>,
) -> Result<Json<Status>, ApiError> {
    supervisor.pause(&name, true).await?;
    Ok(Json(supervisor.status()))
}

/// Resumes a paused integration.
#[utoipa::path(
    post,
    path = "/integrations/{name}/resume",
    params(("name" = String, Path)),
    responses((status = 200, body = Status), (status = 404, body = ErrorBody))
)]
async fn resume(
    State(supervisor): State<Arc<Supervisor>>,
    Path(name): Path<String>,
) -> Result<Json<Status>, ApiError> {
    supervisor.pause(&name, false).await?;
    Ok(Json(supervisor.status()))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Limit {
    /// The most rows: 1 to 1000.
    limit: Option<u32>,
}

impl Limit {
    fn get(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MOST)
    }
}

/// The latest runs, the latest first.
#[utoipa::path(
    get,
    path = "/integrations/{name}/runs",
    params(("name" = String, Path), Limit),
    responses((status = 200, body = Vec<Run>), (status = 404, body = ErrorBody))
)]
async fn runs(
    State(supervisor): State<Arc<Supervisor>>,
    Path(name): Path<String>,
    Query(limit): Query<Limit>,
) -> Result<Json<Vec<Run>>, ApiError> {
    let asked = name.clone();
    let runs = supervisor.read(&name, move |store| store.runs(Some(&asked), limit.get())).await?;
    Ok(Json(runs.into_iter().map(Run::from).collect()))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OfRun {
    /// The run.
    run: i64,
    /// The most rows: 1 to 1000.
    limit: Option<u32>,
}

/// The changes that a run found.
#[utoipa::path(
    get,
    path = "/integrations/{name}/changes",
    params(("name" = String, Path), OfRun),
    responses((status = 200, body = Vec<Change>), (status = 404, body = ErrorBody))
)]
async fn changes(
    State(supervisor): State<Arc<Supervisor>>,
    Path(name): Path<String>,
    Query(of): Query<OfRun>,
) -> Result<Json<Vec<Change>>, ApiError> {
    let (asked, limit) = (name.clone(), Limit { limit: of.limit }.get());
    let changes = supervisor.read(&name, move |store| store.changes_of(&asked, RunId(of.run), limit)).await?;
    Ok(Json(changes.into_iter().map(Change::from).collect()))
}

/// How many objects of each type there are.
#[utoipa::path(
    get,
    path = "/integrations/{name}/types",
    params(("name" = String, Path)),
    responses((status = 200, body = Vec<TypeCount>), (status = 404, body = ErrorBody))
)]
async fn types(
    State(supervisor): State<Arc<Supervisor>>,
    Path(name): Path<String>,
) -> Result<Json<Vec<TypeCount>>, ApiError> {
    let asked = name.clone();
    let counts = supervisor.read(&name, move |store| store.type_counts(&asked)).await?;
    Ok(Json(counts.into_iter().map(TypeCount::from).collect()))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// The source type, as the manifest of the connector names it.
    source_type: String,
    /// Text that the name, key, user name or e-mail address must contain.
    #[serde(default)]
    q: String,
    /// `next.name` of the page before.
    after_name: Option<String>,
    /// `next.source_id` of the page before.
    after_source_id: Option<String>,
    /// The most rows: 1 to 1000.
    limit: Option<u32>,
}

/// Objects of a type.
#[utoipa::path(
    get,
    path = "/integrations/{name}/entities",
    params(("name" = String, Path), Which),
    responses((status = 200, body = EntityPage), (status = 404, body = ErrorBody))
)]
async fn entities(
    State(supervisor): State<Arc<Supervisor>>,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<EntityPage>, ApiError> {
    let asked = name.clone();
    let page = supervisor.read(&name, move |store| {
        let cursor = match (which.after_name, which.after_source_id) {
            (Some(name), id) => PageCursor::After(Key { name, source_id: id.unwrap_or_default() }),
            (None, _) => PageCursor::First,
        };
        let limit = Limit { limit: which.limit }.get();
        let page = store.browse(
            &asked,
            &Entities { source_type: &which.source_type, search: &which.q, turn: cursor, limit },
        )?;
        let entities = page.rows.into_iter().map(Into::into).collect();
        Ok(EntityPage { total: page.total, entities, next: page.after.map(Into::into) })
    });
    Ok(Json(page.await?))
}

/// The findings of each rule, and the first objects of each.
#[utoipa::path(
    get,
    path = "/integrations/{name}/insights",
    params(("name" = String, Path), Limit),
    responses((status = 200, body = Findings), (status = 404, body = ErrorBody))
)]
async fn report(
    State(supervisor): State<Arc<Supervisor>>,
    Path(name): Path<String>,
    Query(limit): Query<Limit>,
) -> Result<Json<Findings>, ApiError> {
    let asked = name.clone();
    let report = supervisor.read(&name, move |store| {
        Ok(Some(Report::new(store, Some(&asked), chrono::Utc::now(), limit.get())?))
    });
    let nothing = || {
        let error = format!("`{name}` has no data yet");
        ApiError::new(StatusCode::NOT_FOUND, ErrorBody::new(error))
    };
    Ok(Json(report.await?.ok_or_else(nothing)?.into()))
}

/// The connectors.
#[utoipa::path(get, path = "/connectors", responses((status = 200, body = Vec<ConnectorStatus>)))]
async fn connectors(State(supervisor): State<Arc<Supervisor>>) -> Json<Vec<ConnectorStatus>> {
    Json(supervisor.registry.list())
}

/// Tries an installed connector, and lets it take over.
#[utoipa::path(
    post,
    path = "/connectors/activate",
    request_body = ActivateRequest,
    responses((status = 200, body = Swapped), (status = 409, body = ErrorBody))
)]
async fn activate(
    State(supervisor): State<Arc<Supervisor>>,
    request: Result<Json<ActivateRequest>, JsonRejection>,
) -> Result<Json<Swapped>, ApiError> {
    let Json(request) = request?;
    let swapped = supervisor.registry.activate(&request.digest, request.accept_new_access).await?;
    supervisor.swapped().await;
    Ok(Json(swapped))
}

/// Lets the previous connector take over again.
#[utoipa::path(
    post,
    path = "/connectors/{name}/rollback",
    params(("name" = String, Path)),
    responses((status = 200, body = Swapped), (status = 409, body = ErrorBody))
)]
async fn roll_back(
    State(supervisor): State<Arc<Supervisor>>,
    Path(name): Path<String>,
) -> Result<Json<Swapped>, ApiError> {
    let swapped = supervisor.registry.roll_back(&name, "rolled back by an operator").await?;
    supervisor.swapped().await;
    Ok(Json(swapped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_place_of_each_parameter() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let mut seen = 0;
        for (path, methods) in document["paths"].as_object().unwrap() {
            for operation in methods.as_object().unwrap().values() {
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let name = parameter["name"].as_str().unwrap();
                    let is_in_path = path.contains(&format!("{{{name}}}"));
                    assert_eq!(parameter["in"], if is_in_path { "path" } else { "query" }, "{path} {name}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 20, "{seen}");
        let answers = &document["paths"]["/check"]["post"]["responses"];
        for (status, _, _) in REFUSALS {
            let schema = &answers[status]["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/ErrorBody", "{status}: {answers}");
        }
        assert_eq!(answers["409"]["description"], "The vendor refused");
        let answers = &document["paths"]["/status"]["get"]["responses"];
        assert!(answers["413"].is_null() && answers["401"].is_object(), "{answers}");
        assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    }

    #[test]
    fn a_document_with_an_unknown_field_is_refused() {
        fn status<T: serde::de::DeserializeOwned>(text: &str) -> Option<StatusCode> {
            let rejection = Json::<T>::from_bytes(text.as_bytes()).err()?;
            Some(ApiError::from(rejection).into_response().status())
        }
        let refused = Some(StatusCode::BAD_REQUEST);
        assert_eq!(status::<NewIntegration>(r#"{"name":"a","connector":"b"}"#), None);
        assert_eq!(status::<NewIntegration>(r#"{"name":"a","connector":"b","ownr":"c"}"#), refused);
        assert_eq!(status::<NewIntegration>(r#"{"name":"a","connector":"b","review":{"x":1}}"#), refused);
        assert_eq!(status::<ActivateRequest>(r#"{"digest":"a","accept_new_access":true}"#), None);
        assert_eq!(status::<ActivateRequest>(r#"{"digest":"a","accept_new_access":true,"x":1}"#), refused);
        assert_eq!(status::<ActivateRequest>(r#"{"digest":"a"}"#), refused);
    }
}
