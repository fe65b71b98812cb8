//! What is refused: exit status 2, nothing on standard output, and a message that names field and
//! place.

use crate::program::run;

const GOOD: &str = r#"{
  "scheduler": "wlc",
  "virtual": "10.1.0.100:80",
  "servers": [
    {"id": 0, "address": "10.2.1.1:80", "weight": 4},
    {"id": 1, "address": "10.2.1.2:80", "weight": 3, "upper": 8, "lower": 6}
  ],
  "events": [
    {"op": "flow", "client": "10.1.1.1:1000"},
    {"op": "close", "flow": 0},
    {"op": "edit", "id": 1, "weight": 0}
  ]
}"#;

fn refused(arguments: &str, stdin: &str) -> String {
    let outcome = run(arguments, stdin);
    assert_eq!(outcome.status, Some(2), "{arguments}: {outcome:?}");
    assert_eq!(outcome.stdout, "", "{arguments}");
    outcome.stderr
}

#[track_caller]
fn scenario_is_refused(from: &str, to: &str, message: &str) {
    assert_eq!(GOOD.matches(from).count(), 1, "{from}");
    let text = GOOD.replace(from, to);
    for arguments in [
        "-",
        "--json -",
        "--explain -",
        "--compare rr,wlc -",
        "--generate -",
    ] {
        let stderr = refused(arguments, &text);
        assert!(
            stderr.starts_with(&format!("simulate: -: {message}")),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn good_scenario_is_not_refused() {
    assert_eq!(run("-", GOOD).status, Some(0));
}

#[test]
fn unknown_scheduler() {
    scenario_is_refused(
        "wlc",
        "fastest",
        "scheduler: unknown scheduler \"fastest\" (known: rr, wrr, lc, wlc, ",
    );
}

#[test]
fn duplicate_id() {
    scenario_is_refused(
        r#"{"id": 1, "address""#,
        r#"{"id": 0, "address""#,
        "servers[1].id: 0 is the id of an earlier server\n",
    );
}

#[test]
fn flow_index_out_of_range() {
    scenario_is_refused(
        r#""close", "flow": 0"#,
        r#""close", "flow": 1"#,
        "events[1].flow: 1 is out of range: flows so far: 1\n",
    );
}

#[test]
fn bad_address() {
    scenario_is_refused(
        "10.2.1.2:80",
        "10.2.1.2",
        "servers[1].address: bad address \"10.2.1.2\", expected ADDR:PORT or [ADDR6]:PORT (line 6, column 35)\n",
    );
}

#[test]
fn negative_weight() {
    scenario_is_refused(
        r#""weight": 0"#,
        r#""weight": -1"#,
        "events[2].weight: invalid value: integer `-1`, expected a whole number from 0 to 2147483647 (line 11, column 40)\n",
    );
}

#[test]
fn truncated_json() {
    let end = GOOD.find(r#""close""#).unwrap();
    let stderr = refused("-", &GOOD[..end]);
    assert_eq!(
        stderr,
        "simulate: -: events[1].op: EOF while parsing a value (line 10, column 11)\n"
    );
    let stderr = refused("-", "");
    assert_eq!(
        stderr,
        "simulate: -: EOF while parsing a value (line 1, column 0)\n"
    );
}

#[test]
fn contradictions_and_misspellings() {
    let cases = [
        (
            r#""upper": 8"#,
            r#""uper": 8"#,
            "servers[1].uper: unknown field `uper`",
        ),
        (
            r#""weight": 4"#,
            r#""weight": "4""#,
            "servers[0].weight: invalid type: string \"4\"",
        ),
        (
            r#""lower": 6"#,
            r#""lower": 9"#,
            "servers[1].lower: 9 is above the upper threshold 8",
        ),
        (
            r#""edit", "id": 1"#,
            r#""edit", "id": 7"#,
            "events[2].id: no server 7 is present",
        ),
        (
            r#""edit", "id": 1"#,
            r#""add", "id": 1"#,
            "events[2].id: server 1 is present already",
        ),
        (
            r#""edit""#,
            r#""drain""#,
            "events[2].op: unknown word \"drain\"",
        ),
        (
            "10.1.1.1:1000",
            "[2001:db8::1]:1000",
            "events[0].client: [2001:db8::1]:1000 is not IPv4",
        ),
        (
            r#":1000""#,
            r#":1000", "to": "10.1.0.100:80""#,
            "events[0].to: only for a service by mark",
        ),
        (
            "10.1.0.100:80",
            "fwmark 1",
            "events[0].to: missing: a service by mark has no address",
        ),
    ];
    for (from, to, message) in cases {
        scenario_is_refused(from, to, message);
    }
}

#[test]
fn unreadable_file_is_named() {
    let stderr = refused("no/such/scenario.json", "");
    assert_eq!(
        stderr,
        "simulate: cannot read no/such/scenario.json: No such file or directory (os error 2)\n"
    );
    let stderr = refused("simulate", "");
    assert_eq!(
        stderr,
        "simulate: cannot read simulate: Is a directory (os error 21)\n"
    );
}

#[test]
fn wrong_options() {
    let cases = [
        ("", "required arguments were not provided"),
        ("--explane -", "unexpected argument '--explane'"),
        ("--json --explain -", "cannot be used with"),
        (
            "--compare rr,fastest -",
            "unknown scheduler \"fastest\" (known: rr, wrr,",
        ),
        ("--compare rr,fastest -", "of own.rs: fewest"),
        ("--scheduler fastest -", "unknown scheduler \"fastest\""),
        ("--flows 10 -", "--generate"),
        ("--generate --flows 0", "0 is not in 1..=100000000"),
        ("--generate --rate 0", "expected a number above 0"),
        ("--generate --rate nan", "expected a number above 0"),
        ("--generate --shape 1", "expected a number above 1"),
        ("--generate --servers 3,-1", "-1"),
        (
            "--generate --servers 3,x",
            "expected a weight from 0 to 2147483647",
        ),
        ("--generate --kernel 5.4", "expected 6.1, 6.12 or 7.2"),
        ("--generate --servers 1,2 -", "cannot be used with"),
        (
            "--generate --compare rr --leaver 9",
            "--leaver: no server 9",
        ),
    ];
    for (arguments, message) in cases {
        let stderr = refused(arguments, "");
        assert!(stderr.contains(message), "{arguments}: {stderr}");
    }
}

/// That is no mistake in what was asked for: exit status 1.
#[test]
fn file_that_cannot_be_written_is_named() {
    for option in ["--plot", "--output"] {
        let outcome = run(&format!("--generate --flows 10 {option} no/such/file"), "");
        assert_eq!(outcome.status, Some(1), "{outcome:?}");
        assert_eq!(
            outcome.stderr,
            "simulate: cannot write no/such/file: No such file or directory (os error 2)\n"
        );
    }
}

#[test]
fn help_has_examples() {
    let outcome = run("--help", "");
    assert_eq!(outcome.status, Some(0));
    for piece in [
        "Examples:",
        "--compare rr,wlc,fewest",
        "Exit status:",
        "--plot <FILE>",
    ] {
        assert!(outcome.stdout.contains(piece), "{piece}");
    }
}
