//! The addresses of this host.

use core::net::IpAddr;

use nix::ifaddrs::getifaddrs;

use crate::error::Error;

/// The addresses of this host's devices, in the network namespace of the calling thread; for
/// [`Check::warnings`](crate::Check::warnings).
///
/// # Errors
///
/// The kernel does not tell.
pub fn local_addresses() -> Result<Vec<IpAddr>, Error> {
    let devices = getifaddrs().map_err(|errno| Error::io("getifaddrs", errno))?;
    let mut addresses: Vec<IpAddr> = devices
        .filter_map(|device| {
            let address = device.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| Some(IpAddr::V6(address.as_sockaddr_in6()?.ip())))
        })
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    #[test]
    fn loopback_is_always_there() {
        let addresses = local_addresses().unwrap();
        assert!(
            addresses.contains(&Ipv4Addr::LOCALHOST.into()),
            "{addresses:?}"
        );
    }
}
