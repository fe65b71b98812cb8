//! Kinds of checks: their names, their ports, and which options mean something to them.

/// What is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Tcp,
    Expect,
    Http,
    Smtp,
    Dns,
    Udp,
    Icmp,
    Command,
    Agent,
    Redis,
    Mysql,
    Postgres,
    Ldap,
    Memcached,
    Imap,
    Pop3,
    Ftp,
    Ntp,
    Radius,
    Sip,
    Snmp,
    Quic,
}

/// Scheme, kind, whether over TLS, port (0: must be given).
const SCHEMES: &[(&str, Kind, bool, u16)] = &[
    ("tcp", Kind::Tcp, false, 0),
    ("tls", Kind::Tcp, true, 443),
    ("expect", Kind::Expect, false, 0),
    ("http", Kind::Http, false, 80),
    ("https", Kind::Http, true, 443),
    ("smtp", Kind::Smtp, false, 25),
    ("smtps", Kind::Smtp, true, 465),
    ("dns", Kind::Dns, false, 53),
    ("udp", Kind::Udp, false, 0),
    ("icmp", Kind::Icmp, false, 1),
    ("command", Kind::Command, false, 1),
    ("agent", Kind::Agent, false, 0),
    ("redis", Kind::Redis, false, 6379),
    ("rediss", Kind::Redis, true, 6379),
    ("mysql", Kind::Mysql, false, 3306),
    ("postgres", Kind::Postgres, false, 5432),
    ("postgresql", Kind::Postgres, false, 5432),
    ("ldap", Kind::Ldap, false, 389),
    ("ldaps", Kind::Ldap, true, 636),
    ("memcached", Kind::Memcached, false, 11211),
    ("imap", Kind::Imap, false, 143),
    ("imaps", Kind::Imap, true, 993),
    ("pop3", Kind::Pop3, false, 110),
    ("pop3s", Kind::Pop3, true, 995),
    ("ftp", Kind::Ftp, false, 21),
    ("ftps", Kind::Ftp, true, 990),
    ("ntp", Kind::Ntp, false, 123),
    ("radius", Kind::Radius, false, 1812),
    ("sip", Kind::Sip, false, 5060),
    ("snmp", Kind::Snmp, false, 161),
    ("quic", Kind::Quic, false, 443),
];

/// A way to name a kind: `https`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Scheme {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) tls: bool,
    /// The port unless another is given; 0 if one must be.
    pub(crate) port: u16,
}

impl Scheme {
    /// The scheme of this name, capitals or not.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let found = SCHEMES
            .iter()
            .find(|(known, ..)| known.eq_ignore_ascii_case(name));
        found.map(|(name, kind, tls, port)| Self {
            name,
            kind: *kind,
            tls: *tls,
            port: *port,
        })
    }

    /// All names.
    pub(crate) fn names() -> String {
        let names: Vec<_> = SCHEMES.iter().map(|(name, ..)| *name).collect();
        names.join(", ")
    }
}

impl Kind {
    /// Whether it is held over a TCP connection, TLS or not.
    pub(crate) const fn is_stream(self) -> bool {
        !matches!(self, Self::Icmp | Self::Command) && !self.is_datagram()
    }

    /// Whether it is held over UDP. A question to a name server may also be asked over TCP.
    pub(crate) const fn is_datagram(self) -> bool {
        matches!(
            self,
            Self::Dns | Self::Udp | Self::Ntp | Self::Radius | Self::Sip | Self::Snmp | Self::Quic
        )
    }

    /// Whether an option of the command line, by its field, means something to it.
    pub(crate) fn takes(self, option: &str) -> bool {
        match option {
            "ipv4" | "ipv6" | "connect" | "source" | "device" | "mark" | "ttl" | "dscp"
            | "namespace" => self != Self::Command,
            "source_port" => !matches!(self, Self::Command | Self::Icmp),
            "proxy_header" | "proxy_addresses" | "close" | "connect_timeout" | "idle_timeout" => {
                self.is_stream()
            }
            // MySQL has no TLS from the beginning.
            "tls" | "verify" | "pin" | "ca" | "sni" | "cert" | "key" | "tls_min" | "tls_max"
            | "alpn" | "expiry_warning" => self.is_stream() && self != Self::Mysql,
            "expect" => matches!(
                self,
                Self::Http | Self::Dns | Self::Tcp | Self::Expect | Self::Udp | Self::Sip
            ),
            "send" => matches!(self, Self::Tcp | Self::Expect | Self::Udp | Self::Agent),
            "expect_contains" | "expect_regex" => {
                matches!(self, Self::Tcp | Self::Expect | Self::Udp | Self::Http)
            }
            "expect_prefix" | "expect_exact" => {
                matches!(self, Self::Tcp | Self::Expect | Self::Udp)
            }
            "line" => matches!(self, Self::Tcp | Self::Expect),
            "method" | "host" | "header" | "body" | "http_version" | "expect_header" | "digest"
            | "max_body" | "follow" | "drain_on" => self == Self::Http,
            "starttls" | "helo" => self == Self::Smtp,
            "dns_tcp" | "rcode" | "min_answers" | "no_recursion" => self == Self::Dns,
            "any_source" => self == Self::Udp,
            "requests" | "min_replies" | "size" => self == Self::Icmp,
            "dynamic" | "inherit_environment" => self == Self::Command,
            "password_file" => matches!(self, Self::Redis | Self::Radius),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_found_by_name() {
        let scheme = Scheme::find("HTTPS").unwrap();
        assert_eq!(
            (scheme.kind, scheme.tls, scheme.port),
            (Kind::Http, true, 443)
        );
        assert_eq!(Scheme::find("gopher"), None);
        assert!(Scheme::names().starts_with("tcp, tls, "));
    }

    #[test]
    fn options_mean_something_to_some() {
        assert!(Kind::Http.takes("expect") && !Kind::Redis.takes("expect"));
        assert!(!Kind::Command.takes("source") && Kind::Command.takes("timeout"));
        assert!(Kind::Smtp.takes("pin") && !Kind::Udp.takes("pin"));
        assert!(Kind::Sip.takes("expect") && !Kind::Ntp.takes("expect"));
        assert!(Kind::Radius.takes("password_file") && !Kind::Snmp.takes("password_file"));
        assert!(Kind::Quic.takes("source_port") && !Kind::Quic.takes("tls"));
    }
}
