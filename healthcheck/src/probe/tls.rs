//! TLS under any protocol: how to speak it and whom to trust.
//!
//! [`TcpProbe::with_tls`](crate::TcpProbe::with_tls) wraps a connection from its beginning,
//! [`TcpProbe::with_starttls`](crate::TcpProbe::with_starttls) when the dialogue asks for it. With
//! the protocol `()` such a probe is the handshake and nothing more: Tengine's `ssl_hello`,
//! HAProxy's `ssl-hello-chk`.
//!
//! Settings only: the handshake is the driver's. It counts into the time of the whole attempt, not
//! into that of connecting.
//!
//! ```
//! use lvs_healthcheck::probe::tls::{Tls, Verify};
//! use lvs_healthcheck::{Target, TcpProbe};
//!
//! // One value for many targets: they share what it was made into.
//! let tls = Tls::new().with_expiry_warning_days(30);
//! let a = TcpProbe::new(Target::new("192.0.2.7:443".parse()?)).with_tls(tls.clone().with_name("a.example"));
//! let b = TcpProbe::new(Target::new("192.0.2.8:443".parse()?)).with_tls(tls.with_name("b.example"));
//!
//! // A server with a certificate of its own making.
//! let pin = "sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse()?;
//! let pinned = Tls::new().with_verify(Verify::Pin(vec![pin]));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! keepalived's `SSL_GET` verifies nothing, sends a name only with `enable_sni` or `sni_name` and
//! says no goodbye without `tls_compliant`: `Tls::new().with_verify(Verify::None)
//! .with_close_notify(false)`. Its encrypted keys (`password`) are not read.
//!
//! # What it costs
//!
//! Every check is a full handshake on both ends unless [`Tls::with_resumption`] is on: two orders
//! of magnitude more processor time than a TCP check. The handshake runs on the driver's thread.
//!
//! A server that speaks TLS 1.3 sends tickets for resumption after the handshake. A check that
//! ends with the handshake does not wait for them, so the server may find its connection reset
//! after the goodbye; nginx for one does not care.

#[cfg(feature = "tls")]
pub(crate) mod certificate;
#[cfg(feature = "tls")]
pub(crate) mod explain;
mod info;
mod pin;
#[cfg(feature = "tls")]
pub(crate) mod prepare;
#[cfg(feature = "tls")]
mod verifier;

use core::fmt;
use core::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
#[cfg(feature = "tls")]
use std::sync::OnceLock;

pub use self::info::{TlsInfo, TlsKind};
pub use self::pin::{InvalidPin, Pin};
use crate::error::Invalid;

/// How to speak TLS, and whom to trust.
///
/// Clones share what the settings are made into when the first check with them is added (that is
/// when files and the system's certificates are read, on the thread that adds it); a name of its
/// own does not end the sharing. So make one value and clone it for each target.
#[derive(Clone)]
#[must_use]
pub struct Tls {
    shared: Arc<Shared>,
    name: Option<Box<str>>,
    /// What is offered by ALPN where the settings say nothing.
    offered: &'static [&'static [u8]],
}

impl PartialEq for Tls {
    /// Clones are equal if they have the same name. Other values are if their settings are, too, and
    /// name no files and not the system's certificates, which may have changed since.
    fn eq(&self, other: &Self) -> bool {
        let (own, others) = (self.identity(), other.identity());
        own == others && self.name == other.name && self.offered == other.offered
    }
}

impl Eq for Tls {}

impl Hash for Tls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
        self.name.hash(state);
        self.offered.hash(state);
    }
}

/// What makes settings the same ones.
#[derive(Eq, Hash, PartialEq)]
enum Sameness<'a> {
    Settings(&'a Settings),
    Clone(*const Shared),
}

/// What clones share.
struct Shared {
    settings: Settings,
    #[cfg(feature = "tls")]
    prepared: OnceLock<Arc<rustls::ClientConfig>>,
}

impl Clone for Shared {
    /// Settings are cloned to be changed, so what they were made into is not.
    fn clone(&self) -> Self {
        Self::new(self.settings.clone())
    }
}

impl Shared {
    const fn new(settings: Settings) -> Self {
        Self {
            settings,
            #[cfg(feature = "tls")]
            prepared: OnceLock::new(),
        }
    }
}

/// The settings apart from the name.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Settings {
    pub(crate) verify: Verify,
    pub(crate) trust: Trust,
    pub(crate) client: Option<(Pem, Pem)>,
    pub(crate) versions: (TlsVersion, TlsVersion),
    pub(crate) alpn: Option<Vec<Vec<u8>>>,
    pub(crate) close_notify: bool,
    pub(crate) expiry_warning_days: u16,
    pub(crate) resumption: bool,
}

impl Settings {
    /// Whether nothing is read from elsewhere.
    const fn is_complete(&self) -> bool {
        let is_client = matches!(&self.client, None | Some((Pem::Bytes(_), Pem::Bytes(_))));
        let is_trust = match self.verify {
            Verify::None | Verify::Pin(_) => true,
            Verify::Chain | Verify::ChainAndName => {
                matches!(self.trust, Trust::Only(Pem::Bytes(_)))
            }
        };
        is_client && is_trust
    }
}

/// What is asked of the server's certificate.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Verify {
    /// Nothing: anybody may answer. keepalived's `SSL_GET` never asks for more.
    None,
    /// That it is valid now and leads to a trusted one, whatever name it is for.
    Chain,
    /// That also its name is the one asked for.
    #[default]
    ChainAndName,
    /// That its public key is one of these; who signed it, its name and its time do not matter.
    Pin(Vec<Pin>),
}

/// Which authorities are trusted to sign.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Trust {
    /// Those of the operating system; `SSL_CERT_FILE` and `SSL_CERT_DIR` choose others.
    #[default]
    System,
    /// These and no others.
    Only(Pem),
    /// Those of the operating system, and these.
    SystemAnd(Pem),
}

/// Certificates or a key in PEM, in a file or at hand.
///
/// `Debug` shows where they are from, never what they are.
#[derive(Clone, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Pem {
    /// In this file, read once, when the check is added.
    File(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
}

impl Pem {
    /// In this file.
    #[must_use]
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::File(path.as_ref().into())
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2, RFC 5246.
    V1_2,
    /// TLS 1.3, RFC 8446.
    V1_3,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_2 => "TLS 1.2",
            Self::V1_3 => "TLS 1.3",
        })
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self::new()
    }
}

impl Tls {
    /// Chain and name are verified with the system's authorities, over TLS 1.2 or 1.3.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared::new(Settings {
                verify: Verify::default(),
                trust: Trust::default(),
                client: None,
                versions: (TlsVersion::V1_2, TlsVersion::V1_3),
                alpn: None,
                close_notify: true,
                expiry_warning_days: 14,
                resumption: false,
            })),
            name: None,
            offered: &[],
        }
    }

    /// Asks for something else of the certificate. Default [`Verify::ChainAndName`].
    pub fn with_verify(mut self, verify: Verify) -> Self {
        self.settings_mut().verify = verify;
        self
    }

    /// The name to ask for (SNI) and to find in the certificate: a host name, or an IP address,
    /// which is looked for in the certificate but never sent. Default: the target's address.
    pub fn with_name(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Trusts other authorities. Default [`Trust::System`].
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.settings_mut().trust = trust;
        self
    }

    /// Shows this certificate (followed by those that lead to its authority) if the server asks
    /// for one. The key must not be encrypted. Default: none.
    pub fn with_client_certificate(mut self, certificate: Pem, key: Pem) -> Self {
        self.settings_mut().client = Some((certificate, key));
        self
    }

    /// Speaks these versions and those between. Default 1.2 to 1.3, which is all there is.
    pub fn with_versions(mut self, min: TlsVersion, max: TlsVersion) -> Self {
        self.settings_mut().versions = (min, max);
        self
    }

    /// Offers these protocols (ALPN, RFC 7301), the best first; each of 1 to 255 bytes, such as
    /// `http/1.1`. Default: those of the [protocol](crate::probe::Protocol::alpn) spoken over it,
    /// which HTTP has; an empty list offers none in any case. A server that wants others refuses the
    /// handshake; one that does not care chooses none, which [`TlsInfo::alpn`] tells.
    pub fn with_alpn(mut self, protocols: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let protocols = protocols.into_iter();
        let protocols = protocols.map(|name| name.as_ref().to_vec());
        self.settings_mut().alpn = Some(protocols.collect());
        self
    }

    /// Whether to say goodbye (`close_notify`) before closing, as TLS wants it. Default yes;
    /// keepalived does it only with `tls_compliant`. Never when the connection is closed by reset.
    pub fn with_close_notify(mut self, yes: bool) -> Self {
        self.settings_mut().close_notify = yes;
        self
    }

    /// From how many days before its end on a certificate
    /// [expires soon](TlsInfo::expires_soon). Default 14; 0 means never.
    pub fn with_expiry_warning_days(mut self, days: u16) -> Self {
        self.settings_mut().expiry_warning_days = days;
        self
    }

    /// Whether a later attempt may take up the session of an earlier one, which saves most of the
    /// cost, but then certificates are not looked at again. Default no.
    ///
    /// In TLS 1.3 the server sends what it takes after the handshake, so only checks that go on to
    /// read an answer get it.
    pub fn with_resumption(mut self, yes: bool) -> Self {
        self.settings_mut().resumption = yes;
        self
    }

    /// The name, if one was given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The protocols offered by ALPN.
    #[must_use]
    pub fn alpn(&self) -> Vec<&[u8]> {
        match &self.shared.settings.alpn {
            Some(protocols) => protocols.iter().map(Vec::as_slice).collect(),
            None => self.offered.to_vec(),
        }
    }

    /// Offers these by ALPN where the settings say nothing.
    pub(crate) const fn offering(mut self, protocols: &'static [&'static [u8]]) -> Self {
        self.offered = protocols;
        self
    }

    /// Checks the settings, and makes them into what clones share: reads files and, if they are
    /// trusted, the system's certificates.
    ///
    /// # Errors
    ///
    /// A setting out of range, a file that cannot be read or does not contain what it should, or
    /// this library was built without the feature `tls`.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.check()
    }

    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nobody speaks TLS"))]
    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    fn identity(&self) -> Sameness<'_> {
        match self.shared.settings.is_complete() {
            true => Sameness::Settings(&self.shared.settings),
            false => Sameness::Clone(Arc::as_ptr(&self.shared)),
        }
    }

    fn settings_mut(&mut self) -> &mut Settings {
        let shared = Arc::make_mut(&mut self.shared);
        #[cfg(feature = "tls")]
        {
            shared.prepared = OnceLock::new();
        }
        &mut shared.settings
    }

    #[cfg(feature = "tls")]
    fn check(&self) -> Result<(), Invalid> {
        if let Some(name) = self.name() {
            prepare::server_name(name)?;
        }
        self.config().map(|_| ())
    }

    #[cfg(not(feature = "tls"))]
    fn check(&self) -> Result<(), Invalid> {
        Err(Invalid::new(
            "tls",
            "set",
            "this library was built without the feature `tls`",
        ))
    }

    /// What clones share, made by the first who asks.
    #[cfg(feature = "tls")]
    pub(crate) fn config(&self) -> Result<Arc<rustls::ClientConfig>, Invalid> {
        if let Some(config) = self.shared.prepared.get() {
            return Ok(config.clone());
        }
        // An error is not kept: what was wrong with a file may be mended.
        let config = Arc::new(prepare::config(self.settings())?);
        Ok(self.shared.prepared.get_or_init(|| config).clone())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("name", &self.name)
            .field("offered", &self.offered)
            .field("settings", &self.shared.settings)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_shown() {
        let tls = Tls::new()
            .with_client_certificate(Pem::Bytes(b"secret".to_vec()), Pem::file("/etc/key.pem"));
        let shown = format!("{tls:?}");
        assert!(
            shown.contains("6 bytes") && shown.contains("/etc/key.pem"),
            "{shown}"
        );
        assert!(
            !shown.contains("secret") && !shown.contains("115"),
            "{shown}"
        );
    }

    #[cfg(feature = "tls")]
    #[test]
    fn clones_share_until_a_setting_changes() {
        let tls = Tls::new().with_verify(Verify::None);
        tls.validate().unwrap();
        let config = tls.config().unwrap();
        let named = tls.clone().with_name("a.example");
        assert!(Arc::ptr_eq(&config, &named.config().unwrap()));
        let other = named.with_resumption(true);
        assert!(!Arc::ptr_eq(&config, &other.config().unwrap()));
        assert!(Arc::ptr_eq(&config, &tls.config().unwrap()));
    }

    #[test]
    fn what_needs_nothing_else_is_equal_by_its_settings() {
        let unverified = || Tls::new().with_verify(Verify::None);
        assert_eq!(unverified(), unverified());
        assert_ne!(unverified(), unverified().with_name("a"));
        assert_ne!(unverified(), unverified().with_close_notify(false));
        let only = |pem| Tls::new().with_trust(Trust::Only(pem));
        let bytes = || only(Pem::Bytes(b"a".to_vec()));
        assert_eq!(bytes(), bytes());
        // What is read again may be something else.
        let file = || only(Pem::file("/ca.pem"));
        let key = |key| unverified().with_client_certificate(Pem::Bytes(Vec::new()), key);
        let shown = || key(Pem::file("/key.pem"));
        for make in [&Tls::new as &dyn Fn() -> Tls, &file, &shown] {
            let one = make();
            assert_eq!(one, one.clone());
            assert_ne!(one, make());
        }
        assert_eq!(key(Pem::Bytes(Vec::new())), key(Pem::Bytes(Vec::new())));
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn is_refused_by_a_build_without_it() {
        assert_eq!(Tls::new().validate().unwrap_err().field, "tls");
    }
}
