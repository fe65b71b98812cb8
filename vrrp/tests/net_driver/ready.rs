//! A driver is ready when a take-over comes.

use core::time::Duration;
use std::fs;
use std::path::Path;
use std::thread;

use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::job::JobResult;
use lvs_vrrp::net::{DriverEventKind, Hooks};
use lvs_vrrp::node::{ReportKind, RouterId, Settings};
use lvs_vrrp::{State, Version};

use crate::network::{Host, Switch};
use crate::process::Router;
use crate::running::Running;

/// So no address is ever asked for.
struct Refusing;

impl Hooks for Refusing {
    fn prepare(&mut self, _: RouterId) -> JobResult {
        JobResult::Failed
    }
}

/// How often the thread of the addresses of a driver on this host has run: the third number of
/// `schedstat`, proc(5).
fn runs(host: &Host) -> u64 {
    let namespace = |task: &Path| fs::read_link(task.join("ns/net"));
    let here = host.enter(|| namespace(Path::new("/proc/thread-self")).unwrap());
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let mut tasks = tasks.map(|task| task.unwrap().path());
    let found = tasks.find(|task| {
        let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
        name.trim_end() == "vrrp-addresses" && namespace(task).is_ok_and(|other| other == here)
    });
    let numbers = fs::read_to_string(found.unwrap().join("schedstat")).unwrap();
    numbers.split_whitespace().nth(2).unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn the_thread_of_the_addresses_is_awake_before_a_take_over() {
    let switch = Switch::new();
    let one = Host::new("one");
    switch.connect(&one, "eth0", &["192.0.2.1/24"]);
    let mut settings = Settings::default();
    settings.install_retry = Duration::from_millis(100);
    let router = Router::new(Version::V3, 100, "192.0.2.100");
    let config = router.driver().with_settings(settings);
    let running = Running::start_with(&one, config, |driver| {
        driver.set_hooks(Refusing).unwrap();
    });
    running.until_state(1, State::Backup);
    // What it had to do at the start is over.
    thread::sleep(Duration::from_millis(100));
    let before = runs(&one);
    // On a busy machine the driver itself may wake up too late for that, but not always.
    let has_run = (0..20).any(|_| {
        running.until("a refusal", |kind| match kind {
            DriverEventKind::Report(report) => report.kind == ReportKind::PrepareFailed,
            _ => false,
        });
        runs(&one) > before
    });
    // With one processor only it would be in the way.
    let others = thread::available_parallelism().unwrap().get() > 1;
    assert_eq!(has_run, others);
    running.stop(ShutdownMode::Graceful);
    assert!(!one.holds("192.0.2.100"));
}
