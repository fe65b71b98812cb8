//! The start-up review: what of a configuration will not work on this host, before it runs, each
//! with its cause and a fix that can be pasted.
//!
//! ```text
//! Config, Plan ──► Subject ─┐
//!                           ├─► review ─► findings: place, what, why, fixes     (pure)
//! Host::look()  ──► Host ───┘
//! ```
//!
//! [`review()`] is a pure function: equal inputs give equal findings in the same order. What is not
//! known of the host ([`Host::default`] knows nothing) gives no findings.
//!
//! | Findings about | Codes |
//! |---|---|
//! | what has to be there | `no-ipvs`, `no-privilege`, `no-interface`, `link-down`, `device-down` |
//! | addresses | `no-address`, `lo-prefix`, `ipv6-off-link`, `arp-ignored`, `proxy-arp`, `rp-filter` |
//! | forwarding | `port-differs`, `not-on-link`, `mark-unset`, `mark-partly`, `nat-gateway`, `nat-groups`, `nat-one-network`, `tunnel-rp-filter`, `tunnel-lro`, `tunnel-servers`, `sysctl`, `no-answer` |
//! | checks | `self-check`, `short-timeout` |
//! | weight 0 | `udp-weight-0`, `hash-order` |
//! | several directors | `no-arbitration`, `local-loop`, `sync-both-roles`, `sync-id`, `sync-clash`, `sync-mixed-family`, `sync-idle`, `sync-preempt`, `sync-empty-standby` |
//!
//! # Examples
//!
//! ```
//! use director::keepalived::Config;
//! use director::review::{Host, Severity, Subject, review};
//! use director::vrrp::Plan;
//!
//! let config = Config::parse(
//!     "lb.conf",
//!     "virtual_server 192.0.2.1 80 {\n  lb_algo rr\n  lb_kind DR\n  protocol TCP\n  \
//!        real_server 10.0.0.2 8080 {\n  }\n}\n",
//! );
//! let findings = review(&Subject::new(&config, &Plan::new(&config)), &Host::default());
//! let [found] = findings.as_slice() else { panic!("one finding") };
//! assert_eq!((found.severity, found.code), (Severity::Fails, "port-differs"));
//! assert_eq!(
//!     found.fixes[0].to_string(),
//!     "lb.conf:5: real_server 10.0.0.2 80    (in place of: real_server 10.0.0.2 8080)"
//! );
//! ```

mod addresses;
mod checks;
mod finding;
mod host;
mod links;
mod local;
mod look;
mod marks;
mod masquerade;
mod needs;
mod ports;
mod routers;
mod source;
mod subject;
mod sync;
mod sysctls;
mod tunnels;
mod unanswered;
mod weights;

pub use finding::{Finding, Fix, Severity};
pub use host::{Capabilities, Host, Interface, InterfaceAddress, Ipvs, Marks, Route};
pub use subject::Subject;

use finding::Findings;
use source::Source;

/// What will not work, or not well, and what would help: the worst first, and then in the order of
/// the file.
#[must_use]
pub fn review(subject: &Subject<'_>, host: &Host) -> Vec<Finding> {
    let source = Source::new(subject.config());
    let mut findings = Findings::default();
    needs::review(subject, &source, host, &mut findings);
    addresses::review(subject, &source, host, &mut findings);
    if subject.is_with_checkers() {
        ports::review(subject, &source, &mut findings);
        links::review(subject, &source, host, &mut findings);
        checks::review(subject, &source, host, &mut findings);
        marks::review(subject, host, &mut findings);
        masquerade::review(subject, &source, host, &mut findings);
        tunnels::review(subject, host, &mut findings);
        unanswered::review(subject, host, &mut findings);
        sysctls::review(subject, host, &mut findings);
        weights::review(subject, &source, &mut findings);
        local::review(subject, &source, host, &mut findings);
        sync::review(subject, &source, host, &mut findings);
    }
    if subject.is_with_vrrp() {
        routers::review(subject, &source, host, &mut findings);
    }
    findings.finish()
}

#[cfg(test)]
mod tests;
