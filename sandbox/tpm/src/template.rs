//! The public templates of the keys that a server makes in its TPM.

use kekkai_attest::authorize_policy;
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::structures::{
    Digest, EccPoint, EccScheme, HashScheme, KeyDerivationFunctionScheme, Public, PublicBuilder,
    PublicEccParametersBuilder, SymmetricDefinitionObject,
};

use crate::error::{TpmError, during};

/// The AK: restricted, so that it signs no statement that the TPM didn't make itself.
pub(crate) fn ak() -> Result<Public, TpmError> {
    let build = || {
        let attributes = common().with_restricted(true).with_sign_encrypt(true);
        let attributes = attributes.with_user_with_auth(true).build()?;
        let parameters = PublicEccParametersBuilder::new()
            .with_symmetric(SymmetricDefinitionObject::Null)
            .with_ecc_scheme(EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256)))
            .with_curve(EccCurve::NistP256)
            .with_key_derivation_function_scheme(KeyDerivationFunctionScheme::Null)
            .with_is_signing_key(true)
            .with_is_decryption_key(false)
            .with_restricted(true)
            .build()?;
        key()
            .with_object_attributes(attributes)
            .with_ecc_parameters(parameters)
            .build()
    };
    build().map_err(during("TPM2_CreatePrimary"))
}

/// The unwrapping key: nobody uses it by an authorization value, only under the policy that the
/// deployment's PCR policy key signs.
pub(crate) fn unwrap_key(policy_key: &[u8; 65]) -> Result<Public, TpmError> {
    let build = || {
        let attributes = common()
            .with_decrypt(true)
            .with_user_with_auth(false)
            .build()?;
        let policy = Digest::try_from(authorize_policy(policy_key).as_bytes().as_slice())?;
        let parameters = PublicEccParametersBuilder::new()
            .with_symmetric(SymmetricDefinitionObject::Null)
            .with_ecc_scheme(EccScheme::EcDh(HashScheme::new(HashingAlgorithm::Sha256)))
            .with_curve(EccCurve::NistP256)
            .with_key_derivation_function_scheme(KeyDerivationFunctionScheme::Null)
            .with_is_signing_key(false)
            .with_is_decryption_key(true)
            .with_restricted(false)
            .build()?;
        key()
            .with_object_attributes(attributes)
            .with_auth_policy(policy)
            .with_ecc_parameters(parameters)
            .build()
    };
    build().map_err(during("TPM2_CreatePrimary"))
}

/// Fixed to this TPM, made by it, and outside the dictionary-attack counter: there is no secret to guess.
fn common() -> ObjectAttributesBuilder {
    ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_no_da(true)
}

fn key() -> PublicBuilder {
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_ecc_unique_identifier(EccPoint::default())
}

/// A key's point, SEC 1 uncompressed.
pub(crate) fn point(public: &Public) -> Result<[u8; 65], TpmError> {
    let Public::Ecc { unique, .. } = public else {
        return Err(TpmError::Malformed("public area"));
    };
    let mut bytes = [4; 65];
    let (_, rest) = bytes.split_at_mut(1);
    let (x, y) = rest.split_at_mut(32);
    x.copy_from_slice(&coordinate(unique.x().value())?);
    y.copy_from_slice(&coordinate(unique.y().value())?);
    Ok(bytes)
}

/// A TPM may drop leading zeros.
pub(crate) fn coordinate(bytes: &[u8]) -> Result<[u8; 32], TpmError> {
    let mut padded = [0; 32];
    let start = 32_usize
        .checked_sub(bytes.len())
        .ok_or(TpmError::Malformed("coordinate"))?;
    padded
        .get_mut(start..)
        .ok_or(TpmError::Malformed("coordinate"))?
        .copy_from_slice(bytes);
    Ok(padded)
}
