//! Lines with something wrong in them, or odd enough that it might be.

use super::lines::{COMMANDS, Line, OPTIONS, Part, Value, find};
use super::objects;
use super::random::Random;

/// Numbers at and past the limits, and what looks like a number.
const NUMBERS: [&str; 22] = [
    "-1",
    "0",
    "256",
    "65508",
    "65535",
    "65536",
    "2678401",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "99999999999999999999",
    "",
    " ",
    "x",
    "1x",
    "0x10",
    " 5",
    "5 ",
    "+6",
    "010",
    "-0",
];

/// Addresses that are none, that mean something unexpected, or that the kernel does not want.
const ADDRESSES: [&str; 30] = [
    "",
    ":",
    ":80",
    "80",
    "1.2.3.4",
    "1.2.3.4:",
    "1.2.3.4:99999",
    "1.2.3.4:-1",
    "1.2.3.4: 5",
    "1.2.3.4:nosuch",
    "1.2.3.4:HTTP",
    "1.2.3.4:1:2",
    "1.2.3.300:1",
    "1.2.3:80",
    "010.1.1.1:80",
    "nosuch.example.com:80",
    "six.example.com:80",
    "[1.2.3.4]:80",
    "[fd00::1]",
    "[fd00::1]:",
    "[fd00::1]80",
    "[fd00::1:80",
    "fd00::1",
    "fd00::1:80",
    "fe80::1",
    "[::]:80",
    "::ffff:1.2.3.4",
    "224.0.0.1:80",
    "255.255.255.255:80",
    "10.9.0.255:80",
];

/// A value for an option that is most likely not right.
fn wrong_value(random: &mut Random, option: &str) -> String {
    let choices: &[&str] = match option {
        "tcp-service" | "udp-service" | "sctp-service" | "real-server" => &ADDRESSES,
        "scheduler" => &["nosuch", "", "RR", "a-name-longer-than-sixteen"],
        "pe" => &["nosuch", "", "SIP", "a-name-longer-than-sixteen"],
        "netmask" => &[
            "0",
            "129",
            "64",
            "255.255",
            "x",
            "",
            "255.255.255.256",
            "-1",
            "one",
            "fd00::",
        ],
        "tun-type" => &["", "GUE", "gr", "vxlan", "ipip "],
        "sched-flags" => &[
            "",
            "sh",
            "flag-4",
            "flag-1 flag-2",
            "SH-PORT",
            "sh-port,mh-port",
            "mh-port",
        ],
        "mcast-interface" => &["", "nosuch0", "a-name-longer-than-fifteen"],
        "mcast-group" => &[
            "",
            "10.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "224.1",
            "one",
            "fd00::1",
            "[ff02::1]",
        ],
        "start-daemon" | "stop-daemon" => &["", "Master", "mast", "backups", "nonsense"],
        _ => &NUMBERS,
    };
    (*random.pick(choices)).to_owned()
}

/// A value for an option that may well be right.
fn value(random: &mut Random, option: &str) -> String {
    let choices: &[&str] = match option {
        "tcp-service" | "udp-service" | "sctp-service" | "real-server" => {
            &["1.2.3.4:80", "10.0.0.1:80", "[fd00::1]:80"]
        }
        "scheduler" => &["rr", "sh", "mh"],
        "pe" => &["sip"],
        "netmask" => &["255.255.255.0", "64"],
        "tun-type" => &["ipip", "gue", "gre"],
        "sched-flags" => &["flag-1", "sh-port", "mh-fallback"],
        "mcast-interface" => &["lo"],
        "mcast-group" => &["224.0.0.99", "ff02::99"],
        "start-daemon" | "stop-daemon" => &["master", "backup"],
        _ => &["1", "7", "200"],
    };
    (*random.pick(choices)).to_owned()
}

/// Any option, with a value when it needs one.
fn any_option(random: &mut Random) -> Part {
    let option = random.pick(&OPTIONS);
    match option.value {
        Value::Always => Part::with(option.long, value(random, option.long)),
        Value::Optional if random.percent(50) => {
            Part::with(option.long, value(random, option.long))
        }
        _ => Part::flag(option.long),
    }
}

/// Spells a line after doing something to it.
pub(crate) fn spoil(random: &mut Random, mut line: Line) -> (Line, Vec<String>) {
    let last = line.parts.len() - 1;
    let somewhere = 1 + random.below(line.parts.len());
    match random.weighted(&[30, 18, 8, 8, 4, 4, 6, 4, 6, 6, 6]) {
        0 => {
            let with_value: Vec<_> = (0..=last)
                .filter(|index| line.parts[*index].value.is_some())
                .collect();
            if with_value.is_empty() {
                line.parts.push(any_option(random));
            } else {
                let part = &mut line.parts[*random.pick(&with_value)];
                part.value = Some(wrong_value(random, part.option));
            }
        }
        1 => line.parts.insert(somewhere, any_option(random)),
        2 => {
            let again = random.pick(&line.parts).clone();
            line.parts.insert(somewhere, again);
        }
        3 if last > 0 => {
            line.parts.remove(1 + random.below(last));
        }
        4 => {
            let unknown = [
                "--nonsense",
                "-q",
                "--weigh",
                "-5",
                "---",
                "--tcp",
                "-",
                "-W",
            ];
            let word = Part::word(*random.pick(&unknown));
            line.parts.insert(somewhere, word);
        }
        5 => {
            // The value is missing, and the next option taken for it.
            let options: Vec<_> = OPTIONS
                .iter()
                .filter(|option| option.value == Value::Always)
                .collect();
            let option = format!("--{}", random.pick(&options).long);
            let place = if random.percent(50) {
                last + 1
            } else {
                somewhere
            };
            line.parts.insert(place, Part::word(option));
        }
        6 => {
            let word = *random.pick(&["leftover", "", "--", "ipvsadm", "10"]);
            line.parts.insert(somewhere, Part::word(word));
        }
        7 => {
            // A value where none belongs.
            let index = random.below(line.parts.len());
            let part = &line.parts[index];
            if part.value.is_none() && !part.option.is_empty() {
                let word = match find(part.option).short {
                    Some(letter) if random.percent(50) => format!("-{letter}=1"),
                    _ => format!("--{}=1", part.option),
                };
                line.parts[index] = Part::word(word);
            }
        }
        8 => {
            // Order matters for masks, `-6` and ports by name.
            for index in (2..line.parts.len()).rev() {
                line.parts.swap(index, 1 + random.below(index));
            }
        }
        9 => match random.below(3) {
            0 => {
                line.parts.remove(0);
            }
            1 => {
                let second = random.pick(&COMMANDS);
                let part = match second.value {
                    Value::Always => Part::with(second.long, "master"),
                    _ => Part::flag(second.long),
                };
                line.parts.insert(somewhere, part);
            }
            _ => {
                let other = random.pick(&COMMANDS);
                line.parts[0] = match other.value {
                    Value::Always => Part::with(other.long, "backup"),
                    _ => Part::flag(other.long),
                };
            }
        },
        _ => {
            // Something that does not exist.
            let other = objects::service(random);
            let is_service = |part: &Part| {
                part.option.ends_with("p-service") || part.option.starts_with("fwmark")
            };
            if let Some(index) = line.parts.iter().position(is_service) {
                line.parts.splice(index..=index, other.parts);
            } else {
                line.parts.extend(other.parts);
            }
        }
    }
    let words = line.spell(random);
    (line, words)
}
