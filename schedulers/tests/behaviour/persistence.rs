//! Persistence: templates, their timers, the destinations they lead to.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use lvs_schedulers::{
    Algorithm, ConnectionId, Context, Destination, Direction, Explanation, Flow, Packet,
    Persistence, PersistenceMask, Protocol, Semantics, Settings, TcpFlags, VirtualService,
};

use crate::support::{self, address};

fn client(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A service of rr with destinations A and B and a timeout of 100 s.
struct Sticky {
    service: VirtualService,
    now: u64,
}

impl Sticky {
    fn new(semantics: Semantics) -> Self {
        let mut service = VirtualService::new(Algorithm::Rr, semantics)
            .with_persistence(Persistence::new(secs(100)));
        for name in ['A', 'B'] {
            service.add(Destination::new(address(name))).unwrap();
        }
        Self { service, now: 0 }
    }

    fn flow(&mut self, flow: &Flow) -> Option<(char, ConnectionId)> {
        let mut context = Context::new(secs(self.now));
        let connection = self.service.connect(flow, &mut context)?;
        let entry = self.service.destination_of(connection).unwrap();
        Some((support::name(entry), connection))
    }

    fn connect(&mut self, from: &str) -> Option<(char, ConnectionId)> {
        self.flow(&Flow::tcp(client(from), client("192.0.2.1:80")))
    }

    /// A connection that is over at once: where it went.
    fn touch(&mut self, from: &str) -> char {
        let (name, connection) = self.connect(from).unwrap();
        self.service.expire(connection);
        name
    }

    fn to(&mut self, now: u64) {
        self.now = now;
        self.service.advance(secs(now));
    }

    fn templates(&self, name: char) -> u32 {
        let entry = self.service.destination_at(address(name)).unwrap();
        entry.templates()
    }

    fn expire_quiescent(&mut self) {
        let mut settings = Settings::default();
        settings.expire_quiescent_template = true;
        self.service.set_settings(settings);
    }
}

#[test]
fn clients_stay_and_others_go_on_in_turn() {
    let mut sticky = Sticky::new(Semantics::LINUX_6_1);
    let order: String = ["1", "2", "1", "3", "2", "3"]
        .map(|last| sticky.touch(&format!("198.51.100.{last}:1000")))
        .into_iter()
        .collect();
    assert_eq!(order, "BABBAB");
    assert_eq!((sticky.templates('A'), sticky.templates('B')), (1, 2));
    assert_eq!(sticky.service.templates(), 3);
    let entry = sticky.service.destination_at(address('B')).unwrap();
    assert_eq!(entry.total(), 0, "templates are no connections");
}

#[test]
fn template_lives_for_the_timeout_after_the_last_connection_was_made() {
    let mut sticky = Sticky::new(Semantics::LINUX_6_1);
    let from = "198.51.100.1:1000";
    assert_eq!(sticky.touch(from), 'B');
    sticky.to(99);
    assert_eq!(sticky.touch(from), 'B', "restarts the timer");
    sticky.to(198);
    assert_eq!(sticky.service.templates(), 1);
    assert_eq!(sticky.service.next_due(), Some(secs(199)));
    sticky.to(199);
    assert_eq!((sticky.service.templates(), sticky.templates('B')), (0, 0));
    assert_eq!(sticky.touch(from), 'A', "the scheduler's turn");
}

/// Packets of its connections do not restart it; the clock of the next packet fires it.
#[test]
fn packets_do_not_restart_the_timer() {
    let mut sticky = Sticky::new(Semantics::LINUX_6_1);
    let (_, connection) = sticky.connect("198.51.100.1:1000").unwrap();
    let mut context = Context::new(secs(50));
    sticky
        .service
        .packet(connection, Direction::In, TcpFlags::ACK, &mut context);
    assert_eq!(
        sticky.service.template_of(connection).unwrap().due,
        secs(100)
    );
    sticky.service.expire(connection);
    sticky.now = 100;
    assert_eq!(sticky.touch("198.51.100.1:1001"), 'A');
}

/// Seen with 6.1.176 and 7.2.7: prolonged by 60 s while it has connections; 60 s is its timeout then.
#[test]
fn template_with_connections_is_prolonged_by_a_minute_each_time() {
    let mut sticky = Sticky::new(Semantics::LINUX_6_1);
    let from = "198.51.100.1:1000";
    let (_, connection) = sticky.connect(from).unwrap();
    for (now, due) in [(99, 100), (100, 160), (159, 160), (160, 220), (500, 520)] {
        sticky.to(now);
        let template = *sticky.service.template(ip("198.51.100.1")).unwrap();
        assert_eq!(
            (template.due, template.connections),
            (secs(due), 1),
            "{now}"
        );
    }
    assert_eq!(sticky.touch(from), 'B');
    let template = *sticky.service.template(ip("198.51.100.1")).unwrap();
    assert_eq!((template.timeout, template.due), (secs(60), secs(560)));
    sticky.service.expire(connection);
    sticky.to(559);
    assert_eq!(sticky.service.templates(), 1);
    sticky.to(560);
    assert_eq!(sticky.service.templates(), 0);
}

/// Seen with 6.1.176: each datagram restarts the timer and is gone at once, so nothing prolongs it.
#[test]
fn one_packet_templates_have_no_connections() {
    let mut service = VirtualService::new(Algorithm::Rr, Semantics::LINUX_6_1)
        .with_persistence(Persistence::new(secs(100)))
        .with_one_packet();
    for name in ['A', 'B'] {
        service.add(Destination::new(address(name))).unwrap();
    }
    let mut sticky = Sticky { service, now: 0 };
    let flow = Flow::udp(client("198.51.100.1:1000"), client("192.0.2.1:53"));
    for now in [0, 90] {
        sticky.to(now);
        assert_eq!(sticky.flow(&flow).map(|it| it.0), Some('B'));
        let template = sticky.service.template(ip("198.51.100.1")).unwrap();
        assert_eq!((template.due, template.connections), (secs(now + 100), 0));
    }
    sticky.to(190);
    assert_eq!((sticky.service.templates(), sticky.templates('B')), (0, 0));
}

/// Timers of connections and templates fire in the order of their times, in one leap too.
#[test]
fn connection_that_expires_meanwhile_has_prolonged_its_template() {
    let mut sticky = Sticky::new(Semantics::LINUX_6_1);
    sticky
        .service
        .set_persistence(Some(Persistence::new(secs(10))));
    let (_, connection) = sticky.connect("198.51.100.1:1000").unwrap();
    assert_eq!(sticky.service.expire_due(secs(65)), [connection]);
    let template = sticky.service.template(ip("198.51.100.1")).unwrap();
    assert_eq!((template.due, template.connections), (secs(70), 0));
    sticky.service.expire_due(secs(70));
    assert_eq!(sticky.service.templates(), 0);
}

/// Spec 1.5: persistence templates keep using an overloaded or weight-0 server.
#[test]
fn overloaded_and_quiesced_destinations_are_still_remembered() {
    let mut sticky = Sticky::new(Semantics::LINUX_6_1);
    let from = "198.51.100.1:1000";
    let full = Destination::new(address('B')).with_thresholds(1, 0);
    sticky.service.edit(full).unwrap();
    let (name, _) = sticky.connect(from).unwrap();
    assert_eq!(name, 'B');
    assert!(
        sticky
            .service
            .destination_at(address('B'))
            .unwrap()
            .is_overloaded()
    );
    assert_eq!(sticky.touch(from), 'B');
    sticky.service.edit(full.with_weight(0)).unwrap();
    assert_eq!(sticky.touch(from), 'B');

    // Until templates of weight 0 are not honoured any more.
    sticky.expire_quiescent();
    assert_eq!(sticky.touch(from), 'A');
    sticky.service.edit(full.with_weight(1)).unwrap();
    assert_eq!(sticky.touch(from), 'A', "remembered anew");
    assert_eq!(
        (sticky.templates('A'), sticky.templates('B')),
        (1, 1),
        "the old one has a timer still"
    );
    assert_eq!(sticky.service.templates(), 1);
}

#[test]
fn template_of_a_removed_destination_is_given_up_when_asked_for() {
    let mut sticky = Sticky::new(Semantics::LINUX_6_1);
    let from = "198.51.100.1:1000";
    assert_eq!(sticky.touch(from), 'B');
    // Removed and added again before anybody asked: as if nothing had happened.
    sticky.service.remove(address('B')).unwrap();
    sticky.service.add(Destination::new(address('B'))).unwrap();
    assert_eq!(sticky.touch(from), 'B');
    // Asked for meanwhile.
    sticky.service.remove(address('B')).unwrap();
    assert_eq!(sticky.touch(from), 'A');
    sticky.service.add(Destination::new(address('B'))).unwrap();
    assert_eq!(sticky.touch(from), 'A');
    assert_eq!((sticky.templates('A'), sticky.templates('B')), (1, 1));
    sticky.to(100);
    assert_eq!((sticky.templates('A'), sticky.templates('B')), (0, 0));
}

#[test]
fn refused_template_stays_refused_when_nobody_else_is_there() {
    let mut sticky = Sticky::new(Semantics::LINUX_6_1);
    let from = "198.51.100.1:1000";
    assert_eq!(sticky.touch(from), 'B');
    sticky.expire_quiescent();
    for name in ['A', 'B'] {
        sticky
            .service
            .edit(Destination::new(address(name)).with_weight(0))
            .unwrap();
    }
    assert!(sticky.connect(from).is_none());
    assert_eq!((sticky.service.templates(), sticky.templates('B')), (0, 1));
}

/// Spec 1.6: the key of mark services has neither protocol nor address nor port.
#[test]
fn mark_services_remember_a_client_whatever_it_sends_where() {
    let mut sticky = Sticky::new(Semantics::LINUX_6_1);
    let from = client("198.51.100.1:1000");
    let (first, _) = sticky
        .flow(&Flow::tcp(from, client("192.0.2.1:80")))
        .unwrap();
    for flow in [
        Flow::udp(from, client("192.0.2.9:53")),
        Flow::sctp(from, client("203.0.113.1:5000")),
        Flow::tcp(from, client("192.0.2.1:443")),
    ] {
        assert_eq!(sticky.flow(&flow).map(|it| it.0), Some(first));
    }
}

#[test]
fn masks_decide_who_shares_a_template() {
    let inet = PersistenceMask::Inet([255, 255, 255, 0].into());
    let mut sticky = Sticky::new(Semantics::LINUX_6_1);
    sticky
        .service
        .set_persistence(Some(Persistence::new(secs(100)).with_mask(inet)));
    let order: String = [
        "198.51.100.1:1",
        "198.51.100.200:1",
        "198.51.101.1:1",
        "198.51.100.7:1",
    ]
    .map(|from| sticky.touch(from))
    .into_iter()
    .collect();
    assert_eq!(order, "BBAB");

    let mut sticky = Sticky::new(Semantics::LINUX_6_1);
    let inet6 = PersistenceMask::Inet6(64);
    sticky
        .service
        .set_persistence(Some(Persistence::new(secs(100)).with_mask(inet6)));
    let to = client("[2001:db8:f::1]:80");
    let order: String = ["[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:0:1::1]:1"]
        .map(|from| sticky.flow(&Flow::tcp(client(from), to)).unwrap().0)
        .into_iter()
        .collect();
    assert_eq!(order, "BBA");
    assert_eq!(
        sticky
            .service
            .persistence()
            .map(|it| (it.timeout(), it.mask())),
        Some((secs(100), inet6))
    );
    // Without persistence again, every connection is scheduled.
    sticky.service.set_persistence(None);
    let flow = Flow::tcp(client("[2001:db8::1]:2"), to);
    let order = [0; 2].map(|_| sticky.flow(&flow).unwrap().0);
    assert_eq!(order, ['B', 'A']);
    assert_eq!(sticky.service.template(ip("2001:db8::1")), None);
}

#[test]
fn templates_are_assured_by_established_connections_and_by_answers() {
    let mut sticky = Sticky::new(Semantics::LINUX_6_1);
    let to = client("192.0.2.1:80");
    let flows = [
        Flow::tcp(client("198.51.100.1:1"), to),
        Flow::sctp(client("198.51.100.2:1"), to),
        Flow::udp(client("198.51.100.3:1"), to),
    ];
    for flow in &flows {
        let (_, connection) = sticky.flow(flow).unwrap();
        let assured = |sticky: &Sticky| sticky.service.template_of(connection).unwrap().is_assured;
        assert!(!assured(&sticky), "{flow:?}");
        if flow.protocol() == Protocol::Udp {
            let mut context = Context::new(secs(0));
            sticky
                .service
                .packet(connection, Direction::In, Packet::Udp, &mut context);
            assert!(!assured(&sticky), "the client's datagrams do not");
        }
        sticky.service.establish(connection);
        assert!(assured(&sticky), "{flow:?}");
    }
}

/// Spec 1.5: the older rule looks at the thresholds also when a template comes or goes.
#[test]
fn thresholds_are_looked_at_with_templates_in_the_older_generation() {
    // The lower threshold raised above the connections while the mark is set: the older edit keeps the
    // mark, and the end of any template clears it.
    for (semantics, expected) in [
        (Semantics::LINUX_6_1, [true, false]),
        (Semantics::LINUX_7_2, [false, false]),
    ] {
        let mut sticky = Sticky::new(semantics);
        sticky.service.remove(address('A')).unwrap();
        let b = Destination::new(address('B'));
        sticky.service.edit(b.with_thresholds(8, 2)).unwrap();
        let connections: Vec<_> = (1..=8)
            .map(|last| {
                sticky
                    .connect(&format!("198.51.100.{last}:1000"))
                    .unwrap()
                    .1
            })
            .collect();
        for connection in &connections[..4] {
            sticky.service.expire(*connection);
        }
        sticky.service.edit(b.with_thresholds(8, 6)).unwrap();
        let is_marked = |sticky: &Sticky| {
            sticky
                .service
                .destination_at(address('B'))
                .unwrap()
                .is_overloaded()
        };
        let edited = is_marked(&sticky);
        sticky.to(100);
        assert_eq!(sticky.service.templates(), 4);
        assert_eq!([edited, is_marked(&sticky)], expected, "{semantics:?}");
    }
}

#[test]
fn explanation_names_the_template() {
    let mut sticky = Sticky::new(Semantics::LINUX_6_1);
    let from = "198.51.100.1:1000";
    sticky.touch(from);
    let flow = Flow::tcp(client(from), client("192.0.2.1:80"));
    let mut why = Explanation::new();
    let mut explain = |sticky: &mut Sticky| {
        let mut context = Context::new(secs(0)).with_trace(&mut why);
        sticky.service.connect(&flow, &mut context);
        why.to_string()
    };
    assert_eq!(
        explain(&mut sticky),
        "template picks 10.2.1.1:66\n  template of 198.51.100.1 leads to 10.2.1.1:66\n"
    );
    sticky.service.remove(address('B')).unwrap();
    let text = explain(&mut sticky);
    assert!(
        text.starts_with("rr picks 10.2.1.1:65\n  template of 198.51.100.1 is not honoured"),
        "{text}"
    );
}
