//! Walks: through a list by offset, and through a log by time. Neither depends on the type of the objects.

pub(crate) mod log;
pub(crate) mod offset;

use crate::contract::{Error, ErrorKind};

/// The error for a cursor or bookmark from which reading can't continue.
fn refused(message: &str) -> Error {
    Error::new(ErrorKind::InvalidPosition, message).remedy("read the stream from its beginning")
}
