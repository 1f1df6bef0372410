//! Stores for tests, filled as a run fills them, with the objects of two vendors: the findings may depend only on the
//! normal form, not on a vendor's terms.

use connector_sandbox::contract::api::{Page, Progress, Window};
use connector_sandbox::contract::types::{
    Account, Application, Authenticator, AuthenticatorFactor, BypassCode, Connection, ConnectionKind, Entity,
    EntityRef, EntityType, Expiry, Identity, IdentityKind, NormalForm, Relation, Resource, Status, Usage,
    UserAccess, UsesLeft,
};
use connector_sandbox::{Digest, StreamName};
use connector_store::{PageReader, Reader, RunOutcome, RunStart, Writer, Yields};

/// The source types of a vendor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vendor {
    pub(crate) user: &'static str,
    pub(crate) administrator: &'static str,
    pub(crate) service: &'static str,
    pub(crate) group: &'static str,
    pub(crate) everyone: &'static str,
    pub(crate) role: &'static str,
    pub(crate) application: &'static str,
    pub(crate) account: &'static str,
    pub(crate) authenticator: &'static str,
    pub(crate) bypass_code: &'static str,
}

/// The vendor of the first connector, and an invented one.
pub(crate) const VENDORS: [Vendor; 2] = [
    Vendor {
        user: "user",
        administrator: "administrator",
        service: "service-account",
        group: "group",
        everyone: "all-users",
        role: "admin-role",
        application: "application",
        account: "account",
        authenticator: "phone",
        bypass_code: "bypass-code",
    },
    Vendor {
        user: "person",
        administrator: "superuser",
        service: "robot",
        group: "team",
        everyone: "crowd",
        role: "duty",
        application: "app",
        account: "org",
        authenticator: "passkey",
        bypass_code: "emergency-code",
    },
];

/// 2026-11-24T12:00:00Z, the present time of these tests.
pub(crate) const NOW: i64 = 1_795_521_600;
/// Within the last 90 days.
pub(crate) const LATELY: i64 = NOW - 20 * 86_400;
/// More than 90 days ago.
pub(crate) const LONG_AGO: i64 = NOW - 120 * 86_400;

/// A store of one integration, `acme`, to be filled.
pub(crate) struct TestStore {
    pub(crate) vendor: Vendor,
    pub(crate) page: Page,
    folder: tempfile::TempDir,
}

impl TestStore {
    pub(crate) fn new(vendor: Vendor) -> Self {
        let page = Page {
            entities: vec![],
            relations: vec![],
            usages: vec![],
            problems: vec![],
            progress: Progress::Done(None),
            total: None,
            window: None,
        };
        Self { vendor, page, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn add(&mut self, source_type: &str, source_id: &str, normal: NormalForm) -> &mut Self {
        self.page.entities.push(Entity {
            source_type: source_type.to_owned(),
            source_id: source_id.to_owned(),
            name: source_id.to_owned(),
            normal,
            attributes: vec![],
        });
        self
    }

    pub(crate) fn user(&mut self, id: &str, change: impl FnOnce(&mut Identity)) -> &mut Self {
        self.identity(self.vendor.user, id, IdentityKind::Human, false, change)
    }

    pub(crate) fn administrator(&mut self, id: &str, change: impl FnOnce(&mut Identity)) -> &mut Self {
        self.identity(self.vendor.administrator, id, IdentityKind::Human, true, change)
    }

    pub(crate) fn service(&mut self, id: &str, is_privileged: bool) -> &mut Self {
        self.identity(self.vendor.service, id, IdentityKind::Service, is_privileged, |_| ())
    }

    fn identity(
        &mut self,
        source_type: &str,
        id: &str,
        kind: IdentityKind,
        is_privileged: bool,
        change: impl FnOnce(&mut Identity),
    ) -> &mut Self {
        let mut identity = Identity {
            kind,
            username: Some(id.to_owned()),
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
            is_privileged: Some(is_privileged),
            created: Some(LONG_AGO),
            last_login: Some(LATELY),
        };
        change(&mut identity);
        self.add(source_type, id, NormalForm::Identity(identity))
    }

    pub(crate) fn connection(
        &mut self,
        source_type: &str,
        id: &str,
        kind: ConnectionKind,
        change: impl FnOnce(&mut Connection),
    ) -> &mut Self {
        let mut connection = Connection {
            kind,
            description: None,
            status: Status::Active,
            vendor_status: None,
            mfa_state: None,
            is_privileged: None,
            created: None,
        };
        change(&mut connection);
        self.add(source_type, id, NormalForm::Connection(connection))
    }

    pub(crate) fn group(&mut self, id: &str) -> &mut Self {
        self.connection(self.vendor.group, id, ConnectionKind::Group, |_| ())
    }

    pub(crate) fn application(&mut self, id: &str) -> &mut Self {
        let application = Application {
            application_type: None,
            user_access: UserAccess::Unknown,
            self_service: None,
            policy_key: None,
        };
        let normal = NormalForm::Resource(Resource::Application(application));
        self.add(self.vendor.application, id, normal)
    }

    pub(crate) fn account(&mut self, id: &str) -> &mut Self {
        let normal = NormalForm::Resource(Resource::Account(Account { edition: None }));
        self.add(self.vendor.account, id, normal)
    }

    pub(crate) fn authenticator(&mut self, id: &str, phishing_resistant: bool) -> &mut Self {
        let authenticator = Authenticator {
            factor: if phishing_resistant {
                AuthenticatorFactor::Webauthn
            } else {
                AuthenticatorFactor::Phone
            },
            phishing_resistant: Some(phishing_resistant),
            platform: None,
            model: None,
            activated: Some(true),
            added: None,
            last_seen: None,
        };
        let normal = NormalForm::Resource(Resource::Authenticator(authenticator));
        self.add(self.vendor.authenticator, id, normal)
    }

    pub(crate) fn bypass_code(&mut self, id: &str, expires: Expiry, uses_left: UsesLeft) -> &mut Self {
        let code = BypassCode { created: Some(LONG_AGO), expires, uses_left, issued_by: None };
        let normal = NormalForm::Resource(Resource::BypassCode(code));
        self.add(self.vendor.bypass_code, id, normal)
    }

    /// Relates two objects, of which the first is an identity or a connection.
    pub(crate) fn relate(
        &mut self,
        parent: (&str, &str),
        privilege: &str,
        child: (&str, &str),
        grants: bool,
    ) -> &mut Self {
        let (parent, child) = (self.reference(parent), self.reference(child));
        let privilege = privilege.to_owned();
        self.page.relations.push(Relation {
            parent,
            privilege,
            privilege_value: grants,
            child,
            attributes: vec![],
        });
        self
    }

    pub(crate) fn reference(&self, (source_type, source_id): (&str, &str)) -> EntityRef {
        let vendor = &self.vendor;
        let entity_type = if [vendor.user, vendor.administrator, vendor.service].contains(&source_type) {
            EntityType::Identity
        } else if [vendor.group, vendor.everyone, vendor.role].contains(&source_type) {
            EntityType::Connection
        } else {
            EntityType::Resource
        };
        EntityRef { entity_type, source_type: source_type.to_owned(), source_id: source_id.to_owned() }
    }

    /// Adds a log of the last 120 days, with a recent sign-in to each of the applications `used`, by any identity.
    pub(crate) fn log(&mut self, used: &[&str]) -> &mut Self {
        self.page.window = Some(Window { from: LONG_AGO, to: NOW });
        for id in used {
            let resource = self.reference((self.vendor.application, id));
            self.page.usages.push(Usage {
                identity: None,
                identity_name: None,
                resource,
                resource_name: None,
                last_success: Some(LATELY),
                last_attempt: None,
            });
        }
        self
    }

    /// The store after one complete run over the added objects. If `selected` is false, the run reads no stream.
    pub(crate) fn read(&self, selected: bool) -> Reader {
        let path = self.folder.path().join(if selected { "read.db" } else { "not read.db" });
        let _ = std::fs::remove_file(&path);
        let mut writer = Writer::open(&path).unwrap();
        run(&mut writer, selected.then_some(&self.page));
        drop(writer);
        Reader::open(&path).unwrap()
    }
}

/// Begins and ends a run, which stores `page` if there is one.
pub(crate) fn run(writer: &mut Writer, page: Option<&Page>) {
    let all = StreamName::parse("all").unwrap();
    let digest = Digest::of(b"acme");
    let yields = ["identity", "connection", "resource"].map(|entity_type| Yields {
        stream: &all,
        entity_type,
        source_type: entity_type,
    });
    let start = RunStart {
        integration: "acme",
        connector: "acme",
        title: "Acme",
        version: "1.0.0",
        digest,
        account: None,
        tenant: "api.example.com",
        scope: std::slice::from_ref(&all),
        yields: &yields,
    };
    let run = writer.begin_run(&start).unwrap().id;
    if let Some(page) = page {
        let (connector, version) = ("acme".to_owned(), "1.0.0".to_owned());
        let reader = PageReader { connector, version, digest, cursor_version: 1 };
        writer.begin_stream(run, &all, false, 1).unwrap();
        writer.commit_page(run, &all, page, &reader).unwrap();
    }
    writer.finish_run(run, RunOutcome::Complete).unwrap();
}
