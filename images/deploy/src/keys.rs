//! Key files of a deployment. Private ones are readable by their owner only, and never overwritten.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use p256::SecretKey;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::pkcs8::{DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use zeroize::Zeroizing;

use crate::{DeployError, file};

/// Writes a private file that must not exist yet: mode 0600, synced.
pub fn create_private(path: &Path, bytes: &[u8]) -> Result<(), DeployError> {
    let mut out = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(file(path, "created"))?;
    out.write_all(bytes)
        .and_then(|()| out.sync_all())
        .map_err(file(path, "written"))
}

/// A file with 32 random bytes in hexadecimal.
pub fn random_key_file(path: &Path) -> Result<(), DeployError> {
    let mut key = Zeroizing::new([0_u8; 32]);
    getrandom::fill(key.as_mut())?;
    let text: Zeroizing<String> =
        Zeroizing::new(key.iter().map(|byte| format!("{byte:02x}")).collect());
    create_private(path, text.as_bytes())
}

/// A P-256 key pair as two PEM files.
pub struct EcKeyPair {
    /// The public key, SEC 1 uncompressed.
    pub public_sec1: Vec<u8>,
}

/// Makes a P-256 key pair: `DIR/NAME.key` (PKCS #8) and `DIR/NAME.pub` (`SubjectPublicKeyInfo`).
pub fn ec_key_pair(dir: &Path, name: &str) -> Result<EcKeyPair, DeployError> {
    std::fs::create_dir_all(dir).map_err(file(dir, "created"))?;
    let mut bytes = Zeroizing::new([0_u8; 32]);
    // A random number that is no scalar of the curve is as good as never drawn; then draw again.
    let secret = loop {
        getrandom::fill(bytes.as_mut())?;
        if let Ok(secret) = SecretKey::from_slice(bytes.as_ref()) {
            break secret;
        }
    };
    let bad = |_| DeployError::Key(name.to_owned());
    let private = secret.to_pkcs8_pem(LineEnding::LF).map_err(bad)?;
    create_private(&dir.join(format!("{name}.key")), private.as_bytes())?;
    let public = secret.public_key();
    let path = dir.join(format!("{name}.pub"));
    let pem = public
        .to_public_key_pem(LineEnding::LF)
        .map_err(|_| DeployError::Key(name.to_owned()))?;
    std::fs::write(&path, pem).map_err(file(&path, "written"))?;
    Ok(EcKeyPair {
        public_sec1: public.to_sec1_point(false).as_bytes().to_vec(),
    })
}

/// The public key of a PEM file, SEC 1 uncompressed.
pub fn ec_public_of_file(path: &Path) -> Result<Vec<u8>, DeployError> {
    let pem = std::fs::read_to_string(path).map_err(file(path, "read"))?;
    let public = p256::PublicKey::from_public_key_pem(&pem)
        .map_err(|_| DeployError::Key(path.display().to_string()))?;
    Ok(public.to_sec1_point(false).as_bytes().to_vec())
}

/// Makes an Ed25519 key pair: `DIR/NAME.key` (PKCS #8 PEM) and `DIR/NAME.pub` (32 bytes, base64).
pub fn ed25519_key_pair(dir: &Path, name: &str) -> Result<String, DeployError> {
    use base64::Engine;
    use ed25519_dalek::pkcs8::EncodePrivateKey as _;
    std::fs::create_dir_all(dir).map_err(file(dir, "created"))?;
    let mut seed = Zeroizing::new([0_u8; 32]);
    getrandom::fill(seed.as_mut())?;
    let key = ed25519_dalek::SigningKey::from_bytes(&seed);
    let pem = key
        .to_pkcs8_pem(ed25519_dalek::pkcs8::spki::der::pem::LineEnding::LF)
        .map_err(|_| DeployError::Key(name.to_owned()))?;
    create_private(&dir.join(format!("{name}.key")), pem.as_bytes())?;
    let public = base64::engine::general_purpose::STANDARD.encode(key.verifying_key().as_bytes());
    let path = dir.join(format!("{name}.pub"));
    std::fs::write(&path, format!("{public}\n")).map_err(file(&path, "written"))?;
    Ok(public)
}

/// The private key of a PEM file (PKCS #8).
pub fn ec_private_of_file(path: &Path) -> Result<kekkai_types::KeyText, DeployError> {
    use p256::pkcs8::DecodePrivateKey;
    let pem = Zeroizing::new(std::fs::read_to_string(path).map_err(file(path, "read"))?);
    let secret = SecretKey::from_pkcs8_pem(&pem)
        .map_err(|_| DeployError::Key(path.display().to_string()))?;
    let mut bytes = Zeroizing::new(secret.to_bytes());
    let mut key = [0; 32];
    key.copy_from_slice(&bytes);
    bytes.fill(0);
    Ok(kekkai_types::KeyText::new(key))
}
