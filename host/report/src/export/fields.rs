//! The normal fields of an object.

use serde_json::Value;

use super::ExportError;

/// A JSON object with the normal fields. A field that is missing is null.
pub(super) struct Fields(Value);

impl Fields {
    /// Reads the column `normal`.
    pub(super) fn parse(normal: &str) -> Result<Self, ExportError> {
        serde_json::from_str(normal).map(Self).map_err(ExportError::Row)
    }

    /// A field.
    pub(super) fn value(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    /// A field that is text, and not blank.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.value(name).as_str().filter(|text| !text.is_empty())
    }

    /// The e-mail addresses.
    pub(super) fn emails(&self) -> &[Value] {
        self.value("emails").as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether the status is `active`.
    pub(super) fn is_active(&self) -> bool {
        self.text("status") == Some("active")
    }
}
