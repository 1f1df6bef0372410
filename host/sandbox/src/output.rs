//! All that a guest returns passes through here before the host uses it: secrets are removed, error texts are put on one
//! line, and long texts are cut.
//!
//! A cut text ends with `…`, and a problem of the page names it. Keys are not cut, because two objects could become one: a
//! page with a longer key is refused, and so is a page of too many parts.

use crate::capabilities::Redactor;
use crate::contract::api::{Access, Error, ErrorKind, Page, Progress, Report};
use crate::contract::types::{
    Account, Application, Attribute, AttributeValue, Authenticator, BypassCode, Connection, Entity,
    EntityRef, Identity, NormalForm, Policy, Problem, Relation, Resource, Usage,
};
use crate::fault::Fault;
use crate::text::{plain, plain_within};

/// The longest key of an object, name, or message of a problem, in bytes. Vendors allow 255 characters or fewer.
const LONGEST_NAME: usize = 1 << 10;
/// The longest other text of an object, in bytes.
const LONGEST_VALUE: usize = 64 << 10;
/// The longest name of an account, in bytes.
const LONGEST_ACCOUNT: usize = 256;
/// The most rows of a report, and permissions of an error: those of a manifest.
const MOST_ROWS: usize = crate::manifest::MOST;
/// The most objects and texts of a page. A page of 300 users, each in a hundred groups, has 200,000.
const MOST_PARTS: usize = 500_000;

/// Removes the secrets of an error, and puts its texts on one line of at most 4 KiB.
pub(crate) fn error(redactor: &Redactor, error: &mut Error) {
    let Error { kind, code, message, remedy, detail } = error;
    for text in [Some(message), code.as_mut(), remedy.as_mut(), detail.as_mut()].into_iter().flatten() {
        *text = plain(&redactor.text(text));
    }
    match kind {
        ErrorKind::InvalidSetting(name) => line(redactor, name, LONGEST_NAME),
        ErrorKind::MissingPermission(permissions) => {
            permissions.truncate(MOST_ROWS);
            permissions.iter_mut().for_each(|permission| line(redactor, permission, LONGEST_NAME));
        }
        ErrorKind::Unauthenticated
        | ErrorKind::NotInEdition
        | ErrorKind::RateLimited(_)
        | ErrorKind::Unavailable(_)
        | ErrorKind::InvalidPosition
        | ErrorKind::Unexpected => {}
    }
}

/// Removes the secrets of a report, and puts its texts on one line.
pub(crate) fn report(redactor: &Redactor, report: &mut Report) {
    let Report { account, streams } = report;
    account.iter_mut().for_each(|account| line(redactor, account, LONGEST_ACCOUNT));
    streams.truncate(MOST_ROWS);
    for row in streams {
        line(redactor, &mut row.stream, LONGEST_NAME);
        if let Access::Refused(refused) = &mut row.access {
            error(redactor, refused);
        }
    }
}

fn line(redactor: &Redactor, text: &mut String, longest: usize) {
    *text = plain_within(&redactor.text(text), longest);
}

/// Removes the secrets of a page, and cuts its texts.
///
/// # Errors
///
/// [`Fault::Breach`] when it has a key that is too long, or too many parts.
pub(crate) fn page(redactor: &Redactor, page: &mut Page) -> Result<(), Fault> {
    let mut cleaner = Cleaner { redactor, parts: 0, cut: Vec::new(), long_key: None };
    let Page { entities, relations, usages, problems, progress, total: _, window: _ } = page;
    let mut cut = Vec::new();
    for entity in entities {
        cleaner.entity(entity);
        cut.extend(cleaner.cut.drain(..).map(|(field, bytes)| problem_of(&entity.source_id, field, bytes)));
    }
    for relation in relations {
        cleaner.relation(relation);
        let key = &relation.parent.source_id;
        cut.extend(cleaner.cut.drain(..).map(|(field, bytes)| problem_of(key, field, bytes)));
    }
    for usage in usages {
        cleaner.usage(usage);
        let key = &usage.resource.source_id;
        cut.extend(cleaner.cut.drain(..).map(|(field, bytes)| problem_of(key, field, bytes)));
    }
    for Problem { source_id, field, message } in problems.iter_mut() {
        cleaner.parts += 1;
        for text in [Some(message), source_id.as_mut(), field.as_mut()].into_iter().flatten() {
            line(redactor, text, LONGEST_NAME);
        }
    }
    problems.append(&mut cut);
    match progress {
        Progress::More(cursor) | Progress::Done(Some(cursor)) => redactor.clean(cursor),
        Progress::Done(None) => {}
    }
    if let Some(bytes) = cleaner.long_key {
        let reason = format!("a key has {bytes} bytes, more than the {LONGEST_NAME} that a key may have");
        return Err(Fault::Breach { reason });
    }
    if cleaner.parts > MOST_PARTS {
        let reason = format!(
            "a page has {} objects and texts, more than the {MOST_PARTS} that a page may have",
            cleaner.parts
        );
        return Err(Fault::Breach { reason });
    }
    Ok(())
}

fn problem_of(key: &str, field: String, bytes: usize) -> Problem {
    let message = format!("`{field}` has {bytes} bytes; the rest was cut off");
    Problem { source_id: Some(key.to_owned()), field: Some(field), message }
}

/// Cleans the texts of a page. It names all fields of each type, so that a new field of the contract does not compile until
/// it is handled here.
struct Cleaner<'a> {
    redactor: &'a Redactor,
    /// Objects and texts so far.
    parts: usize,
    /// The fields of the present object that were cut, and their bytes before.
    cut: Vec<(String, usize)>,
    /// The bytes of a key that is too long.
    long_key: Option<usize>,
}

impl Cleaner<'_> {
    fn key(&mut self, key: &mut String) {
        self.parts += 1;
        self.redactor.clean(key);
        if key.len() > LONGEST_NAME {
            self.long_key = Some(key.len());
        }
    }

    fn name(&mut self, field: &str, name: &mut String) {
        self.within(field, name, LONGEST_NAME);
    }

    fn values<'a>(&mut self, field: &str, values: impl IntoIterator<Item = &'a mut String>) {
        for value in values {
            self.within(field, value, LONGEST_VALUE);
        }
    }

    fn within(&mut self, field: &str, text: &mut String, longest: usize) {
        self.parts += 1;
        self.redactor.clean(text);
        if text.len() > longest {
            self.cut.push((field.to_owned(), text.len()));
            text.truncate(text.floor_char_boundary(longest));
            text.push('…');
        }
    }

    fn entity(&mut self, entity: &mut Entity) {
        let Entity { source_type, source_id, name, normal, attributes } = entity;
        self.key(source_type);
        self.key(source_id);
        self.name("name", name);
        self.normal(normal);
        self.attributes(attributes);
    }

    fn relation(&mut self, relation: &mut Relation) {
        let Relation { parent, privilege, privilege_value: _, child, attributes } = relation;
        self.reference(parent);
        self.reference(child);
        self.key(privilege);
        self.attributes(attributes);
    }

    fn usage(&mut self, usage: &mut Usage) {
        let Usage { identity, identity_name, resource, resource_name, last_success: _, last_attempt } = usage;
        identity.iter_mut().for_each(|identity| self.reference(identity));
        self.reference(resource);
        for (field, name) in [("identity_name", identity_name), ("resource_name", resource_name)] {
            name.iter_mut().for_each(|name| self.name(field, name));
        }
        let results = last_attempt.iter_mut().filter_map(|attempt| attempt.vendor_result.as_mut());
        results.for_each(|result| self.name("vendor_result", result));
    }

    fn reference(&mut self, reference: &mut EntityRef) {
        let EntityRef { entity_type: _, source_type, source_id } = reference;
        self.key(source_type);
        self.key(source_id);
    }

    fn attributes(&mut self, attributes: &mut [Attribute]) {
        for Attribute { name, value } in attributes {
            self.key(name);
            match value {
                AttributeValue::Text(text) => self.values(name, [text]),
                AttributeValue::Texts(texts) => self.values(name, texts),
                AttributeValue::Boolean(_)
                | AttributeValue::Integer(_)
                | AttributeValue::Number(_)
                | AttributeValue::Timestamp(_) => {}
            }
        }
    }

    fn normal(&mut self, normal: &mut NormalForm) {
        match normal {
            NormalForm::Identity(identity) => self.identity(identity),
            NormalForm::Connection(Connection {
                kind: _,
                description,
                status: _,
                vendor_status,
                mfa_state: _,
                is_privileged: _,
                created: _,
            }) => {
                self.values("description", description);
                self.values("vendor_status", vendor_status);
            }
            NormalForm::Resource(resource) => self.resource(resource),
        }
    }

    fn identity(&mut self, identity: &mut Identity) {
        let Identity {
            kind: _,
            username,
            display_name,
            given_name,
            family_name,
            emails,
            aliases,
            external_id,
            directory_key,
            status: _,
            vendor_status,
            status_reason,
            mfa_state: _,
            is_privileged: _,
            created: _,
            last_login: _,
        } = identity;
        for (field, name) in [
            ("username", username),
            ("display_name", display_name),
            ("given_name", given_name),
            ("family_name", family_name),
            ("external_id", external_id),
            ("directory_key", directory_key),
            ("vendor_status", vendor_status),
        ] {
            name.iter_mut().for_each(|name| self.name(field, name));
        }
        self.values("status_reason", status_reason);
        emails.iter_mut().for_each(|email| self.name("emails", email));
        aliases.iter_mut().for_each(|alias| self.name("aliases", alias));
    }

    fn resource(&mut self, resource: &mut Resource) {
        match resource {
            Resource::Application(Application {
                application_type,
                user_access: _,
                self_service: _,
                policy_key,
            }) => {
                self.values("application_type", application_type);
                policy_key.iter_mut().for_each(|key| self.key(key));
            }
            Resource::Authenticator(Authenticator {
                factor: _,
                phishing_resistant: _,
                platform,
                model,
                activated: _,
                added: _,
                last_seen: _,
            }) => {
                self.values("platform", platform);
                self.values("model", model);
            }
            Resource::BypassCode(BypassCode { created: _, expires: _, uses_left: _, issued_by }) => {
                self.values("issued_by", issued_by);
            }
            Resource::Policy(Policy { is_global: _ }) | Resource::Other => {}
            Resource::Account(Account { edition }) => self.values("edition", edition),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Zh5eGmUq9zpf/nyUIu5OL9i\"WoMMv5ZNmk3zLJ4E";

    fn redactor() -> Redactor {
        Redactor::new([SECRET].into_iter())
    }

    fn page_of(entities: Vec<Entity>) -> Page {
        Page {
            entities,
            relations: vec![],
            usages: vec![],
            problems: vec![],
            progress: Progress::Done(None),
            total: None,
            window: None,
        }
    }

    fn application(key: &str, name: &str, attributes: Vec<Attribute>) -> Entity {
        Entity {
            source_type: "application".to_owned(),
            source_id: key.to_owned(),
            name: name.to_owned(),
            normal: NormalForm::Resource(Resource::Other),
            attributes,
        }
    }

    #[test]
    fn a_secret_in_any_part_of_a_page_is_blanked_out() {
        use crate::contract::types::{Attribute, Entity, EntityType, Problem, Relation};
        let reference = || EntityRef {
            entity_type: EntityType::Resource,
            source_type: "application".to_owned(),
            source_id: SECRET.to_owned(),
        };
        let attributes = || {
            vec![
                Attribute { name: "key".to_owned(), value: AttributeValue::Text(SECRET.to_owned()) },
                Attribute { name: "keys".to_owned(), value: AttributeValue::Texts(vec![SECRET.to_owned()]) },
            ]
        };
        let mut page = Page {
            entities: vec![Entity {
                source_type: "application".to_owned(),
                source_id: SECRET.to_owned(),
                name: format!("VPN {SECRET}"),
                normal: NormalForm::Resource(Resource::Account(crate::contract::types::Account {
                    edition: Some(SECRET.to_owned()),
                })),
                attributes: attributes(),
            }],
            relations: vec![Relation {
                parent: reference(),
                privilege: SECRET.to_owned(),
                privilege_value: true,
                child: reference(),
                attributes: attributes(),
            }],
            usages: vec![],
            problems: vec![Problem {
                source_id: Some(SECRET.to_owned()),
                field: Some(SECRET.to_owned()),
                message: SECRET.to_owned(),
            }],
            progress: Progress::More(SECRET.to_owned()),
            total: None,
            window: None,
        };
        super::page(&redactor(), &mut page).unwrap();
        assert!(!format!("{page:?}").contains("UIu5OL9i"), "{page:?}");
    }

    #[test]
    fn a_long_name_is_cut_and_named_and_a_long_key_refused() {
        let long = "ü".repeat(4000);
        let text =
            |value: String| vec![Attribute { name: "note".to_owned(), value: AttributeValue::Text(value) }];
        let mut cut = page_of(vec![
            application("a", &long, text("x".repeat(70_000))),
            application("b", "b", text("x".repeat(60_000))),
        ]);
        super::page(&redactor(), &mut cut).unwrap();
        assert_eq!(cut.entities[0].name.len(), LONGEST_NAME + '…'.len_utf8());
        let told: Vec<_> =
            cut.problems.iter().map(|one| (one.source_id.as_deref(), one.message.as_str())).collect();
        let expected = [
            (Some("a"), "`name` has 8000 bytes; the rest was cut off"),
            (Some("a"), "`note` has 70000 bytes; the rest was cut off"),
        ];
        assert_eq!(told, expected);
        let mut refused = page_of(vec![application(&long, "a", vec![])]);
        let error = super::page(&redactor(), &mut refused).unwrap_err().to_string();
        assert!(error.contains("a key has 8000 bytes, more than the 1024"), "{error}");
    }

    #[test]
    fn a_page_of_too_many_parts_is_refused() {
        let texts = AttributeValue::Texts(vec![String::new(); MOST_PARTS]);
        let mut large =
            page_of(vec![application("a", "a", vec![Attribute { name: "x".to_owned(), value: texts }])]);
        let error = super::page(&Redactor::default(), &mut large).unwrap_err().to_string();
        assert!(error.contains("objects and texts, more than the 500000"), "{error}");
    }

    #[test]
    fn the_words_of_an_error_and_a_report_are_one_line_each_and_bounded() {
        let hostile = format!("a\nerror: forged\u{202e}\u{2028}{}", "x".repeat(60_000));
        let mut failed = Error {
            kind: ErrorKind::MissingPermission(vec![hostile.clone(); 300]),
            code: Some(hostile.clone()),
            message: hostile.clone(),
            remedy: Some(hostile.clone()),
            detail: Some(hostile.clone()),
        };
        super::error(&redactor(), &mut failed);
        let text = format!("{failed:?}");
        assert!(
            !text.contains("\\n") && !text.contains("202e") && !text.contains("2028"),
            "{}",
            &text[..200]
        );
        assert!(failed.message.len() <= 4096 + '…'.len_utf8() && failed.message.ends_with('…'));
        assert!(failed.message.starts_with("a error: forged  x"), "{}", &failed.message[..40]);
        assert!(matches!(&failed.kind, ErrorKind::MissingPermission(all) if all.len() == MOST_ROWS));
        let mut long = Report { account: Some(hostile), streams: vec![] };
        super::report(&redactor(), &mut long);
        let account = long.account.unwrap();
        assert!(account.len() <= LONGEST_ACCOUNT + '…'.len_utf8() && account.ends_with('…'), "{account}");
    }

    #[test]
    #[ignore = "measures; run it with `--release --nocapture`"]
    fn cost_of_cleaning_a_page_of_300_users() {
        let attribute = |number: usize| Attribute {
            name: format!("attribute_{number}"),
            value: AttributeValue::Text(format!(
                "A value of some words, number {number}, as vendors have them"
            )),
        };
        let users = (0..300).map(|number| {
            let name = format!("Zoë Example {number}");
            application(&format!("DU{number:018}"), &name, (0..25).map(attribute).collect())
        });
        let users: Vec<_> = users.collect();
        for redactor in [Redactor::default(), redactor()] {
            let mut pages = vec![page_of(users.clone()); 100];
            let start = std::time::Instant::now();
            pages.iter_mut().for_each(|one| super::page(&redactor, one).unwrap());
            println!("{:?} a page", start.elapsed() / 100);
        }
    }
}
