//! What can go wrong between a server and its TPM.

use std::path::PathBuf;

/// Why the TPM did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum TpmError {
    /// The configuration names no TPM, or two.
    #[error("the [tpm] section names either \"emulated\" or \"device\"")]
    Config,
    /// The PCR policy key of the configuration is not an uncompressed P-256 point in base64.
    #[error("\"policy_key\" is not an uncompressed P-256 point in base64")]
    PolicyKey,
    /// No connection.
    #[error("the TPM at {address} can't be reached")]
    Connect {
        /// Device or port.
        address: String,
        /// The cause.
        source: tss_esapi::Error,
    },
    /// A command failed.
    #[error("the TPM refused {command}")]
    Command {
        /// Its name.
        command: &'static str,
        /// The cause.
        source: tss_esapi::Error,
    },
    /// The TPM has no ECC P-256 EK certificate.
    #[error("the TPM holds no ECC P-256 EK certificate")]
    NoEkCertificate,
    /// Something that came from outside can't be read.
    #[error("\"{0}\" is malformed")]
    Malformed(&'static str),
    /// The verifier's challenge was made for another TPM or another AK.
    #[error("the credential was made for another TPM or another key")]
    NotForThisTpm {
        /// The cause.
        source: tss_esapi::Error,
    },
    /// The reference values are not signed by the deployment's PCR policy key.
    #[error("the TPM did not accept the signature of the reference values")]
    NotApproved {
        /// The cause.
        source: tss_esapi::Error,
    },
    /// This server is not what the reference values describe: the TPM keeps the key.
    #[error("the TPM's PCRs are not those of the reference values")]
    NotAsMeasured {
        /// The cause.
        source: tss_esapi::Error,
    },
    /// A hardware TPM holds measurements of something else since the machine started.
    #[error("PCR {0} already holds other measurements: restart the machine")]
    AlreadyMeasured(u32),
    /// The wrapped key is another's, or was moved, or was changed.
    #[error("the wrapped key can't be opened")]
    Unopened,
    /// The thread that owns the TPM ended.
    #[error("the TPM is closed")]
    Closed,
    /// An emulated TPM could not be set up or started.
    #[error("the emulated TPM: {what}")]
    Emulation {
        /// What was tried.
        what: String,
        /// The cause, if the operating system gave one.
        source: Option<std::io::Error>,
    },
    /// The process was not started by `kekkai-measure`, or what it handed over is not what it measured.
    #[error("not started by kekkai-measure: {0}")]
    NotMeasured(String),
    /// A file.
    #[error("\"{}\"", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

/// Names the command that failed.
pub(crate) fn during(command: &'static str) -> impl FnOnce(tss_esapi::Error) -> TpmError {
    move |source| TpmError::Command { command, source }
}
