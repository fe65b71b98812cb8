//! Health checks for load balancers: pluggable probes, rise and fall, one event loop.
//!
//! A [`Driver`] runs any number of [`Check`]s on the thread that polls it. A check is a [`Probe`]
//! (what is tried: a TCP connection, an external command, your own) and a [`Policy`] (how often,
//! how long, how many failures take it down). Every attempt gives a [`Report`]; what the reports of
//! one destination mean for its entry in the kernel's table is decided by an
//! [`Aggregate`](aggregate::Aggregate), and about a whole virtual service decides a [`Pool`](pool::Pool).
//!
//! Works without privileges:
//!
//! ```
//! use std::net::TcpListener;
//! use std::time::Duration;
//! use lvs_healthcheck::policy::{Policy, Spread};
//! use lvs_healthcheck::{Check, CheckEvent, Config, Driver, Health, Target, TcpProbe};
//!
//! let server = TcpListener::bind("127.0.0.1:0")?;
//! let probe = TcpProbe::new(Target::new(server.local_addr()?));
//! let policy = Policy::default().with_interval(Duration::from_secs(1)).with_spread(Spread::None);
//!
//! let mut driver = Driver::new(Config::default())?;
//! driver.add(Check::new(probe, policy))?;
//!
//! let mut events = Vec::new();
//! driver.poll(Some(Duration::from_secs(5)), &mut events)?;
//! for event in &events {
//!     let CheckEvent::Completed(report) = event else { continue };
//!     println!("{} {}: {}", report.check, report.health, report.outcome);
//!     assert_eq!(report.health, Health::Up);
//! }
//! assert_eq!(events.len(), 1);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Should you use it?
//!
//! Yes, if your program decides which servers get traffic (a load balancer, a DNS server, a VRRP
//! node) and wants checks that behave like those of keepalived or HAProxy, on its own thread and in
//! its own event loop.
//!
//! No, if you want a finished daemon (use keepalived), or only to wait once until a port opens
//! (`TcpStream::connect_timeout` of std will do).
//!
//! # What is where
//!
//! | Module | Does | I/O |
//! |---|---|---|
//! | [`probe`] | what is tried: [`TcpProbe`], [`HttpProbe`], [`CommandProbe`], or [your own](Probe); engines that say what to do next | none |
//! | [`outcome`] | what one attempt found out: [`Verdict`], [`Code`], timing, weight hint | none |
//! | [`policy`] | rise and fall, delays, jitter, real traffic; presets for keepalived, HAProxy, Envoy | none |
//! | [`timetable`] | due times and limits of very many checks | none |
//! | [`aggregate`] | health and weight of a destination from checks and votes; slow start, damping | none |
//! | [`pool`] | the destinations of a virtual service: quorum, sorry server, drains, guards, and why | none |
//! | [`Driver`] | runs it all on epoll and one timer | sockets, processes |
//!
//! Everything but the driver is pure: time and random numbers are passed in, so a history can be
//! replayed. All times are [`Timestamp`]s.
//!
//! # Guarantees
//!
//! - An attempt has exactly one outcome, at its deadline at the latest (timers fire up to 10 ms
//!   late, never early); a check never has two attempts running.
//! - No threads but for functions that may block and to enter other network namespaces, no global
//!   state, no waiting for any child but its own; a removed check or a dropped driver gives back
//!   every socket, timer and process.
//! - What is wrong on this host (no descriptors, no source address, local packet filter) says
//!   nothing about the destination, unless [the policy](policy::OnLocalError) says so. Nor does a
//!   probe that panics, or an answer this host looked at only after the deadline.
//!
//! # Features
//!
//! | Name | Default | Adds | Pulls in |
//! |---|---|---|---|
//! | `dns` | yes | [`probe::dns`] | simple-dns |
//! | `http` | yes | [`probe::http`] | httparse, md-5, sha2 |
//! | `radius` | yes | [`probe::preset::Radius`] | md-5 |
//! | `regex` | yes | patterns for what a server says | regex |
//! | `tls` | yes | [TLS](probe::tls) under any protocol | rustls with ring, rustls-native-certs, x509-cert, sha2, base64ct |
//! | `tokio` | no | `AsyncDriver`, the driver on a runtime; `probe::AsyncProbe`, probes that are async functions | tokio |
//!
//! The driver and the probes that need no further package are always there.
//!
//! # Your own probe in 15 lines
//!
//! A function that may block, called on one of a few threads:
//!
//! ```
//! use lvs_healthcheck::policy::{Policy, Spread};
//! use lvs_healthcheck::probe::FnProbe;
//! use lvs_healthcheck::{Check, Code, Config, Driver, Outcome, Phase};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let probe = FnProbe::new(|_attempt| match std::fs::metadata("/run/maintenance") {
//!     Ok(_) => Outcome::new(Code::Status, Phase::Match).with_detail("in maintenance"),
//!     Err(_) => Outcome::new(Code::Ok, Phase::Match),
//! });
//! let mut driver = Driver::new(Config::default())?;
//! driver.add(Check::new(probe, Policy::default().with_spread(Spread::None)))?;
//!
//! let mut events = Vec::new();
//! driver.poll(None, &mut events)?;
//! println!("{events:?}");
//! # Ok(())
//! # }
//! ```
//!
//! An async function, run as a task and aborted at its deadline (feature `tokio`):
//!
#![cfg_attr(feature = "tokio", doc = "```")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use lvs_healthcheck::policy::{Policy, Spread};
//! use lvs_healthcheck::probe::AsyncProbe;
//! use lvs_healthcheck::{AsyncDriver, Check, Code, Config, Driver, Outcome, Phase};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let probe = AsyncProbe::new(|_attempt| async {
//!     match tokio::net::UnixStream::connect("/run/app.sock").await {
//!         Ok(_) => Outcome::new(Code::Ok, Phase::Connect),
//!         Err(error) => Outcome::new(Code::Refused, Phase::Connect).with_detail(&error.to_string()),
//!     }
//! });
//! let mut driver = AsyncDriver::new(Driver::new(Config::default())?)?;
//! driver.add(Check::new(probe, Policy::default().with_spread(Spread::None)))?;
//! println!("{:?}", driver.next().await?);
//! # Ok(())
//! # }
//! ```
//!
//! What speaks over a socket need not block anybody: see [`probe::Dialogue`] for TCP and [`Probe`]
//! for the rest.
//!
//! # The API on one screen
//!
//! ```
//! use std::time::Duration;
//! use lvs_healthcheck::aggregate::{Aggregate, Combine, Desired, Member, Removal, UnknownAs};
//! use lvs_healthcheck::policy::{Keepalived, KeepalivedChecker, Policy};
//! use lvs_healthcheck::probe::CloseMode;
//! use lvs_healthcheck::{
//!     Check, CheckEvent, CheckId, Command, CommandProbe, Config, Driver, Report, Target, TcpProbe,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // What to try.
//! let tcp = TcpProbe::new(Target::new("192.0.2.7:80".parse()?).with_mark(7))
//!     .with_close(CloseMode::Fin);
//! let command: Command = "/data/es_check.sh 192.0.2.7 9200".parse()?;
//! let load = CommandProbe::new(command).with_dynamic(CommandProbe::DYNAMIC_MAX_KEEPALIVED);
//!
//! // How to judge it: from the words of a keepalived.conf, or word by word.
//! let mut knobs = Keepalived::new();
//! knobs.delay_loop = Some(Duration::from_secs(3));
//! let policy = Policy::keepalived(KeepalivedChecker::Misc, &knobs);
//! let native = Policy::default().with_rise(2).with_fall(3).with_timeout(Duration::from_secs(1));
//!
//! // Run it. `Driver` is `AsFd`: readable when `poll` has something to do.
//! let mut driver = Driver::new(Config::default())?;
//! let tcp: CheckId = driver.add(Check::new(tcp, native))?;
//! let load: CheckId = driver.add(Check::new(load, policy).with_key("web/192.0.2.7"))?;
//!
//! // What it means for one destination.
//! let mut server: Aggregate<CheckId> =
//!     Aggregate::new(10).with_combine(Combine::Additive).with_removal(Removal::Inhibit);
//! server.insert(tcp, Member::required(UnknownAs::Up));
//! server.insert(load, Member::required(UnknownAs::Up));
//!
//! let mut events: Vec<CheckEvent> = Vec::new();
//! # for _ in 0..1 {
//! driver.poll(Some(Duration::ZERO), &mut events)?;
//! for event in events.drain(..) {
//!     let CheckEvent::Completed(report) = event else { continue };
//!     let Report { check, at, change, log, .. } = &report;
//!     if server.apply(*at, check, &report) {
//!         match server.desired() {
//!             Desired::Present { weight } => println!("{at:?}: weight {weight}"),
//!             Desired::Absent => println!("{at:?}: out of the table"),
//!             _ => {}
//!         }
//!     }
//!     if let Some(change) = change {
//!         println!("{check}: {} to {}: {}", change.from, change.to, report.outcome);
//!     }
//! }
//! # }
//! driver.set_policy(tcp, Policy::default())?;
//! driver.remove(load)?;
//! # Ok(())
//! # }
//! ```

extern crate alloc;

pub mod aggregate;
mod attempt;
mod check;
mod driver;
mod error;
pub mod outcome;
pub mod policy;
pub mod pool;
pub mod probe;
mod target;
pub mod timetable;
#[cfg(feature = "tokio")]
mod tokio;

/// Time since boot on a clock that goes on while the machine is suspended (`CLOCK_BOOTTIME`).
pub type Timestamp = core::time::Duration;

pub use self::attempt::Attempt;
pub use self::check::{Check, CheckEvent, CheckId, Report, Source};
pub use self::driver::{
    Child, Config, Driver, Overload, check_script_security, local_addresses, lookup_user,
};
pub use self::error::{Error, Invalid};
pub use self::outcome::{AdminHint, Code, Outcome, Phase, Verdict, WeightHint};
pub use self::policy::{Health, Policy};
pub use self::probe::Probe;
pub use self::probe::command::{Command, CommandProbe};
#[cfg(feature = "http")]
pub use self::probe::http::{Http, HttpProbe};
pub use self::probe::tcp::TcpProbe;
pub use self::target::{ProxyHeader, Target};
#[cfg(feature = "tokio")]
pub use self::tokio::AsyncDriver;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
