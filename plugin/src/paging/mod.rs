//! Walks: through a list by offset, and through a log by time. Neither knows what it walks over.

pub(crate) mod log;
pub(crate) mod offset;

use crate::contract::{Error, ErrorKind};

/// A cursor or bookmark that can't be resumed from.
fn refused(message: &str) -> Error {
    Error::new(ErrorKind::InvalidPosition, message).remedy("read the stream from its beginning")
}
