//! A connector that misbehaves in every way the sandbox must hold: each stream is one way.

mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "connector-component", generate_all });
}

use bindings::exports::iga::connector::connector::{
    Access, Error, ErrorKind, Guest, Manifest, Page, Position, Progress, Report, Setting, SettingKind,
    SettingSpec, StreamAccess, StreamSpec,
};
use bindings::iga::connector::http::{self, Request};
use bindings::iga::connector::types::{Connection, ConnectionKind, Entity, NormalForm, Status};
use bindings::iga::connector::{logging, secrets};

/// Each is the name of a stream.
const WAYS: [&str; 12] = [
    "spins",
    "eats-memory",
    "recurses",
    "panics-with-the-secret",
    "exits",
    "returns-the-secret",
    "fails-with-the-secret",
    "logs-the-secret",
    "asks-for-other-secrets",
    "asks-other-hosts",
    "goes-in-circles",
    "yields-what-it-does-not-declare",
];

struct Hostile;

fn setting(name: &str, kind: SettingKind, pattern: Option<&str>) -> SettingSpec {
    SettingSpec {
        name: name.to_owned(),
        title: name.to_owned(),
        help: String::new(),
        kind,
        required: true,
        pattern: pattern.map(str::to_owned),
        default: None,
        example: None,
        choices: vec![],
    }
}

fn page(progress: Progress) -> Page {
    Page {
        entities: vec![],
        relations: vec![],
        usages: vec![],
        problems: vec![],
        progress,
        total: None,
        window: None,
    }
}

fn group(name: &str) -> Entity {
    Entity {
        source_type: "group".to_owned(),
        source_id: name.to_owned(),
        name: name.to_owned(),
        normal: NormalForm::Connection(Connection {
            kind: ConnectionKind::Group,
            description: None,
            status: Status::Active,
            vendor_status: None,
            mfa_state: None,
            created: None,
        }),
        attributes: vec![],
    }
}

fn failure(message: String) -> Error {
    Error { kind: ErrorKind::Unexpected, code: None, message, remedy: None, detail: None }
}

fn recurse(depth: u64) -> u64 {
    let kept = std::hint::black_box([depth; 64]);
    recurse(depth + 1) + kept[(depth % 64) as usize]
}

impl Guest for Hostile {
    fn describe() -> Manifest {
        let streams = WAYS.iter().map(|name| StreamSpec {
            name: (*name).to_owned(),
            title: (*name).to_owned(),
            entities: vec![],
            relations: vec![],
            usages: false,
            permissions: vec![],
            optional: false,
            budget: None,
            incremental: false,
        });
        Manifest {
            name: "hostile".to_owned(),
            title: "Hostile".to_owned(),
            version: "0.1.0".to_owned(),
            description: String::new(),
            setup: vec![],
            settings: vec![
                setting("host", SettingKind::Text, Some(r"[a-z.]+\.example\.com")),
                setting("key", SettingKind::Secret, None),
            ],
            hosts: vec!["{host}".to_owned()],
            budgets: vec![],
            streams: streams.collect(),
        }
    }

    fn check(_: Vec<Setting>) -> Result<Report, Error> {
        let streams = WAYS
            .iter()
            .map(|name| StreamAccess { stream: (*name).to_owned(), access: Access::Readable })
            .collect();
        Ok(Report { account: None, streams })
    }

    fn read(_: Vec<Setting>, _: Option<String>, stream: String, _: Position) -> Result<Page, Error> {
        let secret = || secrets::get("key").unwrap_or_default();
        match stream.as_str() {
            "spins" => loop {
                std::hint::black_box(());
            },
            "eats-memory" => {
                let mut eaten: Vec<Vec<u8>> = Vec::new();
                loop {
                    eaten.push(vec![1; 1 << 20]);
                    std::hint::black_box(&eaten);
                }
            }
            "recurses" => Err(failure(recurse(0).to_string())),
            "panics-with-the-secret" => panic!("token={}", secret()),
            "exits" => std::process::exit(7),
            "returns-the-secret" => Ok(Page { entities: vec![], ..page(Progress::Done(Some(secret()))) }),
            "fails-with-the-secret" => Err(failure(format!("key {} was refused", secret()))),
            "logs-the-secret" => {
                logging::log(logging::Level::Error, &format!("the key is {}\nERROR forged", secret()));
                eprintln!("{}", secret());
                Ok(page(Progress::Done(None)))
            }
            // What it got is told as an error, so that a test can see it.
            "asks-for-other-secrets" => {
                let asked = ["host", "PATH", "HOME", "other"].map(|name| secrets::get(name).is_ok());
                let variables = std::env::vars().count() + std::env::args().count();
                Err(failure(format!("secrets {asked:?}, variables {variables}")))
            }
            "asks-other-hosts" => {
                let urls = [
                    "https://evil.example.org/",
                    "http://good.example.com/",
                    "https://good.example.com:22/",
                    "https://good.example.com@evil.example.org/",
                    "https://127.0.0.1/",
                    "https://169.254.169.254/latest/meta-data/",
                    "file:///etc/passwd",
                ];
                let kinds = urls.map(|url| {
                    let request = Request { url: url.to_owned(), headers: vec![] };
                    http::send(&request).map(|answer| answer.status).map_err(|error| error.kind)
                });
                Err(failure(format!("{kinds:?}")))
            }
            "goes-in-circles" => Ok(page(Progress::More("v1:again".to_owned()))),
            _ => Ok(Page { entities: vec![group("1")], ..page(Progress::Done(None)) }),
        }
    }
}

bindings::export!(Hostile with_types_in bindings);
