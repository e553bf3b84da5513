//! Is this the server that was enrolled, running what it should, now?

use kekkai_types::Digest;

use crate::evidence::{ComponentKind, Enrolled, Evidence, Measurement, ReferenceValues};
use crate::policy::pcr_digest;
use crate::reference::replay;
use crate::structure::{Attest, Attested, decode, is_signed};

/// The most entries of an event log.
pub const EVENTS_MAX: usize = 64;

/// Why a quote is not accepted. Names are printed with escapes: they come from the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// A field that can't be read.
    #[error("\"{0}\" of the evidence is malformed")]
    Malformed(&'static str),
    /// Not signed by the enrolled AK.
    #[error("the quote is not signed by the enrolled AK")]
    Signature,
    /// Signed, but not a quote.
    #[error("the AK's statement is not a quote")]
    NotAQuote,
    /// Made for another nonce, session or channel: replayed or relayed.
    #[error("the quote answers another challenge")]
    Qualifying,
    /// A PCR that must be quoted is not.
    #[error("PCR {0} is not quoted")]
    PcrMissing(u32),
    /// The values shown are not those that were quoted.
    #[error("the PCR values are not those that were quoted")]
    PcrDigest,
    /// The event log tells another story than the PCR.
    #[error("the event log does not lead to the quoted value of PCR {0}")]
    EventLog(u32),
    /// There is nothing to compare with.
    #[error("no reference values are in force")]
    NoReference,
    /// A component with other bytes.
    #[error("the measurement of {} {name:?} differs from the reference values", .kind.as_str())]
    Differs {
        /// Its kind.
        kind: ComponentKind,
        /// Its name.
        name: String,
    },
    /// A component that was expected.
    #[error("{} {name:?} was not measured", .kind.as_str())]
    Missing {
        /// Its kind.
        kind: ComponentKind,
        /// Its name.
        name: String,
    },
    /// A component that nobody knows.
    #[error("{} {name:?} is not in the reference values", .kind.as_str())]
    Unknown {
        /// Its kind.
        kind: ComponentKind,
        /// Its name.
        name: String,
    },
    /// A component that was measured twice.
    #[error("{} {name:?} was measured more than once", .kind.as_str())]
    Repeated {
        /// Its kind.
        kind: ComponentKind,
        /// Its name.
        name: String,
    },
    /// The right components in another order.
    #[error("the measurements are in another order than in the reference values")]
    Order,
    /// Firmware or boot loader.
    #[error("PCR {0} differs from the reference values")]
    Firmware(u32),
}

/// Judges a quote; the index of the reference values that it meets. When it meets none, the error is
/// about those that it comes closest to.
///
/// `references` must have passed [`ReferenceValues::verify_signature`].
pub fn verify_quote(
    enrolled: &Enrolled,
    references: &[ReferenceValues],
    qualifying: &Digest,
    evidence: &Evidence,
) -> Result<usize, QuoteError> {
    check_statement(enrolled, qualifying, evidence)?;
    check_event_log(evidence)?;

    let mut closest: Option<Vec<QuoteError>> = None;
    for (index, reference) in references.iter().enumerate() {
        let found = differences(reference, evidence);
        if found.is_empty() {
            return Ok(index);
        }
        if closest
            .as_ref()
            .is_none_or(|least| found.len() < least.len())
        {
            closest = Some(found);
        }
    }
    Err(closest
        .into_iter()
        .flatten()
        .next()
        .unwrap_or(QuoteError::NoReference))
}

/// The TPM said this, to us, now, about these PCR values.
fn check_statement(
    enrolled: &Enrolled,
    qualifying: &Digest,
    evidence: &Evidence,
) -> Result<(), QuoteError> {
    let bytes = decode(&evidence.attest).ok_or(QuoteError::Malformed("attest"))?;
    let ak = decode(&enrolled.ak_public).ok_or(QuoteError::Signature)?;
    if !is_signed(&ak, &bytes, &evidence.signature) {
        return Err(QuoteError::Signature);
    }
    let attest = Attest::parse(&bytes).map_err(|_| QuoteError::Malformed("attest"))?;
    let Attested::Quote { pcrs, digest } = attest.attested else {
        return Err(QuoteError::NotAQuote);
    };
    if attest.extra_data != qualifying.as_bytes() {
        return Err(QuoteError::Qualifying);
    }
    for kind in ComponentKind::ALL {
        if !pcrs.contains(&kind.pcr()) {
            return Err(QuoteError::PcrMissing(kind.pcr()));
        }
    }
    let is_same_selection = evidence.pcrs.iter().map(|pcr| pcr.index).eq(pcrs);
    let shown = pcr_digest(evidence.pcrs.iter().map(|pcr| &pcr.value));
    if is_same_selection && digest == shown.as_bytes() {
        Ok(())
    } else {
        Err(QuoteError::PcrDigest)
    }
}

/// The log explains the PCRs; only then do its names mean anything.
fn check_event_log(evidence: &Evidence) -> Result<(), QuoteError> {
    if evidence.event_log.len() > EVENTS_MAX {
        return Err(QuoteError::Malformed("event_log"));
    }
    for (index, value) in replay(&evidence.event_log) {
        let is_quoted = evidence
            .pcrs
            .iter()
            .any(|pcr| pcr.index == index && pcr.value == value);
        if !is_quoted {
            return Err(QuoteError::EventLog(index));
        }
    }
    Ok(())
}

/// Everything in which the evidence differs from the reference values, the gravest first.
fn differences(reference: &ReferenceValues, evidence: &Evidence) -> Vec<QuoteError> {
    let log = &evidence.event_log;
    let is_same = |a: &Measurement, b: &Measurement| a.kind == b.kind && a.name == b.name;
    let mut differing = Vec::new();
    let mut missing = Vec::new();
    let mut extra = Vec::new();

    for expected in &reference.components {
        let (kind, name) = (expected.kind, expected.name.clone());
        let mut measured = log
            .iter()
            .filter(|measured| is_same(measured, expected))
            .peekable();
        if measured.peek().is_none() {
            missing.push(QuoteError::Missing { kind, name });
        } else if measured.any(|measured| measured.digest != expected.digest) {
            // Also one of several: a server appends what it sees change while it runs.
            differing.push(QuoteError::Differs { kind, name });
        }
    }
    for (at, measured) in log.iter().enumerate() {
        let (kind, name) = (measured.kind, measured.name.clone());
        if log
            .iter()
            .take(at)
            .any(|earlier| is_same(earlier, measured))
        {
            extra.push(QuoteError::Repeated { kind, name });
        } else if !reference
            .components
            .iter()
            .any(|expected| is_same(measured, expected))
        {
            extra.push(QuoteError::Unknown { kind, name });
        }
    }

    let mut found = differing;
    found.append(&mut missing);
    found.append(&mut extra);
    if found.is_empty() && *log != reference.components {
        found.push(QuoteError::Order);
    }
    for (&index, value) in &reference.pcrs {
        let is_component = ComponentKind::ALL.iter().any(|kind| kind.pcr() == index);
        match evidence.pcrs.iter().find(|pcr| pcr.index == index) {
            None => found.push(QuoteError::PcrMissing(index)),
            // A component's PCR differs whenever its component does: one fact is reported once.
            Some(pcr) if pcr.value != *value && (!is_component || found.is_empty()) => {
                found.push(QuoteError::Firmware(index));
            }
            Some(_) => {}
        }
    }
    found
}
