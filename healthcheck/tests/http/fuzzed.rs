//! Any reply to any kind of check: the same outcome however it is cut. Shared with the fuzz target
//! `check_http`.

use core::time::Duration;

use lvs_healthcheck::probe::Protocol;
use lvs_healthcheck::probe::Turn;
use lvs_healthcheck::probe::http::{
    BodyMatch, HeaderMatch, Http, HttpSequence, Method, Redirects, StatusSet,
};
use lvs_healthcheck::{Attempt, Code, Health, Verdict, WeightHint};

/// What an outcome says, apart from its text, which may show less of what has come in pieces.
type Facts = (Verdict, Code, Option<WeightHint>);

/// The first byte chooses the check, the second the cuts, the rest is the reply.
pub(crate) fn check(data: &[u8]) {
    let [kind, cuts, reply @ ..] = data else {
        return;
    };
    let http = http(*kind);
    let pieces = pieces(reply, *cuts);
    assert_eq!(
        hear(&http, &[reply], *kind),
        hear(&http, &pieces, *kind),
        "{http:?}"
    );
    // Where more is asked after a reply, it matters what comes before that. It ends all the same.
    let follow = http.with_redirects(Redirects::FOLLOW);
    let several = HttpSequence::new([follow.clone(), follow]);
    for pieces in [vec![reply], pieces] {
        let _ = hear(&several, &pieces, *kind);
    }
}

/// The checks there are.
fn http(kind: u8) -> Http {
    let http = Http::get("/a").with_host("www").with_max_body(100);
    let digest = |text: &str| text.parse().unwrap();
    match kind & 7 {
        0 => http,
        1 => http.with_body_contains("ok"),
        2 => http.with_digest(digest("900150983cd24fb0d6963f7d28e17f72")),
        3 => http
            .with_status(StatusSet::ALL)
            .with_body_match(BodyMatch::contains("ok").negated())
            .with_digest(digest(
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            )),
        4 => http.with_method(Method::Head),
        5 => http
            .with_drain(StatusSet::range(404, 503))
            .with_fail_now(StatusSet::ALL)
            .with_immediate_fail()
            .with_weight_header()
            .with_reply_header(HeaderMatch::present("a").is("b").in_list().negated()),
        6 => Http::keepalived("/a"),
        _ => Http::keepalived("/a").with_digest(digest("900150983cd24fb0d6963f7d28e17f72")),
    }
}

/// Cuts of 1 to 16 bytes.
fn pieces(mut reply: &[u8], cuts: u8) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut state = u32::from(cuts);
    while !reply.is_empty() {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let length = 1 + (state >> 16) as usize % 16;
        let (piece, rest) = reply.split_at(length.min(reply.len()));
        pieces.push(piece);
        reply = rest;
    }
    pieces
}

fn hear(protocol: &impl Protocol, pieces: &[&[u8]], kind: u8) -> Facts {
    let server = "192.0.2.7:80".parse().unwrap();
    let attempt = Attempt::new(1, Duration::ZERO, Duration::from_secs(1), None, Health::Up)
        .with_server(server, false);
    let mut dialogue = protocol.dialogue(&attempt);
    let mut turn = dialogue.opened();
    for piece in pieces {
        turn = match turn {
            Turn::Done(_) => break,
            Turn::Reopen => {
                let _ = dialogue.opened();
                dialogue.data(piece)
            }
            _ => dialogue.data(piece),
        };
    }
    // The connection ends, in order or not, or time is up.
    let mut left = 8;
    loop {
        turn = match turn {
            Turn::Done(outcome) => {
                let outcome = protocol.judge(outcome);
                return (outcome.verdict, outcome.code, outcome.weight);
            }
            Turn::Reopen => dialogue.opened(),
            _ => match kind >> 6 {
                0 => {
                    let outcome = dialogue.expired();
                    return (outcome.verdict, outcome.code, outcome.weight);
                }
                1 => dialogue.eof(false),
                _ => dialogue.eof(true),
            },
        };
        left -= 1;
        assert!(left > 0, "it never ends");
    }
}
