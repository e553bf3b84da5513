//! The SSH door: stock `ssh` in, a text console out; `kekkai-vdi` in, a screen out; and nothing else.

mod auth;
mod commands;
mod connection;
mod editor;
mod handler;
mod in_band;
mod input;
mod jobs;
mod programs;
mod screen;
mod shell;
pub mod text;

use std::collections::HashMap;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kekkai_policy_api::EndReason;
use russh::keys::{Algorithm, EcdsaCurve, PrivateKey};
use russh::server::Config as SshConfig;
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::gateway::{Chain, Gateway};
use connection::Connection;
use handler::Door;

/// Bytes of one connection that are on their way in, at most, a channel.
const WINDOW_BYTES: u32 = 64 * 1024;
/// The largest packet.
const PACKET_BYTES_MAX: u32 = 32 * 1024;
/// New keys after this many bytes (RFC 4344 asks for no more than 2³² blocks).
const REKEY_BYTES: usize = 256 * 1024 * 1024;
/// New keys after this long.
const REKEY_AFTER: Duration = Duration::from_secs(1800);
/// Between being told to leave and being cut off.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);
/// Every refused authentication takes at least this long.
const REJECTION_TIME: Duration = Duration::from_millis(800);

/// The host key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// Not there, or not an OpenSSH private key without a passphrase.
    #[error("the host key \"{0}\" is not an OpenSSH private key without a passphrase")]
    Unreadable(String),
    /// Another algorithm.
    #[error("the host key \"{0}\" is not an Ed25519 key")]
    NotEd25519(String),
}

/// Reads the host key.
pub fn read_host_key(path: &Path) -> Result<PrivateKey, HostKeyError> {
    let name = path.display().to_string();
    let key =
        PrivateKey::read_openssh_file(path).map_err(|_| HostKeyError::Unreadable(name.clone()))?;
    if key.is_encrypted() {
        return Err(HostKeyError::Unreadable(name));
    }
    if key.algorithm() != Algorithm::Ed25519 {
        return Err(HostKeyError::NotEd25519(name));
    }
    Ok(key)
}

/// Written out, so that an update of the library adds nothing: hybrid post-quantum first, AES-GCM
/// first (CRYPTREC), no SHA-1, no RSA, no finite-field groups. The strict key exchange names are the
/// answer to Terrapin (CVE-2023-48795).
fn preferred() -> Preferred {
    Preferred {
        kex: vec![
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::CURVE25519_PRE_RFC_8731,
            kex::EXTENSION_SUPPORT_AS_SERVER,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
        ]
        .into(),
        // `sk-` algorithms are offered so that such a key reaches our own, recorded, refusal.
        key: vec![
            Algorithm::Ed25519,
            Algorithm::Ecdsa {
                curve: EcdsaCurve::NistP256,
            },
            Algorithm::Ecdsa {
                curve: EcdsaCurve::NistP384,
            },
            Algorithm::Ecdsa {
                curve: EcdsaCurve::NistP521,
            },
            Algorithm::SkEd25519,
            Algorithm::SkEcdsaSha2NistP256,
        ]
        .into(),
        host_key_certificates: Vec::new().into(),
        // One, and an AEAD: among several the client's order decides.
        cipher: vec![cipher::AES_256_GCM].into(),
        // Negotiated, and unused beside an AEAD.
        mac: vec![mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM].into(),
        // Compression before sign-in is a needless parser; after it, a length oracle.
        compression: vec![compression::NONE].into(),
    }
}

fn ssh_config(gateway: &Gateway, host_key: PrivateKey) -> SshConfig {
    let limits = &gateway.config.limits;
    SshConfig {
        server_id: SshId::Standard("SSH-2.0-Kekkai".into()),
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        auth_rejection_time: REJECTION_TIME,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key],
        certificates: Vec::new(),
        limits: russh::Limits::new(REKEY_BYTES, REKEY_BYTES, REKEY_AFTER),
        window_size: WINDOW_BYTES,
        maximum_packet_size: PACKET_BYTES_MAX,
        channel_buffer_size: 16,
        event_buffer_size: 16,
        preferred: preferred(),
        max_auth_attempts: usize::try_from(limits.auth_attempts_max).unwrap_or(1),
        inactivity_timeout: Some(Duration::from_secs(3600)),
        keepalive_interval: None,
        keepalive_max: 0,
        nodelay: true,
    }
}

/// Connections that are not signed in, by address.
#[derive(Default)]
struct Waiting(Mutex<HashMap<IpAddr, u32>>);

/// A place among them, given back when dropped.
struct Place(Arc<Waiting>, IpAddr);

impl Waiting {
    fn enter(self: &Arc<Self>, address: IpAddr, max: u32, per_address_max: u32) -> Option<Place> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: u32 = map.values().sum();
        let count = map.entry(address).or_insert(0);
        if all >= max || *count >= per_address_max {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Place(self.clone(), address))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut map = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = map.get_mut(&self.1) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                map.remove(&self.1);
            }
        }
    }
}

/// Serves until `stop` says true, then tells everybody to leave.
pub async fn serve(
    gateway: Arc<Gateway>,
    listener: TcpListener,
    host_key: PrivateKey,
    mut stop: watch::Receiver<bool>,
) {
    let config = Arc::new(ssh_config(&gateway, host_key));
    let waiting = Arc::new(Waiting::default());
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = crate::start::stopped(&mut stop) => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let limits = &gateway.config.limits;
        let place = waiting.enter(
            address.ip(),
            limits.unauthenticated_max,
            limits.unauthenticated_per_address_max,
        );
        let Some(place) = place else {
            tracing::warn!("too many connections that are not signed in: one dropped");
            continue;
        };
        let (gateway, config, stop) = (gateway.clone(), config.clone(), stop.clone());
        connections.spawn(async move {
            serve_one(gateway, config, stream, address, place, stop).await;
        });
    }
    drop(listener);
    let drain = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(kekkai_service::drain::DRAIN_LIMIT, drain).await;
}

async fn serve_one(
    gateway: Arc<Gateway>,
    config: Arc<SshConfig>,
    stream: TcpStream,
    address: SocketAddr,
    place: Place,
    mut stop: watch::Receiver<bool>,
) {
    // A second handle to the socket: the library's task can't be cancelled from outside.
    let (stream, killer) = match split(stream) {
        Ok(both) => both,
        Err(error) => {
            tracing::warn!(%error, "connection unusable");
            return;
        }
    };
    let connection = Arc::new(Connection::new(gateway.clone(), address.ip().to_string()));
    let door = Door::new(connection.clone());
    let grace = Duration::from_secs(gateway.config.limits.login_grace_s.into());
    let deadline = tokio::time::Instant::now() + grace;

    let started =
        tokio::time::timeout_at(deadline, russh::server::run_stream(config, stream, door));
    let mut running = match started.await {
        Ok(Ok(running)) => running,
        Ok(Err(error)) => {
            tracing::debug!(error = %Chain(&error), "no SSH");
            return;
        }
        Err(_) => {
            let _ = killer.shutdown(Shutdown::Both);
            return;
        }
    };
    let handle = running.handle();
    connection.set_handle(handle.clone());

    // Not signed in yet.
    let is_over = tokio::select! {
        result = &mut running => Some(result),
        () = connection.signed_in() => None,
        () = tokio::time::sleep_until(deadline) => {
            connection.leave(text::GRACE_OVER).await;
            let _ = tokio::time::timeout(LEAVE_LIMIT, &mut running).await;
            Some(Ok(()))
        }
        () = crate::start::stopped(&mut stop) => Some(Ok(())),
    };
    drop(place);

    // Signed in: until the client leaves, the session ends, or nobody uses the connection.
    let result = match is_over {
        Some(result) => result,
        None => tokio::select! {
            result = &mut running => result,
            () = connection.watch() => {
                let _ = tokio::time::timeout(LEAVE_LIMIT, &mut running).await;
                Ok(())
            }
            () = crate::start::stopped(&mut stop) => {
                connection.end(EndReason::Disconnected).await;
                connection.leave(text::STOPPING).await;
                let _ = tokio::time::timeout(LEAVE_LIMIT, &mut running).await;
                Ok(())
            }
        },
    };
    if let Err(error) = result {
        tracing::debug!(error = %Chain(&error), "connection ended");
    }
    let _ = killer.shutdown(Shutdown::Both);
    connection.close().await;
}

fn split(stream: TcpStream) -> std::io::Result<(TcpStream, std::net::TcpStream)> {
    // Not by SSH: a question of the library's goes out before sign-in too, and OpenSSH hangs up on it
    // (message 80) while the person still looks for their token.
    crate::tcp::keep_alive(&stream)?;
    let stream = stream.into_std()?;
    let killer = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, killer))
}
