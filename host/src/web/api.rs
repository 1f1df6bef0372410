//! The JSON API under the pages, described by its OpenAPI document. The command line talks to the same routes over the control
//! socket.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{IntoParams, Modify, OpenApi, ToSchema};
use zeroize::Zeroizing;

use super::refusal::{No, Path, Query, Wrong, missing, not_so};
use crate::configuration::Draft;
use crate::daemon::{Daemon, IntegrationStatus, Problem, Refused, Status};
use crate::insights::Report;
use crate::registry::{ConnectorStatus, Swapped};
use crate::store::{ChangeRow, Entities, Key, RunId, RunRow, Turn, TypeCount};
use crate::sync::Checked;

/// Objects in an answer, where nothing else is asked for.
const ON_A_PAGE: u32 = 100;
/// The most objects, runs or changes in an answer.
const MOST: u32 = 1000;

/// The document that describes the API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "connector-host",
        description = "Integrations, their runs and what they read. Every request bears the token: \
                       `Authorization: Bearer TOKEN` (else 401, and 429 after ten wrong ones in a minute). Times are RFC \
                       3339 in UTC. What goes wrong is told as `Wrong`, with 400 where a parameter can't be read and 500 \
                       where the store can't."
    ),
    servers((url = "/api/v1")),
    paths(
        status, integrations, create, check, integration, remove, sync, stop, pause, resume, runs, changes, types, entities,
        report, connectors, activate, roll_back
    ),
    components(schemas(Wrong)),
    security(("token" = [])),
    modifiers(&Token)
)]
struct Document;

/// What every request bears.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// The API, for whoever may ask.
pub(crate) fn router() -> Router<Arc<Daemon>> {
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
        .method_not_allowed_fallback(not_so)
        .fallback(missing)
}

/// An integration to be made: a draft, and its secrets.
#[derive(Deserialize, ToSchema)]
struct NewIntegration {
    #[serde(flatten)]
    draft: Draft,
    /// The values of secrets, by the name of the setting. They are sealed, and never sent back.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    secrets: BTreeMap<String, Zeroizing<String>>,
}

impl NewIntegration {
    /// The draft, its secrets sealed.
    async fn sealed(mut self, daemon: &Daemon) -> Result<Draft, No> {
        let manifest = daemon.manifest(&self.draft.connector).await?;
        for (setting, secret) in &self.secrets {
            daemon.seal(&mut self.draft, &manifest, setting, secret)?;
        }
        let problems = self.draft.problems(&manifest, None);
        if !problems.is_empty() {
            return Err(Refused::Fields(problems).into());
        }
        Ok(self.draft)
    }
}

/// Everything at a glance.
#[utoipa::path(get, path = "/status", responses((status = 200, body = Status)))]
async fn status(State(daemon): State<Arc<Daemon>>) -> Json<Status> {
    Json(daemon.status())
}

/// The integrations.
#[utoipa::path(get, path = "/integrations", responses((status = 200, body = Vec<IntegrationStatus>)))]
async fn integrations(State(daemon): State<Arc<Daemon>>) -> Json<Vec<IntegrationStatus>> {
    Json(daemon.status().integrations)
}

fn find(daemon: &Daemon, name: &str) -> Result<IntegrationStatus, No> {
    let found = daemon.status().integrations.into_iter().find(|integration| integration.name == name);
    found.ok_or_else(|| {
        let error = format!("there is no integration `{name}`");
        No::new(StatusCode::NOT_FOUND, Problem { error, hint: None })
    })
}

/// Makes an integration, which begins to run.
#[utoipa::path(
    post,
    path = "/integrations",
    request_body = NewIntegration,
    responses(
        (status = 201, body = IntegrationStatus),
        (status = 404, body = Wrong, description = "There is no such connector"),
        (status = 409, body = Wrong),
        (status = 422, body = Wrong)
    )
)]
async fn create(
    State(daemon): State<Arc<Daemon>>,
    new: Result<Json<NewIntegration>, JsonRejection>,
) -> Result<Response, No> {
    let Json(new) = new?;
    let draft = new.sealed(&daemon).await?;
    daemon.save_draft(&draft, None).await?;
    Ok((StatusCode::CREATED, Json(find(&daemon, &draft.name)?)).into_response())
}

/// Tries an integration that is not made yet: what may be read with it.
#[utoipa::path(
    post,
    path = "/check",
    request_body = NewIntegration,
    responses(
        (status = 200, body = Checked),
        (status = 404, body = Wrong, description = "There is no such connector"),
        (status = 409, body = Wrong, description = "The vendor refused"),
        (status = 422, body = Wrong)
    )
)]
async fn check(
    State(daemon): State<Arc<Daemon>>,
    new: Result<Json<NewIntegration>, JsonRejection>,
) -> Result<Json<Checked>, No> {
    let Json(new) = new?;
    let draft = new.sealed(&daemon).await?;
    Ok(Json(daemon.check_draft(&draft, None).await?))
}

/// One integration.
#[utoipa::path(
    get,
    path = "/integrations/{name}",
    params(("name" = String, Path)),
    responses((status = 200, body = IntegrationStatus), (status = 404, body = Wrong))
)]
async fn integration(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
) -> Result<Json<IntegrationStatus>, No> {
    Ok(Json(find(&daemon, &name)?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Removal {
    /// Whether what was read of it is removed as well.
    #[serde(default)]
    data: bool,
}

/// Removes an integration.
#[utoipa::path(
    delete,
    path = "/integrations/{name}",
    params(("name" = String, Path), Removal),
    responses((status = 204), (status = 404, body = Wrong))
)]
async fn remove(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    Query(removal): Query<Removal>,
) -> Result<StatusCode, No> {
    daemon.remove(&name, removal.data).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Runs an integration now, or once more where it runs.
#[utoipa::path(
    post,
    path = "/integrations/{name}/sync",
    params(("name" = String, Path)),
    responses((status = 200, body = Status), (status = 404, body = Wrong), (status = 409, body = Wrong))
)]
async fn sync(State(daemon): State<Arc<Daemon>>, Path(name): Path<String>) -> Result<Json<Status>, No> {
    daemon.sync_now(&name)?;
    Ok(Json(daemon.status()))
}

/// Ends the run under way; the next one goes on from there.
#[utoipa::path(
    post,
    path = "/integrations/{name}/stop",
    params(("name" = String, Path)),
    responses((status = 200, body = Status), (status = 404, body = Wrong))
)]
async fn stop(State(daemon): State<Arc<Daemon>>, Path(name): Path<String>) -> Result<Json<Status>, No> {
    daemon.stop_run(&name)?;
    Ok(Json(daemon.status()))
}

/// Pauses an integration.
#[utoipa::path(
    post,
    path = "/integrations/{name}/pause",
    params(("name" = String, Path)),
    responses((status = 200, body = Status), (status = 404, body = Wrong))
)]
async fn pause(State(daemon): State<Arc<Daemon>>, Path(name): Path<String>) -> Result<Json<Status>, No> {
    daemon.pause(&name, true).await?;
    Ok(Json(daemon.status()))
}

/// Lets an integration go on that was paused.
#[utoipa::path(
    post,
    path = "/integrations/{name}/resume",
    params(("name" = String, Path)),
    responses((status = 200, body = Status), (status = 404, body = Wrong))
)]
async fn resume(State(daemon): State<Arc<Daemon>>, Path(name): Path<String>) -> Result<Json<Status>, No> {
    daemon.pause(&name, false).await?;
    Ok(Json(daemon.status()))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Limit {
    /// The most of them: 1 to 1000.
    limit: Option<u32>,
}

impl Limit {
    fn get(&self) -> u32 {
        self.limit.unwrap_or(ON_A_PAGE).clamp(1, MOST)
    }
}

/// The latest runs, the latest first.
#[utoipa::path(
    get,
    path = "/integrations/{name}/runs",
    params(("name" = String, Path), Limit),
    responses((status = 200, body = Vec<RunRow>), (status = 404, body = Wrong))
)]
async fn runs(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    Query(limit): Query<Limit>,
) -> Result<Json<Vec<RunRow>>, No> {
    let asked = name.clone();
    Ok(Json(daemon.read(&name, move |store| store.runs(Some(&asked), limit.get())).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OfRun {
    /// The run.
    run: i64,
    /// The most of them: 1 to 1000.
    limit: Option<u32>,
}

/// What a run found other than the run before.
#[utoipa::path(
    get,
    path = "/integrations/{name}/changes",
    params(("name" = String, Path), OfRun),
    responses((status = 200, body = Vec<ChangeRow>), (status = 404, body = Wrong))
)]
async fn changes(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    Query(of): Query<OfRun>,
) -> Result<Json<Vec<ChangeRow>>, No> {
    let (asked, limit) = (name.clone(), Limit { limit: of.limit }.get());
    Ok(Json(daemon.read(&name, move |store| store.changes_of(&asked, RunId(of.run), limit)).await?))
}

/// How many objects of each type there are.
#[utoipa::path(
    get,
    path = "/integrations/{name}/types",
    params(("name" = String, Path)),
    responses((status = 200, body = Vec<TypeCount>), (status = 404, body = Wrong))
)]
async fn types(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
) -> Result<Json<Vec<TypeCount>>, No> {
    let asked = name.clone();
    Ok(Json(daemon.read(&name, move |store| store.type_counts(&asked)).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// The source type: `user`.
    r#type: String,
    /// What name, key, user name or e-mail must have in them.
    #[serde(default)]
    q: String,
    /// `next.name` of the page before.
    after_name: Option<String>,
    /// `next.id` of the page before.
    after_id: Option<String>,
    /// The most of them: 1 to 1000.
    limit: Option<u32>,
}

/// An object.
#[derive(Serialize, ToSchema)]
struct Entity {
    entity_type: String,
    r#type: String,
    id: String,
    name: String,
    /// The normal fields.
    normal: Value,
    /// What only this vendor has.
    attributes: Value,
}

/// A page of objects, by name.
#[derive(Default, Serialize, ToSchema)]
struct EntityPage {
    /// How many there are on all pages.
    total: u64,
    entities: Vec<Entity>,
    /// Where the next page begins; none after the last one.
    next: Option<Key>,
}

/// Objects of a type.
#[utoipa::path(
    get,
    path = "/integrations/{name}/entities",
    params(("name" = String, Path), Which),
    responses((status = 200, body = EntityPage), (status = 404, body = Wrong))
)]
async fn entities(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<EntityPage>, No> {
    let asked = name.clone();
    let page = daemon.read(&name, move |store| {
        let turn = match (which.after_name, which.after_id) {
            (Some(name), id) => Turn::After(Key { name, id: id.unwrap_or_default() }),
            (None, _) => Turn::First,
        };
        let limit = Limit { limit: which.limit }.get();
        let page =
            store.browse(&asked, &Entities { source_type: &which.r#type, search: &which.q, turn, limit })?;
        let json = |text: &str| serde_json::from_str(text).unwrap_or_default();
        let entities = page.rows.into_iter().map(|row| Entity {
            normal: json(&row.normal),
            attributes: json(&row.attributes),
            entity_type: row.entity_type,
            r#type: row.source_type,
            id: row.source_id,
            name: row.name,
        });
        Ok(EntityPage { total: page.total, entities: entities.collect(), next: page.after })
    });
    Ok(Json(page.await?))
}

/// What a reviewer looks at first: what each rule found, and the rows behind it.
#[utoipa::path(
    get,
    path = "/integrations/{name}/insights",
    params(("name" = String, Path), Limit),
    responses((status = 200, body = Report), (status = 404, body = Wrong))
)]
async fn report(
    State(daemon): State<Arc<Daemon>>,
    Path(name): Path<String>,
    Query(limit): Query<Limit>,
) -> Result<Json<Report>, No> {
    let asked = name.clone();
    let report = daemon.read(&name, move |store| {
        Ok(Some(Report::new(store, Some(&asked), chrono::Utc::now(), limit.get())?))
    });
    let nothing = || {
        let error = format!("nothing was read of `{name}` yet");
        No::new(StatusCode::NOT_FOUND, Problem { error, hint: None })
    };
    Ok(Json(report.await?.ok_or_else(nothing)?))
}

/// The connectors there are.
#[utoipa::path(get, path = "/connectors", responses((status = 200, body = Vec<ConnectorStatus>)))]
async fn connectors(State(daemon): State<Arc<Daemon>>) -> Json<Vec<ConnectorStatus>> {
    Json(daemon.registry.list())
}

/// An installed connector to take over.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ActivateRequest {
    /// The beginning of its digest.
    pub(crate) digest: String,
    /// Whether new hosts and secrets are fine.
    pub(crate) accept_new_access: bool,
}

/// Lets an installed connector take over, after a trial.
#[utoipa::path(
    post,
    path = "/connectors/activate",
    request_body = ActivateRequest,
    responses((status = 200, body = Swapped), (status = 409, body = Wrong))
)]
async fn activate(
    State(daemon): State<Arc<Daemon>>,
    request: Result<Json<ActivateRequest>, JsonRejection>,
) -> Result<Json<Swapped>, No> {
    let Json(request) = request?;
    let swapped = daemon.registry.activate(&request.digest, request.accept_new_access).await?;
    daemon.swapped().await;
    Ok(Json(swapped))
}

/// Lets the connector take over again that served before.
#[utoipa::path(
    post,
    path = "/connectors/{name}/rollback",
    params(("name" = String, Path)),
    responses((status = 200, body = Swapped), (status = 409, body = Wrong))
)]
async fn roll_back(State(daemon): State<Arc<Daemon>>, Path(name): Path<String>) -> Result<Json<Swapped>, No> {
    let swapped = daemon.registry.roll_back(&name, "rolled back by hand").await?;
    daemon.swapped().await;
    Ok(Json(swapped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_where_each_parameter_stands() {
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
        assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    }
}
