//! Quotes that a TPM would not make, or not for us, signed by an AK in software: each check by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kekkai_attest::{
    ComponentKind, EVENTS_MAX, Enrolled, Evidence, Measurement, PcrValue, QuoteError,
    ReferenceValues, replay, verify_quote,
};
use kekkai_types::{Digest, ServerId};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};

/// A quote, field by field.
struct Quote {
    magic: u32,
    kind: u16,
    bank: u16,
    pcrs: Vec<PcrValue>,
    log: Vec<Measurement>,
    trailing: &'static [u8],
}

impl Quote {
    fn of(log: Vec<Measurement>) -> Self {
        let mut pcrs: Vec<_> = (0..8)
            .map(|index| PcrValue {
                index,
                value: Digest::from_bytes([0; 32]),
            })
            .collect();
        pcrs.extend(
            replay(&log)
                .into_iter()
                .map(|(index, value)| PcrValue { index, value }),
        );
        Self {
            magic: 0xff54_4347,
            kind: 0x8018,
            bank: 0x000b,
            pcrs,
            log,
            trailing: &[],
        }
    }

    fn evidence(self, ak: &SigningKey) -> Evidence {
        let mut bytes = self.magic.to_be_bytes().to_vec();
        bytes.extend(self.kind.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend([0, 32]);
        bytes.extend(qualifying().as_bytes());
        bytes.extend([0; 8 + 4 + 4 + 1 + 8]);
        let selected = self
            .pcrs
            .iter()
            .fold(0_u32, |bits, pcr| bits | 1 << pcr.index);
        bytes.extend(1_u32.to_be_bytes());
        bytes.extend(self.bank.to_be_bytes());
        bytes.push(3);
        bytes.extend(&selected.to_le_bytes()[..3]);
        let values: Vec<u8> = self
            .pcrs
            .iter()
            .flat_map(|pcr| *pcr.value.as_bytes())
            .collect();
        bytes.extend([0, 32]);
        bytes.extend(Digest::of(&values).as_bytes());
        bytes.extend(self.trailing);
        let signature: Signature = ak.sign(&bytes);
        Evidence {
            attest: BASE64_STANDARD.encode(bytes),
            signature: BASE64_STANDARD.encode(signature.to_bytes()),
            pcrs: self.pcrs,
            event_log: self.log,
        }
    }
}

fn qualifying() -> Digest {
    Digest::of(b"nonce")
}

fn ak() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

fn enrolled() -> Enrolled {
    let point = ak().verifying_key().to_sec1_point(false);
    Enrolled {
        server: ServerId::new("a1").unwrap(),
        ek_certificate: Digest::of(b"certificate"),
        ak_public: BASE64_STANDARD.encode(point.as_bytes()),
        unwrap_public: String::new(),
        emulated: true,
    }
}

fn component(kind: ComponentKind, name: &str, bytes: &[u8]) -> Measurement {
    Measurement {
        kind,
        name: name.to_owned(),
        digest: Digest::of(bytes),
    }
}

fn good() -> Vec<Measurement> {
    vec![
        component(ComponentKind::Binary, "kekkai-analysis", b"binary"),
        component(
            ComponentKind::Configuration,
            "analysis.toml",
            b"configuration",
        ),
        component(ComponentKind::SessionImage, "kekkai-sql-worker", b"worker"),
        component(ComponentKind::SessionImage, "python", b"python"),
    ]
}

fn reference(log: Vec<Measurement>) -> ReferenceValues {
    ReferenceValues::compute("test", log)
}

fn judge(quote: Quote, references: &[ReferenceValues]) -> Result<usize, QuoteError> {
    verify_quote(
        &enrolled(),
        references,
        &qualifying(),
        &quote.evidence(&ak()),
    )
}

fn judge_log(log: Vec<Measurement>) -> Result<usize, QuoteError> {
    judge(Quote::of(log), &[reference(good())])
}

#[test]
fn good_quote_is_accepted() {
    assert_eq!(judge_log(good()), Ok(0));
}

#[test]
fn statement_that_no_tpm_made_is_refused() {
    let refused = Err(QuoteError::Malformed("attest"));
    let references = [reference(good())];
    let quote = Quote {
        magic: 0x1234_5678,
        ..Quote::of(good())
    };
    assert_eq!(judge(quote, &references), refused);
    let quote = Quote {
        kind: 0x8019,
        ..Quote::of(good())
    };
    assert_eq!(judge(quote, &references), refused);
    let quote = Quote {
        trailing: b"x",
        ..Quote::of(good())
    };
    assert_eq!(judge(quote, &references), refused);
    // The same PCRs of the SHA-1 bank.
    let quote = Quote {
        bank: 0x0004,
        ..Quote::of(good())
    };
    assert_eq!(judge(quote, &references), refused);
}

#[test]
fn quote_without_one_of_our_pcrs_is_refused() {
    for kind in ComponentKind::ALL {
        let mut quote = Quote::of(good());
        quote.pcrs.retain(|pcr| pcr.index != kind.pcr());
        assert_eq!(
            judge(quote, &[reference(good())]),
            Err(QuoteError::PcrMissing(kind.pcr()))
        );
    }
}

#[test]
fn quote_for_another_challenge_is_refused() {
    let evidence = Quote::of(good()).evidence(&ak());
    let references = [reference(good())];
    let refused = verify_quote(&enrolled(), &references, &Digest::of(b"other"), &evidence);
    assert_eq!(refused, Err(QuoteError::Qualifying));
}

#[test]
fn changed_component_is_named() {
    for at in 0..good().len() {
        let mut log = good();
        log[at].digest = Digest::of(b"one byte changed");
        let (kind, name) = (log[at].kind, log[at].name.clone());
        assert_eq!(judge_log(log), Err(QuoteError::Differs { kind, name }));
    }
    let mut log = good();
    log[2].digest = Digest::of(b"one byte changed");
    assert_eq!(
        judge_log(log).unwrap_err().to_string(),
        "the measurement of session-image \"kekkai-sql-worker\" differs from the reference values"
    );
}

#[test]
fn component_that_changed_while_the_server_ran_is_named() {
    let mut log = good();
    log.push(component(ComponentKind::SessionImage, "python", b"changed"));
    let differs = QuoteError::Differs {
        kind: ComponentKind::SessionImage,
        name: "python".to_owned(),
    };
    assert_eq!(judge_log(log.clone()), Err(differs.clone()));
    // Also when it was changed back.
    log.push(component(ComponentKind::SessionImage, "python", b"python"));
    assert_eq!(judge_log(log), Err(differs));
}

#[test]
fn missing_unknown_repeated_and_reordered_components_are_told_apart() {
    let kind = ComponentKind::SessionImage;
    let mut log = good();
    log.pop();
    assert_eq!(
        judge_log(log),
        Err(QuoteError::Missing {
            kind,
            name: "python".to_owned()
        })
    );

    let mut log = good();
    log.push(component(kind, "backdoor", b"backdoor"));
    assert_eq!(
        judge_log(log),
        Err(QuoteError::Unknown {
            kind,
            name: "backdoor".to_owned()
        })
    );

    let mut log = good();
    log.push(log[3].clone());
    assert_eq!(
        judge_log(log),
        Err(QuoteError::Repeated {
            kind,
            name: "python".to_owned()
        })
    );

    let mut log = good();
    log.swap(2, 3);
    assert_eq!(judge_log(log), Err(QuoteError::Order));
    // Across PCRs too: the PCRs are the same, the story is not.
    let mut log = good();
    log.swap(0, 1);
    assert_eq!(judge_log(log), Err(QuoteError::Order));
}

#[test]
fn name_from_a_server_can_not_forge_a_line_of_the_log() {
    let mut log = good();
    log.push(component(
        ComponentKind::SessionImage,
        "x\"\nall is well",
        b"x",
    ));
    let said = judge_log(log).unwrap_err().to_string();
    assert_eq!(
        said,
        "session-image \"x\\\"\\nall is well\" is not in the reference values"
    );
}

#[test]
fn any_reference_in_force_is_enough_and_the_closest_is_reported() {
    let mut next = good();
    next[0].digest = Digest::of(b"next release");
    let mut after = next.clone();
    after[2].digest = Digest::of(b"next worker");
    let references = [
        reference(good()),
        reference(next.clone()),
        reference(after.clone()),
    ];
    assert_eq!(judge(Quote::of(after.clone()), &references), Ok(2));

    after[3].digest = Digest::of(b"tampered");
    let name = "python".to_owned();
    let differs = QuoteError::Differs {
        kind: ComponentKind::SessionImage,
        name,
    };
    assert_eq!(judge(Quote::of(after), &references), Err(differs));
    assert_eq!(judge(Quote::of(good()), &[]), Err(QuoteError::NoReference));
}

#[test]
fn firmware_counts_where_the_reference_values_name_it() {
    let mut with_firmware = reference(good());
    with_firmware.pcrs.insert(0, Digest::of(b"firmware"));
    let references = [with_firmware];
    assert_eq!(
        judge(Quote::of(good()), &references),
        Err(QuoteError::Firmware(0))
    );

    let mut quote = Quote::of(good());
    quote.pcrs[0].value = Digest::of(b"firmware");
    assert_eq!(judge(quote, &references), Ok(0));

    let mut quote = Quote::of(good());
    quote.pcrs.remove(0);
    assert_eq!(judge(quote, &references), Err(QuoteError::PcrMissing(0)));
}

#[test]
fn event_log_is_bounded() {
    let log = vec![component(ComponentKind::SessionImage, "x", b"x"); EVENTS_MAX + 1];
    assert_eq!(judge_log(log), Err(QuoteError::Malformed("event_log")));
}
