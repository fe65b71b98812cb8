//! SMTP with any server.

use lvs_healthcheck::probe::smtp::{Hello, Smtp};
use lvs_healthcheck::{Code, Target, TcpProbe, Verdict};

use super::talk::{Input, Plan, compare};

/// A line of 4096 bytes; lines before it are only counted.
const KEPT: usize = 4096;

pub(super) fn check(data: &[u8]) {
    let mut input = Input(data);
    let smtp = match input.byte() % 5 {
        0 => Smtp::new().with_name("us"),
        1 => Smtp::keepalived(),
        2 => Smtp::haproxy(),
        3 => Smtp::new().with_name("us").with_hello(Hello::Ehlo),
        _ => Smtp::new().with_name("us").with_hello(Hello::Helo),
    };
    let target = Target::new(([192, 0, 2, 7], 25).into());
    let probe = TcpProbe::new(target).with_protocol(smtp);
    let told = compare(&probe, &Plan::of(&mut input), KEPT, false);
    let said = String::from_utf8(told.said).unwrap();
    assert!(said.lines().count() <= 3, "{said}");
    assert_eq!(said.contains("QUIT"), said.ends_with("QUIT\r\n"), "{said}");
    if told.outcome.verdict == Verdict::Pass {
        assert_eq!(told.outcome.code, Code::Ok);
        assert!(said.ends_with("QUIT\r\n"), "passes without a farewell");
    }
}
