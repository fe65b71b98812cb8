//! Runs the check until all is said.

use core::time::Duration;
use std::os::fd::AsFd;

use lvs_healthcheck::{CheckEvent, Code, Config, Driver, Health, Outcome, Phase};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::arguments::Arguments;
use crate::definition::{Definition, define};
use crate::failure::Failure;
use crate::output::{Finding, Output};
use crate::signals::Signals;

/// Whether the target is up at the end.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let options = &arguments.options;
    let (check, subject) = match define(arguments)? {
        Definition::Check(check, subject) => (*check, subject),
        Definition::Nowhere(subject, reason) => {
            let outcome = Outcome::new(Code::Resolve, Phase::Resolve).with_detail(&reason);
            let finding = Finding::without_attempt(outcome);
            Output::new(options, &subject)?.tell(&subject, &finding)?;
            return Ok(false);
        }
    };
    let signals = Signals::block()?;
    let mut driver = Driver::new(Config::default())?;
    let check = driver.add(check)?;
    let mut output = Output::new(options, &subject)?;
    let mut left = match (options.count, options.watch) {
        (Some(count), _) => Some(count),
        (None, true) => None,
        (None, false) => Some(1),
    };
    let mut health = Health::Unknown;
    let mut events = Vec::new();
    while left != Some(0) {
        if wait(&driver, &signals, output.refresh_every())? {
            break;
        }
        driver.poll(Some(Duration::ZERO), &mut events)?;
        let next = driver.next_attempt(check);
        let next = next.map(|at| at.saturating_sub(driver.now()));
        for event in events.drain(..) {
            let CheckEvent::Completed(report) = event else {
                continue;
            };
            left = left.map(|left| left.saturating_sub(1));
            health = report.health;
            let next = next.filter(|_| left != Some(0));
            output.tell(&subject, &Finding::new(report, next))?;
        }
        output.refresh(&subject, next)?;
    }
    Ok(health == Health::Up)
}

/// Waits until the driver has something to do; whether it is to end instead.
fn wait(driver: &Driver, signals: &Signals, limit: Option<Duration>) -> Result<bool, Failure> {
    let timeout = limit.map_or(PollTimeout::NONE, |limit| {
        PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)
    });
    let mut descriptors = [
        PollFd::new(driver.as_fd(), PollFlags::POLLIN),
        PollFd::new(signals.as_fd(), PollFlags::POLLIN),
    ];
    match poll(&mut descriptors, timeout) {
        Ok(_) | Err(Errno::EINTR) => signals.came(),
        Err(errno) => Err(Failure::System("wait", errno.into())),
    }
}
