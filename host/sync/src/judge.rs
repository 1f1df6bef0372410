//! Removes impossible values from the pages of all connectors. Each one becomes a problem that names its object and its
//! field.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use connector_sandbox::contract::api::{Page, Window};
use connector_sandbox::contract::types::{
    Attribute, AttributeValue, Entity, Expiry, NormalForm, Problem, Resource, Timestamp, Usage,
};

/// 0001-01-01T00:00:00Z, in seconds since 1970. RFC 3339 writes years with four digits.
const YEAR_1: Timestamp = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const YEAR_9999: Timestamp = 253_402_300_799;

/// Removes impossible values from `page`, as of `now`, and adds a problem for each. An object that is on the page in two
/// versions is a problem as well.
pub(crate) fn judge(page: &mut Page, now: DateTime<Utc>) {
    let mut judge = Judge { latest: (now + TimeDelta::days(2)).timestamp(), problems: Vec::new() };
    let mut seen: HashMap<(&str, &str), &Entity> = HashMap::with_capacity(page.entities.len());
    for entity in &page.entities {
        let key = (entity.source_type.as_str(), entity.source_id.as_str());
        if seen.insert(key, entity).is_some_and(|before| format!("{before:?}") != format!("{entity:?}")) {
            let message = format!(
                "this `{}` is on one page twice, with different values; the last one was kept",
                key.0
            );
            judge.problems.push(Problem { source_id: Some(key.1.to_owned()), field: None, message });
        }
    }
    for entity in &mut page.entities {
        judge.entity(entity);
    }
    for relation in &mut page.relations {
        judge.attributes(&relation.child.source_id, &mut relation.attributes);
    }
    for usage in &mut page.usages {
        judge.usage(usage);
    }
    if let Some(window) = page.window.take_if(|window| !judge.is_possible(*window)) {
        judge.problems.push(Problem {
            source_id: None,
            field: Some("window".to_owned()),
            message: format!(
                "`window`: {} to {} is not a possible period; it was left out",
                window.from, window.to
            ),
        });
    }
    page.problems.append(&mut judge.problems);
}

struct Judge {
    /// The latest possible time of a past event, in seconds since 1970. Clocks differ by up to two days.
    latest: Timestamp,
    problems: Vec<Problem>,
}

impl Judge {
    fn entity(&mut self, entity: &mut Entity) {
        let key = entity.source_id.as_str();
        match &mut entity.normal {
            NormalForm::Identity(identity) => {
                self.past(key, "created", &mut identity.created);
                self.past(key, "last_login", &mut identity.last_login);
            }
            NormalForm::Connection(connection) => self.past(key, "created", &mut connection.created),
            NormalForm::Resource(Resource::Authenticator(authenticator)) => {
                self.past(key, "added", &mut authenticator.added);
                self.past(key, "last_seen", &mut authenticator.last_seen);
            }
            NormalForm::Resource(Resource::BypassCode(code)) => {
                self.past(key, "created", &mut code.created);
                if let Expiry::At(time) = code.expires
                    && !(1..=YEAR_9999).contains(&time)
                {
                    code.expires = Expiry::Unknown;
                    self.problem(key, "expires", &format!("{time} is not a possible time of expiry"));
                }
            }
            NormalForm::Resource(_) => {}
        }
        self.attributes(key, &mut entity.attributes);
    }

    /// Whether the log can cover this period: it begins in the past, and its end may be ahead by as much as clocks differ.
    fn is_possible(&self, Window { from, to }: Window) -> bool {
        (1..=to).contains(&from) && to <= self.latest
    }

    fn attributes(&mut self, key: &str, attributes: &mut Vec<Attribute>) {
        attributes.retain(|attribute| {
            let fault = match attribute.value {
                AttributeValue::Timestamp(time) if !(YEAR_1..=YEAR_9999).contains(&time) => {
                    format!("{time} is not a time between the years 1 and 9999")
                }
                AttributeValue::Number(value) if !value.is_finite() => {
                    format!("{value} is not a finite number")
                }
                _ => return true,
            };
            self.problem(key, &attribute.name, &fault);
            false
        });
    }

    fn usage(&mut self, usage: &mut Usage) {
        let key = usage.resource.source_id.as_str();
        self.past(key, "last_success", &mut usage.last_success);
        let mut at = usage.last_attempt.as_ref().map(|attempt| attempt.at);
        self.past(key, "last_attempt", &mut at);
        if at.is_none() {
            usage.last_attempt = None;
        }
    }

    /// Removes a time that can't be that of a past event.
    fn past(&mut self, key: &str, field: &str, time: &mut Option<Timestamp>) {
        if let Some(wrong) = time.take_if(|time| !(1..=self.latest).contains(time)) {
            self.problem(key, field, &format!("{wrong} is not a possible time of a past event"));
        }
    }

    fn problem(&mut self, key: &str, field: &str, fault: &str) {
        self.problems.push(Problem {
            source_id: Some(key.to_owned()),
            field: Some(field.to_owned()),
            message: format!("`{field}`: {fault}; it was left out"),
        });
    }
}

#[cfg(test)]
mod tests {
    use connector_sandbox::contract::api::Progress;
    use connector_sandbox::contract::types::{
        Attempt, AttemptResult, BypassCode, EntityRef, EntityType, Identity, IdentityKind, Relation, Status,
        UsesLeft,
    };

    use super::*;

    const NOW: Timestamp = 1_790_000_000;

    fn judged(entities: Vec<Entity>, usages: Vec<Usage>) -> Page {
        let (relations, problems) = (vec![], vec![]);
        let progress = Progress::Done(None);
        let mut page = Page { entities, relations, usages, problems, progress, total: None, window: None };
        judge(&mut page, DateTime::from_timestamp(NOW, 0).unwrap());
        page
    }

    fn entity(key: &str, normal: NormalForm, attributes: Vec<(&str, AttributeValue)>) -> Entity {
        let attributes =
            attributes.into_iter().map(|(name, value)| Attribute { name: name.to_owned(), value });
        Entity {
            source_type: "thing".to_owned(),
            source_id: key.to_owned(),
            name: key.to_owned(),
            normal,
            attributes: attributes.collect(),
        }
    }

    fn identity(created: Timestamp, last_login: Timestamp) -> NormalForm {
        NormalForm::Identity(Identity {
            kind: IdentityKind::Human,
            username: None,
            display_name: None,
            given_name: None,
            family_name: None,
            emails: vec![],
            aliases: vec![],
            external_id: None,
            directory_key: None,
            status: Status::Active,
            vendor_status: None,
            status_reason: None,
            mfa_state: None,
            is_privileged: None,
            created: Some(created),
            last_login: Some(last_login),
        })
    }

    fn fields(page: &Page) -> Vec<(&str, &str)> {
        let named = page.problems.iter().map(|problem| {
            (problem.source_id.as_deref().unwrap_or_default(), problem.field.as_deref().unwrap_or_default())
        });
        named.collect()
    }

    #[test]
    fn a_time_that_can_not_be_is_left_out_and_named() {
        let day = 86_400;
        for (created, last_login, wrong) in [
            (1, NOW + 2 * day, vec![]),
            (0, NOW, vec![("a", "created")]),
            (-1, NOW + 2 * day + 1, vec![("a", "created"), ("a", "last_login")]),
            (253_402_300_800, i64::MAX, vec![("a", "created"), ("a", "last_login")]),
            (YEAR_1 - 1, i64::MIN, vec![("a", "created"), ("a", "last_login")]),
        ] {
            let page = judged(vec![entity("a", identity(created, last_login), vec![])], vec![]);
            assert_eq!(fields(&page), wrong, "{created} {last_login}");
            let NormalForm::Identity(identity) = &page.entities[0].normal else { panic!() };
            let is_wrong = |field| wrong.contains(&("a", field));
            assert_eq!(
                (identity.created.is_none(), identity.last_login.is_none()),
                (is_wrong("created"), is_wrong("last_login"))
            );
        }
    }

    #[test]
    fn an_expiry_may_lie_ahead_but_not_anywhere() {
        let code = |time| {
            NormalForm::Resource(Resource::BypassCode(BypassCode {
                created: None,
                expires: Expiry::At(time),
                uses_left: UsesLeft::Unknown,
                issued_by: None,
            }))
        };
        let expires = |time| {
            let page = judged(vec![entity("a", code(time), vec![])], vec![]);
            let NormalForm::Resource(Resource::BypassCode(code)) = &page.entities[0].normal else { panic!() };
            (matches!(code.expires, Expiry::At(_)), page.problems.len())
        };
        assert_eq!([NOW * 10, 0, YEAR_9999 + 1].map(expires), [(true, 0), (false, 1), (false, 1)]);
    }

    #[test]
    fn attributes_that_are_no_number_or_no_time_are_left_out_and_named() {
        let attributes = vec![
            ("nan", AttributeValue::Number(f64::NAN)),
            ("infinite", AttributeValue::Number(f64::INFINITY)),
            ("late", AttributeValue::Timestamp(YEAR_9999 + 1)),
            ("early", AttributeValue::Timestamp(YEAR_1 - 1)),
            ("largest", AttributeValue::Integer(i64::MAX)),
            ("half", AttributeValue::Number(0.5)),
        ];
        let page = judged(vec![entity("a", identity(NOW, NOW), attributes)], vec![]);
        assert_eq!(fields(&page), ["nan", "infinite", "late", "early"].map(|field| ("a", field)));
        let kept: Vec<_> =
            page.entities[0].attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        assert_eq!(kept, ["largest", "half"]);
    }

    #[test]
    fn no_usage_lies_in_the_future() {
        let usage = |last_success, at| Usage {
            identity: None,
            identity_name: None,
            resource: EntityRef {
                entity_type: EntityType::Resource,
                source_type: "application".to_owned(),
                source_id: "app".to_owned(),
            },
            resource_name: None,
            last_success: Some(last_success),
            last_attempt: Some(Attempt { at, result: AttemptResult::Success, vendor_result: None }),
        };
        let page = judged(vec![], vec![usage(NOW, NOW), usage(NOW * 1000, NOW * 1000)]);
        assert_eq!(fields(&page), [("app", "last_success"), ("app", "last_attempt")]);
        assert!(page.usages[0].last_attempt.is_some() && page.usages[0].last_success.is_some());
        assert!(page.usages[1].last_attempt.is_none() && page.usages[1].last_success.is_none());
    }

    #[test]
    fn the_attributes_of_relations_are_judged_too() {
        let end = |key: &str| EntityRef {
            entity_type: EntityType::Resource,
            source_type: "thing".to_owned(),
            source_id: key.to_owned(),
        };
        let attribute = |name: &str, value| Attribute { name: name.to_owned(), value };
        let mut page = judged(vec![], vec![]);
        page.relations.push(Relation {
            parent: end("a"),
            privilege: "has".to_owned(),
            privilege_value: true,
            child: end("b"),
            attributes: vec![
                attribute("nan", AttributeValue::Number(f64::NAN)),
                attribute("late", AttributeValue::Timestamp(YEAR_9999 + 1)),
                attribute("on", AttributeValue::Boolean(true)),
            ],
        });
        judge(&mut page, DateTime::from_timestamp(NOW, 0).unwrap());
        assert_eq!(fields(&page), [("b", "nan"), ("b", "late")]);
        assert_eq!(page.relations[0].attributes.len(), 1);
    }

    #[test]
    fn a_period_that_no_log_can_cover_is_left_out_and_named() {
        for (from, to, is_possible) in [
            (NOW - 10, NOW, true),
            (NOW, NOW, true),
            (NOW, NOW - 1, false),
            (0, NOW, false),
            (NOW, NOW + 3 * 86_400, false),
            (i64::MIN, i64::MAX, false),
        ] {
            let mut page = judged(vec![], vec![]);
            page.window = Some(Window { from, to });
            judge(&mut page, DateTime::from_timestamp(NOW, 0).unwrap());
            assert_eq!(page.window.is_some(), is_possible, "{from} {to}");
            let named: &[_] = if is_possible { &[] } else { &[("", "window")] };
            assert_eq!(fields(&page), named, "{from} {to}");
        }
    }

    #[test]
    fn one_object_in_two_versions_on_a_page_is_named() {
        let same = || entity("a", identity(NOW, NOW), vec![]);
        let other = entity("a", identity(NOW, NOW - 1), vec![]);
        assert_eq!(judged(vec![same(), same()], vec![]).problems, []);
        let page = judged(vec![same(), other], vec![]);
        assert!(page.problems[0].message.contains("twice"), "{:?}", page.problems);
    }
}
