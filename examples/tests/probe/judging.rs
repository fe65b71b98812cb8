//! Policies, numbers of attempts, JSON and exit codes.

use core::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::program::{command, down, field, run, up};
use crate::servers::{nobody, reply, serve, web};

/// The objects of a run, and its exit status.
fn objects(words: &[&str]) -> (Vec<Value>, Option<i32>) {
    let outcome = run(&[words, &["--json"]].concat());
    assert_eq!(outcome.stderr, "", "{words:?}");
    let objects = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    (objects.collect(), outcome.status)
}

/// A web server that fails at these requests, counted from 0.
fn failing(at: &'static [usize]) -> String {
    let count = AtomicUsize::new(0);
    let address = serve(move |stream| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        reply(
            stream,
            if at.contains(&number) {
                "500 No"
            } else {
                "200 OK"
            },
            "",
        );
    });
    format!("http://{address}/")
}

#[test]
fn one_object_has_all_fields() {
    let url = format!("http://{}/a", web("404 Lost", ""));
    let (objects, status) = objects(&[&url, "--drain-on", "503"]);
    assert_eq!(status, Some(1));
    let [object] = objects.as_slice() else {
        panic!("{objects:?}")
    };
    let fields = object.as_object().unwrap();
    let names: Vec<_> = fields.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "address",
            "admin",
            "advice",
            "attempt",
            "changed",
            "code",
            "connect_ms",
            "counter",
            "counter_max",
            "detail",
            "expected",
            "first_byte_ms",
            "got",
            "health",
            "next_ms",
            "output",
            "phase",
            "target",
            "time",
            "tls",
            "tls_ms",
            "total_ms",
            "verdict",
            "weight",
        ]
    );
    // Each is described.
    let help = run(&["--help"]).stdout;
    for name in names {
        assert!(help.contains(name), "{name}");
    }
    assert_eq!(object["target"], url);
    assert_eq!(
        (&object["code"], &object["phase"]),
        (&"status".into(), &"match".into())
    );
    assert_eq!(
        (&object["verdict"], &object["health"]),
        (&"fail".into(), &"down".into())
    );
    assert_eq!(
        (&object["expected"], &object["got"]),
        (&"status 200-299".into(), &"404 Lost".into())
    );
    assert_eq!(
        (&object["tls"], &object["next_ms"], &object["weight"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let times =
        ["connect_ms", "first_byte_ms", "total_ms"].map(|name| object[name].as_f64().unwrap());
    assert!(times.is_sorted() && times[2] < 3000.0, "{times:?}");
}

#[test]
fn failures_are_tolerated_as_the_policy_says() {
    let policy = [
        "--interval",
        "10ms",
        "--rise",
        "2",
        "--fall",
        "2",
        "--count",
        "6",
    ];
    let url = failing(&[1, 3, 4]);
    let (objects, status) = objects(&[&policy[..], &[&url]].concat());
    let counters: Vec<_> = objects
        .iter()
        .map(|object| object["counter"].as_u64().unwrap())
        .collect();
    assert_eq!(counters, [3, 2, 3, 2, 0, 1]);
    let health: Vec<_> = objects
        .iter()
        .map(|object| object["health"].as_str().unwrap())
        .collect();
    assert_eq!(health, ["up", "up", "up", "up", "down", "down"]);
    assert_eq!(
        status,
        Some(1),
        "the policy's verdict, not that of the last attempt"
    );
    let text = up(&[&policy[..], &[&failing(&[5])]].concat());
    assert_eq!(text.matches("  counter   ").count(), 6);
    assert!(text.contains("\n6: http://"), "{text}");
    assert!(text.contains("counter   2 of 3, up from 2"), "{text}");
}

#[test]
fn first_failure_counts_unless_it_starts_fully_up() {
    let url = format!("tcp://{}", nobody());
    down(&[&url, "--fall", "3"]);
    let text = up(&[&url, "--fall", "3", "--initial", "fully-up"]);
    assert_eq!(field(&text, "outcome"), "refused (connect)");
    let text = down(&[&url, "--initial", "undecided"]);
    assert!(text.contains(": unknown\n"), "{text}");
}

#[test]
fn presets_ask_as_their_programs_do() {
    for (preset, first, agent) in [
        ("keepalived", "GET /x HTTP/1.0", "KeepAliveClient"),
        ("haproxy", "OPTIONS /x HTTP/1.0", ""),
    ] {
        let (told, asked) = std::sync::mpsc::channel();
        let address = serve(move |mut stream| {
            let mut bytes = [0; 1024];
            let length = std::io::Read::read(&mut stream, &mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            told.send(text).unwrap();
            std::io::Write::write_all(&mut stream, b"HTTP/1.0 302 Away\r\n\r\n").unwrap();
        });
        let outcome = run(&[&format!("http://{address}/x"), "--preset", preset]);
        // HAProxy takes redirects for success.
        assert_eq!(
            outcome.status,
            Some(i32::from(preset == "keepalived")),
            "{outcome:?}"
        );
        let asked = asked.recv().unwrap();
        assert!(asked.starts_with(first) && asked.contains(agent), "{asked}");
    }
    let (objects, _) = objects(&["tcp", &nobody().to_string(), "--preset", "haproxy"]);
    assert_eq!(objects[0]["counter_max"], 4, "rise 2, fall 3");
}

#[test]
fn quiet_says_it_by_the_exit_status_alone() {
    let url = format!("http://{}/", web("200 OK", ""));
    for (words, status) in [(&[&*url][..], 0), (&[&url, "--expect", "204"], 1)] {
        let outcome = run(&[words, &["--quiet"]].concat());
        assert_eq!(
            (outcome.status, outcome.stdout, outcome.stderr),
            (Some(status), String::new(), String::new())
        );
    }
}

#[test]
fn name_that_leads_nowhere_is_neither_up_nor_wrong_usage() {
    let (objects, status) = objects(&["http://nowhere.invalid/"]);
    assert_eq!(status, Some(1));
    assert_eq!(
        (&objects[0]["code"], &objects[0]["health"]),
        (&"resolve".into(), &"unknown".into())
    );
    // What is wrong besides comes first.
    let outcome = run(&["http://nowhere.invalid/", "--expect", "2xx"]);
    assert_eq!(outcome.status, Some(2));
}

#[test]
fn command_ends_with_the_program() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use std::io::{BufRead, BufReader};

    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("pid");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = format!("echo $$ > {}; exec sleep 600", fifo.display());
    let words = ["--timeout", "60s", "command", "--", "sh", "-c", &script];
    let mut child = command(&words).spawn().unwrap();
    let mut pid = String::new();
    BufReader::new(std::fs::File::open(&fifo).unwrap())
        .read_line(&mut pid)
        .unwrap();
    let pid = Pid::from_raw(pid.trim().parse().unwrap());
    kill(
        Pid::from_raw(i32::try_from(child.id()).unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(kill(pid, None).is_err(), "the command is still there");
}
