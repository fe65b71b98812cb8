//! Wrong usage, which is never taken for a target that is down; and help.

use crate::example;

const NAME: &str = "probe";

#[test]
fn help_begins_with_examples() {
    let help = example::output(NAME, "--help", b"");
    let first: Vec<_> = help.lines().take(24).collect();
    let shown = |part: &str| first.iter().any(|line| line.contains(part));
    for part in [
        "http://127.0.0.1:8080/health --expect 200-299",
        "command -- ",
        "Exit status: 0 up",
    ] {
        assert!(shown(part), "{part}: {help}");
    }
    assert!(help.contains("first_byte_ms"), "the fields of JSON");
}

#[test]
fn what_is_wrong_is_named() {
    for (line, says) in [
        ("", "<TARGET>"),
        ("gopher://h", "scheme is \"gopher\": must be one of tcp, "),
        ("127.0.0.1:80", "TARGET is \"127.0.0.1:80\": must be a URL"),
        ("tcp://127.0.0.1", "port is not given: must be given"),
        (
            "http://127.0.0.1:99999/",
            "port is \"99999\": must be 1 to 65535",
        ),
        ("tcp://127.0.0.1:0", "port is \"0\""),
        (
            "http://h/ --expect 2xx",
            "expect is \"2xx\": must be codes from 100 to 599",
        ),
        (
            "http://h/ --timeout soon",
            "'soon' for '--timeout <TIME>': must be a time such as 500ms",
        ),
        (
            "http://127.0.0.1/ --timeout 0",
            "timeout is 0ns: must be 1 ms",
        ),
        (
            "http://127.0.0.1/ --rise 0",
            "rise is 0: must be at least 1",
        ),
        (
            "http://127.0.0.1/ --header x",
            "header is \"x\": must be NAME: VALUE",
        ),
        ("http://127.0.0.1/ --expect-regex (", "pattern is \"(\""),
        (
            "http://127.0.0.1/ --method PUT",
            "must be GET, HEAD, OPTIONS or POST",
        ),
        ("http://127.0.0.1/ --host a\u{1}b", "host"),
        ("http://127.0.0.1/ --max-body 0", "max_body is 0"),
        ("http://127.0.0.1/ --count 0", "'0' for '--count <N>'"),
        ("http://127.0.0.1/ --quiet --json", "cannot be used with"),
        (
            "http://127.0.0.1/ --ca ca.pem",
            "--ca: http has no TLS; add --tls",
        ),
        ("https://127.0.0.1/ --ca /no/such", "/no/such"),
        (
            "https://127.0.0.1/ --pin 12",
            "a pin is 64 hexadecimal digits",
        ),
        ("https://127.0.0.1/ --cert a.pem", "--key"),
        (
            "redis://127.0.0.1 --expect x",
            "--expect: means nothing to a check of the kind redis",
        ),
        ("redis://127.0.0.1/3", "path is \"/3\": must be /?key=NAME"),
        (
            "redis://127.0.0.1 --password-file /no/such",
            "password-file is /no/such: must be readable",
        ),
        (
            "smtps://127.0.0.1 --starttls",
            "--starttls: TLS begins with the connection already",
        ),
        ("smtp://127.0.0.1 --helo a\u{e4}", "name is "),
        ("expect 127.0.0.1:1", "steps is none"),
        (
            "expect 127.0.0.1:1 --send \\q",
            "must have no other escapes",
        ),
        (
            "udp 127.0.0.1:1 --send a --send b",
            "steps is 2: must be one datagram",
        ),
        ("dns://127.0.0.1/x?type=what", "type is \"what\""),
        ("dns://127.0.0.1/x --rcode what", "rcode is \"what\""),
        ("dns @127.0.0.1 x..y", "name"),
        (
            "icmp 127.0.0.1 --requests 0",
            "count is 0: must be 1 to 1000",
        ),
        (
            "icmp 127.0.0.1 --size 70000",
            "size is 70000: must be 8 to 65507",
        ),
        ("agent", "ARGUMENT is 0 words"),
        (
            "radius://127.0.0.1",
            "secret is not given: must be given: radius://:SECRET@HOST",
        ),
        (
            "radius://secret@127.0.0.1",
            "user is given: a secret comes after a colon",
        ),
        (
            "radius://127.0.0.1 --password-file /no/such",
            "password-file is /no/such: must be readable",
        ),
        (
            "radius://:@127.0.0.1",
            "secret is 0 bytes: must be 1 to 128 bytes",
        ),
        ("snmp://127.0.0.1", "community is not given"),
        (
            "snmp://public@127.0.0.1/?version=3",
            "version is \"3\": must be 1 or 2c",
        ),
        (
            "sip://127.0.0.1 --expect 2xx",
            "expect is \"2xx\": must be a status from 200 to 699",
        ),
        (
            "ntp://127.0.0.1 --expect 3",
            "--expect: means nothing to a check of the kind ntp",
        ),
        (
            "quic://127.0.0.1 --tls",
            "--tls: means nothing to a check of the kind quic",
        ),
        (
            "snmp://public@127.0.0.1 --password-file x",
            "--password-file: means nothing to a check of the kind snmp",
        ),
        ("sip://127.0.0.1 --close rst", "--close: means nothing"),
        ("command", "must name a program"),
        ("command -- true --ttl 3 --mark x", "up"),
        ("tcp 127.0.0.1:1 --ttl 0", "ttl is 0: must be 1 to 255"),
        ("tcp 127.0.0.1:1 --dscp 64", "dscp is 64: must be 0 to 63"),
        (
            "tcp 127.0.0.1:1 --mark 4294967296",
            "must be 0 to 4294967295",
        ),
        (
            "tcp 127.0.0.1:1 --source ::1",
            "source is ::1: must be of the address family",
        ),
        ("tcp 127.0.0.1:1 --device way-too-long-a-name", "device is"),
        (
            "tcp 127.0.0.1:1 -6",
            "host is 127.0.0.1: must be an address of IPv6",
        ),
        ("tcp 127.0.0.1:1 -4 -6", "cannot be used with"),
        ("tcp 127.0.0.1:1 --proxy-addresses own", "--proxy-header"),
        (
            "tcp 127.0.0.1:1 --proxy-header v2 --proxy-addresses x",
            "must be own, or two addresses",
        ),
        ("tcp 127.0.0.1:1 --preset envoy", "keepalived"),
        ("command true --source 127.0.0.1", "--source: means nothing"),
    ] {
        let outcome = example::run(NAME, line, b"");
        // A program after -- gets its own options.
        if says == "up" {
            assert_eq!(outcome.status, Some(0), "{line}: {outcome:?}");
            continue;
        }
        assert_eq!(
            (outcome.status, outcome.stdout.as_str()),
            (Some(2), ""),
            "{line}: {outcome:?}"
        );
        assert!(outcome.stderr.contains(says), "{line}: {}", outcome.stderr);
        assert!(
            !outcome.stderr.contains("panicked"),
            "{line}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn reader_of_the_output_may_leave() {
    use std::process::Stdio;
    let mut command = crate::program::command(&["command", "true"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.stderr, b"");
    assert_eq!(output.status.code(), Some(1));
}
