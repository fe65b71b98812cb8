//! The same traffic through several schedulers: the figures.

use serde_json::Value;

use crate::program::output;

fn compared(arguments: &str, stdin: &str) -> Vec<Value> {
    let document: Value =
        serde_json::from_str(&output(&format!("--json {arguments}"), stdin)).unwrap();
    document["schedulers"].as_array().unwrap().clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

/// Flows 0 to 5 of clients 1, 2, 3 and again 1, 2, 3; server 2 leaves in the middle.
const LEAVING: &str = r#"{"scheduler": "rr", "virtual": "10.1.0.100:80",
  "servers": [
    {"id": 0, "address": "10.2.1.1:80", "weight": 1},
    {"id": 1, "address": "10.2.1.2:80", "weight": 1},
    {"id": 2, "address": "10.2.1.3:80", "weight": 2}
  ],
  "events": [
    {"op": "flow", "client": "10.1.1.1:1"},
    {"op": "flow", "client": "10.1.1.2:1"},
    {"op": "flow", "client": "10.1.1.3:1"},
    {"op": "remove", "id": 2},
    {"op": "flow", "client": "10.1.1.1:2"},
    {"op": "flow", "client": "10.1.1.2:2"},
    {"op": "flow", "client": "10.1.1.3:2"}
  ]}"#;

/// By hand: rr picks 2 1 0, then 1 0 1. Of clients 2 and 3, whose servers 1 and 0 stayed, both move.
/// Weights ask for 3 × (1/4, 1/4, 2/4), then 3 × (1/2, 1/2): 2.25, 2.25, 1.5 of six flows.
#[test]
fn figures_are_those_worked_out_by_hand() {
    let figures = &compared("--compare rr -", LEAVING)[0];
    assert_eq!(figures["scheduler"], "rr");
    assert_eq!(
        (&figures["flows"], &figures["refused"]),
        (&6.into(), &0.into())
    );
    assert_eq!(
        figures["clients"].to_string(),
        r#"{"moved":2,"returned":2}"#
    );
    let servers = figures["servers"].as_array().unwrap();
    let flows: Vec<u64> = servers
        .iter()
        .map(|server| server["flows"].as_u64().unwrap())
        .collect();
    assert_eq!(flows, [2, 3, 1]);
    let due: Vec<f64> = servers
        .iter()
        .map(|server| number(&server["share_by_weight"]))
        .collect();
    assert_eq!(due, [2.25 / 6.0, 2.25 / 6.0, 1.5 / 6.0]);
    // Flows got over flows due: 8/9, 12/9, 6/9; their mean is 26/27.
    let loads = [8.0 / 9.0, 12.0 / 9.0, 6.0 / 9.0];
    let mean = loads.iter().sum::<f64>() / 3.0;
    let deviation = loads.iter().map(|load| (load - mean).powi(2)).sum::<f64>() / 3.0;
    let spread = &figures["flows_per_weight"];
    assert!(
        (number(&spread["max_over_mean"]) - loads[1] / mean).abs() < 1e-9,
        "{spread}"
    );
    assert!(
        (number(&spread["cv"]) - deviation.sqrt() / mean).abs() < 1e-9,
        "{spread}"
    );
}

/// The spread of connections over time, where time passes: two servers, for one second 1 and 0
/// connections, for three seconds 1 and 1.
#[test]
fn connections_are_averaged_over_time() {
    let scenario = r#"{"scheduler": "rr", "virtual": "10.1.0.100:80",
      "servers": [
        {"id": 0, "address": "10.2.1.1:80", "weight": 1},
        {"id": 1, "address": "10.2.1.2:80", "weight": 1}
      ],
      "events": [
        {"op": "flow", "client": "10.1.1.1:1"}, {"op": "advance", "seconds": 1},
        {"op": "flow", "client": "10.1.1.2:1"}, {"op": "advance", "seconds": 3}
      ]}"#;
    let spread = compared("--compare rr -", scenario)[0]["connections_per_weight"].clone();
    // Sampled at some hundred moments.
    assert!(
        (number(&spread["max_over_mean"]) - 1.25).abs() < 0.01,
        "{spread}"
    );
    assert!((number(&spread["cv"]) - 0.25).abs() < 0.01, "{spread}");
}

#[test]
fn schedulers_differ_as_they_should() {
    let names = "rr,wrr,wlc,sh,mh,fewest";
    let all = compared(&format!("--generate --flows 20000 --compare {names}"), "");
    let compared: Vec<&str> = all
        .iter()
        .map(|it| it["scheduler"].as_str().unwrap())
        .collect();
    assert_eq!(compared.join(","), names);
    let of = |name: &str| all.iter().find(|it| it["scheduler"] == name).unwrap();
    let flows_cv = |name: &str| number(&of(name)["flows_per_weight"]["cv"]);
    let connections_cv = |name: &str| number(&of(name)["connections_per_weight"]["cv"]);
    let moved = |name: &str| {
        let clients = &of(name)["clients"];
        assert!(number(&clients["returned"]) > 100.0);
        number(&clients["moved"]) / number(&clients["returned"])
    };
    // Weights 4, 3, 2, 1 that rr does not see: loads 5/8, 5/6, 5/4, 5/2.
    assert!((flows_cv("rr") - 0.559).abs() < 0.01);
    assert!(flows_cv("wrr") < 0.001, "{}", flows_cv("wrr"));
    assert!(connections_cv("wlc") < connections_cv("wrr"));
    assert!((connections_cv("fewest") - connections_cv("wlc")).abs() < 0.01);
    assert!(flows_cv("sh") > flows_cv("wrr"));
    assert!(moved("mh") < 0.05, "{}", moved("mh"));
    assert!(moved("sh") > 0.3, "{}", moved("sh"));
}

#[test]
fn who_leaves_can_be_chosen_and_a_service_of_one_server_has_nobody_to_leave() {
    let document =
        |arguments: &str| -> Value { serde_json::from_str(&output(arguments, "")).unwrap() };
    let standard = document("--generate --flows 2000 --compare mh --json");
    assert_eq!(standard["leaver"], 0);
    let chosen = document("--generate --flows 2000 --compare mh --json --leaver 3");
    assert_eq!(chosen["leaver"], 3);
    assert_ne!(
        chosen["schedulers"][0]["clients"]["returned"],
        standard["schedulers"][0]["clients"]["returned"]
    );
    let alone = document("--generate --flows 20 --servers 1 --compare mh --json");
    assert_eq!(alone["leaver"], Value::Null);
    assert_eq!(alone["schedulers"][0]["clients"], Value::Null);
}

#[test]
fn refused_flows_are_counted_and_have_no_share() {
    let all = compared("--generate --flows 50 --servers 0,0 --compare rr,mh", "");
    for figures in all {
        assert_eq!(figures["refused"], 50);
        assert_eq!(figures["flows_per_weight"], Value::Null);
        assert_eq!(figures["servers"][0]["share"], 0.0);
    }
}

#[test]
fn table_has_the_figures() {
    assert_eq!(output("--compare rr,fewest -", LEAVING), TABLE);
}

const TABLE: &str = "\
TCP service 10.1.0.100:80, 6 flows

                    new flows per weight  connections per weight  clients
scheduler  refused    max/mean        cv      max/mean        cv    moved
rr               0       1.385     0.288         1.533     0.435  100.0 %
fewest           0       1.385     0.288         1.533     0.435  100.0 %

share of the flows that got a server
server  weight  by weight       rr   fewest
     0       1     37.5 %   33.3 %   33.3 %
     1       1     37.5 %   50.0 %   50.0 %
     2       2     25.0 %   16.7 %   16.7 %

max/mean: 1 is even; cv: standard deviation over mean, 0 is even. Connections: active connections, mean over events.
moved: of the clients whose server stayed when another left, those whose next flow went to another one.
";
