//! From the VRRP parts of a keepalived.conf to the virtual routers of `lvs-vrrp`.
//!
//! ```text
//! keepalived::Config ─► Plan ─┬─► DriverConfig         virtual routers on Linux
//!                             ├─► NodeConfig           a node, whatever carries its packets
//!                             └─► scripts, files, processes to be watched, diagnostics
//! ```
//!
//! A [`Plan`] names interfaces, as the file does. Whatever the file asks for that is not run is among
//! its [`diagnostics`](Plan::diagnostics), with file and line.
//!
//! | keepalived | Here |
//! |---|---|
//! | defaults, `state` | profile Linux with keepalived's switches: answers losing advertisements in both versions, accepts packets to the addresses, no virtual MAC |
//! | `strict_mode` | the strict profile of the version: RFC 3768 or RFC 9568 |
//! | priority 255 | owner: active at once, whatever `state` says |
//! | an excluded address of two instances of a group | installed with the first; elsewhere the second instance is not run |
//! | `garp_group` | each interface is paced by itself, with its share |
//! | `garp_interval`, `gna_interval` | the longer of the two spaces all announcements; 0.2 ms if neither is set |
//! | `unicast_peer` without limits | packets with a time to live of 255 only; a note says so |
//! | `check_unicast_src`, `track_src_ip` | always so |
//! | `promote_secondaries` | always so while an address of it has a network |
//! | `bfd_instance`, routes, rules, static addresses | not run |
//!
//! # Examples
//!
//! ```
//! use director::keepalived::Config;
//! use director::vrrp::Plan;
//!
//! let config = Config::parse(
//!     "ha.conf",
//!     "vrrp_instance VI_1 {\n  interface eth0\n  virtual_router_id 51\n  priority 150\n\
//!        virtual_ipaddress { 192.0.2.1/24 }\n}\n",
//! );
//! let plan = Plan::new(&config);
//! assert!(plan.diagnostics().is_empty());
//! let [router] = plan.routers() else { panic!("one virtual router") };
//! assert_eq!((router.interface.as_str(), router.config.priority().get()), ("eth0", 150));
//! ```

mod announce;
pub mod choreography;
mod driver;
mod group;
mod names;
mod numbers;
mod other;
mod plan;
mod router;
pub mod run;
pub mod scripts;
mod sync;
pub mod take_over;
pub mod told;
mod tracker;

pub use group::PlannedGroup;
pub use names::{Name, Names};
pub use other::{is_about_routers, left_out};
pub use plan::{Plan, PlanError};
pub use router::{PlannedAddress, PlannedRouter, VirtualMacDevice};
pub use sync::SyncPlan;
pub use tracker::{PlannedTracker, TrackerSource, script_config};
