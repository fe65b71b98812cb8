//! Watching a server that goes away and comes back.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::program::Running;

const POLICY: [&str; 7] = [
    "--watch",
    "--interval",
    "20ms",
    "--rise",
    "2",
    "--fall",
    "3",
];

/// Reads lines until one contains this, and gives them all.
fn until(lines: &mut impl Iterator<Item = String>, part: &str) -> Vec<String> {
    let mut seen = Vec::new();
    for line in lines {
        let found = line.contains(part);
        seen.push(line);
        if found {
            return seen;
        }
    }
    panic!("no {part} in {seen:?}");
}

fn lines(running: &mut Running) -> impl Iterator<Item = String> + use<> {
    let stdout = running.0.stdout.take().unwrap();
    BufReader::new(stdout).lines().map(Result::unwrap)
}

fn interrupt(running: &mut Running) -> Option<i32> {
    let pid = i32::try_from(running.0.id()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
    running.0.wait().unwrap().code()
}

#[test]
fn lines_show_each_change_of_the_policy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("tcp://{address}");
    let mut running = Running::start(&[&POLICY[..], &[&url]].concat());
    let mut lines = lines(&mut running);
    let seen = until(&mut lines, "up      4 of 4  pass");
    assert_eq!(seen.len(), 1, "it starts up: {seen:?}");
    drop(listener);
    let seen = until(&mut lines, "down ");
    let told: Vec<_> = seen.iter().map(|line| &line[9..23]).collect();
    assert_eq!(told, ["up      3 of 4", "up      2 of 4", "down    0 of 4"]);
    assert!(
        seen[2].contains(&format!(
            "refused: expected a connection to {address} within 3 s, got "
        )),
        "{seen:?}"
    );
    let _again = TcpListener::bind(address).unwrap();
    let seen = until(&mut lines, "up ");
    let told: Vec<_> = seen.iter().map(|line| &line[9..23]).collect();
    assert_eq!(told, ["down    1 of 4", "up      4 of 4"]);
    assert_eq!(interrupt(&mut running), Some(0));
    assert_eq!(lines.next(), None, "nothing changed any more");
}

#[test]
fn json_has_every_attempt_and_the_end_is_told_by_the_status() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let mut running = Running::start(&[&POLICY[..], &[&url, "--json"]].concat());
    let mut objects = lines(&mut running).map(|line| serde_json::from_str::<Value>(&line).unwrap());
    for attempt in 1..4 {
        let object = objects.next().unwrap();
        assert_eq!(object["attempt"], attempt);
        assert_eq!(
            (&object["health"], &object["counter"]),
            (&"up".into(), &4.into())
        );
        assert!(object["next_ms"].as_f64().unwrap() <= 20.0, "{object}");
    }
    drop(listener);
    let object = objects.find(|object| object["health"] == "down").unwrap();
    assert_eq!(
        (&object["changed"], &object["counter"]),
        (&true.into(), &0.into())
    );
    assert_eq!(interrupt(&mut running), Some(1));
}

#[test]
#[ignore = "needs script(1), for a terminal"]
fn terminal_shows_the_state_and_is_given_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let program = crate::program::command(&[]).get_program().to_owned();
    let line = format!(
        "stty rows 9 cols 100; {} {} {url} --count 3",
        program.to_str().unwrap(),
        POLICY.join(" ")
    );
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.starts_with("\u{1b}[?1049h"), "{shown:?}");
    let (shown, after) = shown.split_once("\u{1b}[?25h\u{1b}[?1049l").unwrap();
    assert!(after[9..].starts_with("up      4 of 4  pass"), "{after:?}");
    let last = shown.rsplit("\u{1b}[H").next().unwrap();
    assert!(last.matches("\r\n").count() < 9, "{last:?}");
    for part in [
        &*url,
        "UP",
        "counter 4 of 4  #|###",
        "3 attempts, 3 passed",
        "Ctrl-C",
    ] {
        assert!(last.contains(part), "{part}: {last:?}");
    }
    assert!(shown.contains("next attempt in 0.0 s"), "{shown:?}");
}
