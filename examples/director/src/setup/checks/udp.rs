//! `UDP_CHECK`: no error comes back, or a reply does.

use lvs_healthcheck::policy::{KeepalivedChecker, Policy};
use lvs_healthcheck::probe::MaskedBytes;
use lvs_healthcheck::probe::udp::{Reply, UdpProbe};

use super::{CheckError, Planned, knobs, plan, target};
use crate::keepalived::{self, UdpCheck};

pub(super) fn planned(check: &keepalived::Check, udp: &UdpCheck) -> Result<Planned, CheckError> {
    let target = target(&udp.connection);
    let name = format!("UDP_CHECK {}", target.address());
    let mut probe = UdpProbe::new(target);
    if let Some(payload) = &udp.payload {
        probe = probe.with_payload(payload.as_slice());
    }
    if let Some(wanted) = &udp.require_reply {
        let mut reply = Reply::any();
        // keepalived 2.2.7 looks at the length only of what it compares with something.
        if !wanted.bytes.is_empty() {
            let (least, most) = (udp.min_reply_length, udp.max_reply_length);
            let pattern = MaskedBytes::new(&wanted.bytes, &wanted.mask);
            reply = reply
                .with_length(least.into(), most.into())
                .with_agreement(pattern);
        }
        probe = probe.with_reply(reply);
    }
    let policy = Policy::keepalived(KeepalivedChecker::Udp, &knobs(check, None));
    Ok((plan(probe, policy)?, name))
}
