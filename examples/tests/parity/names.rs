//! The names both programs know: files of a mount namespace's own in place of those in `/etc`.

use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};

/// Names short and too long for their column, with aliases, of both families, with two addresses.
const HOSTS: &str = "\
127.0.0.1 localhost
10.0.0.1 one.example.com one
10.0.0.2 two
10.0.0.3 a-very-long-name-of-a-real-server.in-a-long-domain.example.com three
10.0.0.4 exactly-20-character
10.0.0.5 four five
1.2.3.4 vip.example.com vip
1.2.3.5 a-very-long-name-of-a-virtual-service.in-a-long-domain.example.com
1.2.3.6 multi
1.2.3.7 multi
192.0.2.10 here.example.com
fd00::1 six.example.com
fd00::2 a-very-long-name-of-a-six-server.in-a-long-domain.example.com
fd00::4 both
1.2.3.8 both
2001:db8::7 seven
";

/// Services of one protocol and of several, with aliases, with more than one name for a port.
const SERVICES: &str = "\
http 80/tcp www
alsohttp 80/tcp
httpu 80/udp
sctpname 80/sctp
verylongservicenameindeed 8080/tcp
domain 53/udp
domain 53/tcp
8081name 8081/tcp
https 443/tcp
sip 5060/udp
";

/// Nobody else is asked.
const SWITCH: &str = "hosts: files\nservices: files\nnetworks: files\n";

/// Host names that a command line may use for an IPv4 address.
pub(crate) const HOST_NAMES: [&str; 7] = [
    "localhost",
    "one",
    "one.example.com",
    "TWO",
    "five",
    "vip.example.com",
    "both",
];

/// Puts the files in their places, for the mount namespace of this thread alone.
pub(crate) fn install() {
    let none = None::<&str>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).unwrap();
    // In memory, hidden from everybody else as the mounts are.
    let (folder, memory) = (Path::new("/mnt"), Some("tmpfs"));
    mount(memory, folder, memory, MsFlags::empty(), none).unwrap();
    for (name, content) in [
        ("hosts", HOSTS),
        ("services", SERVICES),
        ("nsswitch.conf", SWITCH),
    ] {
        let file = folder.join(name);
        fs::write(&file, content).unwrap();
        let place = format!("/etc/{name}");
        mount(Some(&file), place.as_str(), none, MsFlags::MS_BIND, none).unwrap();
        assert_eq!(fs::read_to_string(place).unwrap(), content);
    }
}
