//! The preset against HAProxy's rules: a server is up or down, and on the way to the other or not;
//! `fastinter` while on the way, `downinter` while down for good.

use core::time::Duration;

use lvs_healthcheck::policy::{Haproxy, Health, Initial, Machine, Policy};

use super::explore::{Expected, Letter, Model, explore};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Server {
    Up,
    /// So many failures.
    GoingDown(u16),
    Down,
    /// So many successes.
    GoingUp(u16),
}

#[derive(Clone, Debug)]
struct Rules {
    rise: u16,
    fall: u16,
    inter: u64,
    fastinter: u64,
    downinter: u64,
    server: Server,
    is_told: bool,
}

impl Rules {
    fn going_down(&self, failures: u16) -> Server {
        match failures {
            0 => Server::Up,
            _ if failures >= self.fall => Server::Down,
            _ => Server::GoingDown(failures),
        }
    }

    fn going_up(&self, successes: u16) -> Server {
        match successes {
            0 => Server::Down,
            _ if successes >= self.rise => Server::Up,
            _ => Server::GoingUp(successes),
        }
    }
}

impl Model for Rules {
    fn step(&mut self, letter: Letter) -> Expected {
        self.server = match (letter, self.server) {
            (Letter::LocalError | Letter::Cancelled, server) => server,
            (Letter::FailNow, _) => Server::Down,
            (Letter::Pass | Letter::PassNoNew, Server::Up | Server::GoingDown(_)) => Server::Up,
            (Letter::Pass | Letter::PassNoNew, Server::Down) => self.going_up(1),
            (Letter::Pass | Letter::PassNoNew, Server::GoingUp(count)) => self.going_up(count + 1),
            (Letter::Fail, Server::Down | Server::GoingUp(_)) => Server::Down,
            (Letter::Fail, Server::Up) => self.going_down(1),
            (Letter::Fail, Server::GoingDown(count)) => self.going_down(count + 1),
        };
        self.is_told |= !matches!(letter, Letter::LocalError | Letter::Cancelled);
        let health = match (self.is_told, self.server) {
            (false, _) => Health::Unknown,
            (_, Server::Up | Server::GoingDown(_)) => Health::Up,
            (_, Server::Down | Server::GoingUp(_)) => Health::Down,
        };
        let delay = match (letter, self.server) {
            (Letter::LocalError, _) => self.inter,
            _ if !self.is_told => self.fastinter,
            (_, Server::Up) => self.inter,
            (_, Server::GoingDown(_) | Server::GoingUp(_)) => self.fastinter,
            (_, Server::Down) => self.downinter,
        };
        Expected {
            health,
            delay: Duration::from_secs(delay),
            counter: None,
            no_new: None,
        }
    }
}

#[test]
fn preset_equals_haproxy_on_all_strings_for_rise_and_fall_up_to_5_and_every_init_state() {
    let (mut strings, mut configurations) = (0, 0);
    for (rise, fall) in (1..=5).flat_map(|rise| (1..=5).map(move |fall| (rise, fall))) {
        for (initial, failures, successes) in [
            (Initial::FullyUp, Some(0), None),
            (Initial::Up1, Some(fall - 1), None),
            (Initial::Down1, None, Some(rise - 1)),
            (Initial::FullyDown, None, Some(0)),
        ] {
            for (fastinter, downinter) in [(Some(1), Some(30)), (None, None)] {
                let mut knobs = Haproxy::new();
                knobs.inter = Some(Duration::from_secs(5));
                knobs.fastinter = fastinter.map(Duration::from_secs);
                knobs.downinter = downinter.map(Duration::from_secs);
                knobs.rise = Some(rise);
                knobs.fall = Some(fall);
                knobs.init_state = Some(initial);
                let machine = Machine::new(Policy::haproxy(&knobs)).unwrap();
                let mut model = Rules {
                    rise,
                    fall,
                    inter: 5,
                    fastinter: fastinter.unwrap_or(5),
                    downinter: downinter.unwrap_or(5),
                    server: Server::Up,
                    is_told: false,
                };
                model.server = match (failures, successes) {
                    (Some(failures), _) => model.going_down(failures),
                    (_, Some(successes)) => model.going_up(successes),
                    _ => panic!(),
                };
                strings += explore(&machine, &model, &Letter::ALL);
                configurations += 1;
            }
        }
    }
    assert_eq!(configurations, 5 * 5 * 4 * 2);
    println!("{strings} strings of 10 verdicts in {configurations} configurations");
}

#[test]
fn every_word_of_an_agent_counts_at_once() {
    let mut machine = Machine::new(Policy::haproxy_agent(&Haproxy::new())).unwrap();
    let mut health = |letter: Letter| machine.on_outcome(&letter.outcome()).health;
    assert_eq!(health(Letter::FailNow), Health::Down);
    assert_eq!(health(Letter::LocalError), Health::Down, "until it says up");
    assert_eq!(health(Letter::Cancelled), Health::Down);
    assert_eq!(health(Letter::Pass), Health::Up);
    assert_eq!(health(Letter::Fail), Health::Down);
}
