//! What can be wrong with values, and with advertisements to be sent.
//!
//! Bytes received are never an error of the caller: what is wrong with them is a
//! [`Rejection`](crate::Rejection) or a [`DecodeError`](crate::codec::DecodeError).

use core::net::IpAddr;

use crate::version::Version;

/// The caller gave a value outside of its range.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// A virtual router id other than 1 to 255.
    #[error("virtual router id {value} is not in 1..=255")]
    Vrid {
        /// The number given.
        value: u64,
    },
    /// An interval VRRPv3 cannot send.
    #[error("interval of {value} cs is not in 1..=4095")]
    Centiseconds {
        /// The number given.
        value: u16,
    },
    /// An interval VRRPv2 cannot send.
    #[error("interval of {value} s is not in 1..=255")]
    Seconds {
        /// The number given.
        value: u8,
    },
    /// No address, or more than fit the count field.
    #[error("{value} virtual addresses are not in 1..=255")]
    AddressCount {
        /// How many were given.
        value: usize,
    },
    /// An address of another family than the first.
    #[error("virtual address {address} is of another family than the first")]
    AddressFamily {
        /// The address.
        address: IpAddr,
    },
    /// An address given twice.
    #[error("virtual address {address} is given twice")]
    AddressTwice {
        /// The address.
        address: IpAddr,
    },
    /// A text that should be a number.
    #[error("{field} is not a number")]
    NotANumber {
        /// What the text was for.
        field: &'static str,
    },
    /// A key of a length that the method does not have.
    #[error("key of {value} bytes is not in {min}..={max}")]
    KeyLength {
        /// The length given, in bytes.
        value: usize,
        /// The shortest key possible, in bytes.
        min: usize,
        /// The longest key possible, in bytes.
        max: usize,
    },
    /// A text that should be the name of a profile.
    #[error("unknown profile (known: strict-3768, strict-5798, strict-9568, linux)")]
    Profile,
    /// A text that should be a MAC address.
    #[error("not a MAC address: six bytes in hexadecimal, with colons")]
    MacAddress,
}

/// Why an advertisement was not encoded. Nothing of use was written.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// No address (`VRRP-018`), or more than the count field can say.
    #[error("{count} addresses are not in 1..=255")]
    AddressCount {
        /// How many there are.
        count: usize,
    },
    /// The first IPv6 address is not link-local, and that was not allowed (`VRRP-029`).
    #[error("the first IPv6 address, {address}, is not link-local (fe80::/10)")]
    FirstNotLinkLocal {
        /// The first address.
        address: IpAddr,
    },
    /// An address of the datagram is of another family than the virtual addresses (`VRRP-030`).
    #[error("{field} {address} is of another family than the virtual addresses")]
    Family {
        /// `source` or `destination`.
        field: &'static str,
        /// The address.
        address: IpAddr,
    },
    /// The version does not exist over this family, as VRRPv2 over IPv6.
    #[error("{version} does not exist over IPv6")]
    Version {
        /// The version.
        version: Version,
    },
    /// The interval cannot be said in this version: VRRPv2 has whole seconds up to 255, VRRPv3 up
    /// to 4095 cs.
    #[error("an interval of {centiseconds} cs cannot be sent in {version}")]
    Interval {
        /// The interval.
        centiseconds: u16,
        /// The version.
        version: Version,
    },
    /// Authentication was asked for in VRRPv3, which has none. RFC 9568 §9.
    #[error("{version} has no authentication")]
    Authentication {
        /// The version.
        version: Version,
    },
    /// The authentication header covers the IP header, so it cannot be made for a message alone.
    #[error("the authentication header cannot be made without the IP header: emit a packet")]
    NeedsIpHeader,
    /// The packet would be larger than the link carries.
    #[error("{count} addresses do not fit an MTU of {mtu} bytes: {fits} do")]
    Mtu {
        /// How many addresses there are.
        count: usize,
        /// How many would fit.
        fits: usize,
        /// The MTU, in bytes.
        mtu: u16,
    },
    /// The caller's buffer is too small.
    #[error("a buffer of {given} bytes is too small: {needed} are needed")]
    Buffer {
        /// Its size, in bytes.
        given: usize,
        /// What is needed, in bytes.
        needed: usize,
    },
}
