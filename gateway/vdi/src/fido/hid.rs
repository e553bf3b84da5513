//! Reports: 64 bytes each way, over a device file or a Unix socket.
//!
//! A hidraw file takes a report with its number, 0, before it, and gives it without. A Unix socket (a bridge
//! to another machine's port, an emulator in tests) carries the same bytes in a stream.

use std::path::{Path, PathBuf};

use super::FidoError;

/// A report's length, in bytes. All FIDO devices use full-speed USB's.
pub const REPORT_BYTES: usize = 64;

/// One report.
pub type Report = [u8; REPORT_BYTES];

/// Finds the first FIDO device of this machine.
///
/// # Errors
/// There is none.
#[cfg(target_os = "linux")]
pub fn find() -> Result<PathBuf, FidoError> {
    find_in(Path::new("/sys/class/hidraw"), Path::new("/dev"))
}

/// Finds the first FIDO device of this machine.
///
/// # Errors
/// Always: see the module.
#[cfg(not(target_os = "linux"))]
pub fn find() -> Result<PathBuf, FidoError> {
    Err(FidoError::Platform)
}

/// The same, of another tree than `/sys` and `/dev`.
///
/// # Errors
/// There is none.
pub fn find_in(class: &Path, dev: &Path) -> Result<PathBuf, FidoError> {
    let entries = std::fs::read_dir(class).map_err(|_| FidoError::NoDevice)?;
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    names
        .into_iter()
        .find(|name| {
            std::fs::read(class.join(name).join("device/report_descriptor"))
                .is_ok_and(|descriptor| is_fido(&descriptor))
        })
        .map(|name| dev.join(name))
        .ok_or(FidoError::NoDevice)
}

/// Whether a report descriptor (HID 1.11 §6.2.2) names the usage page of FIDO, 0xF1D0.
fn is_fido(mut descriptor: &[u8]) -> bool {
    const USAGE_PAGE: u8 = 0x04;
    const LONG_ITEM: u8 = 0xfe;
    while let Some((&prefix, rest)) = descriptor.split_first() {
        if prefix == LONG_ITEM {
            // Its length stands behind it, then a tag.
            let Some((&length, rest)) = rest.split_first() else {
                return false;
            };
            descriptor = rest.get(1 + usize::from(length)..).unwrap_or_default();
            continue;
        }
        let length = match prefix & 0x03 {
            3 => 4,
            length => usize::from(length),
        };
        let Some((data, rest)) = rest.split_at_checked(length) else {
            return false;
        };
        let value = data
            .iter()
            .rev()
            .fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        if prefix & 0xfc == USAGE_PAGE && value == 0xf1d0 {
            return true;
        }
        descriptor = rest;
    }
    false
}

#[cfg(unix)]
pub use unix::Reports;

#[cfg(unix)]
mod unix {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};

    use tokio::io::unix::AsyncFd;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    use super::{FidoError, Path, REPORT_BYTES, Report};

    /// `O_NONBLOCK`, which the standard library doesn't name.
    #[cfg(target_os = "linux")]
    const NONBLOCK: i32 = 0o4000;
    #[cfg(not(target_os = "linux"))]
    const NONBLOCK: i32 = 0x4;

    /// An open device.
    #[derive(Debug)]
    pub struct Reports {
        device: String,
        carrier: Carrier,
    }

    #[derive(Debug)]
    enum Carrier {
        Hidraw(AsyncFd<std::fs::File>),
        Socket(UnixStream),
    }

    impl Reports {
        /// Opens a device file or connects to a socket.
        ///
        /// # Errors
        /// It can't be opened.
        pub async fn open(path: &Path) -> Result<Self, FidoError> {
            let device = path.display().to_string();
            let open = async {
                if std::fs::metadata(path)?.file_type().is_socket() {
                    return Ok(Carrier::Socket(UnixStream::connect(path).await?));
                }
                let file = std::fs::OpenOptions::new()
                    .read(true)
                    .write(true)
                    .custom_flags(NONBLOCK)
                    .open(path)?;
                #[allow(
                    deprecated,
                    reason = "unsound only for types that change their descriptor; a file doesn't"
                )]
                Ok(Carrier::Hidraw(AsyncFd::new(file)?))
            };
            match open.await {
                Ok(carrier) => Ok(Self { device, carrier }),
                Err(source) => Err(FidoError::Device { device, source }),
            }
        }

        fn failed(&self, source: std::io::Error) -> FidoError {
            FidoError::Device {
                device: self.device.clone(),
                source,
            }
        }

        /// Sends a report.
        ///
        /// # Errors
        /// The device is gone.
        pub async fn write(&mut self, report: &Report) -> Result<(), FidoError> {
            let mut numbered = [0; REPORT_BYTES + 1];
            if let Some(body) = numbered.get_mut(1..) {
                body.copy_from_slice(report);
            }
            let written = match &mut self.carrier {
                Carrier::Socket(stream) => stream.write_all(&numbered).await,
                Carrier::Hidraw(file) => loop {
                    let mut guard = match file.writable_mut().await {
                        Ok(guard) => guard,
                        Err(source) => break Err(source),
                    };
                    let Ok(result) = guard.try_io(|file| file.get_mut().write(&numbered)) else {
                        continue;
                    };
                    break match result {
                        Ok(length) if length == numbered.len() => Ok(()),
                        Ok(_) => Err(std::io::ErrorKind::WriteZero.into()),
                        Err(source) => Err(source),
                    };
                },
            };
            written.map_err(|source| self.failed(source))
        }

        /// Waits for a report. Can be dropped between reports without losing one from a device; a socket
        /// may then be within one, so that whoever gives up on a socket closes it.
        ///
        /// # Errors
        /// The device is gone.
        pub async fn read(&mut self) -> Result<Report, FidoError> {
            let mut report = [0; REPORT_BYTES];
            let read = match &mut self.carrier {
                Carrier::Socket(stream) => stream.read_exact(&mut report).await,
                Carrier::Hidraw(file) => loop {
                    let mut guard = match file.readable_mut().await {
                        Ok(guard) => guard,
                        Err(source) => break Err(source),
                    };
                    let Ok(result) = guard.try_io(|file| file.get_mut().read(&mut report)) else {
                        continue;
                    };
                    break match result {
                        Ok(length) if length == REPORT_BYTES => Ok(length),
                        Ok(_) => Err(std::io::ErrorKind::UnexpectedEof.into()),
                        Err(source) => Err(source),
                    };
                },
            };
            match read {
                Ok(_) => Ok(report),
                Err(source) => Err(self.failed(source)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIDO's own example descriptor (CTAP 2.1 §11.2.8.1).
    const FIDO: &[u8] = &[
        0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x20, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75,
        0x08, 0x95, 0x40, 0x81, 0x02, 0x09, 0x21, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95,
        0x40, 0x91, 0x02, 0xc0,
    ];
    const MOUSE: &[u8] = &[
        0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00, 0xc0, 0xc0,
    ];

    #[test]
    fn only_a_fido_device_is_found() {
        let tree = tempfile::tempdir().unwrap();
        let class = tree.path();
        assert!(matches!(
            find_in(class, Path::new("/dev")),
            Err(FidoError::NoDevice)
        ));
        // The bytes of the page as data of another item are not the page.
        let decoy = [0x26, 0xd0, 0xf1, 0x05, 0x01];
        for (name, descriptor) in [
            ("hidraw0", MOUSE),
            ("hidraw1", &decoy[..]),
            ("hidraw2", &FIDO[..2]),
            ("hidraw3", FIDO),
        ] {
            let device = class.join(name).join("device");
            std::fs::create_dir_all(&device).unwrap();
            std::fs::write(device.join("report_descriptor"), descriptor).unwrap();
        }
        let found = find_in(class, Path::new("/dev")).unwrap();
        assert_eq!(found, Path::new("/dev/hidraw3"));
    }
}
