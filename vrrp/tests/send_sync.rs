//! Every public type can be sent and shared between threads.

use lvs_vrrp::checksum::{ChecksumFinding, ChecksumPolicy, FormFollower, Sum};
use lvs_vrrp::codec::{
    Advertisement, AhKey, AhView, Authentication, DecodeError, EthernetView, GratuitousArp,
    Ipv4View, Ipv6View, Message, Password, Transmission, UnsolicitedNa, v2, v3,
};
use lvs_vrrp::counters::{GlobalCounters, RouterCounters};
use lvs_vrrp::profile::ReceiveRules;
use lvs_vrrp::receive::{
    AnyRouter, Datagram, LocalRouter, Lookup, Meta, Mode, Observations, Peer, SingleRouter,
};
use lvs_vrrp::{
    Accepted, AddressList, Addresses, EncodeError, InterfaceIndex, Interval, MacAddress, Priority,
    Profile, Rank, Rejection, ValueError, Vrid,
};

const fn is_send_sync<T: Send + Sync>() {}

macro_rules! all {
    ($($name:ty),* $(,)?) => { $(is_send_sync::<$name>();)* };
}

#[test]
fn every_public_type_is_send_and_sync() {
    all!(
        Accepted<'_>,
        AddressList,
        Addresses<'_>,
        Advertisement<'_>,
        AhKey,
        AhView<'_>,
        AnyRouter,
        Authentication,
        ChecksumFinding,
        ChecksumPolicy,
        Datagram<'_>,
        DecodeError,
        EncodeError,
        EthernetView<'_>,
        FormFollower,
        GlobalCounters,
        GratuitousArp,
        InterfaceIndex,
        Interval,
        Ipv4View<'_>,
        Ipv6View<'_>,
        LocalRouter<'_>,
        Lookup<'_>,
        MacAddress,
        Message<'_>,
        Meta,
        Mode<'_>,
        Observations,
        Password,
        Peer,
        Priority,
        Profile,
        Rank,
        ReceiveRules,
        Rejection,
        RouterCounters,
        SingleRouter<'_>,
        Sum,
        Transmission<'_>,
        UnsolicitedNa,
        ValueError,
        Vrid,
        v2::View<'_>,
        v3::View<'_>,
    );
}
