//! The selectors of pingora's balancers; a real pick looks at health besides and clones the backend.

use core::hint::black_box;
use std::collections::BTreeSet;
use std::sync::Arc;

use criterion::Criterion;
use pingora_load_balancing::Backend;
use pingora_load_balancing::selection::{BackendIter, BackendSelection, Consistent, RoundRobin};

use crate::peers::{SIZES, bench};
use crate::servers::{Keys, Weights, address};

fn backends(weights: Weights, servers: u32) -> BTreeSet<Backend> {
    let numbered = (0..).zip(weights.of(servers));
    let backends = numbered.filter_map(|(number, weight)| {
        Backend::new_with_weight(&address(number).to_string(), weight as usize).ok()
    });
    backends.collect()
}

/// The first choice of a selector.
fn selector<S>(criterion: &mut Criterion, name: &str, weights: Weights, servers: u32)
where
    S: BackendSelection,
    S::Iter: BackendIter,
{
    let selector = Arc::new(S::build(&backends(weights, servers)));
    let mut keys = Keys::default();
    bench(criterion, name, weights, servers, || {
        let mut choices = selector.iter(black_box(keys.next()));
        black_box(choices.next().is_some())
    });
}

pub(crate) fn picks(criterion: &mut Criterion) {
    for weights in Weights::ALL {
        for servers in SIZES {
            selector::<RoundRobin>(criterion, "peer: pingora round robin", weights, servers);
            selector::<Consistent>(criterion, "peer: pingora consistent", weights, servers);
        }
    }
}
