//! More happens to links than a driver is told of.

use core::fmt::Write;
use core::time::Duration;
use std::process::Command;
use std::{fs, thread};

use lvs_vrrp::State;
use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::net::clock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::network::PATIENCE;
use crate::pair::{ADDRESS, network, router};
use crate::process::Router;
use crate::running::Running;

/// So many changes find no room in the socket while the process stands still for a moment.
const CHANGES: u32 = 8_000;

/// So many addresses there are besides.
const ADDRESSES: u32 = 5_000;

/// Others change addresses without end, more than a driver can follow: advertisements go on, and so
/// does all that it does with its own address.
#[test]
#[ignore = "needs root, for network namespaces"]
fn changes_without_end_keep_no_advertisement_back() {
    let (_switch, one, other) = network();
    let mut addresses = String::new();
    for number in 0..ADDRESSES {
        let (high, low) = (number / 250, number % 250);
        writeln!(addresses, "address add 10.0.{high}.{low}/32 dev lo").unwrap();
    }
    one.ip(&addresses);
    // Long enough that nobody takes over because of what else this machine does.
    let slow = |priority| Router {
        interval: Duration::from_secs(1),
        ..router(priority)
    };
    let high = Running::start(&one, slow(200).driver());
    high.until_state(1, State::Active);
    let low = Running::start(&other, slow(100).driver());
    low.until_state(1, State::Backup);
    let folder = tempfile::tempdir().unwrap();
    let storms: Vec<_> = (0..3)
        .map(|storm| {
            let mut changes = String::new();
            for number in 0..500 {
                writeln!(changes, "address add 10.{storm}.200.1/32 dev lo").unwrap();
                writeln!(changes, "address del 10.{storm}.200.1/32 dev lo").unwrap();
                writeln!(changes, "address del 10.0.0.{}/32 dev lo", number % 250).unwrap();
                writeln!(changes, "address add 10.0.0.{}/32 dev lo", number % 250).unwrap();
            }
            let file = folder.path().join(storm.to_string());
            fs::write(&file, changes).unwrap();
            let mut command = Command::new("sh");
            let line = "while :; do ip -force -batch \"$0\"; done 2>/dev/null";
            one.start(command.args(["-c", line]).arg(&file))
        })
        .collect();
    let from = clock::now();
    let since = low.router(1).since;
    let mut longest = Duration::ZERO;
    let mut last = (low.router(1).last_advert, clock::now());
    while clock::now() - from < Duration::from_secs(6) {
        thread::sleep(Duration::from_millis(5));
        let heard = low.router(1).last_advert;
        if heard != last.0 {
            last = (heard, clock::now());
        }
        longest = longest.max(clock::now() - last.1);
    }
    println!("with changes without end: {longest:?} between two advertisements at most");
    assert_eq!(low.router(1).since, since, "{longest:?}");
    // Nothing that is asked of the kernel fails either.
    let begun = clock::now();
    high.stop(ShutdownMode::Graceful);
    println!("it left within {:?}", clock::now() - begun);
    assert!(!one.holds(ADDRESS));
    low.until_state(1, State::Active);
    let again = Running::start(&one, slow(200).driver());
    again.until_state(1, State::Active);
    low.until_state(1, State::Backup);
    drop(storms);
    again.stop(ShutdownMode::Graceful);
    low.stop(ShutdownMode::Graceful);
}

/// It reads all again, and finds that its address was removed among what it was not told.
#[test]
#[ignore = "needs root, for network namespaces"]
fn what_an_active_was_not_told_it_finds_out() {
    let (switch, one, other) = network();
    let mut changes = String::new();
    for _ in 0..CHANGES / 2 {
        changes.push_str("address add 198.51.100.1/32 dev eth0\n");
        changes.push_str("address del 198.51.100.1/32 dev eth0\n");
    }
    // Long enough that nobody takes over meanwhile, also on a machine that has much to do.
    let begun = clock::now();
    one.ip(&changes);
    let interval = (clock::now() - begun).clamp(Duration::from_secs(4), PATIENCE / 4);
    let slow = |priority| Router {
        interval,
        ..router(priority)
    };
    let mut high = slow(200).start(&one);
    high.until("Active");
    let low = Running::start(&other, slow(100).driver());
    low.until_state(1, State::Backup);
    let id = Pid::from_raw(i32::try_from(high.running.0.id()).unwrap());
    writeln!(changes, "address del {ADDRESS}/24 dev eth0").unwrap();
    let from = clock::now();
    kill(id, Signal::SIGSTOP).unwrap();
    one.ip(&changes);
    kill(id, Signal::SIGCONT).unwrap();
    let awake = clock::now();
    // Otherwise it has to give way (OP-5), which is another test.
    let (down, paused) = (slow(100).config().active_down_interval(), awake - from);
    assert!(paused + slow(200).interval < down, "paused for {paused:?}");
    high.until("LinksReread");
    high.until(&format!("{ADDRESS} }})"));
    let restored = clock::now() - awake;
    assert!(one.holds(ADDRESS));
    assert_eq!(low.router(1).state, State::Backup);
    high.stop();
    low.until_state(1, State::Active);
    low.stop(ShutdownMode::Graceful);
    let both = switch.holding.overlap_since(Duration::ZERO);
    println!(
        "{CHANGES} changes within {:?}, not all told: the address was back {restored:?} later; held by \
         both for {both:?}",
        paused
    );
    switch.holding.is_clean();
}
