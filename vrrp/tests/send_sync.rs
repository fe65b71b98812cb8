//! Every public type can be sent and shared between threads.

use lvs_vrrp::checksum::{ChecksumFinding, ChecksumPolicy, FormFollower, Sum};
use lvs_vrrp::codec::{
    Advertisement, AhKey, AhView, Authentication, DecodeError, EthernetView, GratuitousArp,
    Ipv4View, Ipv6View, Message, Password, Transmission, UnsolicitedNa, v2, v3,
};
use lvs_vrrp::counters::{GlobalCounters, RouterCounters};
use lvs_vrrp::event::{HeardAdvert, Notification, Transition};
use lvs_vrrp::job::Job;
use lvs_vrrp::machine::Counters;
use lvs_vrrp::node::{Destinations, FloodLimit, NodeError, NodeRouter, Report};
use lvs_vrrp::profile::{ReceiveRules, Switches};
use lvs_vrrp::receive::{
    AnyRouter, Datagram, LocalRouter, Lookup, Meta, Mode, Observations, Peer, SingleRouter,
};
use lvs_vrrp::track::{Script, Track, TrackerStatus};
use lvs_vrrp::{
    Accepted, Action, Actions, AddressList, Addresses, ConfigError, EncodeError, Event,
    GuardStatus, InterfaceIndex, Interval, MacAddress, Node, NodeConfig, Priority, Profile, Rank,
    Rejection, RouterConfig, State, ValueError, VirtualRouter, Vrid,
};

const fn is_send_sync<T: Send + Sync>() {}

macro_rules! all {
    ($($name:ty),* $(,)?) => { $(is_send_sync::<$name>();)* };
}

#[test]
fn every_public_type_is_send_and_sync() {
    all!(
        Accepted<'_>,
        Action,
        Actions,
        AddressList,
        Addresses<'_>,
        Advertisement<'_>,
        AhKey,
        AhView<'_>,
        AnyRouter,
        Authentication,
        ChecksumFinding,
        ChecksumPolicy,
        ConfigError,
        Counters,
        Datagram<'_>,
        DecodeError,
        Destinations,
        EncodeError,
        EthernetView<'_>,
        Event,
        FloodLimit,
        FormFollower,
        GlobalCounters,
        GratuitousArp,
        GuardStatus,
        HeardAdvert,
        InterfaceIndex,
        Interval,
        Ipv4View<'_>,
        Ipv6View<'_>,
        LocalRouter<'_>,
        Lookup<'_>,
        MacAddress,
        Message<'_>,
        Meta,
        Job,
        Mode<'_>,
        Node,
        NodeConfig,
        NodeError,
        NodeRouter,
        Report,
        Notification,
        Observations,
        Password,
        Peer,
        Priority,
        Profile,
        Rank,
        ReceiveRules,
        Rejection,
        RouterConfig,
        RouterCounters,
        Script,
        SingleRouter<'_>,
        State,
        Sum,
        Switches,
        Track,
        TrackerStatus,
        Transition,
        Transmission<'_>,
        UnsolicitedNa,
        ValueError,
        VirtualRouter,
        Vrid,
        v2::View<'_>,
        v3::View<'_>,
    );
}

/// A driver has a listener and queues of its own: it can be sent, and only its handle shared.
#[cfg(all(feature = "tokio", target_os = "linux"))]
#[test]
fn a_driver_can_be_sent() {
    use lvs_vrrp::net::{
        AddressSetup, AsyncDriver, AsyncEventStream, Driver, DriverConfig, DriverError,
        DriverEvent, EventStream, FrameSender, Handle, NetError, ReceiveBuffer, Receiver,
        RouterSetup, SendBatch, Sender, Snapshot, VirtualMacSetup,
    };

    const fn is_send<T: Send>() {}
    is_send::<Driver>();
    is_send::<AsyncDriver>();
    all!(
        AddressSetup,
        AsyncEventStream,
        DriverConfig,
        DriverError,
        DriverEvent,
        EventStream,
        FrameSender,
        Handle,
        NetError,
        ReceiveBuffer,
        Receiver,
        RouterSetup,
        SendBatch,
        Sender,
        Snapshot,
        VirtualMacSetup,
    );
}
