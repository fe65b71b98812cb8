//! What an administrator sets for all connections of a network namespace.

use core::time::Duration;

/// Settings of the network namespace that bear on connections and templates.
///
/// ```
/// use lvs_schedulers::Settings;
/// use std::time::Duration;
///
/// let mut settings = Settings::default();
/// assert_eq!(settings.tcp_timeout, Duration::from_secs(900));
/// settings.expire_quiescent_template = true;
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Settings {
    /// Timeout of an established TCP connection (`ipvsadm --set`); default 900 s.
    pub tcp_timeout: Duration,
    /// Timeout of a TCP connection after the client's side of FIN (`FIN_WAIT`; `ipvsadm --set`);
    /// default 120 s.
    pub tcp_fin_timeout: Duration,
    /// Timeout of UDP (`ipvsadm --set`); default 300 s.
    pub udp_timeout: Duration,
    /// Whether the stricter table of TCP states is in force: a connection needs an answer to be
    /// established (sysctl `secure_tcp` 3, or its automatic modes while memory is short); default no.
    pub secure_tcp: bool,
    /// Whether templates of destinations with weight 0 are not honoured any more (sysctl of the same
    /// name); default no.
    pub expire_quiescent_template: bool,
}

impl Settings {
    /// The kernel's settings at its start.
    pub const DEFAULT: Self = Self {
        tcp_timeout: Duration::from_secs(900),
        tcp_fin_timeout: Duration::from_secs(120),
        udp_timeout: Duration::from_secs(300),
        secure_tcp: false,
        expire_quiescent_template: false,
    };
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}
