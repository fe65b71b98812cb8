//! How a reconciler is set up.

use lvs_ipvs::{Adoption, Drift, Policy, Reconciler};

/// What a reconciler is told once.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) policy: Policy,
    pub(crate) adoption: Adoption,
    pub(crate) drift: Drift,
}

impl Setup {
    pub(crate) fn of(policy: Policy) -> Self {
        Self {
            policy,
            adoption: Adoption::Adopt,
            drift: Drift::Repair,
        }
    }

    pub(crate) fn reconciler(&self) -> Reconciler {
        Reconciler::new(self.policy.clone())
            .with_adoption(self.adoption)
            .with_drift(self.drift)
    }
}
