//! Reloads in steps, and what the kernel has against them.

use core::net::SocketAddr;

use lvs_healthcheck::policy::Policy;
use lvs_healthcheck::{Target, TcpProbe};

use super::*;

/// A setup whose last check no driver takes.
fn wrong() -> Setup {
    let text = TEXT
        .replace("192.0.2.1", "192.0.2.3")
        .replace("weight 4\n", "weight 5\nTCP_CHECK {\n}\n");
    let mut setup = setup(&(TEXT.to_owned() + &text));
    let target = Target::new("10.0.0.1:80".parse::<SocketAddr>().unwrap());
    let policy = Policy::default().with_timeout(Duration::ZERO);
    setup.checks.last_mut().unwrap().check = Check::new(TcpProbe::new(target), policy);
    setup
}

#[test]
fn a_check_that_cannot_be_run_changes_nothing() {
    let kernel = MemoryKernel::default();
    let mut runner = runner(&kernel, TEXT).unwrap();
    turn(&mut runner).unwrap();
    let error = runner.reload(&wrong()).unwrap_err().to_string();
    assert_eq!(error, "timeout is 0ns: must be 1 ms to 1000000000 s");
    assert_eq!(turn(&mut runner).unwrap(), [""; 0]);
    assert_eq!(runner.director.checks().count(), 0);
}

#[test]
fn a_trial_has_no_effect() {
    let kernel = MemoryKernel::default();
    let (remote, running) = run_aside(&kernel, setup(TEXT));
    remote.complete(PATIENCE).unwrap();
    let refused = |reason: &str| RemoteError::Refused(reason.to_owned());
    let reason = refused("timeout is 0ns: must be 1 ms to 1000000000 s");
    assert_eq!(remote.try_reload(wrong(), PATIENCE), Err(reason));
    let nothing = Err(refused("no setup was tried"));
    assert_eq!(remote.begin_reload(PATIENCE), nothing);
    let other_setup = || setup(&TEXT.replace("192.0.2.1", "192.0.2.3"));
    remote.try_reload(other_setup(), PATIENCE).unwrap();
    // A later one counts, and one that is refused is the end of those before.
    assert!(remote.try_reload(wrong(), PATIENCE).is_err());
    assert_eq!(remote.begin_reload(PATIENCE), nothing);
    remote.complete(PATIENCE).unwrap();
    remote.stop();
    let lines = running.join().unwrap();
    assert!(
        !lines.iter().any(|line| line.contains("192.0.2.3")),
        "{lines:#?}"
    );
    assert!(
        !lines.iter().any(|line| line.starts_with("reload")),
        "{lines:#?}"
    );
}

/// Between the two the addresses of both services may be there (OP-1).
#[test]
fn what_comes_is_in_the_kernel_before_what_goes_leaves_it() {
    let kernel = MemoryKernel::default();
    let (remote, running) = run_aside(&kernel, setup(TEXT));
    let there = || {
        let table = other(&kernel).snapshot().unwrap().table();
        let keys = table.services().map(|it| it.service.key().to_string());
        keys.collect::<Vec<_>>()
    };
    remote.complete(PATIENCE).unwrap();
    let (old, new) = ("TCP 192.0.2.1:80", "TCP 192.0.2.3:80");
    assert_eq!(there(), [old]);
    let other_setup = setup(&TEXT.replace("192.0.2.1", "192.0.2.3"));
    remote.try_reload(other_setup, PATIENCE).unwrap();
    assert_eq!(remote.begin_reload(PATIENCE), Ok(true));
    remote.complete(PATIENCE).unwrap();
    let mut both = there();
    both.sort();
    assert_eq!(both, [old, new]);
    remote.finish_reload(PATIENCE).unwrap();
    remote.complete(PATIENCE).unwrap();
    assert_eq!(there(), [new]);
    // Nothing leaves this time.
    let same = setup(&TEXT.replace("192.0.2.1", "192.0.2.3"));
    remote.try_reload(same, PATIENCE).unwrap();
    assert_eq!(remote.begin_reload(PATIENCE), Ok(false));
    remote.stop();
    running.join().unwrap();
}

/// Who waits for a reload waits for the table in whatever role.
#[test]
fn another_role_does_not_end_the_wait_for_a_reload() {
    let kernel = MemoryKernel::default();
    let (remote, running) = run_aside(&kernel, setup(TEXT));
    remote.prepare(PATIENCE).unwrap();
    kernel.set_permitted(false);
    let waiting = [true, false].map(|is_for_role| {
        let remote = remote.clone();
        thread::spawn(move || match is_for_role {
            true => remote.stand_by(PATIENCE),
            false => remote.complete(PATIENCE),
        })
    });
    while remote.status(PATIENCE).unwrap().role != Role::Standby {
        thread::yield_now();
    }
    let prepared = thread::spawn({
        let remote = remote.clone();
        move || remote.prepare(PATIENCE)
    });
    while remote.status(PATIENCE).unwrap().role != Role::Active {
        thread::yield_now();
    }
    kernel.set_permitted(true);
    let answers = waiting.map(|waiting| waiting.join().unwrap());
    assert_eq!(answers, [Err(RemoteError::Superseded), Ok(())]);
    prepared.join().unwrap().unwrap();
    remote.stop();
    running.join().unwrap();
}

/// It is no reason to refuse a reload whose other parts count already.
#[test]
fn timeouts_that_the_kernel_refuses_are_set_again() {
    let kernel = MemoryKernel::default();
    let mut runner = runner(&kernel, TEXT).unwrap();
    turn(&mut runner).unwrap();
    let text = format!("global_defs {{\nlvs_timeouts tcp 1000 udp 200\n}}\n{TEXT}");
    runner.reload(&setup(&text)).unwrap();
    kernel.inject(REFUSED);
    let lines = turn(&mut runner).unwrap();
    let failed: Vec<_> = lines.iter().filter(|it| it.starts_with("failed")).collect();
    assert_eq!(failed.len(), 1, "{lines:?}");
    assert!(
        failed[0].starts_with("failed  timeouts: ") && failed[0].ends_with("; tried again"),
        "{lines:?}"
    );
    // Not at once.
    assert_eq!(turn(&mut runner).unwrap(), [""; 0]);
    let (timeouts, due) = runner.timeouts.unwrap();
    assert!(due > runner.now());
    runner.timeouts = Some((timeouts, runner.now()));
    assert_eq!(turn(&mut runner).unwrap(), [""; 0]);
    assert_eq!(runner.timeouts, None);
    let timeouts = other(&kernel).timeouts().unwrap();
    assert_eq!(
        (timeouts.tcp_secs, timeouts.udp_secs),
        (Some(1000), Some(200))
    );
}
