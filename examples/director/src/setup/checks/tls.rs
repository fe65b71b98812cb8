//! How `SSL_GET` speaks TLS: as keepalived, without a look at the server's certificate.

use lvs_healthcheck::probe::tls::{Pem, Tls, Verify};

use super::CheckError;
use crate::keepalived::{HttpCheck, SslFiles};

/// The ways there are, made once each: checks share what they are made into.
#[derive(Debug)]
pub(super) struct Ways {
    /// Without goodbye, and with: `tls_compliant`.
    plain: Tls,
    compliant: Tls,
    hindrance: Option<&'static str>,
}

impl Ways {
    /// With the files of the `SSL` block, if there is one. Nothing is read yet.
    pub(super) fn new(files: Option<&SslFiles>) -> Self {
        let mut tls = Tls::new().with_verify(Verify::None);
        let mut hindrance = None;
        if let Some(files) = files {
            match (&files.certificate, &files.key) {
                (Some(certificate), Some(key)) => {
                    let (certificate, key) = (Pem::file(certificate), Pem::file(key));
                    tls = tls.with_client_certificate(certificate, key);
                }
                (None, None) => {}
                (Some(_), None) => hindrance = Some("SSL has a certificate without a key"),
                (None, Some(_)) => hindrance = Some("SSL has a key without a certificate"),
            }
            if files.password.is_some() {
                let text = "SSL has a password, but keys must not be encrypted here";
                hindrance = Some(text);
            }
        }
        Self {
            plain: tls.clone().with_close_notify(false),
            compliant: tls,
            hindrance,
        }
    }

    /// How these pages are asked for. All of a check have the same way: the polite one, if one of
    /// them wants that.
    pub(super) fn of(&self, http: &HttpCheck) -> Result<Tls, CheckError> {
        if let Some(hindrance) = self.hindrance {
            return Err(CheckError::Tls(hindrance));
        }
        Ok(match http.urls.iter().any(|url| url.tls_compliant) {
            true => self.compliant.clone(),
            false => self.plain.clone(),
        })
    }
}
