//! Any text as a scenario. The fuzz target `scenario` runs the same function.

use lvs_schedulers::scenario::{Scenario, ScenarioError};

/// Reads the text; what can be read is the same after it was written again, and is played back.
pub(crate) fn check(text: &str) {
    match Scenario::from_json(text) {
        Ok(scenario) => {
            let written = scenario.to_json();
            assert_eq!(Scenario::from_json(&written).as_ref(), Ok(&scenario));

            // Large tables are filled by the same code as small ones, only longer.
            let mut semantics = scenario.semantics();
            semantics.sh_table_bits = semantics.sh_table_bits.min(10);
            semantics.mh_table_index = semantics.mh_table_index.min(10);
            let scenario = scenario.with_semantics(semantics);
            let replay = scenario.replay();
            let flows = scenario
                .events()
                .iter()
                .filter(|event| event.op() == "flow");
            assert_eq!(replay.picks().len(), flows.count());
            assert_eq!(replay, scenario.replay(), "the same again");
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty());
            assert!(!message.contains(char::is_control), "{message:?}");
            if let ScenarioError::Unreadable { line, .. } = error {
                assert!(line <= text.lines().count().max(1) + 1, "{message}");
            }
        }
    }
}
