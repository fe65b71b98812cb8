//! Commands under way: what they write and how they end is told to their engines.

use nix::unistd::read;

use super::Driver;
use super::run::running_in;
use super::running::{Running, Token};
use crate::check::{CheckEvent, CheckId};
use crate::probe::Event;

/// How much of a command's output is read before others get their turn.
const OUTPUT_TURN: usize = 64 * 1024;

impl Driver {
    pub(super) fn on_process(
        &mut self,
        check: CheckId,
        token: Token,
        events: &mut Vec<CheckEvent>,
    ) {
        // What it wrote before it ended comes first.
        self.on_output(check, token, events);
        let Some(Running {
            child: Some(child), ..
        }) = self.current(token)
        else {
            return;
        };
        let Some(status) = child.status() else { return };
        self.tell(check, Event::ChildExit(status), events);
        // If its attempt has ended it has been reaped with it. Until then it was a zombie, so
        // signals could not go astray.
        if self.current(token).is_none() {
            return;
        }
        if let Some(Running {
            child: Some(child), ..
        }) = running_in(&mut self.entries, check)
        {
            child.reap();
            let _ = self.epoll.delete(child.process());
        }
    }

    pub(super) fn on_output(&mut self, check: CheckId, token: Token, events: &mut Vec<CheckEvent>) {
        let mut buffer = [0; 4096];
        let mut left = OUTPUT_TURN;
        while left > 0 {
            if self.current(token).is_none() {
                return;
            }
            let Some(running) = running_in(&mut self.entries, check) else {
                return;
            };
            let Some(child) = &mut running.child else {
                return;
            };
            let Some(output) = child.output() else { return };
            match read(output, &mut buffer) {
                Ok(0) => {
                    // Taken out of epoll first: a copy that another child of this process holds for
                    // a moment would keep it there.
                    let _ = self.epoll.delete(output);
                    child.close_output();
                    self.tell(check, Event::ChildOutputEnd, events);
                    return;
                }
                Ok(count) => {
                    left = left.saturating_sub(count);
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.tell(check, Event::ChildOutput(bytes), events);
                }
                // Nothing more for now; a pipe has no other errors.
                Err(_) => return,
            }
        }
    }
}
