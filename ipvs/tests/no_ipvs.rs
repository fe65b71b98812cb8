//! What a machine without IPVS gets to hear. Runs anywhere, without privilege.

use std::path::Path;

use lvs_ipvs::{Client, Error};

#[test]
fn without_ipvs_in_the_kernel_the_message_says_how_to_get_it() {
    let client = Client::connect();
    // Asked afterwards: connecting may have loaded the module.
    if Path::new("/proc/net/ip_vs").exists() {
        client.unwrap();
        return;
    }
    let error = client.unwrap_err();
    assert!(matches!(error, Error::Unavailable), "{error:?}");
    assert!(error.is_unavailable());
    assert_eq!(
        error.to_string(),
        "this kernel has no IPVS: the module ip_vs is missing or cannot be loaded \
         (try `modprobe ip_vs`; in a container, load it on the host)"
    );
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn the_asynchronous_client_says_the_same() {
    let client = lvs_ipvs::tokio::Client::connect().await;
    if Path::new("/proc/net/ip_vs").exists() {
        client.unwrap();
        return;
    }
    let error = client.unwrap_err();
    assert!(matches!(error, Error::Unavailable), "{error:?}");
}
