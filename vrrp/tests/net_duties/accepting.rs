//! Accept mode off: the packet filter of the program that runs the driver.

use std::process::Command;

use lvs_vrrp::Family;
use lvs_vrrp::event::{DataPlane, ShutdownMode};
use lvs_vrrp::job::JobResult;
use lvs_vrrp::net::{Driver, DriverConfig, Hooks, RouterSetup, VirtualMacSetup};
use lvs_vrrp::node::RouterId;

use crate::network::{eventually, run};
use crate::observer::{Frame, Observer};
use crate::running::Running;
use crate::scene::{FAMILIES, Scene, is_reached, router, words};

/// As the documentation of [`Hooks::data_plane`] says.
struct Filter {
    addresses: [&'static str; 2],
}

impl Hooks for Filter {
    fn data_plane(&mut self, _router: RouterId, plane: DataPlane) -> JobResult {
        // Adding twice is no error; deleting needs that it is there.
        let mut rules = String::from("add table inet vrrp\ndelete table inet vrrp\n");
        if plane.serves && !plane.accepts {
            let [ipv4, ipv6] = self.addresses;
            rules += &format!(
                "add table inet vrrp
                add chain inet vrrp input {{ type filter hook input priority filter; }}
                add rule inet vrrp input ip daddr {ipv4} drop
                add rule inet vrrp input ip6 daddr {ipv6} icmpv6 type \
                {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
                add rule inet vrrp input ip6 daddr {ipv6} drop\n"
            );
        }
        run(Command::new("nft").args(["-f", "-"]), &rules);
        JobResult::Done
    }
}

/// VRRP-047, VRRP-070, VRRP-126: With accept mode off packets to the addresses are neither accepted
/// nor forwarded, but neighbours are answered. With accept mode on they are accepted.
#[test]
#[ignore = "needs root, for network namespaces"]
fn what_is_not_accepted_is_still_answered_for() {
    for family in FAMILIES {
        let scene = Scene::new();
        let addresses = FAMILIES.map(|family| words(family).address);
        let words = words(family);
        let setup = |accepts| {
            let setup = router(family, 200);
            let config = setup.config().clone().with_accept_mode(accepts);
            let setup = RouterSetup::new("eth0", config).with_virtual_mac(VirtualMacSetup::new());
            DriverConfig::new().with_router(RouterId::new(1), setup)
        };
        let active = Running::begin(&scene.one, {
            let config = setup(false);
            move || {
                let mut driver = Driver::new(config).unwrap();
                driver.set_hooks(Filter { addresses }).unwrap();
                driver
            }
        });
        active.until_state(1, lvs_vrrp::State::Active);
        let observer = Observer::new(&scene.client);
        scene.client.ip("neighbour flush dev eth0");
        assert!(!is_reached(&scene.client, words.address, ""));
        let frames = observer.take();
        let all = frames.iter().filter_map(Frame::neighbour);
        let mut answers = all.filter(|said| !said.is_question && said.sender == words.address);
        assert_eq!(answers.next().unwrap().told.as_deref(), Some(words.mac));
        let mut sent = frames.iter().filter(|frame| {
            let (_, to) = frame.ip().unwrap_or_default();
            to == words.address && (family == Family::Ipv4 || frame.neighbour().is_none())
        });
        // The request, once: nobody passes it on.
        assert_eq!(sent.next().unwrap().destination(), words.mac);
        assert_eq!(sent.next(), None);

        active.handle.reload(setup(true)).unwrap();
        eventually(
            || is_reached(&scene.client, words.address, ""),
            |reached| *reached,
        );
        active.stop(ShutdownMode::Graceful);
    }
}
