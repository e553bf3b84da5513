//! Copy, hash, extend, execute: in this order, each once.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStrExt;

use kekkai_attest::{ComponentKind, Measurement};
use kekkai_tpm::emulated::Emulated;
use kekkai_tpm::measured::{CONFIGURATION_MAX, Handover, IMAGE_MAX, VARIABLE, hand_over};
use kekkai_tpm::{Connection, TpmError, TpmKind, extend_all};
use nix::errno::Errno;

use crate::config::Plan;
use crate::memory::{MemoryError, Sealed};

/// The variables of our environment that the server gets. None of them is measured, so none of them may
/// change what the server does: no `LD_PRELOAD`, no `PATH`.
const ENVIRONMENT: [&str; 6] = [
    "LANG",
    "NOTIFY_SOCKET",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "TZ",
    "WATCHDOG_USEC",
];

/// The name under which the binary is measured.
const BINARY: &str = "kekkai-analysis";

/// Why the server was not started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A component can't be measured.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The TPM.
    #[error(transparent)]
    Tpm(#[from] TpmError),
    /// The binary can't be executed.
    #[error("the measured binary can't be executed")]
    Execute(#[source] Errno),
    /// A name or variable with a zero byte.
    #[error("the environment holds a zero byte")]
    ZeroByte,
}

/// What was measured, still in memory.
struct Measured {
    binary: Sealed,
    /// Configuration, then images.
    others: Vec<Sealed>,
    log: Vec<Measurement>,
}

/// The components of a plan, in the order of measurement, without a TPM: for reference values.
pub fn components(plan: &Plan) -> Result<Vec<Measurement>, LaunchError> {
    Ok(measure(plan)?.log)
}

fn measure(plan: &Plan) -> Result<Measured, LaunchError> {
    let binary = Sealed::copy_of(BINARY, &plan.binary, IMAGE_MAX)?;
    let mut log = vec![entry(ComponentKind::Binary, BINARY, &binary)];
    let mut others = Vec::new();

    let length = u64::try_from(plan.text.len()).unwrap_or(u64::MAX);
    if length > CONFIGURATION_MAX {
        return Err(MemoryError::TooLarge(plan.name.to_owned(), CONFIGURATION_MAX).into());
    }
    let configuration = Sealed::of(plan.name, plan.text.as_bytes())?;
    log.push(entry(
        ComponentKind::Configuration,
        plan.name,
        &configuration,
    ));
    others.push(configuration);

    for (name, path) in &plan.images {
        let image = Sealed::copy_of(name, path, IMAGE_MAX)?;
        log.push(entry(ComponentKind::SessionImage, name, &image));
        others.push(image);
    }
    Ok(Measured {
        binary,
        others,
        log,
    })
}

fn entry(kind: ComponentKind, name: &str, sealed: &Sealed) -> Measurement {
    Measurement {
        kind,
        name: name.to_owned(),
        digest: sealed.digest(),
    }
}

/// Measures and becomes the server: returns only when something failed, and then nothing runs.
pub fn launch(plan: &Plan) -> Result<Infallible, LaunchError> {
    let measured = measure(plan)?;
    // Held until the very end: an error on the way stops an emulated TPM.
    let (emulated, connection) = match plan.tpm.kind()? {
        TpmKind::Emulated(state) => {
            let emulated = Emulated::start(state)?;
            let connection = emulated.connection();
            (Some(emulated), connection)
        }
        TpmKind::Device(path) => (None, Connection::Device(path.to_owned())),
    };
    extend_all(&connection, &measured.log)?;

    // The descriptor of the binary is not handed on: what runs needs no second copy.
    let mut descriptors = vec![-1];
    for sealed in &measured.others {
        descriptors.push(sealed.inherit().map_err(LaunchError::Execute)?);
    }
    let components = measured.log.into_iter().zip(descriptors).collect();
    let variable = hand_over(&Handover {
        connection,
        components,
    })?;
    let environment = environment(&variable)?;
    let arguments = [CString::new(BINARY).map_err(|_| LaunchError::ZeroByte)?];

    match nix::unistd::fexecve(&measured.binary, &arguments, &environment) {
        Ok(never) => Ok(never),
        Err(errno) => {
            drop(emulated);
            Err(LaunchError::Execute(errno))
        }
    }
}

fn environment(handover: &str) -> Result<Vec<CString>, LaunchError> {
    let kept = ENVIRONMENT
        .iter()
        .filter_map(|name| std::env::var_os(name).map(|value| (OsString::from(name), value)));
    let ours = [
        (OsString::from(VARIABLE), OsString::from(handover)),
        // The TSS library writes to the standard error what our own errors say better.
        (OsString::from("TSS2_LOG"), OsString::from("all+NONE")),
    ];
    kept.chain(ours)
        .map(|(name, value)| {
            let pair = [name.as_bytes(), b"=", value.as_bytes()].concat();
            CString::new(pair).map_err(|_| LaunchError::ZeroByte)
        })
        .collect()
}
