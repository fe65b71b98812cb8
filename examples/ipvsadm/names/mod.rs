//! Names of hosts and services, in both directions.

mod forward;
mod reverse;
mod services;

use core::net::IpAddr;

use lvs_ipvs::text::Names;
use lvs_ipvs::{DestinationKey, Protocol};

pub(crate) use forward::Forward;
pub(crate) use reverse::Reverse;

/// How listings show addresses and ports.
#[derive(Debug)]
pub(crate) enum Endpoints {
    /// As numbers.
    Numeric,
    /// By name, as far as there are names.
    Named(Reverse),
}

impl Endpoints {
    pub(crate) fn new(numeric: bool) -> Self {
        if numeric {
            Self::Numeric
        } else {
            Self::Named(Reverse::default())
        }
    }

    /// Address and port; IPv6 addresses and their names in brackets.
    pub(crate) fn text(&self, protocol: Option<Protocol>, address: IpAddr, port: u16) -> String {
        match self {
            Self::Numeric => DestinationKey { address, port }.to_string(),
            Self::Named(names) => names.endpoint(protocol, address, port),
        }
    }
}

/// Cuts a text to so many bytes, or less where that would split a character.
pub(crate) fn cut(text: &mut String, bytes: usize) {
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    text.truncate(end);
}
