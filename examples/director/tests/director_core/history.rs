//! Configurations and what happens to a director, at random.

use core::fmt::Write as _;
use core::net::Ipv4Addr;
use core::time::Duration;

use director::director::Role;
use director::keepalived::{Config, Severity};
use director::setup::Setup;
use lvs_healthcheck::AdminHint;
use lvs_healthcheck::policy::Health;
use lvs_ipvs::ServiceKey;
use proptest::collection::vec;
use proptest::prelude::*;

/// A configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spec {
    pub(crate) services: Vec<ServiceSpec>,
    /// `--drain`, in seconds.
    pub(crate) drain: Option<u64>,
}

/// A `virtual_server`; its address has that last part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServiceSpec {
    pub(crate) last: u8,
    pub(crate) servers: Vec<ServerSpec>,
    pub(crate) quorum: u32,
    pub(crate) sorry: bool,
    pub(crate) omega: bool,
    pub(crate) delay_loop: u32,
}

/// A `real_server`, with a TCP_CHECK for each port.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServerSpec {
    pub(crate) last: u8,
    pub(crate) weight: u32,
    pub(crate) inhibit: bool,
    pub(crate) alpha: bool,
    pub(crate) ports: Vec<u16>,
}

impl Spec {
    /// One service with servers of these weights.
    pub(crate) fn simple(weights: &[u32]) -> Self {
        Self {
            services: vec![ServiceSpec::simple(1, weights)],
            drain: None,
        }
    }

    pub(crate) fn setup(&self) -> Setup {
        let mut text = String::new();
        for service in &self.services {
            service.write(&mut text);
        }
        let config = Config::parse("t.conf", &text);
        let setup = Setup::new(&config);
        let mut told = setup.diagnostics().iter();
        assert!(told.all(|it| it.severity < Severity::Error), "{text}");
        match self.drain {
            Some(limit) => setup.with_drain(Duration::from_secs(limit)),
            None => setup,
        }
    }
}

impl ServiceSpec {
    pub(crate) fn simple(last: u8, weights: &[u32]) -> Self {
        let servers = weights.iter().zip(1..).map(|(weight, last)| ServerSpec {
            last,
            weight: *weight,
            inhibit: false,
            alpha: false,
            ports: vec![80],
        });
        Self {
            last,
            servers: servers.collect(),
            quorum: 1,
            sorry: false,
            omega: false,
            delay_loop: 6,
        }
    }

    pub(crate) fn key(&self) -> ServiceKey {
        ServiceKey::tcp((Ipv4Addr::new(192, 0, 2, self.last), 80).into())
    }

    fn write(&self, text: &mut String) {
        let Self {
            last,
            quorum,
            delay_loop,
            ..
        } = self;
        let _ = write!(
            text,
            "virtual_server 192.0.2.{last} 80 {{\nlb_algo wrr\nlb_kind NAT\nprotocol TCP\n\
             quorum {quorum}\ndelay_loop {delay_loop}\n"
        );
        if self.sorry {
            text.push_str("sorry_server 10.0.0.99 80\n");
        }
        if self.omega {
            text.push_str("omega\n");
        }
        for server in &self.servers {
            let ServerSpec { last, weight, .. } = server;
            let _ = write!(text, "real_server 10.0.0.{last} 80 {{\nweight {weight}\n");
            if server.inhibit {
                text.push_str("inhibit_on_failure\n");
            }
            if server.alpha {
                text.push_str("alpha\n");
            }
            for port in &server.ports {
                let _ = write!(text, "TCP_CHECK {{\nconnect_port {port}\n}}\n");
            }
            text.push_str("}\n");
        }
        text.push_str("}\n");
    }
}

/// Something that happens; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Report(usize, Health),
    Weight(usize, usize, Option<u32>),
    Vote(usize, usize, Option<AdminHint>),
    Role(Role),
    Reload(Spec),
    Pass(u64),
    /// What drains has that many connections from now on.
    Connections(u32),
}

/// A configuration, and what happens then.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) start: Spec,
    pub(crate) steps: Vec<Step>,
}

fn server() -> impl Strategy<Value = ServerSpec> {
    let ports = prop_oneof![Just(vec![]), Just(vec![80]), Just(vec![80, 81])];
    (1..5_u8, 0..4_u32, any::<bool>(), any::<bool>(), ports).prop_map(
        |(last, weight, inhibit, alpha, ports)| ServerSpec {
            last,
            weight,
            inhibit,
            alpha,
            ports,
        },
    )
}

fn service() -> impl Strategy<Value = ServiceSpec> {
    let servers = vec(server(), 1..4).prop_map(|mut servers| {
        servers.sort_by_key(|server| server.last);
        servers.dedup_by_key(|server| server.last);
        servers
    });
    (
        1..4_u8,
        servers,
        1..4_u32,
        any::<bool>(),
        any::<bool>(),
        5..7_u32,
    )
        .prop_map(
            |(last, servers, quorum, sorry, omega, delay_loop)| ServiceSpec {
                last,
                servers,
                quorum,
                sorry,
                omega,
                delay_loop,
            },
        )
}

fn spec() -> impl Strategy<Value = Spec> {
    let drain = prop_oneof![Just(None), Just(Some(60))];
    (vec(service(), 1..4), drain).prop_map(|(mut services, drain)| {
        services.sort_by_key(|service| service.last);
        services.dedup_by_key(|service| service.last);
        Spec { services, drain }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<u8>().prop_map(usize::from);
    let health = prop_oneof![2 => Just(Health::Up), 3 => Just(Health::Down)];
    let weight = proptest::option::of(0..9_u32);
    let vote = prop_oneof![
        Just(None),
        Just(Some(AdminHint::Drain)),
        Just(Some(AdminHint::Maint))
    ];
    let role = prop_oneof![Just(Role::Alone), Just(Role::Standby), Just(Role::Active)];
    prop_oneof![
        8 => (any.clone(), health).prop_map(|(check, health)| Step::Report(check, health)),
        1 => (any.clone(), any.clone(), weight).prop_map(|(a, b, w)| Step::Weight(a, b, w)),
        1 => (any.clone(), any, vote).prop_map(|(a, b, vote)| Step::Vote(a, b, vote)),
        1 => role.prop_map(Step::Role),
        2 => spec().prop_map(Step::Reload),
        2 => (1..100_u64).prop_map(Step::Pass),
        1 => (0..3_u32).prop_map(Step::Connections),
    ]
}

pub(crate) fn history() -> impl Strategy<Value = History> {
    (spec(), vec(step(), 1..40)).prop_map(|(start, steps)| History { start, steps })
}
