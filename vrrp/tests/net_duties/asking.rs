//! What routers ask their neighbours, and what they believe of them.

use lvs_vrrp::codec::UnsolicitedNa;
use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::net::{FrameSender, SendBatch};
use lvs_vrrp::{Family, MacAddress};

use crate::network::eventually;
use crate::observer::{Frame, Observer};
use crate::scene::{FAMILIES, Scene, is_reached, own_mac, words};

/// VRRP-119: Who asks in the name of a virtual address tells the virtual MAC; the physical one asks
/// in its own name, also for packets from a virtual address.
#[test]
#[ignore = "needs root, for network namespaces"]
fn the_active_asks_with_the_virtual_mac() {
    for family in FAMILIES {
        let scene = Scene::new();
        let words = words(family);
        let (active, backup) = scene.run(family);
        let observer = Observer::new(&scene.client);
        let forget = || scene.one.ip("neighbour flush all");
        let source = format!("-I {}", words.address);
        forget();
        assert!(is_reached(&scene.one, words.client, &source));
        // From the device that bears it.
        let device = format!("-I {}", words.device);
        forget();
        match family {
            Family::Ipv4 => scene.one.ip(&format!(
                "route add {}/32 dev {} src {}",
                words.client, words.device, words.address
            )),
            Family::Ipv6 => scene.one.ip(&format!(
                "route add {}/128 dev {} src {}",
                words.client, words.device, words.address
            )),
        }
        assert!(is_reached(
            &scene.one,
            words.client,
            &format!("{device} {source}")
        ));
        let frames = observer.take();
        let asked = frames.iter().filter_map(Frame::neighbour);
        let asked: Vec<_> = asked
            .filter(|said| said.is_question && said.target == words.client)
            .collect();
        let virtual_one = |sender: &str| sender == words.address || sender == "fe80::100";
        let of_router = asked.iter().filter(|said| virtual_one(&said.sender));
        assert!(of_router.clone().count() > 0, "{asked:?}");
        for said in of_router {
            assert_eq!(said.told.as_deref(), Some(words.mac), "{said:?}");
            assert_eq!(said.source, words.mac, "{said:?}");
        }
        let own = asked.iter().filter(|said| said.source == own_mac(1));
        assert!(own.count() > 0, "{asked:?}");
        active.stop(ShutdownMode::Graceful);
        backup.stop(ShutdownMode::Graceful);
    }
}

/// VRRP-125: Active and Backup believe a neighbour that says where it is now.
#[test]
#[ignore = "needs root, for network namespaces"]
fn routers_hear_unsolicited_advertisements() {
    let scene = Scene::new();
    let (active, backup) = scene.run(Family::Ipv6);
    let (target, mac) = ("2001:db8::77", MacAddress::new([2, 0, 0, 0, 0, 0x77]));
    for host in [&scene.one, &scene.other] {
        host.ip(&format!(
            "neighbour add {target} lladdr 02:00:00:00:00:99 dev eth0 nud stale"
        ));
    }
    let sender = scene.client.enter(|| FrameSender::open("eth0").unwrap());
    let mut batch = SendBatch::new();
    let moved = UnsolicitedNa::new(target.parse().unwrap(), mac);
    batch
        .push(target.parse().unwrap(), UnsolicitedNa::FRAME_LEN, |frame| {
            moved.emit_frame(frame)
        })
        .unwrap();
    sender.send(&batch, |_, sent| sent.unwrap());
    for host in [&scene.one, &scene.other] {
        eventually(
            || host.ask(&format!("neighbour show {target} dev eth0")),
            |entry| entry.contains("02:00:00:00:00:77"),
        );
    }
    active.stop(ShutdownMode::Graceful);
    backup.stop(ShutdownMode::Graceful);
}
