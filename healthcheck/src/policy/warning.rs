//! What is allowed but seldom meant.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use crate::aggregate::Role;

/// A setting that is allowed but seldom meant. [`Display`](fmt::Display) says why.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// Connecting may take less than a second, and one failure takes the check down: one lost SYN
    /// is enough.
    ConnectTimeoutShort {
        /// The time for connecting.
        connect_timeout: Duration,
    },
    /// An attempt may still run at its next slot, which is then skipped.
    SlotsSkipped {
        /// The time for one attempt.
        timeout: Duration,
        /// The time from start to start.
        interval: Duration,
    },
    /// Weights are whole numbers, and this one is too small for a smooth
    /// [slow start](crate::aggregate::SlowStart).
    SlowStartCoarse {
        /// The full weight, scale included.
        weight: u32,
    },
    /// A check that decides about a server asks an address of this host, so it tests the director
    /// and not the server: the virtual address of direct routing, most often.
    SelfCheck {
        /// The address.
        address: IpAddr,
    },
}

impl Warning {
    /// Linux repeats a SYN after this time: 1 s.
    pub(super) const SYN_REPEATED: Duration = Duration::from_secs(1);

    /// Warns where a required check asks one of this host's own addresses.
    ///
    /// ```
    /// use std::net::IpAddr;
    /// use lvs_healthcheck::aggregate::Role;
    /// use lvs_healthcheck::policy::Warning;
    ///
    /// let address: IpAddr = "192.0.2.80".parse()?;
    /// let warning = Warning::self_check(Role::Required, address, [address]);
    /// assert_eq!(warning.unwrap().id(), "self_check");
    /// # Ok::<_, std::net::AddrParseError>(())
    /// ```
    #[must_use]
    pub fn self_check(
        role: Role,
        target: IpAddr,
        local: impl IntoIterator<Item = IpAddr>,
    ) -> Option<Self> {
        let asks_itself = role == Role::Required
            && local
                .into_iter()
                .any(|address| address.to_canonical() == target.to_canonical());
        asks_itself.then_some(Self::SelfCheck { address: target })
    }

    /// A stable identifier for logs, such as `self_check`.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        match self {
            Self::ConnectTimeoutShort { .. } => "connect_timeout_short",
            Self::SlotsSkipped { .. } => "slots_skipped",
            Self::SlowStartCoarse { .. } => "slow_start_coarse",
            Self::SelfCheck { .. } => "self_check",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectTimeoutShort { connect_timeout } => write!(
                f,
                "connect_timeout is {connect_timeout:?} and fall is 1: \
                 a single lost packet takes the check down"
            ),
            Self::SlotsSkipped { timeout, interval } => write!(
                f,
                "timeout is {timeout:?} and interval is {interval:?} from start to start: \
                 slow attempts skip their next slot"
            ),
            Self::SlowStartCoarse { weight } => write!(
                f,
                "slow_start is set and the weight is {weight}: \
                 under 20 the steps are coarse, scale all weights of the service"
            ),
            Self::SelfCheck { address } => write!(
                f,
                "{address} is an address of this host: \
                 the check tests the director, not the server"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_values() {
        let warning = Warning::ConnectTimeoutShort {
            connect_timeout: Duration::from_millis(300),
        };
        assert_eq!(
            warning.to_string(),
            "connect_timeout is 300ms and fall is 1: a single lost packet takes the check down"
        );
        assert_eq!(
            Warning::SlowStartCoarse { weight: 3 }.to_string(),
            "slow_start is set and the weight is 3: \
             under 20 the steps are coarse, scale all weights of the service"
        );
    }
}
