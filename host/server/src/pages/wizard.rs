//! Setting up an integration, or changing one: step by step, drawn from the connector's manifest alone.
//!
//! What was filled in so far lies in `drafts`, and not in the browser. A secret is sealed as soon as it is sent, and never
//! sent back.

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
use connector_sandbox::manifest::{HostRule, Manifest, SettingKind, SettingSpec};
use connector_sync::check::{Checked, CheckedStream};
use connector_sync::configuration::{About, Draft, FieldProblem, MOST_REVIEWERS, Part, Review, Reviewer};

/// A step of the way.
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

/// What all steps show.
struct WizardView {
    id: String,
    step: Step,
    title: String,
    /// The integration that is being changed.
    original: Option<String>,
    trouble: Option<ErrorBody>,
    problems: Vec<FieldProblem>,
}

impl WizardView {
    fn new(id: &str, step: Step, filling: &DraftSession) -> Self {
        Self {
            id: id.to_owned(),
            step,
            title: filling.manifest.title.clone(),
            original: filling.original.as_ref().map(|original| original.name.clone()),
            trouble: None,
            problems: Vec::new(),
        }
    }

    /// With what is wrong.
    fn refused(mut self, refused: ActionError) -> Self {
        match refused {
            ActionError::Missing(problem) | ActionError::Conflict(problem) => self.trouble = Some(problem),
            ActionError::Fields(problems) => self.problems = problems,
            ActionError::Store(error) => {
                self.trouble = Some(ErrorBody::of(&error));
            }
        }
        self
    }

    /// Whether it can't go on.
    fn is_wrong(&self) -> bool {
        self.trouble.is_some() || !self.problems.is_empty()
    }

    /// What is wrong with a field.
    fn wrong(&self, field: &str) -> Option<&str> {
        self.problems.iter().find(|problem| problem.field == field).map(|problem| problem.reason.as_str())
    }

    /// What is wrong with fields that this page does not show.
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
    /// A secret that is there, or a value from a variable or a file: it stays where nothing is filled in.
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
    way: WizardView,
    draft: Draft,
    shown: Vec<String>,
}

#[derive(Template)]
#[template(path = "wizard-connection.html")]
struct ConnectionPage {
    frame: Frame,
    way: WizardView,
    fields: Vec<Field>,
    setup: Vec<String>,
    shown: Vec<String>,
}

#[derive(Template)]
#[template(path = "wizard-permissions.html")]
struct PermissionsPage {
    frame: Frame,
    way: WizardView,
    checked: Checked,
}

#[derive(Template)]
#[template(path = "wizard-options.html")]
struct OptionsPage {
    frame: Frame,
    way: WizardView,
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
    let mut names =
        (1..).map(|number| if number == 1 { connector.clone() } else { format!("{connector}-{number}") });
    let name = names.find(|name| !web.supervisor.is_taken(name)).unwrap_or_default();
    let draft = Draft { name, connector, ..Draft::default() };
    go(&web, &session, draft, manifest, None)
}

async fn edit(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Path(name): Path<String>,
    _: Posted,
) -> Result<Response, PageError> {
    let original = web.supervisor.original(&name)?;
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
    let filling = web.drafts.find(&id, &session)?;
    let way = WizardView::new(&id, step, &filling);
    // Without an answer of the vendor there is nothing to show: the connection comes first.
    if step == Step::Permissions && filling.checked.is_none() {
        return Ok(to(&id, Step::Connection));
    }
    Ok(step_page(&session, way, &filling))
}

async fn send(
    State(web): State<Arc<Web>>,
    Extension(session): Signed,
    Path((id, step)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, PageError> {
    let step = Step::find(&step).ok_or_else(|| PageError::missing("there is no such step"))?;
    let mut filling = web.drafts.find(&id, &session)?;
    let sent = match step {
        Step::About => fill_about(&web, &mut filling, &posted),
        Step::Connection => connect(&web, &mut filling, &posted).await,
        Step::Permissions => Ok(()),
        Step::Options => finish(&web, &mut filling, &posted).await,
    };
    // What was typed stays, also where it is wrong.
    web.drafts.keep(&id, filling.clone());
    match (sent, step) {
        (Err(refused), _) => {
            let way = WizardView::new(&id, step, &filling).refused(refused);
            let mut answer = step_page(&session, way, &filling);
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

fn wrong(problems: Vec<FieldProblem>) -> Result<(), ActionError> {
    if problems.is_empty() { Ok(()) } else { Err(ActionError::Fields(problems)) }
}

fn fill_about(web: &Web, filling: &mut DraftSession, posted: &Posted) -> Result<(), ActionError> {
    let draft = &mut filling.draft;
    if filling.original.is_none() && draft.name != posted.field("name") {
        posted.field("name").clone_into(&mut draft.name);
        // They were sealed for the name before.
        draft.sealed.clear();
        filling.checked = None;
    }
    let owners = posted.field("secondary-owners").split(',').map(str::trim).filter(|owner| !owner.is_empty());
    draft.about = About {
        description: posted.field("description").to_owned(),
        owner: posted.field("owner").to_owned(),
        secondary_owners: owners.map(str::to_owned).collect(),
        review: std::mem::take(&mut draft.about.review),
    };
    let mut problems = draft.problems(&filling.manifest, Some(Part::About));
    if filling.original.is_none() && web.supervisor.is_taken(&draft.name) {
        let reason = "is taken by another integration".to_owned();
        problems.push(FieldProblem { field: "name".to_owned(), reason });
    }
    wrong(problems)
}

/// Takes the values of these settings from a form.
fn fill_settings(
    web: &Web,
    filling: &mut DraftSession,
    posted: &Posted,
    required: bool,
) -> Result<(), ActionError> {
    let manifest = Arc::clone(&filling.manifest);
    let specs = || manifest.settings.iter().filter(|spec| spec.required == required);
    for spec in specs().filter(|spec| spec.kind != SettingKind::Secret) {
        fill_setting(&mut filling.draft, spec, posted);
    }
    let elsewhere = leave_secrets(filling);
    let mut problems = Vec::new();
    for spec in specs().filter(|spec| spec.kind == SettingKind::Secret) {
        // As it was typed: white space around it is told, and not removed in silence. Blank keeps what is there.
        let secret = posted.raw(&field_of(spec));
        if !secret.is_empty()
            && let Err(refused) = web.supervisor.seal(&mut filling.draft, &manifest, &spec.name, secret)
        {
            match refused {
                ActionError::Fields(wrong) => problems.extend(wrong),
                other => return Err(other),
            }
        }
    }
    let part = if required { Part::Connection } else { Part::Options };
    // What was wrong with a secret says more than that it is missing.
    let known: Vec<_> = problems.iter().map(|problem: &FieldProblem| problem.field.clone()).collect();
    let others = filling.draft.problems(&manifest, Some(part));
    problems.extend(others.into_iter().filter(|problem| !known.contains(&problem.field)));
    for problem in &mut problems {
        let left = elsewhere.iter().any(|spec| field_of(spec) == problem.field);
        if left && !known.contains(&problem.field) {
            problem.reason =
                "is required again: what was kept is for another address, and is sent to no other".to_owned();
        }
    }
    wrong(problems)
}

/// The name of a setting's field.
fn field_of(spec: &SettingSpec) -> String {
    format!("settings.{}", spec.name)
}

/// Takes the value of a setting that is no secret.
fn fill_setting(draft: &mut Draft, spec: &SettingSpec, posted: &Posted) {
    let field = field_of(spec);
    if !posted.has(&field) {
        return;
    }
    let value = posted.field(&field);
    // A value from a variable or a file stays, unless there is another one.
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

/// Somebody who may change an integration must not learn its secrets: those of the file stay only where the connector goes
/// to the same hosts as before. Returns those that do not stay.
fn leave_secrets(filling: &mut DraftSession) -> Vec<SettingSpec> {
    let Some(original) = &filling.original else { return Vec::new() };
    let draft = &mut filling.draft;
    let hosts = filling.manifest.hosts.iter().filter_map(|rule| match rule {
        HostRule::Setting(name) => Some(name),
        HostRule::Name(_) => None,
    });
    let mut hosts = hosts.map(|name| {
        let of = |draft: &Draft| (draft.settings.get(name).cloned(), draft.kept.contains(name));
        of(draft) == of(&original.draft)
    });
    let same = hosts.all(|same| same);
    let secrets = filling.manifest.settings.iter().filter(|spec| spec.kind == SettingKind::Secret);
    let mut left = Vec::new();
    for spec in secrets.filter(|spec| original.draft.kept.contains(&spec.name)) {
        if same && !draft.sealed.contains_key(&spec.name) {
            draft.kept.insert(spec.name.clone());
        } else if !same {
            draft.kept.remove(&spec.name);
            left.push(spec.clone());
        }
    }
    left
}

async fn connect(web: &Web, filling: &mut DraftSession, posted: &Posted) -> Result<(), ActionError> {
    filling.checked = None;
    fill_settings(web, filling, posted, true)?;
    let checked = web.supervisor.check_draft(&filling.draft, filling.original.as_ref()).await?;
    filling.checked = Some(checked);
    Ok(())
}

async fn finish(web: &Web, filling: &mut DraftSession, posted: &Posted) -> Result<(), ActionError> {
    let draft = &mut filling.draft;
    draft.interval = posted.field("interval").to_owned();
    draft.cron = posted.field("cron").to_owned();
    let mut problems = Vec::new();
    let mut problem = |field: &str, reason: String| {
        problems.push(FieldProblem { field: field.to_owned(), reason });
    };
    filling.options = Options {
        streams: posted.all("streams").map(str::to_owned).collect(),
        reviewers: posted.field("reviewers").to_owned(),
    };
    let Options { streams, reviewers } = &filling.options;
    if streams.is_empty() {
        problem("streams", "has nothing to read: select one object type at least".to_owned());
    }
    let all = filling.manifest.streams.iter().all(|spec| streams.contains(&spec.name));
    draft.streams = if all { Vec::new() } else { streams.clone() };
    let count = if reviewers.is_empty() { None } else { reviewers.parse().ok() };
    if count.is_none() && !reviewers.is_empty() {
        problem("reviewers", format!("takes a number from 1 to {MOST_REVIEWERS}"));
    }
    let precedence = posted.all("precedence").filter_map(Reviewer::find).collect();
    draft.about.review = Review { precedence, reviewers: count };
    match fill_settings(web, filling, posted, false) {
        Err(ActionError::Fields(others)) => problems.extend(others),
        other => other?,
    }
    wrong(problems)?;
    web.supervisor.save_draft(&filling.draft, filling.original.as_ref()).await
}

fn fields(filling: &DraftSession, required: bool) -> Vec<Field> {
    let specs = filling.manifest.settings.iter().filter(|spec| spec.required == required);
    let field = |spec: &SettingSpec| {
        let draft = &filling.draft;
        let is_set = draft.kept.contains(&spec.name) || draft.sealed.contains_key(&spec.name);
        let default = spec.default.clone().unwrap_or_default();
        // Never a secret.
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
fn step_page(session: &Session, way: WizardView, filling: &DraftSession) -> Response {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let (frame, draft) = (Frame::new(session), filling.draft.clone());
    match way.step {
        Step::About => page::show(&AboutPage { frame, way, draft, shown: names(&["name", "owner"]) }),
        Step::Connection => {
            let fields = fields(filling, true);
            let shown = fields.iter().map(|field| field.name.clone()).collect();
            page::show(&ConnectionPage { frame, way, fields, shown, setup: filling.manifest.setup.clone() })
        }
        Step::Permissions => match filling.checked.clone() {
            Some(checked) => page::show(&PermissionsPage { frame, way, checked }),
            None => to(&way.id, Step::Connection),
        },
        Step::Options => {
            let fields = fields(filling, false);
            let mut shown: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
            shown.extend(names(&["interval", "cron", "streams", "reviewers", "precedence"]));
            let selected = |name: &String| filling.options.streams.contains(name);
            let streams = filling.manifest.streams.iter();
            let streams =
                streams.map(|stream| (stream.name.clone(), stream.title.clone(), selected(&stream.name)));
            page::show(&OptionsPage {
                frame,
                way,
                fields,
                draft,
                streams: streams.collect(),
                reviewers: Reviewer::ALL,
                how_many: filling.options.reviewers.clone(),
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

/// Whether this is the reviewer at a place.
fn is_reviewer(draft: &Draft, place: &usize, reviewer: &Reviewer) -> bool {
    draft.about.review.precedence.get(*place) == Some(reviewer)
}
