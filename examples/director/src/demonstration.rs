//! The director without arguments: everything on loopback, nothing needed.
//!
//! Three web servers, checked as any others; a table in memory; and in the place of the kernel a
//! forwarder that carries each connection where the kernel's scheduler would. What is run is an
//! ordinary configuration, printed at the start.

use core::fmt::Write as _;
use core::time::Duration;

use lvs_healthcheck::Driver;
use lvs_ipvs::{Client, MemoryKernel, ServiceKey};

use crate::demo::script::{Action, Script};
use crate::demo::{Config as DemoConfig, Demo, DemoError, Stats};
use crate::keepalived::Config;
use crate::run::{Happening, RunError, RunStats, Runner, Stop};
use crate::setup::Setup;
use crate::signals::Signals;

/// Weights of the servers, so that `wrr` has something to show.
const WEIGHTS: [u32; 3] = [3, 2, 1];

/// What cannot be demonstrated.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DemonstrationError {
    /// Servers or forwarder cannot be started or told.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The director.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A demonstration ready to run.
#[derive(Debug)]
pub struct Demonstration {
    demo: Demo,
    runner: Runner,
    /// A second look at the memory table, for the forwarder.
    table: Client,
    key: ServiceKey,
    configuration: String,
}

impl Demonstration {
    /// Starts servers and forwarder and prepares the director.
    ///
    /// # Errors
    ///
    /// An address on loopback cannot be bound, or the operating system lacks what an event loop
    /// needs.
    pub fn start(config: &DemoConfig, signals: Signals) -> Result<Self, DemonstrationError> {
        let demo = Demo::start(config)?;
        let configuration = configuration(&demo, config);
        let setup = Setup::new(&Config::parse("demonstration", &configuration));
        let kernel = MemoryKernel::default();
        let client = Client::with_transport(kernel.socket()).map_err(RunError::from)?;
        let table = Client::with_transport(kernel.socket()).map_err(RunError::from)?;
        let driver = Driver::new(lvs_healthcheck::Config::default()).map_err(RunError::from)?;
        let runner = Runner::new(setup, client, driver, signals)?;
        let key = ServiceKey::tcp(demo.address());
        Ok(Self {
            demo,
            runner,
            table,
            key,
            configuration,
        })
    }

    /// The servers and the forwarder.
    #[must_use]
    pub const fn demo(&self) -> &Demo {
        &self.demo
    }

    /// The configuration that is run.
    #[must_use]
    pub fn configuration(&self) -> &str {
        &self.configuration
    }

    /// Runs for that time (`None`: until told to stop), doing what the script says.
    ///
    /// # Errors
    ///
    /// The director fails, or a server cannot be started again.
    pub fn run(
        &mut self,
        time: Option<Duration>,
        mut script: Script,
        report: &mut dyn FnMut(&dyn core::fmt::Display),
    ) -> Result<(), DemonstrationError> {
        let start = self.runner.now();
        let end = time.map(|time| start.saturating_add(time));
        loop {
            let step = script.next_at().map(|at| start.saturating_add(at));
            let next = [step, end].into_iter().flatten().min();
            let (demo, table, key) = (&self.demo, &mut self.table, self.key);
            let mut failed = None;
            let stop = self.runner.run_until(next, &mut |happening| {
                if let Happening::Applied = happening {
                    failed = failed.take().or_else(|| follow(demo, table, key).err());
                } else {
                    report(happening);
                }
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            let now = self.runner.now();
            if stop == Stop::Asked || end.is_some_and(|end| end <= now) {
                return Ok(());
            }
            for step in script.due(now.saturating_sub(start)) {
                report(&format_args!("script  {}", step.action));
                match step.action {
                    Action::Stop { server } => {
                        self.demo.stop_server(server)?;
                    }
                    Action::Start { server } => {
                        self.demo.start_server(server)?;
                    }
                    Action::Weight { server, weight } => {
                        self.runner.set_weight(0, server.saturating_sub(1), weight);
                    }
                }
            }
        }
    }

    /// Ends it: takes the service out of the table, closes servers and forwarder.
    ///
    /// # Errors
    ///
    /// The table cannot be read.
    pub fn finish(
        mut self,
        report: &mut dyn FnMut(&dyn core::fmt::Display),
    ) -> Result<(RunStats, Stats), DemonstrationError> {
        self.runner.withdraw(&mut |happening| {
            if !matches!(happening, Happening::Applied) {
                report(happening);
            }
        })?;
        Ok((self.runner.stats(), self.demo.shutdown()))
    }
}

/// Gives the forwarder what the table holds, oldest first, as the kernel would have it.
fn follow(demo: &Demo, table: &mut Client, key: ServiceKey) -> Result<(), DemonstrationError> {
    let table = table.snapshot().map_err(RunError::from)?.table();
    let destinations: Vec<_> = table
        .destinations(&key)
        .iter()
        .map(|entry| {
            (
                (entry.key().address, entry.key().port).into(),
                entry.weight(),
            )
        })
        .collect();
    demo.set_destinations(&destinations)?;
    Ok(())
}

/// The configuration for these servers.
fn configuration(demo: &Demo, config: &DemoConfig) -> String {
    let address = demo.address();
    let mut text = format!(
        "virtual_server {} {} {{\n    delay_loop 1\n    warmup 0\n    lb_algo {}\n    \
         lb_kind NAT\n    protocol TCP\n",
        address.ip(),
        address.port(),
        config.algorithm,
    );
    for (server, weight) in demo.servers().iter().zip(WEIGHTS.iter().cycle()) {
        let _ = write!(
            text,
            "    real_server {} {} {{\n        weight {weight}\n        \
             TCP_CHECK {{ connect_timeout 1 }}\n    }}\n",
            server.address.ip(),
            server.address.port(),
        );
    }
    text.push_str("}\n");
    text
}
