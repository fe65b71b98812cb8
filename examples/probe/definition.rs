//! The check that a command line asks for.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use lvs_healthcheck::probe::agent::Agent;
use lvs_healthcheck::probe::command::Environment;
use lvs_healthcheck::probe::icmp::IcmpProbe;
use lvs_healthcheck::probe::preset::{self, Ldap, Mysql, Pgsql};
use lvs_healthcheck::probe::smtp::Smtp;
use lvs_healthcheck::probe::udp::{Reply, UdpProbe};
use lvs_healthcheck::probe::{CloseMode, Protocol};
use lvs_healthcheck::{Check, Command, CommandProbe, Policy, Target, TcpProbe};

use crate::arguments::{Arguments, Close, Options, Preset};
use crate::failure::Failure;
use crate::kind::Kind;
use crate::locator::Locator;
use crate::subject::Subject;
use crate::{address, exchange, policy, server, steps, web};

/// The check, or only what is to be said of it if its name leads nowhere.
pub(crate) enum Definition {
    Check(Box<Check>, Subject),
    Nowhere(Subject, String),
}

/// Makes the check.
pub(crate) fn define(arguments: &Arguments) -> Result<Definition, Failure> {
    let options = &arguments.options;
    let mut locator = Locator::new(&options.target, &options.rest)?;
    let kind = locator.scheme.kind;
    arguments.check_meaning(locator.scheme.name, kind)?;
    locator.scheme.tls |= options.tls.tls;
    if options.words.starttls && locator.scheme.tls {
        let why = "TLS begins with the connection already: use smtp://";
        return Err(Failure::Meaningless(
            "--starttls".to_owned(),
            why.to_owned(),
        ));
    }
    let tls = locator.scheme.tls || options.words.starttls;
    if let (false, Some(option)) = (tls, options.tls.first_given()) {
        let why = format!("{} has no TLS; add --tls", locator.scheme.name);
        return Err(Failure::Meaningless(option.to_owned(), why));
    }
    let policy = policy::policy(&options.judging, kind)?;
    let mut subject = Subject {
        name: locator.shown(),
        kind,
        tls,
        server_name: options
            .tls
            .sni
            .clone()
            .unwrap_or_else(|| locator.host.clone()),
        address: None,
        expected: String::new(),
        policy: policy.clone(),
    };
    let (check, expected) = if kind == Kind::Command {
        command(options, &locator, policy)
    } else {
        match address::resolve(&options.place, &locator)? {
            Ok(address) => {
                subject.address = Some(address);
                over_the_network(arguments, &locator, address, policy)?
            }
            Err(reason) => {
                // What else is wrong is told first: with the address it would be, too.
                let v6 = options.place.ipv6 || options.place.source.is_some_and(|ip| ip.is_ipv6());
                let ip = if v6 {
                    IpAddr::V6(Ipv6Addr::LOCALHOST)
                } else {
                    IpAddr::V4(Ipv4Addr::LOCALHOST)
                };
                let address = SocketAddr::new(ip, locator.port);
                let _ = over_the_network(arguments, &locator, address, policy)?;
                return Ok(Definition::Nowhere(subject, reason));
            }
        }
    };
    subject.expected = expected;
    Ok(Definition::Check(Box::new(check), subject))
}

fn over_the_network(
    arguments: &Arguments,
    locator: &Locator,
    address: SocketAddr,
    policy: Policy,
) -> Result<(Check, String), Failure> {
    let options = &arguments.options;
    let target = address::target(&options.place, address)?;
    match locator.scheme.kind {
        Kind::Dns => {
            let (probe, expected) = server::dns(options, locator, target)?;
            Ok((Check::new(probe, policy), expected))
        }
        Kind::Udp => {
            let (payload, wanted) = steps::datagram(&steps::steps(arguments)?)?;
            let mut probe = UdpProbe::new(target);
            if let Some(bytes) = payload {
                probe = probe.with_payload(bytes);
            }
            if options.words.any_source {
                probe = probe.with_reply_from_any();
            }
            let expected = match wanted {
                None => "no ICMP error".to_owned(),
                Some(matcher) => {
                    let expected = format!("an answer: {matcher}");
                    probe = probe.with_reply(Reply::any().with_matcher(matcher));
                    expected
                }
            };
            Ok((Check::new(probe, policy), expected))
        }
        Kind::Icmp => Ok(icmp(options, target, policy)),
        kind if kind.is_datagram() => exchange::exchange(options, locator, target, policy),
        _ => stream(arguments, locator, target, policy),
    }
}

fn icmp(options: &Options, target: Target, policy: Policy) -> (Check, String) {
    let words = &options.words;
    let mut probe = IcmpProbe::new(target.address().ip()).with_target(target);
    if let Some(count) = words.requests {
        probe = probe.with_count(count);
    }
    if let Some(count) = words.min_replies {
        probe = probe.with_min_replies(count);
    }
    if let Some(bytes) = words.size {
        probe = probe.with_size(bytes);
    }
    let expected = match words.min_replies {
        Some(count) if count > 1 => format!("{count} echo replies"),
        _ => "an echo reply".to_owned(),
    };
    (Check::new(probe, policy), expected)
}

fn command(options: &Options, locator: &Locator, policy: Policy) -> (Check, String) {
    let (program, rest) = locator
        .words
        .split_first()
        .map_or(("", &[][..]), |(program, rest)| (program.as_str(), rest));
    let mut command = rest.iter().fold(Command::new(program), |command, word| {
        command.with_argument(word)
    });
    if options.words.inherit_environment {
        command = command.with_environment(Environment::Inherit);
    }
    let probe = CommandProbe::new(command);
    if options.words.dynamic {
        let probe = probe.with_dynamic(CommandProbe::DYNAMIC_MAX);
        return (
            Check::new(probe, policy),
            "exit code 0, or 2 to 125".to_owned(),
        );
    }
    (Check::new(probe, policy), "exit code 0".to_owned())
}

/// What is said over a connection.
fn stream(
    arguments: &Arguments,
    locator: &Locator,
    target: Target,
    policy: Policy,
) -> Result<(Check, String), Failure> {
    let options = &arguments.options;
    let probe = connection(options, locator, target);
    let made = |expected: &str| expected.to_owned();
    Ok(match locator.scheme.kind {
        Kind::Http => {
            let (http, expected) = web::http(options, locator)?;
            check(probe, http, policy, expected)
        }
        Kind::Smtp => {
            let (smtp, expected) = smtp(options);
            check(probe, smtp, policy, expected)
        }
        Kind::Agent => {
            let said: Vec<u8> = options
                .words
                .send
                .iter()
                .flat_map(|said| said.0.clone())
                .collect();
            check(
                probe,
                Agent::new().with_send(said),
                policy,
                made("a line such as up 75%"),
            )
        }
        Kind::Redis => {
            let (script, expected) = server::redis(options, locator)?;
            check(probe, script, policy, expected)
        }
        Kind::Mysql => match &locator.user {
            None => check(
                probe,
                Mysql::new(),
                policy,
                made("a greeting of protocol 10"),
            ),
            Some(user) => {
                let expected = format!("that {user} may log in without password");
                check(probe, Mysql::new().with_user(user), policy, expected)
            }
        },
        Kind::Postgres => {
            let user = locator.user.as_deref().unwrap_or("postgres");
            let expected = made("a question for authentication, or none");
            check(probe, Pgsql::new(user), policy, expected)
        }
        Kind::Ldap => check(
            probe,
            Ldap::new(),
            policy,
            made("success of an anonymous bind"),
        ),
        Kind::Memcached => check(probe, preset::memcached(), policy, made("VERSION")),
        Kind::Imap => check(probe, preset::imap(), policy, made("* OK or * PREAUTH")),
        Kind::Pop3 => check(probe, preset::pop3(), policy, made("+OK")),
        Kind::Ftp => check(probe, preset::ftp(), policy, made("220")),
        kind => {
            let steps = steps::steps(arguments)?;
            if steps.is_empty() && kind == Kind::Expect {
                let limit = "must be --send or one of --expect…, at least once (or use tcp://)";
                return Err(Failure::value("steps", "none", limit));
            }
            if steps.is_empty() {
                (Check::new(probe, policy), made("a connection"))
            } else {
                let script = steps::script(&steps, options.words.line);
                check(probe, script, policy, steps::describe(&steps))
            }
        }
    })
}

fn check(
    probe: TcpProbe,
    protocol: impl Protocol + 'static,
    policy: Policy,
    expected: String,
) -> (Check, String) {
    (Check::new(probe.with_protocol(protocol), policy), expected)
}

fn connection(options: &Options, locator: &Locator, target: Target) -> TcpProbe {
    let mut probe = TcpProbe::new(target);
    if let Some(time) = options.judging.idle_timeout {
        probe = probe.with_idle_timeout(time);
    }
    if let Some(mode) = options.place.close {
        probe = probe.with_close(match mode {
            Close::Fin => CloseMode::Fin,
            Close::Rst => CloseMode::Rst,
            Close::HalfOpen => CloseMode::HalfOpen,
        });
    }
    if locator.scheme.tls {
        probe = probe.with_tls(options.tls.settings(&locator.host));
    } else if options.words.starttls {
        probe = probe.with_starttls(options.tls.settings(&locator.host));
    }
    probe
}

fn smtp(options: &Options) -> (Smtp, String) {
    let mut smtp = match options.judging.preset {
        None => Smtp::new(),
        Some(Preset::Keepalived) => Smtp::keepalived(),
        Some(Preset::Haproxy) => Smtp::haproxy(),
    };
    if let Some(name) = &options.words.helo {
        smtp = smtp.with_name(name);
    }
    if options.words.starttls {
        smtp = smtp.with_start_tls();
        return (smtp, "220, 250 to EHLO, 220 to STARTTLS".to_owned());
    }
    (smtp, "220, then 250 to EHLO".to_owned())
}
