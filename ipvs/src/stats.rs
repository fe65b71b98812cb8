//! Counters and rates of services and destinations.

/// Statistics of a virtual service or a destination.
///
/// The kernel reports a copy that its estimator renews every 2 s, so values read right after
/// traffic may be old; with the sysctl `run_estimation` off they stand still.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Stats {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets from servers; seen only with masquerading.
    pub packets_out: u64,
    /// Bytes from clients, IP headers included.
    pub bytes_in: u64,
    /// Bytes from servers; seen only with masquerading.
    pub bytes_out: u64,
    /// Moving averages.
    pub rates: Rates,
    /// Width of the counters the kernel sent.
    pub width: CounterWidth,
}

/// Moving averages per second, over some tens of seconds; low rates round to 0.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Rates {
    /// Connections per second.
    pub connections: u64,
    /// Packets from clients per second.
    pub packets_in: u64,
    /// Packets from servers per second.
    pub packets_out: u64,
    /// Bytes (not bits) from clients per second.
    pub bytes_in: u64,
    /// Bytes (not bits) from servers per second.
    pub bytes_out: u64,
}

/// Width of the counters behind a [`Stats`].
#[expect(clippy::exhaustive_enums, reason = "the kernel has these two nests")]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum CounterWidth {
    /// No statistics in the message.
    #[default]
    Absent,
    /// `STATS`: connection and packet counters wrap at 2³² (kernels before 4.1).
    Bits32,
    /// `STATS64`.
    Bits64,
}
