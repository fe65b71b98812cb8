//! What comes out of the core for what goes in, with made-up times and reports.

use core::time::Duration;

use lvs_healthcheck::{Code, Phase};
use lvs_ipvs::Destination;

use super::*;
use crate::keepalived::Config;

const NOW: Timestamp = Duration::from_secs(1000);

fn setup(text: &str) -> Setup {
    let config = Config::parse("t.conf", text);
    assert_eq!(config.diagnostics(), [], "{text}");
    let setup = Setup::new(&config);
    assert_eq!(setup.diagnostics(), []);
    setup
}

fn service_key() -> ServiceKey {
    ServiceKey::tcp("192.0.2.1:80".parse().unwrap())
}

fn server_key(address: &str) -> ServerKey {
    address.parse::<core::net::SocketAddr>().unwrap().into()
}

/// A service with one real server with these lines.
fn director(server: &str) -> Director {
    let text = format!(
        "virtual_server 192.0.2.1 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n\
         real_server 10.0.0.1 80 {{\n{server}\n}}\n}}\n"
    );
    let mut director = Director::new(NOW, &setup(&text), &Table::new()).unwrap();
    settle(&mut director);
    director
}

/// Whether the table is another, and the lines of what happened.
fn settle(director: &mut Director) -> (bool, Vec<String>) {
    let mut batch = Batch::new();
    director.settle(NOW, &mut batch);
    let mut lines: Vec<_> = batch.events.iter().map(ToString::to_string).collect();
    lines.retain(|line| line != "ready");
    (batch.is_table_changed, lines)
}

/// `OP-10`: a client that keeps sending would keep its server for ever.
#[test]
fn what_is_udp_leaves_without_a_drain() {
    for (protocol, drains) in [("TCP", true), ("UDP", false)] {
        let text = format!(
            "virtual_server 192.0.2.1 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol {protocol}\n\
             real_server 10.0.0.1 80 {{\n}}\n}}\n"
        );
        let setup = setup(&text).with_drain(Duration::from_secs(60));
        let mut director = Director::new(NOW, &setup, &Table::new()).unwrap();
        settle(&mut director);
        director.stop(NOW, Shutdown::Drain);
        settle(&mut director);
        assert_eq!(director.is_draining(), drains, "{protocol}");
        assert_eq!(director.desired().is_empty(), !drains, "{protocol}");
    }
}

const TWO_SCRIPTS: &str = "weight 5\nMISC_CHECK {\nmisc_path /bin/a\nmisc_dynamic\n}\n\
                           MISC_CHECK {\nmisc_path /bin/b\nmisc_dynamic\n}";

/// Weight of the only server; `None` when it is not there.
fn weight(director: &Director) -> Option<u32> {
    let table = director.desired();
    let key = service_key();
    assert!(table.get(&key).is_some(), "the service always stays");
    table.destinations(&key).first().map(Destination::weight)
}

/// What a check said, as a driver reports it, and what is told.
fn say(
    director: &mut Director,
    check: u64,
    (from, to): (Health, Health),
    hint: Option<u32>,
) -> (bool, Vec<String>) {
    let outcome = Outcome::new(Code::Ok, Phase::Connect);
    let finding = Finding {
        health: to,
        change: (from != to).then_some((from, to)),
        hint: hint.map(WeightHint::Absolute),
        no_new: false,
        admin: None,
        is_local: false,
        hint_changed: hint.is_some(),
        log: false,
        outcome: &outcome,
    };
    director.report(NOW, CheckNumber(check), finding);
    settle(director)
}

const FIRST: (Health, Health) = (Health::Unknown, Health::Up);
const STEADY: (Health, Health) = (Health::Up, Health::Up);
const FAILS: (Health, Health) = (Health::Up, Health::Down);
const RECOVERS: (Health, Health) = (Health::Down, Health::Up);

/// Base 5, 10 and 20: 5 + (10 - 2 - 5) + (20 - 2 - 5), as keepalived adds up exit codes.
#[test]
fn weights_of_several_scripts_add_up() {
    let mut director = director(TWO_SCRIPTS);
    assert_eq!(weight(&director), Some(5));
    assert!(say(&mut director, 0, FIRST, Some(10 - 2)).0);
    assert_eq!(weight(&director), Some(8));
    assert!(say(&mut director, 1, FIRST, Some(20 - 2)).0);
    assert_eq!(weight(&director), Some(21));
    // A failure takes its own part back, and the server out.
    assert!(say(&mut director, 0, FAILS, None).0);
    assert_eq!(weight(&director), None);
    assert!(say(&mut director, 0, RECOVERS, None).0);
    assert_eq!(weight(&director), Some(18));
    // Never below nothing.
    assert!(say(&mut director, 0, STEADY, Some(0)).0);
    assert!(say(&mut director, 1, STEADY, Some(0)).0);
    assert_eq!(weight(&director), Some(0));
}

#[test]
fn the_first_check_that_fails_takes_the_server_out_and_the_last_brings_it_back() {
    let checks = "TCP_CHECK {\n}\nTCP_CHECK {\nconnect_port 81\n}";
    let mut director = director(&format!("weight 4\n{checks}"));
    let ok = "ok (connect)";
    let pool = "TCP 192.0.2.1:80";
    let (changed, notices) = say(&mut director, 1, FAILS, None);
    assert!(changed);
    assert_eq!(
        notices,
        [
            format!("check   TCP_CHECK 10.0.0.1:81 of {pool}: up to down: {ok}"),
            format!("service {pool}: 10.0.0.1:80 is down (its checks say down)"),
            format!("service {pool}: quorum lost: weight 0, quorum 1"),
            format!("server  10.0.0.1:80 of {pool}: weight 4 to out (its checks say down)"),
        ]
    );
    let down = format!("check   TCP_CHECK 10.0.0.1:80 of {pool}: up to down: {ok}");
    assert_eq!(say(&mut director, 0, FAILS, None), (false, vec![down]));
    let up = format!("check   TCP_CHECK 10.0.0.1:81 of {pool}: down to up: {ok}");
    assert_eq!(say(&mut director, 1, RECOVERS, None), (false, vec![up]));
    assert_eq!(weight(&director), None);
    let (changed, notices) = say(&mut director, 0, RECOVERS, None);
    assert!(changed);
    let back = format!("server  10.0.0.1:80 of {pool}: out to weight 4 (healthy)");
    assert_eq!(notices.last(), Some(&back));
    assert_eq!(weight(&director), Some(4));
}

#[test]
fn steady_checks_are_not_told_unless_they_are_worth_it() {
    let mut director = director("TCP_CHECK {\n}");
    assert_eq!(say(&mut director, 0, STEADY, None), (false, vec![]));
    let outcome = Outcome::new(Code::Refused, Phase::Connect);
    let tolerated = Finding {
        health: Health::Up,
        change: None,
        hint: None,
        no_new: false,
        admin: None,
        is_local: false,
        hint_changed: false,
        log: true,
        outcome: &outcome,
    };
    director.report(NOW, CheckNumber(0), tolerated);
    let expected = "check   TCP_CHECK 10.0.0.1:80 of TCP 192.0.2.1:80: refused (connect)";
    assert_eq!(settle(&mut director), (false, vec![expected.to_owned()]));
    // A check nobody has.
    director.report(NOW, CheckNumber(7), tolerated);
    assert_eq!(settle(&mut director), (false, vec![]));
}

#[test]
fn no_new_connections_means_weight_0() {
    let mut director = director("weight 4\nTCP_CHECK {\n}");
    let outcome = Outcome::new(Code::Ok, Phase::Connect);
    let finding = Finding {
        health: Health::Up,
        change: None,
        hint: None,
        no_new: true,
        admin: None,
        is_local: false,
        hint_changed: true,
        log: false,
        outcome: &outcome,
    };
    director.report(NOW, CheckNumber(0), finding);
    assert!(settle(&mut director).0);
    assert_eq!(weight(&director), Some(0));
}

#[test]
fn an_operators_weight_counts_at_once_or_when_the_server_is_back() {
    let mut director = director("weight 4\nTCP_CHECK {\n}");
    let (service, server) = (service_key(), server_key("10.0.0.1:80"));
    let set = |director: &mut Director, weight| {
        assert!(director.set_weight(NOW, &service, &server, weight));
        settle(director)
    };
    assert_eq!(set(&mut director, Some(4)), (false, vec![]));
    let (changed, lines) = set(&mut director, Some(9));
    assert!(changed);
    assert_eq!(weight(&director), Some(9));
    let expected = "server  10.0.0.1:80 of TCP 192.0.2.1:80: weight 4 to weight 9 (healthy)";
    assert_eq!(lines, [expected]);
    say(&mut director, 0, FAILS, None);
    assert!(!set(&mut director, Some(6)).0);
    let nobody = server_key("10.0.0.9:80");
    assert!(!director.set_weight(NOW, &service, &nobody, Some(6)));
    let nothing = ServiceKey::udp("192.0.2.1:80".parse().unwrap());
    assert!(!director.set_weight(NOW, &nothing, &server, Some(6)));
    say(&mut director, 0, RECOVERS, None);
    assert_eq!(weight(&director), Some(6));
    assert!(set(&mut director, None).0);
    assert_eq!(weight(&director), Some(4));
    // Weights of scripts are relative to it.
    let mut dynamic = self::director(TWO_SCRIPTS);
    say(&mut dynamic, 0, FIRST, Some(8));
    set(&mut dynamic, Some(100));
    assert_eq!(weight(&dynamic), Some(8));
    say(&mut dynamic, 0, STEADY, None);
    assert_eq!(weight(&dynamic), Some(100));
}

#[test]
fn equal_histories_give_equal_tables() {
    let run = || {
        let mut director = director(TWO_SCRIPTS);
        let mut told = Vec::new();
        for (check, change, hint) in [
            (0, FIRST, Some(3)),
            (1, FIRST, Some(9)),
            (1, FAILS, None),
            (1, RECOVERS, Some(2)),
        ] {
            told.push(say(&mut director, check, change, hint));
        }
        (told, director.desired())
    };
    assert_eq!(run(), run());
}
