//! Any line of an agent.

use lvs_healthcheck::probe::agent::{Agent, Reply};
use lvs_healthcheck::{Phase, Target, TcpProbe, Verdict};

use super::talk::{Input, Plan, compare};

/// A line.
const KEPT: usize = 1024;

pub(super) fn check(data: &[u8]) {
    let mut input = Input(data);
    let agent = if input.byte() % 2 == 1 {
        Agent::new().with_send("how are you\n")
    } else {
        Agent::new()
    };
    let target = Target::new(([192, 0, 2, 7], 9777).into());
    let probe = TcpProbe::new(target).with_protocol(agent);
    let plan = Plan::of(&mut input);
    let told = compare(&probe, &plan, KEPT, false);
    // Only what an agent said counts, and it says it with a line end.
    let end = plan.stream.iter().position(|byte| b"\r\n".contains(byte));
    match end.filter(|end| *end <= KEPT) {
        Some(end) => {
            let line = Reply::parse(plan.stream.get(..end).unwrap());
            assert_eq!(told.outcome, line.outcome());
            assert_eq!(told.outcome.phase, Phase::Match);
            // What an agent of ours writes is read as it was meant.
            let again = Reply::parse(line.to_string().as_bytes());
            assert_eq!((again.up, again.admin), (line.up, line.admin));
            assert_eq!(again.weight, line.weight);
            assert_eq!(again.max_connections, line.max_connections);
            assert_eq!(again.text, line.text);
        }
        None => assert_eq!(told.outcome.verdict, Verdict::Neutral),
    }
}
