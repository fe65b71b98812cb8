//! Virtual addresses in a real kernel: what is ours, what is not, what is left when we die.

mod refusals;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::process::Command;
use std::thread::sleep;
use std::time::Instant;
use std::{env, fs};

use lvs_vrrp::lease::KERNEL_LAG;
use lvs_vrrp::net::addresses::{
    AddressBook, AddressKey, Installed, Removed, Renewed, TAG, VirtualAddress,
};
use lvs_vrrp::net::clock::now;
use lvs_vrrp::{Family, InterfaceIndex};
use nix::unistd::{Uid, seteuid};

use super::isolated::{cable, ip, isolated};

const BOTH: [&str; 2] = ["192.0.2.10", "2001:db8::10"];

fn address(interface: InterfaceIndex, text: &str) -> VirtualAddress {
    VirtualAddress::new(interface, text.parse().unwrap())
}

fn both(interface: InterfaceIndex, lifetime: Option<u64>) -> Vec<VirtualAddress> {
    let lifetime = lifetime.map(Duration::from_secs);
    let both = BOTH.map(|text| address(interface, text).with_lifetime(lifetime).unwrap());
    both.into()
}

fn keys(addresses: &[VirtualAddress]) -> Vec<AddressKey> {
    addresses.iter().map(VirtualAddress::key).collect()
}

/// The lines of `ip address` that name this address.
fn shown(address: IpAddr) -> Vec<String> {
    let all = ip("-d -o address show");
    let all = all.lines().filter(|line| {
        let mut words = line.split_whitespace();
        let mut prefix = words.nth(3).unwrap_or_default().split('/');
        prefix.next() == Some(address.to_string().as_str())
    });
    all.map(str::to_owned).collect()
}

fn shown_both() -> [Vec<String>; 2] {
    BOTH.map(|text| shown(text.parse().unwrap()))
}

#[test]
#[ignore = "needs root, for a network namespace"]
fn addresses_come_with_tag_and_lifetime_and_go() {
    isolated(|| {
        let device = cable("eth0", "peer0");
        let mut book = AddressBook::open().unwrap();
        assert_eq!(book.tag(), Some(TAG));
        let addresses = both(device, Some(100));
        for installed in book.install(now(), &addresses) {
            assert_eq!(installed.unwrap(), Installed::Ours);
        }
        for (lines, length) in shown_both().iter().zip([32, 128]) {
            let [line] = &lines[..] else {
                panic!("{lines:?}");
            };
            assert!(line.contains(&format!("/{length} scope global")), "{line}");
            assert!(line.contains("noprefixroute"), "{line}");
            // On a busy machine it is shown seconds later.
            let mut lifetimes = (60..=100).map(|left| format!("valid_lft {left}sec"));
            assert!(lifetimes.any(|lifetime| line.contains(&lifetime)), "{line}");
            assert!(!line.contains("tentative"), "{line}");
            assert!(!line.contains("optimistic"), "{line}");
            assert_eq!(line.contains("nodad"), length == 128, "{line}");
            assert_eq!(line.contains("deprecated"), length == 128, "{line}");
        }
        // The kernel keeps who installed them.
        let mut other = AddressBook::open().unwrap();
        let left = other.leftovers(&[]).unwrap();
        assert_eq!(left.len(), 2);
        for there in &left {
            assert_eq!(there.protocol, Some(TAG));
            assert!(there.lifetime.unwrap() <= Duration::from_secs(100));
        }
        assert!(book.leftovers(&[]).unwrap().is_empty());

        for removed in book.remove(&keys(&addresses)) {
            assert_eq!(removed.unwrap(), Removed::Removed);
        }
        assert!(shown_both().iter().all(Vec::is_empty));
        for removed in book.remove(&keys(&addresses)) {
            assert_eq!(removed.unwrap(), Removed::Absent);
        }
        assert_eq!(book.held().count(), 0);
    });
}

#[test]
#[ignore = "needs root, for a network namespace"]
fn foreign_addresses_are_left_as_they_are() {
    isolated(|| {
        let device = cable("eth0", "peer0");
        // The same ones, and one with another prefix, as an owner has it.
        ip("address add 192.0.2.10/32 dev eth0");
        ip("address add 192.0.2.11/24 dev eth0");
        ip("address add 2001:db8::10/128 dev eth0 nodad");
        // Those of IPv6 come when the kernel has time.
        let all = || (ip("-d -o address show"), ip("-4 route show table all"));
        let before = all();
        let mut book = AddressBook::open().unwrap();
        let mut addresses = both(device, Some(3));
        addresses.push(address(device, "192.0.2.11"));
        for installed in book.install(now(), &addresses) {
            assert_eq!(installed.unwrap(), Installed::Foreign);
        }
        for renewed in book.renew(now(), &keys(&addresses)) {
            assert_eq!(renewed.unwrap(), Renewed::Foreign);
        }
        assert!(
            AddressBook::open()
                .unwrap()
                .leftovers(&addresses)
                .unwrap()
                .is_empty()
        );
        for removed in book.remove(&keys(&addresses)) {
            assert_eq!(removed.unwrap(), Removed::Foreign);
        }
        assert_eq!(all(), before);
    });
}

/// As two virtual routers may have it, and as a new configuration has it.
#[test]
#[ignore = "needs root, for a network namespace"]
fn one_that_is_twice_in_a_batch_or_has_several_prefixes_is_ours() {
    for tag in [Some(TAG), None] {
        isolated(|| {
            let device = cable("eth0", "peer0");
            let mut book = AddressBook::open_with_tag(tag).unwrap();
            let plain = address(device, "192.0.2.10");
            let wide = plain.clone().with_prefix_len(24).unwrap();
            let six = address(device, "2001:db8::10");
            let batch = [&plain, &six, &wide, &plain, &six].map(Clone::clone);
            for _ in 0..2 {
                for installed in book.install(now(), &batch) {
                    assert_eq!(installed.unwrap(), Installed::Ours, "{tag:?}");
                }
                let prefixes = shown(plain.key().address);
                assert_eq!(prefixes.len(), 2, "{tag:?}: {prefixes:?}");
            }
            for removed in book.remove(&keys(&[plain, six])) {
                assert_eq!(removed.unwrap(), Removed::Removed, "{tag:?}");
            }
        });
    }
}

/// What an earlier process left with another prefix goes when the address is installed.
#[test]
#[ignore = "needs root, for a network namespace"]
fn a_leftover_with_another_prefix_is_replaced() {
    isolated(|| {
        let device = cable("eth0", "peer0");
        let batch = [address(device, "192.0.2.10")];
        let left = [23, 24, 25].map(|length| batch[0].clone().with_prefix_len(length).unwrap());
        AddressBook::open().unwrap().install(now(), &left);
        assert_eq!(shown(batch[0].key().address).len(), 3);
        let mut book = AddressBook::open().unwrap();
        let installed = book.install(now(), &batch).remove(0).unwrap();
        assert_eq!(installed, Installed::Ours);
        let lines = shown(batch[0].key().address);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("192.0.2.10/32"), "{lines:?}");
        // But not for the sake of somebody else's beside it.
        ip("address add 192.0.2.10/24 dev eth0");
        let installed = book.install(now(), &batch).remove(0).unwrap();
        assert_eq!(installed, Installed::Ours);
        assert_eq!(shown(batch[0].key().address).len(), 2);
        let removed = book.remove(&keys(&batch)).remove(0).unwrap();
        assert_eq!(removed, Removed::Removed);
        let lines = shown(batch[0].key().address);
        assert!(lines.len() == 1 && lines[0].contains("/24"), "{lines:?}");
    });
}

#[test]
#[ignore = "needs root, for a network namespace"]
fn what_is_removed_under_us_is_noticed_and_comes_back_when_asked_for() {
    isolated(|| {
        let device = cable("eth0", "peer0");
        let mut book = AddressBook::open().unwrap();
        let addresses = both(device, Some(60));
        let start = now();
        book.install(start, &addresses);
        assert_eq!(
            book.next_renewal(),
            Some(start + Duration::from_secs(20)),
            "after a third of the lifetime"
        );
        assert!(book.renew_due(start + Duration::from_secs(19)).is_empty());
        ip("address del 192.0.2.10/32 dev eth0");
        let later = start + Duration::from_secs(20);
        // Not by itself: another router may have it.
        let renewed = book.renew_due(later).into_iter().map(|(_, result)| result);
        let renewed: Vec<_> = renewed.map(Result::unwrap).collect();
        assert_eq!(renewed, [Renewed::Gone, Renewed::Renewed]);
        let renewed = book.renew(later, &keys(&addresses)).into_iter();
        let renewed: Vec<_> = renewed.map(Result::unwrap).collect();
        assert_eq!(renewed, [Renewed::Restored, Renewed::Renewed]);
        assert_eq!(book.next_renewal(), Some(later + Duration::from_secs(20)));
        assert_eq!(shown_both().map(|lines| lines.len()), [1, 1]);

        // Somebody else takes one's place: it is theirs now, until they take it away.
        ip("address del 192.0.2.10/32 dev eth0");
        ip("address add 192.0.2.10/24 dev eth0");
        let renew = |book: &mut AddressBook| {
            let results = book.renew(now(), &keys(&addresses));
            results.into_iter().map(Result::unwrap).collect::<Vec<_>>()
        };
        assert_eq!(renew(&mut book), [Renewed::Foreign, Renewed::Renewed]);
        let lines = shown_both();
        assert!(lines[0][0].contains("valid_lft forever"), "{lines:?}");
        ip("address del 192.0.2.10/24 dev eth0");
        assert_eq!(renew(&mut book), [Renewed::Restored, Renewed::Renewed]);
    });
}

#[test]
#[ignore = "needs root, for a network namespace"]
fn addresses_installed_at_different_times_are_renewed_together_and_in_time() {
    const COUNT: u8 = 20;
    isolated(|| {
        let device = cable("eth0", "peer0");
        let mut book = AddressBook::open().unwrap();
        let start = now();
        let mut last = BTreeMap::new();
        for n in 0..COUNT {
            let at = start + Duration::from_millis(u64::from(n) * 400);
            let address = address(device, &format!("192.0.2.{n}"));
            let address = address
                .with_lifetime(Some(Duration::from_secs(60)))
                .unwrap();
            last.insert(address.key(), at);
            book.install(at, &[address]).remove(0).unwrap();
        }
        // Ten times a third of the lifetime.
        let mut rounds = 0;
        while let Some(at) = book
            .next_renewal()
            .filter(|at| *at < start + Duration::from_secs(200))
        {
            rounds += 1;
            for (key, renewed) in book.renew_due(at) {
                assert_eq!(renewed.unwrap(), Renewed::Renewed);
                let before = last.insert(key, at).unwrap();
                assert!(at - before <= Duration::from_secs(20), "{key}");
            }
        }
        assert!(rounds <= 10, "{rounds} rounds");
        assert!(
            last.values()
                .all(|at| *at >= start + Duration::from_secs(180))
        );
    });
}

#[test]
#[ignore = "needs root, for a network namespace"]
fn a_successor_finds_what_was_left_and_takes_it_over() {
    isolated(|| {
        let device = cable("eth0", "peer0");
        let addresses = both(device, None);
        let mut first = AddressBook::open().unwrap();
        first.install(now(), &addresses);
        drop(first);
        let mut second = AddressBook::open().unwrap();
        let left = second.leftovers(&[]).unwrap();
        assert_eq!(
            left.iter().map(|there| there.address).collect::<Vec<_>>(),
            BOTH.map(|text| text.parse::<IpAddr>().unwrap())
        );
        // Another prefix is a new address to the kernel.
        let longer = [
            addresses[0].clone().with_prefix_len(24).unwrap(),
            addresses[1].clone().with_prefix_len(64).unwrap(),
        ];
        for installed in second.install(now(), &longer) {
            assert_eq!(installed.unwrap(), Installed::Ours);
        }
        let lines = shown_both();
        for (lines, length) in lines.iter().zip(["/24", "/64"]) {
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(lines[0].contains(length), "{lines:?}");
        }
        for removed in second.remove(&keys(&longer)) {
            assert_eq!(removed.unwrap(), Removed::Removed);
        }
        // What was never held is removed all the same if it is ours.
        second.install(now(), &addresses);
        second.forget();
        for removed in second.remove(&keys(&addresses)) {
            assert_eq!(removed.unwrap(), Removed::Removed);
        }
    });
}

#[test]
#[ignore = "needs root, for a network namespace"]
fn removing_the_first_address_of_a_subnet_takes_no_other_with_it() {
    let setting = || {
        let path = "/proc/sys/net/ipv4/conf/eth0/promote_secondaries";
        fs::read_to_string(path).unwrap().trim().to_owned()
    };
    isolated(|| {
        let device = cable("eth0", "peer0");
        fs::write("/proc/sys/net/ipv4/conf/all/promote_secondaries", "0").unwrap();
        assert_eq!(setting(), "0");
        let mut book = AddressBook::open().unwrap();
        let first = address(device, "192.0.2.10").with_prefix_len(24).unwrap();
        let second = address(device, "192.0.2.11").with_prefix_len(24).unwrap();
        let batch = [first.clone(), second.clone(), first.clone()];
        for installed in book.install(now(), &batch) {
            assert_eq!(installed.unwrap(), Installed::Ours);
        }
        ip("address add 192.0.2.20/24 dev eth0");
        assert_eq!(setting(), "1");
        book.remove(&[first.key()]).remove(0).unwrap();
        let left = ip("-o -4 address show dev eth0");
        assert!(!left.contains("192.0.2.10/"), "{left}");
        assert!(
            left.contains("192.0.2.11/") && left.contains("192.0.2.20/"),
            "{left}"
        );
        assert_eq!(setting(), "1", "the other one needs it");
        book.remove(&[second.key()]).remove(0).unwrap();
        let left = ip("-o -4 address show dev eth0");
        assert!(left.contains("192.0.2.20/"), "{left}");
        assert_eq!(setting(), "0");
    });
}

#[test]
#[ignore = "needs root, for a network namespace"]
fn label_scope_and_route_are_as_given() {
    isolated(|| {
        let device = cable("eth0", "peer0");
        let mut book = AddressBook::open().unwrap();
        let plain = address(device, "192.0.2.10");
        let full = plain.clone().with_label("eth0:web").unwrap();
        let full = full.with_scope(254).with_prefix_len(24).unwrap();
        let full = full.with_prefix_route(true);
        for (address, expected) in [
            (
                &plain,
                ["192.0.2.10/32", "scope global", "noprefixroute eth0"],
            ),
            (&full, ["192.0.2.10/24", "scope host", "eth0:web"]),
            (
                &plain,
                ["192.0.2.10/32", "scope global", "noprefixroute eth0"],
            ),
        ] {
            book.install(now(), core::slice::from_ref(address))
                .remove(0)
                .unwrap();
            let lines = shown(address.key().address);
            assert_eq!(lines.len(), 1, "{lines:?}");
            for word in expected {
                assert!(lines[0].contains(word), "{word}: {lines:?}");
            }
            let routes = ip("route show dev eth0");
            assert_eq!(
                routes.contains("192.0.2.0/24"),
                address == &full,
                "{routes}"
            );
        }
        // One that is there keeps its broadcast address: another takes a new one.
        for (wanted, expected) in [
            (None, ""),
            (Some(255), "brd 192.0.2.255"),
            (Some(7), "brd 192.0.2.7"),
        ] {
            let plain = plain.clone().with_prefix_len(24).unwrap();
            let address = match wanted {
                Some(last) => plain.with_broadcast([192, 0, 2, last].into()).unwrap(),
                None => plain,
            };
            book.install(now(), core::slice::from_ref(&address))
                .remove(0)
                .unwrap();
            let line = &shown(address.key().address)[0];
            assert!(line.contains(expected), "{line}");
            assert_eq!(line.contains("brd"), wanted.is_some(), "{line}");
        }
        let refused = address(device, "2001:db8::1").with_broadcast([192, 0, 2, 255].into());
        assert_eq!(
            refused.unwrap_err().to_string(),
            "broadcast address 192.0.2.255 of 2001:db8::1: only IPv4 addresses have one"
        );
        let preferred = address(device, "2001:db8::1").with_preferred(true);
        book.install(now(), core::slice::from_ref(&preferred))
            .remove(0)
            .unwrap();
        let line = &shown(preferred.key().address)[0];
        assert!(!line.contains("deprecated"), "{line}");
        assert!(line.contains("preferred_lft forever"), "{line}");
    });
}

/// A kernel before 5.18, as far as we can see.
#[test]
#[ignore = "needs root, for a network namespace"]
fn without_tags_leftovers_are_known_by_what_they_look_like() {
    isolated(|| {
        let device = cable("eth0", "peer0");
        let addresses = both(device, Some(60));
        let mut book = AddressBook::open_with_tag(None).unwrap();
        book.install(now(), &addresses);
        ip("address add 192.0.2.20/32 dev eth0 valid_lft 60 preferred_lft 60");
        ip("address add 192.0.2.21/32 dev eth0 noprefixroute");
        let mut configured = addresses.clone();
        configured.push(address(device, "192.0.2.20"));
        configured.push(address(device, "192.0.2.21"));
        let mut later = AddressBook::open_with_tag(None).unwrap();
        assert!(later.leftovers(&[]).unwrap().is_empty());
        assert_eq!(later.leftovers(&configured).unwrap().len(), 2);
        // What is removed is what was listed.
        assert_eq!(later.remove_leftovers(&configured).unwrap().len(), 2);
        assert!(shown_both().iter().all(Vec::is_empty));
        assert_eq!(ip("-o -4 address show dev eth0").lines().count(), 2);
        for restored in book.renew(now(), &keys(&addresses)) {
            assert_eq!(restored.unwrap(), Renewed::Restored);
        }
        // Our own, which we hold, are ours.
        for renewed in book.renew(now(), &keys(&addresses)) {
            assert_eq!(renewed.unwrap(), Renewed::Renewed);
        }
        for removed in book.remove(&keys(&addresses)) {
            assert_eq!(removed.unwrap(), Removed::Removed);
        }
    });
}

/// Spec §4.2 rule 7, §7 point 8: how late an address leaves when nobody renews it.
#[test]
#[ignore = "needs root, for a network namespace"]
fn an_address_that_nobody_renews_leaves_by_itself() {
    const LIFETIME: Duration = Duration::from_secs(3);
    isolated(|| {
        let device = cable("eth0", "peer0");
        let mut book = AddressBook::open().unwrap();
        let mut watcher = AddressBook::open().unwrap();
        // At different times of the second, as the kernel counts in seconds.
        let mut installed = Vec::new();
        for number in 0..10_u8 {
            let lifetime = Some(LIFETIME);
            let batch = [format!("192.0.2.{number}"), format!("2001:db8::{number}")]
                .map(|text| address(device, &text).with_lifetime(lifetime).unwrap());
            let at = Instant::now();
            for outcome in book.install(now(), &batch) {
                outcome.unwrap();
            }
            installed.extend(batch.map(|address| (address.key(), at)));
            sleep(Duration::from_millis(107));
        }
        let mut late: Vec<(Family, f64)> = Vec::new();
        let deadline = Instant::now() + LIFETIME + Duration::from_secs(10);
        while !installed.is_empty() {
            assert!(Instant::now() < deadline, "still there: {installed:?}");
            let left = watcher.leftovers(&[]).unwrap();
            installed.retain(|(key, at)| {
                let is_there = left.iter().any(|there| there.address == key.address);
                if !is_there {
                    let lag = at.elapsed().as_secs_f64() - LIFETIME.as_secs_f64();
                    late.push((Family::of(key.address), lag));
                }
                is_there
            });
            sleep(Duration::from_millis(2));
        }
        for family in [Family::Ipv4, Family::Ipv6] {
            let mut lags: Vec<f64> = late.iter().filter(|l| l.0 == family).map(|l| l.1).collect();
            lags.sort_by(f64::total_cmp);
            println!(
                "{family}: an address with a lifetime of 3 s left {:+.3} to {:+.3} s after it, \
                 median {:+.3} s",
                lags[0],
                lags[lags.len() - 1],
                lags[lags.len() / 2]
            );
            // Never much too early, and never later than leases reckon with.
            let most = KERNEL_LAG.as_secs_f64();
            assert!(lags[0] > -0.1 && lags[lags.len() - 1] < most, "{lags:?}");
        }
    });
}

#[test]
#[ignore = "needs root, for a network namespace"]
fn as_many_addresses_as_there_are_go_in_one_batch() {
    isolated(|| {
        let device = cable("eth0", "peer0");
        let mut book = AddressBook::open().unwrap();
        for family in ["192.0.2", "2001:db8:"] {
            let dot = if family.contains(':') { ':' } else { '.' };
            let batch: Vec<_> = (1..=250)
                .map(|n| address(device, &format!("{family}{dot}{n}")))
                .map(|address| {
                    address
                        .with_lifetime(Some(Duration::from_secs(30)))
                        .unwrap()
                })
                .collect();
            let mut times = Vec::new();
            let mut done =
                |what, start: Instant| times.push(format!("{what} {:?}", start.elapsed()));
            let start = Instant::now();
            for outcome in book.install(now(), &batch) {
                assert_eq!(outcome.unwrap(), Installed::Ours);
            }
            done("installed in", start);
            let start = Instant::now();
            for outcome in book.renew(now(), &keys(&batch)) {
                assert_eq!(outcome.unwrap(), Renewed::Renewed);
            }
            done("renewed in", start);
            let start = Instant::now();
            for outcome in book.remove(&keys(&batch)) {
                assert_eq!(outcome.unwrap(), Removed::Removed);
            }
            done("removed in", start);
            println!("250 addresses {family}{dot}*: {}", times.join(", "));
        }
    });
}

/// The process that runs the test below is told by this that it has no other tests.
const ALONE: &str = "LVS_VRRP_TEST_ALONE";

/// OP-4: what cannot be removed goes when its lifetime ends.
///
/// The right to remove it is lost by changing the user, which is the whole process's.
#[test]
#[ignore = "needs root, for a network namespace"]
fn an_address_that_cannot_be_removed_is_renewed_no_more() {
    if env::var_os(ALONE).is_none() {
        let this = std::thread::current();
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", this.name().unwrap(), "--include-ignored"]);
        let output = command.env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("1 passed"), "{said}");
        return;
    }
    isolated(|| {
        let device = cable("eth0", "peer0");
        let mut book = AddressBook::open().unwrap();
        let addresses = both(device, Some(60));
        let keys = keys(&addresses);
        let from = now();
        for installed in book.install(from, &addresses) {
            assert_eq!(installed.unwrap(), Installed::Ours);
        }
        assert!(book.next_renewal().is_some());

        seteuid(Uid::from_raw(65534)).unwrap();
        for removed in book.remove(&keys) {
            assert!(removed.unwrap_err().missing_capability().is_some());
        }
        seteuid(Uid::from_raw(0)).unwrap();
        assert_eq!(book.held().count(), 2);
        assert_eq!(book.next_renewal(), None);
        let later = from + Duration::from_secs(50);
        assert_eq!(book.renew_due(later).len(), 0);
        for renewed in book.renew(later, &keys) {
            assert_eq!(renewed.unwrap_err().io().kind(), ErrorKind::NotFound);
        }
        assert_eq!(book.next_renewal(), None);
        for removed in book.remove(&keys) {
            assert_eq!(removed.unwrap(), Removed::Removed);
        }
        assert_eq!(shown_both(), [[""; 0]; 2]);
    });
}
