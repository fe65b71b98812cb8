//! Scenarios in, picks out: as JSON, as a table, with reasons.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use lvs_schedulers::Explanation;
use lvs_schedulers::scenario::{Event, Scenario};

use crate::program::{command, output};

/// The samples of the repository, with what the library says of them.
fn samples() -> Vec<(String, String, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("simulate/scenarios");
    let mut samples: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let scenario = Scenario::from_json(&text).unwrap();
            (path.display().to_string(), text, scenario)
        })
        .collect();
    samples.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(samples.len() >= 3);
    samples
}

#[test]
fn json_is_the_result_document_from_a_file_and_from_standard_input() {
    for (path, text, scenario) in samples() {
        let document = format!("{}\n", scenario.replay());
        assert_eq!(output(&format!("--json {path}"), ""), document);
        assert_eq!(output("--json -", &text), document);
    }
    let picks = |name: &str| output(&format!("--json simulate/scenarios/{name}.json"), "");
    // lblc: the alternating example of the specification, §9.3; then the cached server 1 is gone and
    // the least loaded for its weight is cached; then the entry of the other address has expired.
    assert_eq!(picks("lblc"), "{\"picks\":[2,1,2,1,0,1,0,0,0,2]}\n");
    assert_eq!(picks("persistent"), "{\"picks\":[2,1,2,2,0,0]}\n");
}

#[test]
fn samples_are_as_the_library_writes_them() {
    for (path, text, scenario) in samples() {
        let values = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let (mut sample, mut written) = (values(&text), values(&scenario.to_json()));
        // Defaults, which are not written.
        for document in [&mut sample, &mut written] {
            let document = document.as_object_mut().unwrap();
            document.remove("kernel");
            document.remove("protocol");
        }
        let without_zeros =
            |text: String| text.replace(",\"lower\":0", "").replace("\"lower\":0,", "");
        assert_eq!(
            without_zeros(sample.to_string()),
            without_zeros(written.to_string()),
            "{path}"
        );
    }
}

#[test]
fn table_shows_flows_and_what_servers_got() {
    assert_eq!(
        output("simulate/scenarios/persistent.json", ""),
        "\
rr for 10.1.0.100:443

  flow  client         server
     0  10.1.1.1:1001  2
     1  10.1.2.1:1002  1
     2  10.1.1.2:1003  2
     3  10.1.1.3:1004  2
     4  10.1.2.2:1005  0
     5  10.1.1.1:1006  0

server  address       weight    flows   share  by weight  active  inactive
     0  10.2.1.1:443       1        2  33.3 %     58.3 %       2         0
     1  10.2.1.2:443       1        1  16.7 %     25.0 %       1         0
     2  10.2.1.3:443       0        3  50.0 %     16.7 %       0         0

6 flows, 0 refused
"
    );
    let nobody = r#"{"scheduler": "rr", "virtual": "fwmark 3", "servers": [],
        "events": [{"op": "flow", "client": "10.0.0.1:1", "to": "10.0.0.2:2"}]}"#;
    let table = output("-", nobody);
    assert!(
        table.contains("     0  10.0.0.1:1 to 10.0.0.2:2  none\n"),
        "{table}"
    );
    assert!(table.ends_with("1 flows, 1 refused\n"), "{table}");
}

#[test]
fn other_scheduler_on_request_also_of_ones_own() {
    let (_, text, scenario) = samples().pop().unwrap();
    for name in ["rr", "sh", "twos"] {
        let other = scenario.clone().with_algorithm(name.parse().unwrap());
        let document = format!("{}\n", other.replay());
        assert_eq!(
            output(&format!("--json --scheduler {name} -"), &text),
            document
        );
    }
    let table = output("--scheduler fewest -", &text);
    assert!(table.starts_with("fewest for "), "{table}");
}

/// Every pick with the very lines of its explanation.
#[test]
fn account_has_each_event_and_the_reasons_of_each_pick() {
    for (path, _, scenario) in samples() {
        let account = output(&format!("--explain {path}"), "");
        let mut events = account.split("\nevent ").skip(1);
        let mut replayer = scenario.replayer();
        let mut why = Explanation::new();
        for (index, event) in scenario.events().iter().enumerate() {
            let outcome = replayer.step_explained(event, &mut why).unwrap();
            let told = events.next().unwrap();
            assert!(told.starts_with(&format!("{index}: ")), "{told}");
            if let Event::Flow { client, .. } = event {
                assert!(told.contains(&client.to_string()), "{told}");
                let server = outcome.pick().flatten().unwrap();
                assert!(
                    told.contains(&format!("goes to server {server}\n")),
                    "{told}"
                );
                let reasons: String = why
                    .to_string()
                    .lines()
                    .map(|line| format!("  {line}\n"))
                    .collect();
                assert!(told.contains(&reasons), "{told}");
                assert!(why.steps().iter().len() > 0);
            }
        }
        assert_eq!(events.next(), None);
    }
}

/// Whoever reads may leave early, as `head` does.
#[test]
fn reader_that_leaves_is_no_failure() {
    let mut child = command()
        .args(["--generate", "--explain", "--flows", "20000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut beginning = [0; 10];
    child
        .stdout
        .take()
        .unwrap()
        .read_exact(&mut beginning)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
