//! Starting an external command: the only file of this crate with unsafe code.
//!
//! See [`command`](crate::probe::command) for what a command gets. Everything that can be left to
//! the standard library is: pipes, process group, directory, environment, and telling the parent
//! why executing failed. What remains runs in the child between `fork` and `exec`, where only
//! async-signal-safe calls are allowed.

#![expect(unsafe_code, reason = "pre_exec and a query of a signal's disposition")]

use core::mem::MaybeUninit;
use core::ptr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command as StdCommand, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use crate::probe::command::{Command, Credentials, Environment};

/// Variables that an inherited environment loses.
const UNSAFE_VARIABLES: [&str; 3] = ["IFS", "LD_PRELOAD", "LD_LIBRARY_PATH"];

/// Starts a command in a process group of its own. The pipe gives its output.
///
/// Returns when the program is being executed, or with the reason why it is not.
pub(super) fn spawn(command: &Command) -> io::Result<(Child, OwnedFd)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let (program, arguments) = command
        .arguments()
        .split_first()
        .ok_or(io::ErrorKind::InvalidInput)?;
    let mut child = StdCommand::new(program);
    child
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .current_dir("/")
        .process_group(0);
    match command.environment() {
        Environment::Clean { path } => {
            child.env_clear().env("PATH", path);
        }
        Environment::Inherit => {
            for name in UNSAFE_VARIABLES {
                child.env_remove(name);
            }
        }
    }
    child.envs(command.variables());
    let credentials = command.credentials().cloned();
    let gains_privileges = command.gains_privileges();
    let prepare = move || prepare(credentials.as_ref(), gains_privileges);
    // SAFETY: `prepare` runs in the child after `fork`, where another thread of the parent may
    // have held any lock. It only calls async-signal-safe functions, listed there, allocates and
    // frees nothing (`credentials` was cloned before and is only read), and cannot panic.
    unsafe { child.pre_exec(prepare) };
    Ok((child.spawn()?, reader))
}

/// What happens in the child just before `exec`; async-signal-safe.
///
/// Calls: `sigaction`, `sigprocmask`, `umask`, `sched_getscheduler`, `sched_setscheduler`,
/// `setpriority`, `close_range`, `setgroups`, `setgid`, `setuid`, `prctl`. Each is one system call
/// without locks or allocation (`set*id` in glibc address other threads too, and a child of `fork`
/// has none).
fn prepare(credentials: Option<&Credentials>, gains_privileges: bool) -> io::Result<()> {
    reset_signals();
    // SAFETY: takes and returns plain numbers.
    unsafe { libc::umask(0o022) };
    reset_scheduling();
    close_descriptors_on_exec()?;
    if let Some(credentials) = credentials {
        become_user(credentials)?;
    }
    if gains_privileges {
        return Ok(());
    }
    // SAFETY: this request takes plain numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

/// Handlers are lost by `exec` anyway, but ignored and blocked signals would stay so.
fn reset_signals() {
    // SAFETY: `sigaction` is a C struct for which all bits zero is valid: SIG_DFL, no flags, no
    // mask.
    let default: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    for signal in 1..=64 {
        // SAFETY: reads a valid struct and writes nowhere. Numbers that may not be changed are
        // refused with EINVAL, which does no harm.
        unsafe { libc::sigaction(signal, &raw const default, ptr::null_mut()) };
    }
    // SAFETY: all bits zero is the empty set on Linux; the call reads it and writes nowhere.
    unsafe {
        let none: libc::sigset_t = MaybeUninit::zeroed().assume_init();
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// A real-time caller must not have its checks starve the machine.
fn reset_scheduling() {
    // SAFETY: these take plain numbers and read one initialised struct. Failure leaves the
    // child as it was, which is allowed.
    unsafe {
        let policy = libc::sched_getscheduler(0);
        if policy & !libc::SCHED_RESET_ON_FORK == libc::SCHED_FIFO
            || policy & !libc::SCHED_RESET_ON_FORK == libc::SCHED_RR
        {
            let parameters: libc::sched_param = MaybeUninit::zeroed().assume_init();
            libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const parameters);
            libc::setpriority(libc::PRIO_PROCESS, 0, 0);
        }
    }
}

/// Marks every descriptor above standard error to be closed by `exec`, whoever opened it.
fn close_descriptors_on_exec() -> io::Result<()> {
    // SAFETY: takes plain numbers only, and only sets a flag: the pipe by which the standard
    // library reports a failing `exec` stays open until then. Linux 5.11 (the flag) or later.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3_u32,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Groups first: a user without privileges may not change them any more.
fn become_user(credentials: &Credentials) -> io::Result<()> {
    let groups = &credentials.groups;
    // SAFETY: reads as many elements as the slice has.
    check(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
    // SAFETY: takes a plain number.
    check(unsafe { libc::setgid(credentials.gid) })?;
    // SAFETY: takes a plain number.
    check(unsafe { libc::setuid(credentials.uid) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Whether this process has told the kernel to throw away how children ended.
pub(super) fn child_status_is_lost() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null first struct asks without changing; the second is valid for writing.
    let result = unsafe { libc::sigaction(libc::SIGCHLD, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: the struct was zeroed, which is valid, and possibly overwritten by the kernel.
    let action = unsafe { action.assume_init() };
    result == 0
        && (action.sa_sigaction == libc::SIG_IGN || action.sa_flags & libc::SA_NOCLDWAIT != 0)
}
