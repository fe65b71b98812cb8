//! What differs between kernels, one switch each.

/// The behaviour of a kernel generation, as single switches.
///
/// Stable updates carry some changes back to older series and configurations differ, so a
/// version number would not be enough. Start from a preset and change what matters.
///
/// ```
/// use lvs_ipvs::{Generation, MemoryKernel};
/// let mut generation = Generation::LINUX_6_1;
/// generation.hz = 1000;
/// generation.schedulers = &["rr", "wrr"];
/// let kernel = MemoryKernel::new(generation);
/// # let _ = kernel;
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Generation {
    /// Ticks per second (`CONFIG_HZ`), 1 or more. Persistence timeouts are kept in 32 bits of
    /// ticks, and the timeouts of `SET_CONFIG` end at 2³¹-1 ticks (`ip_vs_ctl.c`).
    pub hz: u32,
    /// IPv6 is compiled in and its module enabled; without it, `EAFNOSUPPORT` (`ip_vs_ctl.c`).
    pub ipv6: bool,
    /// Schedulers that are loaded or can be; `none` always works. Others are `ENOENT`.
    pub schedulers: &'static [&'static str],
    /// Persistence engines that are loaded or can be. Others are `ENOENT`.
    pub engines: &'static [&'static str],
    /// The service attribute `PE_NAME` exists (2.6.37, approximately).
    pub engine_names: bool,
    /// The destination attribute `ADDR_FAMILY` exists (3.18, approximately).
    pub destination_families: bool,
    /// The nests `STATS64` exist (4.1, approximately).
    pub stats64: bool,
    /// 64-bit attributes are aligned by empty ones (`IPVS_STATS_ATTR_PAD`): an architecture, or
    /// a configuration, without cheap unaligned access (`ip_vs_ctl.c`).
    pub padding: bool,
    /// The destination attributes `TUN_TYPE` and `TUN_PORT` exist (5.2).
    pub tunnel_types: bool,
    /// The destination attribute `TUN_FLAGS` exists (5.3).
    pub tunnel_flags: bool,
    /// The daemon attributes `SYNC_MAXLEN`, `MCAST_GROUP`, `MCAST_GROUP6`, `MCAST_PORT` and
    /// `MCAST_TTL` exist (4.3, approximately).
    pub daemon_extensions: bool,
    /// Upper thresholds above 2³¹-1 are `EINVAL` (7.2, and recent stable updates of older
    /// series such as 6.1.192; not 6.1.176 and 6.12.95).
    pub threshold_limit: bool,
    /// `CONN_TAB_SIZE` as long as no service and no backup daemon was ever there: 0 where the
    /// table is made on demand (7.1, approximately), else the constant (`ip_vs_ctl.c`).
    pub idle_table_size: u32,
    /// `CONN_TAB_SIZE` afterwards. It does not shrink again (seen on 7.2.7).
    pub table_size: u32,
    /// Dumps list services with an address before firewall marks; else both are mixed (7.1,
    /// approximately).
    pub marks_last: bool,
    /// A dump request for a command that has no dump, or the reverse, is `EOPNOTSUPP` before the
    /// permission is looked at (6.12.101 and 7.2.7; on 6.1.176 it is `EPERM`).
    pub form_before_permission: bool,
    /// Commands the family does not have are `EINVAL` when the reserved header field or unusual
    /// flags are set (seen on 6.1.176 and later).
    pub checks_reserved: bool,
    /// A dump of all families refuses malformed attributes (6.12.101 and 7.2.7, not 6.1.176).
    pub checks_family_dump: bool,
    /// Extended acknowledgements describe what would have been allowed (`NLMSGERR_ATTR_POLICY`,
    /// seen on 6.1.176 and later).
    pub describes_policies: bool,
    /// Least memory a queued datagram is charged with, in bytes. The default receive buffer of
    /// 212992 bytes holds 277 acknowledgements of 768 (seen on 6.1.176), 237 of 896 (6.12.101
    /// and 7.2.7).
    pub datagram_charge: usize,
}

const SCHEDULERS: &[&str] = &[
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos",
];

impl Generation {
    /// Linux 6.1, as seen on 6.1.176 with HZ=100, with every scheduler the release has.
    pub const LINUX_6_1: Self = Self {
        hz: 100,
        ipv6: true,
        schedulers: SCHEDULERS,
        engines: &["sip"],
        engine_names: true,
        destination_families: true,
        stats64: true,
        padding: true,
        tunnel_types: true,
        tunnel_flags: true,
        daemon_extensions: true,
        threshold_limit: false,
        idle_table_size: 4096,
        table_size: 4096,
        marks_last: true,
        form_before_permission: false,
        checks_reserved: true,
        checks_family_dump: false,
        describes_policies: true,
        datagram_charge: 768,
    };

    /// Linux 6.12, as seen on 6.12.101 with HZ=100, with every scheduler the release has.
    pub const LINUX_6_12: Self = Self {
        form_before_permission: true,
        checks_family_dump: true,
        datagram_charge: 896,
        ..Self::LINUX_6_1
    };

    /// Linux 7.2, as seen on 7.2.7 with HZ=100, with every scheduler the release has.
    pub const LINUX_7_2: Self = Self {
        padding: false,
        threshold_limit: true,
        idle_table_size: 0,
        table_size: 256,
        marks_last: false,
        ..Self::LINUX_6_12
    };

    /// The scheduler of that name as the kernel would find it.
    pub(super) fn scheduler(&self, name: &[u8]) -> Option<&'static str> {
        if name == b"none" {
            return Some("none");
        }
        find(self.schedulers, name)
    }

    /// The persistence engine of that name as the kernel would find it.
    pub(super) fn engine(&self, name: &[u8]) -> Option<&'static str> {
        find(self.engines, name)
    }

    /// The largest timeout `SET_CONFIG` takes, in seconds.
    pub(super) const fn max_timeout(&self) -> u32 {
        i32::MAX.unsigned_abs() / self.ticks()
    }

    /// Ticks per second, never 0.
    pub(super) const fn ticks(&self) -> u32 {
        if self.hz == 0 { 1 } else { self.hz }
    }
}

impl Default for Generation {
    /// [`LINUX_6_1`](Self::LINUX_6_1): the kernel the tests of this crate require.
    fn default() -> Self {
        Self::LINUX_6_1
    }
}

fn find(names: &'static [&'static str], name: &[u8]) -> Option<&'static str> {
    names
        .iter()
        .copied()
        .find(|known| known.as_bytes() == name && !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_always_a_scheduler_and_the_empty_name_never() {
        let mut generation = Generation::LINUX_6_1;
        generation.schedulers = &["", "rr"];
        assert_eq!(generation.scheduler(b"none"), Some("none"));
        assert_eq!(generation.scheduler(b""), None);
        assert_eq!(generation.scheduler(b"rr"), Some("rr"));
        assert_eq!(generation.scheduler(b"wlc"), None);
    }

    #[test]
    fn the_timeout_limit_follows_hz() {
        let mut generation = Generation::LINUX_6_1;
        assert_eq!(generation.max_timeout(), 21_474_836);
        generation.hz = 1000;
        assert_eq!(generation.max_timeout(), 2_147_483);
        generation.hz = 0;
        assert_eq!(generation.max_timeout(), 2_147_483_647);
    }
}
