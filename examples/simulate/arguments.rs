//! The command line.

use core::fmt;
use core::str::FromStr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use lvs_schedulers::scenario::Scenario;
use lvs_schedulers::{Destination, Protocol, Semantics};

use crate::choice::Choice;

const EXAMPLES: &str = "\
Examples:
  simulate scenario.json                    who is picked for each flow
  simulate --json - < scenario.json         the same as {\"picks\": [...]}
  simulate --explain scenario.json          each event, and why each pick was made
  simulate --scheduler mh scenario.json     the same traffic through another scheduler
  simulate --compare rr,wlc,fewest scenario.json
                                            how evenly each of them spreads it
  simulate --generate --servers 4,3,2,1 --flows 100000 --rate 200 --mean 8 \\
           --duration pareto --compare wrr,wlc,sh,mh --plot load.svg
                                            made-up traffic, figures and a picture
  simulate --generate --mark --destinations 500 --output scenario.json
                                            traffic to keep and to replay

Scenarios: see the documentation of lvs_schedulers::scenario, and examples/simulate/scenarios.
Exit status: 0, 1 if a result cannot be written, 2 if the options or the scenario are refused.";

/// Plays traffic through the kernel's IPVS schedulers without a kernel.
#[derive(Debug, Parser)]
#[command(name = "simulate", after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// File with the scenario, - for standard input
    #[arg(required_unless_present = "generate")]
    pub(crate) scenario: Option<PathBuf>,

    /// Schedule with this instead of what the scenario names
    #[arg(long, value_name = "NAME", conflicts_with = "compare")]
    pub(crate) scheduler: Option<Choice>,

    /// Run the same traffic through each of these and print figures
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) compare: Vec<Choice>,

    /// Print JSON
    #[arg(long, conflicts_with = "explain")]
    pub(crate) json: bool,

    /// Print what happens and why each pick is made
    #[arg(long, conflicts_with_all = ["compare", "plot"])]
    pub(crate) explain: bool,

    /// Draw connections over time and load shares into an SVG file
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,

    /// Which server leaves halfway in the second run that counts moved clients, unless one leaves in
    /// the traffic itself [default: the first]
    #[arg(long, value_name = "ID", requires = "compare")]
    pub(crate) leaver: Option<u32>,

    /// Make traffic; with a scenario, for its service and servers
    #[arg(long, help_heading = "Generated traffic")]
    pub(crate) generate: bool,

    /// Write the traffic to this file, as a scenario; takes about half a kilobyte of memory per flow
    #[arg(
        long,
        value_name = "FILE",
        requires = "generate",
        help_heading = "Generated traffic",
        value_parser = file
    )]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) service: Service,

    #[command(flatten)]
    pub(crate) load: Load,
}

/// The service that traffic is made for, unless a scenario gives it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Generated traffic")]
pub(crate) struct Service {
    /// Weights of the servers
    #[arg(long, value_name = "WEIGHT,...", value_delimiter = ',', default_value = "4,3,2,1",
          value_parser = weight, requires = "generate", conflicts_with = "scenario")]
    pub(crate) servers: Vec<u32>,

    /// Protocol of the flows
    #[arg(
        long,
        value_name = "NAME",
        default_value = "tcp",
        requires = "generate",
        conflicts_with = "scenario"
    )]
    pub(crate) protocol: ProtocolName,

    /// Kernel to imitate
    #[arg(
        long,
        value_name = "RELEASE",
        default_value = "6.1",
        requires = "generate",
        conflicts_with = "scenario"
    )]
    pub(crate) kernel: Kernel,

    /// Service by firewall mark, whose clients send to many addresses
    #[arg(long, requires = "generate", conflicts_with = "scenario")]
    pub(crate) mark: bool,
}

/// The traffic to make.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Generated traffic")]
pub(crate) struct Load {
    /// Number of flows
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "generate",
          value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) flows: u64,

    /// New flows per second; the times between them are exponential (Poisson arrivals)
    #[arg(long, value_name = "PER_SECOND", default_value = "100", requires = "generate",
          value_parser = positive)]
    pub(crate) rate: f64,

    /// How the durations of flows are distributed
    #[arg(
        long,
        value_name = "KIND",
        default_value = "exponential",
        requires = "generate"
    )]
    pub(crate) duration: Duration,

    /// Mean duration of a flow
    #[arg(long, value_name = "SECONDS", default_value = "10", requires = "generate",
          value_parser = positive)]
    pub(crate) mean: f64,

    /// Shape of Pareto durations, above 1; the smaller, the heavier the tail
    #[arg(long, value_name = "A", default_value = "1.5", requires = "generate",
          value_parser = above_one)]
    pub(crate) shape: f64,

    /// How long a closed connection stays in the table
    #[arg(long, value_name = "SECONDS", default_value = "0", requires = "generate",
          value_parser = not_negative)]
    pub(crate) linger: f64,

    /// Number of clients
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "generate",
          value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    pub(crate) clients: u32,

    /// Zipf exponent of the clients: 0 = all alike, 1 = the first comes twice as often as the second
    #[arg(long, value_name = "S", default_value = "0.8", requires = "generate",
          value_parser = not_negative)]
    pub(crate) client_skew: f64,

    /// Number of addresses that clients of a service by mark send to
    #[arg(long, value_name = "N", default_value_t = 100, requires = "generate",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) destinations: u32,

    /// Zipf exponent of those addresses
    #[arg(long, value_name = "S", default_value = "1", requires = "generate",
          value_parser = not_negative)]
    pub(crate) destination_skew: f64,

    /// Where the random numbers start, those of twos too unless a scenario says its own; the same
    /// seed makes the same traffic everywhere
    #[arg(long, value_name = "N", default_value_t = 0, requires = "generate")]
    pub(crate) seed: u64,
}

/// A distribution of durations.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Duration {
    /// Memoryless: most are short, few are several times the mean
    Exponential,
    /// Heavy tail: very few flows last very long
    Pareto,
}

/// A protocol by name.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProtocolName {
    /// Connections count as active from the first packet on
    Tcp,
    /// Connections never count as active
    Udp,
    /// Connections count as active once established
    Sctp,
}

impl From<ProtocolName> for Protocol {
    fn from(name: ProtocolName) -> Self {
        match name {
            ProtocolName::Tcp => Self::Tcp,
            ProtocolName::Udp => Self::Udp,
            ProtocolName::Sctp => Self::Sctp,
        }
    }
}

/// A kernel release by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel(pub(crate) Semantics);

impl FromStr for Kernel {
    type Err = &'static str;

    fn from_str(release: &str) -> Result<Self, Self::Err> {
        match release {
            "6.1" => Ok(Self(Semantics::LINUX_6_1)),
            "6.12" => Ok(Self(Semantics::LINUX_6_12)),
            "7.2" => Ok(Self(Semantics::LINUX_7_2)),
            _ => Err("expected 6.1, 6.12 or 7.2"),
        }
    }
}

impl Arguments {
    /// The scheduler to run where none are compared.
    pub(crate) fn choice(&self, base: &Scenario) -> Choice {
        let named = Choice::Kernel(base.algorithm());
        self.scheduler.unwrap_or(named)
    }
}

fn weight(text: &str) -> Result<u32, String> {
    let weight = text.parse().ok();
    weight
        .filter(|weight| *weight <= Destination::MAX_WEIGHT)
        .ok_or_else(|| format!("expected a weight from 0 to {}", Destination::MAX_WEIGHT))
}

/// A file to write; standard output has the picks.
fn file(text: &str) -> Result<PathBuf, String> {
    if text == "-" {
        return Err("a file is needed, standard output has the picks".to_owned());
    }
    Ok(PathBuf::from(text))
}

fn positive(text: &str) -> Result<f64, String> {
    within(text, |number| number > 0.0, "a number above 0")
}

fn above_one(text: &str) -> Result<f64, String> {
    within(text, |number| number > 1.0, "a number above 1")
}

fn not_negative(text: &str) -> Result<f64, String> {
    within(text, |number| number >= 0.0, "a number from 0 on")
}

fn within(text: &str, good: fn(f64) -> bool, expected: impl fmt::Display) -> Result<f64, String> {
    const LIMIT: f64 = 1e9;
    let number = text.parse().ok();
    number
        .filter(|number| good(*number) && *number <= LIMIT)
        .ok_or_else(|| format!("expected {expected}, at most {LIMIT}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
