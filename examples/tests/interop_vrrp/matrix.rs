//! The cells: each peer, each way to speak, each thing that happens.

/// A module of tests for each pair of programs and way to speak; the last word says which things
/// happen there.
macro_rules! cells {
    ($($module:ident: $us:ident, $peer:ident, $version:ident, $family:ident, $way:ident, $which:ident;)*) => {$(
        mod $module {
            use lvs_vrrp::{Family, Version};

            use crate::cells;
            use crate::lab::Side;
            use crate::program::Program;
            use crate::scene::Scene;
            use crate::settings::Settings;

            fn scene() -> Scene {
                let programs = [Program::$us, Program::$peer];
                Scene::new(programs, Version::$version, Family::$family, Settings::$way)
            }

            cells! { @$which }
        }
    )*};
    (@all) => {
        cells! { @tests
            we_are_active: one_is_active, Us;
            peer_is_active: one_is_active, Peer;
            we_are_killed: active_is_killed, Us;
            peer_is_killed: active_is_killed, Peer;
            we_resign: active_resigns, Us;
            peer_resigns: active_resigns, Peer;
            we_return_and_preempt: higher_returns, Us;
            peer_returns_and_preempts: higher_returns, Peer;
            we_return_and_wait: higher_waits, Us;
            peer_returns_and_waits: higher_waits, Peer;
            we_are_mute: active_is_mute, Us;
            peer_is_mute: active_is_mute, Peer;
        }
    };
    // Where only the packets differ, or the addresses.
    (@heard) => {
        cells! { @tests
            we_are_active: one_is_active, Us;
            peer_is_active: one_is_active, Peer;
            we_resign: active_resigns, Us;
            peer_resigns: active_resigns, Peer;
        }
    };
    // Where the password is wrong on one side.
    (@refused) => {
        cells! { @tests
            both_are_active: nobody_is_believed, Us;
        }
    };
    // Where it depends on the driver, too.
    (@driven) => {
        cells! { @tests
            we_are_active: one_is_active, Us;
            we_are_killed: active_is_killed, Us;
            peer_is_killed: active_is_killed, Peer;
            we_return_and_preempt: higher_returns, Us;
            peer_returns_and_preempts: higher_returns, Peer;
        }
    };
    (@tests $($name:ident: $what:ident, $side:ident;)*) => {$(
        #[test]
        #[ignore = "needs root, network namespaces, keepalived and FRR"]
        fn $name() {
            cells::$what(&scene(), Side::$side);
        }
    )*};
}

cells! {
    keepalived_v2_ipv4: Blocking, Keepalived, V2, Ipv4, plain, all;
    keepalived_v3_ipv4: Blocking, Keepalived, V3, Ipv4, plain, all;
    keepalived_v3_ipv6: Blocking, Keepalived, V3, Ipv6, plain, all;
    keepalived_v2_password: Blocking, Keepalived, V2, Ipv4, password, heard;
    keepalived_v2_wrong_password: Blocking, Keepalived, V2, Ipv4, own_password, refused;
    keepalived_v2_header: Blocking, Keepalived, V2, Ipv4, header, heard;
    keepalived_v2_wrong_header: Blocking, Keepalived, V2, Ipv4, own_header, refused;
    keepalived_v2_unicast: Blocking, Keepalived, V2, Ipv4, unicast, heard;
    keepalived_v3_ipv4_unicast: Blocking, Keepalived, V3, Ipv4, unicast, heard;
    keepalived_v3_ipv6_unicast: Blocking, Keepalived, V3, Ipv6, unicast, heard;
    keepalived_v2_virtual_mac: Blocking, Keepalived, V2, Ipv4, virtual_mac, heard;
    keepalived_v3_ipv4_virtual_mac: Blocking, Keepalived, V3, Ipv4, virtual_mac, all;
    keepalived_v3_ipv6_virtual_mac: Blocking, Keepalived, V3, Ipv6, virtual_mac, heard;
    frr_v2_ipv4: Blocking, Frr, V2, Ipv4, plain, all;
    frr_v3_ipv4: Blocking, Frr, V3, Ipv4, plain, all;
    frr_v3_ipv6: Blocking, Frr, V3, Ipv6, plain, all;
    frr_v2_virtual_mac: Blocking, Frr, V2, Ipv4, virtual_mac, heard;
    frr_v3_ipv4_virtual_mac: Blocking, Frr, V3, Ipv4, virtual_mac, all;
    frr_v3_ipv6_virtual_mac: Blocking, Frr, V3, Ipv6, virtual_mac, heard;
    peers_v3_ipv4_virtual_mac: Keepalived, Frr, V3, Ipv4, virtual_mac, heard;
    keepalived_v2_ipv4_tokio: Tokio, Keepalived, V2, Ipv4, plain, driven;
    keepalived_v3_ipv4_tokio: Tokio, Keepalived, V3, Ipv4, plain, driven;
    keepalived_v3_ipv6_tokio: Tokio, Keepalived, V3, Ipv6, plain, driven;
    frr_v2_ipv4_tokio: Tokio, Frr, V2, Ipv4, plain, driven;
    frr_v3_ipv4_tokio: Tokio, Frr, V3, Ipv4, plain, driven;
}
