//! Runs a keepalived.conf: health checks in, IPVS table out.
//!
//! ```text
//! keepalived.conf ─► Config ─► Setup ─┬─► checks ─► Driver ──┐ what they say
//!                                     └─► pools ─► Director ◄┘
//!                                                     │ the table that should be
//!                              kernel ◄─► Client ◄─ Reconciler
//! ```
//!
//! | Module | Content |
//! |---|---|
//! | [`keepalived`] | reads a keepalived.conf into typed values, with diagnostics |
//! | [`vrrp`] | from its VRRP parts to the virtual routers of a node |
//! | [`setup`] | from a configuration to pools and checks; names what is not run yet |
//! | [`director`] | the core: what the checks say goes in, the desired table comes out; pure |
//! | [`notify`] | commands and pipes that are told of services and servers |
//! | [`run`] | the shell: one loop over checks, kernel and signals |
//! | [`review`] | what of a configuration will not work on this host, and what would help |
//! | [`signals`] | signals as something to be read |
//! | [`bell`] | says that a thread has ended |
//! | [`canvas`] | the screen of a terminal, painted again and again |
//! | [`log`] | what happened, on its way from many threads to the one that prints |
//! | [`time`] | times on command lines and in scripts |
//! | [`demonstration`] | all of that on loopback: web servers, a forwarder, two directors |
//!
//! | Feature | Default | What it adds | Pulls in |
//! |---|---|---|---|
//! | `demonstration` | yes | [`demonstration`], and the program without a file | axum, lvs-schedulers, rustix, socket2, tokio |
//! | `tokio` | no | [`vrrp::run::Loop::Tokio`]: virtual routers on tokio's loop | tokio |

pub mod bell;
pub mod canvas;
#[cfg(feature = "demonstration")]
pub mod demonstration;
pub mod director;
pub mod keepalived;
pub mod log;
pub mod notify;
pub mod review;
pub mod run;
pub mod setup;
pub mod signals;
pub mod time;
pub mod vrrp;

pub use director::Director;

/// The examples of the READMEs, so that they stay true.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
