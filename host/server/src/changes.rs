//! One channel for changes of the status. Open pages wait for it instead of asking repeatedly.

use tokio::sync::watch;

/// The channel. A change is published once, for any number of subscribers. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes(watch::Sender<()>);

impl Changes {
    /// Publishes a change of the status, which must be readable already.
    pub(crate) fn publish(&self) {
        self.0.send_replace(());
    }

    /// A receiver that wakes at each later change. Several changes between two waits wake it once.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}
