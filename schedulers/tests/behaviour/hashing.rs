//! The worked examples of spec §10 to §12 through a service whose destinations come, change and go:
//! dh, sh and mh with A, B and C at 10.0.0.1:80 to 10.0.0.3:80, added in this order.

use core::net::SocketAddr;
use core::time::Duration;

use lvs_schedulers::{
    AddressHash, Algorithm, Context, Destination, Explanation, Flow, MhWord, SchedulerFlags,
    Semantics, VirtualService,
};

const NONE: SchedulerFlags = SchedulerFlags::NONE;
const NAMES: [char; 4] = ['A', 'B', 'C', 'D'];

struct Cluster(VirtualService);

impl Cluster {
    fn new(algorithm: Algorithm, weights: &[u32]) -> Self {
        Self::with(algorithm, Semantics::LINUX_6_1, weights)
    }

    fn with(algorithm: Algorithm, semantics: Semantics, weights: &[u32]) -> Self {
        let mut cluster = Self(VirtualService::new(algorithm, semantics));
        for (name, &weight) in NAMES.into_iter().zip(weights) {
            cluster.add(name, weight);
        }
        cluster
    }

    fn address(name: char) -> SocketAddr {
        let last = 1 + NAMES.iter().position(|&other| other == name).unwrap() as u8;
        ([10, 0, 0, last], 80).into()
    }

    fn destination(name: char, weight: u32) -> Destination {
        Destination::new(Self::address(name)).with_weight(weight)
    }

    fn add(&mut self, name: char, weight: u32) {
        self.0.add(Self::destination(name, weight)).unwrap();
    }

    fn edit(&mut self, name: char, weight: u32) {
        self.0.edit(Self::destination(name, weight)).unwrap();
    }

    fn remove(&mut self, name: char) {
        self.0.remove(Self::address(name)).unwrap();
    }

    /// Lets a destination have one connection, which is one too many.
    fn overload(&mut self, name: char, weight: u32, client: &str) {
        let destination = Self::destination(name, weight).with_thresholds(1, 0);
        self.0.edit(destination).unwrap();
        let mut context = Context::new(Duration::ZERO);
        let connection = self.0.connect(&flow(client, 1), &mut context).unwrap();
        assert_eq!(
            self.0.destination_of(connection).map(|d| d.address()),
            Some(Self::address(name))
        );
    }

    fn schedule(&mut self, flow: &Flow) -> char {
        let picked = self.0.schedule(flow, &mut Context::new(Duration::ZERO));
        picked.map_or('-', |id| {
            let SocketAddr::V4(address) = self.0.destination(id).unwrap().address() else {
                panic!("of the other family");
            };
            NAMES[usize::from(address.ip().octets()[3]) - 1]
        })
    }

    /// Who gets each of these clients, without a port; `-` for nobody.
    fn picks(&mut self, clients: &[&str]) -> String {
        clients
            .iter()
            .map(|client| self.schedule(&flow(client, 0)))
            .collect()
    }

    /// The same for 256 clients.
    fn many(&mut self) -> String {
        (0..=255)
            .map(|last| self.schedule(&flow(&format!("198.51.100.{last}"), 0)))
            .collect()
    }
}

fn flow(client: &str, port: u16) -> Flow {
    let client = SocketAddr::new(client.parse().unwrap(), port);
    Flow::tcp(client, ([192, 0, 2, 1], 80).into())
}

/// What two services do alike.
fn assert_alike(one: &mut Cluster, other: &mut Cluster) {
    assert_eq!(one.many(), other.many());
}

#[test]
fn spec_10_dh() {
    let mut cluster = Cluster::new(Algorithm::Dh, &[1, 1, 1]);
    let picks = |cluster: &mut Cluster| -> String {
        let sites = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "198.51.100.7"];
        let to = |site: &str| SocketAddr::new(site.parse().unwrap(), 80);
        sites
            .map(|site| cluster.schedule(&Flow::tcp(([192, 0, 2, 7], 40000).into(), to(site))))
            .iter()
            .collect()
    };
    assert_eq!(picks(&mut cluster), "ACAC");
    // Weights neither move anybody nor matter, except 0.
    cluster.edit('A', 300);
    assert_eq!(picks(&mut cluster), "ACAC");
    cluster.edit('C', 0);
    assert_eq!(picks(&mut cluster), "A-A-");
    cluster.edit('C', 1);
    // Slots 50, 147, 245, 171 of the list B A, then of the list C B A.
    cluster.remove('C');
    assert_eq!(picks(&mut cluster), "BAAA");
    cluster.add('C', 5);
    assert_eq!(picks(&mut cluster), "ACAC");
}

const SH_CLIENTS: [&str; 4] = ["192.168.0.1", "192.168.0.2", "192.168.0.3", "10.20.30.40"];

#[test]
fn spec_11_sh() {
    let mut cluster = Cluster::new(Algorithm::Sh, &[1, 3, 2]);
    assert_eq!(cluster.picks(&SH_CLIENTS), "CBAB");
    assert_eq!(cluster.picks(&["2001:db8::1", "172.16.5.6"]), "BA");

    cluster.0.set_flags(NONE.with_port());
    let with_port = |client: &&str| cluster.schedule(&flow(client, 40000));
    assert_eq!(SH_CLIENTS.iter().map(with_port).collect::<String>(), "BCBC");
    cluster.0.set_flags(NONE);

    cluster.edit('B', 0);
    assert_eq!(cluster.picks(&SH_CLIENTS), "C-A-");
    cluster.0.set_flags(NONE.with_fallback());
    assert_eq!(cluster.picks(&SH_CLIENTS), "CCAC");
    cluster.edit('B', 3);
    assert_eq!(cluster.picks(&SH_CLIENTS), "CBAB");
}

#[test]
fn spec_11_sh_with_b_overloaded() {
    let mut cluster = Cluster::new(Algorithm::Sh, &[1, 3, 2]);
    cluster.overload('B', 3, "192.168.0.2");
    let clients = [&SH_CLIENTS[..], &["2001:db8::1", "172.16.5.6"]].concat();
    assert_eq!(cluster.picks(&clients), "C-A--A");
    cluster.0.set_flags(NONE.with_fallback());
    assert_eq!(cluster.picks(&clients), "CAAACA");
}

/// Slots 177, 98, 19, 168 of `CCBBBA…`.
#[test]
fn spec_11_sh_of_an_older_kernel() {
    let mut semantics = Semantics::LINUX_6_1;
    semantics.address_hash = AddressHash::LowBits;
    let mut cluster = Cluster::with(Algorithm::Sh, semantics, &[1, 3, 2]);
    let slots = [177, 98, 19, 168];
    let expected: String = slots
        .map(|slot| b"CCBBBA"[slot % 6] as char)
        .iter()
        .collect();
    assert_eq!(cluster.picks(&SH_CLIENTS), expected);
}

/// Spec §11: 2^b slots, 4 ≤ b ≤ 20.
#[test]
fn spec_11_sh_table_size() {
    for bits in [4, 8, 20] {
        let mut semantics = Semantics::LINUX_6_1;
        semantics.sh_table_bits = bits;
        let mut cluster = Cluster::with(Algorithm::Sh, semantics, &[1, 3, 2]);
        let slot = 0xc0a8_0001_u32.wrapping_mul(0x61C8_8647) >> (32 - bits);
        let expected = b"CCBBBA"[slot as usize % 6] as char;
        assert_eq!(
            cluster.schedule(&flow("192.168.0.1", 0)),
            expected,
            "{bits}"
        );
    }
}

const MH_CLIENTS: [&str; 3] = ["192.168.0.1", "192.168.0.2", "10.20.30.40"];

#[test]
fn spec_12_mh() {
    let mut cluster = Cluster::new(Algorithm::Mh, &[1, 1, 1]);
    for (weights, picks) in [
        ([1, 1, 1], "BCB"),
        ([1, 3, 2], "BBB"),
        ([1000, 333, 70], "AAA"),
    ] {
        for (name, weight) in NAMES.into_iter().zip(weights) {
            cluster.edit(name, weight);
        }
        assert_eq!(cluster.picks(&MH_CLIENTS), picks, "{weights:?}");
        cluster.0.set_flags(NONE.with_port());
        assert_eq!(
            cluster.schedule(&flow("192.168.0.1", 40000)),
            'A',
            "{weights:?}"
        );
        cluster.0.set_flags(NONE);
        assert_alike(&mut cluster, &mut Cluster::new(Algorithm::Mh, &weights));
    }
}

/// Spec §12: weight 0 changes no slot, a removal does, and the way back leads to the same table.
#[test]
fn spec_12_mh_keeps_slots_for_the_last_weight() {
    let mut cluster = Cluster::new(Algorithm::Mh, &[1, 3, 2]);
    let before = cluster.many();
    cluster.edit('B', 0);
    assert_eq!(cluster.many(), before.replace('B', "-"));
    cluster.0.set_flags(NONE.with_fallback());
    let others = cluster.many();
    for (before, now) in before.chars().zip(others.chars()) {
        assert!(if before == 'B' {
            now == 'A' || now == 'C'
        } else {
            now == before
        });
    }
    cluster.0.set_flags(NONE);

    cluster.remove('B');
    assert!(!cluster.many().contains(['B', '-']));
    // Added with weight 0, it has no last weight and no slots until it gets one.
    let without = cluster.many();
    cluster.add('B', 0);
    assert_eq!(cluster.many(), without);
    // Now it is the newest: the walk is B C A.
    cluster.edit('B', 3);
    let mut expected = Cluster::new(Algorithm::Mh, &[1]);
    expected.add('C', 2);
    expected.add('B', 3);
    assert_alike(&mut cluster, &mut expected);
}

#[test]
fn spec_12_mh_with_b_overloaded() {
    let mut cluster = Cluster::new(Algorithm::Mh, &[1, 1, 1]);
    let before = cluster.many();
    cluster.overload('B', 1, "192.168.0.1");
    assert_eq!(cluster.many(), before.replace('B', "-"));
    cluster.0.set_flags(NONE.with_fallback());
    assert!(!cluster.many().contains(['B', '-']));
}

/// Spec §12: results differ between word sizes and between byte orders.
#[test]
fn spec_12_mh_word_size_changes_the_picks() {
    let picks = |word| {
        let mut semantics = Semantics::LINUX_6_1;
        semantics.mh_word = word;
        Cluster::with(Algorithm::Mh, semantics, &[1, 1, 1]).many()
    };
    let all = [
        MhWord::Bits32,
        MhWord::Bits64,
        MhWord::Bits32BigEndian,
        MhWord::Bits64BigEndian,
    ]
    .map(picks);
    for (index, one) in all.iter().enumerate() {
        assert!(all[..index].iter().all(|other| other != one));
    }
}

/// Spec §12: more destinations than slots: the table of the first 251 stays in force.
#[test]
fn spec_12_mh_with_more_destinations_than_slots() {
    let mut semantics = Semantics::LINUX_6_1;
    semantics.mh_table_index = 8;
    let mut service = VirtualService::new(Algorithm::Mh, semantics);
    let destination = |number: u16| Destination::new(([10, 0, 0, 1], 1000 + number).into());
    let picks = |service: &mut VirtualService| -> Vec<_> {
        let mut context = Context::new(Duration::ZERO);
        let client = |last| flow(&format!("198.51.100.{last}"), 0);
        (0..=255)
            .map(|last| service.schedule(&client(last), &mut context))
            .collect()
    };
    for number in 0..251 {
        service.add(destination(number)).unwrap();
    }
    let before = picks(&mut service);
    let newest = service.add(destination(251)).unwrap();
    assert_eq!(picks(&mut service), before);
    service.remove(([10, 0, 0, 1], 1000).into()).unwrap();
    let after = picks(&mut service);
    assert!(after.iter().all(Option::is_some));
    assert!(after.contains(&Some(newest)), "251 fit");
}

/// Changing the scheduler builds the table of the present list at once.
#[test]
fn binding_to_a_list_equals_adding_one_by_one() {
    for algorithm in [Algorithm::Dh, Algorithm::Sh, Algorithm::Mh] {
        let mut grown = Cluster::new(algorithm, &[4, 3, 2]);
        let mut bound = Cluster::new(Algorithm::Rr, &[4, 3, 2]);
        bound
            .0
            .set_scheduler(algorithm.scheduler(Semantics::LINUX_6_1));
        assert_alike(&mut grown, &mut bound);
    }
}

#[test]
fn explanations_tell_hash_slot_owner_and_every_probe() {
    let explain = |cluster: &mut Cluster, client: &str| {
        let mut why = Explanation::new();
        let mut context = Context::new(Duration::ZERO).with_trace(&mut why);
        cluster.0.schedule(&flow(client, 40000), &mut context);
        why.to_string()
    };
    let mut sh = Cluster::new(Algorithm::Sh, &[1, 3, 2]);
    sh.edit('B', 0);
    assert_eq!(
        explain(&mut sh, "192.168.0.2"),
        "sh picks nobody\n\
         \x20 192.168.0.2 fold to 0xc0a80002, slot 34 of 256\n\
         \x20 slot 34: 10.0.0.2:80, left out, weight 0\n"
    );
    sh.0.set_flags(NONE.with_fallback().with_port());
    sh.edit('C', 0);
    assert_eq!(
        explain(&mut sh, "192.168.0.3"),
        "sh picks 10.0.0.1:80\n\
         \x20 192.168.0.3 and port 40000 fold to 0xc0a89c43, slot 39 of 256\n\
         \x20 slot 39: 10.0.0.3:80, left out, weight 0\n\
         \x20 fallback 0, slot 78: 10.0.0.3:80, left out, weight 0\n\
         \x20 fallback 1, slot 79: 10.0.0.2:80, left out, weight 0\n\
         \x20 fallback 2, slot 80: 10.0.0.1:80, taken\n"
    );

    let mut mh = Cluster::new(Algorithm::Mh, &[1, 1, 1]);
    mh.0.set_flags(NONE.with_port());
    assert_eq!(
        explain(&mut mh, "192.168.0.1"),
        "mh picks 10.0.0.1:80\n\
         \x20 192.168.0.1 and port 40000 fold to 0xc0a89c41, hash 1874601652, slot 3559 of 4093\n\
         \x20 slot 3559: 10.0.0.1:80, taken\n"
    );
}
