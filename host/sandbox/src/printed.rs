//! A guest's standard output and error: kept for the log, up to a limit.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};

use crate::capabilities::LOG_LINE as LINE;
use crate::limits::LimitReached;

/// What was printed so far. Clones share it.
#[derive(Clone)]
pub(crate) struct Printed {
    bytes: Arc<Mutex<Vec<u8>>>,
    most: usize,
    reached: LimitReached,
}

impl Printed {
    /// Accepts up to `most` bytes; more end the call with `reached`.
    pub(crate) fn new(reached: LimitReached, most: usize) -> Self {
        Self { bytes: Arc::default(), most, reached }
    }

    pub(crate) fn contents(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn append(&self, more: &[u8]) -> Result<(), LimitReached> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
        let cost = |bytes: &[u8]| lines(bytes).saturating_mul(LINE).saturating_add(bytes.len());
        if cost(&bytes).saturating_add(cost(more)) > self.most {
            return Err(self.reached);
        }
        bytes.extend_from_slice(more);
        Ok(())
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.append(&bytes).map_err(|reached| StreamError::Trap(reached.into()))
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        // One byte more than the limit, so that a guest that prints too much reaches it and gets the error.
        Ok(self.most.saturating_add(1))
    }
}

impl AsyncWrite for Printed {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(self.append(bytes).map(|()| bytes.len()).map_err(std::io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
