//! The Linux kernel's IPVS schedulers, pick for pick.
//!
//! A [`VirtualService`] holds destinations, counts their connections and asks a [`Scheduler`] where
//! the next connection goes. The picks are the kernel's: same list order, same state, same reaction
//! to an edit in mid-run. Nothing here reads a clock, opens anything or draws random numbers by
//! itself, so the same calls give the same picks, always.
//!
//! # Should you use it?
//!
//! Yes, to answer "which server will the kernel pick?" without a kernel: capacity planning,
//! simulation, tests of a configuration, or a forwarder in user space that must agree with IPVS.
//!
//! No, if you want to *program* IPVS: that is the `lvs-ipvs` crate, and then the kernel schedules.
//! No, if any fair rotation will do: `iter().cycle()` is simpler than reproducing a kernel's state.
//!
//! # First minute
//!
//! ```
//! use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
//! use std::time::Duration;
//!
//! let mut service = VirtualService::new(Algorithm::Wrr, Semantics::LINUX_6_1);
//! let a = service.add(Destination::new("10.2.1.1:80".parse()?).with_weight(4))?;
//! let b = service.add(Destination::new("10.2.1.2:80".parse()?).with_weight(3))?;
//! let c = service.add(Destination::new("10.2.1.3:80".parse()?).with_weight(2))?;
//!
//! let flow = Flow::tcp("192.0.2.7:40000".parse()?, "192.0.2.1:80".parse()?);
//! let mut context = Context::new(Duration::ZERO);
//! let picks: Vec<_> = (0..9).map(|_| service.schedule(&flow, &mut context)).collect();
//! assert_eq!(picks, [c, b, a, a, b, a, c, b, a].map(Some));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`schedule`](VirtualService::schedule) only picks. [`connect`](VirtualService::connect) also
//! counts the connection until it [expires](VirtualService::expire), which thresholds and the
//! algorithms that look at connections need; [`packet`](VirtualService::packet) follows it through its
//! states, which decide whether it counts as active, and its timeout.
//!
//! # Why that one?
//!
//! Any pick explains itself, if asked, by the very code that picks:
//!
//! ```
//! # use lvs_schedulers::{Algorithm, Context, Destination, Explanation, Flow, Semantics, VirtualService};
//! # let mut service = VirtualService::new(Algorithm::Sed, Semantics::LINUX_6_1);
//! # service.add(Destination::new("10.2.1.1:80".parse()?).with_weight(4))?;
//! # service.add(Destination::new("10.2.1.2:80".parse()?).with_weight(3))?;
//! # let flow = Flow::tcp("192.0.2.7:40000".parse()?, "192.0.2.1:80".parse()?);
//! let mut why = Explanation::new();
//! service.schedule(&flow, &mut Context::new(Default::default()).with_trace(&mut why));
//! assert_eq!(why.to_string(), "\
//! sed picks 10.2.1.1:80
//!   10.2.1.2:80: weight 3, 0 active, 0 inactive, cost 1, best so far
//!   10.2.1.1:80: weight 4, 0 active, 0 inactive, cost 1, best so far
//! ");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to look
//!
//! | For | Look at |
//! |---|---|
//! | connections that open, close and expire | [`connect`](VirtualService::connect), [`packet`](VirtualService::packet), [`establish`](VirtualService::establish), [`expire_due`](VirtualService::expire_due) |
//! | clients that come back to their server | [`with_persistence`](VirtualService::with_persistence) |
//! | `sh-port`, `mh-fallback` and the like | [`SchedulerFlags`] |
//! | another kernel than 6.1 | [`Semantics`] |
//! | thousands of destinations at once | [`add_all`](VirtualService::add_all) |
//! | traffic from a file, or a scheduler of your own in it | the module `scenario` |
//!
//! Names such as `VirtualService` and `Destination` are the field's, and `lvs-ipvs` uses them for what
//! it writes into the kernel; with both crates, import one of them as a module:
//! `use lvs_schedulers as model;`.
//!
//! # One algorithm on your own servers
//!
//! Every algorithm also works alone, on a slice of any type that is a [`Candidate`]:
//!
//! ```
//! use lvs_schedulers::{Candidate, Context, Flow, Scheduler, Wrr};
//!
//! struct Mirror { url: &'static str, weight: u32 }
//! impl Candidate for Mirror {
//!     fn weight(&self) -> u32 { self.weight }
//! }
//!
//! let mirrors = [Mirror { url: "a", weight: 2 }, Mirror { url: "b", weight: 1 }];
//! let mut wrr = Wrr::new();
//! wrr.bind(&mirrors, Default::default());
//! let flow = Flow::tcp(([192, 0, 2, 7], 40000).into(), ([192, 0, 2, 1], 80).into());
//! let mut context = Context::new(Default::default());
//! let urls: String = (0..6)
//!     .filter_map(|_| wrr.pick(&mirrors, &flow, &mut context))
//!     .map(|index| mirrors[index].url)
//!     .collect();
//! assert_eq!(urls, "abaaba");
//! ```
//!
//! A scheduler of your own implements [`Scheduler`] and plugs into [`VirtualService::with_scheduler`].
//!
//! # Modules
//!
//! | Module | Content |
//! |---|---|
//! | [`virtual_service`] | destinations in the kernel's order, hooks, thresholds, connection accounting |
//! | [`destination`] | settings of a destination, and what is read back: counts, overloaded, available |
//! | [`connection`], [`tcp_states`], [`sctp_states`] | what each packet does to the state of its connection |
//! | [`persistence`] | templates: what a service remembers of its clients |
//! | [`settings`] | what an administrator sets for all connections: timeouts, `secure_tcp` |
//! | [`scheduler`] | the open trait, what a scheduler sees of a destination, lookup by kernel name |
//! | [`rr`], [`wrr`], [`lc`], [`wlc`], [`fo`], [`ovf`], [`lblc`], [`lblcr`], [`dh`], [`sh`], [`sed`], [`nq`], [`mh`], [`twos`] | the algorithms |
//! | [`hash`] | what `dh`, `sh`, `lblc`, `lblcr` and `mh` make of an address |
//! | [`flow`] | the packet that asks for a destination |
//! | [`flags`] | what a service wants of `sh` and `mh` |
//! | [`context`] | what is passed in: time, random numbers, the wish for an explanation |
//! | [`explanation`] | why a pick was made |
//! | [`semantics`] | where kernel generations differ, as single switches with presets |
//! | [`error`] | what can be wrong with a call |
//! | `scenario` (feature) | a service and what happens to it, as a value, as JSON, played back |
//!
//! # Features and `no_std`
//!
//! | Feature | Default | Adds |
//! |---|---|---|
//! | `std` | yes | nothing but `std` in the dependencies' error types |
//! | `scenario` | no | the `scenario` module; pulls in `std`, serde, serde_json and serde_path_to_error |
//!
//! The crate is `no_std` and needs `alloc`. It forbids unsafe code. No input panics.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod arena;
pub mod connection;
pub mod context;
pub mod destination;
pub mod dh;
pub mod error;
pub mod explanation;
pub mod flags;
pub mod flow;
pub mod fo;
mod gcd;
mod generator;
pub mod hash;
pub mod lblc;
pub mod lblcr;
pub mod lc;
mod locality;
pub mod mh;
pub mod nq;
pub mod ovf;
pub mod persistence;
pub mod rr;
#[cfg(feature = "scenario")]
pub mod scenario;
pub mod scheduler;
pub mod sctp_states;
pub mod sed;
pub mod semantics;
pub mod settings;
pub mod sh;
pub mod tcp_states;
pub mod twos;
pub mod virtual_service;
mod walk;
pub mod wlc;
pub mod wrr;

pub use connection::{Column, ConnectionState, Direction, Packet, Synced};
pub use context::{Context, Removed, Timestamp};
pub use destination::{Destination, DestinationEntry, Forwarding};
pub use dh::Dh;
pub use error::{Error, UnknownScheduler};
pub use explanation::Explanation;
pub use flags::SchedulerFlags;
pub use flow::{Flow, Protocol};
pub use fo::Fo;
pub use lblc::Lblc;
pub use lblcr::Lblcr;
pub use lc::Lc;
pub use mh::Mh;
pub use nq::Nq;
pub use ovf::Ovf;
pub use persistence::{Persistence, PersistenceMask, Template};
pub use rr::Rr;
pub use scheduler::{Addressed, Algorithm, Candidate, Scheduler};
pub use sctp_states::{SctpChunk, SctpState};
pub use sed::Sed;
pub use semantics::{
    AddressHash, CacheLimit, MhWord, Overhead, Semantics, TcpActive, TemplateThresholds,
    ThresholdEdits,
};
pub use settings::Settings;
pub use sh::Sh;
pub use tcp_states::{TcpFlags, TcpState};
pub use twos::Twos;
pub use virtual_service::{ConnectionId, DestinationId, VirtualService};
pub use wlc::Wlc;
pub use wrr::Wrr;

/// Runs the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
