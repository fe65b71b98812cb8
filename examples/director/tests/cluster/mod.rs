//! The network of the configuration that is tested: client, director and three real servers.
//!
//! ```text
//! client 172.1.1.2 and more ─┐ bridge ┌─ 172.1.1.54 HTTP server, 172.1.1.114 on tunl0
//!        director 172.1.1.1 ─┤        ├─ 172.1.1.55
//!               172.1.1.114 ─┘        └─ 172.1.1.56
//! ```
//!
//! There may be another director, 172.1.1.200, and instead of either having the virtual address for
//! good they may elect who has it.
//!
//! The servers keep the virtual address to themselves, so requests to it only reach them through
//! the director's tunnels.

use core::net::IpAddr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::network::http::{Answer, HttpServer, fetch_from};
use crate::network::{Host, cable};

/// The virtual address, as in the configuration.
pub(crate) const VIRTUAL: IpAddr = address(114);

/// The real servers, as in the configuration.
pub(crate) const SERVERS: [IpAddr; 3] = [address(54), address(55), address(56)];

/// The port of all of them, as in the configuration.
pub(crate) const PORT: u16 = 9200;

/// How many addresses the client has.
const CLIENTS: u8 = 30;

/// The configuration for two directors.
const ELECTING: &str = include_str!("../data/electing.conf");

const CONFIGURATION: &str = include_str!("../data/keepalived/files/elasticsearch.conf");

const fn address(last: u8) -> IpAddr {
    IpAddr::V4(core::net::Ipv4Addr::new(172, 1, 1, last))
}

/// One of the client's addresses, by number from 0.
pub(crate) fn client_address(number: u8) -> IpAddr {
    assert!(number < CLIENTS, "there are {CLIENTS} addresses");
    address(2 + number)
}

/// Client, director, servers, and the check script.
///
/// Fields drop in order: HTTP servers first, namespaces after them.
#[derive(Debug)]
pub(crate) struct Cluster {
    http: [Option<HttpServer>; 3],
    pub(crate) client: Host,
    pub(crate) director: Host,
    pub(crate) servers: [Host; 3],
    bridge: Host,
    folder: TempDir,
}

impl Cluster {
    /// Everything up, all servers running, the script satisfied with each, the director with the
    /// virtual address.
    pub(crate) fn new() -> Self {
        let cluster = Self::without_address();
        let address = format!("address add {VIRTUAL}/32 dev eth0");
        cluster.director.ip(&address);
        cluster
    }

    /// The same, with nobody who has the virtual address.
    pub(crate) fn without_address() -> Self {
        let bridge = Host::new("bridge");
        bridge.ip("link add bridge type bridge\nlink set bridge up");
        let client = Host::new("client");
        let director = Host::new("director");
        let servers = ["one", "two", "three"].map(Host::new);
        let join = |host: &Host, port: &str, own: IpAddr| {
            cable(host, "eth0", &bridge, port);
            bridge.ip(&format!("link set {port} master bridge"));
            host.ip(&format!("address add {own}/24 dev eth0"));
        };
        join(&director, "director", address(1));
        join(&client, "client", client_address(0));
        for number in 1..CLIENTS {
            let more = client_address(number);
            client.ip(&format!("address add {more}/24 dev eth0"));
        }
        director.ip("link set tunl0 up");
        for ((server, port), own) in servers.iter().zip(["one", "two", "three"]).zip(SERVERS) {
            join(server, port, own);
            server.sysctl("ipv4/conf/all/arp_ignore", "1");
            server.sysctl("ipv4/conf/all/arp_announce", "2");
            server.sysctl("ipv4/conf/all/rp_filter", "0");
            server.sysctl("ipv4/conf/tunl0/rp_filter", "0");
            server.ip(&format!(
                "link set tunl0 up\naddress add {VIRTUAL}/32 dev tunl0"
            ));
        }
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = Self {
            http: [None, None, None],
            client,
            director,
            servers,
            bridge,
            folder,
        };
        for number in 0..3 {
            cluster.answer(number, "0");
            cluster.start(number);
        }
        cluster
    }

    /// Writes script and configuration; only the script's path is another than in the original.
    pub(crate) fn configuration(&self) -> PathBuf {
        let folder = self.folder.path();
        let script = folder.join("es_check.sh");
        let text = format!(
            "#!/bin/sh\nread -r code <'{}'/$1:$2\n[ \"$code\" = slow ] && sleep 30\nexit $code\n",
            folder.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let file = folder.join("keepalived.conf");
        let script = script.to_str().unwrap();
        fs::write(&file, CONFIGURATION.replace("/data/es_check.sh", script)).unwrap();
        file
    }

    /// Another director.
    pub(crate) fn second_director(&self) -> Host {
        let second = Host::new("second");
        cable(&second, "eth0", &self.bridge, "second");
        self.bridge.ip("link set second master bridge");
        second.ip(&format!(
            "address add {}/24 dev eth0\nlink set tunl0 up",
            address(200)
        ));
        second
    }

    /// Writes script and configuration of directors that elect; the same for both. The script also
    /// connects to the server.
    pub(crate) fn electing(&self) -> PathBuf {
        let folder = self.folder.path();
        let script = folder.join("es_check.sh");
        let text = format!(
            "#!/bin/bash\nread -r code <'{}'/$1:$2\n( : <>/dev/tcp/$1/$2 ) 2>/dev/null || exit 1\n\
             exit $code\n",
            folder.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let file = folder.join("electing.conf");
        let script = script.to_str().unwrap();
        fs::write(&file, ELECTING.replace("/data/es_check.sh", script)).unwrap();
        // There is a password in it.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file
    }

    /// Makes the script end with that exit code for a server, or take too long with `slow`.
    pub(crate) fn answer(&self, server: usize, code: &str) {
        let folder = self.folder.path();
        // The script sees the old code or the new one, never half a file.
        let new = folder.join("new");
        fs::write(&new, format!("{code}\n")).unwrap();
        let file = format!("{}:{PORT}", SERVERS[server]);
        fs::rename(new, folder.join(file)).unwrap();
    }

    /// Starts the HTTP server of a real server, on all its addresses; it answers with its own.
    pub(crate) fn start(&mut self, server: usize) {
        let name = SERVERS[server].to_string();
        let any = ([0; 4], PORT).into();
        self.http[server] = Some(HttpServer::start(&self.servers[server], &name, any));
    }

    /// Stops the HTTP server of a real server.
    pub(crate) fn stop(&mut self, server: usize) {
        self.http[server] = None;
    }

    /// Fetches from the virtual service, from one of the client's addresses.
    pub(crate) fn fetch(&self, client: u8) -> Answer {
        let from = client_address(client);
        fetch_from(&self.client, Some(from), (VIRTUAL, PORT).into())
    }

    /// Processes of the check script that are there.
    pub(crate) fn running_checks(&self) -> usize {
        let script = self.folder.path().join("es_check.sh");
        let script = script.to_str().unwrap().as_bytes();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
            .filter(|line| line.split(|byte| *byte == 0).any(|word| word == script))
            .count()
    }
}
