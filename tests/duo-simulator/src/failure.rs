//! Duo's error answers. Codes and messages: section 2.3 of the reference.

use serde_json::{Value, json};

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) code: u32,
    message: &'static str,
    detail: Option<String>,
}

impl Failure {
    const fn new(code: u32, message: &'static str) -> Self {
        Self { status: (code / 100) as u16, code, message, detail: None }
    }

    pub(crate) fn missing_parameter(name: &str) -> Self {
        Self { detail: Some(name.to_owned()), ..Self::new(40001, "Missing required request parameters") }
    }

    pub(crate) fn invalid_parameter(name: &str) -> Self {
        Self { detail: Some(name.to_owned()), ..Self::new(40002, "Invalid request parameters") }
    }

    pub(crate) const fn missing_credentials() -> Self {
        Self::new(40101, "Missing request credentials")
    }

    pub(crate) const fn invalid_integration_key() -> Self {
        Self::new(40102, "Invalid integration key in request credentials")
    }

    pub(crate) const fn invalid_signature() -> Self {
        Self::new(40103, "Invalid signature in request credentials")
    }

    pub(crate) const fn bad_timestamp() -> Self {
        Self::new(40105, "Bad request timestamp")
    }

    /// The same for a permission that is missing, an edition that lacks the feature, and a v2 signature where
    /// v5 is required.
    pub(crate) const fn forbidden() -> Self {
        Self::new(40301, "Access forbidden")
    }

    /// A child account that is not named, or another one that is. That Duo says so in this way is our choice:
    /// the reference has no sample.
    pub(crate) fn forbidden_account() -> Self {
        Self { detail: Some("account_id".to_owned()), ..Self::forbidden() }
    }

    pub(crate) const fn not_found() -> Self {
        Self::new(40401, "Resource not found")
    }

    pub(crate) const fn method_not_allowed() -> Self {
        Self::new(40501, "Method not allowed")
    }

    pub(crate) const fn too_many_requests() -> Self {
        Self::new(42901, "Too Many Requests")
    }

    pub(crate) fn server_error(status: u16) -> Self {
        Self { status, ..Self::new(50001, "Internal server error") }
    }

    pub(crate) fn body(&self) -> Value {
        let mut body = json!({ "code": self.code, "message": self.message, "stat": "FAIL" });
        if let (Some(detail), Some(body)) = (&self.detail, body.as_object_mut()) {
            body.insert("message_detail".to_owned(), detail.as_str().into());
        }
        body
    }
}
