//! The services database: which name a port has for which protocol.
//!
//! Read from `/etc/services` as services(5) describes it. Other sources that nsswitch.conf(5) may
//! name, which hardly anybody uses for services, are not asked.

use std::fs;

/// The lines of the database, in their order.
#[derive(Debug, Default)]
pub(crate) struct Services {
    entries: Vec<Service>,
}

/// A line of the database.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Service {
    /// The official name.
    pub(crate) name: String,
    pub(crate) port: u16,
    /// `tcp`, `udp` and the like.
    pub(crate) protocol: String,
    /// Further names.
    aliases: Vec<String>,
}

impl Services {
    /// Reads the system's database; a missing one is empty.
    pub(crate) fn system() -> Self {
        let text = fs::read("/etc/services").unwrap_or_default();
        Self::read(&String::from_utf8_lossy(&text))
    }

    pub(super) fn read(text: &str) -> Self {
        Self {
            entries: text.lines().filter_map(Service::read).collect(),
        }
    }

    /// The name of a port, the first if it has several.
    pub(crate) fn name(&self, port: u16, protocol: &str) -> Option<&str> {
        self.entries
            .iter()
            .find(|entry| entry.port == port && entry.protocol == protocol)
            .map(|entry| entry.name.as_str())
    }

    /// The port of that name or alias for that protocol.
    pub(crate) fn port(&self, name: &str, protocol: &str) -> Option<u16> {
        self.entries
            .iter()
            .find(|entry| {
                entry.protocol == protocol
                    && (entry.name == name || entry.aliases.iter().any(|alias| alias == name))
            })
            .map(|entry| entry.port)
    }
}

impl Service {
    /// Reads `NAME PORT/PROTOCOL [ALIAS...] [# COMMENT]`.
    fn read(line: &str) -> Option<Self> {
        let line = line.split('#').next()?;
        let mut words = line.split_ascii_whitespace();
        let name = words.next()?;
        let (port, protocol) = words.next()?.split_once('/')?;
        Some(Self {
            name: name.to_owned(),
            port: read_port(port)?,
            protocol: protocol.to_owned(),
            aliases: words.map(str::to_owned).collect(),
        })
    }
}

/// Reads a port as strtoul(3) does: decimal, octal after `0`, hexadecimal after `0x`.
fn read_port(text: &str) -> Option<u16> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hexadecimal) => u16::from_str_radix(hexadecimal, 16).ok(),
        None if digits.starts_with('0') => u16::from_str_radix(digits, 8).ok(),
        None => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same file under ipvsadm 1.31, one destination for each port.
    #[test]
    fn lines_are_read_as_the_system_reads_them() {
        let services = Services::read(
            "http 80/tcp www\n\
             low\t81/tcp\taa bb # comment\n\
             # xx 82/tcp\n\
             \x20 indented 83/tcp\n\
             dup1 84/tcp\n\
             dup2 84/tcp\n\
             noproto 85\n\
             Upper 86/TCP\n\
             nospace 87/tcp#c\n\
             plus +88/tcp\n\
             oct 089/tcp\n\
             hex 0x5a/tcp\n\
             sp 91 /tcp\n\
             sp2 92/ tcp\n\
             anyproto 93/tcp,udp\n\
             crlf 96/tcp\r\n\
             noeol 97/tcp",
        );
        for (port, name) in [
            (80, Some("http")),
            (81, Some("low")),
            (82, None),
            (83, Some("indented")),
            (84, Some("dup1")),
            (85, None),
            (86, None),
            (87, Some("nospace")),
            (88, Some("plus")),
            (89, None),
            (90, Some("hex")),
            (91, None),
            (92, None),
            (93, None),
            (96, Some("crlf")),
            (97, Some("noeol")),
        ] {
            assert_eq!(services.name(port, "tcp"), name, "{port}");
            assert_eq!(services.name(port, "udp"), None, "{port}");
        }
        for (name, port) in [
            ("http", Some(80)),
            ("www", Some(80)),
            ("HTTP", None),
            ("bb", Some(81)),
            ("comment", None),
            ("dup2", Some(84)),
        ] {
            assert_eq!(services.port(name, "tcp"), port, "{name}");
            assert_eq!(services.port(name, "udp"), None, "{name}");
        }
    }
}
