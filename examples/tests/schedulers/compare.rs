//! The kernel's picks beside the library's.

use core::fmt;

use lvs_schedulers::Explanation;
use lvs_schedulers::scenario::{Event, Outcome, Scenario};

/// Where the two differ first, and all that helps to see why.
#[derive(Debug)]
pub(crate) struct Difference {
    flow: usize,
    kernel: Option<u32>,
    library: Option<u32>,
    /// The library's account of that flow.
    explanation: Explanation,
    /// What happened up to that flow.
    scenario: Scenario,
}

/// Plays the scenario to the library and compares pick by pick; `None` if all are equal.
pub(crate) fn difference(scenario: &Scenario, picks: &[Option<u32>]) -> Option<Difference> {
    let mut replayer = scenario.replayer();
    let mut explanation = Explanation::new();
    let mut picks = picks.iter().enumerate();
    for (index, event) in scenario.events().iter().enumerate() {
        let library = match replayer.step_explained(event, &mut explanation).unwrap() {
            Outcome::Picked(id) => Some(id),
            Outcome::Refused => None,
            _ => continue,
        };
        let (flow, kernel) = picks.next().expect("a pick for each flow");
        if *kernel != library {
            return Some(Difference {
                flow,
                kernel: *kernel,
                library,
                explanation,
                scenario: beginning(scenario, index),
            });
        }
    }
    assert!(picks.next().is_none(), "a flow for each pick");
    None
}

/// The scenario up to this event.
fn beginning(scenario: &Scenario, last: usize) -> Scenario {
    let servers = scenario.servers().iter().copied();
    let mut beginning = Scenario::new(scenario.algorithm(), scenario.target(), servers)
        .unwrap()
        .with_protocol(scenario.protocol())
        .with_flags(scenario.flags())
        .with_semantics(scenario.semantics());
    if let Some(persistence) = scenario.persistence() {
        beginning = beginning.with_persistence(persistence).unwrap();
    }
    for event in &scenario.events()[..=last] {
        beginning.push(*event).unwrap();
    }
    beginning
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            flow,
            kernel,
            library,
            explanation,
            scenario,
        } = self;
        let mut counts = [0; 2];
        for event in scenario.events() {
            counts[usize::from(matches!(event, Event::Flow { .. }))] += 1;
        }
        writeln!(f, "{scenario}")?;
        writeln!(
            f,
            "flow {flow}, after {} flows and {} other events: the kernel picked {kernel:?}, the \
             library {library:?}",
            counts[1] - 1,
            counts[0]
        )?;
        write!(f, "{explanation}")
    }
}
