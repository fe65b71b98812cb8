//! What has to come of every probe against every manner.

use lvs_healthcheck::{Code, Verdict};

use super::manner::Manner;

/// Every cell is the one code it has to end with (specification of codes: [`Code`]), which counts
/// as that code's default, or as neutral where a `~` says so: of an agent only its words count.
///
/// | Column | The server |
/// |---|---|
/// | right | behaves: shows that the other columns fail for what they do |
/// | drip | says the right answer, one byte per second |
/// | endless | begins rightly and goes on in the same form, as fast as it can |
/// | garbage | says what no protocol knows, and waits |
/// | close | closes at once |
/// | reset | resets at once; over UDP: nobody listens; of echo: its host cannot be reached |
/// | silent | never answers |
/// | half | says half of the right answer, and waits |
/// | line | says a line, field or message that never ends, or is larger than any |
/// | full | listens and accepts nothing; its backlog is full |
const TABLE: &str = "
            right   drip          endless        garbage        close         reset    silent        half          line           full
tcp         ok      ok            ok             ok             ok            -        ok            ok            ok             timeout_connect
expect      ok      timeout_io    content        timeout_io     eof_early     reset    timeout_io    timeout_io    content        timeout_connect
http        ok      timeout_io    ok             proto          eof_early     reset    timeout_io    timeout_io    proto          timeout_connect
http-body   ok      timeout_io    content        proto          eof_early     reset    timeout_io    timeout_io    proto          timeout_connect
https-body  ok      timeout_io    content        proto          eof_early     reset    timeout_io    timeout_io    proto          timeout_connect
tls         ok      timeout_tls   tls_handshake  tls_handshake  eof_early     reset    timeout_tls   timeout_tls   tls_handshake  timeout_connect
smtp        ok      timeout_io    proto          proto          eof_early     reset    timeout_io    timeout_io    proto          timeout_connect
starttls    ok      timeout_tls   tls_handshake  tls_handshake  eof_early     reset    timeout_tls   timeout_tls   tls_handshake  timeout_connect
agent       ok      ~timeout_io   ok             ~ok            ~eof_early    ~reset   ~timeout_io   ~timeout_io   ~proto         ~timeout_connect
redis       ok      timeout_io    ok             content        eof_early     reset    timeout_io    timeout_io    content        timeout_connect
memcached   ok      timeout_io    ok             content        eof_early     reset    timeout_io    timeout_io    content        timeout_connect
imap        ok      timeout_io    ok             content        eof_early     reset    timeout_io    timeout_io    content        timeout_connect
pop3        ok      timeout_io    ok             content        eof_early     reset    timeout_io    timeout_io    content        timeout_connect
ftp         ok      timeout_io    ok             content        eof_early     reset    timeout_io    timeout_io    content        timeout_connect
mysql       ok      timeout_io    ok             proto          eof_early     reset    timeout_io    timeout_io    proto          timeout_connect
mysql-login ok      timeout_io    proto          proto          eof_early     reset    timeout_io    timeout_io    proto          timeout_connect
pgsql       ok      timeout_io    proto          proto          eof_early     reset    timeout_io    timeout_io    proto          timeout_connect
ldap        ok      timeout_io    proto          proto          eof_early     reset    timeout_io    timeout_io    proto          timeout_connect
dns         ok      timeout_io    timeout_io     timeout_io     -             refused  timeout_io    timeout_io    proto          -
dns-tcp     ok      timeout_io    timeout_io     timeout_io     eof_early     reset    timeout_io    timeout_io    timeout_io     timeout_connect
dns-again   ok      timeout_io    timeout_io     timeout_io     eof_early     reset    timeout_io    timeout_io    timeout_io     timeout_connect
udp         ok      ok            ok             ok             -             refused  ok            ok            ok             -
udp-reply   ok      content       content        content        -             refused  timeout_io    content       content        -
icmp        ok      timeout_io    timeout_io     timeout_io     -             unreachable timeout_io timeout_io    ok             -
function    ok      timeout_io    ok             content        eof_early     reset    timeout_io    timeout_io    proto          timeout_io
task        ok      timeout_io    ok             content        eof_early     reset    timeout_io    timeout_io    proto          timeout_io
command     ok      timeout_proc  ok             exit_nonzero   exit_nonzero  exit_nonzero timeout_proc timeout_proc exit_nonzero timeout_proc
";

/// The cells that make no sense, and why.
const NONE: [(&str, Manner, &str); 9] = [
    ("tcp", Manner::Reset, "once connected it is done: chance"),
    ("dns", Manner::Close, NO_CONNECTION),
    ("dns", Manner::Full, NO_BACKLOG),
    ("udp", Manner::Close, NO_CONNECTION),
    ("udp", Manner::Full, NO_BACKLOG),
    ("udp-reply", Manner::Close, NO_CONNECTION),
    ("udp-reply", Manner::Full, NO_BACKLOG),
    ("icmp", Manner::Close, NO_CONNECTION),
    ("icmp", Manner::Full, NO_BACKLOG),
];

const NO_CONNECTION: &str = "a datagram has no connection to close";
const NO_BACKLOG: &str = "a full receive buffer is silence";

/// What has to come of one probe against one manner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Expected {
    pub(super) code: Code,
    pub(super) verdict: Verdict,
}

/// The row of a probe; `None` where there is nothing to be seen.
pub(super) fn row(name: &str) -> [(Manner, Option<Expected>); 10] {
    let row = rows().find(|row| row.first() == Some(&name));
    let row = row.unwrap_or_else(|| panic!("no row for {name}"));
    assert_eq!(row.len(), Manner::ALL.len() + 1, "{name}");
    core::array::from_fn(|at| {
        let (manner, word) = (Manner::ALL[at], row[at + 1]);
        if word == "-" {
            let why = NONE.iter().find(|why| (why.0, why.1) == (name, manner));
            assert!(why.is_some(), "{name}, {manner:?}: no reason");
            return (manner, None);
        }
        let (code, neutral) = match word.strip_prefix('~') {
            Some(code) => (code, true),
            None => (word, false),
        };
        let code: Code = code.parse().unwrap();
        let verdict = if neutral {
            Verdict::Neutral
        } else {
            code.default_verdict()
        };
        (manner, Some(Expected { code, verdict }))
    })
}

fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    let rows = TABLE.lines().filter(|line| !line.is_empty()).skip(1);
    rows.map(|line| line.split_whitespace().collect())
}

#[test]
fn table_has_a_row_for_each_probe_and_a_reason_for_each_gap() {
    let heads: Vec<_> = TABLE.lines().nth(1).unwrap().split_whitespace().collect();
    let columns = Manner::ALL.map(|manner| format!("{manner:?}").to_lowercase());
    assert_eq!(heads, columns);
    let names: Vec<_> = rows().map(|row| row[0]).collect();
    let mut kinds: Vec<_> = super::kinds::KINDS.iter().map(|kind| kind.name).collect();
    kinds.extend(super::kinds::TASK.iter().map(|kind| kind.name));
    kinds.push(super::ping::PING.name);
    for name in &names {
        row(name);
        assert!(
            cfg!(not(feature = "tokio")) || kinds.contains(name),
            "{name}"
        );
    }
    for name in kinds {
        assert!(names.contains(&name), "{name}");
    }
    for (name, manner, _) in NONE {
        let cell = row(name).into_iter().find(|cell| cell.0 == manner);
        assert_eq!(cell.unwrap().1, None, "{name}, {manner:?}");
    }
}
