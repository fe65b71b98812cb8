//! What others are told, in which order, and what happens where nobody listens.

use core::time::Duration;
use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use lvs_healthcheck::aggregate::Reason;
use lvs_healthcheck::pool::{Cause, PoolEvent};
use lvs_ipvs::DestinationKey;
use nix::unistd::{User, geteuid};

use super::*;
use crate::director::{Event, EventKind, ServerKey};
use crate::keepalived::Config;
use crate::setup::Setup;

fn setup(text: &str) -> Setup {
    let config = Config::parse("t.conf", text);
    assert_eq!(config.diagnostics(), [], "{text}");
    let setup = Setup::new(&config);
    // Programs need not be there.
    let told = setup.diagnostics().iter().map(ToString::to_string);
    let told: Vec<_> = told.filter(|it| !it.contains("as things are")).collect();
    assert_eq!(told, [""; 0], "{text}");
    setup
}

/// What the pool of these services tells.
fn event(number: u64, service: &str, event: PoolEvent<ServerKey>) -> Event {
    Event {
        number,
        at: Duration::ZERO,
        kind: EventKind::Service {
            service: service.into(),
            event,
        },
    }
}

fn change(key: &str, is_up: bool) -> PoolEvent<ServerKey> {
    let destination: DestinationKey = key.parse().unwrap();
    match is_up {
        true => PoolEvent::Up { destination },
        false => PoolEvent::Down {
            destination,
            cause: Cause::Own(Reason::Down),
        },
    }
}

const fn quorum(is_up: bool) -> PoolEvent<ServerKey> {
    let (weight, quorum) = (1, 1);
    match is_up {
        true => PoolEvent::QuorumUp { weight, quorum },
        false => PoolEvent::QuorumDown { weight, quorum },
    }
}

/// Every line was written by keepalived 2.2.7 for this configuration.
#[test]
fn lines_are_those_of_keepalived() {
    let service = |header: &str, kind: &str, lines: &str, server: &str| {
        format!(
            "virtual_server {header} {{\nlb_algo rr\nlb_kind {kind}\n{lines}\n\
             real_server {server} {{\n}}\n}}\n"
        )
    };
    let text = [
        "virtual_server_group G {\n192.0.2.7 80\n192.0.2.8 80\n}\n".to_owned(),
        "virtual_server_group H {\n192.0.2.7 90\n192.0.2.8 91\n}\n".to_owned(),
        "virtual_server_group M {\nfwmark 9\n}\n".to_owned(),
        service("192.0.2.1 80", "NAT", "protocol TCP", "127.0.0.1 80"),
        service("192.0.2.1 53", "DR", "protocol UDP", "127.0.0.1 53"),
        service("2001:db8::1 53", "NAT", "protocol SCTP", "::1 54"),
        service("fwmark 7", "DR", "", "127.0.0.1"),
        service("fwmark 8", "NAT", "", "127.0.0.1 88"),
        service("group G", "NAT", "protocol TCP", "127.0.0.1 81"),
        service("group H", "DR", "protocol TCP", "127.0.0.1"),
        service("group M", "NAT", "", "127.0.0.1 83"),
    ]
    .concat();
    let setup = setup(&text);
    let book = Book::new(&setup);
    let expected = [
        ("[127.0.0.1]:tcp:80", "[192.0.2.1]:tcp:80"),
        ("[127.0.0.1]:udp:53", "[192.0.2.1]:udp:53"),
        ("[::1]:sctp:54", "[2001:db8::1]:sctp:53"),
        ("[127.0.0.1]:none:0", "FWM 7"),
        ("[127.0.0.1]:none:88", "FWM 8"),
        ("[127.0.0.1]:tcp:81", "[G]:0"),
        ("[127.0.0.1]:tcp:0", "[H]:0"),
        ("[127.0.0.1]:none:83", "[M]:0"),
    ];
    assert_eq!(setup.pools.len(), expected.len());
    for (pool, (server, service)) in setup.pools.iter().zip(expected) {
        let key = pool.servers[0].destination.key();
        let told = |what| {
            let (notice, command) = book.notice(&event(1, &pool.name(), what)).unwrap();
            assert_eq!(command, None);
            notice.to_string()
        };
        let up = PoolEvent::Up { destination: key };
        assert_eq!(told(up), format!("RS {server} {service} UP"));
        assert_eq!(told(quorum(false)), format!("VS {service} DOWN"));
    }
}

#[test]
fn commands_belong_to_servers_and_quorum_and_know_what_it_is_about() {
    let own = User::from_uid(geteuid()).unwrap().unwrap().name;
    let text = format!(
        "global_defs {{\nscript_user {own}\n}}\n\
         virtual_server 192.0.2.1 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n\
         quorum_up \"/bin/q up\"\nquorum_down /bin/q\n\
         real_server 10.0.0.1 80 {{\nnotify_up /bin/a {own}\nnotify_down \"/bin/b 'x y'\"\n}}\n\
         real_server 10.0.0.2 80 {{\n}}\n}}\n"
    );
    let setup = setup(&text);
    let name = setup.pools[0].name();
    let book = Book::new(&setup);
    let told = |what| {
        let (notice, command) = book.notice(&event(7, &name, what)).unwrap();
        let command = command.map(|command| {
            assert!(command.gains_privileges());
            assert_eq!(command.credentials().is_some(), geteuid().is_root());
            let variables = command.variables();
            let variables: Vec<_> = variables
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            (command.arguments().join("|"), variables)
        });
        (notice.to_string(), command)
    };
    let variables = |subject: &str, from: &str, state: &str| {
        let subject = format!("LVS_SUBJECT={subject}");
        vec![
            "LVS_EVENT=7".to_owned(),
            subject,
            format!("LVS_FROM={from}"),
            format!("LVS_STATE={state}"),
        ]
    };
    let server = "RS [10.0.0.1]:tcp:80 [192.0.2.1]:tcp:80";
    let up = ("/bin/a".to_owned(), variables(server, "DOWN", "UP"));
    assert_eq!(
        told(change("10.0.0.1:80", true)),
        (format!("{server} UP"), Some(up))
    );
    let down = ("/bin/b|x y".to_owned(), variables(server, "UP", "DOWN"));
    assert_eq!(
        told(change("10.0.0.1:80", false)),
        (format!("{server} DOWN"), Some(down))
    );
    let service = "VS [192.0.2.1]:tcp:80";
    let up = ("/bin/q|up".to_owned(), variables(service, "DOWN", "UP"));
    assert_eq!(told(quorum(true)), (format!("{service} UP"), Some(up)));
    let down = ("/bin/q".to_owned(), variables(service, "UP", "DOWN"));
    assert_eq!(told(quorum(false)), (format!("{service} DOWN"), Some(down)));
    assert_eq!(told(change("10.0.0.2:80", true)).1, None);

    // Nothing is told of the rest, nor of what is not configured.
    let server: ServerKey = "10.0.0.1:80".parse().unwrap();
    for what in [
        PoolEvent::Ready,
        PoolEvent::SorryOn {
            destination: server,
        },
        PoolEvent::DrainDone {
            destination: server,
        },
        change("10.0.0.3:80", true),
    ] {
        assert_eq!(book.notice(&event(1, &name, what)), None);
    }
    assert_eq!(
        book.notice(&event(1, "TCP 192.0.2.9:80", quorum(true))),
        None
    );
    let role = EventKind::Role(crate::director::Role::Active);
    let role = Event {
        kind: role,
        ..event(1, &name, PoolEvent::Ready)
    };
    assert_eq!(book.notice(&role), None);
}

#[test]
fn what_has_left_the_configuration_is_told_of_until_the_next() {
    let with = |servers: &str| {
        format!(
            "virtual_server 192.0.2.1 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n{servers}\n}}\n"
        )
    };
    let both = setup(&with(
        "real_server 10.0.0.1 80 {\n}\nreal_server 10.0.0.2 80 {\n}",
    ));
    let one = setup(&with("real_server 10.0.0.1 80 {\n}"));
    let name = both.pools[0].name();
    let mut book = Book::new(&both);
    let is_told = |book: &Book| {
        let gone = event(1, &name, change("10.0.0.2:80", false));
        book.notice(&gone).is_some()
    };
    book.follow(&one);
    assert!(is_told(&book));
    book.follow(&one);
    assert!(!is_told(&book));
}

#[test]
fn commands_that_cannot_be_run_are_problems_with_a_place() {
    let text = "global_defs {\nlvs_notify_fifo /tmp/f nosuchuser\nnotify_fifo /tmp/g\n\
                notify_fifo_script /bin/x nosuchuser\n}\n\
                virtual_server 192.0.2.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n\
                quorum_up /bin/q nosuchuser\n\
                real_server 10.0.0.1 80 {\nnotify_down /bin/a nosuchuser\n}\n}\n";
    let setup = Setup::new(&Config::parse("t.conf", text));
    let told: Vec<_> = setup
        .diagnostics()
        .iter()
        .map(ToString::to_string)
        .collect();
    let begins: Vec<_> = told
        .iter()
        .map(|problem| problem.split_once("user").unwrap().0)
        .collect();
    assert_eq!(
        begins,
        [
            "t.conf:4:1: error: notify_fifo_script cannot be run: ",
            "t.conf:2:1: error: lvs_notify_fifo: ",
            "t.conf:11:1: error: notify_down cannot be run: ",
            "t.conf:6:1: error: quorum_up cannot be run: ",
        ],
        "{told:?}"
    );
}

/// Notifications of a service with a server, by a script that writes into a file.
struct Rig {
    folder: tempfile::TempDir,
    service: String,
    fifos: Fifos,
    notifications: Notifications,
}

impl Rig {
    /// `script` is what is run for each change of the server.
    fn new(globals: &str, script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = User::from_uid(geteuid()).unwrap().unwrap().name;
        let path = folder.path().display();
        fs::write(folder.path().join("tell"), script).unwrap();
        let text = format!(
            "global_defs {{\nscript_user {own}\n{}\n}}\n\
             virtual_server 192.0.2.1 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n\
             real_server 10.0.0.1 80 {{\nnotify_up \"/bin/sh {path}/tell {path}\"\n\
             notify_down \"/bin/sh {path}/tell {path}\"\n}}\n}}\n",
            globals.replace("FOLDER", &path.to_string())
        );
        let setup = setup(&text);
        let fifos = Fifos::start(|event| panic!("{event}")).unwrap();
        Self {
            folder,
            service: setup.pools[0].name(),
            notifications: Notifications::start(&setup, fifos.clone()).unwrap(),
            fifos,
        }
    }

    /// The server goes up and down.
    fn burst(&self, count: u64) {
        for number in 1..=count {
            let what = change("10.0.0.1:80", number % 2 == 1);
            self.notifications.tell(&event(number, &self.service, what));
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn ended(events: &VecDeque<NotifyEvent>) -> Vec<(u64, &Ended)> {
    let ended = events.iter().filter_map(|event| match event {
        NotifyEvent::Ended { notice, ended, .. } => Some((notice.number, ended)),
        _ => None,
    });
    ended.collect()
}

/// Long enough for a machine that does other things, too.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn commands_of_a_service_run_in_the_order_of_the_events() {
    // Every other one takes longer, so that those after it would overtake it.
    let script = "[ $LVS_STATE = UP ] && sleep 0.02\necho $LVS_EVENT $LVS_STATE >>$1/told\n";
    let rig = Rig::new("", script);
    rig.burst(40);
    let Rig {
        folder,
        notifications,
        ..
    } = rig;
    let events = notifications.finish(PATIENCE);
    let told = fs::read_to_string(folder.path().join("told")).unwrap();
    let word = |number| if number % 2 == 1 { "UP" } else { "DOWN" };
    let expected: String = (1..=40).map(|it| format!("{it} {}\n", word(it))).collect();
    assert_eq!(told, expected);
    let expected: Vec<_> = (1..=40).map(|number| (number, &Ended::Code(0))).collect();
    assert_eq!(ended(&events), expected);
}

#[test]
fn what_takes_too_long_is_killed_and_what_waits_is_left_out_oldest_first() {
    let rig = Rig::new("", "sleep 1000\n");
    rig.burst(300);
    // Telling has not waited, and the end does not either.
    let events = rig.notifications.finish(Duration::from_millis(200));
    let ended = ended(&events);
    // Nothing goes without a word.
    assert_eq!(ended.len(), 300);
    let not_run = |why: &str| {
        let wanted = Ended::NotStarted(why.to_owned());
        let found = ended.iter().filter(|(_, ended)| **ended == wanted);
        found.map(|(number, _)| *number).collect::<Vec<u64>>()
    };
    let left_out = not_run("too many wait");
    // One ran.
    assert_eq!(not_run("the end came first").len(), 299 - left_out.len());
    assert!((43..=44).contains(&left_out.len()), "{left_out:?}");
    let of_killed = |(number, how): &(u64, &Ended)| (**how == Ended::Killed).then_some(*number);
    let killed: Vec<u64> = ended.iter().filter_map(of_killed).collect();
    assert_eq!(killed.len(), 1, "{ended:?}");
    // One was under way already when those after it had to be left out, or before.
    let mut oldest = [left_out, killed].concat();
    oldest.sort_unstable();
    let expected: Vec<u64> = (1..).take(oldest.len()).collect();
    assert_eq!(oldest, expected);
}

#[test]
fn a_command_that_fails_is_told_and_holds_nothing_up() {
    let rig = Rig::new("", "echo $LVS_EVENT >>$1/told\nexit 3\n");
    rig.burst(2);
    let path = rig.path().join("told");
    let events = rig.notifications.finish(PATIENCE);
    assert_eq!(fs::read_to_string(path).unwrap(), "1\n2\n");
    let lines: Vec<_> = events.iter().map(ToString::to_string).collect();
    let begin = "notify  RS [10.0.0.1]:tcp:80 [192.0.2.1]:tcp:80 ";
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(
        lines[0].starts_with(&format!("{begin}UP: /bin/sh ")),
        "{lines:?}"
    );
    assert!(lines[1].ends_with(": exit code 3"), "{lines:?}");
    assert!(
        lines[2].starts_with(&format!("{begin}DOWN: /bin/sh ")),
        "{lines:?}"
    );
}

/// FIFOs have tests of their own; here that changes of servers get there.
#[test]
fn fifos_are_told_and_go_with_the_configuration() {
    let script = "#!/bin/sh\nwhile read line; do echo \"$line\" >>$0.lines; done <$1\n";
    let folder = tempfile::tempdir().unwrap();
    let reader = folder.path().join("reader");
    fs::write(&reader, script).unwrap();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&reader, everybody).unwrap();
    let globals = format!(
        "notify_fifo FOLDER/fifo\nnotify_fifo_script {}",
        reader.display()
    );
    let rig = Rig::new(&globals, "true");
    let fifo = rig.path().join("fifo");
    rig.burst(2);
    let (fifos, mut notifications) = (rig.fifos, rig.notifications);
    notifications.follow(&setup(
        "virtual_server 192.0.2.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n\
         real_server 10.0.0.1 80 {\n}\n}\n",
    ));
    fifos.finish();
    let told = fs::read_to_string(folder.path().join("reader.lines"));
    let expected = "RS [10.0.0.1]:tcp:80 [192.0.2.1]:tcp:80 UP\n\
                    RS [10.0.0.1]:tcp:80 [192.0.2.1]:tcp:80 DOWN\n";
    assert_eq!(told.unwrap(), expected);
    assert!(fs::metadata(&fifo).is_err());
    notifications.finish(PATIENCE);
}
