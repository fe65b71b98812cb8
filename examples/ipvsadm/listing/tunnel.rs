//! How a destination is tunnelled, in one column.

use lvs_ipvs::{Destination, Forwarding, TunnelFlags, TunnelType};

/// `n/a`, `ipip`, `gue:PORT:FLAGS`, `gre:FLAGS`.
pub(super) fn tunnel_info(destination: &Destination) -> String {
    if destination.forwarding() != Forwarding::Tunnel {
        return "n/a".to_owned();
    }
    let tunnel = destination.encapsulation();
    let checksum = match tunnel.flags {
        flags if flags.is_empty() => "-c",
        TunnelFlags::CHECKSUM => "+c",
        TunnelFlags::REMOTE_CHECKSUM => "r+c",
        // Set over netlink only; as printf(3) writes what ipvsadm has no word for.
        _ => "(null)",
    };
    match tunnel.tunnel_type {
        TunnelType::IPIP => "ipip".to_owned(),
        TunnelType::GUE => format!("gue:{}:{checksum}", tunnel.port),
        TunnelType::GRE => format!("gre:{checksum}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lvs_ipvs::Encapsulation;

    /// Printed by `ipvsadm -L -n --tun-info` (1.31).
    #[test]
    fn tunnels_are_told_as_ipvsadm_tells_them() {
        let address = "10.0.0.1:80".parse().unwrap();
        let tunnel = |encapsulation| {
            tunnel_info(&Destination::tunnel(address).with_encapsulation(encapsulation))
        };
        let both = TunnelFlags::CHECKSUM | TunnelFlags::REMOTE_CHECKSUM;
        assert_eq!(tunnel(Encapsulation::ipip()), "ipip");
        assert_eq!(tunnel(Encapsulation::gue(6080)), "gue:6080:-c");
        let gue = Encapsulation::gue(65535);
        assert_eq!(
            tunnel(gue.with_flags(TunnelFlags::CHECKSUM)),
            "gue:65535:+c"
        );
        let remote = gue.with_flags(TunnelFlags::REMOTE_CHECKSUM);
        assert_eq!(tunnel(remote), "gue:65535:r+c");
        assert_eq!(
            tunnel(Encapsulation::gue(77).with_flags(both)),
            "gue:77:(null)"
        );
        assert_eq!(tunnel(Encapsulation::gre()), "gre:-c");
        let gre = Encapsulation::gre();
        assert_eq!(tunnel(gre.with_flags(TunnelFlags::CHECKSUM)), "gre:+c");
        assert_eq!(
            tunnel(gre.with_flags(TunnelFlags::REMOTE_CHECKSUM)),
            "gre:r+c"
        );
        let gue = Destination::masquerade(address).with_encapsulation(gue);
        assert_eq!(tunnel_info(&gue), "n/a");
    }
}
