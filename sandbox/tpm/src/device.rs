//! The commands, one after the other, on the thread that owns the TPM. Whatever a command loads it also
//! flushes, failed or not: a TPM without a resource manager has room for three objects.

use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kekkai_attest::{
    EnrolmentRequest, Evidence, Measurement, POLICY_REF, PcrValue, ReferenceValues, approval_hash,
    enrolment_binding, policy_key_public_area,
};
use kekkai_types::{Digest, KeyText, ServerId, WrappedKey};
use tss_esapi::Context;
use tss_esapi::abstraction::{AsymmetricAlgorithmSelection, ek, nv};
use tss_esapi::attributes::{NvIndexAttributesBuilder, SessionAttributesBuilder};
use tss_esapi::constants::{CapabilityType, SessionType};
use tss_esapi::handles::{
    AuthHandle, KeyHandle, NvIndexHandle, NvIndexTpmHandle, ObjectHandle, PcrHandle, SessionHandle,
    TpmHandle,
};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::resource_handles::{Hierarchy, NvAuth, Provision};
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{
    CapabilityData, Data, DigestValues, EccParameter, EccPoint, EccSignature, EncryptedSecret,
    IdObject, MaxNvBuffer, Nonce, NvPublicBuilder, PcrSelectionList, PcrSelectionListBuilder,
    PcrSlot, Public, Signature, SignatureScheme, SymmetricDefinition, VerifiedTicket,
};
use tss_esapi::tcti_ldr::{DeviceConfig, NetworkTPMConfig, TctiNameConf};
use tss_esapi::traits::{Marshall, UnMarshall};
use zeroize::Zeroizing;

use crate::config::Connection;
use crate::error::{TpmError, during};
use crate::hpke;
use crate::template;

/// Firmware and boot loader, then what `kekkai-measure` extends. Eight at most per `TPM2_PCR_Read`.
const QUOTED_PCRS: [&[u32]; 2] = [&[0, 1, 2, 3, 4, 5, 6, 7], &[11, 12, 13]];
/// Where a TPM keeps the certificate of its ECC P-256 EK.
const EK_CERTIFICATE_INDEX: u32 = 0x01c0_000a;
/// The longest EK certificate that is read or written, in bytes.
const EK_CERTIFICATE_MAX: usize = 4096;

const EK: AsymmetricAlgorithmSelection = AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP256);

/// A connection to a TPM.
pub(crate) struct Device {
    context: Context,
    /// Loaded at first use and kept: each session launch quotes.
    ak: Option<KeyHandle>,
}

impl Device {
    pub(crate) fn open(connection: &Connection) -> Result<Self, TpmError> {
        let (address, name) = match connection {
            Connection::Emulated(port) => {
                let config = NetworkTPMConfig::from_str(&format!("host=127.0.0.1,port={port}"));
                (format!("port {port}"), config.map(TctiNameConf::Swtpm))
            }
            Connection::Device(path) => {
                let text = path.to_str().ok_or(TpmError::Malformed("device"))?;
                (
                    format!("\"{text}\""),
                    DeviceConfig::from_str(text).map(TctiNameConf::Device),
                )
            }
        };
        let context = name
            .and_then(Context::new)
            .map_err(|source| TpmError::Connect { address, source })?;
        Ok(Self { context, ak: None })
    }

    pub(crate) fn extend(&mut self, measurement: &Measurement) -> Result<(), TpmError> {
        let pcr = PcrHandle::try_from(measurement.kind.pcr()).map_err(during("TPM2_PCR_Extend"))?;
        let mut digests = DigestValues::new();
        digests.set(HashingAlgorithm::Sha256, digest(&measurement.digest)?);
        self.with_password(|context| context.pcr_extend(pcr, digests))
            .map_err(during("TPM2_PCR_Extend"))
    }

    pub(crate) fn quote(
        &mut self,
        qualifying: &Digest,
        event_log: &[Measurement],
    ) -> Result<Evidence, TpmError> {
        let ak = self.ak()?;
        let qualifying = data(qualifying)?;
        let selection = select(QUOTED_PCRS.concat().into_iter())?;
        let (attest, signature) = self
            .with_password(|context| {
                context.quote(ak, qualifying, SignatureScheme::Null, selection)
            })
            .map_err(during("TPM2_Quote"))?;
        Ok(Evidence {
            attest: base64(&attest.marshall().map_err(during("TPM2_Quote"))?),
            signature: base64(&signature_bytes(&signature)?),
            // A PCR that changes in between is no danger: the digest won't fit and the quote is refused.
            pcrs: self.read_pcrs()?,
            event_log: event_log.to_vec(),
        })
    }

    pub(crate) fn read_pcrs(&mut self) -> Result<Vec<PcrValue>, TpmError> {
        let mut pcrs = Vec::new();
        for group in QUOTED_PCRS {
            let selection = select(group.iter().copied())?;
            let (_, _, values) = self
                .context
                .execute_without_session(|context| context.pcr_read(selection))
                .map_err(during("TPM2_PCR_Read"))?;
            if values.len() != group.len() {
                return Err(TpmError::Malformed("pcrs"));
            }
            for (&index, value) in group.iter().zip(values.value()) {
                let bytes = value
                    .value()
                    .try_into()
                    .map_err(|_| TpmError::Malformed("pcrs"))?;
                pcrs.push(PcrValue {
                    index,
                    value: Digest::from_bytes(bytes),
                });
            }
        }
        Ok(pcrs)
    }

    pub(crate) fn enrolment_request(
        &mut self,
        server: &ServerId,
        policy_key: &[u8; 65],
    ) -> Result<EnrolmentRequest, TpmError> {
        let ek_certificate = self.ek_certificate()?.ok_or(TpmError::NoEkCertificate)?;
        let ak = self.ak()?;
        let ak_public = self.public_area(ak)?;
        let unwrap = self.load_unwrap(policy_key)?;
        let certified = self.certify(unwrap, ak, server);
        let unwrap_public = self.public_area(unwrap);
        self.flush(unwrap.into());
        let (attest, signature) = certified?;
        Ok(EnrolmentRequest {
            server: server.clone(),
            ek_certificate: base64(&ek_certificate),
            ak_public: base64(&ak_public),
            unwrap_public: base64(&unwrap_public?),
            unwrap_certify: base64(&attest),
            unwrap_signature: base64(&signature),
        })
    }

    fn certify(
        &mut self,
        key: KeyHandle,
        ak: KeyHandle,
        server: &ServerId,
    ) -> Result<(Vec<u8>, [u8; 64]), TpmError> {
        let binding = data(&enrolment_binding(server))?;
        let sessions = (
            Some(AuthSession::Password),
            Some(AuthSession::Password),
            None,
        );
        let (attest, signature) = self
            .context
            .execute_with_sessions(sessions, |context| {
                context.certify(key.into(), ak, binding, SignatureScheme::Null)
            })
            .map_err(during("TPM2_Certify"))?;
        let attest = attest.marshall().map_err(during("TPM2_Certify"))?;
        Ok((attest, signature_bytes(&signature)?))
    }

    /// Opens the verifier's challenge: `blob` and `secret` are the contents of `TPM2B_ID_OBJECT` and
    /// `TPM2B_ENCRYPTED_SECRET`, base64.
    pub(crate) fn activate(
        &mut self,
        blob: &str,
        secret: &str,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let malformed = || TpmError::Malformed("challenge");
        let decode = |text: &str| BASE64_STANDARD.decode(text).ok();
        let blob = decode(blob)
            .and_then(|b| IdObject::try_from(b).ok())
            .ok_or_else(malformed)?;
        let secret = decode(secret)
            .and_then(|b| EncryptedSecret::try_from(b).ok())
            .ok_or_else(malformed)?;
        let ak = self.ak()?;
        let ek = self.load_ek()?;
        let activated = self.with_policy_session(None, |context, session| {
            // The EK's policy (template L-2): whoever owns the endorsement hierarchy may use it.
            let policy = PolicySession::try_from(session).map_err(during("TPM2_PolicySecret"))?;
            context
                .execute_with_session(Some(AuthSession::Password), |context| {
                    context.policy_secret(
                        policy,
                        AuthHandle::Endorsement,
                        Nonce::default(),
                        Default::default(),
                        Nonce::default(),
                        None,
                    )
                })
                .map_err(during("TPM2_PolicySecret"))?;
            context
                .execute_with_sessions(
                    (Some(AuthSession::Password), Some(session), None),
                    |context| context.activate_credential(ak, ek, blob, secret),
                )
                .map_err(|source| TpmError::NotForThisTpm { source })
        });
        self.flush(ek.into());
        Ok(Zeroizing::new(activated?.value().to_vec()))
    }

    /// Opens a wrapped key under the signed PCR policy: the private key never leaves the TPM.
    pub(crate) fn unwrap(
        &mut self,
        wrapped: &WrappedKey,
        reference: &ReferenceValues,
        policy_key: &[u8; 65],
    ) -> Result<KeyText, TpmError> {
        let enc = BASE64_STANDARD
            .decode(&wrapped.enc)
            .ok()
            .and_then(|bytes| <[u8; 65]>::try_from(bytes).ok())
            .ok_or(TpmError::Malformed("enc"))?;
        let ciphertext = BASE64_STANDARD
            .decode(&wrapped.ciphertext)
            .map_err(|_| TpmError::Malformed("ciphertext"))?;

        let approved = reference
            .approved_policy()
            .map_err(|_| TpmError::Malformed("reference values"))?;
        let approval = self.check_approval(&approved, reference, policy_key)?;
        let unwrap = self.load_unwrap(policy_key)?;
        let opened = self.exchange(unwrap, &enc, reference, &approved, approval);
        let public = self.public(unwrap);
        self.flush(unwrap.into());

        let dh = opened?;
        let recipient = template::point(&public?)?;
        let aad = WrappedKey::aad(&wrapped.dataset, wrapped.version, &wrapped.recipient);
        let sealed = hpke::Sealed {
            enc: &enc,
            ciphertext: &ciphertext,
            info: WrappedKey::INFO,
            aad: aad.as_bytes(),
        };
        let key =
            hpke::open(&dh, &recipient, &sealed).map_err(|hpke::Unopened| TpmError::Unopened)?;
        let key =
            Zeroizing::new(<[u8; 32]>::try_from(key.as_slice()).map_err(|_| TpmError::Unopened)?);
        Ok(KeyText::new(*key))
    }

    /// The TPM itself verifies the producer's signature and gives a ticket for it.
    fn check_approval(
        &mut self,
        approved: &Digest,
        reference: &ReferenceValues,
        policy_key: &[u8; 65],
    ) -> Result<Approval, TpmError> {
        let signature = BASE64_STANDARD
            .decode(&reference.policy_signature)
            .ok()
            .and_then(|bytes| ecdsa(&bytes))
            .ok_or(TpmError::Malformed("policy_signature"))?;
        let hash = digest(&approval_hash(approved))?;
        let public = Public::unmarshall(&policy_key_public_area(policy_key))
            .map_err(during("TPM2_LoadExternal"))?;
        let key = self
            .context
            .execute_without_session(|c| c.load_external_public(public, Hierarchy::Owner))
            .map_err(during("TPM2_LoadExternal"))?;
        let checked = self.context.execute_without_session(|context| {
            let name = context.tr_get_name(key.into())?;
            let ticket = context.verify_signature(key, hash, signature)?;
            Ok((name, ticket))
        });
        self.flush(key.into());
        let (name, ticket) = checked.map_err(|source| TpmError::NotApproved { source })?;
        Ok(Approval { name, ticket })
    }

    /// `TPM2_ECDH_ZGen` in a policy session that the current PCRs and the approval satisfy. The session is
    /// salted by the EK and encrypts its response, so that a probe on the bus learns nothing.
    fn exchange(
        &mut self,
        unwrap: KeyHandle,
        enc: &[u8; 65],
        reference: &ReferenceValues,
        approved: &Digest,
        approval: Approval,
    ) -> Result<Zeroizing<[u8; 32]>, TpmError> {
        let point = ecc_point(enc)?;
        let approved = digest(approved)?;
        let selection = select(reference.pcrs.keys().copied())?;
        let policy_ref = Nonce::try_from(POLICY_REF).map_err(during("TPM2_PolicyAuthorize"))?;
        let ek = self.load_ek()?;
        let shared = self.with_policy_session(Some(ek), |context, session| {
            let policy = PolicySession::try_from(session).map_err(during("TPM2_PolicyPCR"))?;
            context
                .execute_without_session(|c| c.policy_pcr(policy, Default::default(), selection))
                .map_err(during("TPM2_PolicyPCR"))?;
            context
                .execute_without_session(|context| {
                    let Approval { name, ticket } = approval;
                    context.policy_authorize(policy, approved, policy_ref, &name, ticket)
                })
                .map_err(|source| TpmError::NotAsMeasured { source })?;
            context
                .execute_with_session(Some(session), |c| c.ecdh_z_gen(unwrap, point))
                .map_err(during("TPM2_ECDH_ZGen"))
        });
        let shared = shared?;
        template::coordinate(shared.x().value()).map(Zeroizing::new)
    }

    /// Runs commands in a fresh policy session and flushes it, and the salt key with it.
    fn with_policy_session<T>(
        &mut self,
        salt: Option<KeyHandle>,
        run: impl FnOnce(&mut Context, AuthSession) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let started = self.context.execute_without_session(|context| {
            context.start_auth_session(
                salt,
                None,
                None,
                SessionType::Policy,
                SymmetricDefinition::AES_128_CFB,
                HashingAlgorithm::Sha256,
            )
        });
        if let Some(salt) = salt {
            self.flush(salt.into());
        }
        let session = started
            .map_err(during("TPM2_StartAuthSession"))?
            .ok_or(TpmError::Malformed("session"))?;
        let (attributes, mask) = SessionAttributesBuilder::new()
            .with_encrypt(salt.is_some())
            .build();
        let result = self
            .context
            .tr_sess_set_attributes(session, attributes, mask)
            .map_err(during("TPM2_StartAuthSession"))
            .and_then(|()| run(&mut self.context, session));
        self.context.clear_sessions();
        self.flush(SessionHandle::from(session).into());
        result
    }

    /// The certificate of the ECC P-256 EK, if the TPM holds one.
    pub(crate) fn ek_certificate(&mut self) -> Result<Option<Vec<u8>>, TpmError> {
        let index = certificate_index()?;
        if !self.is_defined(index)? {
            return Ok(None);
        }
        let handle = self
            .context
            .execute_without_session(|c| c.tr_from_tpm_public(TpmHandle::NvIndex(index)))
            .map_err(during("TPM2_NV_ReadPublic"))?;
        let auth = NvAuth::NvIndex(handle.into());
        // Closes the handle too.
        let read = self.with_password(|context| nv::read_full(context, auth, index));
        let mut certificate = read.map_err(during("TPM2_NV_Read"))?;
        // The index may be larger than the certificate.
        certificate.truncate(der_length(&certificate).unwrap_or(certificate.len()));
        Ok(Some(certificate))
    }

    fn is_defined(&mut self, index: NvIndexTpmHandle) -> Result<bool, TpmError> {
        let (listed, _more) = self
            .context
            .execute_without_session(|context| {
                context.get_capability(CapabilityType::Handles, index.into(), 1)
            })
            .map_err(during("TPM2_GetCapability"))?;
        Ok(match listed {
            CapabilityData::Handles(handles) => handles.first() == Some(&TpmHandle::NvIndex(index)),
            _ => false,
        })
    }

    /// Stores an EK certificate where a manufacturer would: for an emulated TPM.
    pub(crate) fn store_ek_certificate(&mut self, certificate: &[u8]) -> Result<(), TpmError> {
        if certificate.len() > EK_CERTIFICATE_MAX {
            return Err(TpmError::Malformed("EK certificate"));
        }
        let index = certificate_index()?;
        if self.is_defined(index)? {
            let handle = self
                .context
                .execute_without_session(|c| c.tr_from_tpm_public(TpmHandle::NvIndex(index)))
                .map_err(during("TPM2_NV_ReadPublic"))?;
            self.with_password(|c| c.nv_undefine_space(Provision::Owner, handle.into()))
                .map_err(during("TPM2_NV_UndefineSpace"))?;
        }
        let attributes = NvIndexAttributesBuilder::new()
            .with_owner_write(true)
            .with_owner_read(true)
            .with_auth_read(true)
            .with_no_da(true)
            .build()
            .map_err(during("TPM2_NV_DefineSpace"))?;
        let public = NvPublicBuilder::new()
            .with_nv_index(index)
            .with_index_name_algorithm(HashingAlgorithm::Sha256)
            .with_index_attributes(attributes)
            .with_data_area_size(certificate.len())
            .build()
            .map_err(during("TPM2_NV_DefineSpace"))?;
        let defined: NvIndexHandle = self
            .with_password(|c| c.nv_define_space(Provision::Owner, None, public))
            .map_err(during("TPM2_NV_DefineSpace"))?;
        let mut offset = 0_u16;
        for chunk in certificate.chunks(512) {
            let length =
                u16::try_from(chunk.len()).map_err(|_| TpmError::Malformed("EK certificate"))?;
            let buffer = MaxNvBuffer::try_from(chunk).map_err(during("TPM2_NV_Write"))?;
            self.with_password(|c| c.nv_write(NvAuth::Owner, defined, buffer, offset))
                .map_err(during("TPM2_NV_Write"))?;
            offset = offset.saturating_add(length);
        }
        let mut handle = ObjectHandle::from(defined);
        let _closed = self.context.tr_close(&mut handle);
        Ok(())
    }

    /// The EK's coordinates, for the authority of an emulated TPM.
    pub(crate) fn ek_point(&mut self) -> Result<[u8; 65], TpmError> {
        let ek = self.load_ek()?;
        let public = self.public(ek);
        self.flush(ek.into());
        template::point(&public?)
    }

    fn load_ek(&mut self) -> Result<KeyHandle, TpmError> {
        let public = ek::create_ek_public_from_default_template_2(EK, None)
            .map_err(during("TPM2_CreatePrimary"))?;
        self.create_primary(Hierarchy::Endorsement, public)
    }

    fn load_unwrap(&mut self, policy_key: &[u8; 65]) -> Result<KeyHandle, TpmError> {
        let public = template::unwrap_key(policy_key)?;
        self.create_primary(Hierarchy::Owner, public)
    }

    fn ak(&mut self) -> Result<KeyHandle, TpmError> {
        if let Some(ak) = self.ak {
            return Ok(ak);
        }
        let ak = self.create_primary(Hierarchy::Endorsement, template::ak()?)?;
        self.ak = Some(ak);
        Ok(ak)
    }

    /// A primary key follows from the TPM's seed and the template alone: the same after each restart,
    /// without a file that could be lost or exchanged.
    fn create_primary(
        &mut self,
        hierarchy: Hierarchy,
        public: Public,
    ) -> Result<KeyHandle, TpmError> {
        self.with_password(|c| c.create_primary(hierarchy, public, None, None, None, None))
            .map(|created| created.key_handle)
            .map_err(during("TPM2_CreatePrimary"))
    }

    fn public(&mut self, key: KeyHandle) -> Result<Public, TpmError> {
        self.context
            .execute_without_session(|c| c.read_public(key))
            .map(|(public, _, _)| public)
            .map_err(during("TPM2_ReadPublic"))
    }

    fn public_area(&mut self, key: KeyHandle) -> Result<Vec<u8>, TpmError> {
        self.public(key)?
            .marshall()
            .map_err(during("TPM2_ReadPublic"))
    }

    fn with_password<T>(
        &mut self,
        run: impl FnOnce(&mut Context) -> tss_esapi::Result<T>,
    ) -> tss_esapi::Result<T> {
        self.context
            .execute_with_session(Some(AuthSession::Password), run)
    }

    fn flush(&mut self, handle: ObjectHandle) {
        if let Err(error) = self
            .context
            .execute_without_session(|c| c.flush_context(handle))
        {
            tracing::warn!(%error, "the TPM did not flush a handle");
        }
    }
}

/// The producer's signature, as the TPM verified it.
struct Approval {
    name: tss_esapi::structures::Name,
    ticket: VerifiedTicket,
}

fn certificate_index() -> Result<NvIndexTpmHandle, TpmError> {
    NvIndexTpmHandle::new(EK_CERTIFICATE_INDEX).map_err(during("TPM2_NV_Read"))
}

/// The length of the outermost DER element, header and all; only the two-byte form, as for any
/// certificate of 256 bytes or more.
fn der_length(der: &[u8]) -> Option<usize> {
    match der {
        [0x30, 0x82, high, low, ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low])) + 4;
            (length <= der.len()).then_some(length)
        }
        _ => None,
    }
}

fn select(pcrs: impl Iterator<Item = u32>) -> Result<PcrSelectionList, TpmError> {
    let slots = pcrs
        .map(|index| {
            1_u32
                .checked_shl(index)
                .and_then(|bit| PcrSlot::try_from(bit).ok())
        })
        .collect::<Option<Vec<_>>>()
        .ok_or(TpmError::Malformed("pcrs"))?;
    PcrSelectionListBuilder::new()
        .with_selection(HashingAlgorithm::Sha256, &slots)
        .build()
        .map_err(during("TPM2_PCR_Read"))
}

fn digest(value: &Digest) -> Result<tss_esapi::structures::Digest, TpmError> {
    tss_esapi::structures::Digest::try_from(value.as_bytes().as_slice())
        .map_err(|_| TpmError::Malformed("digest"))
}

fn data(value: &Digest) -> Result<Data, TpmError> {
    Data::try_from(value.as_bytes().as_slice()).map_err(|_| TpmError::Malformed("digest"))
}

fn ecc_point(sec1: &[u8; 65]) -> Result<EccPoint, TpmError> {
    let (tag, rest) = sec1.split_at(1);
    if tag != [4] {
        return Err(TpmError::Malformed("enc"));
    }
    let (x, y) = rest.split_at(32);
    let parameter =
        |bytes: &[u8]| EccParameter::try_from(bytes).map_err(|_| TpmError::Malformed("enc"));
    Ok(EccPoint::new(parameter(x)?, parameter(y)?))
}

fn ecdsa(bytes: &[u8]) -> Option<Signature> {
    let (r, s) = bytes.split_at_checked(32).filter(|(_, s)| s.len() == 32)?;
    let signature = EccSignature::create(
        HashingAlgorithm::Sha256,
        EccParameter::try_from(r).ok()?,
        EccParameter::try_from(s).ok()?,
    );
    signature.ok().map(Signature::EcDsa)
}

/// r and s, 32 bytes each.
fn signature_bytes(signature: &Signature) -> Result<[u8; 64], TpmError> {
    let Signature::EcDsa(signature) = signature else {
        return Err(TpmError::Malformed("signature"));
    };
    let mut bytes = [0; 64];
    let (r, s) = bytes.split_at_mut(32);
    r.copy_from_slice(&template::coordinate(signature.signature_r().value())?);
    s.copy_from_slice(&template::coordinate(signature.signature_s().value())?);
    Ok(bytes)
}

fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}
