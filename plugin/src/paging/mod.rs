//! Walks: through a list by offset, and through a log by time. Neither knows what it walks over.

pub(crate) mod log;
pub(crate) mod offset;

use crate::contract::{Error, ErrorKind};

/// The version of cursors and bookmarks.
const VERSION: &str = "v1";

/// A cursor or bookmark that can't be gone on from.
fn refused(message: &str) -> Error {
    Error::new(ErrorKind::InvalidPosition, message).remedy("read the stream from its beginning")
}

/// The `1` of `v1:`, with which the cursors and bookmarks of all walks begin. Raised when a cursor changes its meaning.
pub(crate) const CURSOR_VERSION: u32 = 1;
