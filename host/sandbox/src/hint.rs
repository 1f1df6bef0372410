//! What a person can do about an error, apart from what happened.

/// An error that knows its remedy. The command line, the pages and the API show it apart from the error's own text.
pub trait Hint {
    /// What to do about it: whole sentences without a final full stop. `None` where nothing but the error's text is known.
    fn hint(&self) -> Option<String>;
}
