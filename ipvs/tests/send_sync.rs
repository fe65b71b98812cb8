//! Public types can be moved and shared between threads.

use lvs_ipvs::*;

const fn shared<T: Send + Sync>() {}

#[test]
fn every_public_type_is_send_and_sync() {
    shared::<Client>();
    shared::<Error>();
    shared::<Report>();
    shared::<Outcome>();
    shared::<Options>();
    shared::<Namespace>();
    shared::<VirtualService>();
    shared::<Destination>();
    shared::<ServiceEntry>();
    shared::<DestinationEntry>();
    shared::<SyncDaemon>();
    shared::<Timeouts>();
    shared::<Info>();
    shared::<Ensured>();
    shared::<Snapshot>();
    shared::<Table>();
    shared::<Plan>();
    shared::<Policy>();
    shared::<Reconciler>();
    shared::<Change>();
    shared::<Query>();
    shared::<Request>();
    shared::<ValidationError>();
    shared::<DecodeError>();
    shared::<session::Session>();
    shared::<transport::NetlinkSocket>();
    shared::<procfs::Connections>();
    shared::<procfs::ConnectionRow<'_>>();
    shared::<procfs::Services>();
    shared::<procfs::ReadError>();
    shared::<sysctl::Sysctls>();
    shared::<sysctl::Sysctl<bool>>();
    shared::<sysctl::Preset>();
    shared::<sysctl::Applied>();
    shared::<wire::ServiceView<'_>>();
    shared::<wire::DestinationView<'_>>();
}

#[cfg(feature = "tokio")]
#[test]
fn the_asynchronous_client_is_send_and_sync() {
    shared::<tokio::Client>();
}

#[cfg(feature = "memory")]
#[test]
fn the_memory_kernel_is_send_and_sync() {
    shared::<MemoryKernel>();
    shared::<MemorySocket>();
    shared::<Generation>();
    shared::<Fault>();
}
