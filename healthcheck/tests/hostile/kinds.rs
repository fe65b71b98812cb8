//! The rows of the table: each probe, and what its server has to say.

use core::net::SocketAddr;

use lvs_healthcheck::probe::agent::Agent;
use lvs_healthcheck::probe::dns::{DnsProbe, RecordType};
use lvs_healthcheck::probe::expect::{Expectation, Matcher, Script};
use lvs_healthcheck::probe::http::Http;
use lvs_healthcheck::probe::preset::{self, Ldap, Mysql, Pgsql};
use lvs_healthcheck::probe::smtp::Smtp;
use lvs_healthcheck::probe::tls::{Tls, Verify};
use lvs_healthcheck::probe::udp::{Reply, UdpProbe};
use lvs_healthcheck::probe::{FnProbe, Protocol};
use lvs_healthcheck::{Check, Command, CommandProbe, Policy, Target, TcpProbe};

use super::asking;
use super::manner::{Layer, Talk};
use super::server::{Datagrams, Speech};

/// A probe, and how its server is spoken to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) speech: Speech,
    pub(super) check: fn(SocketAddr, Policy) -> Check,
}

/// A server that speaks plain text, and first.
const FIRST: Talk = Talk {
    layer: Layer::Plain,
    first: true,
    before: &[],
    answer: |_| b"well, never\n".to_vec(),
    after: &[],
    endless: (b"", b"well\n"),
    line: (b"", b'x'),
};

/// One that is asked.
const ASKED: Talk = Talk {
    first: false,
    ..FIRST
};

const HTTP: Talk = Talk {
    answer: |_| b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nnever".to_vec(),
    endless: (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    line: (b"HTTP/1.1 200 ", b'x'),
    ..ASKED
};

/// One whose body matters; half an answer ends in it.
const BODY: Talk = Talk {
    answer: |_| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 105\r\n\r\n";
        [&head[..], &[b'x'; 100], b"never"].concat()
    },
    line: (b"HTTP/1.1 200 OK\r\nA: ", b'x'),
    ..HTTP
};

/// One that shakes hands: an answer is the beginning of a server hello, what never ends a record.
const HANDSHAKE: Talk = Talk {
    layer: Layer::Handshake,
    answer: |_| b"\x16\x03\x03\x00\x5a\x02\x00\x00\x56\x03\x03\x11\x22\x33".to_vec(),
    endless: (b"", b"\x16\x03\x03\x00\x04\x0e\x00\x00\x00"),
    line: (b"\x16\x03\x03\xff\xff", b'x'),
    ..ASKED
};

const GREETING: &[u8] = b"\x15\0\0\0\x0a8.0.36\0\x07\0\0\0saltsalt\0";

const DNS: Talk = Talk {
    answer: |question| with_length(&answer(question.get(2..).unwrap_or_default())),
    // A message that answers nothing.
    endless: (b"", b"\0\x0c\x12\x34\0\0\0\0\0\0\0\0\0\0"),
    line: (b"\xff\xff", b'x'),
    ..ASKED
};

/// All but those that need a runtime.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "tcp",
        speech: Speech::Tcp(FIRST),
        check: |at, policy| Check::new(TcpProbe::new(Target::new(at)), policy),
    },
    Kind {
        name: "expect",
        speech: Speech::Tcp(FIRST),
        check: |at, policy| {
            let never = Expectation::new(Matcher::contains("never"));
            tcp(at, policy, Script::new().expect(never))
        },
    },
    Kind {
        name: "http",
        speech: Speech::Tcp(HTTP),
        check: |at, policy| tcp(at, policy, Http::get("/")),
    },
    Kind {
        name: "http-body",
        speech: Speech::Tcp(BODY),
        check: |at, policy| tcp(at, policy, Http::get("/").with_body_contains("never")),
    },
    Kind {
        name: "https-body",
        speech: Speech::Tcp(Talk {
            layer: Layer::Within,
            ..BODY
        }),
        check: |at, policy| {
            let http = Http::get("/").with_body_contains("never");
            let probe = TcpProbe::new(Target::new(at)).with_tls(tls());
            Check::new(probe.with_protocol(http), policy)
        },
    },
    Kind {
        name: "tls",
        speech: Speech::Tcp(HANDSHAKE),
        check: |at, policy| Check::new(TcpProbe::new(Target::new(at)).with_tls(tls()), policy),
    },
    Kind {
        name: "smtp",
        speech: Speech::Tcp(Talk {
            answer: |_| b"220 a.test ESMTP\r\n".to_vec(),
            after: &[b"250 a.test\r\n", b"221 bye\r\n"],
            endless: (b"", b"220-a.test\r\n"),
            line: (b"220 ", b'x'),
            ..FIRST
        }),
        check: |at, policy| tcp(at, policy, Smtp::new()),
    },
    Kind {
        name: "starttls",
        speech: Speech::Tcp(Talk {
            first: true,
            before: &[
                b"220 a.test\r\n",
                b"250-a.test\r\n250 STARTTLS\r\n",
                b"220 go\r\n",
            ],
            after: &[b"250 a.test\r\n", b"221 bye\r\n"],
            ..HANDSHAKE
        }),
        check: |at, policy| {
            let probe = TcpProbe::new(Target::new(at)).with_starttls(tls());
            Check::new(probe.with_protocol(Smtp::new().with_start_tls()), policy)
        },
    },
    Kind {
        name: "agent",
        speech: Speech::Tcp(Talk {
            answer: |_| b"up 50%\n".to_vec(),
            endless: (b"", b"up 50%\n"),
            ..FIRST
        }),
        check: |at, policy| tcp(at, policy, Agent::new()),
    },
    Kind {
        name: "redis",
        speech: Speech::Tcp(Talk {
            answer: |_| b"+PONG\r\n".to_vec(),
            endless: (b"", b"+PONG\r\n"),
            ..ASKED
        }),
        check: |at, policy| tcp(at, policy, preset::redis(None)),
    },
    Kind {
        name: "memcached",
        speech: Speech::Tcp(Talk {
            answer: |_| b"VERSION 1.6.18\r\n".to_vec(),
            endless: (b"", b"VERSION 1\r\n"),
            ..ASKED
        }),
        check: |at, policy| tcp(at, policy, preset::memcached()),
    },
    Kind {
        name: "imap",
        speech: Speech::Tcp(Talk {
            answer: |_| b"* OK ready\r\n".to_vec(),
            endless: (b"", b"* OK ready\r\n"),
            ..FIRST
        }),
        check: |at, policy| tcp(at, policy, preset::imap()),
    },
    Kind {
        name: "pop3",
        speech: Speech::Tcp(Talk {
            answer: |_| b"+OK ready\r\n".to_vec(),
            endless: (b"", b"+OK ready\r\n"),
            ..FIRST
        }),
        check: |at, policy| tcp(at, policy, preset::pop3()),
    },
    Kind {
        name: "ftp",
        speech: Speech::Tcp(Talk {
            answer: |_| b"220 ready\r\n".to_vec(),
            endless: (b"", b"220-more\r\n"),
            ..FIRST
        }),
        check: |at, policy| tcp(at, policy, preset::ftp()),
    },
    Kind {
        name: "mysql",
        speech: Speech::Tcp(Talk {
            answer: |_| GREETING.to_vec(),
            endless: (b"", GREETING),
            line: (b"\xff\xff\xff\0", b'x'),
            ..FIRST
        }),
        check: |at, policy| tcp(at, policy, Mysql::new()),
    },
    Kind {
        name: "mysql-login",
        speech: Speech::Tcp(Talk {
            before: &[GREETING],
            answer: |_| b"\x07\0\0\x02\0\0\0\x02\0\0\0".to_vec(),
            // More data for a method of authentication that was not agreed upon.
            endless: (b"", b"\x01\0\0\x02\x01"),
            line: (b"\xff\xff\xff\x02", b'x'),
            ..FIRST
        }),
        check: |at, policy| tcp(at, policy, Mysql::new().with_user("check")),
    },
    Kind {
        name: "pgsql",
        speech: Speech::Tcp(Talk {
            answer: |_| b"R\0\0\0\x08\0\0\0\x03".to_vec(),
            // Parameters, before anybody is authenticated.
            endless: (b"", b"S\0\0\0\x08a\0b\0"),
            // An error of 2 GiB.
            line: (b"E\x7f\xff\xff\xff", b'x'),
            ..ASKED
        }),
        check: |at, policy| tcp(at, policy, Pgsql::new("check")),
    },
    Kind {
        name: "ldap",
        speech: Speech::Tcp(Talk {
            answer: |_| b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0".to_vec(),
            // What a search finds, before any.
            endless: (b"", b"\x30\x05\x02\x01\x01\x64\0"),
            // The number of a message, of 2 GiB.
            line: (b"\x30\x84\x7f\xff\xff\xff\x02\x84\x7f\xff\xff\xff", b'x'),
            ..ASKED
        }),
        check: |at, policy| tcp(at, policy, Ldap::new()),
    },
    Kind {
        name: "dns",
        speech: Speech::Udp(Datagrams {
            answer,
            endless: |_| vec![0x12; 100],
            // The question, and a record without end.
            line: |question| {
                let mut bytes = answer(question);
                bytes.truncate(question.len());
                bytes.resize(65_507, b'x');
                bytes
            },
        }),
        check: |at, policy| Check::new(dns(at), policy),
    },
    Kind {
        name: "dns-tcp",
        speech: Speech::Tcp(DNS),
        check: |at, policy| Check::new(dns(at).with_tcp(), policy),
    },
    Kind {
        name: "dns-again",
        speech: Speech::Truncated(DNS),
        check: |at, policy| Check::new(dns(at), policy),
    },
    Kind {
        name: "udp",
        speech: Speech::Udp(PONG),
        check: |at, policy| Check::new(UdpProbe::new(Target::new(at)), policy),
    },
    Kind {
        name: "udp-reply",
        speech: Speech::Udp(PONG),
        check: |at, policy| {
            let pong = Reply::any().with_matcher(Matcher::exact("pong"));
            Check::new(UdpProbe::new(Target::new(at)).with_reply(pong), policy)
        },
    },
    Kind {
        name: "function",
        speech: Speech::Tcp(WELL),
        check: |at, policy| {
            let probe = FnProbe::new(move |attempt| asking::blocking(at, attempt));
            Check::new(probe, policy)
        },
    },
    Kind {
        name: "command",
        speech: Speech::Tcp(WELL),
        check: |at, policy| {
            let script =
                r#"exec 3<>"/dev/tcp/$0/$1" && read -r -n 100 -u 3 word && [ "$word" = READY ]"#;
            let command = ["-c", script, &at.ip().to_string(), &at.port().to_string()]
                .into_iter()
                .fold(Command::new("/bin/bash"), Command::with_argument);
            Check::new(CommandProbe::new(command), policy)
        },
    },
];

/// Those that run as tasks.
pub(super) const TASK: &[Kind] = &[
    #[cfg(feature = "tokio")]
    Kind {
        name: "task",
        speech: Speech::Tcp(WELL),
        check: |at, policy| {
            let probe = lvs_healthcheck::probe::AsyncProbe::new(move |_| asking::waiting(at));
            Check::new(probe, policy)
        },
    },
];

const PONG: Datagrams = Datagrams {
    answer: |_| b"pong".to_vec(),
    endless: |_| b"no".to_vec(),
    line: |_| vec![b'x'; 65_507],
};

/// What the functions and the command want to hear.
const WELL: Talk = Talk {
    answer: |_| b"READY\n".to_vec(),
    endless: (b"", b"READY\n"),
    ..FIRST
};

fn tcp(at: SocketAddr, policy: Policy, protocol: impl Protocol + 'static) -> Check {
    let probe = TcpProbe::new(Target::new(at)).with_protocol(protocol);
    Check::new(probe, policy)
}

fn tls() -> Tls {
    Tls::new().with_verify(Verify::None)
}

fn dns(at: SocketAddr) -> DnsProbe {
    DnsProbe::new(Target::new(at), "check.test", RecordType::A).with_any_of(["192.0.2.80"])
}

/// The answer to a question: this address.
fn answer(question: &[u8]) -> Vec<u8> {
    let mut answer = question.to_vec();
    if answer.len() > 8 {
        answer[2..4].copy_from_slice(&[0x81, 0x80]);
        answer[7] = 1;
    }
    answer.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x50");
    answer
}

fn with_length(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    [&length[..], message].concat()
}
