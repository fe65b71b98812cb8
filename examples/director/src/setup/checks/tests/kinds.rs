//! Each kind of check: its own keywords, all of them, and what is not written.

use core::fmt;

use lvs_healthcheck::policy::KeepalivedChecker as Kind;
use lvs_healthcheck::probe::dns::{DnsProbe, RecordType};
use lvs_healthcheck::probe::file::FileProbe;
use lvs_healthcheck::probe::http::{BodyMatch, Digest, HttpSequence, Version};
use lvs_healthcheck::probe::icmp::IcmpProbe;
use lvs_healthcheck::probe::smtp::Smtp;
use lvs_healthcheck::probe::tls::{Pem, Tls, Verify};
use lvs_healthcheck::probe::udp::{Reply, UdpProbe};
use lvs_healthcheck::probe::{MaskedBytes, Pattern};
use lvs_healthcheck::{Check, Command, CommandProbe, Http, TcpProbe};

use super::super::*;
use super::{check, with_check};

/// What a block comes to, with definitions before the service.
fn planned_with(definitions: &str, lines: &str) -> Result<Planned, CheckError> {
    let (config, check) = check(&format!("{definitions}{}", with_check(lines)));
    let planner = Planner::new(&config);
    planner.planned(&check).expect("a kind that is run")
}

fn planned(lines: &str) -> Planned {
    planned_with("", lines).expect("a check")
}

fn refused(definitions: &str, lines: &str) -> String {
    planned_with(definitions, lines)
        .expect_err(lines)
        .to_string()
}

/// Everything of a probe and its policy shows.
fn same(planned: &Planned, probe: impl Probe + 'static, policy: Policy) {
    let shown = |check: &dyn fmt::Debug| format!("{check:#?}");
    assert_eq!(shown(&planned.0), shown(&Check::new(probe, policy)));
}

fn usual(kind: Kind) -> Policy {
    Policy::keepalived(kind, &Keepalived::new())
}

fn server() -> Target {
    Target::new("10.0.0.1:8080".parse().unwrap())
}

/// Every keyword of a connection, and what it comes to.
const CONNECTION: &str = "connect_ip 10.0.0.9\nconnect_port 9000\nbindto 10.0.0.254\n\
                          bind_port 4000\nbind_if eth1\nfwmark 9";

fn connected() -> Target {
    Target::new("10.0.0.9:9000".parse().unwrap())
        .with_source([10, 0, 0, 254].into())
        .with_source_port(4000)
        .with_device("eth1")
        .with_mark(9)
}

/// Every keyword of the timing, and what it comes to.
const TIMING: &str = "delay_loop 5\nretry 4\ndelay_before_retry 2\nwarmup 0\nconnect_timeout 1.5\n\
                      alpha\nlog_all_failures";

fn timed(kind: Kind) -> Policy {
    let mut knobs = Keepalived::new();
    knobs.delay_loop = Some(Duration::from_secs(5));
    knobs.retry = Some(4);
    knobs.delay_before_retry = Some(Duration::from_secs(2));
    knobs.warmup = Some(Duration::ZERO);
    knobs.connect_timeout = Some(Duration::from_millis(1500));
    knobs.alpha = true;
    knobs.log_all_failures = true;
    Policy::keepalived(kind, &knobs)
}

#[test]
fn tcp() {
    let plain = planned("TCP_CHECK {\n}");
    assert_eq!(plain.1, "TCP_CHECK 10.0.0.1:8080");
    same(&plain, TcpProbe::new(server()), usual(Kind::Tcp));
    let full = planned(&format!("TCP_CHECK {{\n{CONNECTION}\n{TIMING}\n}}"));
    assert_eq!(full.1, "TCP_CHECK 10.0.0.9:9000");
    same(&full, TcpProbe::new(connected()), timed(Kind::Tcp));
}

#[test]
fn http() {
    let plain = planned("HTTP_GET {\nurl {\n}\n}");
    assert_eq!(plain.1, "HTTP_GET 10.0.0.1:8080 /");
    let probe = TcpProbe::new(server()).with_protocol(Http::keepalived("/"));
    same(&plain, probe, usual(Kind::Http));

    let full = planned(&format!(
        "HTTP_GET {{\nhttp_protocol 1.0C\nurl {{\npath /a?b=c\nvirtualhost www.example\n\
         digest 00112233445566778899aabbccddeeff\nstatus_code 200-204 301\n\
         regex \"x+ y\"\nregex_options caseless dotall\nregex_no_match\nregex_min_offset 5\n\
         regex_max_offset 90\nregex_stack 1000 2000\n}}\n{CONNECTION}\n{TIMING}\n}}"
    ));
    assert_eq!(full.1, "HTTP_GET 10.0.0.9:9000 /a?b=c");
    let pattern = Pattern::keepalived("x+ y", "caseless dotall").unwrap();
    let pattern = pattern.with_min_offset(5).with_max_offset(90);
    let digest: Digest = "00112233445566778899aabbccddeeff".parse().unwrap();
    let page = Http::keepalived("/a?b=c")
        .with_version(Version::Http10Close)
        .with_status("200-204,301".parse().unwrap())
        .with_host("www.example")
        .with_digest(digest)
        .with_body_match(BodyMatch::matches(pattern).negated());
    let probe = TcpProbe::new(connected()).with_protocol(page);
    same(&full, probe, timed(Kind::Http));

    let new = planned("HTTP_GET {\nhttp_protocol 1.1\nurl {\npath /\n}\n}");
    let page = Http::keepalived("/").with_version(Version::Http11);
    let probe = TcpProbe::new(server()).with_protocol(page);
    same(&new, probe, usual(Kind::Http));
}

#[test]
fn several_pages_take_turns() {
    let pages = || HttpSequence::new(["/a", "/b"].map(Http::keepalived)).one_per_attempt();
    let urls = "url {\npath /a\n}\nurl {\npath /b\n}";
    let slow = planned(&format!("HTTP_GET {{\n{urls}\n}}"));
    assert_eq!(slow.1, "HTTP_GET 10.0.0.1:8080 /a and 1 more");
    let probe = TcpProbe::new(server()).with_protocol(pages());
    same(&slow, probe, usual(Kind::Http));
    let fast = planned(&format!("HTTP_GET {{\nfast_recovery\n{urls}\n}}"));
    let probe = TcpProbe::new(server()).with_protocol(pages().with_fast_recovery());
    same(&fast, probe, usual(Kind::Http));
}

#[test]
fn virtual_hosts_are_inherited() {
    let host = |outer: &str, check: &str, url: &str| {
        let lines = format!("{outer}\nHTTP_GET {{\n{check}\nurl {{\n{url}\n}}\n}}");
        format!("{:?}", planned(&lines).0)
    };
    let expected = |name: &str| {
        let probe = TcpProbe::new(server());
        let probe = probe.with_protocol(Http::keepalived("/").with_host(name));
        format!("{:?}", Check::new(probe, usual(Kind::Http)))
    };
    let (a, b, c) = ("virtualhost a", "virtualhost b", "virtualhost c");
    assert_eq!(host(a, b, c), expected("c"));
    assert_eq!(host(a, b, ""), expected("b"));
    assert_eq!(host(a, "", ""), expected("a"));
}

#[test]
fn https() {
    let tls = |compliant: bool| {
        let tls = Tls::new().with_verify(Verify::None);
        tls.with_close_notify(compliant)
    };
    let probe = |tls: Tls, page: Http| TcpProbe::new(server()).with_tls(tls).with_protocol(page);
    let page = || Http::keepalived("/");
    let plain = planned("SSL_GET {\nurl {\npath /\n}\n}");
    assert_eq!(plain.1, "SSL_GET 10.0.0.1:8080 /");
    same(&plain, probe(tls(false), page()), usual(Kind::Http));

    // A host is no name for TLS unless that is asked for.
    let hosted = planned("SSL_GET {\nvirtualhost a\nurl {\npath /\n}\n}");
    same(
        &hosted,
        probe(tls(false), page().with_host("a")),
        usual(Kind::Http),
    );
    let named = planned("SSL_GET {\nvirtualhost a\nenable_sni\ntls_compliant\nurl {\npath /\n}\n}");
    let with_name = page().with_host("a").with_server_name("a");
    same(&named, probe(tls(true), with_name), usual(Kind::Http));
    let other = planned("SSL_GET {\nsni_name b\nurl {\npath /\nvirtualhost a\ntls_compliant\n}\n}");
    let with_name = page().with_host("a").with_server_name("b");
    same(&other, probe(tls(true), with_name), usual(Kind::Http));

    let lines = "SSL_GET {\nenable_sni\nurl {\npath /a\nvirtualhost a\n}\nurl {\npath /b\n}\n}";
    let first = Http::keepalived("/a").with_host("a").with_server_name("a");
    let both = HttpSequence::new([first, Http::keepalived("/b")]).one_per_attempt();
    let expected = TcpProbe::new(server())
        .with_tls(tls(false))
        .with_protocol(both);
    same(&planned(lines), expected, usual(Kind::Http));
}

#[test]
fn client_certificates_are_shown_and_must_be_usable() {
    let lines = "SSL_GET {\nurl {\npath /\n}\n}";
    let ssl = |lines: &str| format!("SSL {{\n{lines}\n}}\n");
    for (text, expected) in [
        ("key /k.pem", "SSL has a key without a certificate"),
        ("certificate /c.pem", "SSL has a certificate without a key"),
        (
            "certificate /c.pem\nkey /k.pem\npassword secret",
            "SSL has a password, but keys must not be encrypted here",
        ),
    ] {
        assert_eq!(refused(&ssl(text), lines), expected);
    }
    let missing = refused(
        &ssl("certificate /nowhere/c.pem\nkey /nowhere/k.pem"),
        lines,
    );
    assert!(missing.contains("/nowhere/c.pem"), "{missing}");

    // An authority is not asked, as nothing is verified.
    assert!(planned_with(&ssl("ca /nowhere/ca.pem"), lines).is_ok());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let data = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../healthcheck/tests/data/tls"
    );
    let (certificate, key) = (path("server.pem"), path("server.key"));
    std::fs::copy(format!("{data}/server.pem"), &certificate).unwrap();
    std::fs::copy(format!("{data}/server.key"), &key).unwrap();
    let text = ssl(&format!("certificate {certificate}\nkey {key}"));
    let shown = planned_with(&text, lines).unwrap();
    let tls = Tls::new()
        .with_verify(Verify::None)
        .with_client_certificate(Pem::file(certificate), Pem::file(key))
        .with_close_notify(false);
    let probe = TcpProbe::new(server()).with_tls(tls);
    same(
        &shown,
        probe.with_protocol(Http::keepalived("/")),
        usual(Kind::Http),
    );
}

#[test]
fn patterns_that_cannot_be_matched_are_refused_with_the_reason() {
    let refused = |lines: &str| refused("", &format!("HTTP_GET {{\nurl {{\n{lines}\n}}\n}}"));
    let look_around = refused("regex (?=a)b");
    assert!(look_around.contains("without look-around"), "{look_around}");
    let option = refused("regex a\nregex_options match_unset_backref");
    assert!(option.contains("match_unset_backref"), "{option}");
    let offsets = refused("regex a\nregex_min_offset 9\nregex_max_offset 3");
    assert!(offsets.contains("offset is 9 to 3"), "{offsets}");
}

#[test]
fn smtp() {
    let plain = planned("SMTP_CHECK {\n}");
    assert_eq!(plain.1, "SMTP_CHECK 10.0.0.1:8080");
    let probe = TcpProbe::new(server()).with_protocol(Smtp::keepalived());
    same(&plain, probe, usual(Kind::Smtp));
    let full = planned(&format!(
        "SMTP_CHECK {{\nhelo_name mx.example\n{CONNECTION}\n{TIMING}\n}}"
    ));
    let dialogue = Smtp::keepalived().with_name("mx.example");
    let probe = TcpProbe::new(connected()).with_protocol(dialogue);
    same(&full, probe, timed(Kind::Smtp));
    let name = refused("", "SMTP_CHECK {\nhelo_name \"two words\"\n}");
    assert!(name.contains("name is \"two words\""), "{name}");
}

/// Old files name several hosts in one block.
#[test]
fn every_host_of_an_old_mail_check_is_a_check() {
    let text =
        with_check("SMTP_CHECK {\nhost {\nconnect_ip 10.0.0.2\n}\nhost {\nconnect_port 25\n}\n}");
    let setup = crate::setup::Setup::new(&Config::parse("t.conf", &text));
    assert_eq!(setup.diagnostics(), []);
    let names: Vec<_> = setup.checks.iter().map(|check| &*check.name).collect();
    assert_eq!(
        names,
        ["SMTP_CHECK 10.0.0.2:8080", "SMTP_CHECK 10.0.0.1:25"]
    );
}

#[test]
fn dns() {
    let plain = planned("DNS_CHECK {\n}");
    assert_eq!(plain.1, "DNS_CHECK 10.0.0.1:8080 SOA .");
    same(&plain, DnsProbe::keepalived(server()), usual(Kind::Dns));
    let full = planned(&format!(
        "DNS_CHECK {{\ntype AAAA\nname www.example\n{CONNECTION}\n{TIMING}\n}}"
    ));
    assert_eq!(full.1, "DNS_CHECK 10.0.0.9:9000 AAAA www.example");
    let probe = DnsProbe::keepalived(connected())
        .with_name("www.example")
        .with_type(RecordType::AAAA);
    same(&full, probe, timed(Kind::Dns));
    let name = refused("", "DNS_CHECK {\nname a..b\n}");
    assert!(name.contains("a..b"), "{name}");
}

#[test]
fn udp() {
    let plain = planned("UDP_CHECK {\n}");
    assert_eq!(plain.1, "UDP_CHECK 10.0.0.1:8080");
    same(&plain, UdpProbe::new(server()), usual(Kind::Udp));
    // How long a reply may be counts only where it is compared with something, and a note says so.
    let read = |lines: &str| {
        let config = Config::parse("t.conf", &with_check(lines));
        let note = "t.conf:6:1: note: UDP_CHECK: the length of a reply is only looked at with bytes \
                    after 'require_reply'";
        let notes: Vec<_> = config
            .diagnostics()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(notes, [note]);
        let check = &config.virtual_servers()[0].real_servers[0].checks[0];
        let planner = Planner::new(&config);
        planner.planned(check).unwrap().unwrap()
    };
    let silent = read("UDP_CHECK {\nmin_reply_length 3\n}");
    same(&silent, UdpProbe::new(server()), usual(Kind::Udp));
    let any = || UdpProbe::new(server()).with_reply(Reply::any());
    same(
        &planned("UDP_CHECK {\nrequire_reply\n}"),
        any(),
        usual(Kind::Udp),
    );
    let long = read("UDP_CHECK {\nrequire_reply\nmin_reply_length 3\n}");
    same(&long, any(), usual(Kind::Udp));
    let full = planned(&format!(
        "UDP_CHECK {{\npayload 23 0000\nrequire_reply X4 01\nmin_reply_length 2\n\
         max_reply_length 48\n{CONNECTION}\n{TIMING}\n}}"
    ));
    let pattern = MaskedBytes::new(&[0x04, 1], &[0x0f, 0xff]);
    let reply = Reply::any().with_length(2, 48).with_agreement(pattern);
    let probe = UdpProbe::new(connected())
        .with_payload([0x23, 0, 0])
        .with_reply(reply);
    same(&full, probe, timed(Kind::Udp));
}

#[test]
fn ping() {
    let target = |text: &str| Target::new(text.parse().unwrap());
    let echo = |target: Target| {
        let probe = IcmpProbe::new(target.address().ip());
        probe.with_target(target).with_size(128)
    };
    let plain = planned("PING_CHECK {\n}");
    assert_eq!(plain.1, "PING_CHECK 10.0.0.1");
    same(&plain, echo(target("10.0.0.1:1")), usual(Kind::Ping));
    let full = planned(&format!("PING_CHECK {{\n{CONNECTION}\n{TIMING}\n}}"));
    let connected = target("10.0.0.9:1")
        .with_source([10, 0, 0, 254].into())
        .with_device("eth1")
        .with_mark(9);
    same(&full, echo(connected), timed(Kind::Ping));
    // A server without a port can be asked, too.
    let text = "virtual_server fwmark 3 {\nlb_algo rr\nlb_kind DR\nreal_server 10.0.0.1 {\n\
                PING_CHECK {\n}\n}\n}\n";
    let (config, check) = check(text);
    let check = Planner::new(&config).planned(&check).unwrap().unwrap();
    same(&check, echo(target("10.0.0.1:1")), usual(Kind::Ping));
}

#[test]
fn misc() {
    let command = || {
        let command = Command::new("/bin/check").with_argument("a b");
        command.with_environment(lvs_healthcheck::probe::command::Environment::Inherit)
    };
    let own = nix::unistd::User::from_uid(nix::unistd::geteuid());
    let own = own.unwrap().unwrap().name;
    let account = |command: Command| match nix::unistd::geteuid().is_root() {
        true => command.with_credentials(lvs_healthcheck::lookup_user(&own).unwrap()),
        false => command,
    };
    let user = format!("user {own}");
    let plain = planned(&format!(
        "MISC_CHECK {{\nmisc_path \"/bin/check 'a b'\"\n{user}\n}}"
    ));
    assert_eq!(plain.1, "MISC_CHECK /bin/check a b");
    same(
        &plain,
        CommandProbe::new(account(command())),
        usual(Kind::Misc),
    );
    let full = planned(&format!(
        "MISC_CHECK {{\nmisc_path \"/bin/check 'a b'\"\nmisc_timeout 7\nmisc_dynamic\n{user}\n\
         delay_loop 5\nretry 4\ndelay_before_retry 2\nwarmup 0\nalpha\nlog_all_failures\n}}"
    ));
    let mut knobs = Keepalived::new();
    knobs.delay_loop = Some(Duration::from_secs(5));
    knobs.retry = Some(4);
    knobs.delay_before_retry = Some(Duration::from_secs(2));
    knobs.warmup = Some(Duration::ZERO);
    knobs.misc_timeout = Some(Duration::from_secs(7));
    knobs.alpha = true;
    knobs.log_all_failures = true;
    let policy = Policy::keepalived(Kind::Misc, &knobs);
    let probe =
        CommandProbe::new(account(command())).with_dynamic(CommandProbe::DYNAMIC_MAX_KEEPALIVED);
    same(&full, probe, policy);
}

#[test]
fn file() {
    let definition = |lines: &str| format!("track_file load {{\nfile /run/load\n{lines}\n}}\n");
    let weighed = |definition: &str, lines: &str| {
        let lines = format!("FILE_CHECK {{\ntrack_file load\n{lines}\n}}");
        planned_with(definition, &lines).unwrap()
    };
    let probe = |weight| FileProbe::new("/run/load").with_weight(weight);
    let usual = || usual(Kind::File);
    let plain = weighed(&definition(""), "");
    assert_eq!(plain.1, "FILE_CHECK /run/load");
    same(&plain, probe(1), usual());
    for (own, of_file, expected) in [
        ("", "weight 0", 0),
        ("", "weight -3", -3),
        ("", "weight 3 reverse", -3),
        ("weight 0", "weight 3 reverse", 0),
        ("weight 5", "weight 3 reverse", 5),
        ("weight -5 reverse", "", 5),
        ("weight -2147483647", "", -2_147_483_647),
    ] {
        same(
            &weighed(&definition(of_file), own),
            probe(expected),
            usual(),
        );
    }
    let mut waiting = usual();
    waiting = waiting.with_initial(lvs_healthcheck::policy::Initial::FullyDown);
    same(&weighed(&definition(""), "alpha"), probe(1), waiting);

    let relative = "track_file load {\nfile load\n}\n";
    let reason = refused(relative, "FILE_CHECK {\ntrack_file load\n}");
    assert!(reason.contains("must be an absolute path"), "{reason}");
}

#[test]
fn bfd_is_named_with_file_and_line() {
    let session = "bfd_instance b {\nneighbor_ip 10.0.0.1\n}\n";
    let text = format!("{session}{}", with_check("BFD_CHECK {\nname b\n}"));
    let (config, check) = check(&text);
    assert!(Planner::new(&config).planned(&check).is_none());
    let setup = crate::setup::Setup::new(&config);
    let told = setup.diagnostics().iter().map(ToString::to_string);
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "t.conf:1:1: warning: bfd_instance b: not run yet",
            "t.conf:9:1: warning: BFD_CHECK 10.0.0.1:8080: not run yet",
            "t.conf:8:1: warning: real_server 10.0.0.1: none of its checks is run, so it counts as up",
        ]
    );
}
