//! Ready-made dialogues for well-known servers, over [`TcpProbe`](crate::TcpProbe), and exchanges over
//! UDP, for an [`ExchangeProbe`](super::udp::ExchangeProbe).
//!
//! | Server | Here | Passes when |
//! |---|---|---|
//! | Redis, Valkey | [`redis`], [`redis_key`] | it answers `PING`; a key does not exist |
//! | memcached | [`memcached`] | it tells its version |
//! | IMAP, POP3, FTP | [`imap`], [`pop3`], [`ftp`] | it greets |
//! | MySQL, MariaDB | [`Mysql`] | it greets, or lets a user in |
//! | PostgreSQL | [`Pgsql`] | it asks for a password, or lets a user in |
//! | LDAP | [`Ldap`] | it answers an anonymous bind |
//! | NTP, over UDP | [`Ntp`] | it knows what time it is |
//! | RADIUS, over UDP | `Radius` (feature `radius`) | it answers who knows its secret |
//! | SIP, over UDP | [`Sip`] | it answers `OPTIONS` |
//! | SNMP, over UDP | [`Snmp`] | it tells how long it runs |
//! | QUIC, HTTP/3 | [`Quic`] | it says which versions it speaks |
//!
//! ```
//! use lvs_healthcheck::probe::preset;
//! use lvs_healthcheck::{Target, TcpProbe};
//!
//! let target = Target::new("192.0.2.7:6379".parse()?);
//! let probe = TcpProbe::new(target).with_protocol(preset::redis(Some("secret")));
//!
//! use lvs_healthcheck::probe::udp::ExchangeProbe;
//! let probe = ExchangeProbe::new(Target::new("192.0.2.7:123".parse()?), preset::Ntp::new());
//! # Ok::<_, std::net::AddrParseError>(())
//! ```

mod ldap;
mod mysql;
mod ntp;
mod pgsql;
mod quic;
#[cfg(feature = "radius")]
mod radius;
mod sip;
mod snmp;

pub use self::ldap::Ldap;
pub use self::mysql::Mysql;
pub use self::ntp::Ntp;
pub use self::pgsql::Pgsql;
pub use self::quic::Quic;
#[cfg(feature = "radius")]
pub use self::radius::Radius;
pub use self::sip::Sip;
pub use self::snmp::Snmp;
use super::expect::{Expectation, Matcher, Script};
use crate::outcome::Code;

/// A reply of one line that begins like this.
fn line(start: &str) -> Expectation {
    Expectation::new(Matcher::prefix(start)).by_line()
}

/// Redis, Valkey: answers `PING`, after this password if there is one.
///
/// A server that wants a password and was not given one is alive and passes. One that is still
/// loading its data is [`Busy`](Code::Busy).
pub fn redis(password: Option<&str>) -> Script {
    redis_login(password).send("PING\r\n").expect(
        line("+PONG")
            .or_end(Matcher::prefix("-NOAUTH"), Code::Ok)
            .or_end(Matcher::prefix("-LOADING"), Code::Busy),
    )
}

/// Redis, Valkey: passes as long as this key does *not* exist. So whoever sets the key takes the
/// server out of service; the outcome is then [`Status`](Code::Status).
pub fn redis_key(key: &str, password: Option<&str>) -> Script {
    let ask = format!("*2\r\n$6\r\nEXISTS\r\n${}\r\n{key}\r\n", key.len());
    redis_login(password).send(ask).expect(
        Expectation::new(Matcher::exact(":0"))
            .by_line()
            .or_end(Matcher::exact(":1"), Code::Status)
            .or_end(Matcher::prefix("-LOADING"), Code::Busy),
    )
}

fn redis_login(password: Option<&str>) -> Script {
    let Some(password) = password else {
        return Script::new();
    };
    let login = format!("*2\r\n$4\r\nAUTH\r\n${}\r\n{password}\r\n", password.len());
    let expected = line("+OK").or_end(Matcher::prefix("-LOADING"), Code::Busy);
    Script::new()
        .send(login)
        .expect(expected.with_comment("AUTH"))
}

/// memcached: tells its version.
pub fn memcached() -> Script {
    let script = Script::new().send("version\r\n");
    script.expect(line("VERSION ")).send("quit\r\n")
}

/// IMAP: greets, RFC 3501 §7.1; also with `PREAUTH`.
pub fn imap() -> Script {
    let greeting = line("* OK").or_end(Matcher::prefix("* PREAUTH"), Code::Ok);
    let greeting = greeting.or_end(Matcher::prefix("* BYE"), Code::Busy);
    Script::new().expect(greeting).send("a LOGOUT\r\n")
}

/// POP3: greets, RFC 1939 §4.
pub fn pop3() -> Script {
    Script::new().expect(line("+OK")).send("QUIT\r\n")
}

/// FTP: greets, RFC 959 §5.4; 421 is [`Busy`](Code::Busy).
pub fn ftp() -> Script {
    let greeting = line("220").or_end(Matcher::prefix("421"), Code::Busy);
    Script::new().expect(greeting).send("QUIT\r\n")
}

#[cfg(test)]
mod tests {
    use super::super::dialogue::{Dialogue, Protocol, Turn};
    use super::*;
    use crate::attempt::Attempt;
    use crate::outcome::Outcome;
    use crate::policy::Health;

    /// Has a server say these, one after each time it is spoken to, and gives the outcome.
    fn outcome(script: &Script, says: &[&str]) -> Outcome {
        let second = core::time::Duration::from_secs(1);
        let attempt = Attempt::new(1, second, second, None, Health::Unknown);
        let mut dialogue: Box<dyn Dialogue> = script.dialogue(&attempt);
        let mut turn = dialogue.opened();
        for said in says {
            assert!(matches!(turn, Turn::Listen | Turn::Send(_)), "{turn:?}");
            turn = dialogue.data(said.as_bytes());
        }
        match turn {
            Turn::Done(outcome) | Turn::DoneAfter(_, outcome) => outcome,
            other => panic!("not done: {other:?}"),
        }
    }

    #[test]
    fn every_answer_of_redis_has_its_meaning() {
        for (says, code) in [
            (&["+PONG\r\n"][..], Code::Ok),
            (&["-NOAUTH Authentication required.\r\n"], Code::Ok),
            (&["-LOADING Redis is loading\r\n"], Code::Busy),
            (&["-ERR what\r\n"], Code::Content),
        ] {
            assert_eq!(outcome(&redis(None), says).code, code, "{says:?}");
        }
        assert_eq!(
            outcome(&redis(Some("p")), &["+OK\r\n", "+PONG\r\n"]).code,
            Code::Ok
        );
        let wrong = outcome(&redis(Some("p")), &["-WRONGPASS no\r\n"]);
        assert_eq!(wrong.code, Code::Content);
        assert!(wrong.detail.as_str().starts_with("step 2: AUTH: expected"));
    }

    #[test]
    fn key_in_redis_is_a_flag() {
        assert_eq!(
            outcome(&redis_key("down", None), &[":0\r\n"]).code,
            Code::Ok
        );
        assert_eq!(
            outcome(&redis_key("down", None), &[":1\r\n"]).code,
            Code::Status
        );
        assert_eq!(
            outcome(&redis_key("down", None), &[":10\r\n"]).code,
            Code::Content
        );
    }

    #[test]
    fn greetings_are_told_from_refusals() {
        for (script, says, code) in [
            (memcached(), "VERSION 1.6\r\n", Code::Ok),
            (memcached(), "ERROR\r\n", Code::Content),
            (imap(), "* OK ready\r\n", Code::Ok),
            (imap(), "* PREAUTH ready\r\n", Code::Ok),
            (imap(), "* BYE full\r\n", Code::Busy),
            (pop3(), "+OK ready\r\n", Code::Ok),
            (pop3(), "-ERR no\r\n", Code::Content),
            (ftp(), "220 ready\r\n", Code::Ok),
            (ftp(), "220-first\r\n", Code::Ok),
            (ftp(), "421 full\r\n", Code::Busy),
            (ftp(), "530 no\r\n", Code::Content),
        ] {
            assert_eq!(outcome(&script, &[says]).code, code, "{says:?}");
        }
    }
}
