use super::*;

fn setting(kind: api::SettingKind) -> api::SettingSpec {
    api::SettingSpec {
        name: "api-hostname".to_owned(),
        title: "API hostname".to_owned(),
        help: String::new(),
        kind,
        required: true,
        pattern: Some(r"api-[a-z0-9]+\.example\.com".to_owned()),
        default: None,
        example: Some("api-xxxxxxxx.example.com".to_owned()),
        choices: vec![],
    }
}

fn stream(name: &str, source_type: &str) -> api::StreamSpec {
    api::StreamSpec {
        name: name.to_owned(),
        title: name.to_owned(),
        entities: vec![api::EntitySpec {
            entity_type: EntityType::Identity,
            source_type: source_type.to_owned(),
            title: "Users".to_owned(),
            fields: vec![],
            attributes: vec![],
        }],
        relations: vec![],
        usages: false,
        permissions: vec![],
        optional: false,
        budget: None,
        incremental: false,
        cursor_version: 1,
    }
}

fn manifest() -> api::Manifest {
    api::Manifest {
        name: "acme".to_owned(),
        title: "Acme".to_owned(),
        version: "1.2.3".to_owned(),
        description: String::new(),
        setup: vec![],
        settings: vec![setting(api::SettingKind::Text)],
        hosts: vec!["{api-hostname}".to_owned()],
        budgets: vec![],
        streams: vec![stream("users", "user")],
    }
}

#[test]
fn the_texts_of_a_manifest_can_not_steer_a_terminal() {
    let hostile = "a\x1b[31m\u{202e}b\nerror: forged";
    let mut raw = manifest();
    raw.title = hostile.to_owned();
    raw.setup = vec![hostile.to_owned()];
    raw.settings[0].help = hostile.to_owned();
    raw.streams[0].permissions = vec![hostile.to_owned()];
    raw.streams[0].entities[0].title = hostile.to_owned();
    let text = format!("{:?}", Manifest::parse(raw).unwrap());
    assert_eq!(text.matches("a [31m b error: forged").count(), 5, "{text}");
    let mut raw = manifest();
    raw.streams[0].name = "users\n".to_owned();
    assert!(matches!(Manifest::parse(raw), Err(ManifestError::Name { .. })));
}

#[test]
fn a_list_of_more_than_256_is_refused_wherever_it_is() {
    let more = MOST + 1;
    let grown: [fn(&mut api::Manifest); 8] = [
        |raw| raw.setup = vec![String::new(); MOST + 1],
        |raw| raw.settings = vec![raw.settings[0].clone(); MOST + 1],
        |raw| raw.hosts = vec!["a.example.com".to_owned(); MOST + 1],
        |raw| raw.streams = vec![raw.streams[0].clone(); MOST + 1],
        |raw| raw.settings[0].choices = vec![String::new(); MOST + 1],
        |raw| raw.streams[0].permissions = vec![String::new(); MOST + 1],
        |raw| raw.streams[0].entities = vec![raw.streams[0].entities[0].clone(); MOST + 1],
        |raw| {
            let field = api::FieldSpec { name: String::new(), description: String::new() };
            raw.streams[0].entities[0].attributes = vec![field; MOST + 1];
        },
    ];
    for grow in grown {
        let mut raw = manifest();
        grow(&mut raw);
        let error = Manifest::parse(raw).unwrap_err();
        assert!(matches!(error, ManifestError::TooMany { found, .. } if found == more), "{error}");
    }
}

#[test]
fn the_patterns_of_all_settings_share_their_memory() {
    let with = |count: usize, pattern: &str| {
        let mut raw = manifest();
        for number in 0..count {
            let pattern = Some(pattern.to_owned());
            let name = format!("setting-{number}");
            raw.settings.push(api::SettingSpec { name, pattern, ..setting(api::SettingKind::Text) });
        }
        Manifest::parse(raw).map(|_| ())
    };
    with(3, r"\w{1,20}").unwrap();
    with(255, "[a-z]{1,20}").unwrap();
    let refused = with(255, r"\w{1,20}").unwrap_err().to_string();
    assert!(refused.contains("is too large"), "{refused}");
}

#[test]
fn a_secret_of_fewer_than_four_characters_is_refused() {
    let mut raw = setting(api::SettingKind::Secret);
    raw.pattern = None;
    let spec = SettingSpec::parse(raw, LARGEST_PATTERN).unwrap();
    for value in ["a", "abc", "a\u{200b}b\u{200b}c", "a\u{301}\u{301}\u{301}"] {
        assert!(spec.objection(value).unwrap().contains("fewer than 4"), "{value:?}");
    }
    assert_eq!(spec.objection("abcd"), None);
}

#[test]
fn a_budget_of_nothing_is_refused() {
    for (requests, per_seconds) in [(0, 60), (60, 0), (0, 0)] {
        let mut raw = manifest();
        raw.budgets = vec![api::RequestBudget { name: "objects".to_owned(), requests, per_seconds }];
        assert!(matches!(Manifest::parse(raw), Err(ManifestError::Budget(_))));
    }
}

#[test]
fn a_sound_manifest_parses() {
    let manifest = Manifest::parse(manifest()).unwrap();
    assert_eq!(manifest.hosts, [HostRule::Setting("api-hostname".to_owned())]);
    assert_eq!(manifest.title_of("user"), "Users");
}

#[test]
fn a_host_from_a_setting_without_a_pattern_is_refused() {
    let mut raw = manifest();
    raw.settings[0].pattern = None;
    assert!(matches!(Manifest::parse(raw), Err(ManifestError::Setting { .. })));
}

#[test]
fn hosts_with_wildcards_ports_or_paths_are_refused() {
    for host in ["*.example.com", "example.com:8443", "example.com/x", "", "localhost", "EXAMPLE.com", "a.b."]
    {
        let mut raw = manifest();
        raw.hosts = vec![host.to_owned()];
        assert!(matches!(Manifest::parse(raw), Err(ManifestError::Name { .. })), "{host}");
    }
}

#[test]
fn a_source_type_is_one_kind_of_entity_in_all_streams() {
    let mut raw = manifest();
    raw.streams.push(stream("people", "user"));
    Manifest::parse(raw.clone()).unwrap();
    raw.streams[1].entities[0].entity_type = EntityType::Resource;
    let error = Manifest::parse(raw).unwrap_err();
    assert_eq!(error, ManifestError::Contradiction("user".to_owned()));
}

#[test]
fn an_unknown_budget_is_refused() {
    let mut raw = manifest();
    raw.streams[0].budget = Some("objects".to_owned());
    assert!(matches!(Manifest::parse(raw), Err(ManifestError::Unknown { .. })));
}

#[test]
fn a_budget_of_centuries_is_refused() {
    let mut raw = manifest();
    let budget = |per_seconds| api::RequestBudget { name: "objects".to_owned(), requests: 1, per_seconds };
    raw.budgets = vec![budget(24 * 60 * 60)];
    Manifest::parse(raw.clone()).unwrap();
    raw.budgets = vec![budget(u32::MAX)];
    assert_eq!(Manifest::parse(raw).unwrap_err(), ManifestError::Budget("objects".to_owned()));
}

#[test]
fn a_pattern_matches_the_whole_value() {
    let spec = SettingSpec::parse(setting(api::SettingKind::Text), LARGEST_PATTERN).unwrap();
    assert_eq!(spec.objection("api-1a2b.example.com"), None);
    for value in ["api-1a2b.example.com.evil.org", "x api-1a.example.com", " api-1a.example.com", "", "\n"] {
        assert!(spec.objection(value).is_some(), "{value:?}");
    }
}

#[test]
fn an_objection_never_repeats_the_value() {
    let spec = SettingSpec::parse(setting(api::SettingKind::Secret), LARGEST_PATTERN).unwrap();
    assert!(!spec.objection("hunter2-hunter2").unwrap().contains("hunter2"));
}
