//! The director's core: what the checks say goes in, the table that should be comes out.
//!
//! Pure: it opens nothing and reads no clock, so a history can be replayed.

use core::fmt;

use lvs_healthcheck::policy::{Health, HealthChange};
use lvs_healthcheck::{Outcome, Report, WeightHint};
use lvs_ipvs::Table;

use crate::pool::{CheckNumber, Pool};
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
    /// How it changed, if it did.
    pub change: Option<HealthChange>,
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
            change: report.change,
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
        let pool_name = pool.to_string();
        if finding.change.is_some() || finding.hint_changed || finding.log {
            notices.push(Notice::Check {
                name: place.name.clone(),
                pool: pool_name.clone(),
                change: finding.change.map(|change| (change.from, change.to)),
                outcome: finding.outcome.to_string(),
            });
        }
        let Some(server) = pool.servers.get_mut(place.server) else {
            return false;
        };
        let weight = |server: &crate::pool::Server| server.desired().map(|entry| entry.weight());
        let before = weight(server);
        server
            .health
            .update(&check, finding.health, finding.hint, finding.no_new);
        let after = weight(server);
        if before == after {
            return false;
        }
        let server = server.key().to_string();
        notices.push(Notice::Server {
            server,
            pool: pool_name,
            from: before,
            to: after,
        });
        true
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
        let pool_name = pool.to_string();
        let Some(server) = pool.servers.get_mut(server) else {
            return false;
        };
        let before = server.desired().map(|entry| entry.weight());
        server.health.set_weight(weight);
        let after = server.desired().map(|entry| entry.weight());
        if before != after {
            let server = server.key().to_string();
            notices.push(Notice::Server {
                server,
                pool: pool_name,
                from: before,
                to: after,
            });
        }
        before != after
    }
}
