//! How advertisements travel and what protects them: `unicast_peer`, `use_vmac`,
//! `authentication` (keepalived.conf(5)).

use core::fmt;
use core::net::IpAddr;
use core::ops::RangeInclusive;

use super::super::ast::Statement;
use super::super::diagnostic::{Position, Report};
use super::super::values;
use super::write;

/// How many bytes of a password count.
const PASSWORD_MAX: usize = 8;

/// Whom advertisements are sent to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Destination {
    /// This group.
    Group(IpAddr),
    /// These routers. None at all, which `unicast_fault_no_peer` asks for, is a fault.
    Peers(Vec<UnicastPeer>),
}

/// A line of `unicast_peer`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UnicastPeer {
    /// Where the line starts.
    pub position: Position,
    /// Its address.
    pub ip: IpAddr,
    /// `min_ttl`: the least time to live of its packets.
    pub min_ttl: Option<u8>,
    /// `max_ttl`: the greatest.
    pub max_ttl: Option<u8>,
}

impl UnicastPeer {
    /// The times to live its packets may have, if they are limited at all.
    #[must_use]
    pub fn ttl(&self) -> Option<RangeInclusive<u8>> {
        if self.min_ttl.is_none() && self.max_ttl.is_none() {
            return None;
        }
        Some(self.min_ttl.unwrap_or(0)..=self.max_ttl.unwrap_or(255))
    }

    /// Reads a line; a peer without a usable address is left out.
    pub(super) fn read(statement: &Statement, report: &mut Report) -> Option<Self> {
        values::leaf(statement, usize::MAX, report);
        let word = statement.keyword();
        let Ok(ip) = word.parse() else {
            let message =
                format!("unicast_peer: '{word}' is not an IPv4 or IPv6 address; line ignored");
            report.error(statement.position(), message);
            return None;
        };
        let mut peer = Self {
            position: statement.position().clone(),
            ip,
            min_ttl: None,
            max_ttl: None,
        };
        let mut index = 0;
        while let Some(word) = statement.argument(index) {
            let value = index.saturating_add(1);
            let ttl = match word {
                "min_ttl" => &mut peer.min_ttl,
                "max_ttl" => &mut peer.max_ttl,
                other => {
                    let message = format!(
                        "unicast_peer {ip}: '{other}' is neither min_ttl nor max_ttl; rest of line \
                         ignored"
                    );
                    report.error(statement.argument_position(index), message);
                    break;
                }
            };
            values::set(ttl, values::number_at(statement, value, 0..=255, report));
            index = value.saturating_add(1);
        }
        if let Some(range) = peer.ttl().filter(RangeInclusive::is_empty) {
            let message = format!(
                "unicast_peer {ip}: min_ttl {} is greater than max_ttl {}; all its packets are \
                 dropped",
                range.start(),
                range.end()
            );
            report.warning(&peer.position, message);
        }
        Some(peer)
    }
}

impl fmt::Display for UnicastPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ip)?;
        for (word, ttl) in [("min_ttl", self.min_ttl), ("max_ttl", self.max_ttl)] {
            if let Some(ttl) = ttl {
                write!(f, " {word} {ttl}")?;
            }
        }
        Ok(())
    }
}

/// `use_vmac`: a device of its own with the virtual router's MAC.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct VirtualMac {
    /// Name of the device. Default `vrrp.N` or `vrrp6.N` of the virtual router id.
    pub device: Option<String>,
    /// Another MAC: five bytes get the virtual router id as the sixth.
    pub mac: Option<String>,
    /// `vmac_xmit_base`: advertisements leave from the interface itself.
    pub transmit_from_base: bool,
}

impl VirtualMac {
    /// Reads the words of `use_vmac`.
    pub(super) fn read(statement: &Statement, report: &mut Report) -> Self {
        values::leaf(statement, usize::MAX, report);
        let mut vmac = Self::default();
        for word in statement.arguments() {
            let text = word.text();
            let problem = if is_mac(text) {
                vmac.mac = Some(text.to_ascii_lowercase());
                continue;
            } else if !values::is_interface(text) {
                "is neither an interface name of 1 to 15 bytes nor a MAC of 5 or 6 bytes"
            } else if vmac.device.is_some() {
                "comes after another device name"
            } else {
                vmac.device = Some(text.to_owned());
                continue;
            };
            let message = format!("use_vmac: '{text}' {problem}; ignored");
            report.error(word.position(), message);
        }
        vmac
    }
}

/// Five or six pairs of hexadecimal digits between colons.
fn is_mac(word: &str) -> bool {
    let is_byte =
        |byte: &str| byte.len() == 2 && byte.bytes().all(|digit| digit.is_ascii_hexdigit());
    word.split(':').all(is_byte) && (5..=6).contains(&word.split(':').count())
}

/// `authentication { … }` of VRRPv2. Its secret is shown nowhere but where it is asked for.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Authentication {
    /// Where the block starts.
    pub position: Position,
    /// `auth_type`
    pub kind: AuthenticationKind,
    /// `auth_pass`, 1 to 8 bytes.
    pub secret: String,
}

/// `auth_type`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AuthenticationKind {
    /// `PASS`: the secret travels with each message.
    Pass,
    /// `AH`: an authentication header.
    Header,
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind;
        f.debug_struct("Authentication")
            .field("kind", &kind)
            .finish_non_exhaustive()
    }
}

impl Authentication {
    /// Reads the block; without a type, or without a secret, there is no authentication.
    pub(super) fn read(statement: &Statement, report: &mut Report) -> Option<Self> {
        let (mut kind, mut secret) = (None, None::<String>);
        for inner in values::block(statement, report) {
            match inner.keyword() {
                "auth_type" => {
                    let read = values::word(inner, "PASS or AH", report, |word| match word {
                        "PASS" => Some(AuthenticationKind::Pass),
                        "AH" => Some(AuthenticationKind::Header),
                        _ => None,
                    });
                    values::set(&mut kind, read);
                }
                "auth_pass" => values::set(&mut secret, password(inner, report)),
                _ => values::unknown(inner, report),
            }
        }
        match (kind, secret) {
            (Some(kind), Some(secret)) => Some(Self {
                position: statement.position().clone(),
                kind,
                secret,
            }),
            (Some(_), None) => {
                let message = "authentication: there is no auth_pass; block ignored";
                report.error(statement.position(), message);
                None
            }
            (None, _) => {
                let message = "authentication: there is no auth_type; block ignored";
                report.note(statement.position(), message);
                None
            }
        }
    }
}

fn password(statement: &Statement, report: &mut Report) -> Option<String> {
    let expected = "a password of 1 to 8 bytes";
    values::leaf(statement, 1, report);
    // What is wrong with a secret is said without the secret.
    let word = statement.argument(0).unwrap_or_default();
    if word.is_empty() {
        let message = format!("auth_pass: the value is missing, expected {expected}; line ignored");
        report.error(statement.position(), message);
        return None;
    }
    let mut end = word.len().min(PASSWORD_MAX);
    while !word.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let secret = word.get(..end).unwrap_or_default();
    if secret.len() < word.len() {
        let message = format!(
            "auth_pass: {} bytes are more than {PASSWORD_MAX}, cut to {}",
            word.len(),
            secret.len()
        );
        report.warning(statement.argument_position(0), message);
    }
    Some(secret.to_owned())
}

/// As it is written in a file, secret and all.
pub(super) fn write_authentication(
    f: &mut fmt::Formatter<'_>,
    authentication: &Authentication,
) -> fmt::Result {
    let kind = match authentication.kind {
        AuthenticationKind::Pass => "PASS",
        AuthenticationKind::Header => "AH",
    };
    let secret = write::Word(&authentication.secret);
    writeln!(
        f,
        "  authentication {{\n    auth_type {kind}\n    auth_pass {secret}\n  }}"
    )
}
