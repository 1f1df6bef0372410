use super::*;
use connector_sandbox::manifest::HostRule;
use secrecy::ExposeSecret as _;

fn spec(name: &str, kind: SettingKind) -> SettingSpec {
    SettingSpec {
        name: name.to_owned(),
        title: name.to_owned(),
        help: format!("help for {name}"),
        kind,
        required: true,
        pattern: None,
        default: None,
        example: None,
        choices: vec![],
    }
}

fn manifest() -> Manifest {
    let signature = SettingSpec {
        required: false,
        default: Some("v5".to_owned()),
        choices: vec!["v5".to_owned(), "v2".to_owned()],
        ..spec("signature", SettingKind::Choice)
    };
    Manifest {
        title: "Acme".to_owned(),
        settings: vec![
            spec("api-hostname", SettingKind::Text),
            spec("secret-key", SettingKind::Secret),
            signature,
            SettingSpec { required: false, ..spec("account-id", SettingKind::Text) },
        ],
        hosts: vec![HostRule::Setting("api-hostname".to_owned())],
        ..Manifest::default()
    }
}

fn parse(settings: &str) -> Configuration {
    let text = format!("name = \"acme\"\nconnector = \"acme.wasm\"\n[settings]\n{settings}");
    Configuration::parse(&text, Path::new("acme.toml"), Path::new("/etc/acme")).unwrap()
}

fn problems(settings: &str) -> Vec<SettingProblem> {
    match parse(settings).settings(&manifest()).unwrap_err() {
        ConfigurationError::Settings { problems, .. } => problems,
        error => panic!("{error}"),
    }
}

#[test]
fn secrets_come_from_files_without_their_last_line_break() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    connector_sandbox::private_file::replace(&path, b"correct horse\n").unwrap();
    let settings = format!("api-hostname = \"api\"\nsecret-key = {{ file = {path:?} }}");
    let settings = parse(&settings).settings(&manifest()).unwrap();
    assert_eq!(settings.secrets["secret-key"].expose_secret(), "correct horse");
    let public: Vec<_> = settings.public.iter().map(|one| (one.name.as_str(), one.value.as_str())).collect();
    assert_eq!(public, [("api-hostname", "api"), ("signature", "v5")]);
}

#[test]
fn a_secret_file_that_all_users_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    connector_sandbox::private_file::replace(&path, b"correct horse\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = problems(&format!("api-hostname = \"api\"\nsecret-key = {{ file = {path:?} }}"));
    assert!(refused[0].reason.contains("chmod 600"), "{refused:?}");
    // Another setting is no secret.
    parse(&format!("api-hostname = {{ file = {path:?} }}")).settings[&"api-hostname".to_owned()]
        .read()
        .unwrap();
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    let problems = problems("api-hostname = \"api\"\nsecret-key = \"hunter2\"");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].name, "secret-key");
    assert!(problems[0].help.contains("{ env = "), "{problems:?}");
    assert!(!format!("{problems:?}").contains("hunter2"));
}

#[test]
fn all_problems_are_told_at_once() {
    let problems = problems("signature = \"v9\"\nhostname = \"api\"");
    let names: Vec<_> = problems.iter().map(|problem| problem.name.as_str()).collect();
    assert_eq!(names, ["api-hostname", "secret-key", "signature", "hostname"]);
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let problems = problems("api-hostname = \"api\"\nsecret-key = { env = \"NO_SUCH_VARIABLE_HERE\" }");
    assert!(problems[0].reason.contains("`NO_SUCH_VARIABLE_HERE`, which is not set"), "{problems:?}");
}

#[test]
fn a_table_with_other_keys_is_refused() {
    let text = "name = \"a\"\nconnector = \"a\"\n[settings]\nkey = { vault = \"x\" }";
    let error = Configuration::parse(text, Path::new("a.toml"), Path::new("")).unwrap_err();
    assert!(error.to_string().contains("`key` is a table"), "{error}");
}

#[test]
fn unknown_keys_and_their_line_are_named() {
    let text = "name = \"a\"\nconnector = \"a\"\nconector = \"b\"\n";
    let error = Configuration::parse(text, Path::new("a.toml"), Path::new("")).unwrap_err();
    assert!(error.to_string().starts_with("`a.toml`, line 3: unknown field `conector`"), "{error}");
}

#[test]
fn a_selection_of_no_stream_is_refused() {
    let text = "name = \"a\"\nconnector = \"a\"\nstreams = []\n";
    let error = Configuration::parse(text, Path::new("a.toml"), Path::new("")).unwrap_err();
    assert!(error.to_string().contains("names no stream"), "{error}");
}

#[test]
fn limits_out_of_range_are_refused() {
    for line in [
        "memory-mib = 0",
        "memory-mib = 4096",
        "call-seconds = 0",
        "call-seconds = -1",
        "call-seconds = 1e9",
        "run-seconds = 1e9",
    ] {
        let text = format!("name = \"a\"\nconnector = \"a\"\n[limits]\n{line}\n");
        let error = Configuration::parse(&text, Path::new("a.toml"), Path::new("")).unwrap_err();
        assert!(matches!(error, ConfigurationError::Key { .. }), "{line}: {error}");
    }
}

#[test]
fn the_limits_of_the_readme_are_taken() {
    let readme = include_str!("../../../../docs/configuration.md");
    let (_, limits) = readme.split_once("\n[limits]").unwrap();
    let (limits, _) = limits.split_once("\n[budgets]").unwrap();
    assert!(limits.contains("run-seconds     = 86400"), "{limits}");
    let text = format!("name = \"a\"\nconnector = \"a\"\n[limits]{limits}\n");
    Configuration::parse(&text, Path::new("a.toml"), Path::new("")).unwrap();
}

#[test]
fn a_connector_is_named_or_a_file_beside_the_configuration() {
    assert_eq!(parse("").connector, ConnectorReference::File(PathBuf::from("/etc/acme/acme.wasm")));
    let named = |connector: &str| {
        let text = format!("name = \"acme\"\nconnector = \"{connector}\"\n");
        Configuration::parse(&text, Path::new("acme.toml"), Path::new("/etc")).map(|acme| acme.connector)
    };
    assert_eq!(named("acme").unwrap(), ConnectorReference::Name("acme".to_owned()));
    assert_eq!(named("./acme").unwrap(), ConnectorReference::File(PathBuf::from("/etc/./acme")));
    for connector in ["", "a b", "acme.so"] {
        let refused = named(connector).unwrap_err();
        assert!(matches!(refused, ConfigurationError::Key { key: "connector", .. }), "{refused}");
    }
}

#[test]
fn runs_are_kept_as_long_as_the_store_is_told_to() {
    let kept = |text: &str| {
        let text = format!("name = \"acme\"\nconnector = \"acme.wasm\"\n{text}");
        Configuration::parse(&text, Path::new("acme.toml"), Path::new("")).map(|acme| acme.keep_days)
    };
    assert_eq!(kept("").unwrap(), 400);
    assert_eq!(kept("[store]\nkeep-days = 30").unwrap(), 30);
    for days in ["0", "40000"] {
        let refused = kept(&format!("[store]\nkeep-days = {days}")).unwrap_err();
        assert!(matches!(refused, ConfigurationError::Key { key: "keep-days", .. }), "{refused}");
    }
}
