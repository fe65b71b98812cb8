//! What people want to know of a certificate.

use core::time::Duration;

use rustls_pki_types::CertificateDer;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::{DateTime, Decode};

/// Who it is for and who signed it.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) subject: String,
    pub(super) issuer: String,
}

impl Names {
    /// The names in a certificate, if it can be read.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = parse(certificate)?;
        let certificate = certificate.tbs_certificate();
        Some(Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
        })
    }
}

/// When a certificate ends, since 1970-01-01 UTC.
pub(crate) fn not_after(certificate: &CertificateDer<'_>) -> Option<Duration> {
    let certificate = parse(certificate)?;
    Some(
        certificate
            .tbs_certificate()
            .validity()
            .not_after
            .to_unix_duration(),
    )
}

/// A time as people write it.
pub(crate) fn date(since_1970: Duration) -> String {
    DateTime::from_unix_duration(since_1970).map_or_else(
        |_| format!("{} s after 1970", since_1970.as_secs()),
        |date| date.to_string(),
    )
}

/// Reads a certificate, also one that does not keep to every rule.
fn parse(certificate: &CertificateDer<'_>) -> Option<CertificateInner<Raw>> {
    CertificateInner::from_der(certificate).ok()
}
