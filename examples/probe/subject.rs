//! What is checked, in words.

use core::net::SocketAddr;
use core::time::Duration;

use lvs_healthcheck::Policy;

use crate::kind::Kind;

/// What is checked, as far as reports speak of it.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// As it was named, without password.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) tls: bool,
    /// The name the certificate is to be for.
    pub(crate) server_name: String,
    /// Where it is; a command is nowhere.
    pub(crate) address: Option<SocketAddr>,
    /// What a good reply is.
    pub(crate) expected: String,
    pub(crate) policy: Policy,
}

impl Subject {
    /// The name and, if that does not tell already, the address.
    pub(crate) fn title(&self) -> String {
        let address = match (self.kind, self.address) {
            (_, None) => return self.name.clone(),
            (Kind::Icmp, Some(address)) => address.ip().to_string(),
            (_, Some(address)) => address.to_string(),
        };
        let told = match (self.kind, self.address) {
            (Kind::Icmp, _) | (_, None) => self.name.contains(&address),
            (_, Some(socket)) => match socket {
                SocketAddr::V4(v4) => self.name.contains(&v4.ip().to_string()),
                SocketAddr::V6(v6) => self.name.contains(&v6.ip().to_string()),
            },
        };
        if told {
            self.name.clone()
        } else {
            format!("{} at {address}", self.name)
        }
    }

    /// The time for connecting.
    pub(crate) fn connect_timeout(&self) -> Duration {
        let whole = self.policy.timeout();
        self.policy
            .connect_timeout()
            .map_or(whole, |time| time.min(whole))
    }
}
