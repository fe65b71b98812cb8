//! The three protocol timeouts that can be set.

/// Timeouts of a network namespace, in seconds.
///
/// Reading: `None` when the kernel lacks the protocol. Setting: `None` leaves a value as it is,
/// and so does 0. Range 0 to `(2³¹-1)/HZ`: 21474836 at `HZ=100`, 2147483 at `HZ=1000`.
#[expect(
    clippy::exhaustive_structs,
    reason = "the kernel's SET_CONFIG attributes"
)]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Timeouts {
    /// Established TCP connections. Kernel default 900.
    pub tcp_secs: Option<u32>,
    /// TCP connections after a FIN. Kernel default 120.
    pub tcp_fin_secs: Option<u32>,
    /// UDP. Kernel default 300.
    pub udp_secs: Option<u32>,
}
