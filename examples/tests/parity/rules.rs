//! Rule sets: what `-S` writes, and more.

use super::lines::{Line, Part, daemon, may_be_one_packet};
use super::objects::{self, Service};
use super::random::Random;

const SCHEDULERS: [&str; 14] = [
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "none",
];

/// The options that name a service and set it up.
pub(crate) fn service(random: &mut Random, service: &Service) -> Vec<Part> {
    let mut parts = service.parts.clone();
    let scheduler = *random.pick(&SCHEDULERS);
    if random.percent(80) {
        parts.push(Part::with("scheduler", scheduler));
        if random.percent(if matches!(scheduler, "sh" | "mh") {
            70
        } else {
            12
        }) {
            let own: &[&str] = match scheduler {
                "sh" => &[
                    "sh-fallback",
                    "sh-port",
                    "sh-fallback,sh-port",
                    "flag-3",
                    "flag-1",
                ],
                "mh" => &[
                    "mh-fallback",
                    "mh-port",
                    "mh-port,mh-fallback",
                    "flag-2,flag-3",
                ],
                _ => &[
                    "flag-1",
                    "flag-2",
                    "flag-3",
                    "flag-1,flag-3",
                    "flag-3,,flag-2,",
                ],
            };
            let flags = Part::with("sched-flags", *random.pick(own));
            let place = 1 + random.below(parts.len());
            parts.insert(place, flags);
        }
    }
    let persistent = service.wild || random.percent(35);
    if persistent {
        parts.push(if random.percent(30) {
            Part::flag("persistent")
        } else {
            Part::with(
                "persistent",
                *random.pick(&["1", "50", "360", "0600", "2678400"]),
            )
        });
    }
    if random.percent(if persistent { 50 } else { 4 }) {
        let masks: &[&str] = if service.v6 {
            &["1", "48", "64", "127", "128"]
        } else {
            &[
                "255.255.255.0",
                "255.0.0.0",
                "255.255.255.255",
                "0.0.0.0",
                "255.0.255.0",
            ]
        };
        parts.push(Part::with("netmask", *random.pick(masks)));
    }
    if random.percent(if persistent { 40 } else { 4 }) {
        parts.push(Part::with("pe", "sip"));
    }
    if may_be_one_packet(service) && random.percent(40) {
        parts.push(Part::flag("ops"));
    }
    parts
}

/// The options that name a server and set it up.
pub(crate) fn server(
    random: &mut Random,
    service: &Service,
    (server, mixed): &(String, bool),
) -> Vec<Part> {
    let mut parts = service.parts.clone();
    parts.push(Part::with("real-server", server.as_str()));
    let tunnel = *mixed || random.percent(50);
    if tunnel {
        parts.push(Part::flag("ipip"));
        parts.extend(encapsulation(random));
    } else if random.percent(70) {
        parts.push(Part::flag(
            random.pick::<&str>(&["masquerading", "gatewaying"]),
        ));
    }
    if random.percent(60) {
        let weights = ["0", "1", "5", "100", "65535", "65536", "2147483647", "007"];
        parts.push(Part::with("weight", *random.pick(&weights)));
    }
    if random.percent(25) {
        let upper = *random.pick(&["0", "10", "65535", "2147483647"]);
        parts.push(Part::with("u-threshold", upper));
        if random.percent(60) {
            // Rarely too large for the upper one.
            let lower = if random.percent(10) { "11" } else { "0" };
            let lower = if upper == "0" {
                lower
            } else {
                *random.pick(&["1", "9", "10", lower])
            };
            parts.push(Part::with("l-threshold", lower));
        }
    }
    parts
}

fn encapsulation(random: &mut Random) -> Vec<Part> {
    let mut parts = Vec::new();
    let sums = ["tun-nocsum", "tun-csum", "tun-remcsum", "tun-remcsum"];
    match random.weighted(&[1, 1, 8, 6]) {
        0 => {}
        1 => parts.push(Part::with("tun-type", "ipip")),
        2 => {
            parts.push(Part::with("tun-type", "gue"));
            let port = *random.pick(&["1", "6080", "65535"]);
            parts.push(Part::with("tun-port", port));
            if random.percent(85) {
                parts.push(Part::flag(random.pick::<&str>(&sums)));
            }
        }
        _ => {
            parts.push(Part::with("tun-type", "gre"));
            if random.percent(85) {
                parts.push(Part::flag(random.pick::<&str>(&sums[..2])));
            }
        }
    }
    parts
}

/// Lines for `-R`: services, most of them new, each with some servers. What they add is added to
/// `services`.
pub(crate) fn generate(
    random: &mut Random,
    services: &mut Vec<Service>,
    largest: usize,
) -> Vec<String> {
    let mut lines = Vec::new();
    let mixed = *random.pick(&[0, 0, 30]);
    for _ in 0..1 + random.below(largest) {
        let mut new = objects::service(random);
        new.mixed = mixed;
        let mut line = Line::default();
        line.parts.push(Part::flag("add-service"));
        line.parts.extend(service(random, &new));
        lines.push(text(&line, random));
        for _ in 0..*random.pick(&[0, 1, 2, 3, 3, 5, 9, 17]) {
            let added = objects::server(random, &new);
            let mut line = Line::default();
            line.parts.push(Part::flag("add-server"));
            line.parts.extend(server(random, &new, &added));
            lines.push(text(&line, random));
            new.servers.push(added);
        }
        services.push(new);
    }
    if largest > 2 && random.percent(30) {
        let mut line = Line::default();
        let role = *random.pick(&["master", "backup"]);
        line.parts = daemon(random, "start-daemon", role);
        line.parts.push(Part::with("mcast-interface", "lo"));
        lines.push(text(&line, random));
    }
    if largest > 2 && random.percent(20) {
        lines.push("--set 77 0 99".to_owned());
    }
    lines
}

fn text(line: &Line, random: &mut Random) -> String {
    let words = line.spell(random);
    assert!(
        words
            .iter()
            .all(|word| !word.is_empty() && !word.contains(' ')),
        "{words:?}"
    );
    words.join(" ")
}
