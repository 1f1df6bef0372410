//! What a person can do about an error, separate from the error's text.

/// An error with a remedy. The command line, the pages and the API show the remedy separate from the error's text.
pub trait Hint {
    /// What to do about it: whole sentences without a final full stop. `None` if no remedy is known.
    fn hint(&self) -> Option<String>;
}
