//! To the gateway's door: TCP, then SSH with the pinned host key.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKeyOrCertificate};
use russh::{Disconnect, Preferred, SshId, cipher, compression, kex, mac};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Refusal;
use crate::config::{Config, Pin};

/// From calling to the first answer.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// From the first answer to agreed keys.
const KEYS_MAX: Duration = Duration::from_secs(20);
/// From saying goodbye to hanging up.
const GOODBYE_MAX: Duration = Duration::from_secs(2);
/// The gateway's host is asked whether it is there when nothing came for so long. By TCP, so that a session
/// at rest sends no message.
const KEEPALIVE_TIME: Duration = Duration::from_secs(15);
/// Between such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// So many without an answer, or unacknowledged bytes for as long: the line is cut.
const KEEPALIVE_MAX: u32 = 3;
/// Bytes on their way to this client, at most: a few frames.
const WINDOW_BYTES: u32 = 2 * 1024 * 1024;
/// New keys after this many bytes or this long, as the gateway does.
const REKEY_BYTES: usize = 256 * 1024 * 1024;
const REKEY_AFTER: Duration = Duration::from_secs(1800);

pub(super) type Session = Handle<Door>;

/// Looks at the gateway's key, and takes nothing else from it but what was asked for.
pub(super) struct Door {
    pins: Vec<Pin>,
    /// The fingerprint of a key that is not pinned.
    foreign: Arc<OnceLock<String>>,
}

impl client::Handler for Door {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let shown = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                if self.pins.iter().any(|pin| pin.is_of(key)) {
                    return Ok(true);
                }
                key.fingerprint(HashAlg::Sha256).to_string()
            }
            // No authority is trusted here, so that a certificate says nothing.
            PublicKeyOrCertificate::Certificate(_) => "certificate".to_owned(),
        };
        let _ = self.foreign.set(shown);
        Ok(false)
    }
}

/// The gateway's own list, written out for the same reason.
fn preferred() -> Preferred {
    Preferred {
        kex: vec![
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::EXTENSION_SUPPORT_AS_CLIENT,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
        ]
        .into(),
        key: vec![
            Algorithm::Ed25519,
            Algorithm::Ecdsa {
                curve: EcdsaCurve::NistP256,
            },
        ]
        .into(),
        host_key_certificates: Vec::new().into(),
        cipher: vec![cipher::AES_256_GCM].into(),
        mac: vec![mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM].into(),
        compression: vec![compression::NONE].into(),
    }
}

pub(super) async fn connect(config: &Config) -> Result<Session, Refusal> {
    let stream = timeout(CONNECT_MAX, TcpStream::connect(&config.address))
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(Refusal::Unreachable)?;
    watch(&stream).map_err(Refusal::Unreachable)?;
    let foreign = Arc::new(OnceLock::new());
    let door = Door {
        pins: config.host_keys.clone(),
        foreign: foreign.clone(),
    };
    let ssh = client::Config {
        client_id: SshId::Standard("SSH-2.0-kekkai-vdi".into()),
        limits: russh::Limits::new(REKEY_BYTES, REKEY_BYTES, REKEY_AFTER),
        window_size: WINDOW_BYTES,
        preferred: preferred(),
        nodelay: true,
        ..client::Config::default()
    };
    let connected = timeout(
        KEYS_MAX,
        client::connect_stream(Arc::new(ssh), stream, door),
    )
    .await;
    match (connected, foreign.get()) {
        (_, Some(shown)) => Err(Refusal::HostKey(shown.clone())),
        (Ok(Ok(session)), None) => Ok(session),
        (Ok(Err(error)), None) => Err(Refusal::Broken(error.to_string())),
        (Err(_), None) => Err(Refusal::TooSlow),
    }
}

/// Notices a cut line within about half a minute, also while something waits to be sent.
fn watch(stream: &TcpStream) -> std::io::Result<()> {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_TIME)
        .with_interval(KEEPALIVE_INTERVAL);
    #[cfg(not(windows))]
    let keepalive = keepalive.with_retries(KEEPALIVE_MAX);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(KEEPALIVE_TIME + KEEPALIVE_INTERVAL * KEEPALIVE_MAX))?;
    #[cfg(windows)]
    let _ = KEEPALIVE_MAX;
    Ok(())
}

pub(super) async fn hang_up(session: &Session) {
    let goodbye = session.disconnect(Disconnect::ByApplication, "", "");
    // A gateway that is gone hears no goodbye.
    let _ = timeout(GOODBYE_MAX, goodbye).await;
}
