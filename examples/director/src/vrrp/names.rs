//! Names of virtual routers, by their number. A number is never given to another name.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use lvs_vrrp::node::RouterId;

/// What all threads call the virtual routers.
#[derive(Clone, Debug, Default)]
pub struct Names {
    shared: Arc<RwLock<Shared>>,
}

/// What a virtual router is called.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "made by whoever has no file, too"
)]
pub struct Name {
    /// As in the file.
    pub router: String,
    /// Its interface.
    pub interface: String,
}

#[derive(Debug, Default)]
struct Shared {
    /// Of all there ever were: what is told of them may come after they have gone.
    all: BTreeMap<RouterId, Name>,
    current: Vec<RouterId>,
}

impl Names {
    /// These are run from now on.
    pub fn set(&self, names: &BTreeMap<RouterId, Name>) {
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        shared.current = names.keys().copied().collect();
        for (id, name) in names {
            shared.all.insert(*id, name.clone());
        }
    }

    /// What this one is, or was, called.
    #[must_use]
    pub fn of(&self, router: RouterId) -> Option<Name> {
        let shared = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        shared.all.get(&router).cloned()
    }

    /// Those that are run.
    #[must_use]
    pub fn list(&self) -> Vec<String> {
        let shared = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        let names = shared.current.iter().filter_map(|id| shared.all.get(id));
        names.map(|name| name.router.clone()).collect()
    }
}
