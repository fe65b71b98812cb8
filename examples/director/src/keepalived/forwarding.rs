//! Forwarding methods: `lb_kind`, `lvs_method`, `sorry_server_lvs_method`
//! (keepalived.conf(5)).

use super::ast::Statement;
use super::diagnostic::Report;
use super::values;

/// How packets reach a real server.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Forwarding {
    /// `NAT`: addresses are rewritten.
    #[default]
    Masquerade,
    /// `DR`: same packet to the server's link address.
    DirectRoute,
    /// `TUN`: packet inside another packet.
    Tunnel(Tunnel),
}

impl Forwarding {
    /// Whether the real server may use another port (and must use the same family).
    #[must_use]
    pub fn is_masquerade(self) -> bool {
        self == Self::Masquerade
    }
}

/// The outer packet of a tunnel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Tunnel {
    /// IP in IP.
    #[default]
    Ipip,
    /// Generic UDP encapsulation.
    Gue {
        /// UDP port of the outer packet, 1..=65535.
        port: u16,
        /// Its checksum.
        checksum: TunnelChecksum,
    },
    /// Generic routing encapsulation. Never with a remote checksum.
    Gre {
        /// Its checksum.
        checksum: TunnelChecksum,
    },
}

/// Checksum of a tunnel's outer header.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum TunnelChecksum {
    /// `nocsum`
    #[default]
    None,
    /// `csum`
    Checksum,
    /// `remcsum`: remote checksum offload.
    Remote,
}

/// Reads `NAT`, `DR` or `TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]`.
pub(super) fn read(statement: &Statement, report: &mut Report) -> Option<Forwarding> {
    let expected = "NAT, DR or TUN";
    let method = values::word_at(statement, 0, expected, report, |word| match word {
        "NAT" => Some(Some(Forwarding::Masquerade)),
        "DR" => Some(Some(Forwarding::DirectRoute)),
        "TUN" => Some(None),
        _ => None,
    })?;
    let Some(method) = method else {
        values::leaf(statement, usize::MAX, report);
        return tunnel(statement, report).map(Forwarding::Tunnel);
    };
    values::leaf(statement, 1, report);
    Some(method)
}

fn tunnel(statement: &Statement, report: &mut Report) -> Option<Tunnel> {
    let keyword = statement.keyword();
    let mut kind = "ipip";
    let mut port = None;
    let mut checksum = None;
    let mut index: usize = 1;
    while let Some(word) = statement.argument(index) {
        let value = index.saturating_add(1);
        match word {
            "type" => {
                kind = values::word_at(statement, value, "ipip, gue or gre", report, |word| {
                    ["ipip", "gue", "gre"]
                        .into_iter()
                        .find(|known| *known == word)
                })?;
                index = value;
            }
            "port" => {
                port = Some(values::number_at(statement, value, 1..=65_535, report)?);
                index = value;
            }
            "nocsum" => checksum = Some(TunnelChecksum::None),
            "csum" => checksum = Some(TunnelChecksum::Checksum),
            "remcsum" => checksum = Some(TunnelChecksum::Remote),
            other => {
                let message = format!(
                    "{keyword}: '{other}' is none of type, port, nocsum, csum, remcsum; line \
                     ignored"
                );
                report.error(statement.argument_position(index), message);
                return None;
            }
        }
        index = index.saturating_add(1);
    }
    let offload = checksum == Some(TunnelChecksum::Remote);
    let checked = checksum.unwrap_or_default();
    let refused = match (kind, port) {
        ("gue", Some(port)) => {
            return Some(Tunnel::Gue {
                port,
                checksum: checked,
            });
        }
        ("gue", None) => "a gue tunnel needs 'port N'",
        (_, Some(_)) => "only gue tunnels have a port",
        ("gre", None) if offload => "gre tunnels have no remote checksum",
        ("gre", None) => return Some(Tunnel::Gre { checksum: checked }),
        (_, None) if checked != TunnelChecksum::None => "ipip tunnels have no checksum",
        (_, None) => return Some(Tunnel::Ipip),
    };
    report.error(
        statement.position(),
        format!("{keyword}: {refused}; line ignored"),
    );
    None
}

#[cfg(test)]
mod tests {
    use super::super::ast::tests_support::statement;
    use super::*;

    fn of(text: &str) -> Result<Forwarding, String> {
        let mut report = Report::new(10);
        let read = read(&statement(&format!("lb_kind {text}")), &mut report);
        read.ok_or_else(|| report.finish().0[0].message.clone())
    }

    #[test]
    fn methods_and_tunnels() {
        use TunnelChecksum::{Checksum, Remote};
        let tunnel = |tunnel| Ok(Forwarding::Tunnel(tunnel));
        assert_eq!(of("NAT"), Ok(Forwarding::Masquerade));
        assert_eq!(of("DR"), Ok(Forwarding::DirectRoute));
        assert_eq!(of("TUN"), tunnel(Tunnel::Ipip));
        assert_eq!(of("TUN type ipip nocsum"), tunnel(Tunnel::Ipip));
        assert_eq!(
            of("TUN type gue port 5555 remcsum"),
            tunnel(Tunnel::Gue {
                port: 5555,
                checksum: Remote
            })
        );
        assert_eq!(
            of("TUN type gre csum"),
            tunnel(Tunnel::Gre { checksum: Checksum })
        );
    }

    #[test]
    fn impossible_combinations_are_refused() {
        let cases = [
            ("nat", "'nat' is not NAT, DR or TUN"),
            ("", "the value is missing"),
            ("TUN type gue", "needs 'port N'"),
            ("TUN type gre remcsum", "no remote checksum"),
            ("TUN type ipip csum", "no checksum"),
            ("TUN port 5", "only gue"),
            ("TUN type bogus", "'bogus' is not ipip, gue or gre"),
            (
                "TUN type gue port 70000",
                "'70000' is not a whole number in 1..=65535",
            ),
            ("TUN bogus", "'bogus' is none of"),
            ("TUN type", "the value is missing"),
        ];
        for (text, reason) in cases {
            let message = of(text).expect_err(text);
            assert!(message.contains(reason), "{text}: {message}");
        }
    }
}
