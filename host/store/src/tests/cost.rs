//! Measures the cost of a large tenant: the time to write it, and its bytes on the disk. Run by hand, because the numbers
//! depend on the machine: `cargo test --workspace --lib -- --ignored --nocapture cost`.

use std::time::Instant;

use connector_sandbox::contract::types::{
    Attribute, AttributeValue, Authenticator, AuthenticatorFactor, Identity, IdentityKind, MfaState,
};

use super::*;

const USERS: u32 = 100_000;
const PHONES: u32 = 110_000;
const GROUPS: u32 = 2_000;
const APPLICATIONS: u32 = 200;
/// Objects on a page.
const PAGE: usize = 300;

/// A key like those of a vendor: unique, and in no order.
fn key(prefix: &str, number: u32) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    // An odd factor permutes all numbers of 64 bits.
    let mut left = (u64::from(number) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut key = prefix.to_owned();
    for _ in 0..18 {
        key.push(char::from(LETTERS[usize::try_from(left >> 59).unwrap()]));
        left = left.rotate_left(5).wrapping_add(u64::from(number));
    }
    format!("{key}{number}").chars().take(20 + prefix.len()).collect::<String>() + &number.to_string()
}

fn attribute(name: &str, value: AttributeValue) -> Attribute {
    Attribute { name: name.to_owned(), value }
}

fn user(number: u32) -> Entity {
    let name = format!("First{} Last{number}", number % 500);
    let state = match number % 20 {
        0 => MfaState::NotEnrolled,
        1 => MfaState::Bypassed,
        _ => MfaState::Enrolled,
    };
    let time = 1_700_000_000 + i64::from(number) * 600;
    Entity {
        source_type: "user".to_owned(),
        source_id: key("DU", number),
        name: name.clone(),
        normal: NormalForm::Identity(Identity {
            kind: IdentityKind::Human,
            username: Some(format!("user{number}")),
            display_name: Some(name),
            given_name: Some(format!("First{}", number % 500)),
            family_name: Some(format!("Last{number}")),
            emails: vec![format!("user{number}@example.com")],
            aliases: vec![],
            external_id: None,
            directory_key: None,
            status: if number.is_multiple_of(50) { Status::Disabled } else { Status::Active },
            vendor_status: Some("active".to_owned()),
            status_reason: None,
            mfa_state: Some(state),
            is_privileged: Some(false),
            created: Some(time),
            last_login: Some(time + 5_000_000),
        }),
        attributes: vec![
            attribute("is_enrolled", AttributeValue::Boolean(true)),
            attribute("enable_auto_prompt", AttributeValue::Boolean(true)),
            attribute("has_password", AttributeValue::Boolean(false)),
            attribute("last_directory_sync", AttributeValue::Timestamp(time)),
        ],
    }
}

fn phone(number: u32) -> Entity {
    Entity {
        source_type: "phone".to_owned(),
        source_id: key("DP", number),
        name: format!("+1555{number:07}"),
        normal: NormalForm::Resource(Resource::Authenticator(Authenticator {
            factor: AuthenticatorFactor::Phone,
            phishing_resistant: Some(false),
            platform: Some("Apple iOS".to_owned()),
            model: Some("Apple iPhone 15".to_owned()),
            activated: Some(true),
            added: None,
            last_seen: Some(1_760_000_000),
        })),
        attributes: vec![
            attribute("type", AttributeValue::Text("Mobile".to_owned())),
            attribute("encrypted", AttributeValue::Text("Encrypted".to_owned())),
            attribute("capabilities", AttributeValue::Texts(vec!["auto".to_owned(), "push".to_owned()])),
        ],
    }
}

fn relation(
    parent: (EntityType, &str, String),
    privilege: &str,
    child: (EntityType, &str, String),
) -> Relation {
    let reference = |(entity_type, source_type, source_id): (EntityType, &str, String)| EntityRef {
        entity_type,
        source_type: source_type.to_owned(),
        source_id,
    };
    Relation {
        parent: reference(parent),
        privilege: privilege.to_owned(),
        privilege_value: true,
        child: reference(child),
        attributes: vec![],
    }
}

fn group_key(number: u32) -> (EntityType, &'static str, String) {
    (EntityType::Connection, "group", key("DG", number % GROUPS))
}

fn user_key(number: u32) -> (EntityType, &'static str, String) {
    (EntityType::Identity, "user", key("DU", number % USERS))
}

/// An object by its number, with its relations.
type Make = fn(u32) -> (Entity, Vec<Relation>);

/// Name, number of objects, and objects of each stream.
fn streams() -> Vec<(&'static str, u32, Make)> {
    vec![
        ("users", USERS, |number| {
            let mut relations = vec![relation(
                user_key(number),
                "member",
                (EntityType::Connection, "all-users", "all".to_owned()),
            )];
            for other in [number.wrapping_mul(7), number.wrapping_mul(13) + 1] {
                relations.push(relation(user_key(number), "member", group_key(other)));
            }
            (user(number), relations)
        }),
        ("groups", GROUPS, |number| (group(&key("DG", number), &format!("Group {number}")), vec![])),
        ("phones", PHONES, |number| {
            let owned = (EntityType::Resource, "phone", key("DP", number));
            (phone(number), vec![relation(user_key(number), "owns", owned)])
        }),
        ("applications", APPLICATIONS, |number| {
            let reached = || (EntityType::Resource, "application", key("DI", number));
            let relations =
                (0..5).map(|n| relation(group_key(number * 5 + n), "access", reached())).collect();
            (application(&key("DI", number)), relations)
        }),
    ]
}

/// Reads the whole tenant in one run. Returns how many seconds that took.
fn whole_run(store: &mut Writer) -> f64 {
    let mut seconds = 0.0;
    let begun = Instant::now();
    let run = store.begin_run(&RunStart { scope: &names_of("all"), ..start() }).unwrap().id;
    seconds += begun.elapsed().as_secs_f64();
    for (stream, count, object) in streams() {
        store.begin_stream(run, &name(stream), false, 1).unwrap();
        let numbers: Vec<u32> = (0..count).collect();
        for (index, chunk) in numbers.chunks(PAGE).enumerate() {
            let is_last = (index + 1) * PAGE >= numbers.len();
            let (entities, relations): (Vec<_>, Vec<_>) = chunk.iter().map(|number| object(*number)).unzip();
            let progress = if is_last { done() } else { more(&format!("v1:offset={index}")) };
            let page = Page { relations: relations.concat(), ..page(entities, progress) };
            let begun = Instant::now();
            store.commit_page(run, &name(stream), &page, &reader()).unwrap();
            seconds += begun.elapsed().as_secs_f64();
        }
    }
    let begun = Instant::now();
    store.finish_run(run, RunOutcome::Complete).unwrap();
    let end = begun.elapsed().as_secs_f64();
    println!("pages {seconds:.2} s, end of the run {end:.2} s");
    seconds + end
}

#[test]
#[ignore = "a measurement, which takes minutes"]
fn cost_of_a_hundred_thousand_users() {
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os("STORE").map_or(folder.path().join("large.db"), Into::into);
    let mut store = Writer::open(&path).unwrap();
    let (first, second) = (whole_run(&mut store), whole_run(&mut store));
    drop(store);
    let size = std::fs::metadata(&path).unwrap().len();
    println!(
        "first run {first:.2} s, second run {second:.2} s, {size} bytes, {} bytes a user",
        size / u64::from(USERS)
    );
}

#[test]
#[ignore = "a measurement, of the store that the variable `STORE` names"]
fn cost_of_questions() {
    let path = std::env::var_os("STORE").map(std::path::PathBuf::from).unwrap();
    let reader = Reader::open(&path).unwrap();
    let asked = QueryParams {
        integration: Some("acme"),
        now: "2026-11-24T12:00:00Z",
        idle_since: "2025-01-01T00:00:00Z",
        limit: 50,
        offset: 0,
    };
    let of_all = "(:integration IS NULL OR integration = :integration)";
    let human = format!("entity_type = 'identity' AND normal ->> 'kind' = 'human' AND {of_all}");
    let key = |query: &str| -> String { reader.connection.query_row(query, [], |row| row.get(0)).unwrap() };
    let application = key("SELECT source_id FROM entities WHERE source_type = 'application' LIMIT 1");
    let user = key("SELECT source_id FROM entities WHERE source_type = 'user' LIMIT 1");
    let selects = [
        (
            "no MFA",
            format!(
                "SELECT source_id, name, normal ->> 'username' FROM entities
                 WHERE {human} AND normal ->> 'status' = 'active' AND normal ->> 'mfa_state' = 'not-enrolled'
                 ORDER BY name, source_id"
            ),
        ),
        (
            "idle",
            format!(
                "SELECT source_id, name, normal ->> 'username' FROM entities
                 WHERE {human} AND normal ->> 'status' = 'active'
                   AND coalesce(normal ->> 'last_login', normal ->> 'created', '') < :idle_since
                 ORDER BY normal ->> 'last_login', name, source_id"
            ),
        ),
        (
            "privileged",
            format!("SELECT source_id FROM entities WHERE {human} AND normal ->> 'is_privileged' = 1"),
        ),
        // SQLite reads only the index if the select below an aggregate is not flattened.
        (
            "by status",
            format!(
                "WITH human AS MATERIALIZED (SELECT normal ->> 'status' AS status FROM entities WHERE {human})
                 SELECT coalesce(status, 'unknown'), count(*) FROM human GROUP BY 1"
            ),
        ),
        (
            "by factor",
            format!(
                "WITH authenticator AS MATERIALIZED (
                     SELECT normal ->> 'factor' AS factor, normal ->> 'phishing_resistant' AS phishing_resistant
                     FROM entities
                     WHERE entity_type = 'resource' AND normal ->> 'kind' = 'authenticator' AND {of_all}
                 )
                 SELECT coalesce(factor, 'unknown') || iif(phishing_resistant = 1, ' (phishing-resistant)', ''), count(*)
                 FROM authenticator GROUP BY 1 ORDER BY 2 DESC, 1"
            ),
        ),
        (
            "shared",
            format!(
                "WITH owned AS MATERIALIZED (
                     SELECT integration, child_entity_type, child_source_type, child_source_id FROM relations
                     WHERE child_entity_type = 'resource' AND privilege = 'owns' AND privilege_value AND {of_all}
                 )
                 SELECT p.source_id, p.name, s.users FROM (
                     SELECT integration, child_entity_type, child_source_type, child_source_id, count(*) AS users
                     FROM owned
                     GROUP BY integration, child_entity_type, child_source_type, child_source_id HAVING count(*) > 1
                 ) s JOIN entities p ON p.integration = s.integration AND p.entity_type = s.child_entity_type
                     AND p.source_type = s.child_source_type AND p.source_id = s.child_source_id
                 ORDER BY s.users DESC, p.name, p.source_id"
            ),
        ),
        (
            "reach one",
            format!(
                "SELECT * FROM application_access
                 WHERE {of_all} AND application_source_type = 'application'
                   AND application_source_id = '{application}'"
            ),
        ),
        (
            "one reaches",
            format!(
                "SELECT * FROM application_access
                 WHERE {of_all} AND identity_source_type = 'user' AND identity_source_id = '{user}'"
            ),
        ),
    ];
    let show_plan = std::env::var_os("PLAN").is_some();
    for (name, select) in selects {
        let begun = Instant::now();
        let count = reader.count(&select, asked).unwrap();
        let counted = begun.elapsed();
        let begun = Instant::now();
        reader.ask(&select, asked).unwrap();
        println!("{name:>12}: {count:>6}, counted {counted:>8.0?}, first page {:>8.0?}", begun.elapsed());
        if show_plan {
            let explain = format!("EXPLAIN QUERY PLAN SELECT count(*) FROM ({select})");
            let mut statement = reader.connection.prepare(&explain).unwrap();
            for index in 1..=statement.parameter_count() {
                statement.raw_bind_parameter(index, "acme").unwrap();
            }
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next().unwrap() {
                println!("              {}", row.get::<_, String>("detail").unwrap());
            }
        }
    }
    for search in ["", "user9999"] {
        let begun = Instant::now();
        let which = Entities { source_type: "user", search, turn: PageCursor::First, limit: 50 };
        let page = reader.browse("acme", &which).unwrap();
        println!("{:>12}: {:>6}, {:>8.0?}", format!("browse {search}"), page.total, begun.elapsed());
    }
    let first = Entities { source_type: "group", search: "", turn: PageCursor::First, limit: 1 };
    let group = reader.browse("acme", &first).unwrap().rows.remove(0);
    let begun = Instant::now();
    let (_, total) = reader.linked(&group, false, 50).unwrap();
    println!("{:>12}: {total:>6}, {:>8.0?}", "members", begun.elapsed());
}
