//! TLS from the options.

use lvs_healthcheck::probe::tls::{Pem, Tls, TlsVersion, Trust, Verify};

use crate::arguments::{TlsOptions, TlsVersionName, VerifyMode};

impl TlsOptions {
    /// How TLS is spoken with the server of this name.
    pub(crate) fn settings(&self, host: &str) -> Tls {
        let name = self.sni.as_deref().unwrap_or(host);
        let mut tls = Tls::new().with_name(name);
        if !self.pin.is_empty() {
            tls = tls.with_verify(Verify::Pin(self.pin.clone()));
        }
        match self.verify {
            Some(VerifyMode::None) => tls = tls.with_verify(Verify::None),
            Some(VerifyMode::Chain) => tls = tls.with_verify(Verify::Chain),
            Some(VerifyMode::Name) | None => {}
        }
        if let Some(file) = &self.ca {
            tls = tls.with_trust(Trust::Only(Pem::file(file)));
        }
        if let (Some(certificate), Some(key)) = (&self.cert, &self.key) {
            tls = tls.with_client_certificate(Pem::file(certificate), Pem::file(key));
        }
        if self.tls_min.is_some() || self.tls_max.is_some() {
            let version = |name: Option<TlsVersionName>, default| match name {
                Some(TlsVersionName::V1_2) => TlsVersion::V1_2,
                Some(TlsVersionName::V1_3) => TlsVersion::V1_3,
                None => default,
            };
            let min = version(self.tls_min, TlsVersion::V1_2);
            tls = tls.with_versions(min, version(self.tls_max, TlsVersion::V1_3));
        }
        if !self.alpn.is_empty() {
            tls = tls.with_alpn(&self.alpn);
        }
        if let Some(days) = self.expiry_warning {
            tls = tls.with_expiry_warning_days(days);
        }
        tls
    }

    /// The first option that says something about TLS, apart from the one that asks for it.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        let given = [
            ("--verify", self.verify.is_some()),
            ("--pin", !self.pin.is_empty()),
            ("--ca", self.ca.is_some()),
            ("--sni", self.sni.is_some()),
            ("--cert", self.cert.is_some()),
            ("--tls-min", self.tls_min.is_some()),
            ("--tls-max", self.tls_max.is_some()),
            ("--alpn", !self.alpn.is_empty()),
            ("--expiry-warning", self.expiry_warning.is_some()),
        ];
        given
            .iter()
            .find(|(_, given)| *given)
            .map(|(option, _)| *option)
    }
}
