//! What happens when a scenario is played back.

use core::fmt::Write;

use lvs_schedulers::scenario::{Event, Outcome, Scenario};
use lvs_schedulers::{
    Algorithm, Candidate, Context, DestinationEntry, Explanation, Flow, Scheduler,
};

/// A TCP service with servers 0, 1, 2 of these weights, and these events.
fn scenario(scheduler: &str, weights: [u32; 3], events: &[&str]) -> Scenario {
    let mut text = format!("{{\"scheduler\": \"{scheduler}\", \"virtual\": \"10.1.0.100:80\", ");
    text += "\"servers\": [";
    for (id, weight) in weights.iter().enumerate() {
        let comma = if id > 0 { "," } else { "" };
        write!(
            text,
            "{comma}{{\"id\": {id}, \"address\": \"10.2.1.{}:80\", \"weight\": {weight}}}",
            id + 1
        )
        .unwrap();
    }
    text += "], \"events\": [";
    text += &events.join(",");
    text += "]}";
    Scenario::from_json(&text).unwrap()
}

fn flows(count: usize) -> Vec<String> {
    (0..count)
        .map(|port| format!(r#"{{"op": "flow", "client": "10.1.1.1:{}"}}"#, 1000 + port))
        .collect()
}

fn picks(scenario: &Scenario) -> String {
    let letter = |pick: &Option<u32>| match pick {
        Some(id) => ["A", "B", "C"][usize::try_from(*id).unwrap()],
        None => "-",
    };
    scenario.replay().picks().iter().map(letter).collect()
}

/// Spec §2: all weights 1, then B gets weight 0.
#[test]
fn rr_example_of_the_specification() {
    let mut events = flows(7);
    events.push(r#"{"op": "edit", "id": 1, "weight": 0}"#.into());
    events.extend(flows(5));
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    assert_eq!(picks(&scenario("rr", [1; 3], &events)), "CBACBACACACA");
}

/// Spec §3: 18 picks of weights 4, 3, 2, then A gets weight 8.
#[test]
fn wrr_example_of_the_specification() {
    let mut events = flows(18);
    events.push(r#"{"op": "edit", "id": 0, "weight": 8}"#.into());
    events.extend(flows(13));
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let picks = picks(&scenario("wrr", [4, 3, 2], &events));
    assert_eq!(picks, "CBAABACBACBAABACBACBACBAAAAAABA");
}

/// Spec §5, and that closed and expired flows count less and not at all.
#[test]
fn wlc_example_of_the_specification_with_flows_that_end() {
    let mut events = flows(12);
    // B has six flows and gets the next but for this.
    events.extend((0..12).map(|flow| format!(r#"{{"op": "close", "flow": {flow}}}"#)));
    events.extend((0..11).map(|flow| format!(r#"{{"op": "expire", "flow": {flow}}}"#)));
    events.extend(flows(2));
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let scenario = scenario("wlc", [1, 3, 2], &events);
    assert_eq!(picks(&scenario), "CBABCBCBABCBCA");

    let mut replayer = scenario.replayer();
    let counts: Vec<(u32, u32)> = scenario
        .events()
        .iter()
        .map(|event| {
            replayer.step(event).unwrap();
            let b = replayer.server(1).unwrap();
            (b.active(), b.inactive())
        })
        .collect();
    assert_eq!(counts[11], (6, 0));
    assert_eq!(counts[23], (0, 6));
    assert_eq!(counts[34], (0, 1));
}

#[test]
fn nobody_is_picked_where_all_are_quiesced_and_later_events_of_the_flow_do_nothing() {
    let events = [
        r#"{"op": "flow", "client": "10.1.1.1:1"}"#,
        r#"{"op": "establish", "flow": 0}"#,
        r#"{"op": "close", "flow": 0}"#,
        r#"{"op": "expire", "flow": 0}"#,
        r#"{"op": "edit", "id": 2, "weight": 1}"#,
        r#"{"op": "flow", "client": "10.1.1.1:2"}"#,
        r#"{"op": "expire", "flow": 1}"#,
        r#"{"op": "expire", "flow": 1}"#,
        r#"{"op": "close", "flow": 1}"#,
    ];
    let scenario = scenario("rr", [0; 3], &events);
    assert_eq!(scenario.replay().to_string(), r#"{"picks":[null,2]}"#);
    let mut replayer = scenario.replayer();
    for event in scenario.events() {
        replayer.step(event).unwrap();
    }
    assert_eq!(replayer.service().connections(), 0);
    assert_eq!(
        (replayer.connection(0), replayer.connection(1)),
        (None, None)
    );
}

/// A removed server with connections comes back with them, under its id.
#[test]
fn returning_server_has_its_connections_and_is_the_newest() {
    let events = [
        r#"{"op": "flow", "client": "10.1.1.1:1"}"#, // C
        r#"{"op": "flow", "client": "10.1.1.1:2"}"#, // B
        r#"{"op": "flow", "client": "10.1.1.1:3"}"#, // A
        r#"{"op": "remove", "id": 0}"#,
        r#"{"op": "add", "id": 0}"#,
        r#"{"op": "flow", "client": "10.1.1.1:4"}"#,
        r#"{"op": "expire", "flow": 2}"#,
        r#"{"op": "flow", "client": "10.1.1.1:5"}"#,
    ];
    // All have one connection, and the newest wins; then all but C and B have two.
    assert_eq!(picks(&scenario("lc", [1; 3], &events)), "CBAAA");
}

/// Spec §1.6, step 5: the network's template decides until it has timed out, also for a quiesced
/// server, but not for a removed one.
#[test]
fn persistent_clients_return_to_their_server() {
    let text = r#"{
      "scheduler": "rr", "virtual": "10.1.0.100:80", "persistent": 300, "mask": "255.255.255.0",
      "servers": [
        {"id": 0, "address": "10.2.1.1:80", "weight": 1},
        {"id": 1, "address": "10.2.1.2:80", "weight": 1},
        {"id": 2, "address": "10.2.1.3:80", "weight": 1}
      ],
      "events": [
        {"op": "flow", "client": "10.1.1.1:1000"},
        {"op": "flow", "client": "10.1.2.1:1000"},
        {"op": "flow", "client": "10.1.1.2:1000"},
        {"op": "edit", "id": 2, "weight": 0},
        {"op": "flow", "client": "10.1.1.3:1000"},
        {"op": "expire", "flow": 0}, {"op": "expire", "flow": 2}, {"op": "expire", "flow": 3},
        {"op": "remove", "id": 1},
        {"op": "flow", "client": "10.1.2.2:1000"},
        {"op": "advance", "seconds": 301},
        {"op": "flow", "client": "10.1.1.1:1001"}
      ]
    }"#;
    let scenario = Scenario::from_json(text).unwrap();
    assert_eq!(scenario.replay().to_string(), r#"{"picks":[2,1,2,2,0,0]}"#);
}

/// The end of a handshake and of a connection, seen by the counts.
#[test]
fn established_sctp_connections_are_active_until_closed() {
    let text = r#"{
      "scheduler": "rr", "virtual": "10.1.0.100:80", "protocol": "sctp",
      "servers": [{"id": 0, "address": "10.2.1.1:80", "weight": 1}],
      "events": [
        {"op": "flow", "client": "10.1.1.1:1000"},
        {"op": "establish", "flow": 0},
        {"op": "close", "flow": 0},
        {"op": "expire", "flow": 0}
      ]
    }"#;
    let scenario = Scenario::from_json(text).unwrap();
    let mut replayer = scenario.replayer();
    let counts: Vec<(u32, u32)> = scenario
        .events()
        .iter()
        .map(|event| {
            replayer.step(event).unwrap();
            let server = replayer.server(0).unwrap();
            (server.active(), server.inactive())
        })
        .collect();
    assert_eq!(counts, [(0, 1), (1, 0), (0, 1), (0, 0)]);
}

/// A scheduler that is none of the kernel's: always the oldest.
#[derive(Debug)]
struct Oldest;

impl Scheduler<DestinationEntry> for Oldest {
    fn name(&self) -> &str {
        "oldest"
    }

    fn pick(&mut self, list: &[DestinationEntry], _: &Flow, _: &mut Context<'_>) -> Option<usize> {
        list.iter().position(|d| Candidate::weight(d) > 0)
    }
}

#[test]
fn own_scheduler_plugs_in() {
    let events = flows(3);
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let scenario = scenario("rr", [0, 1, 1], &events);
    let replay = scenario.replay_with(Box::new(Oldest));
    assert_eq!(replay.picks(), [Some(1); 3]);
    assert_eq!(
        scenario
            .replayer_with(Box::new(Oldest))
            .service()
            .scheduler_name(),
        "oldest"
    );
}

#[test]
fn steps_are_explained_and_an_explained_step_is_the_same_step() {
    for algorithm in Algorithm::ALL {
        let events = flows(20);
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        let scenario = scenario(algorithm.name(), [1, 3, 2], &events);
        let mut replayer = scenario.replayer();
        let mut why = Explanation::new();
        let outcomes: Vec<_> = scenario
            .events()
            .iter()
            .map(|event| {
                let outcome = replayer.step_explained(event, &mut why).unwrap();
                assert_eq!(why.scheduler(), algorithm.name());
                if let Outcome::Picked(id) = outcome {
                    let address = why.outcome().and_then(|index| why.address(index));
                    assert_eq!(address, Some(replayer.server(id).unwrap().address()));
                }
                outcome.pick().unwrap()
            })
            .collect();
        assert_eq!(outcomes, scenario.replay().picks());
    }
}

#[test]
fn replayer_refuses_what_a_scenario_refuses() {
    let mut replayer = scenario("rr", [1; 3], &[]).replayer();
    let flow = Event::flow("10.1.1.1:1".parse().unwrap());
    assert_eq!(replayer.step(&flow), Ok(Outcome::Picked(2)));
    let error = replayer.step(&Event::Close { flow: 1 }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "events[1].flow: 1 is out of range: flows so far: 1"
    );
    assert_eq!(replayer.step(&Event::Close { flow: 0 }), Ok(Outcome::Done));
}
