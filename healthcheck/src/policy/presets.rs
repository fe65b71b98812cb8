//! Counts and starting states of programs whose checks need no more than that.
//!
//! Intervals and timeouts stay as in [`Policy::default`].

use super::{Initial, Policy};

impl Policy {
    /// Google's seesaw with `retries`: starts down until the first result.
    pub fn seesaw(retries: u16) -> Self {
        Self::default()
            .with_fall(retries.saturating_add(1))
            .with_initial(Initial::FullyDown)
    }

    /// ldirectord with `failurecount`: starts as the kernel's table has it.
    pub fn ldirectord(failurecount: u16, in_table: bool) -> Self {
        Self::default()
            .with_fall(failurecount)
            .with_initial(Initial::Keep { up: in_table })
    }

    /// pingora with `consecutive_success` and `consecutive_failure` (both 1 there): starts up.
    pub fn pingora(consecutive_success: u16, consecutive_failure: u16) -> Self {
        Self::default()
            .with_rise(consecutive_success)
            .with_fall(consecutive_failure)
            .with_initial(Initial::FullyUp)
    }

    /// The check module of nginx and Tengine with its defaults, rise 2 and fall 5: starts down
    /// (`default_down=true`).
    pub fn nginx() -> Self {
        Self::default()
            .with_rise(2)
            .with_fall(5)
            .with_initial(Initial::FullyDown)
    }

    /// The health checker of DPVS with `up-retry` and `down-retry` (both 1 there): says nothing
    /// until one of the two counts was reached.
    pub fn dpvs(up_retry: u16, down_retry: u16) -> Self {
        Self::default()
            .with_rise(up_retry.saturating_add(1))
            .with_fall(down_retry.saturating_add(1))
            .with_initial(Initial::Undecided)
    }

    /// keepalived's `vrrp_script` (rise and fall 1): starts up, with `init_fail` down.
    pub fn track_script(init_fail: bool) -> Self {
        Self::default().with_fall(1).with_initial(if init_fail {
            Initial::FullyDown
        } else {
            Initial::Up1
        })
    }
}
