//! Any script with any server.

use lvs_healthcheck::probe::Pattern;
use lvs_healthcheck::probe::expect::{Expectation, Matcher, Script};
use lvs_healthcheck::{Code, Target, TcpProbe};

use super::talk::{Input, Plan, compare};

/// A text of a few bytes.
fn text<'a>(input: &mut Input<'a>) -> &'a [u8] {
    let length = usize::from(input.byte() % 8);
    let (text, rest) = input.0.split_at(length.min(input.0.len()));
    input.0 = rest;
    text
}

/// A matcher, and whether it may decide on what a piece happens to bring.
fn matcher(input: &mut Input<'_>) -> (Matcher, bool) {
    match input.byte() % 5 {
        0 => (Matcher::prefix(text(input)), false),
        1 => (Matcher::contains(text(input)), false),
        2 => {
            let parts = [text(input), text(input)].map(<[u8]>::to_vec);
            (Matcher::InOrder(parts.into()), false)
        }
        3 => (Matcher::exact(text(input)), true),
        _ => {
            let pattern = String::from_utf8_lossy(text(input)).into_owned();
            match Pattern::new(&pattern) {
                Ok(pattern) => (Matcher::Pattern(pattern), true),
                Err(_) => (Matcher::contains(pattern), false),
            }
        }
    }
}

fn expectation(input: &mut Input<'_>) -> (Expectation, bool) {
    let (wanted, mut pieces_matter) = matcher(input);
    let mut expectation = Expectation::new(wanted);
    let traits = input.byte();
    if traits & 1 != 0 {
        (expectation, pieces_matter) = (expectation.negated(), true);
    }
    if traits & 2 != 0 {
        expectation = expectation.with_min_bytes(usize::from(input.byte()));
    }
    if traits & 4 != 0 {
        let (other, _) = matcher(input);
        (expectation, pieces_matter) = (expectation.or_end(other, Code::Busy), true);
    }
    if traits & 8 != 0 {
        // A line is judged as a whole, however it came.
        (expectation, pieces_matter) = (expectation.by_line(), false);
    }
    (expectation, pieces_matter)
}

pub(super) fn check(data: &[u8]) {
    let mut input = Input(data);
    // Not the usual 16 KiB: after every byte all that is kept is searched again.
    let kept = [1024, 1, 64, 256][usize::from(input.byte() % 4)];
    let mut script = Script::new().with_max_buffer(kept);
    let mut pieces_matter = false;
    for _ in 0..input.byte() % 6 {
        if input.byte() % 2 == 1 {
            script = script.send(text(&mut input));
        } else {
            let (expectation, matters) = expectation(&mut input);
            pieces_matter |= matters;
            script = script.expect(expectation);
        }
    }
    let target = Target::new(([192, 0, 2, 7], 7).into());
    let probe = TcpProbe::new(target).with_protocol(script);
    if lvs_healthcheck::Probe::validate(&probe).is_err() {
        return;
    }
    compare(&probe, &Plan::of(&mut input), kept, pieces_matter);
}
