//! The data: objects by type, and one object with its relations.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use serde::Deserialize;
use serde_json::Value;

use connector_report::{filters, render};

use super::page::{self, Frame, PageError};
use super::{Signed, Web};
use connector_sandbox::manifest::Manifest;
use connector_store::{
    AccessPath, Entities, EntityRow, Key, Linked, PageCursor, PageOf, Reader, StoreError, TypeCount,
};

/// The entity types, in the order in which the pages list them.
const ENTITY_TYPES: [&str; 3] = ["identity", "connection", "resource"];
/// Objects on a page.
const ON_A_PAGE: u32 = 50;
/// Related objects on the page of an object, in each direction.
const LINKED: u32 = 200;
/// Paths of access on a page.
const PATHS: u32 = 100;

/// The fields of the normal form that a list shows as columns.
const COLUMNS: [&str; 5] = ["username", "status", "mfa_state", "kind", "last_login"];

#[derive(Template)]
#[template(path = "data.html")]
struct ListPage {
    frame: Frame,
    integration: String,
    types: Vec<(TypeCount, String)>,
    source_type: String,
    title: String,
    search: String,
    columns: Vec<String>,
    rows: Vec<ObjectRow>,
    page: PageOf<EntityRow>,
}

/// An object in a list.
struct ObjectRow {
    id: String,
    name: String,
    cells: Vec<Cell>,
}

/// A value as the pages show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    /// The CSS class of a badge; blank for plain text.
    pub(super) tone: &'static str,
}

#[derive(Template)]
#[template(path = "object.html")]
struct ObjectPage {
    frame: Frame,
    integration: String,
    object: EntityRow,
    title: String,
    fields: Vec<(String, Cell)>,
    /// The title of the connector, for the heading of the attributes that are specific to its vendor.
    vendor: String,
    attributes: Vec<(String, Cell)>,
    has: Vec<Group>,
    has_total: u64,
    has_shown: u64,
    of: Vec<Group>,
    of_total: u64,
    of_shown: u64,
    paths: Vec<AccessPath>,
    more_paths: bool,
    skip: u64,
    on_a_page: u64,
}

/// Related objects of one type.
struct Group {
    title: String,
    rows: Vec<LinkedRow>,
}

struct LinkedRow {
    linked: Linked,
    details: Vec<Cell>,
}

#[derive(Deserialize)]
struct ListQuery {
    #[serde(default)]
    q: String,
    after: Option<String>,
    before: Option<String>,
    id: Option<String>,
}

#[derive(Deserialize)]
struct ObjectQuery {
    id: String,
    #[serde(default)]
    skip: u64,
}

pub(super) fn router() -> Router<Arc<Web>> {
    Router::new()
        .route("/integrations/{name}/data", get(first))
        .route("/integrations/{name}/data/{source_type}", get(list))
        .route("/integrations/{name}/data/{source_type}/object", get(show))
}

async fn manifest(web: &Web, name: &str) -> Option<Manifest> {
    let integration = super::integrations::find(web, name).ok()?;
    web.supervisor.manifest(&integration.connector_name?).await.ok()
}

/// The title of a source type.
pub(super) fn title_of(manifest: Option<&Manifest>, source_type: &str) -> String {
    match manifest.map(|manifest| manifest.title_of(source_type)).filter(|title| *title != source_type) {
        Some(title) => title.to_owned(),
        None => render::words(source_type),
    }
}

/// Shows the type that a reviewer needs first: the largest type of identities; without identities, the largest type.
async fn first(
    state: State<Arc<Web>>,
    session: Signed,
    Path(name): Path<String>,
    query: Query<ListQuery>,
) -> Result<Response, PageError> {
    let asked = name.clone();
    let types = state.supervisor.read(&name, move |store| store.type_counts(&asked)).await?;
    let largest = types.iter().max_by_key(|one| (one.entity_type == ENTITY_TYPES[0], one.count));
    let source_type = match largest {
        Some(largest) => largest.source_type.clone(),
        // Without data, it is the first type of the manifest.
        None => {
            manifest(&state, &name).await.and_then(|manifest| first_declared(&manifest)).unwrap_or_default()
        }
    };
    list(state, session, Path((name, source_type)), query).await
}

/// The source type that a connector declares first, identities before others.
fn first_declared(manifest: &Manifest) -> Option<String> {
    let declared = || manifest.streams.iter().flat_map(|stream| &stream.entities);
    let first = declared().find(|spec| spec.entity_type == ENTITY_TYPES[0]).or_else(|| declared().next());
    first.map(|spec| spec.source_type.clone())
}

async fn list(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Path((name, source_type)): Path<(String, String)>,
    Query(query): Query<ListQuery>,
) -> Result<Response, PageError> {
    let manifest = manifest(&web, &name).await;
    let key =
        |name: Option<String>| Some(Key { name: name?, source_id: query.id.clone().unwrap_or_default() });
    let cursor = match (key(query.after.clone()), key(query.before.clone())) {
        (Some(key), _) => PageCursor::After(key),
        (None, Some(key)) => PageCursor::Before(key),
        (None, None) => PageCursor::First,
    };
    let (asked, wanted, search) = (name.clone(), source_type.clone(), query.q.clone());
    let found = web.supervisor.read(&name, move |store| {
        let which = Entities { source_type: &wanted, search: &search, turn: cursor, limit: ON_A_PAGE };
        Ok(Some((store.type_counts(&asked)?, store.browse(&asked, &which)?)))
    });
    let (types, page) = found
        .await?
        .unwrap_or_else(|| (Vec::new(), PageOf { rows: Vec::new(), before: None, after: None, total: 0 }));
    let normals: Vec<Value> =
        page.rows.iter().map(|row| serde_json::from_str(&row.normal).unwrap_or_default()).collect();
    let is_there = |column: &&&str| {
        normals.iter().any(|normal| normal.get(**column).is_some_and(|value| !value.is_null()))
    };
    let columns: Vec<&str> = COLUMNS.iter().filter(is_there).copied().collect();
    let rows = page.rows.iter().zip(&normals).map(|(row, normal)| ObjectRow {
        id: row.source_id.clone(),
        name: row.name.clone(),
        cells: columns
            .iter()
            .map(|column| cell(column, normal.get(*column).unwrap_or(&Value::Null)))
            .collect(),
    });
    let mut types: Vec<_> =
        types.into_iter().map(|one| (one.clone(), title_of(manifest.as_ref(), &one.source_type))).collect();
    let place = |entity_type: &str| ENTITY_TYPES.iter().position(|one| *one == entity_type);
    types.sort_by(|a, b| (place(&a.0.entity_type), &a.1).cmp(&(place(&b.0.entity_type), &b.1)));
    Ok(page::show(&ListPage {
        frame: Frame::new(&session),
        rows: rows.collect(),
        columns: columns.into_iter().map(render::words).collect(),
        title: title_of(manifest.as_ref(), &source_type),
        search: query.q,
        integration: name,
        types,
        source_type,
        page,
    }))
}

/// What the page of an object shows in addition to the object.
#[derive(Default)]
struct ObjectDetails {
    has: (Vec<Linked>, u64),
    of: (Vec<Linked>, u64),
    paths: Vec<AccessPath>,
}

impl ObjectDetails {
    fn at(store: &Reader, object: &EntityRow, skip: u64) -> Result<Self, StoreError> {
        let reaches = object.entity_type == ENTITY_TYPES[0] || object.is_application();
        Ok(Self {
            has: store.linked(object, true, LINKED)?,
            of: store.linked(object, false, LINKED)?,
            paths: if reaches { store.access(object, skip, PATHS + 1)? } else { Vec::new() },
        })
    }
}

async fn show(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Path((name, source_type)): Path<(String, String)>,
    Query(query): Query<ObjectQuery>,
) -> Result<Response, PageError> {
    let manifest = manifest(&web, &name).await;
    let (asked, wanted, skip) = (name.clone(), source_type.clone(), query.skip);
    let found = web.supervisor.read(&name, move |store| {
        let Some(object) = store.entity(&asked, &wanted, &query.id)? else { return Ok(None) };
        let details = ObjectDetails::at(store, &object, skip)?;
        Ok(Some((object, details)))
    });
    let (object, mut details) =
        found.await?.ok_or_else(|| PageError::missing("there is no such object, or it was removed"))?;
    let more_paths = details.paths.len() > PATHS as usize;
    details.paths.truncate(PATHS as usize);
    let (has_shown, of_shown) = (details.has.0.len() as u64, details.of.0.len() as u64);
    Ok(page::show(&ObjectPage {
        frame: Frame::new(&session),
        title: title_of(manifest.as_ref(), &source_type),
        vendor: manifest.as_ref().map(|manifest| manifest.title.clone()).unwrap_or_default(),
        fields: cells(&object.normal),
        attributes: cells(&object.attributes),
        has: groups(manifest.as_ref(), details.has.0),
        has_total: details.has.1,
        has_shown,
        of: groups(manifest.as_ref(), details.of.0),
        of_total: details.of.1,
        of_shown,
        paths: details.paths,
        more_paths,
        skip,
        on_a_page: PATHS.into(),
        integration: name,
        object,
    }))
}

/// Groups related objects by their type.
fn groups(manifest: Option<&Manifest>, linked: Vec<Linked>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for linked in linked {
        let title = title_of(manifest, &linked.other.source_type);
        let normal: Value = serde_json::from_str(&linked.other.normal).unwrap_or_default();
        let details =
            ["factor", "phishing_resistant", "status", "mfa_state", "expires", "uses_left", "last_seen"];
        let details = details.iter().filter_map(|name| {
            let value = normal.get(*name).filter(|value| !value.is_null())?;
            let shown = cell(name, value);
            let text = if *name == "phishing_resistant" {
                if value == true { "phishing-resistant".to_owned() } else { return None }
            } else if matches!(*name, "expires" | "uses_left" | "last_seen") {
                format!("{}: {}", render::words(name).to_lowercase(), shown.text)
            } else {
                shown.text
            };
            Some(Cell { text, tone: shown.tone })
        });
        let row = LinkedRow { details: details.collect(), linked };
        match groups.iter_mut().find(|group| group.title == title) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { title, rows: vec![row] }),
        }
    }
    groups
}

/// The entries of a JSON object, without empty ones.
fn cells(object: &str) -> Vec<(String, Cell)> {
    let object: serde_json::Map<String, Value> = serde_json::from_str(object).unwrap_or_default();
    let is_shown = |value: &Value| match value {
        Value::Null => false,
        Value::Array(values) => !values.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    };
    let shown = object.iter().filter(|(_, value)| is_shown(value));
    shown.map(|(name, value)| (render::words(name), cell(name, value))).collect()
}

/// The value of the field `name`, as the pages show it.
pub(super) fn cell(name: &str, value: &Value) -> Cell {
    let text = match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => render::readable_time(text),
        Value::Array(values) => {
            values.iter().map(|value| cell("", value).text).collect::<Vec<_>>().join(", ")
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", render::words(name), cell("", value).text));
            fields.collect::<Vec<_>>().join("; ")
        }
        Value::Number(number) => number.to_string(),
    };
    let tone = match (name, text.as_str()) {
        ("status", "active") | ("mfa_state", "enrolled") => "good",
        ("mfa_state", "bypassed") | ("status", "locked") => "bad",
        ("mfa_state", "not-enrolled")
        | ("status", "disabled" | "pending" | "expired" | "pending-deletion") => "warn",
        ("phishing_resistant", "yes") => "good",
        _ => "",
    };
    Cell { text, tone }
}
