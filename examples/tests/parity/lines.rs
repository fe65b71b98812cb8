//! Command lines: the options, their spellings, and lines that mean something.

use super::objects::{self, Kind, Service};
use super::random::Random;
use super::rules;

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Value {
    Never,
    Optional,
    Always,
}

/// An option or a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switch {
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) value: Value,
}

const fn option(long: &'static str, short: Option<char>, value: Value) -> Switch {
    Switch { long, short, value }
}

/// What a command line starts with. `-l` is listed apart from `-L`: both must be tried.
pub(crate) const COMMANDS: [Switch; 17] = [
    option("add-service", Some('A'), Value::Never),
    option("edit-service", Some('E'), Value::Never),
    option("delete-service", Some('D'), Value::Never),
    option("add-server", Some('a'), Value::Never),
    option("edit-server", Some('e'), Value::Never),
    option("delete-server", Some('d'), Value::Never),
    option("list", Some('L'), Value::Never),
    option("l", Some('l'), Value::Never),
    option("zero", Some('Z'), Value::Never),
    option("clear", Some('C'), Value::Never),
    option("save", Some('S'), Value::Never),
    option("restore", Some('R'), Value::Never),
    option("set", None, Value::Never),
    option("start-daemon", None, Value::Always),
    option("stop-daemon", None, Value::Always),
    option("help", Some('h'), Value::Never),
    option("version", Some('v'), Value::Never),
];

/// What follows.
pub(crate) const OPTIONS: [Switch; 41] = [
    option("tcp-service", Some('t'), Value::Always),
    option("udp-service", Some('u'), Value::Always),
    option("sctp-service", None, Value::Always),
    option("fwmark-service", Some('f'), Value::Always),
    option("ipv6", Some('6'), Value::Never),
    option("scheduler", Some('s'), Value::Always),
    option("pe", None, Value::Always),
    option("persistent", Some('p'), Value::Optional),
    option("netmask", Some('M'), Value::Always),
    option("real-server", Some('r'), Value::Always),
    option("gatewaying", Some('g'), Value::Never),
    option("ipip", Some('i'), Value::Never),
    option("masquerading", Some('m'), Value::Never),
    option("tun-type", None, Value::Always),
    option("tun-port", None, Value::Always),
    option("tun-nocsum", None, Value::Never),
    option("tun-csum", None, Value::Never),
    option("tun-remcsum", None, Value::Never),
    option("weight", Some('w'), Value::Always),
    option("u-threshold", Some('x'), Value::Always),
    option("l-threshold", Some('y'), Value::Always),
    option("connection", Some('c'), Value::Never),
    option("timeout", None, Value::Never),
    option("daemon", None, Value::Never),
    option("stats", None, Value::Never),
    option("rate", None, Value::Never),
    option("exact", Some('X'), Value::Never),
    option("thresholds", None, Value::Never),
    option("persistent-conn", None, Value::Never),
    option("tun-info", None, Value::Never),
    option("nosort", None, Value::Never),
    option("sort", None, Value::Never),
    option("ops", Some('o'), Value::Never),
    option("numeric", Some('n'), Value::Never),
    option("sched-flags", Some('b'), Value::Always),
    option("syncid", None, Value::Always),
    option("sync-maxlen", None, Value::Always),
    option("mcast-interface", None, Value::Always),
    option("mcast-group", None, Value::Always),
    option("mcast-port", None, Value::Always),
    option("mcast-ttl", None, Value::Always),
];

/// The option or command of that name.
pub(crate) fn find(name: &str) -> &'static Switch {
    let mut all = COMMANDS.iter().chain(&OPTIONS);
    all.find(|option| option.long == name).unwrap()
}

/// One option of a line with its value, or a word that is none (`option` is empty then).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Part {
    pub(crate) option: &'static str,
    pub(crate) value: Option<String>,
}

impl Part {
    pub(crate) fn flag(option: &'static str) -> Self {
        Self {
            option,
            value: None,
        }
    }

    pub(crate) fn with(option: &'static str, value: impl Into<String>) -> Self {
        Self {
            option,
            value: Some(value.into()),
        }
    }

    pub(crate) fn word(text: impl Into<String>) -> Self {
        Self::with("", text)
    }
}

/// A command line, and what it reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) parts: Vec<Part>,
    pub(crate) stdin: String,
}

impl Line {
    /// In words; each option in one of its spellings, short ones sometimes in one word.
    pub(crate) fn spell(&self, random: &mut Random) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut open = false; // the last word is of short options without value
        for part in &self.parts {
            let value = part.value.clone();
            if part.option.is_empty() {
                words.extend(value);
                open = false;
                continue;
            }
            let option = find(part.option);
            let short = option
                .short
                .filter(|_| option.long.len() == 1 || random.percent(65));
            let mut word = match short {
                Some(letter) if open && random.percent(40) => {
                    format!("{}{letter}", words.pop().unwrap())
                }
                Some(letter) => format!("-{letter}"),
                None => format!("--{}", option.long),
            };
            open = short.is_some() && option.value == Value::Never;
            match value {
                None => words.push(word),
                Some(value) => match random.weighted(&[6, 2, 2]) {
                    1 => words.push(format!("{word}={value}")),
                    2 if short.is_some() && !value.is_empty() && !value.starts_with('=') => {
                        word.push_str(&value);
                        words.push(word);
                    }
                    _ => words.extend([word, value]),
                },
            }
        }
        words
    }
}

/// A line that is meant to be accepted, and mostly is; `services` are those that may exist.
pub(crate) fn generate(random: &mut Random, services: &[Service]) -> Line {
    let command = random.weighted(&[13, 10, 5, 14, 12, 5, 24, 5, 5, 5, 5, 6, 4, 11, 7, 4, 4]);
    let name = COMMANDS[command].long;
    let known = |random: &mut Random| {
        if services.is_empty() || random.percent(8) {
            objects::service(random)
        } else {
            random.pick(services).clone()
        }
    };
    let mut line = Line::default();
    line.parts.push(Part::flag(name));
    let parts = &mut line.parts;
    match name {
        "add-service" => {
            let service = objects::service(random);
            parts.extend(rules::service(random, &service));
        }
        "edit-service" => {
            let service = known(random);
            parts.extend(rules::service(random, &service));
        }
        "delete-service" => parts.extend(known(random).parts),
        "add-server" | "edit-server" | "delete-server" => {
            let service = known(random);
            let server = if name == "add-server" || service.servers.is_empty() {
                objects::server(random, &service)
            } else {
                random.pick(&service.servers).clone()
            };
            if name == "delete-server" {
                parts.extend(service.parts);
                parts.push(Part::with("real-server", server.0));
            } else {
                parts.extend(rules::server(random, &service, &server));
            }
        }
        "list" | "l" => list(random, services, parts),
        "zero" if random.percent(60) => parts.extend(known(random).parts),
        "save" if random.percent(60) => parts.push(Part::flag("numeric")),
        "restore" => line.stdin = restore(random, services),
        "set" => {
            for _ in 0..3 {
                let value = *random.pick(&["0", "1", "30", "0099", "2678400", "+7"]);
                parts.push(Part::word(value));
            }
        }
        "start-daemon" | "stop-daemon" => {
            let role = *random.pick(&["master", "backup"]);
            *parts = daemon(random, name, role);
            if name == "start-daemon" && random.percent(90) {
                let place = 1 + random.below(parts.len());
                let interface = *random.pick(&["lo", "d0", "lo", "lo", "eth0"]);
                parts.insert(place, Part::with("mcast-interface", interface));
            }
        }
        "help" | "version" if random.percent(30) => parts.push(Part::flag("numeric")),
        _ => {}
    }
    if random.percent(4) {
        line.parts.push(Part::flag("sort"));
    }
    line
}

fn list(random: &mut Random, services: &[Service], parts: &mut Vec<Part>) {
    match random.weighted(&[55, 14, 13, 13]) {
        0 => {
            if !services.is_empty() && random.percent(30) {
                parts.extend(random.pick(services).parts.clone());
            }
            for option in ["stats", "rate", "thresholds", "persistent-conn", "tun-info"] {
                if random.percent(24) {
                    parts.push(Part::flag(option));
                }
            }
            for option in ["exact", "sort", "nosort"] {
                if random.percent(30) {
                    parts.push(Part::flag(option));
                }
            }
        }
        1 => {
            parts.push(Part::flag("connection"));
            if random.percent(30) {
                parts.push(Part::flag("persistent-conn"));
            }
        }
        2 => parts.push(Part::flag("timeout")),
        _ => parts.push(Part::flag("daemon")),
    }
    if random.percent(70) {
        let place = 1 + random.below(parts.len());
        parts.insert(place, Part::flag("numeric"));
    }
}

/// A command for a daemon of that role; the interface is left to the caller when one starts.
pub(crate) fn daemon(random: &mut Random, name: &'static str, role: &str) -> Vec<Part> {
    let mut parts = vec![Part::with(name, role)];
    let choices: [(&'static str, &[&str]); 5] = [
        ("syncid", &["0", "1", "255", "+7"]),
        ("sync-maxlen", &["1", "600", "1472", "65507"]),
        ("mcast-group", &["224.0.0.81", "239.1.2.3", "224.0.0.99"]),
        ("mcast-port", &["1", "8848", "65535"]),
        ("mcast-ttl", &["1", "64", "255"]),
    ];
    for (option, values) in choices {
        if (name == "start-daemon" || option == "syncid") && random.percent(55) {
            parts.push(Part::with(option, *random.pick(values)));
        }
    }
    parts
}

/// Lines of the kind that changes something: what they list would depend on the namespace.
fn restore(random: &mut Random, services: &[Service]) -> String {
    let mut known = services.to_vec();
    let mut text = String::new();
    for _ in 0..1 + random.below(6) {
        match random.weighted(&[6, 1, 1, 1, 1]) {
            0 => {
                for line in rules::generate(random, &mut known, 2) {
                    text.push_str(&line);
                    text.push('\n');
                }
            }
            1 => text.push_str("\n  \t \n"),
            2 => text.push_str("ipvsadm -Z\nipvsadm --set 5 6 7\r\n"),
            3 => {
                let wrong = *random.pick(&[
                    "# a comment",
                    "-A -t 1.2.3.4",
                    "-A --nonsense",
                    "-d -t 9.9.9.9:9 -r 9.9.9.9",
                    "-A -t 1.2.3.4:80 leftover",
                    "nonsense",
                    "-a -t 1.2.3.4:80 -r 10.0.0.1 -w",
                    "-h",
                ]);
                text.push_str(wrong);
                text.push('\n');
            }
            _ => text.push_str("   -A   -f    77   -s\trr\n-D -f 77\n"),
        }
    }
    text
}

/// True for services that one-packet scheduling is for.
pub(crate) fn may_be_one_packet(service: &Service) -> bool {
    matches!(service.kind, Kind::Udp | Kind::Mark)
}
