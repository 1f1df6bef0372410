//! One channel that says that the status changed, so that open pages wait for it and nothing looks by itself.

use tokio::sync::watch;

/// Where a change is published once, whoever follows. Clones share the channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes(watch::Sender<()>);

impl Changes {
    /// The status changed: called once the new one can be read.
    pub(crate) fn publish(&self) {
        self.0.send_replace(());
    }

    /// Wakes at each change from now on; several changes at once wake it once.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}
