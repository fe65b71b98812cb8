//! Every kind of check, of a server that is well and of one that is not.

use crate::program::{down, field, up};
use crate::servers::{answer, datagrams, name_server, nobody, serve, talk, web};

#[test]
fn tcp_connects_or_is_refused() {
    let address = serve(drop);
    let url = format!("tcp://{address}");
    let text = up(&[&url]);
    assert!(
        text.starts_with(&format!("{url}: up\n  outcome   ok (connect)\n")),
        "{text}"
    );
    assert!(field(&text, "time").starts_with("connect "), "{text}");
    assert_eq!(
        up(&["tcp", &address.to_string()]).lines().next(),
        text.lines().next()
    );

    let address = nobody();
    let text = down(&[&format!("tcp://{address}")]);
    assert_eq!(field(&text, "outcome"), "refused (connect)");
    assert_eq!(
        field(&text, "expected"),
        format!("a connection to {address} within 3 s")
    );
    assert_eq!(field(&text, "got"), "refused: Connection refused");
    assert!(
        field(&text, "try").ends_with(&format!("'sport = :{}'", address.port())),
        "{text}"
    );
}

#[test]
fn http_tells_status_and_body() {
    let url = format!("http://{}/health", web("200 Fine", "all well"));
    let text = up(&[
        &url,
        "--expect",
        "200-299",
        "--timeout",
        "2s",
        "--expect-contains",
        "well",
    ]);
    assert_eq!(field(&text, "outcome"), "ok (match): 200 Fine");
    let times = field(&text, "time");
    assert!(
        times.contains("first byte ") && times.contains("total "),
        "{times}"
    );

    let text = down(&[&url, "--expect", "204", "--expect", "301-302"]);
    assert_eq!(field(&text, "expected"), "status 204,301-302");
    assert_eq!(field(&text, "got"), "200 Fine");
    let text = down(&[&url, "--expect-regex", "^all (good|fine)"]);
    assert_eq!(field(&text, "outcome"), "content (match)");
    assert!(field(&text, "got").contains("all well"), "{text}");
    let text = down(&[&url, "--expect-header", "X-Health: good"]);
    assert_eq!(field(&text, "outcome"), "content (match)");

    let url = format!("http://{}/?a=b", web("503 Full", ""));
    let text = down(&[&url]);
    assert_eq!(field(&text, "got"), "503 Full");
    assert_eq!(field(&text, "try"), "look into the server's log");
    up(&[&url, "--expect", "500-599"]);
}

#[test]
fn expect_goes_step_by_step() {
    let address = talk(&["hello\r\n", "+PONG\r\n"]).to_string();
    let words = [
        "expect",
        &address,
        "--expect",
        "hello",
        "--send",
        r"PING\r\n",
    ];
    up(&[&words[..], &["--expect-prefix", "+PONG"]].concat());
    up(&[&words[..], &["--line", "--expect-exact", "+PONG"]].concat());
    let text = down(&[&words[..], &["--expect-prefix", "-NO"]].concat());
    assert_eq!(field(&text, "outcome"), "content (match)");
    assert_eq!(field(&text, "expected"), "\"-NO\" (step 3)");
    assert_eq!(field(&text, "got"), r#""+PONG\r\n""#);
    // With tcp:// it is the same.
    up(&[&format!("tcp://{address}"), "--expect-regex", "hel+o"]);
}

#[test]
fn smtp_greets_and_says_ehlo() {
    let url = format!(
        "smtp://{}",
        talk(&["220 ready\r\n", "250 fine\r\n", "221 bye\r\n"])
    );
    assert_eq!(
        field(&up(&[&url, "--helo", "lb.example.org"]), "outcome"),
        "ok (match)"
    );
    let url = format!("smtp://{}", talk(&["421 full\r\n"]));
    let text = down(&[&url]);
    assert_eq!(field(&text, "outcome"), "busy (match)");
    assert!(field(&text, "got").contains("421"), "{text}");
}

#[test]
fn dns_answers_questions_in_both_notations() {
    let server = name_server();
    let url = format!("dns://{server}/www.example.org?type=A");
    up(&[&url, "--expect", "192.0.2.80"]);
    up(&[
        "dns",
        &format!("@{server}"),
        "www.example.org",
        "--min-answers",
        "1",
    ]);
    let text = down(&[&url, "--expect", "192.0.2.81"]);
    assert_eq!(field(&text, "expected"), "one of 192.0.2.81");
    assert_eq!(field(&text, "got"), "192.0.2.80");
    let text = down(&[&url, "--rcode", "NXDOMAIN,refused"]);
    assert_eq!(field(&text, "outcome"), "status (match)");
}

#[test]
fn udp_wants_an_answer_or_only_no_error() {
    let address = datagrams(|said| Some([b"echo ", said].concat())).to_string();
    up(&[
        "udp",
        &address,
        "--send",
        r"\x41B",
        "--expect-exact",
        "echo AB",
    ]);
    let text = down(&["udp", &address, "--send", "x", "--expect-prefix", "y"]);
    assert_eq!(field(&text, "outcome"), "content (match)");
    assert!(field(&text, "got").contains("echo x"), "{text}");

    let silent = datagrams(|_| None).to_string();
    let text = up(&["udp", &silent, "--timeout", "200ms"]);
    assert!(
        field(&text, "beware").starts_with("silence passes"),
        "{text}"
    );
    let text = down(&["udp", &nobody().to_string()]);
    assert_eq!(field(&text, "outcome"), "refused (connect)");
    assert!(field(&text, "try").contains("ss -lun"), "{text}");
}

#[test]
fn command_is_judged_by_its_exit_code() {
    let text = up(&[
        "command",
        "--",
        "sh",
        "-c",
        "echo all well; echo $0",
        "--flag",
    ]);
    assert!(
        text.starts_with("sh -c echo all well; echo $0 --flag: up\n"),
        "{text}"
    );
    assert!(
        text.contains("  output    all well\n            --flag\n"),
        "{text}"
    );
    let text = down(&["command", "--", "sh", "-c", "exit 3"]);
    assert_eq!(field(&text, "outcome"), "exit_nonzero (process)");
    assert_eq!(field(&text, "got"), "it says that it failed: exit code 3");
    let text = up(&["--dynamic", "command", "--", "sh", "-c", "exit 12"]);
    assert!(field(&text, "outcome").contains("weight 10"), "{text}");
    let text = down(&["command", "/no/such/program"]);
    assert_eq!(field(&text, "outcome"), "spawn (process)");
    let text = down(&["--timeout", "100ms", "command", "sleep", "60"]);
    assert_eq!(field(&text, "outcome"), "timeout_proc (process)");
    let text = down(&["command", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(field(&text, "outcome"), "exit_signal (process)");
}

#[test]
fn agent_counts_only_what_it_says() {
    let text = up(&["agent", &talk(&["up 75% #fine\n"]).to_string()]);
    assert_eq!(
        field(&text, "outcome"),
        "ok (match) weight 75%: up 75% #fine"
    );
    let text = down(&["agent", &talk(&["down maint\n"]).to_string()]);
    assert!(
        text.contains(": down\n") && field(&text, "asks for") == "maint",
        "{text}"
    );
    let text = down(&["agent", &talk(&["drain\n"]).to_string()]);
    assert!(text.contains(": unknown\n"), "{text}");
    assert_eq!(field(&text, "asks for"), "drain");
    // One that is spoken to.
    let address = talk(&["", "up\n"]).to_string();
    up(&["agent", &address, "--send", r"web1\n"]);
}

#[test]
fn ready_made_dialogues_know_their_servers() {
    let mysql = b"\x08\0\0\0\x0a8.0\0...";
    let ldap = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0";
    for (scheme, address) in [
        ("redis", talk(&["", "+PONG\r\n"])),
        ("memcached", talk(&["", "VERSION 1.6\r\n"])),
        ("imap", talk(&["* OK ready\r\n"])),
        ("pop3", talk(&["+OK ready\r\n"])),
        ("ftp", talk(&["220 ready\r\n"])),
        (
            "mysql",
            serve(move |mut stream| {
                let _ = std::io::Write::write_all(&mut stream, mysql);
            }),
        ),
        ("postgres", answer(b"R\0\0\0\x08\0\0\0\0")),
        ("ldap", answer(ldap)),
    ] {
        let text = up(&[&format!("{scheme}://{address}")]);
        assert!(field(&text, "outcome").starts_with("ok (match)"), "{text}");
        // None of them is a web server.
        let text = down(&[
            &format!("{scheme}://{}", web("400 What", "")),
            "--timeout",
            "300ms",
        ]);
        assert!(
            text.contains("  expected  ") && text.contains("  got       "),
            "{text}"
        );
    }
}

#[test]
fn redis_takes_a_password_and_a_key() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "secret\n").unwrap();
    // AUTH in five lines, then PING.
    let says = &["", "", "", "", "", "+OK\r\n", "+PONG\r\n"];
    up(&[
        &format!("redis://{}", talk(says)),
        "--password-file",
        file.path().to_str().unwrap(),
    ]);
    let text = up(&[&format!("redis://:secret@{}", talk(says))]);
    assert!(
        text.starts_with("redis://:***@127.0.0.1:") && !text.contains("secret"),
        "{text}"
    );
    let says = &["", "", "", "", "", ":1\r\n"];
    let text = down(&[&format!("redis://{}/?key=down", talk(says))]);
    assert_eq!(field(&text, "outcome"), "status (match)");
}

#[test]
#[ignore = "needs CAP_NET_RAW, or a group in net.ipv4.ping_group_range"]
fn icmp_asks_for_echoes() {
    let text = up(&["icmp", "127.0.0.1"]);
    assert!(text.starts_with("icmp://127.0.0.1: up\n"), "{text}");
    up(&[
        "icmp://[::1]",
        "--requests",
        "2",
        "--min-replies",
        "2",
        "--size",
        "8",
    ]);
    let text = down(&["icmp", "127.0.0.1", "--source", "192.0.2.1"]);
    assert!(text.contains(": unknown\n"), "{text}");
    assert_eq!(field(&text, "outcome"), "local_bind (bind)");
    assert!(field(&text, "try").ends_with("ip -4 address"), "{text}");
}
