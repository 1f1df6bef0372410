//! The Duo connector in versions that work, fail and want more. A test makes them from one component, by writing other
//! words over [`VARIANT`].

use chrono::{DateTime, Utc};
use duo_connector::Host;
use duo_connector::contract::bindings::exports::iga::connector::connector::Guest;
use duo_connector::contract::bindings::iga::connector::{http, logging, secrets};
use duo_connector::contract::{
    Error, ErrorKind, HttpError, Level, Manifest, Page, Position, Progress, Report, Request, Response,
    SecretError, Setting, SettingKind, SettingSpec,
};

/// Version, what it does, version of its cursors.
static VARIANT: [u8; 32] = *b"variant:0.2.0:works....:cursor1:";

fn variant(from: usize, to: usize) -> &'static str {
    std::str::from_utf8(&std::hint::black_box(&VARIANT)[from..to]).unwrap_or_default().trim_end_matches('.')
}

fn does(word: &str) -> bool {
    variant(14, 23) == word
}

struct Imports;

impl Host for Imports {
    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        http::send(request)
    }

    fn secret(&self, name: &str) -> Result<String, SecretError> {
        secrets::get(name)
    }

    fn log(&self, level: Level, message: &str) {
        logging::log(level, message);
    }

    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

struct Variant;

impl Guest for Variant {
    fn describe() -> Manifest {
        let mut manifest = duo_connector::describe();
        manifest.version = variant(8, 13).to_owned();
        for stream in &mut manifest.streams {
            // Relative to those of the connector itself: 1 is the same.
            stream.cursor_version += variant(30, 31).parse().unwrap_or(1) - 1;
        }
        if does("wants") || does("demands") {
            let (name, kind) = if does("wants") {
                ("another-key", SettingKind::Secret)
            } else {
                ("another-name", SettingKind::Text)
            };
            manifest.settings.push(SettingSpec {
                name: name.to_owned(),
                title: "Another".to_owned(),
                help: "You would like to know.".to_owned(),
                kind,
                required: does("demands"),
                pattern: None,
                default: None,
                example: None,
                choices: Vec::new(),
            });
        }
        if does("relabels") {
            let secrets = manifest.settings.iter_mut().filter(|setting| setting.kind == SettingKind::Secret);
            secrets.for_each(|setting| setting.kind = SettingKind::Text);
        }
        if does("extends") {
            let mut extra = manifest.streams.iter().find(|stream| stream.name == "groups").unwrap().clone();
            extra.name = "extra".to_owned();
            manifest.streams.push(extra);
        }
        if does("renames") {
            manifest.name = "another".to_owned();
        }
        manifest
    }

    fn check(settings: Vec<Setting>) -> Result<Report, Error> {
        assert!(!does("checks"), "this version can't check");
        duo_connector::check(&Imports, &settings)
    }

    fn read(
        settings: Vec<Setting>,
        account: Option<String>,
        stream: String,
        position: Position,
    ) -> Result<Page, Error> {
        assert!(!does("traps"), "this version can't read");
        assert!(!does("extends") || stream != "users", "this version can't read users");
        let stream = if stream == "extra" { "groups".to_owned() } else { stream };
        let mine = format!("c{}:", variant(30, 31));
        let is_first = mine == "c1:";
        let position = match position {
            Position::At(cursor) if !is_first => match cursor.strip_prefix(&mine) {
                Some(cursor) => Position::At(cursor.to_owned()),
                None => {
                    return Err(Error {
                        kind: ErrorKind::InvalidPosition,
                        code: None,
                        message: "this cursor is another version's".to_owned(),
                        remedy: None,
                        detail: None,
                    });
                }
            },
            other => other,
        };
        if let Position::At(cursor) = &position
            && does("tires")
            && stream == "users"
        {
            let offset =
                cursor.split("offset=").nth(1).and_then(|rest| rest.split(';').next()?.parse::<u32>().ok());
            assert!(offset < Some(2100), "this version can't read far");
        }
        let mut page = duo_connector::read(&Imports, &settings, account.as_deref(), &stream, &position)?;
        match &mut page.progress {
            Progress::More(cursor) if !is_first => *cursor = format!("{mine}{cursor}"),
            _ => {}
        }
        if does("invents") && stream == "users" {
            // A second read finds no user of that name, in a tenant that has other users.
            if let Some(user) = page.entities.iter().find(|entity| entity.source_type == "user") {
                let mut invented = user.clone();
                invented.source_id = "DUINVENTED".to_owned();
                page.entities.push(invented);
            }
        }
        if does("forgets") || (does("invents") && stream == "users") {
            // Well-formed, and wrong: half of what was there. And then it breaks the contract.
            if does("forgets") {
                let half = page.entities.len() / 2;
                page.entities.truncate(half);
            }
            if matches!(position, Position::At(_)) {
                page.entities.iter_mut().for_each(|entity| entity.source_type = "nonsense".to_owned());
            }
        }
        Ok(page)
    }
}

duo_connector::contract::bindings::export!(Variant with_types_in duo_connector::contract::bindings);
