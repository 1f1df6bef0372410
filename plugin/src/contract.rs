//! The contract of `wit/` as Rust types. The generated types are plain records. The whole crate uses them as the
//! normal form, in native builds too.

#[expect(missing_docs, reason = "generated; the documentation is in `wit/`")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "connector-component",
        generate_all,
        // Moves the exports into a macro, so that a guest that links this crate does not have to export them.
        pub_export_macro: true,
        additional_derives: [PartialEq],
    });
}

pub use bindings::exports::iga::connector::connector::{
    Access, EntitySpec, Error, ErrorKind, FieldSpec, Manifest, Page, Position, Progress, RelationSpec,
    Report, RequestBudget, Setting, SettingKind, SettingSpec, StreamAccess, StreamSpec, Window,
};
pub use bindings::iga::connector::http::{HttpError, HttpErrorKind, Request, Response};
pub use bindings::iga::connector::logging::Level;
pub use bindings::iga::connector::secrets::SecretError;
pub use bindings::iga::connector::types::*;

impl Error {
    /// An error of `kind`; `message` says what was attempted and what came back.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, code: None, message: message.into(), remedy: None, detail: None }
    }

    /// Sets the vendor's own code.
    pub(crate) fn code(mut self, code: Option<String>) -> Self {
        self.code = code;
        self
    }

    /// Sets the remedy: what to change, and where.
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Adds a note for the log.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}
