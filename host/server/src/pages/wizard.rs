//! The wizard that creates or edits an integration: its steps and fields come from the connector's manifest alone.
//!
//! What was typed is kept in `drafts`, not in the browser. A secret is encrypted as soon as it arrives, and never sent
//! back.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};

use super::drafts::{DraftSession, Options};
use crate::authentication::Session;
use connector_report::filters;

use super::page::{self, Frame, PageError, Posted};
use super::{Signed, Web};
use crate::api_types::ErrorBody;
use crate::supervisor::{ActionError, Original};
use connector_sandbox::manifest::{Manifest, SettingKind, SettingSpec};
use connector_sync::check::{Checked, CheckedStream};
use connector_sync::configuration::{About, Draft, FieldProblem, MOST_REVIEWERS, Part, Review, Reviewer};

/// A step of the wizard.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    About,
    Connection,
    Permissions,
    Options,
}

impl Step {
    const ALL: [Self; 4] = [Self::About, Self::Connection, Self::Permissions, Self::Options];

    fn name(self) -> &'static str {
        match self {
            Self::About => "about",
            Self::Connection => "connection",
            Self::Permissions => "permissions",
            Self::Options => "options",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::About => "Owner and description",
            Self::Connection => "Connection",
            Self::Permissions => "Permissions",
            Self::Options => "Optional Configuration",
        }
    }

    fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

/// The part that all steps show.
struct WizardView {
    id: String,
    step: Step,
    title: String,
    /// The integration that is being edited.
    original: Option<String>,
    /// Why the step was refused.
    problem: Option<ErrorBody>,
    /// The fields that are not valid.
    problems: Vec<FieldProblem>,
}

impl WizardView {
    fn new(id: &str, step: Step, entry: &DraftSession) -> Self {
        Self {
            id: id.to_owned(),
            step,
            title: entry.manifest.title.clone(),
            original: entry.original.as_ref().map(|original| original.name.clone()),
            problem: None,
            problems: Vec::new(),
        }
    }

    /// With the reason why a step was refused.
    fn refused(mut self, refused: ActionError) -> Self {
        match refused {
            ActionError::Missing(problem) | ActionError::Conflict(problem) => self.problem = Some(problem),
            ActionError::Fields(problems) => self.problems = problems,
            ActionError::Store(error) => {
                self.problem = Some(ErrorBody::of(&error));
            }
        }
        self
    }

    /// Whether the step was refused.
    fn is_refused(&self) -> bool {
        self.problem.is_some() || !self.problems.is_empty()
    }

    /// Why a field is not valid.
    fn problem_of(&self, field: &str) -> Option<&str> {
        self.problems.iter().find(|problem| problem.field == field).map(|problem| problem.reason.as_str())
    }

    /// The problems of fields that this page does not show.
    fn elsewhere<'a>(&'a self, shown: &'a [String]) -> impl Iterator<Item = &'a FieldProblem> {
        self.problems.iter().filter(|problem| !shown.contains(&problem.field))
    }
}

/// A setting as a form shows it.
struct Field {
    name: String,
    title: String,
    help: String,
    kind: SettingKind,
    required: bool,
    example: String,
    choices: Vec<String>,
    value: String,
    default: String,
    /// Whether it has a secret, or a value from a variable or a file. A blank field keeps that value.
    is_set: bool,
}

#[derive(Template)]
#[template(path = "wizard-choose.html")]
struct ChoosePage {
    frame: Frame,
    connectors: Vec<Manifest>,
}

#[derive(Template)]
#[template(path = "wizard-about.html")]
struct AboutPage {
    frame: Frame,
    view: WizardView,
    draft: Draft,
    shown: Vec<String>,
}

#[derive(Template)]
#[template(path = "wizard-connection.html")]
struct ConnectionPage {
    frame: Frame,
    view: WizardView,
    fields: Vec<Field>,
    setup: Vec<String>,
    shown: Vec<String>,
}

#[derive(Template)]
#[template(path = "wizard-permissions.html")]
struct PermissionsPage {
    frame: Frame,
    view: WizardView,
    checked: Checked,
}

#[derive(Template)]
#[template(path = "wizard-options.html")]
struct OptionsPage {
    frame: Frame,
    view: WizardView,
    fields: Vec<Field>,
    draft: Draft,
    streams: Vec<(String, String, bool)>,
    reviewers: [Reviewer; 4],
    how_many: String,
    most_reviewers: u32,
    shown: Vec<String>,
}

pub(super) fn router() -> Router<Arc<Web>> {
    Router::new()
        .route("/set-up", get(choose).post(begin))
        .route("/integrations/{name}/edit", post(edit))
        .route("/set-up/{id}/{step}", get(show).post(send))
        .route("/set-up/{id}/cancel", post(cancel))
}

async fn choose(State(web): State<Arc<Web>>, Extension(session): Signed) -> Response {
    let connectors = web.supervisor.manifests().await;
    page::show(&ChoosePage { frame: Frame::new(&session), connectors })
}

async fn begin(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    posted: Posted,
) -> Result<Response, PageError> {
    let connector = posted.field("connector").to_owned();
    let manifest = web.supervisor.manifest(&connector).await?;
    let (mut name, mut number) = (connector.clone(), 1);
    while web.supervisor.is_taken(&name).await {
        number += 1;
        name = format!("{connector}-{number}");
    }
    let draft = Draft { name, connector, ..Draft::default() };
    go(&web, &session, draft, manifest, None)
}

async fn edit(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Path(name): Path<String>,
    _: Posted,
) -> Result<Response, PageError> {
    let original = web.supervisor.original(&name).await?;
    let manifest = web.supervisor.manifest(&original.draft.connector).await?;
    go(&web, &session, original.draft.clone(), manifest, Some(original))
}

fn go(
    web: &Web,
    session: &Session,
    draft: Draft,
    manifest: Manifest,
    original: Option<Original>,
) -> Result<Response, PageError> {
    let (manifest, by, touched) = (Arc::new(manifest), session.id, Instant::now());
    let options = Options::of(&draft, &manifest);
    let id =
        web.drafts.begin(DraftSession { draft, manifest, original, options, checked: None, by, touched })?;
    Ok(to(&id, Step::About))
}

fn to(id: &str, step: Step) -> Response {
    Redirect::to(&format!("/set-up/{id}/{}", step.name())).into_response()
}

async fn cancel(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Path(id): Path<String>,
    _: Posted,
) -> Result<Response, PageError> {
    web.drafts.find(&id, &session)?;
    web.drafts.end(&id);
    Ok(Redirect::to("/integrations").into_response())
}

async fn show(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Path((id, step)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let step = Step::find(&step).ok_or_else(|| PageError::missing("there is no such step"))?;
    let entry = web.drafts.find(&id, &session)?;
    let view = WizardView::new(&id, step, &entry);
    // Without an answer from the vendor there is nothing to show: the step *Connection* asks for it.
    if step == Step::Permissions && entry.checked.is_none() {
        return Ok(to(&id, Step::Connection));
    }
    Ok(step_page(&session, view, &entry))
}

async fn send(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Path((id, step)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, PageError> {
    let step = Step::find(&step).ok_or_else(|| PageError::missing("there is no such step"))?;
    let mut entry = web.drafts.find(&id, &session)?;
    let sent = match step {
        Step::About => fill_about(&web, &mut entry, &posted).await,
        Step::Connection => connect(&web, &mut entry, &posted).await,
        Step::Permissions => Ok(()),
        Step::Options => finish(&web, &mut entry, &posted).await,
    };
    // Values that are not valid are kept as well.
    web.drafts.keep(&id, entry.clone());
    match (sent, step) {
        (Err(refused), _) => {
            let view = WizardView::new(&id, step, &entry).refused(refused);
            let mut answer = step_page(&session, view, &entry);
            *answer.status_mut() = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
            Ok(answer)
        }
        (Ok(()), Step::About) => Ok(to(&id, Step::Connection)),
        (Ok(()), Step::Connection) => Ok(to(&id, Step::Permissions)),
        (Ok(()), Step::Permissions) => Ok(to(&id, Step::Options)),
        (Ok(()), Step::Options) => {
            web.drafts.end(&id);
            Ok(Redirect::to("/integrations").into_response())
        }
    }
}

fn refuse_any(problems: Vec<FieldProblem>) -> Result<(), ActionError> {
    if problems.is_empty() { Ok(()) } else { Err(ActionError::Fields(problems)) }
}

async fn fill_about(web: &Web, entry: &mut DraftSession, posted: &Posted) -> Result<(), ActionError> {
    let draft = &mut entry.draft;
    if entry.original.is_none() && draft.name != posted.field("name") {
        posted.field("name").clone_into(&mut draft.name);
        // The secrets were encrypted for the former name.
        draft.sealed.clear();
        entry.checked = None;
    }
    let owners = posted.field("secondary-owners").split(',').map(str::trim).filter(|owner| !owner.is_empty());
    draft.about = About {
        description: posted.field("description").to_owned(),
        owner: posted.field("owner").to_owned(),
        secondary_owners: owners.map(str::to_owned).collect(),
        review: std::mem::take(&mut draft.about.review),
    };
    let mut problems = draft.problems(&entry.manifest, Some(Part::About));
    if entry.original.is_none() && web.supervisor.is_taken(&draft.name).await {
        let reason = "is taken by another integration".to_owned();
        problems.push(FieldProblem { field: "name".to_owned(), reason });
    }
    refuse_any(problems)
}

/// Takes the values of the settings that are required, or of those that are not, from a form.
async fn fill_settings(
    web: &Web,
    entry: &mut DraftSession,
    posted: &Posted,
    required: bool,
) -> Result<(), ActionError> {
    let manifest = Arc::clone(&entry.manifest);
    let specs = || manifest.settings.iter().filter(|spec| spec.required == required);
    let before = entry.draft.clone();
    for spec in specs().filter(|spec| spec.kind != SettingKind::Secret) {
        fill_setting(&mut entry.draft, spec, posted);
    }
    let elsewhere = entry.leave_secrets(&before);
    let mut problems = Vec::new();
    for spec in specs().filter(|spec| spec.kind == SettingKind::Secret) {
        // It is not trimmed: white space around a secret is reported as an error. A blank field keeps the present secret.
        let secret = posted.raw(&field_of(spec));
        if !secret.is_empty()
            && let Err(refused) = web.supervisor.seal(&mut entry.draft, &manifest, &spec.name, secret).await
        {
            match refused {
                ActionError::Fields(wrong) => problems.extend(wrong),
                other => return Err(other),
            }
        }
    }
    let part = if required { Part::Connection } else { Part::Options };
    // For a secret that is not valid, that reason is shown, and not that the secret is missing.
    let known: Vec<_> = problems.iter().map(|problem: &FieldProblem| problem.field.clone()).collect();
    let others = entry.draft.problems(&manifest, Some(part));
    problems.extend(others.into_iter().filter(|problem| !known.contains(&problem.field)));
    for problem in &mut problems {
        let left = elsewhere.iter().any(|spec| field_of(spec) == problem.field);
        if left && !known.contains(&problem.field) {
            problem.reason =
                "is required again: the one that is set was entered for another address".to_owned();
        }
    }
    refuse_any(problems)
}

/// The name of a setting's field.
fn field_of(spec: &SettingSpec) -> String {
    format!("settings.{}", spec.name)
}

/// Takes the value of a setting that is not secret from a form.
fn fill_setting(draft: &mut Draft, spec: &SettingSpec, posted: &Posted) {
    let field = field_of(spec);
    if !posted.has(&field) {
        return;
    }
    let value = posted.field(&field);
    // A value from a variable or a file is kept, unless a new one is typed.
    if draft.kept.contains(&spec.name) && value.is_empty() {
        return;
    }
    draft.kept.remove(&spec.name);
    let default = spec.default.as_deref().unwrap_or_default();
    let was_set = draft.settings.contains_key(&spec.name);
    if value.is_empty() || (value == default && !was_set) {
        draft.settings.remove(&spec.name);
    } else {
        draft.settings.insert(spec.name.clone(), value.to_owned());
    }
}

async fn connect(web: &Web, entry: &mut DraftSession, posted: &Posted) -> Result<(), ActionError> {
    entry.checked = None;
    fill_settings(web, entry, posted, true).await?;
    let checked = web.supervisor.check_draft(&entry.draft, entry.original.as_ref()).await?;
    entry.checked = Some(checked);
    Ok(())
}

async fn finish(web: &Web, entry: &mut DraftSession, posted: &Posted) -> Result<(), ActionError> {
    let draft = &mut entry.draft;
    draft.interval = posted.field("interval").to_owned();
    draft.cron = posted.field("cron").to_owned();
    let mut problems = Vec::new();
    let mut problem = |field: &str, reason: String| {
        problems.push(FieldProblem { field: field.to_owned(), reason });
    };
    entry.options = Options {
        streams: posted.all("streams").map(str::to_owned).collect(),
        reviewers: posted.field("reviewers").to_owned(),
    };
    let Options { streams, reviewers } = &entry.options;
    if streams.is_empty() {
        problem("streams", "has nothing to read: select at least one object type".to_owned());
    }
    let all = entry.manifest.streams.iter().all(|spec| streams.iter().any(|name| spec.name == *name));
    draft.streams = if all { Vec::new() } else { streams.clone() };
    let count = if reviewers.is_empty() { None } else { reviewers.parse().ok() };
    if count.is_none() && !reviewers.is_empty() {
        problem("reviewers", format!("takes a number from 1 to {MOST_REVIEWERS}"));
    }
    let precedence = posted.all("precedence").filter_map(Reviewer::find).collect();
    draft.about.review = Review { precedence, reviewers: count };
    match fill_settings(web, entry, posted, false).await {
        Err(ActionError::Fields(others)) => problems.extend(others),
        other => other?,
    }
    refuse_any(problems)?;
    web.supervisor.save_draft(&entry.draft, entry.original.as_ref()).await
}

fn fields(entry: &DraftSession, required: bool) -> Vec<Field> {
    let specs = entry.manifest.settings.iter().filter(|spec| spec.required == required);
    let field = |spec: &SettingSpec| {
        let draft = &entry.draft;
        let is_set = draft.kept.contains(&spec.name) || draft.sealed.contains_key(&spec.name);
        let default = spec.default.clone().unwrap_or_default();
        // A secret is never shown.
        let value = draft.settings.get(&spec.name).filter(|_| spec.kind != SettingKind::Secret).cloned();
        Field {
            name: field_of(spec),
            title: spec.title.clone(),
            help: spec.help.clone(),
            kind: spec.kind,
            required: spec.required,
            example: spec.example.clone().unwrap_or_default(),
            choices: spec.choices.clone(),
            value: value.unwrap_or_else(|| if is_set { String::new() } else { default.clone() }),
            default,
            is_set,
        }
    };
    specs.map(field).collect()
}

/// The page of a step.
fn step_page(session: &Session, view: WizardView, entry: &DraftSession) -> Response {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let (frame, draft) = (Frame::new(session), entry.draft.clone());
    match view.step {
        Step::About => page::show(&AboutPage { frame, view, draft, shown: names(&["name", "owner"]) }),
        Step::Connection => {
            let fields = fields(entry, true);
            let shown = fields.iter().map(|field| field.name.clone()).collect();
            page::show(&ConnectionPage { frame, view, fields, shown, setup: entry.manifest.setup.clone() })
        }
        Step::Permissions => match entry.checked.clone() {
            Some(checked) => page::show(&PermissionsPage { frame, view, checked }),
            None => to(&view.id, Step::Connection),
        },
        Step::Options => {
            let fields = fields(entry, false);
            let mut shown: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
            shown.extend(names(&["interval", "cron", "streams", "reviewers", "precedence"]));
            let streams = entry.manifest.streams.iter().map(|stream| {
                let is_selected = entry.options.streams.iter().any(|name| stream.name == *name);
                (stream.name.to_string(), stream.title.clone(), is_selected)
            });
            page::show(&OptionsPage {
                frame,
                view,
                fields,
                draft,
                streams: streams.collect(),
                reviewers: Reviewer::ALL,
                how_many: entry.options.reviewers.clone(),
                most_reviewers: MOST_REVIEWERS,
                shown,
            })
        }
    }
}

/// The class of a badge.
fn access_tone(stream: &CheckedStream) -> &'static str {
    match (stream.is_readable(), stream.optional) {
        (true, _) => "good",
        (false, true) => "calm",
        (false, false) => "warn",
    }
}

/// Whether `reviewer` is the one at `place` of the precedence.
fn is_reviewer(draft: &Draft, place: &usize, reviewer: &Reviewer) -> bool {
    draft.about.review.precedence.get(*place) == Some(reviewer)
}
