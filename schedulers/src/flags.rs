//! The flags that an administrator gives a service for its scheduler.

/// The scheduler flags of a service: what `sh` and `mh` do beyond hashing the client's address.
/// Other schedulers ignore them.
///
/// ```
/// use lvs_schedulers::SchedulerFlags;
///
/// let flags = SchedulerFlags::NONE.with_fallback();
/// assert!(flags.fallback() && !flags.port());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct SchedulerFlags {
    fallback: bool,
    port: bool,
}

impl SchedulerFlags {
    /// Neither, the default.
    pub const NONE: Self = Self {
        fallback: false,
        port: false,
    };

    /// A destination that takes no connections is replaced by another (`sh-fallback`,
    /// `mh-fallback`; the kernel's `SCHED1`). Without it such clients get nobody.
    #[must_use]
    pub const fn with_fallback(mut self) -> Self {
        self.fallback = true;
        self
    }

    /// The client's port is hashed too, so that one client's connections are spread (`sh-port`,
    /// `mh-port`; the kernel's `SCHED2`).
    #[must_use]
    pub const fn with_port(mut self) -> Self {
        self.port = true;
        self
    }

    /// Whether a destination that takes no connections is replaced.
    pub const fn fallback(self) -> bool {
        self.fallback
    }

    /// Whether the client's port is hashed.
    pub const fn port(self) -> bool {
        self.port
    }
}
