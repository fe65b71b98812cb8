//! What drivers have while they run, to be counted before and after.

use std::fs;
use std::os::fd::RawFd;

/// Threads for functions, of all drivers; they have a name.
pub(super) fn workers() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap().map(Result::unwrap);
    let names = threads.filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok());
    names.filter(|name| name == "healthcheck\n").count()
}

/// How many descriptors an epoll descriptor waits for, and whether a timer among them is set.
pub(super) fn registered(epoll: RawFd) -> (usize, bool) {
    let info = |number: &str| fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
    let epoll = info(&epoll.to_string());
    let numbers = epoll.lines().filter_map(|line| {
        let number = line.strip_prefix("tfd:")?;
        number.split_whitespace().next()
    });
    let set = |number: &str| {
        let info = info(number);
        let left = info.lines().find_map(|line| line.strip_prefix("it_value:"));
        left.is_some_and(|left| left.trim() != "(0, 0)")
    };
    let numbers: Vec<_> = numbers.collect();
    (numbers.len(), numbers.into_iter().any(set))
}
