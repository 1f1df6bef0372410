//! Each field of each object, replaced in turn by values that it is not documented to have.
//!
//! The walk goes through the JSON of the samples, so a field that is added to a sample is covered as well.

use super::*;
use crate::contract::{AttributeValue, Problem, Usage};

/// 2018-12-23T22:59:21Z, in seconds.
const TIME: i64 = 1_545_605_961;

/// Where the objects of an answer are.
#[derive(Clone, Copy)]
enum Shape {
    /// `response` is the list.
    List,
    /// A list inside `response`.
    Inside(&'static str),
    /// `response` is the object.
    Single,
}

/// The objects of a stream.
struct Sample {
    stream: &'static str,
    /// The name of the fixture.
    fixture: &'static str,
    shape: Shape,
    /// The source type of an object and the path of its key; `None` if the object itself is no entity.
    own: Option<(&'static str, &'static str)>,
    /// The fields by which two objects differ.
    distinct: &'static [&'static str],
}

const fn list(
    stream: &'static str,
    fixture: &'static str,
    own: &'static str,
    distinct: &'static [&'static str],
) -> Sample {
    Sample { stream, fixture, shape: Shape::List, own: Some((own, distinct[0])), distinct }
}

const SAMPLES: &[Sample] = &[
    list("users", "users-every-field", "user", &["/user_id", "/u2ftokens/0/registration_id"]),
    list("groups", "groups-every-field", "group", &["/group_id"]),
    list("phones", "phones-every-field", "phone", &["/phone_id"]),
    list("hardware-tokens", "hardware-tokens-every-field", "hardware-token", &["/token_id"]),
    list(
        "webauthn-credentials",
        "webauthn-credentials-every-field",
        "webauthn-credential",
        &["/webauthnkey"],
    ),
    list(
        "desktop-authenticators",
        "desktop-authenticators-every-field",
        "desktop-authenticator",
        &["/dakey"],
    ),
    list(
        "desktop-authenticators",
        "desktop-authenticators-other-names",
        "desktop-authenticator",
        &["/dakey"],
    ),
    list("bypass-codes", "bypass-codes-every-field", "bypass-code", &["/bypass_code_id"]),
    list("applications", "applications-every-field", "application", &["/integration_key"]),
    list("applications", "applications-v1-2022", "application", &["/integration_key"]),
    list("policies", "policies-every-field", "policy", &["/policy_key"]),
    list(
        "administrators",
        "administrators-every-field",
        "administrator",
        &["/admin_id", "/role", "/webauthncredentials/0/webauthnkey"],
    ),
    list(
        "administrative-units",
        "administrative-units-every-field",
        "administrative-unit",
        &["/admin_unit_id"],
    ),
    Sample {
        stream: "policies",
        fixture: "policies-summary-documented",
        shape: Shape::Inside("policies"),
        own: None,
        distinct: &["/policy_key"],
    },
    Sample {
        stream: "account",
        fixture: "account-every-field",
        shape: Shape::Single,
        own: Some(("account", "")),
        distinct: &[],
    },
    Sample {
        stream: "application-usage",
        fixture: "application-usage-2026",
        shape: Shape::Inside("authlogs"),
        own: None,
        distinct: &["/txid", "/application/key", "/user/key"],
    },
];

/// What each field is replaced by.
fn replacements() -> Vec<Value> {
    vec![
        json!(0),
        json!(-1),
        json!(TIME * 1000),
        json!(TIME.to_string()),
        json!(1.5),
        Value::Null,
        json!(""),
        json!(" \t"),
        json!({}),
        json!([]),
        json!(true),
        json!("x".repeat(1 << 20)),
        json!("a\u{0}b"),
        json!("a\u{202E}b\u{2066}c"),
    ]
}

impl Sample {
    /// The objects of the fixture.
    fn objects(&self) -> Vec<Value> {
        let (.., body) = FIXTURES.iter().find(|(_, name, _)| *name == self.fixture).unwrap();
        let response = serde_json::from_str::<Value>(body).unwrap()["response"].take();
        match self.shape {
            Shape::List => response.as_array().unwrap().clone(),
            Shape::Inside(name) => response[name].as_array().unwrap().clone(),
            Shape::Single => vec![response],
        }
    }

    /// The page with these objects, and the number of requests that it took. `whole` answers a request for one object.
    fn page(&self, objects: &[Value], whole: &Value) -> (Page, usize) {
        let count = json!({ "total_objects": objects.len() });
        let body = match self.shape {
            Shape::List => json!({ "stat": "OK", "response": objects, "metadata": count }),
            Shape::Inside(name) => json!({ "stat": "OK", "response": { name: objects, "metadata": count } }),
            Shape::Single => json!({ "stat": "OK", "response": objects[0] }),
        };
        let main = response(200, &[], &body.to_string());
        let one = response(200, &[], &json!({ "stat": "OK", "response": whole }).to_string());
        let codes = self.stream == "bypass-codes";
        let host = TestHost::with(move |request| {
            Ok(match request.url.as_str() {
                url if codes && url.contains("/admin/v1/admins?") => response(200, &[], ADMINISTRATORS),
                url if url.contains("/administrative_units/") => one.clone(),
                _ => main.clone(),
            })
        });
        let page = read(&host, &settings(), self.stream, &position_of(self.fixture)).unwrap();
        let requests = host.requests.borrow().len();
        (page, requests)
    }
}

/// What one object adds to a page.
#[derive(Clone, Debug, Default, PartialEq)]
struct Contribution {
    entities: Vec<Entity>,
    relations: Vec<Relation>,
    usages: Vec<Usage>,
}

/// An object between two others.
struct Reading {
    contribution: Contribution,
    problems: Vec<Problem>,
    requests: usize,
}

/// Removes `parts` from `all`, each once; panics if one is not there.
fn remove_all<T: PartialEq + std::fmt::Debug>(all: &mut Vec<T>, parts: &[T], context: &str) {
    for part in parts {
        let place = all.iter().position(|one| one == part);
        all.remove(place.unwrap_or_else(|| panic!("{context}: a neighbour changed: no {part:?}")));
    }
}

/// A sample's object, and its neighbours.
struct Trial<'a> {
    sample: &'a Sample,
    object: Value,
    neighbours: Vec<Value>,
    alone: Page,
}

impl<'a> Trial<'a> {
    fn new(sample: &'a Sample, object: Value) -> Self {
        let neighbour = |number: u32| {
            let mut neighbour = object.clone();
            for path in sample.distinct {
                if let Some(value) = neighbour.pointer_mut(path) {
                    *value = json!(format!("NEIGHBOUR{number}"));
                }
            }
            neighbour
        };
        let neighbours: Vec<Value> = match sample.shape {
            Shape::Single => Vec::new(),
            Shape::List | Shape::Inside(_) => vec![neighbour(1), neighbour(2)],
        };
        let alone = match sample.shape {
            Shape::Single => crate::streams::list::empty_page(Progress::Done(None)),
            Shape::List | Shape::Inside(_) => sample.page(&neighbours, &object).0,
        };
        Self { sample, object, neighbours, alone }
    }

    /// Reads `object` between the neighbours, which must be as they are without it.
    fn read(&self, object: &Value, context: &str) -> Reading {
        let mut objects = self.neighbours.clone();
        objects.insert(objects.len() / 2, object.clone());
        let (mut page, requests) = self.sample.page(&objects, &self.object);
        remove_all(&mut page.entities, &self.alone.entities, context);
        remove_all(&mut page.relations, &self.alone.relations, context);
        remove_all(&mut page.usages, &self.alone.usages, context);
        let Page { entities, relations, usages, problems, .. } = page;
        Reading { contribution: Contribution { entities, relations, usages }, problems, requests }
    }

    /// Whether `value` is taken at `path` without a problem.
    fn takes(&self, path: &str, value: &Value) -> bool {
        !names(&self.read(&self.with(path, Some(value)), path).problems, path)
    }

    /// The object with `value` at `path`; without the member or element if there is no value.
    fn with(&self, path: &str, value: Option<&Value>) -> Value {
        let mut object = self.object.clone();
        match value {
            Some(value) => *object.pointer_mut(path).unwrap() = value.clone(),
            None => {
                let (parent, name) = path.rsplit_once('/').unwrap();
                match object.pointer_mut(parent).unwrap() {
                    Value::Object(members) => drop(members.remove(name)),
                    Value::Array(elements) => drop(elements.remove(name.parse().unwrap())),
                    scalar => panic!("{scalar} has no members"),
                }
            }
        }
        object
    }
}

/// The paths of all members and elements below `value`.
fn paths(value: &Value, at: &str, paths_so_far: &mut Vec<String>) {
    let members: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(elements) => {
            elements.iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    for (name, value) in members {
        let path = format!("{at}/{name}");
        paths(value, &path, paths_so_far);
        paths_so_far.push(path);
    }
}

/// How often `text` is in the values of `contribution`.
fn occurrences(contribution: &Contribution, text: &str) -> usize {
    format!("{contribution:?}").matches(text).count()
}

/// The texts of which one is in a contribution that has the value `value`.
fn renderings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![format!("{text:?}").trim_matches('"').to_owned()],
        Value::Number(_) | Value::Bool(_) => [("\"", "\""), ("(", ")"), ("=", "\"")]
            .map(|(begin, end)| format!("{begin}{value}{end}"))
            .to_vec(),
        _ => Vec::new(),
    }
}

/// The documented values that mean the same as `value`.
fn documented(value: &Value) -> Vec<Value> {
    match value {
        Value::Bool(yes) => vec![json!(i64::from(*yes)), json!(yes.to_string())],
        Value::Number(number) => match number.as_i64() {
            Some(0) => vec![json!(false)],
            Some(number) if number > TIME => vec![json!(number / 1000)],
            Some(_) => Vec::new(),
            None => vec![json!(1)],
        },
        Value::String(text) => text.parse::<i64>().map(|number| json!(number)).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Whether the vendor gives no value by `value`.
fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// Whether it is a list or an object without contents.
fn is_empty(value: &Value) -> bool {
    value == &json!([]) || value == &json!({})
}

/// Whether it is the time of something that happened.
fn is_time(value: &Value) -> bool {
    let is_text = value.as_str().is_some_and(|text| text.len() >= 19 && text.as_bytes()[10] == b'T');
    value.as_i64().is_some_and(|number| number > TIME / 2) || is_text
}

/// Whether `problems` name a member on `path`.
fn names(problems: &[Problem], path: &str) -> bool {
    let on_path = |name: &str| path.split('/').any(|part| part == name);
    problems.iter().any(|problem| {
        let mut quoted = problem.message.split('`').skip(1).step_by(2);
        problem.field.as_deref().is_some_and(|field| field.split('.').any(on_path))
            || quoted.any(|name| name.split(['[', '.']).any(on_path))
    })
}

/// Whether each key can be kept: it has no control characters, and no white space around it.
fn has_good_keys(contribution: &Contribution) -> bool {
    let entities = contribution.entities.iter().map(|entity| &entity.source_id);
    let ends = contribution.relations.iter().flat_map(|relation| [&relation.parent, &relation.child]);
    let used = contribution.usages.iter().flat_map(|usage| usage.identity.iter().chain([&usage.resource]));
    let mut keys = entities.chain(ends.chain(used).map(|end| &end.source_id));
    keys.all(|key| !key.is_empty() && key.trim() == key && !key.contains(char::is_control))
}

/// The times of what has happened, and those of what will end.
fn times(contribution: &Contribution) -> (Vec<i64>, Vec<i64>) {
    let (mut past, mut ends) = (Vec::new(), Vec::new());
    for entity in &contribution.entities {
        match &entity.normal {
            NormalForm::Identity(identity) => past.extend([identity.created, identity.last_login]),
            NormalForm::Connection(connection) => past.push(connection.created),
            NormalForm::Resource(Resource::Authenticator(authenticator)) => {
                past.extend([authenticator.added, authenticator.last_seen]);
            }
            NormalForm::Resource(Resource::BypassCode(code)) => {
                past.push(code.created);
                if let Expiry::At(end) = code.expires {
                    ends.push(end);
                }
            }
            NormalForm::Resource(_) => {}
        }
        past.extend(entity.attributes.iter().map(|attribute| match attribute.value {
            AttributeValue::Timestamp(time) => Some(time),
            _ => None,
        }));
    }
    for usage in &contribution.usages {
        past.extend([usage.last_success, usage.last_attempt.as_ref().map(|attempt| attempt.at)]);
    }
    (past.into_iter().flatten().collect(), ends)
}

/// Whether each time is possible.
fn has_good_times(contribution: &Contribution) -> bool {
    /// The years 2000 and 10000, in seconds since 1970.
    const YEARS: (i64, i64) = (946_684_800, 253_402_300_800);
    let latest = TestHost::default().now.timestamp() + 2 * 86_400;
    let (past, ends) = times(contribution);
    past.iter().all(|time| (YEARS.0..=latest).contains(time))
        && ends.iter().all(|time| (YEARS.0..YEARS.1).contains(time))
}

/// Whether the object of the sample is on the page: under its key, or, if that was replaced, under the new key.
fn is_there(trial: &Trial<'_>, reading: &Reading, path: &str, value: &Value) -> bool {
    let Some((own, key_path)) = trial.sample.own else { return true };
    let keys = reading.contribution.entities.iter().filter(|entity| entity.source_type == own);
    let mut keys = keys.map(|entity| entity.source_id.as_str());
    match trial.object.pointer(key_path).and_then(Value::as_str) {
        Some(_) if path == key_path => {
            let new = value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned());
            keys.any(|key| key == new) || names(&reading.problems, path)
        }
        Some(key) => keys.any(|found| found == key),
        None => keys.next().is_some(),
    }
}

/// What a field does to a page when it has its own value, and when it is absent.
struct Effects {
    documented: Contribution,
    absent: Contribution,
    requests: usize,
}

/// Whether `reading`, with `value` at `path`, has the right value there, none, or no value and a problem that names the
/// field.
fn is_right(trial: &Trial<'_>, effects: &Effects, reading: &Reading, path: &str, value: &Value) -> bool {
    let own = trial.object.pointer(path).unwrap();
    let is_rendered = renderings(value)
        .iter()
        .any(|text| occurrences(&reading.contribution, text) > occurrences(&effects.absent, text));
    if names(&reading.problems, path) {
        // A policy's setting that is not understood is still listed as text among all its settings.
        return !is_rendered || path.starts_with("/sections/");
    }
    if reading.requests > effects.requests {
        return true;
    }
    let filled = [json!(["x"]), json!({ "x": "x" })];
    let may_be_empty = own.is_array() == value.is_array() && own.is_object() == value.is_object()
        || filled.iter().any(|filled| trial.takes(path, filled));
    if is_empty(value) && may_be_empty {
        return true;
    }
    if reading.contribution == effects.absent {
        let is_unused = effects.documented == effects.absent;
        let is_never = is_time(own) && (value == &json!(0) || value == &json!(-1));
        let is_off = value == &json!(0) && [json!(0), json!(1), json!(true)].contains(own);
        return is_blank(value) || is_unused || is_never || is_off;
    }
    is_rendered
        || (value.is_null() && trial.sample.stream == "bypass-codes")
        || documented(value).iter().any(|same| {
            let object = trial.with(path, Some(same));
            trial.read(&object, path).contribution == reading.contribution
        })
}

#[test]
fn a_field_with_any_value_is_right_absent_or_named_and_nothing_else_changes() {
    let replacements = replacements();
    let mut wrong = Vec::new();
    for sample in SAMPLES {
        for object in sample.objects() {
            let trial = Trial::new(sample, object);
            let whole = trial.read(&trial.object, sample.fixture);
            assert_eq!(whole.problems, [], "{}", sample.fixture);
            let mut all = Vec::new();
            paths(&trial.object, "", &mut all);
            for path in all {
                let absent = trial.read(&trial.with(&path, None), &path);
                let effects = Effects {
                    documented: whole.contribution.clone(),
                    absent: absent.contribution,
                    requests: whole.requests,
                };
                for value in &replacements {
                    let shown: String = value.to_string().chars().take(40).collect();
                    let context = format!("{}: {path} is {shown}", sample.fixture);
                    let reading = trial.read(&trial.with(&path, Some(value)), &context);
                    for (holds, otherwise) in [
                        (is_there(&trial, &reading, &path, value), "the object is not there"),
                        (
                            is_right(&trial, &effects, &reading, &path, value),
                            "neither right, absent nor named",
                        ),
                        (has_good_keys(&reading.contribution), "a key that can't be kept"),
                        (has_good_times(&reading.contribution), "a time that can't be"),
                    ] {
                        if !holds {
                            wrong.push(format!("{context}: {otherwise}"));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_stream_and_each_object_with_every_field_is_a_sample() {
    for spec in describe().streams {
        assert!(SAMPLES.iter().any(|sample| sample.stream == spec.name), "{}", spec.name);
    }
    for (_, name, _) in FIXTURES.iter().filter(|(_, name, _)| name.ends_with("every-field")) {
        assert!(SAMPLES.iter().any(|sample| sample.fixture == *name), "{name}");
    }
}
