//! What one attempt found out: verdict, code, phase, timing, hints, detail.
//!
//! A probe reports *facts*; what they mean for the health of a destination is decided by the
//! [policy](crate::policy), and what that means for its weight by the [aggregate](crate::aggregate).

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use crate::probe::tls::TlsInfo;

/// What an attempt counts as.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// Counts as a success.
    Pass,
    /// Counts as a success, but the destination asks for no new connections
    /// (HAProxy's *conditional pass*).
    PassNoNew,
    /// Counts as a failure.
    Fail,
    /// Counts as a failure that does not wait for `fall` of them.
    FailNow,
    /// Says nothing about the destination: a local error, or cancelled.
    Neutral,
}

impl Verdict {
    /// `Pass` or `PassNoNew`.
    #[must_use]
    pub const fn is_pass(self) -> bool {
        matches!(self, Self::Pass | Self::PassNoNew)
    }

    /// `Fail` or `FailNow`.
    #[must_use]
    pub const fn is_fail(self) -> bool {
        matches!(self, Self::Fail | Self::FailNow)
    }
}

/// How far the attempt had come.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Phase {
    /// Looking up a name.
    Resolve,
    /// Opening and binding the socket; nothing was sent yet.
    Bind,
    /// Waiting for the transport to be connected.
    Connect,
    /// TLS handshake.
    Tls,
    /// Sending a request.
    Send,
    /// Waiting for or reading a reply.
    Recv,
    /// Comparing the reply with what was expected.
    Match,
    /// Running an external command.
    Process,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Bind => "bind",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::Recv => "recv",
            Self::Match => "match",
            Self::Process => "process",
        })
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal => $verdict:ident, $local:literal;)+) => {
        /// Why an attempt ended as it did, with a stable identifier for logs and metrics.
        ///
        /// [`Display`](fmt::Display) writes the identifier, [`FromStr`] reads it back.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Code {
            /// Every code this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable identifier, such as `timeout_connect`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What the code counts as unless the probe says otherwise.
            #[must_use]
            pub const fn default_verdict(self) -> Verdict {
                match self { $(Self::$name => Verdict::$verdict,)+ }
            }

            /// Whether the fault is on this host, so that
            /// [`OnLocalError`](crate::policy::OnLocalError) applies to a neutral outcome.
            #[must_use]
            pub const fn is_local(self) -> bool {
                match self { $(Self::$name => $local,)+ }
            }
        }
    };
}

codes! {
    /// Everything was as expected.
    Ok = "ok" => Pass, false;
    /// A conditional pass: the destination asks for no new connections.
    OkNoNew = "ok_no_new" => PassNoNew, false;
    /// No socket: EMFILE, ENFILE, ENOBUFS, ENOMEM and the like.
    LocalSocket = "local_socket" => Neutral, true;
    /// The source address, port, device or mark could not be had.
    LocalBind = "local_bind" => Neutral, true;
    /// The local packet filter refused the connection (EPERM, EACCES).
    LocalDenied = "local_denied" => Neutral, true;
    /// No route, or the outgoing device is down; nothing was sent.
    LocalNoRoute = "local_noroute" => Neutral, true;
    /// A name could not be looked up.
    Resolve = "resolve" => Neutral, true;
    /// ECONNREFUSED: a TCP reset, or ICMP port unreachable.
    Refused = "refused" => Fail, false;
    /// The network says the host cannot be reached, or it does not answer ARP or ND.
    Unreachable = "unreachable" => Fail, false;
    /// The connection was reset.
    Reset = "reset" => Fail, false;
    /// Not connected in time.
    TimeoutConnect = "timeout_connect" => Fail, false;
    /// TLS handshake not finished in time.
    TimeoutTls = "timeout_tls" => Fail, false;
    /// Connected, but not finished in time.
    TimeoutIo = "timeout_io" => Fail, false;
    /// TLS alert, or nothing in common.
    TlsHandshake = "tls_handshake" => Fail, false;
    /// Certificate chain, name, validity or pin mismatch.
    TlsVerify = "tls_verify" => Fail, false;
    /// The server wants what our TLS library does not have.
    TlsUnsupported = "tls_unsupported" => Fail, false;
    /// The peer closed before a complete reply.
    EofEarly = "eof_early" => Fail, false;
    /// Malformed or oversized reply.
    Proto = "proto" => Fail, false;
    /// Well-formed reply with an unwanted status.
    Status = "status" => Fail, false;
    /// Digest, pattern, length or answer mismatch.
    Content = "content" => Fail, false;
    /// An explicit temporary refusal.
    Busy = "busy" => Fail, false;
    /// The command's exit code means failure.
    ExitNonzero = "exit_nonzero" => Fail, false;
    /// The command died from a signal this library did not send.
    ExitSignal = "exit_signal" => Fail, false;
    /// The command did not end in time and is being killed.
    TimeoutProc = "timeout_proc" => Fail, false;
    /// The command could not be started. Neutral when this host is short of something,
    /// a failure when the command is missing or not executable.
    Spawn = "spawn" => Fail, true;
    /// Ended by us: reload, shutdown, suspend.
    Cancelled = "cancelled" => Neutral, false;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is no code this version knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown outcome code")]
#[non_exhaustive]
pub struct UnknownCode;

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or(UnknownCode)
    }
}

/// How long the parts of an attempt took, each counted from its start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Timing {
    /// Until the transport was connected.
    pub connect: Option<Duration>,
    /// Until the TLS handshake was finished.
    pub tls: Option<Duration>,
    /// Until the first byte of the reply.
    pub first_byte: Option<Duration>,
    /// Until the outcome was known; the driver puts the time of its report here.
    pub total: Option<Duration>,
}

/// What a check says about the weight of its destination.
///
/// How hints of several checks combine is the business of
/// [`Combine`](crate::aggregate::Combine).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WeightHint {
    /// This weight.
    Absolute(u32),
    /// This many hundredths of the configured weight.
    Percent(u32),
    /// The configured weight plus this.
    Delta(i64),
}

impl fmt::Display for WeightHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(weight) => write!(f, "{weight}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Delta(delta) => write!(f, "{delta:+}"),
        }
    }
}

/// What a source asks for a destination apart from its health: an agent, a file, a person.
///
/// A source holds one vote at most, the last one it gave. Of several sources the strongest counts,
/// [`Maint`](Self::Maint) before [`Drain`](Self::Drain) before [`Ready`](Self::Ready), so that a
/// `Ready` undoes only what its own source asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum AdminHint {
    /// In service.
    Ready,
    /// No new connections; it stays in the table with weight 0.
    Drain,
    /// Out of service, as if it were down.
    Maint,
}

impl fmt::Display for AdminHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        })
    }
}

/// Printable text of at most [`Detail::MAX`] bytes, safe to put into a log.
///
/// Line ends and other control characters become spaces, because much of the text comes from the
/// network or from a script.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct Detail(Box<str>);

impl Detail {
    /// The longest text in bytes; the rest is cut off.
    pub const MAX: usize = 256;

    /// Takes as much of the text as fits.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut kept = String::with_capacity(text.len().min(Self::MAX));
        let blank = |letter: char| letter.is_whitespace() || letter.is_control();
        for letter in text.trim_matches(blank).chars() {
            let letter = if letter.is_control() { ' ' } else { letter };
            if kept.len().saturating_add(letter.len_utf8()) > Self::MAX {
                break;
            }
            kept.push(letter);
        }
        Self(kept.into_boxed_str())
    }

    /// The same for bytes of unknown encoding; what is not UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        // Four bytes for one are the most a character can take, so nothing that fits is lost.
        let start = bytes
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let bytes = bytes.get(start..).unwrap_or_default();
        let bytes = bytes.get(..Self::MAX.saturating_mul(4)).unwrap_or(bytes);
        Self::new(&String::from_utf8_lossy(bytes))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The result of one attempt. Every attempt has exactly one.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// What it counts as.
    pub verdict: Verdict,
    /// Why.
    pub code: Code,
    /// How far the attempt had come.
    pub phase: Phase,
    /// How long it took.
    pub timing: Timing,
    /// What it says about the destination's weight.
    pub weight: Option<WeightHint>,
    /// How many connections the destination wants at most, for its upper threshold: an agent's
    /// `maxconn`. `None` if nothing was said of it.
    pub max_connections: Option<u32>,
    /// What it asks for apart from health; `None` leaves the check's vote as it was.
    pub admin: Option<AdminHint>,
    /// What the TLS handshake led to and how long the server's certificate lasts, if there was one.
    pub tls: Option<Box<TlsInfo>>,
    /// More, for people.
    pub detail: Detail,
    /// The beginning of what an external command wrote, as bytes; empty for other probes.
    pub output: Box<[u8]>,
}

impl Outcome {
    /// An outcome that counts as its code's default.
    #[must_use]
    pub fn new(code: Code, phase: Phase) -> Self {
        Self {
            verdict: code.default_verdict(),
            code,
            phase,
            timing: Timing::default(),
            weight: None,
            max_connections: None,
            admin: None,
            tls: None,
            detail: Detail::default(),
            output: Box::default(),
        }
    }

    /// Counts as something else than the code's default.
    #[must_use]
    pub fn with_verdict(mut self, verdict: Verdict) -> Self {
        self.verdict = verdict;
        self
    }

    /// Adds how long it took.
    #[must_use]
    pub fn with_timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Adds what the check says about the weight.
    #[must_use]
    pub fn with_weight(mut self, weight: WeightHint) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Adds how many connections the destination wants at most.
    #[must_use]
    pub fn with_max_connections(mut self, count: u32) -> Self {
        self.max_connections = Some(count);
        self
    }

    /// Adds what the check asks for apart from health.
    #[must_use]
    pub fn with_admin(mut self, admin: AdminHint) -> Self {
        self.admin = Some(admin);
        self
    }

    /// Adds text for people; see [`Detail`] for what is kept.
    #[must_use]
    pub fn with_detail(mut self, detail: &str) -> Self {
        self.detail = Detail::new(detail);
        self
    }
}

impl fmt::Display for Outcome {
    /// One line for a log: `refused (connect): connection refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code, self.phase)?;
        if let Some(weight) = self.weight {
            write!(f, " weight {weight}")?;
        }
        if let Some(admin) = self.admin {
            write!(f, " {admin}")?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_unique_and_read_back() {
        for code in Code::ALL {
            assert_eq!(code.as_str().parse::<Code>(), Ok(*code));
        }
        assert_eq!("up".parse::<Code>(), Err(UnknownCode));
    }

    #[test]
    fn only_local_errors_and_cancellation_are_neutral() {
        for code in Code::ALL {
            let neutral = code.default_verdict() == Verdict::Neutral;
            let expected = matches!(
                code,
                Code::LocalSocket
                    | Code::LocalBind
                    | Code::LocalDenied
                    | Code::LocalNoRoute
                    | Code::Resolve
                    | Code::Cancelled
            );
            assert_eq!(neutral, expected, "{code}");
        }
        assert_eq!(Code::Ok.default_verdict(), Verdict::Pass);
        assert_eq!(Code::OkNoNew.default_verdict(), Verdict::PassNoNew);
        assert_eq!(Code::Refused.default_verdict(), Verdict::Fail);
    }

    #[test]
    fn detail_is_printable_bounded_and_whole_characters() {
        assert_eq!(Detail::new("  one\ntwo\x1b[0m\0 ").as_str(), "one two [0m");
        let long = "ä".repeat(200);
        let detail = Detail::new(&long);
        assert_eq!(detail.as_str().len(), 256);
        assert!(long.starts_with(detail.as_str()));
        let detail = Detail::new(&format!("x{long}"));
        assert_eq!(detail.as_str().len(), 255);
        assert_eq!(Detail::from_bytes(b"\n\n a\xffb\n").as_str(), "a\u{fffd}b");
    }

    #[test]
    fn stronger_admin_hints_are_greater() {
        assert!(AdminHint::Maint > AdminHint::Drain && AdminHint::Drain > AdminHint::Ready);
    }

    #[test]
    fn outcome_reads_as_one_line() {
        let outcome = Outcome::new(Code::Refused, Phase::Connect).with_detail("sent by the host");
        assert_eq!(outcome.to_string(), "refused (connect): sent by the host");
        let outcome = Outcome::new(Code::Ok, Phase::Process).with_weight(WeightHint::Absolute(8));
        assert_eq!(outcome.to_string(), "ok (process) weight 8");
        let outcome = outcome.with_admin(AdminHint::Drain);
        assert_eq!(outcome.to_string(), "ok (process) weight 8 drain");
        assert_eq!(WeightHint::Delta(3).to_string(), "+3");
        assert_eq!(WeightHint::Percent(50).to_string(), "50%");
    }
}
