//! The start of a session with MySQL or MariaDB, protocol 10.

use super::super::dialogue::{Dialogue, Protocol, Turn};
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Detail, Outcome, Phase};
use crate::probe::Identity;

/// The longest packet that is taken.
const LIMIT: usize = 16 * 1024;

/// Length and number in front of every packet.
const HEADER: usize = 4;

/// Protocol version of all servers since 3.21.
const PROTOCOL: u8 = 10;

/// First byte of a packet.
const OK: u8 = 0;
const OTHER_METHOD: u8 = 0xfe;
const ERROR: u8 = 0xff;

/// `CLIENT_LONG_PASSWORD`, `CLIENT_PROTOCOL_41`, `CLIENT_SECURE_CONNECTION`.
const CAPABILITIES: u32 = 0x0001 | 0x0200 | 0x8000;

/// `utf8_general_ci`, which every version knows.
const CHARACTERS: u8 = 33;

/// A packet numbered 0 with the command `COM_QUIT`.
const QUIT: [u8; 5] = [1, 0, 0, 0, 1];

/// MySQL, MariaDB: greets; with a user, lets it in.
///
/// A server counts connections that end after the greeting, and blocks a host that has too many
/// (`max_connect_errors`): give a user without password and rights, as HAProxy's `mysql-check`
/// wants it.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[must_use]
pub struct Mysql {
    user: Option<Box<str>>,
}

impl Mysql {
    /// Wants the greeting only.
    pub const fn new() -> Self {
        Self { user: None }
    }

    /// Logs in as this user, without password, and takes its leave.
    pub fn with_user(mut self, user: &str) -> Self {
        self.user = Some(user.into());
        self
    }
}

impl Protocol for Mysql {
    fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity::of(self))
    }

    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(Session {
            user: self.user.clone(),
            stage: Stage::Greeting,
            heard: Vec::new(),
        })
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.user.as_deref().map_or(Ok(()), check_user)
    }
}

/// Refuses a name that would break a message.
pub(super) fn check_user(user: &str) -> Result<(), Invalid> {
    if user.is_empty() || user.len() > 255 || user.contains('\0') {
        let limit = "must be 1 to 255 bytes without NUL";
        return Err(Invalid::new("user", format!("{user:?}"), limit));
    }
    Ok(())
}

/// What is awaited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Greeting,
    /// The answer to the login.
    Login,
    /// The answer to the proof by another method.
    Method,
}

#[derive(Debug)]
struct Session {
    user: Option<Box<str>>,
    stage: Stage,
    heard: Vec<u8>,
}

impl Session {
    /// What a complete packet of this number leads to.
    fn on_packet(&mut self, number: u8, packet: &[u8]) -> Turn {
        match (self.stage, packet.first(), &self.user) {
            (_, Some(&ERROR), _) => {
                // Error number, then text, which may begin with a state of six characters.
                let number = packet.get(1..3).and_then(|bytes| bytes.try_into().ok());
                let number = number.map_or(0, u16::from_le_bytes);
                let text = packet.get(3..).unwrap_or_default();
                let text = if text.first() == Some(&b'#') {
                    text.get(6..).unwrap_or_default()
                } else {
                    text
                };
                let detail = format!("error {number}: {}", Detail::from_bytes(text));
                Turn::Done(Outcome::new(Code::Status, Phase::Match).with_detail(&detail))
            }
            (Stage::Greeting, Some(&PROTOCOL), None) => Turn::Done(passed()),
            (Stage::Greeting, Some(&PROTOCOL), Some(user)) => {
                let login = login(user);
                self.stage = Stage::Login;
                Turn::Send(login)
            }
            (Stage::Login | Stage::Method, Some(&OK), _) => {
                Turn::DoneAfter(QUIT.to_vec(), passed())
            }
            (Stage::Login, Some(&OTHER_METHOD), _) => {
                self.stage = Stage::Method;
                Turn::Send(no_password(number.wrapping_add(1), packet))
            }
            _ => Turn::Done(no_mysql()),
        }
    }
}

fn passed() -> Outcome {
    Outcome::new(Code::Ok, Phase::Match)
}

fn no_mysql() -> Outcome {
    Outcome::new(Code::Proto, Phase::Recv).with_detail("not a MySQL server of protocol 10")
}

/// Packet 1: a login without password.
fn login(user: &str) -> Vec<u8> {
    let mut body = CAPABILITIES.to_le_bytes().to_vec();
    // The longest packet we would take.
    body.extend_from_slice(&(1_u32 << 24).to_le_bytes());
    body.push(CHARACTERS);
    body.extend_from_slice(&[0; 23]);
    body.extend_from_slice(user.as_bytes());
    // The end of the name, and a password of no bytes.
    body.extend_from_slice(&[0, 0]);
    let length = u32::try_from(body.len()).unwrap_or_default().to_le_bytes();
    let [low, middle, high, _] = length;
    [&[low, middle, high, 1][..], &body].concat()
}

/// The proof of having no password, by the method the server names.
fn no_password(number: u8, packet: &[u8]) -> Vec<u8> {
    // The old method takes no bytes for that, the ones after it an empty string.
    if packet
        .get(1..)
        .unwrap_or_default()
        .starts_with(b"mysql_native_password\0")
    {
        vec![0, 0, 0, number]
    } else {
        vec![1, 0, 0, number, 0]
    }
}

impl Dialogue for Session {
    fn opened(&mut self) -> Turn {
        Turn::Listen
    }

    fn data(&mut self, bytes: &[u8]) -> Turn {
        let room = LIMIT.saturating_sub(self.heard.len());
        self.heard
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        let Some([low, middle, high, number]) = self.heard.get(..HEADER) else {
            return Turn::Listen;
        };
        let number = *number;
        let length = u32::from_le_bytes([*low, *middle, *high, 0]);
        let end = usize::try_from(length)
            .unwrap_or(LIMIT)
            .saturating_add(HEADER);
        if end > LIMIT || end == HEADER {
            return Turn::Done(no_mysql());
        }
        let Some(packet) = self.heard.get(HEADER..end) else {
            return Turn::Listen;
        };
        let packet = packet.to_vec();
        self.heard.drain(..end);
        self.on_packet(number, &packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Health;

    /// Has a server send these packets, byte by byte; gives what was said to it, and the outcome.
    fn talk(mysql: &Mysql, packets: &[&[u8]]) -> (Vec<Vec<u8>>, Outcome) {
        let second = core::time::Duration::from_secs(1);
        let attempt = Attempt::new(1, second, second, None, Health::Unknown);
        let mut dialogue = mysql.dialogue(&attempt);
        let mut said = Vec::new();
        for packet in packets {
            let length = u8::try_from(packet.len()).unwrap();
            for byte in [&[length, 0, 0, 0], *packet].concat() {
                match dialogue.data(&[byte]) {
                    Turn::Listen => {}
                    Turn::Send(bytes) => said.push(bytes),
                    Turn::Done(outcome) => return (said, outcome),
                    Turn::DoneAfter(bytes, outcome) => {
                        said.push(bytes);
                        return (said, outcome);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        panic!("not done after {said:?}")
    }

    #[test]
    fn greeting_passes_and_an_error_tells_its_text() {
        assert_eq!(talk(&Mysql::new(), &[b"\x0a8.0\0..."]).1.code, Code::Ok);
        let (_, blocked) = talk(&Mysql::new(), &[b"\xff\x69\x04Host is blocked"]);
        assert_eq!(blocked.code, Code::Status);
        assert_eq!(blocked.detail.as_str(), "error 1129: Host is blocked");
        assert_eq!(talk(&Mysql::new(), &[b"\x09old"]).1.code, Code::Proto);
        assert_eq!(
            talk(&Mysql::new(), &[b"\0"]).1.code,
            Code::Proto,
            "too early"
        );
    }

    #[test]
    fn user_logs_in_and_takes_its_leave() {
        let mysql = Mysql::new().with_user("us");
        let (said, outcome) = talk(&mysql, &[b"\x0a8.0\0...", b"\0\0\0\x02\0\0\0"]);
        assert_eq!(outcome.code, Code::Ok);
        let login = said.first().unwrap();
        assert_eq!(login.get(..4).unwrap(), [36, 0, 0, 1], "length and number");
        assert_eq!(login.len(), 40);
        assert!(login.ends_with(b"us\0\0"));
        assert_eq!(said.last().unwrap(), &QUIT);

        let greeting = &b"\x0a8.0\0..."[..];
        for (method, proof) in [
            (&b"\xfemysql_native_password\0salt"[..], &[0, 0, 0, 1][..]),
            (b"\xfecaching_sha2_password\0salt", &[1, 0, 0, 1, 0]),
        ] {
            let (said, outcome) = talk(&mysql, &[greeting, method, b"\0\0\0\x02\0\0\0"]);
            assert_eq!(outcome.code, Code::Ok);
            assert_eq!(said.get(1).unwrap(), proof);
            assert_eq!(
                talk(&mysql, &[greeting, method, method]).1.code,
                Code::Proto
            );
        }
        let denied = b"\xff\x15\x04#28000Access denied";
        let (_, denied) = talk(&mysql, &[b"\x0a8.0\0...", denied]);
        assert_eq!(denied.detail.as_str(), "error 1045: Access denied");
    }

    #[test]
    fn other_servers_are_told_by_their_impossible_lengths() {
        let second = core::time::Duration::from_secs(1);
        let attempt = Attempt::new(1, second, second, None, Health::Unknown);
        let mut dialogue = Mysql::new().dialogue(&attempt);
        let turn = dialogue.data(b"SSH-2.0-OpenSSH");
        assert!(matches!(turn, Turn::Done(outcome) if outcome.code == Code::Proto));
    }

    #[test]
    fn user_that_would_break_the_message_is_refused() {
        let refused = Mysql::new().with_user("a\0").validate().unwrap_err();
        assert_eq!(refused.field, "user");
        assert_eq!(Mysql::new().validate(), Ok(()));
    }
}
