//! Putting destinations in order under live connections (`OP-12`).

use lvs_ipvs::{DestinationOrder, Policy, Scope, VirtualService};

use crate::download::Connection;
use crate::drain::{Site, other};
use crate::network::topology::SERVERS;

/// A destination that is removed and added again in one datagram keeps its connections, whatever
/// becomes of those of destinations that are gone.
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_connection_survives_putting_its_server_in_order() {
    for expires in ["0", "1"] {
        let web = VirtualService::tcp("192.0.2.10:80".parse().unwrap());
        let policy = Policy::new(Scope::all()).with_order(DestinationOrder::Exact);
        let mut site = Site::new(web, policy);
        let director = &site.network.director;
        director.sysctl("ipv4/vs/expire_nodest_conn", expires);
        let mut connections = [(); 4].map(|()| Connection::open(&site.network.client, site.to()));
        let names = connections
            .each_mut()
            .map(|connection| connection.say("who").unwrap());
        for name in SERVERS {
            assert!(names.contains(&name.to_owned()), "{names:?}");
        }

        for first in ["two", "one", "two"] {
            let wanted = [first, other(first)];
            site.desire(&wanted);
            let plan = site.look();
            assert_eq!(plan.len(), 2, "{plan}");
            let [cost] = plan.out_of_order() else {
                panic!("{:?}", plan.out_of_order());
            };
            assert_eq!((cost.destinations, cost.connections), (1, 2));
            assert!(cost.rebuilt);
            let entries = site.ipvs.destinations(site.key()).unwrap();
            let oldest_first = entries.iter().rev().map(|entry| entry.destination.clone());
            let expected = wanted.map(|name| site.destination(name));
            assert!(oldest_first.eq(expected), "{entries:?}");
            for (connection, name) in connections.iter_mut().zip(&names) {
                let answer = connection.say("who");
                assert_eq!(answer.as_ref().ok(), Some(name), "{answer:?}");
            }
            let active: Vec<_> = entries.iter().map(|one| one.active_connections).collect();
            assert_eq!(active, [2, 2]);
            assert!(site.look().is_empty());
        }
    }
}
