//! A pool with names, and what it tells as lines.

use core::time::Duration;

use lvs_healthcheck::WeightHint;
use lvs_healthcheck::aggregate::{Aggregate, Contribution, Desired, Member, Removal, UnknownAs};
use lvs_healthcheck::policy::Health;
use lvs_healthcheck::pool::{Batch, Pool, Settings};

pub(crate) type Server = Aggregate<&'static str>;

/// A pool, a clock and the batch of the last turn.
pub(crate) struct Rig {
    pub(crate) pool: Pool<&'static str, &'static str>,
    pub(crate) now: Duration,
    pub(crate) batch: Batch<&'static str>,
}

/// A server with one check, `http`, that counts as up without a verdict.
pub(crate) fn server(weight: u32) -> Server {
    unknown_as(weight, UnknownAs::Up)
}

/// A server with one check, `http`, that counts so without a verdict.
pub(crate) fn unknown_as(weight: u32, unknown: UnknownAs) -> Server {
    let mut server = Aggregate::new(weight);
    server.insert("http", Member::required(unknown));
    server
}

pub(crate) const DRAIN: Removal = Removal::DrainThenRemove {
    limit: Some(Duration::from_secs(60)),
};

impl Rig {
    /// A pool whose first batch is through, and that waits for nobody.
    pub(crate) fn new(
        settings: Settings<&'static str>,
        servers: impl IntoIterator<Item = (&'static str, Server)>,
    ) -> Self {
        let mut rig = Self::fresh(settings, servers);
        rig.turn().pass(5).turn();
        rig
    }

    /// A pool that has told nothing yet.
    pub(crate) fn fresh(
        settings: Settings<&'static str>,
        servers: impl IntoIterator<Item = (&'static str, Server)>,
    ) -> Self {
        let now = Duration::from_secs(1000);
        Self {
            pool: Pool::new(now, settings, servers).unwrap(),
            now,
            batch: Batch::new(),
        }
    }

    pub(crate) fn up(&mut self, destination: &'static str) -> &mut Self {
        self.say(destination, Health::Up, None)
    }

    pub(crate) fn down(&mut self, destination: &'static str) -> &mut Self {
        self.say(destination, Health::Down, None)
    }

    pub(crate) fn hint(&mut self, destination: &'static str, weight: u32) -> &mut Self {
        let hint = Some(WeightHint::Absolute(weight));
        self.say(destination, Health::Up, hint)
    }

    pub(crate) fn say(
        &mut self,
        destination: &'static str,
        health: Health,
        hint: Option<WeightHint>,
    ) -> &mut Self {
        let mut says = Contribution::new(health);
        says.hint = hint;
        self.pool.update(self.now, &destination, &"http", says);
        self
    }

    pub(crate) fn pass(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self
    }

    /// Ends the turn; a second end of it has nothing to say.
    pub(crate) fn turn(&mut self) -> &mut Self {
        self.pool.settle(self.now, &mut self.batch);
        let mut again = Batch::new();
        self.pool.settle(self.now, &mut again);
        assert!(again.is_empty(), "{again:?}");
        self
    }

    /// Ends the turn; its changes.
    pub(crate) fn changes(&mut self) -> Vec<String> {
        self.turn();
        self.batch.changes.iter().map(ToString::to_string).collect()
    }

    /// Events of the last batch.
    pub(crate) fn events(&self) -> Vec<String> {
        self.batch.events.iter().map(ToString::to_string).collect()
    }

    /// Events of the last batch but those about single destinations.
    pub(crate) fn service_events(&self) -> Vec<String> {
        let mut events = self.events();
        events.retain(|event| event.starts_with("quorum") || event.starts_with("sorry"));
        events
    }

    /// Weight in the table that should be.
    pub(crate) fn weight(&self, destination: &'static str) -> Option<u32> {
        match self.pool.entry(&destination)? {
            Desired::Present { weight } => Some(weight),
            _ => None,
        }
    }

    pub(crate) fn has_quorum(&self) -> bool {
        self.pool.status().has_quorum
    }
}
