//! The program without a file, run as an unprivileged user: three servers, answers by weight, two
//! directors of which one may be killed, what a script does, how it ends.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

mod lag;
mod program;
mod unprivileged;

use core::net::SocketAddr;
use core::time::Duration;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

use lag::Lag;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use program::Program;
use serde_json::Value;
use unprivileged::Unprivileged;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// From the stop of a server to its place in the table being empty: as many intervals (1 s) as
/// failures are needed (one retry, so two), and the time that one attempt has (1 s).
const GONE_WITHIN: Duration = Duration::from_secs(2 + 1);

/// A running demonstration.
#[derive(Debug)]
struct Demonstration {
    program: Program,
    address: SocketAddr,
    /// No later than its own clock's.
    start: Instant,
    _installed: Unprivileged,
}

impl Demonstration {
    /// Starts it and waits until both directors found all three servers up and one is Active.
    fn start(arguments: &[&str]) -> Self {
        let installed = Unprivileged::new();
        let start = Instant::now();
        let program = Program::start(installed.director().args(arguments));
        let address = program.wait_for(|line| {
            let (_, rest) = line.split_once("curl http://")?;
            rest.split('/').next()?.parse().ok()
        });
        for server in 11..=13 {
            let found = format!("HTTP_GET 127.0.0.{server}:");
            let is_up = |line: &str| line.contains(&found) && line.contains("unknown to up");
            for director in ["A  check ", "B  check "] {
                program.wait_for(|line| (is_up(line) && line.contains(director)).then_some(()));
            }
        }
        program.wait_for(|line| line.ends_with("A  state   Active").then_some(()));
        Self {
            program,
            address,
            start,
            _installed: installed,
        }
    }

    /// Fetches one after the other and counts the answers of each server.
    fn answers(&self, requests: usize) -> [usize; 3] {
        self.try_answers(requests).unwrap()
    }

    fn try_answers(&self, requests: usize) -> io::Result<[usize; 3]> {
        let mut counts = [0; 3];
        for _ in 0..requests {
            counts[fetch(self.address)? - 1] += 1;
        }
        Ok(counts)
    }

    /// The same, if they were all there before that time of the script.
    fn answers_before(&self, seconds: u32, requests: usize) -> Option<[usize; 3]> {
        let answers = self.try_answers(requests);
        let is_in_time = self.start.elapsed() < Duration::from_secs(seconds.into());
        is_in_time.then(|| answers.unwrap())
    }

    fn wait_for(&self, text: &str) {
        self.program
            .wait_for(|line| line.contains(text).then_some(()));
    }

    /// Ends it, and checks that it ends well.
    fn end(self, signal: Signal) -> String {
        self.program.signal(signal);
        let end = self.program.end();
        assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{}", end.out);
        assert!(end.out.contains(", 0 of them failed"), "{}", end.out);
        end.out
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Which server answers over a connection of its own.
fn fetch(address: SocketAddr) -> io::Result<usize> {
    let mut stream = connect(address)?;
    let request = format!("GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    server(&answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn server(answer: &str) -> Option<usize> {
    let (_, number) = answer.rsplit_once("server ")?;
    number.trim().parse().ok()
}

/// When a line was written, by its own account.
fn time_of(output: &str, text: &str) -> Duration {
    let line = output.lines().find(|line| line.contains(text));
    let line = line.unwrap_or_else(|| panic!("no {text:?} in {output}"));
    let seconds = line.split_whitespace().next().unwrap();
    Duration::from_secs_f64(seconds.parse().unwrap())
}

/// Runs a test that counts on things being so by the times of its script: where this machine was too
/// slow for that (`None`), again, with all times of the script multiplied.
fn in_time(test: impl Fn(u32) -> Option<()>) {
    let is_done = |factor: &u32| {
        let done = test(*factor);
        println!(
            "times of the script × {factor}: {}",
            if done.is_some() {
                "enough"
            } else {
                "too short"
            }
        );
        done.is_some()
    };
    assert!([1, 2, 4, 8, 16].iter().any(is_done), "never in time");
}

#[test]
fn three_servers_answer_as_often_as_their_weights_say() {
    let demonstration = Demonstration::start(&[]);
    assert_eq!(demonstration.answers(12), [6, 4, 2]);
    let out = demonstration.end(Signal::SIGTERM);
    assert!(
        out.contains("12 connections accepted, 1 at once at most"),
        "{out}"
    );
    for (number, answers) in [(1, 6), (2, 4), (3, 2)] {
        let server = format!("  server {number} on 127.0.0.1{number}:");
        let line = out.lines().find(|line| line.starts_with(&server));
        let expected = format!(": {answers} connections, {answers} requests answered");
        assert!(line.unwrap().ends_with(&expected), "{out}");
    }
}

#[test]
#[ignore = "needs curl"]
fn three_servers_answer_curl() {
    let demonstration = Demonstration::start(&[]);
    let url = format!("http://{}/", demonstration.address);
    let mut counts = [0; 3];
    for _ in 0..12 {
        let curl = Command::new("curl")
            .args(["-sS", "--max-time", "20", &url])
            .output();
        let curl = curl.unwrap();
        assert!(curl.status.success(), "{curl:?}");
        counts[server(&String::from_utf8(curl.stdout).unwrap()).unwrap() - 1] += 1;
    }
    assert_eq!(counts, [6, 4, 2]);
    demonstration.end(Signal::SIGTERM);
}

#[test]
fn round_robin_goes_by_turns_whatever_the_weights() {
    let demonstration = Demonstration::start(&["--scheduler", "rr"]);
    assert_eq!(demonstration.answers(12), [4, 4, 4]);
    demonstration.end(Signal::SIGTERM);
}

#[test]
fn a_stopped_server_is_gone_in_time_and_comes_back() {
    in_time(|factor| {
        let (stop, start) = (4 * factor, 10 * factor);
        let script = format!("at {stop}s stop 2, at {start}s start 2");
        let demonstration = Demonstration::start(&["--script", &script]);
        assert_eq!(demonstration.answers_before(stop, 12)?, [6, 4, 2]);

        let lag = Lag::measure();
        demonstration.wait_for("script  stop 2");
        demonstration.wait_for("A  table   ipvsadm -d");
        // The line is written just before the forwarder is told; until then the server is picked, and
        // the client is reset.
        let told = Instant::now() + PATIENCE;
        while (0..6).any(|_| fetch(demonstration.address).is_err()) {
            assert!(Instant::now() < told, "it is picked for ever");
        }
        assert_eq!(demonstration.answers_before(start, 12)?, [9, 0, 3]);

        demonstration.wait_for("script  start 2");
        demonstration.wait_for("out to weight 2");
        // The line is written just before the forwarder is told.
        let back = Instant::now() + PATIENCE;
        while fetch(demonstration.address).unwrap() != 2 {
            assert!(Instant::now() < back, "it never answers again");
        }
        assert_eq!(demonstration.answers(12), [6, 4, 2]);

        let lag = lag.end();
        let out = demonstration.end(Signal::SIGINT);
        let [stop, removed, start, returned] = [
            "script  stop 2",
            "A  table   ipvsadm -d",
            "script  start 2",
            "out to weight 2",
        ]
        .map(|text| time_of(&out, text));
        println!(
            "gone after {:?}, back after {:?}, threads {lag:?} late",
            removed - stop,
            returned - start
        );
        let within = GONE_WITHIN + lag;
        assert!(removed - stop <= within, "{lag:?} late: {out}");
        assert!(returned - start <= within, "{lag:?} late: {out}");
        Some(())
    });
}

#[test]
fn a_script_changes_weights() {
    let script = "at 2s weight 1 0; at 2s weight 3 5";
    let demonstration = Demonstration::start(&["--script", script]);
    demonstration.wait_for("weight 1 to weight 5");
    let told = Instant::now() + PATIENCE;
    // The line is written just before the forwarder is told.
    while demonstration.answers(7) != [0, 2, 5] {
        assert!(Instant::now() < told, "{:?}", demonstration.answers(7));
    }
    demonstration.end(Signal::SIGTERM);
}

#[test]
fn the_other_director_serves_after_the_active_one_was_killed() {
    in_time(|factor| {
        let (kill, revive) = (4 * factor, 12 * factor);
        let script = format!("at {kill}s kill active; at {revive}s revive");
        let demonstration = Demonstration::start(&["--script", &script]);
        assert_eq!(demonstration.answers_before(kill, 12)?, [6, 4, 2]);

        demonstration.wait_for("script  kill active");
        // Who comes while nobody is Active waits, and is not refused.
        assert_eq!(demonstration.answers(12), [6, 4, 2]);
        demonstration.wait_for("B  state   Active");
        assert_eq!(demonstration.answers_before(revive, 12)?, [6, 4, 2]);

        // The first one takes over again when it is back: its priority is higher.
        let mut times = 0;
        demonstration.program.wait_for(|line| {
            times += usize::from(line.ends_with("A  state   Active"));
            (times == 2).then_some(())
        });
        assert_eq!(demonstration.answers(12), [6, 4, 2]);

        let out = demonstration.end(Signal::SIGTERM);
        assert!(out.contains("3 take-overs"), "{out}");
        assert!(out.contains("48 connections accepted"), "{out}");
        assert!(out.contains("; 0 without a server, 0 refused"), "{out}");
        Some(())
    });
}

/// What it told until its end, as JSON; `None` where one of these came only after its time: a state,
/// which of how many, and the time in seconds.
fn told_in_time(arguments: &[&str], deadlines: &[(&str, u32)]) -> Option<Vec<Value>> {
    let installed = Unprivileged::new();
    let end = Program::start(installed.director().args(arguments)).end();
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{}", end.out);
    let lines = end.out.lines();
    let told: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (director, deadline) in deadlines {
        let is_active = |it: &&Value| {
            it["director"] == *director && it["event"] == "state" && it["text"] == "Active"
        };
        let at = told.iter().find(is_active)?["at"].as_f64().unwrap();
        if at >= f64::from(*deadline) {
            return None;
        }
    }
    Some(told)
}

/// Nobody sees more of a dead director than some waiting.
#[test]
fn clients_of_its_own_have_answers_through_a_fail_over() {
    in_time(|factor| {
        let [come, kill, cease, end] = [3, 4, 9, 14].map(|time| time * factor);
        let script =
            format!("at {come}s traffic 50; at {kill}s kill active; at {cease}s traffic 0");
        let time = format!("{end}s");
        let arguments = ["--for", &time, "--json", "--script", &script];
        let told = told_in_time(&arguments, &[("A", come), ("B", cease)])?;
        let summary = told.last().unwrap();
        let number = |name: &str| summary[name].as_u64().unwrap();
        assert_eq!(
            (number("take_overs"), number("clients_failed")),
            (2, 0),
            "{summary}"
        );
        let answered = number("clients_answered");
        assert!(answered >= 10, "{summary}");
        assert!(number("accepted") >= answered, "{summary}");
        Some(())
    });
}

#[test]
fn another_scheduler_is_seen_in_the_answers() {
    in_time(|factor| {
        let (first, second) = (3 * factor, 8 * factor);
        let script = format!("at {first}s scheduler rr; at {second}s scheduler sh");
        let demonstration = Demonstration::start(&["--script", &script]);
        assert_eq!(demonstration.answers_before(first, 12)?, [6, 4, 2]);
        for director in ["A", "B"] {
            demonstration.wait_for(&format!("{director}  table   ipvsadm -E -t 127.0.0.10:"));
        }
        // The line is written just before the forwarder is told.
        while demonstration.answers_before(second, 12)? != [4, 4, 4] {}
        // By the address of the client, which is always the same.
        demonstration.wait_for(" -s sh");
        let told = Instant::now() + PATIENCE;
        while !demonstration.answers(12).contains(&12) {
            assert!(Instant::now() < told, "{:?}", demonstration.answers(12));
        }
        demonstration.end(Signal::SIGTERM);
        Some(())
    });
}

#[test]
fn a_thousand_connections_at_once() {
    const CONNECTIONS: usize = 1000;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();

    // Where the directors' own checks are too slow there are no servers to be picked.
    in_time(|_| {
        let demonstration = Demonstration::start(&[]);
        let counts = answers_at_once(demonstration.address, CONNECTIONS);
        let out = demonstration.end(Signal::SIGTERM);
        if out.contains("up to down") {
            return None;
        }
        // 166 rounds of 3, 2 and 1, and four more.
        let counts = counts.unwrap();
        assert_eq!(counts.iter().sum::<usize>(), CONNECTIONS);
        for (count, weight) in counts.into_iter().zip([3, 2, 1]) {
            assert!((166 * weight..=167 * weight).contains(&count), "{counts:?}");
        }
        assert!(
            out.contains("1000 connections accepted, 1000 at once at most"),
            "{out}"
        );
        assert!(out.contains("; 0 without a server, 0 refused"), "{out}");
        Some(())
    });
}

/// Who answers on so many connections that are all open until the last one is answered.
fn answers_at_once(address: SocketAddr, connections: usize) -> io::Result<[usize; 3]> {
    let streams = (0..connections).map(|_| connect(address));
    let mut streams: Vec<_> = streams.collect::<io::Result<_>>()?;
    let request = format!("GET / HTTP/1.1\r\nhost: {address}\r\n\r\n");
    for stream in &mut streams {
        stream.write_all(request.as_bytes())?;
    }
    let mut counts = [0; 3];
    for stream in &mut streams {
        let mut answer = String::new();
        let mut reader = BufReader::new(stream);
        while server(&answer).is_none() {
            if reader.read_line(&mut answer)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        counts[server(&answer).unwrap() - 1] += 1;
    }
    Ok(counts)
}

#[test]
fn it_ends_when_its_time_is_over() {
    in_time(|factor| {
        let installed = Unprivileged::new();
        let time = format!("{}ms", 1500 * factor);
        let end = Program::start(installed.director().args(["--for", &time])).end();
        assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{}", end.out);
        let summary = end.out.lines().find(|line| line.contains(" s: ")).unwrap();
        let (seconds, rest) = summary.split_once(" s: ").unwrap();
        assert!(
            seconds.parse::<f64>().unwrap() >= 1.5 * f64::from(factor),
            "{summary}"
        );
        assert!(end.out.contains("0 connections accepted"), "{}", end.out);
        // Both directors have come to know all servers.
        if end.out.matches("unknown to up").count() < 6 {
            return None;
        }
        // A service and three destinations come, the service goes; with each director.
        let changes = " attempts of checks, 10 changes of the table, 0 of them failed";
        assert!(rest.ends_with(changes), "{summary}");
        let added_by_both = end.out.matches("ipvsadm -A -t").count();
        assert_eq!(added_by_both, 2, "{}", end.out);
        let [added, removed] =
            ["ipvsadm -A -t", "ipvsadm -D -t"].map(|text| time_of(&end.out, text));
        assert!(added < removed);
        Some(())
    });
}

#[test]
fn a_signal_to_read_the_file_again_is_answered() {
    let demonstration = Demonstration::start(&[]);
    demonstration.program.signal(Signal::SIGHUP);
    demonstration.wait_for("signal  SIGHUP: there is no file to read again");
    assert_eq!(demonstration.answers(6), [3, 2, 1]);
    demonstration.end(Signal::SIGTERM);
}

#[test]
fn json_has_an_object_for_each_event() {
    in_time(|factor| {
        let [kill, stop, end] = [2, 3, 7].map(|time| time * factor);
        let script = format!("at {kill}s kill active; at {stop}s stop 3");
        let time = format!("{end}s");
        let arguments = ["--json", "--for", &time, "--script", &script];
        let told = told_in_time(&arguments, &[("A", kill), ("B", end)])?;
        is_told(&told);
        Some(())
    });
}

fn is_told(objects: &[Value]) {
    let all = objects
        .iter()
        .fold(String::new(), |all, it| format!("{all}{it}\n"));
    let [start, events @ .., summary] = objects else {
        panic!("{all}");
    };
    assert_eq!(
        (&start["event"], start["servers"].as_array().unwrap().len()),
        (&"start".into(), 3)
    );
    assert!(
        start["address"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.10:")
    );
    assert!(
        start["configuration"]
            .as_str()
            .unwrap()
            .contains("lb_algo wrr")
    );
    let mut before = 0.0;
    for event in events {
        let at = event["at"].as_f64().unwrap();
        assert!(at >= before, "{all}");
        before = at;
    }
    let has = |director: Option<&str>, event: &str, text: &str| {
        events.iter().any(|it| {
            it["director"].as_str() == director && it["event"] == event && it["text"] == text
        })
    };
    for (director, event, text) in [
        (Some("A"), "state", "Active"),
        (None, "script", "kill active"),
        (Some("A"), "power", "off"),
        (Some("B"), "state", "Active"),
        (None, "script", "stop 3"),
    ] {
        assert!(has(director, event, text), "{event} {text}: {all}");
    }
    assert_eq!(
        (&summary["event"], &summary["take_overs"]),
        (&"summary".into(), &2.into())
    );
    assert_eq!(summary["servers"][2]["number"], 3);
}

#[test]
fn wrong_arguments_are_explained() {
    let installed = Unprivileged::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script");
    fs::write(&file, "at 1s stop 1\nat 2s sotp 1\n").unwrap();
    let file = file.to_str().unwrap();
    // Not as nobody, for whom the folder is closed.
    let as_we_are = Command::new(env!("CARGO_BIN_EXE_director"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    for (mut command, arguments, code, expected) in [
        (
            installed.director(),
            ["--script", "at 1s stop 1, at 2s stop 4"],
            2,
            "director: --script: line 1, word 8: there is no server \"4\": expected 1 to 3",
        ),
        (
            installed.director(),
            ["--script", "at soon stop 1"],
            2,
            "director: --script: line 1, word 2: \"soon\" is not a time",
        ),
        (
            as_we_are,
            ["--script", file],
            2,
            "director: --script: line 2, word 3: \"sotp\" is not an action",
        ),
        (
            installed.director(),
            ["--script", "/nowhere/script"],
            2,
            "director: --script /nowhere/script: No such file or directory",
        ),
        (installed.director(), ["--scheduler", "best"], 2, "best"),
        (
            installed.director(),
            ["--traffic", "1001"],
            2,
            "1001 is not in 0..=1000",
        ),
        (
            installed.director(),
            ["--for", "1h"],
            2,
            "expected a whole number and ms, s or m",
        ),
        (installed.director(), ["--listen", &listen], 1, &listen),
        // The servers are on IPv4 addresses, and masquerading stays within a family.
        (installed.director(), ["--listen", "[::1]:0"], 1, "[::1]:"),
    ] {
        let end = Program::start(command.args(arguments)).end();
        assert_eq!(end.code, Some(code), "{arguments:?}: {end:?}");
        assert!(end.err.contains(expected), "{arguments:?}: {end:?}");
        assert!(!end.err.contains("panicked"), "{end:?}");
    }
}

/// As `director --for 2s | head -1` does.
#[test]
fn nobody_reading_any_more_is_no_reason_to_fail() {
    let installed = Unprivileged::new();
    let mut command = installed.director();
    command.args(["--for", "2s"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::with_capacity(1, child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    assert!(first.starts_with("Three web servers"), "{first}");
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""));
}
