//! A software TPM (`swtpm`) with a certificate by an authority of its own: the embedded default, without
//! hardware trust, and labelled so wherever it shows.
//!
//! Each start is a power-up: the PCRs begin at zero, the keys stay. The process dies with its parent.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::config::Connection;
use crate::device::Device;
use crate::error::TpmError;

/// A software TPM that doesn't answer for this long is given up.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Pairs of ports that are tried.
const PORT_TRIES: usize = 8;
/// The file of authorities below the state directory.
const AUTHORITIES: &str = "authorities.pem";

/// A software TPM that runs. Dropping it stops it.
#[derive(Debug)]
pub struct Emulated {
    process: Option<Child>,
    port: u16,
    state: PathBuf,
}

impl Emulated {
    /// Powers up the software TPM whose state is below `state` (an absolute path); makes it first when
    /// there is none, with an EK certificate by an authority below the same directory.
    pub fn start(state: &Path) -> Result<Self, TpmError> {
        if !state.is_absolute() {
            return Err(failed("its state directory must be an absolute path", None));
        }
        path_text(state)?;
        let directory = state.join("state");
        // The seeds of all keys lie there.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|source| TpmError::File {
                path: directory.clone(),
                source,
            })?;
        let emulated = power_up(state, &directory)?;
        emulated.certify_ek()?;
        Ok(emulated)
    }

    /// Where it is reached.
    pub const fn connection(&self) -> Connection {
        Connection::Emulated(self.port)
    }

    /// The authorities that vouch for it, in PEM: to be configured as *emulated* trust.
    pub fn authorities(&self) -> PathBuf {
        authorities(&self.state)
    }

    /// Lets it run on after this value is gone, until the process that started it ends.
    pub fn detach(mut self) {
        self.process = None;
    }

    /// Gives the EK a certificate, once. The certificate is complete on disk before the TPM gets it, so a
    /// process that was killed half-way is continued at the next start.
    fn certify_ek(&self) -> Result<(), TpmError> {
        let mut device = Device::open(&self.connection())?;
        let certificate = match fs::read(certificate(&self.state)) {
            Ok(certificate) => certificate,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                issue(&self.state, &device.ek_point()?)?
            }
            Err(source) => {
                return Err(TpmError::File {
                    path: certificate(&self.state),
                    source,
                });
            }
        };
        // An index that was defined and not, or not wholly, written can't be read or holds other bytes.
        match device.ek_certificate() {
            Ok(Some(stored)) if stored == certificate => Ok(()),
            _ => device.store_ek_certificate(&certificate),
        }
    }
}

impl Drop for Emulated {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _gone = process.kill();
            let _reaped = process.wait();
        }
    }
}

/// The authorities file of a state directory; exists once the TPM has been started.
pub fn authorities(state: &Path) -> PathBuf {
    state.join("ca").join(AUTHORITIES)
}

/// `swtpm` wants two ports that follow each other, and binds them itself: another process may be faster,
/// so it is tried a few times. A state directory in use (a predecessor that is still dying) is retried too.
fn power_up(state: &Path, directory: &Path) -> Result<Emulated, TpmError> {
    let mut last = failed("no pair of free ports", None);
    for _ in 0..PORT_TRIES {
        let Some(port) = free_pair() else { continue };
        match try_power_up(state, directory, port) {
            Ok(emulated) => return Ok(emulated),
            Err(error) => last = error,
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    Err(last)
}

fn try_power_up(state: &Path, directory: &Path, port: u16) -> Result<Emulated, TpmError> {
    let log = state.join("swtpm.log");
    // `setpriv` ties its life to ours: a killed server leaves no TPM behind with PCRs of another life.
    let process = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "swtpm", "socket", "--tpm2"])
        .arg("--tpmstate")
        .arg(argument("dir=", directory, ",mode=0600"))
        .arg("--server")
        .arg(format!("type=tcp,port={port},bindaddr=127.0.0.1"))
        .arg("--ctrl")
        .arg(format!(
            "type=tcp,port={},bindaddr=127.0.0.1",
            port.saturating_add(1)
        ))
        .arg("--log")
        .arg(argument("file=", &log, ",level=1"))
        .args(["--flags", "not-need-init,startup-clear"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| failed("setpriv (util-linux) can't be started", Some(source)))?;
    let mut emulated = Emulated {
        process: Some(process),
        port,
        state: state.to_owned(),
    };
    emulated.wait_until_ready()?;
    Ok(emulated)
}

impl Emulated {
    fn wait_until_ready(&mut self) -> Result<(), TpmError> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let status = self.process.as_mut().map(Child::try_wait);
            if let Some(Ok(Some(status))) = status {
                let log = self.state.join("swtpm.log");
                let what = format!("swtpm ended with {status}, see \"{}\"", log.display());
                return Err(failed(what, None));
            }
            // The control port: the command port serves one client at a time.
            let control = (Ipv4Addr::LOCALHOST, self.port.saturating_add(1));
            if TcpStream::connect(control).is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(failed("swtpm does not answer", None));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn free_pair() -> Option<u16> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    let port = first.local_addr().ok()?.port();
    let next = port.checked_add(1)?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, next)).ok()?;
    Some(port)
}

/// Has an authority made for this one TPM issue a certificate for the EK. Everything is made in a folder
/// beside, which then takes its name: half an authority is never seen.
fn issue(state: &Path, ek: &[u8; 65]) -> Result<Vec<u8>, TpmError> {
    let ca = state.join("ca.new");
    let file = |path: &Path, source| TpmError::File {
        path: path.to_owned(),
        source,
    };
    match fs::remove_dir_all(&ca) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(file(&ca, source)),
        _ => fs::create_dir(&ca).map_err(|source| file(&ca, source))?,
    }
    run_localca(&ca, ek)?;

    // The issuer first: it is the anchor that the EK certificate names.
    let mut bundle = Vec::new();
    for name in ["issuercert.pem", "swtpm-localca-rootca-cert.pem"] {
        let path = ca.join(name);
        bundle.extend(fs::read(&path).map_err(|source| file(&path, source))?);
    }
    let path = ca.join(AUTHORITIES);
    fs::write(&path, bundle).map_err(|source| file(&path, source))?;
    // The authority has done its work: nobody shall certify another TPM with it.
    for name in ["signkey.pem", "swtpm-localca-rootca-privkey.pem"] {
        let path = ca.join(name);
        fs::remove_file(&path).map_err(|source| file(&path, source))?;
    }
    let made = state.join("ca");
    fs::rename(&ca, &made).map_err(|source| file(&made, source))?;
    let path = certificate(state);
    fs::read(&path).map_err(|source| file(&path, source))
}

fn run_localca(ca: &Path, ek: &[u8; 65]) -> Result<(), TpmError> {
    let write = |name: &str, contents: String| {
        let path = ca.join(name);
        fs::write(&path, contents).map_err(|source| TpmError::File {
            path: path.clone(),
            source,
        })?;
        Ok::<_, TpmError>(path)
    };
    let text = path_text(ca)?;
    let settings = format!(
        "statedir = {text}\nsigningkey = {text}/signkey.pem\nissuercert = {text}/issuercert.pem\n\
         certserial = {text}/certserial\n"
    );
    let configuration = write("localca.conf", settings)?;
    let options = write("localca.options", String::new())?;
    let (x, y) = hex_coordinates(ek);
    let output = Command::new("swtpm_localca")
        .args([
            "--type",
            "ek",
            "--ek",
            &format!("x={x},y={y},id=secp256r1"),
            "--tpm2",
        ])
        .arg("--dir")
        .arg(ca)
        .args([
            "--vmid",
            "kekkai-emulated",
            "--tpm-spec-family",
            "2.0",
            "--tpm-spec-level",
            "0",
        ])
        .args([
            "--tpm-spec-revision",
            "164",
            "--tpm-manufacturer",
            "id:00001014",
        ])
        .args(["--tpm-model", "swtpm", "--tpm-version", "id:20191023"])
        .arg("--configfile")
        .arg(&configuration)
        .arg("--optsfile")
        .arg(&options)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| failed("swtpm_localca (swtpm-tools) can't be started", Some(source)))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(failed(
        format!("swtpm_localca ended with {}: {said}", output.status),
        None,
    ))
}

fn certificate(state: &Path) -> PathBuf {
    state.join("ca").join("ek.cert")
}

fn hex_coordinates(sec1: &[u8; 65]) -> (String, String) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let (_, rest) = sec1.split_at(1);
    let (x, y) = rest.split_at(32);
    (hex(x), hex(y))
}

/// `swtpm`'s options are lists separated by commas: a path with one in it would be something else.
fn path_text(path: &Path) -> Result<&str, TpmError> {
    path.to_str()
        .filter(|text| !text.contains([',', '\n']))
        .ok_or_else(|| {
            failed(
                "its state directory's name holds a comma or is not UTF-8",
                None,
            )
        })
}

fn argument(before: &str, path: &Path, after: &str) -> std::ffi::OsString {
    let mut text = std::ffi::OsString::from(before);
    text.push(path);
    text.push(after);
    text
}

fn failed(what: impl Into<String>, source: Option<io::Error>) -> TpmError {
    TpmError::Emulation {
        what: what.into(),
        source,
    }
}
