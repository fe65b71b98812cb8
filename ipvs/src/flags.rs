//! Flags of virtual services and of tunnels.

bitflags::bitflags! {
    /// Flags of a virtual service (`IP_VS_SVC_F_*` of `linux/ip_vs.h`).
    ///
    /// Bits without a name are kept as they are: the kernel stores and echoes them.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
    pub struct ServiceFlags: u32 {
        /// Clients stick to a destination; set together with
        /// [`VirtualService::with_persistence`](crate::VirtualService::with_persistence).
        const PERSISTENT = 0x01;
        /// Kernel-internal, set in everything it reports; removed on reading and never sent.
        const HASHED = 0x02;
        /// Every datagram is scheduled on its own (UDP and firewall-mark services).
        const ONE_PACKET = 0x04;
        /// First scheduler flag; `sh` and `mh` read it as *fallback*.
        const SCHED_1 = 0x08;
        /// Second scheduler flag; `sh` and `mh` read it as *source port*.
        const SCHED_2 = 0x10;
        /// Third scheduler flag; no scheduler in the kernel tree reads it.
        const SCHED_3 = 0x20;
        /// `sh`: take another destination when the hashed one cannot be used.
        const SH_FALLBACK = 0x08;
        /// `sh`: mix the source port into the hash.
        const SH_PORT = 0x10;
        /// `mh`: take another destination when the hashed one cannot be used.
        const MH_FALLBACK = 0x08;
        /// `mh`: mix the source port into the hash.
        const MH_PORT = 0x10;

        // Unnamed bits are data, not errors.
        const _ = !0;
    }
}

bitflags::bitflags! {
    /// Checksum flags of GUE and GRE tunnels (`IP_VS_TUNNEL_ENCAP_FLAG_*`).
    ///
    /// Empty means no checksum. Bits without a name are kept as they are.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
    pub struct TunnelFlags: u16 {
        /// Checksum in the outer header.
        const CHECKSUM = 0x01;
        /// Remote checksum offload (GUE only).
        const REMOTE_CHECKSUM = 0x02;

        // Unnamed bits are data, not errors.
        const _ = !0;
    }
}

impl ServiceFlags {
    /// The three bits whose meaning the scheduler decides.
    pub const SCHEDULER: Self =
        Self::from_bits_retain(Self::SCHED_1.bits() | Self::SCHED_2.bits() | Self::SCHED_3.bits());
}
