//! All of IPVS in another network namespace: netlink, `/proc/net` and sysctls.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::client::Client;
use crate::error::Error;
use crate::procfs::{Applications, Connections, CpuTotals, Services, Status, Totals};
use crate::sysctl::Sysctls;
use crate::transport::NetlinkSocket;

/// A network namespace, held open.
///
/// A netlink socket and a file of `/proc/net` belong for good to the namespace they were opened
/// in, so a client or a reader made here can be used from any thread.
///
/// ```no_run
/// use lvs_ipvs::Namespace;
///
/// // Made by `ip netns add blue`; needs CAP_SYS_ADMIN to enter.
/// let mut ipvs = Namespace::open("/run/netns/blue")?.client()?;
/// println!("{} services", ipvs.services()?.len());
/// # Ok::<(), lvs_ipvs::Error>(())
/// ```
#[derive(Debug)]
pub struct Namespace {
    file: File,
}

impl Namespace {
    /// Opens a namespace by its file: `/run/netns/NAME`, or `/proc/PID/ns/net`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when there is no such file or it may not be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|error| {
            let context = format!("cannot open the network namespace {}", path.display());
            Error::io(context, error)
        })?;
        Ok(Self { file })
    }

    /// The namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] without `/proc`.
    pub fn current() -> Result<Self, Error> {
        Self::open("/proc/thread-self/ns/net")
    }

    /// Connects to the IPVS of the namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with `EPERM` without `CAP_SYS_ADMIN` over the namespace and in the caller's
    /// own user namespace, with `EINVAL` when the file is not a network namespace; else as
    /// [`Client::connect`].
    pub fn client(&self) -> Result<Client, Error> {
        Client::with_transport(self.socket()?)
    }

    /// Opens `ip_vs_conn` of the namespace; the reader can be used from any thread.
    ///
    /// # Errors
    ///
    /// Those of entering as for [`client`](Self::client), else as [`Connections::open`].
    pub fn connections(&self) -> Result<Connections, Error> {
        self.enter(Connections::open)
    }

    /// Opens `ip_vs_conn_sync` of the namespace.
    ///
    /// # Errors
    ///
    /// As [`connections`](Self::connections).
    pub fn sync_connections(&self) -> Result<Connections, Error> {
        self.enter(Connections::open_sync)
    }

    /// Opens `ip_vs` of the namespace, the table as everybody may see it.
    ///
    /// # Errors
    ///
    /// As [`connections`](Self::connections).
    pub fn listed_services(&self) -> Result<Services, Error> {
        self.enter(Services::open)
    }

    /// Reads the counters of all services of the namespace together.
    ///
    /// # Errors
    ///
    /// Those of entering as for [`client`](Self::client), else as [`Totals::current`].
    pub fn totals(&self) -> Result<Totals, Error> {
        self.enter(Totals::current)
    }

    /// Reads the counters of each CPU.
    ///
    /// # Errors
    ///
    /// As [`totals`](Self::totals).
    pub fn cpu_totals(&self) -> Result<CpuTotals, Error> {
        self.enter(CpuTotals::current)
    }

    /// Opens the list of helpers for protocols that carry addresses.
    ///
    /// # Errors
    ///
    /// As [`connections`](Self::connections).
    pub fn applications(&self) -> Result<Applications, Error> {
        self.enter(Applications::open)
    }

    /// Reads how full the kernel's tables are; `None` where the kernel does not say.
    ///
    /// # Errors
    ///
    /// Those of entering as for [`client`](Self::client), else as [`Status::current`].
    pub fn status(&self) -> Result<Option<Status>, Error> {
        self.enter(Status::current)
    }

    /// The sysctls of the namespace. Each access enters it anew.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the process has no descriptor left to keep the namespace open.
    pub fn sysctls(&self) -> Result<Sysctls, Error> {
        let file = self.file.try_clone().map_err(|error| {
            Error::io(
                "cannot keep the network namespace open a second time",
                error,
            )
        })?;
        Ok(Sysctls::of_namespace(Self { file }))
    }

    /// Connects the asynchronous client to the IPVS of the namespace. Takes the calling thread
    /// for as long as starting another one takes.
    ///
    /// # Errors
    ///
    /// As [`client`](Self::client); [`Error::Io`] outside of a runtime of tokio.
    ///
    /// # Panics
    ///
    /// In a runtime without I/O.
    #[cfg(feature = "tokio")]
    pub async fn tokio_client(&self) -> Result<crate::tokio::Client, Error> {
        crate::tokio::Client::with_transport(self.socket()?).await
    }

    fn socket(&self) -> Result<NetlinkSocket, Error> {
        self.enter(|| {
            NetlinkSocket::open()
                .map_err(|error| Error::io("cannot open a generic netlink socket", error))
        })
    }

    /// Runs a function inside.
    ///
    /// Entering a namespace is a matter of a thread, and leaving it again can fail; so a thread
    /// is started that enters, does its work and ends before this returns (`setns(2)`).
    pub(crate) fn enter<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        const CANNOT_ENTER: &str = "cannot enter the network namespace (this needs CAP_SYS_ADMIN)";
        thread::scope(|scope| {
            let enter = || {
                setns(&self.file, CloneFlags::CLONE_NEWNET)
                    .map_err(|errno| Error::io(CANNOT_ENTER, errno.into()))?;
                work()
            };
            let inside = thread::Builder::new()
                .spawn_scoped(scope, enter)
                .map_err(|error| Error::io("cannot start a thread", error))?;
            inside.join().unwrap_or_else(|_| {
                let error = io::Error::other("the thread that entered it died");
                Err(Error::io(CANNOT_ENTER, error))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_namespace_is_an_error() {
        let error = Namespace::open("/run/netns/there-is-none-of-this-name").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot open the network namespace"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_no_namespace_is_an_error() {
        let file = Namespace::open("/proc/self/status").unwrap();
        let error = file.client().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot enter the network namespace"),
            "{error}"
        );
    }
}
