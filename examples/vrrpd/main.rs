//! Runs virtual routers on Linux, from flags or from the VRRP parts of a keepalived.conf.
//!
//! Try, from the top of the repository:
//!
//! ```text
//! cargo run --example vrrpd -- --check --use-file /etc/keepalived/keepalived.conf
//! cargo build --example vrrpd
//! sudo target/debug/examples/vrrpd --interface eth0 --vrid 51 --address 192.0.2.1/24
//! cargo run --example vrrpd -- --help
//! ```
//!
//! On a terminal it shows the routers as they are, otherwise what happens, a JSON object a line.

mod arguments;
mod configuration;
mod failure;
mod flags;
mod hand_over;
mod happening;
mod output;
mod program;
mod view;

use std::process::ExitCode;

use clap::Parser;
use director::signals::Signals;

use arguments::Arguments;
use configuration::Configuration;
use failure::Failure;
use program::Program;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_silent() {
                eprintln!("vrrpd: {failure}");
            }
            failure.status().into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    // Before any thread, so that all of them leave the signals alone.
    let signals = Signals::block().map_err(Failure::system("block signals"))?;
    let configuration = Configuration::load(arguments, None)?;
    if arguments.check || !configuration.is_usable(arguments.strict) {
        for diagnostic in configuration.diagnostics() {
            eprintln!("{diagnostic}");
        }
    }
    if !configuration.is_usable(arguments.strict) {
        return Err(configuration.refused(arguments.strict));
    }
    if arguments.check {
        let found = check_host(&configuration);
        return output::print(&configuration.summary(found));
    }
    Program::start(arguments, configuration, signals)?.run()
}

/// Says what of this host is in the way, and how many of that there is. Where the file is for another
/// host, its network namespace and interfaces are not here, and nothing is.
fn check_host(configuration: &Configuration) -> usize {
    let entered = configuration.namespace().map(director::vrrp::run::enter);
    if let Some(Err(_)) = entered {
        return 0;
    }
    let found = configuration.review();
    for message in &found {
        eprintln!("this host: warning: {message}");
    }
    found.len()
}
