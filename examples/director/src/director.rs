//! The director's core: what the checks say goes in, the table that should be comes out.
//!
//! Pure: it opens nothing and reads no clock, so a history can be replayed.

use core::fmt;

use lvs_healthcheck::aggregate::Aggregate;
use lvs_healthcheck::policy::Health;
use lvs_healthcheck::{Outcome, Report, WeightHint};
use lvs_ipvs::Table;

use crate::pool::{CheckNumber, Pool, Server};
use crate::setup::PlannedCheck;

/// Keeps what every check last said, and works out the table.
#[derive(Debug)]
pub struct Director {
    pools: Vec<Pool>,
    checks: Vec<Place>,
}

/// Where a check belongs, and what it is called.
#[derive(Debug)]
struct Place {
    name: String,
    pool: usize,
    server: usize,
}

/// What a check said, as far as the director is concerned.
#[expect(clippy::exhaustive_structs, reason = "an argument, made by callers")]
#[derive(Clone, Copy, Debug)]
pub struct Finding<'a> {
    /// The check's health now.
    pub health: Health,
    /// How it changed, if it did: from, to.
    pub change: Option<(Health, Health)>,
    /// The weight it asks for.
    pub hint: Option<WeightHint>,
    /// Whether it asks for no new connections.
    pub no_new: bool,
    /// Whether weight or the wish for no new connections is another than before.
    pub hint_changed: bool,
    /// Whether it is worth a line.
    pub log: bool,
    /// What it found out.
    pub outcome: &'a Outcome,
}

impl<'a> From<&'a Report> for Finding<'a> {
    fn from(report: &'a Report) -> Self {
        Self {
            health: report.health,
            change: report.change.map(|change| (change.from, change.to)),
            hint: report.hint,
            no_new: report.no_new,
            hint_changed: report.hint_changed,
            log: report.log,
            outcome: &report.outcome,
        }
    }
}

/// Something about the servers that people want to know; `Display` is a line for them.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Notice {
    /// A check changed its mind, or failed in a way worth telling.
    Check {
        /// The check.
        name: String,
        /// The server's pool.
        pool: String,
        /// How its health changed; `None` when only its outcome is worth telling.
        change: Option<(Health, Health)>,
        /// What it found out.
        outcome: String,
    },
    /// A server's place in the table is another: its weight, or `None` for no place.
    Server {
        /// Address and port.
        server: String,
        /// The server's pool.
        pool: String,
        /// Weight before.
        from: Option<u32>,
        /// Weight now.
        to: Option<u32>,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check {
                name,
                pool,
                change: Some((from, to)),
                outcome,
            } => {
                write!(f, "check   {name} of {pool}: {from} to {to}: {outcome}")
            }
            Self::Check {
                name,
                pool,
                change: None,
                outcome,
            } => {
                write!(f, "check   {name} of {pool}: {outcome}")
            }
            Self::Server {
                server,
                pool,
                from,
                to,
            } => {
                write!(
                    f,
                    "server  {server} of {pool}: {} to {}",
                    Weight(*from),
                    Weight(*to)
                )
            }
        }
    }
}

/// A place in the table: a weight, or none.
struct Weight(Option<u32>);

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(weight) => write!(f, "weight {weight}"),
            None => f.write_str("out"),
        }
    }
}

impl Director {
    /// A director for these pools; `checks` says which server each check is for.
    #[must_use]
    pub fn new(pools: Vec<Pool>, checks: &[PlannedCheck]) -> Self {
        let checks = checks.iter().map(|check| Place {
            name: check.name.clone(),
            pool: check.pool,
            server: check.server,
        });
        Self {
            pools,
            checks: checks.collect(),
        }
    }

    /// The pools, in the order of the file.
    #[must_use]
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// The table that should be.
    #[must_use]
    pub fn desired(&self) -> Table {
        let mut table = Table::new();
        for pool in &self.pools {
            pool.fill(&mut table);
        }
        table
    }

    /// Takes note of what a check said; adds what is worth telling to `notices`.
    ///
    /// Returns whether the [desired table](Self::desired) is another now. Unknown numbers change
    /// nothing.
    pub fn update(
        &mut self,
        check: CheckNumber,
        finding: &Finding<'_>,
        notices: &mut Vec<Notice>,
    ) -> bool {
        let Some(place) = self.checks.get(check.0) else {
            return false;
        };
        let Some(pool) = self.pools.get_mut(place.pool) else {
            return false;
        };
        if finding.change.is_some() || finding.hint_changed || finding.log {
            notices.push(Notice::Check {
                name: place.name.clone(),
                pool: pool.to_string(),
                change: finding.change,
                outcome: finding.outcome.to_string(),
            });
        }
        let server = place.server;
        pool.change(server, notices, |health| {
            health.update(&check, finding.health, finding.hint, finding.no_new);
        })
    }

    /// Replaces the configured weight of a server, as an operator would.
    ///
    /// Returns whether the desired table is another now.
    pub fn set_weight(
        &mut self,
        pool: usize,
        server: usize,
        weight: u32,
        notices: &mut Vec<Notice>,
    ) -> bool {
        let Some(pool) = self.pools.get_mut(pool) else {
            return false;
        };
        pool.change(server, notices, |health| health.set_weight(weight))
    }
}

impl Pool {
    /// Changes what is known of a server's health; notes when its place in the table is another.
    fn change(
        &mut self,
        server: usize,
        notices: &mut Vec<Notice>,
        change: impl FnOnce(&mut Aggregate<CheckNumber>),
    ) -> bool {
        let pool = self.to_string();
        let Some(server) = self.servers.get_mut(server) else {
            return false;
        };
        let weight = |server: &Server| server.desired().map(|entry| entry.weight());
        let from = weight(server);
        change(&mut server.health);
        let to = weight(server);
        if from != to {
            let server = server.key().to_string();
            notices.push(Notice::Server {
                server,
                pool,
                from,
                to,
            });
        }
        from != to
    }
}

#[cfg(test)]
mod tests {
    use lvs_healthcheck::{Code, Phase};
    use lvs_ipvs::{Destination, ServiceKey};

    use super::*;
    use crate::keepalived::Config;
    use crate::setup::Setup;

    /// A service with one real server with these lines.
    fn director(server: &str) -> Director {
        let text = format!(
            "virtual_server 192.0.2.1 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n\
             real_server 10.0.0.1 80 {{\n{server}\n}}\n}}\n"
        );
        let config = Config::parse("t.conf", &text);
        assert_eq!(config.diagnostics(), [], "{text}");
        let setup = Setup::new(&config);
        assert_eq!(setup.problems, Vec::<String>::new());
        Director::new(setup.pools, &setup.checks)
    }

    const TWO_SCRIPTS: &str = "weight 5\nMISC_CHECK {\nmisc_path /bin/a\nmisc_dynamic\n}\n\
                               MISC_CHECK {\nmisc_path /bin/b\nmisc_dynamic\n}";

    /// Weight of the only server; `None` when it is not there.
    fn weight(director: &Director) -> Option<u32> {
        let table = director.desired();
        let key = ServiceKey::tcp("192.0.2.1:80".parse().unwrap());
        assert!(table.get(&key).is_some(), "the service always stays");
        table.destinations(&key).first().map(Destination::weight)
    }

    /// What a check said, as a driver reports it, and what is told.
    fn say(
        director: &mut Director,
        check: usize,
        (from, to): (Health, Health),
        hint: Option<u32>,
    ) -> (bool, Vec<String>) {
        let outcome = Outcome::new(Code::Ok, Phase::Connect);
        let finding = Finding {
            health: to,
            change: (from != to).then_some((from, to)),
            hint: hint.map(WeightHint::Absolute),
            no_new: false,
            hint_changed: hint.is_some(),
            log: false,
            outcome: &outcome,
        };
        let mut notices = Vec::new();
        let changed = director.update(CheckNumber(check), &finding, &mut notices);
        (changed, notices.iter().map(ToString::to_string).collect())
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
                format!("server  10.0.0.1:80 of {pool}: weight 4 to out"),
            ]
        );
        let down = format!("check   TCP_CHECK 10.0.0.1:80 of {pool}: up to down: {ok}");
        assert_eq!(say(&mut director, 0, FAILS, None), (false, vec![down]));
        let up = format!("check   TCP_CHECK 10.0.0.1:81 of {pool}: down to up: {ok}");
        assert_eq!(say(&mut director, 1, RECOVERS, None), (false, vec![up]));
        assert_eq!(weight(&director), None);
        let (changed, notices) = say(&mut director, 0, RECOVERS, None);
        assert!(changed);
        let back = format!("server  10.0.0.1:80 of {pool}: out to weight 4");
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
            hint_changed: false,
            log: true,
            outcome: &outcome,
        };
        let mut notices = Vec::new();
        assert!(!director.update(CheckNumber(0), &tolerated, &mut notices));
        let expected = "check   TCP_CHECK 10.0.0.1:80 of TCP 192.0.2.1:80: refused (connect)";
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0].to_string(), expected);
        // A check nobody has.
        assert!(!director.update(CheckNumber(7), &tolerated, &mut notices));
        assert_eq!(notices.len(), 1);
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
            hint_changed: true,
            log: false,
            outcome: &outcome,
        };
        assert!(director.update(CheckNumber(0), &finding, &mut Vec::new()));
        assert_eq!(weight(&director), Some(0));
    }

    #[test]
    fn another_configured_weight_counts_at_once_or_when_the_server_is_back() {
        let mut director = director("weight 4\nTCP_CHECK {\n}");
        let mut notices = Vec::new();
        assert!(!director.set_weight(0, 0, 4, &mut notices));
        assert!(director.set_weight(0, 0, 9, &mut notices));
        assert_eq!(weight(&director), Some(9));
        assert_eq!(notices.len(), 1);
        let expected = "server  10.0.0.1:80 of TCP 192.0.2.1:80: weight 4 to weight 9";
        assert_eq!(notices[0].to_string(), expected);
        say(&mut director, 0, FAILS, None);
        assert!(!director.set_weight(0, 0, 6, &mut notices));
        assert!(
            !director.set_weight(0, 1, 6, &mut notices),
            "no such server"
        );
        assert!(!director.set_weight(1, 0, 6, &mut notices), "no such pool");
        say(&mut director, 0, RECOVERS, None);
        assert_eq!(weight(&director), Some(6));
        // Weights of scripts are relative to it.
        let mut dynamic = self::director(TWO_SCRIPTS);
        say(&mut dynamic, 0, FIRST, Some(8));
        assert!(!dynamic.set_weight(0, 0, 100, &mut notices));
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
}
