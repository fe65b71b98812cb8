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
use crate::keepalived::{Config, Diagnostic, Severity};
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
    /// The addresses do not go together, as the reader of the configuration says.
    #[error("this cannot be demonstrated: {0}")]
    Configuration(String),
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
    /// An address cannot be bound, the forwarder's is of another family than the servers', or the
    /// operating system lacks what an event loop needs.
    pub fn start(config: &DemoConfig, signals: Signals) -> Result<Self, DemonstrationError> {
        let demo = Demo::start(config)?;
        let configuration = configuration(&demo, config);
        let parsed = Config::parse("demonstration", &configuration);
        let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
        if let Some(error) = parsed.diagnostics().iter().find(is_error) {
            return Err(DemonstrationError::Configuration(error.to_string()));
        }
        let setup = Setup::new(&parsed);
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

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;

    use lvs_schedulers::Algorithm;

    use super::*;

    fn start(config: &DemoConfig) -> Result<Demonstration, DemonstrationError> {
        Demonstration::start(config, Signals::block().unwrap())
    }

    #[test]
    fn the_configuration_is_complete_and_has_different_weights() {
        let config = DemoConfig {
            algorithm: Algorithm::Rr,
            ..DemoConfig::default()
        };
        let demonstration = start(&config).unwrap();
        let parsed = Config::parse("printed", demonstration.configuration());
        assert_eq!(parsed.diagnostics(), []);
        let [service] = parsed.virtual_servers() else {
            panic!("{}", demonstration.configuration());
        };
        assert_eq!(service.scheduler, "rr");
        let servers = service.real_servers.iter();
        let written: Vec<_> = servers
            .map(|server| (SocketAddr::new(server.ip, server.port), server.weight))
            .collect();
        let running = demonstration.demo().servers();
        let expected = running.iter().map(|server| server.address).zip(WEIGHTS);
        assert_eq!(written, expected.collect::<Vec<_>>());
    }

    #[test]
    fn the_forwarder_has_what_the_table_has() {
        let mut demonstration = start(&DemoConfig::default()).unwrap();
        let mut told = Vec::new();
        let report = &mut |line: &dyn core::fmt::Display| told.push(line.to_string());
        let time = Some(Duration::from_millis(500));
        let script = Script::parse("at 0s weight 2 7", 3).unwrap();
        demonstration.run(time, script, report).unwrap();
        let stats = demonstration.demo().stats();
        let weights: Vec<_> = stats
            .destinations
            .iter()
            .map(|entry| entry.weight)
            .collect();
        assert_eq!(weights, [3, 7, 1]);
        let (run, _) = demonstration.finish(report).unwrap();
        // A service, three destinations, the weight; the service goes.
        assert_eq!((run.changes, run.failures), (6, 0));
        assert!(told.contains(&"script  weight 2 7".to_owned()), "{told:?}");
    }

    #[test]
    fn servers_of_another_family_cannot_be_masqueraded_to() {
        let config = DemoConfig {
            servers: vec!["[::1]:0".parse().unwrap()],
            ..DemoConfig::default()
        };
        let error = match start(&config) {
            Err(DemonstrationError::Demo(error)) => {
                // A machine without IPv6.
                assert!(error.to_string().contains("[::1]"), "{error}");
                return;
            }
            other => other.unwrap_err().to_string(),
        };
        assert!(
            error.starts_with("this cannot be demonstrated: "),
            "{error}"
        );
        assert!(error.contains("real_server ::1: another family"), "{error}");
    }
}
