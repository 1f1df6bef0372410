//! Runs work in separate tasks, so that it completes even if the caller stops waiting. When a client gives up a request, its
//! handler is dropped at an `await`.

use std::panic::resume_unwind;

use tokio::task::JoinHandle;

/// Does `work`, which blocks on the file system, outside the threads that serve requests.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    end(tokio::task::spawn_blocking(work)).await
}

/// Does `work`, which must not be interrupted.
pub(crate) async fn detached<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    end(tokio::spawn(work)).await
}

async fn end<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime shuts down, and the caller with it.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn detached_work_ends_although_its_caller_gave_up() {
        let (sender, ended) = oneshot::channel();
        let work = async move {
            tokio::time::sleep(Duration::from_secs(10)).await;
            let _ = sender.send(());
        };
        assert!(timeout(Duration::from_secs(1), detached(work)).await.is_err());
        ended.await.unwrap();
    }
}
