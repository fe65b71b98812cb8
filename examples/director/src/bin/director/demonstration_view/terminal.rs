//! The terminal: another screen and keys without Enter, given back however the program ends.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::panic;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use director::canvas::{ENTER, LEAVE};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::getpgrp;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcgetwinsize,
    tcsetattr,
};

/// What is to be given back; who takes it out gives it back. There is one terminal.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

/// The terminal as it was.
struct Taken {
    /// Of standard input, if keys are read.
    modes: Option<Termios>,
}

/// A terminal that is taken until this is dropped, or the program panics.
#[derive(Debug)]
pub(crate) struct Terminal {
    has_keys: bool,
}

/// Whether standard output is a terminal that this program may use: one in the background may not.
pub(crate) fn is_there() -> bool {
    let out = io::stdout();
    out.is_terminal() && tcgetpgrp(out).is_ok_and(|group| group == getpgrp())
}

impl Terminal {
    /// Takes it.
    pub(crate) fn take() -> io::Result<Self> {
        let input = io::stdin();
        let modes = match input.is_terminal() {
            true => Some(tcgetattr(&input)?),
            false => None,
        };
        let has_keys = modes.is_some();
        if let Some(modes) = &modes {
            let mut keys = modes.clone();
            keys.local_modes
                .remove(LocalModes::ICANON | LocalModes::ECHO);
            keys.special_codes[SpecialCodeIndex::VMIN] = 1;
            keys.special_codes[SpecialCodeIndex::VTIME] = 0;
            // These would leave the terminal as it is; Ctrl-C does not.
            keys.special_codes[SpecialCodeIndex::VSUSP] = 0;
            keys.special_codes[SpecialCodeIndex::VQUIT] = 0;
            tcsetattr(&input, OptionalActions::Now, &keys)?;
        }
        *lock() = Some(Taken { modes });
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // Else what it says would go with the screen.
            give_back();
            report(info);
        }));
        let terminal = Self { has_keys };
        terminal.write(ENTER)?;
        Ok(terminal)
    }

    /// Writes to it, unless it was given back by a panic elsewhere.
    #[expect(clippy::unused_self, reason = "who has it may write to it")]
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        if lock().is_none() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    }

    /// Lines and columns.
    #[expect(clippy::unused_self, reason = "who has it may ask it")]
    pub(crate) fn size(&self) -> (usize, usize) {
        match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_row > 0 => (size.ws_row.into(), size.ws_col.into()),
            _ => (24, 80),
        }
    }

    /// What becomes readable with a key.
    pub(crate) fn input(&self) -> Option<BorrowedFd<'_>> {
        /// Standard input stays open as long as the program runs.
        static INPUT: LazyLock<io::Stdin> = LazyLock::new(io::stdin);
        self.has_keys.then(|| INPUT.as_fd())
    }

    /// Keys that were pressed, without waiting; `None` when nobody can press any more.
    pub(crate) fn keys(&mut self) -> Option<Vec<u8>> {
        let mut keys = Vec::new();
        while self.has_keys && is_readable(self.input()?) {
            let mut bytes = [0; 64];
            match io::stdin().lock().read(&mut bytes) {
                Ok(count @ 1..) => keys.extend_from_slice(bytes.get(..count).unwrap_or_default()),
                // The terminal is gone.
                _ => return None,
            }
        }
        Some(keys)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

fn is_readable(input: BorrowedFd<'_>) -> bool {
    let mut descriptors = [PollFd::new(input, PollFlags::POLLIN)];
    poll(&mut descriptors, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

fn give_back() {
    let Some(taken) = lock().take() else {
        return;
    };
    // Who cannot see it needs it no more.
    let mut out = io::stdout().lock();
    let _ = out.write_all(LEAVE.as_bytes()).and_then(|()| out.flush());
    if let Some(modes) = taken.modes {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &modes);
    }
}

fn lock() -> MutexGuard<'static, Option<Taken>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::{Command, Stdio};

    use super::*;

    const PANICKING: &str = "demonstration_view::terminal::tests::panics_with_the_terminal";

    /// Not a test of its own: what the next one runs.
    #[test]
    #[ignore = "panics; run by the test beside it"]
    fn panics_with_the_terminal() {
        if env::var_os("PANICS").is_some() {
            let _terminal = Terminal::take().unwrap();
            panic!("as asked for");
        }
    }

    #[test]
    #[ignore = "needs script, of util-linux"]
    fn a_panic_gives_the_terminal_back_before_it_speaks() {
        let program = env::current_exe().unwrap();
        let program = program.display();
        let line = format!(
            "PANICS=1 {program} --ignored --nocapture --exact {PANICKING}; stty -a | tr '\n' ' '"
        );
        let output = Command::new("script")
            .args(["--quiet", "--command", &line, "/dev/null"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        let (_, screen) = shown.split_once(ENTER).unwrap();
        let (_, after) = screen.split_once(LEAVE).unwrap();
        assert!(after.contains("as asked for"), "{shown:?}");
        assert!(
            after.contains(" icanon ") && after.contains(" echo "),
            "{shown:?}"
        );
    }
}
