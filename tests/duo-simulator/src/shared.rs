//! What all requests share: the tenant and what tests do to it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

use chrono::{DateTime, Utc};

use crate::counters::Recorder;
use crate::fault::Faults;
use crate::options::{Grants, TenantOptions};
use crate::tenant::Tenant;

/// What happens to a tenant before a request of this path and query is answered.
pub(crate) type Change = Box<dyn Fn(&Tenant, &str, &str) + Send + Sync>;

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) options: TenantOptions,
    pub(crate) tenant: Tenant,
    pub(crate) grants: RwLock<Grants>,
    /// In seconds ahead of the machine's clock.
    pub(crate) clock_offset: AtomicI64,
    pub(crate) faults: Faults,
    pub(crate) before_each: RwLock<Option<Change>>,
    pub(crate) counters: Recorder,
}

impl Shared {
    pub(crate) fn new(options: TenantOptions) -> Self {
        Self {
            tenant: Tenant::new(&options),
            grants: RwLock::new(options.grants.clone()),
            clock_offset: AtomicI64::new(options.clock_offset_seconds),
            faults: Faults::default(),
            before_each: RwLock::default(),
            counters: Recorder::default(),
            options,
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        Utc::now() + chrono::Duration::seconds(self.clock_offset.load(Ordering::Relaxed))
    }

    pub(crate) fn grants(&self) -> Grants {
        self.grants.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
