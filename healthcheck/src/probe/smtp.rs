//! SMTP: the server greets, knows us by name, and lets us go.
//!
//! The dialogue of RFC 5321 up to the point where mail would begin: the greeting is awaited in full
//! before anything is said (servers punish those who talk early), then `EHLO` or `HELO`, perhaps
//! `STARTTLS` and `EHLO` again, then `QUIT`.

mod reply;

use std::fs;

use self::reply::{Reader, Reply};
use super::dialogue::{Dialogue, Protocol, Turn};
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Detail, Outcome, Phase};
use crate::probe::Identity;

/// keepalived's default name.
const KEEPALIVED: &str = "smtpchecker.keepalived.org";

/// A mail server's willingness to talk, over [`TcpProbe`](crate::TcpProbe).
///
/// | Step | Passes | Otherwise |
/// |---|---|---|
/// | greeting | 220 | 421: [`Busy`](Code::Busy); another code: [`Status`](Code::Status) |
/// | `EHLO`, and `HELO` after a 5xx | 250 | the same |
/// | `STARTTLS` | 220 | the same |
/// | `QUIT` | anything, the end, and no answer in time | |
///
/// What is no reply at all is [`Proto`](Code::Proto).
///
/// ```
/// use lvs_healthcheck::probe::smtp::Smtp;
/// use lvs_healthcheck::{Target, TcpProbe};
///
/// let target = Target::new("192.0.2.7:25".parse()?);
/// let probe = TcpProbe::new(target).with_protocol(Smtp::new().with_name("lb.example.org"));
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct Smtp {
    name: Option<Box<str>>,
    hello: Hello,
    one_line: bool,
    any_success: bool,
    start_tls: bool,
}

/// How the client says who it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Hello {
    /// `EHLO`, then `HELO` if the server does not know that.
    EhloOrHelo,
    /// `EHLO` only.
    Ehlo,
    /// `HELO` only.
    Helo,
}

impl Default for Smtp {
    fn default() -> Self {
        Self::new()
    }
}

impl Smtp {
    /// `EHLO` with the name of this host.
    pub const fn new() -> Self {
        Self {
            name: None,
            hello: Hello::EhloOrHelo,
            one_line: false,
            any_success: false,
            start_tls: false,
        }
    }

    /// As keepalived's `SMTP_CHECK`: `HELO smtpchecker.keepalived.org`, and greeting and answer
    /// must be of one line each.
    pub fn keepalived() -> Self {
        Self {
            name: Some(KEEPALIVED.into()),
            hello: Hello::Helo,
            one_line: true,
            ..Self::new()
        }
    }

    /// As HAProxy's `option smtpchk`: `HELO localhost`, and every 2xx will do.
    pub fn haproxy() -> Self {
        Self {
            name: Some("localhost".into()),
            hello: Hello::Helo,
            any_success: true,
            ..Self::new()
        }
    }

    /// The name the client gives, keepalived's `helo_name`. Default: this host's as the kernel has it,
    /// or `localhost`.
    ///
    /// That is often a short one; servers that want a full one (RFC 5321 §2.3.5) may refuse it, so
    /// give it where mail servers are strict.
    pub fn with_name(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How the client gives its name. Default [`Hello::EhloOrHelo`].
    pub const fn with_hello(mut self, hello: Hello) -> Self {
        self.hello = hello;
        self
    }

    /// Asks for TLS with `STARTTLS`, and fails without. Default: no.
    ///
    /// How the certificate is judged is a setting of the probe, as for TLS from the beginning.
    #[cfg(feature = "tls")]
    pub const fn with_start_tls(mut self) -> Self {
        self.start_tls = true;
        self
    }
}

impl Protocol for Smtp {
    fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity::of(self))
    }

    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        let name = self
            .name
            .as_deref()
            .map_or_else(host_name, ToOwned::to_owned);
        Box::new(Session {
            smtp: self.clone(),
            name,
            stage: Stage::Greeting,
            secured: false,
            reader: Reader::default(),
        })
    }

    fn validate(&self) -> Result<(), Invalid> {
        let limit = "must be 1 to 255 printable ASCII characters without blanks";
        match &self.name {
            Some(name) if !is_name(name) => Err(Invalid::new("name", format!("{name:?}"), limit)),
            _ => Ok(()),
        }
    }
}

/// Whether a name can be said.
fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// This host's name as a mail server expects it, or `localhost`.
fn host_name() -> String {
    said(&fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default())
}

/// A host's name as it can be said.
fn said(name: &str) -> String {
    let name = name.trim();
    let usable = is_name(name) && name != "(none)";
    if usable { name } else { "localhost" }.to_owned()
}

/// What is awaited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Quit,
}

#[derive(Debug)]
struct Session {
    smtp: Smtp,
    name: String,
    stage: Stage,
    /// Whether TLS has been started.
    secured: bool,
    reader: Reader,
}

impl Session {
    fn hello(&mut self) -> Turn {
        let word = match self.smtp.hello {
            Hello::Helo => "HELO",
            Hello::Ehlo | Hello::EhloOrHelo => "EHLO",
        };
        self.stage = if word == "HELO" {
            Stage::Helo
        } else {
            Stage::Ehlo
        };
        Turn::Send(format!("{word} {}\r\n", self.name).into_bytes())
    }

    fn quit(&mut self) -> Turn {
        self.stage = Stage::Quit;
        Turn::Send(b"QUIT\r\n".to_vec())
    }

    /// Goes on after a complete reply.
    fn on_reply(&mut self, reply: &Reply) -> Turn {
        if self.stage == Stage::Quit {
            return Turn::Done(passed());
        }
        let wanted = match self.stage {
            Stage::Greeting | Stage::StartTls => 220,
            Stage::Ehlo | Stage::Helo | Stage::Quit => 250,
        };
        let success = self.smtp.any_success && (200..300).contains(&reply.code);
        if self.smtp.one_line && reply.lines > 1 {
            let outcome = Outcome::new(Code::Proto, Phase::Recv);
            let detail = format!("reply of {} lines where one is expected", reply.lines);
            return Turn::Done(outcome.with_detail(&detail));
        }
        if reply.code == wanted || success {
            return match self.stage {
                Stage::Greeting => self.hello(),
                Stage::Ehlo | Stage::Helo if self.smtp.start_tls && !self.secured => {
                    self.stage = Stage::StartTls;
                    Turn::Send(b"STARTTLS\r\n".to_vec())
                }
                Stage::StartTls => {
                    self.secured = true;
                    Turn::StartTls
                }
                Stage::Ehlo | Stage::Helo | Stage::Quit => self.quit(),
            };
        }
        let unknown = (500..600).contains(&reply.code);
        if self.stage == Stage::Ehlo && self.smtp.hello == Hello::EhloOrHelo && unknown {
            self.stage = Stage::Helo;
            return Turn::Send(format!("HELO {}\r\n", self.name).into_bytes());
        }
        let code = if reply.code == 421 {
            Code::Busy
        } else {
            Code::Status
        };
        let text = Detail::from_bytes(&reply.text);
        let detail = format!(
            "{}: expected {wanted}, got {} {text}",
            self.step(),
            reply.code
        );
        Turn::Done(Outcome::new(code, Phase::Match).with_detail(&detail))
    }

    const fn step(&self) -> &'static str {
        match self.stage {
            Stage::Greeting => "greeting",
            Stage::Ehlo => "EHLO",
            Stage::Helo => "HELO",
            Stage::StartTls => "STARTTLS",
            Stage::Quit => "QUIT",
        }
    }
}

fn passed() -> Outcome {
    Outcome::new(Code::Ok, Phase::Match)
}

impl Dialogue for Session {
    fn opened(&mut self) -> Turn {
        if self.secured {
            return self.hello();
        }
        Turn::Listen
    }

    fn data(&mut self, bytes: &[u8]) -> Turn {
        let mut turn = Turn::Listen;
        for byte in bytes {
            let outcome = match (&turn, self.reader.take(*byte)) {
                (_, Err(reason)) => Outcome::new(Code::Proto, Phase::Recv).with_detail(reason),
                (Turn::Listen, Ok(Some(reply))) => {
                    turn = self.on_reply(&reply);
                    if matches!(turn, Turn::Done(_)) {
                        return turn;
                    }
                    continue;
                }
                (Turn::Listen, Ok(None)) => continue,
                // We have not answered yet, and what follows an agreement to start TLS is not
                // protected by it.
                _ => Outcome::new(Code::Proto, Phase::Recv)
                    .with_detail("the server speaks out of turn"),
            };
            return Turn::Done(outcome);
        }
        turn
    }

    fn eof(&mut self, _orderly: bool) -> Turn {
        if self.stage == Stage::Quit {
            return Turn::Done(passed());
        }
        let outcome = Outcome::new(Code::EofEarly, Phase::Recv);
        Turn::Done(outcome.with_detail(&format!("closed by the server before {}", self.step())))
    }

    fn broken(&mut self, outcome: Outcome) -> Turn {
        if self.stage == Stage::Quit {
            return Turn::Done(passed());
        }
        Turn::Done(outcome)
    }

    fn expired(&mut self) -> Outcome {
        if self.stage == Stage::Quit {
            return passed();
        }
        let waiting = format!("waiting for the reply to {}", self.step());
        Outcome::new(Code::TimeoutIo, Phase::Recv).with_detail(&waiting)
    }
}

#[cfg(test)]
mod tests;
