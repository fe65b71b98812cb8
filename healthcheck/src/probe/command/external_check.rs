//! HAProxy's `external-check`: what its commands get as arguments and variables.

use core::net::SocketAddr;

use super::{Command, CommandProbe, Environment};

/// What HAProxy puts in place of something that is not there.
const NOT_USED: &str = "NOT_USED";

/// What a command for HAProxy's `external-check` wants to know, so that such commands need not be
/// changed.
///
/// It gets four arguments (address and port of the proxy, of the server) and the variables
/// `HAPROXY_PROXY_NAME`, `_PROXY_ID`, `_PROXY_ADDR`, `_PROXY_PORT`, `HAPROXY_SERVER_NAME`,
/// `_SERVER_ID`, `_SERVER_ADDR`, `_SERVER_PORT`, `_SERVER_MAXCONN`, `_SERVER_CURCONN`,
/// `_SERVER_SSL`, `_SERVER_PROTO` and `PATH`, and nothing else. Exit code 0 passes.
///
/// ```
/// use lvs_healthcheck::probe::command::ExternalCheck;
///
/// let mut external = ExternalCheck::new("192.0.2.7:80".parse()?);
/// external.proxy = Some("198.51.100.1:80".parse()?);
/// external.proxy_name = "web".into();
/// let probe = external.probe("/usr/local/bin/check-web");
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ExternalCheck {
    /// The virtual service's name. Default: empty.
    pub proxy_name: String,
    /// Its number. Default 0.
    pub proxy_id: u32,
    /// Its address and port; a service by firewall mark has none.
    pub proxy: Option<SocketAddr>,
    /// The destination's name. Default: empty.
    pub server_name: String,
    /// Its number. Default 0.
    pub server_id: u32,
    /// Its address and port.
    pub server: SocketAddr,
    /// How many connections it may have at most, 0 for no limit. Default 0.
    pub max_connections: u32,
    /// How many it has, as far as is known. Default 0.
    pub connections: u32,
    /// Whether it is spoken to over TLS. Default: no.
    pub tls: bool,
    /// Its application protocol. Default `tcp`; HAProxy also says `http`.
    pub protocol: String,
    /// Where the command finds other programs; HAProxy's `external-check path`. Default: empty.
    pub path: String,
}

impl ExternalCheck {
    /// For this destination.
    #[must_use]
    pub fn new(server: SocketAddr) -> Self {
        Self {
            proxy_name: String::new(),
            proxy_id: 0,
            proxy: None,
            server_name: String::new(),
            server_id: 0,
            server,
            max_connections: 0,
            connections: 0,
            tls: false,
            protocol: "tcp".to_owned(),
            path: String::new(),
        }
    }

    /// The probe that runs this program.
    pub fn probe(&self, program: &str) -> CommandProbe {
        CommandProbe::new(self.command(program))
    }

    /// The command with its arguments and variables, to be changed further.
    pub fn command(&self, program: &str) -> Command {
        let part = |text: Option<String>| text.unwrap_or_else(|| NOT_USED.to_owned());
        let proxy_address = part(self.proxy.map(|proxy| proxy.ip().to_string()));
        let proxy_port = part(self.proxy.map(|proxy| proxy.port().to_string()));
        let server_address = self.server.ip().to_string();
        let server_port = self.server.port().to_string();
        let arguments = [&proxy_address, &proxy_port, &server_address, &server_port];
        let mut command = Command::new(program).with_environment(Environment::Clean {
            path: self.path.clone(),
        });
        for argument in arguments {
            command = command.with_argument(argument);
        }
        for (name, value) in [
            ("HAPROXY_PROXY_NAME", &self.proxy_name),
            ("HAPROXY_PROXY_ID", &self.proxy_id.to_string()),
            ("HAPROXY_PROXY_ADDR", &proxy_address),
            ("HAPROXY_PROXY_PORT", &proxy_port),
            ("HAPROXY_SERVER_NAME", &self.server_name),
            ("HAPROXY_SERVER_ID", &self.server_id.to_string()),
            ("HAPROXY_SERVER_ADDR", &server_address),
            ("HAPROXY_SERVER_PORT", &server_port),
            ("HAPROXY_SERVER_MAXCONN", &self.max_connections.to_string()),
            ("HAPROXY_SERVER_CURCONN", &self.connections.to_string()),
            ("HAPROXY_SERVER_SSL", &u8::from(self.tls).to_string()),
            ("HAPROXY_SERVER_PROTO", &self.protocol),
        ] {
            command = command.with_variable(name, value);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_not_used() {
        let external = ExternalCheck::new("[2001:db8::7]:80".parse().unwrap());
        let command = external.command("/bin/x");
        let expected = ["/bin/x", "NOT_USED", "NOT_USED", "2001:db8::7", "80"];
        assert_eq!(command.arguments(), expected);
        let value = |name| command.variables().find(|(other, _)| *other == name);
        assert_eq!(
            value("HAPROXY_PROXY_ADDR"),
            Some(("HAPROXY_PROXY_ADDR", "NOT_USED"))
        );
        assert_eq!(command.variables().count(), 12);
        assert_eq!(
            command.environment(),
            &Environment::Clean {
                path: String::new()
            }
        );
    }
}
