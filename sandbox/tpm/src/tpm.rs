//! The handle that the rest of a server holds: commands go by channel to the one thread that owns the
//! TPM, since a TPM does one thing at a time.

use std::collections::BTreeMap;

use kekkai_attest::{EnrolmentRequest, Evidence, Measurement, ReferenceValues, replay};
use kekkai_types::{Digest, KeyText, ServerId, WrappedKey};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use crate::config::Connection;
use crate::device::Device;
use crate::error::TpmError;

/// Commands that may wait for the TPM; more callers wait before they queue.
pub const COMMAND_QUEUE_MAX: usize = 64;

type Command = Box<dyn FnOnce(&mut Device) + Send>;

/// A TPM. Cloning shares it; the last clone closes it.
#[derive(Clone)]
pub struct Tpm {
    commands: mpsc::Sender<Command>,
    policy_key: [u8; 65],
    is_emulated: bool,
}

impl std::fmt::Debug for Tpm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tpm")
            .field("is_emulated", &self.is_emulated)
            .finish_non_exhaustive()
    }
}

impl Tpm {
    /// Connects, and starts the thread that owns the connection. `policy_key` is the deployment's PCR
    /// policy key, SEC 1 uncompressed. Blocks until the TPM answers.
    pub fn open(connection: &Connection, policy_key: &[u8; 65]) -> Result<Self, TpmError> {
        let (commands, mut queue) = mpsc::channel::<Command>(COMMAND_QUEUE_MAX);
        let (opened, is_open) = std::sync::mpsc::sync_channel(1);
        let is_emulated = connection.is_emulated();
        let connection = connection.clone();
        let run = move || {
            // The ESAPI context is made where it is used and dropped there.
            let mut device = match Device::open(&connection) {
                Ok(device) => device,
                Err(error) => return drop(opened.send(Err(error))),
            };
            if opened.send(Ok(())).is_err() {
                return;
            }
            while let Some(command) = queue.blocking_recv() {
                command(&mut device);
            }
        };
        std::thread::Builder::new()
            .name("tpm".to_owned())
            .spawn(run)
            .map_err(|_| TpmError::Closed)?;
        is_open.recv().map_err(|_| TpmError::Closed)??;
        Ok(Self {
            commands,
            policy_key: *policy_key,
            is_emulated,
        })
    }

    /// Whether what this TPM attests carries no hardware trust.
    pub const fn is_emulated(&self) -> bool {
        self.is_emulated
    }

    /// What the policy service needs to begin an enrolment.
    pub async fn enrolment_request(&self, server: &ServerId) -> Result<EnrolmentRequest, TpmError> {
        let (server, policy_key) = (server.clone(), self.policy_key);
        self.run(move |device| device.enrolment_request(&server, &policy_key))
            .await
    }

    /// Opens the policy service's challenge (both base64); the credential itself, not base64.
    pub async fn activate(
        &self,
        credential_blob: &str,
        secret: &str,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let (blob, secret) = (credential_blob.to_owned(), secret.to_owned());
        self.run(move |device| device.activate(&blob, &secret))
            .await
    }

    /// Quotes PCRs 0 to 7 and 11 to 13 over `qualifying`.
    pub async fn quote(
        &self,
        qualifying: Digest,
        event_log: &[Measurement],
    ) -> Result<Evidence, TpmError> {
        let event_log = event_log.to_vec();
        self.run(move |device| device.quote(&qualifying, &event_log))
            .await
    }

    /// Opens a wrapped dataset key. The TPM refuses unless the reference values are signed by the PCR
    /// policy key and its PCRs are theirs at this moment.
    pub async fn unwrap(
        &self,
        wrapped: &WrappedKey,
        reference: &ReferenceValues,
    ) -> Result<KeyText, TpmError> {
        let (wrapped, reference) = (wrapped.clone(), reference.clone());
        let policy_key = self.policy_key;
        self.run(move |device| device.unwrap(&wrapped, &reference, &policy_key))
            .await
    }

    /// Extends the PCR of a measurement by its digest.
    pub async fn extend(&self, measurement: &Measurement) -> Result<(), TpmError> {
        let measurement = measurement.clone();
        self.run(move |device| device.extend(&measurement)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Device) -> Result<T, TpmError> + Send + 'static,
    ) -> Result<T, TpmError> {
        let (reply, answer) = oneshot::channel();
        let command: Command = Box::new(move |device| {
            // A caller that gave up needs no answer; what was loaded is flushed all the same.
            let _caller_left = reply.send(job(device));
        });
        self.commands
            .send(command)
            .await
            .map_err(|_| TpmError::Closed)?;
        answer.await.map_err(|_| TpmError::Closed)?
    }
}

/// Brings PCRs 11 to 13 to what these measurements make of them, without an async runtime: for
/// `kekkai-measure`.
///
/// A hardware TPM keeps its PCRs until the machine restarts. A PCR that already has the right value, since
/// the same service was started before, is left alone; one that has any other value can't be made
/// right any more, and nothing may be executed.
pub fn extend_all(connection: &Connection, measurements: &[Measurement]) -> Result<(), TpmError> {
    let mut device = Device::open(connection)?;
    let current = device.read_pcrs()?;
    for (pcr, expected) in replay(measurements) {
        let value = current
            .iter()
            .find(|shown| shown.index == pcr)
            .map(|shown| shown.value);
        if value == Some(expected) {
            continue;
        }
        if value != Some(Digest::from_bytes([0; 32])) {
            return Err(TpmError::AlreadyMeasured(pcr));
        }
        for measurement in measurements.iter().filter(|one| one.kind.pcr() == pcr) {
            device.extend(measurement)?;
        }
    }
    Ok(())
}

/// PCRs 0 to 7: firmware, boot loader and their configuration, as they are now. For the reference values
/// of a machine with measured boot, where firmware measures `kekkai-measure` too.
pub fn firmware(connection: &Connection) -> Result<BTreeMap<u32, Digest>, TpmError> {
    let pcrs = Device::open(connection)?.read_pcrs()?;
    Ok(pcrs
        .into_iter()
        .filter(|pcr| pcr.index < 8)
        .map(|pcr| (pcr.index, pcr.value))
        .collect())
}
