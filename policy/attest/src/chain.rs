//! Which TPMs are believed: the authorities of EK certificates, and what a certificate from them proves.

use std::time::Duration;

use kekkai_types::Timestamp;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// `tcg-kp-EKCertificate`, 2.23.133.8.1: no certificate issued for another purpose names an EK.
const EK_CERTIFICATE: KeyUsage = KeyUsage::required(&[0x67, 0x81, 0x05, 0x08, 0x01]);

/// The most authorities of one kind that are configured.
pub const AUTHORITIES_MAX: usize = 256;

/// The authorities whose EK certificates are believed. Each certificate is an anchor by itself, so a
/// manufacturer's intermediate authority can be listed too.
#[derive(Debug, Clone, Default)]
pub struct TpmTrust {
    hardware: Vec<CertificateDer<'static>>,
    emulated: Vec<CertificateDer<'static>>,
}

/// Why a file of authorities can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Not PEM.
    #[error("the TPM authorities are not PEM certificates")]
    Pem,
    /// PEM, but no certificate in it.
    #[error("the TPM authorities hold no certificate")]
    Empty,
    /// A certificate that can't be an authority.
    #[error("certificate {0} of the TPM authorities can't be an authority")]
    Certificate(usize),
    /// More than [`AUTHORITIES_MAX`].
    #[error("more than {AUTHORITIES_MAX} TPM authorities")]
    TooMany,
}

impl TpmTrust {
    /// Believes nobody.
    pub const fn new() -> Self {
        Self {
            hardware: Vec::new(),
            emulated: Vec::new(),
        }
    }

    /// Believes the manufacturers' authorities in a PEM text.
    pub fn add_hardware(&mut self, pem: &str) -> Result<(), TrustError> {
        add(&mut self.hardware, pem)
    }

    /// Believes the authorities of software TPMs in a PEM text: what they attest is labelled so.
    pub fn add_emulated(&mut self, pem: &str) -> Result<(), TrustError> {
        add(&mut self.emulated, pem)
    }

    /// Verifies an EK certificate; `Some(true)` when an authority of software TPMs vouches for it.
    ///
    /// An authority that is listed as both counts as emulated: a label that is too modest harms nobody.
    pub(crate) fn verify(&self, certificate: &[u8], now: Timestamp) -> Option<bool> {
        let leads_to =
            |anchors: &[CertificateDer<'static>]| path(anchors, certificate, now).is_some();
        if leads_to(&self.emulated) {
            Some(true)
        } else if leads_to(&self.hardware) {
            Some(false)
        } else {
            None
        }
    }
}

fn path(anchors: &[CertificateDer<'static>], certificate: &[u8], now: Timestamp) -> Option<()> {
    let anchors: Vec<_> = anchors
        .iter()
        .map(anchor_from_trusted_cert)
        .collect::<Result<_, _>>()
        .ok()?;
    let der = CertificateDer::from(certificate);
    let end_entity = EndEntityCert::try_from(&der).ok()?;
    let now = UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(now.0).ok()?));
    end_entity
        .verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &anchors,
            &[],
            now,
            EK_CERTIFICATE,
            None,
            None,
        )
        .ok()?;
    Some(())
}

fn add(to: &mut Vec<CertificateDer<'static>>, pem: &str) -> Result<(), TrustError> {
    let mut found = Vec::new();
    for (index, item) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
        let certificate = item.map_err(|_| TrustError::Pem)?;
        anchor_from_trusted_cert(&certificate).map_err(|_| TrustError::Certificate(index + 1))?;
        found.push(certificate.into_owned());
    }
    if found.is_empty() {
        return Err(TrustError::Empty);
    }
    if to.len() + found.len() > AUTHORITIES_MAX {
        return Err(TrustError::TooMany);
    }
    to.append(&mut found);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_a_certificate_is_refused() {
        let mut trust = TpmTrust::new();
        assert_eq!(trust.add_hardware(""), Err(TrustError::Empty));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(trust.add_emulated(broken), Err(TrustError::Certificate(1)));
    }
}
