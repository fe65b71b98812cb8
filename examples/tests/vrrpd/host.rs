//! What of the host is in the way, said before it bites.

use std::process::Command;

use crate::network::Network;

const FILE: &str = "vrrp_instance ONE {\n  interface va\n  use_vmac\n  virtual_router_id 51\n  \
                    virtual_ipaddress { 192.0.2.1/24 }\n}\n\
                    vrrp_instance TWO {\n  interface va\n  virtual_router_id 52\n  version 3\n  \
                    virtual_ipaddress { 192.0.2.2/32 dev lo }\n}\n";

const FINDINGS: [&str; 3] = [
    "net.ipv4.conf.all.rp_filter = 1 filters on vrrp.51, too: packets to virtual addresses may be \
     dropped; set it to 0, and that of each interface to 1",
    "net.ipv4.conf.va.proxy_arp = 1 answers ARP requests for virtual addresses that another router \
     has; set it to 0",
    "net.ipv4.conf.va.arp_ignore = 2: va does not answer ARP requests for 192.0.2.2, which is on lo; \
     set it to 0, or put the address on va",
];

fn set(network: &Network, settings: &[(&str, u8)]) {
    for (key, value) in settings {
        let line = format!("echo {value} > /proc/sys/net/ipv4/conf/{key}");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", network.name(), "sh", "-c", &line]);
        assert!(command.status().unwrap().success(), "{line}");
    }
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn what_is_in_the_way_is_said_by_check_and_at_the_start() {
    let network = Network::new();
    network.write("ha.conf", FILE);
    let check = || {
        let mut command = network.command();
        command.args(["--check", "--use-file", "ha.conf"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let [said, summary] =
            [output.stderr, output.stdout].map(|text| String::from_utf8(text).unwrap());
        (said, summary)
    };
    set(
        &network,
        &[
            ("all/rp_filter", 0),
            ("va/proxy_arp", 0),
            ("va/arp_ignore", 0),
        ],
    );
    let (said, summary) = check();
    assert_eq!(said, "");
    assert_eq!(
        summary,
        "ha.conf: 2 virtual routers, 0 errors, 0 warnings\n"
    );
    set(
        &network,
        &[
            ("all/rp_filter", 1),
            ("va/proxy_arp", 1),
            ("va/arp_ignore", 2),
        ],
    );
    let (said, summary) = check();
    let expected = FINDINGS.map(|finding| format!("this host: warning: {finding}"));
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    assert_eq!(
        summary,
        "ha.conf: 2 virtual routers, 0 errors, 0 warnings, 3 warnings about this host\n"
    );
    let mut vrrpd = network.start("--use-file ha.conf");
    for finding in FINDINGS {
        let event = vrrpd.wait_event("host");
        assert_eq!(event["severity"], "warning");
        assert_eq!(event["message"], finding);
    }
    assert_eq!(vrrpd.stop(), Some(0));
    // For another host nothing of this one counts.
    network.write("ha.conf", &FILE.replace("interface va", "interface absent"));
    let (said, _) = check();
    assert_eq!(said, "");
}
