//! The device's side of CTAPHID and CTAP2, written apart from the client's so that one checks the other.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use ciborium::Value;
use kekkai_authenticator::Authenticator;

const REPORT: usize = 64;
const INIT: u8 = 0x86;
const CBOR: u8 = 0x90;
const CANCEL: u8 = 0x91;
const KEEPALIVE: u8 = 0xbb;
const ERROR: u8 = 0xbf;
const BROADCAST: [u8; 4] = [0xff; 4];
const OUR_CHANNEL: [u8; 4] = [0, 0, 0x4b, 0x4b];

/// What the person at the sensor, or the device, does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(dead_code, reason = "the example's person always has the right finger")]
pub enum Finger {
    /// The enrolled one.
    #[default]
    Right,
    /// Another one.
    Wrong,
    /// None, until the client gives up.
    None,
    /// None is enrolled.
    NotEnrolled,
    /// The device signs without having verified anybody.
    Skipped,
    /// The device dies after the question.
    Dead,
    /// The device answers with noise before its answer, on other channels too.
    Noisy,
}

/// What happened at the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "read by tests")]
pub enum Happened {
    /// A signature was made.
    Signed,
    /// The client gave up.
    Cancelled,
}

/// A running device.
#[derive(Debug)]
#[allow(dead_code, reason = "the example uses less of it than tests")]
pub struct Emulator {
    /// What it meets next.
    pub finger: Arc<Mutex<Finger>>,
    /// What happened, in order.
    pub happened: Arc<Mutex<Vec<Happened>>>,
    thread: JoinHandle<()>,
}

impl Emulator {
    /// Listens at a socket; the state is written after each signature where a file is given.
    pub fn start(socket: &Path, authenticator: Authenticator, state: Option<PathBuf>) -> Self {
        let listener = UnixListener::bind(socket).expect("the socket");
        let finger = Arc::new(Mutex::new(Finger::default()));
        let happened = Arc::new(Mutex::new(Vec::new()));
        let mut device = Device {
            authenticator,
            state,
            finger: finger.clone(),
            happened: happened.clone(),
        };
        let thread = std::thread::spawn(move || {
            // One client at a time, as on a port.
            for stream in listener.incoming().flatten() {
                // A client that hangs up is done.
                let _ = device.serve(stream);
            }
        });
        Self {
            finger,
            happened,
            thread,
        }
    }

    /// Runs until the process ends.
    #[allow(dead_code, reason = "tests end with their process")]
    pub fn join(self) {
        let _ = self.thread.join();
    }
}

struct Device {
    authenticator: Authenticator,
    state: Option<PathBuf>,
    finger: Arc<Mutex<Finger>>,
    happened: Arc<Mutex<Vec<Happened>>>,
}

impl Device {
    fn serve(&mut self, mut stream: UnixStream) -> std::io::Result<()> {
        loop {
            let (channel, command, message) = receive(&mut stream)?;
            match command {
                INIT => {
                    assert_eq!((channel, message.len()), (BROADCAST, 8), "CTAPHID_INIT");
                    let mut answer = message;
                    answer.extend(OUR_CHANNEL);
                    // Version 2 of CTAPHID, a device version, CBOR and no U2F.
                    answer.extend([2, 1, 0, 0, 0x04 | 0x08]);
                    if *self.finger.lock().unwrap() == Finger::Noisy {
                        // Another program's answer on the channel that all share.
                        send(&mut stream, BROADCAST, INIT, &[7; 17])?;
                    }
                    send(&mut stream, BROADCAST, INIT, &answer)?;
                }
                CBOR if channel == OUR_CHANNEL => {
                    let Some(answer) = self.cbor(&mut stream, &message)? else {
                        continue;
                    };
                    send(&mut stream, OUR_CHANNEL, CBOR, &answer)?;
                }
                CANCEL => {}
                _ => send(&mut stream, channel, ERROR, &[0x01])?,
            }
        }
    }

    fn cbor(
        &mut self,
        stream: &mut UnixStream,
        request: &[u8],
    ) -> std::io::Result<Option<Vec<u8>>> {
        let finger = *self.finger.lock().unwrap();
        let (command, body) = request.split_first().expect("a command");
        match command {
            0x04 => {
                let is_enrolled = finger != Finger::NotEnrolled;
                Ok(Some(encode(Value::Map(vec![
                    (1.into(), Value::Array(vec![Value::Text("FIDO_2_1".into())])),
                    (3.into(), Value::Bytes(vec![0; 16])),
                    (
                        4.into(),
                        Value::Map(vec![(Value::Text("uv".into()), Value::Bool(is_enrolled))]),
                    ),
                    (5.into(), 1200.into()),
                ]))))
            }
            0x02 => self.assertion(stream, finger, body),
            _ => Ok(Some(vec![0x01])),
        }
    }

    fn assertion(
        &mut self,
        stream: &mut UnixStream,
        finger: Finger,
        body: &[u8],
    ) -> std::io::Result<Option<Vec<u8>>> {
        let Ok(Value::Map(request)) = ciborium::from_reader(body) else {
            return Ok(Some(vec![0x12]));
        };
        let get = |key: i64| {
            let found = request
                .iter()
                .find(|(k, _)| k.as_integer() == Some(key.into()));
            found.map(|(_, value)| value.clone())
        };
        let rp_id = get(1).and_then(|v| v.into_text().ok()).expect("rpId");
        let hash = get(2).and_then(|v| v.into_bytes().ok()).expect("hash");
        assert_eq!(hash.len(), 32);
        let allowed: Vec<Vec<u8>> = get(3)
            .and_then(|v| v.into_array().ok())
            .expect("allowList")
            .into_iter()
            .map(|descriptor| {
                let descriptor = descriptor.into_map().expect("descriptor");
                let id = descriptor.iter().find(|(k, _)| k.as_text() == Some("id"));
                id.and_then(|(_, v)| v.as_bytes().cloned()).expect("id")
            })
            .collect();
        let is_uv_asked = get(5)
            .and_then(|v| v.into_map().ok())
            .is_some_and(|options| {
                let uv = options.iter().find(|(k, _)| k.as_text() == Some("uv"));
                uv.is_some_and(|(_, value)| value.as_bool() == Some(true))
            });
        if finger == Finger::Noisy {
            send(stream, [9, 9, 9, 9], CBOR, &[0; 200])?;
        }
        // A person takes a moment, and the device says meanwhile that it waits.
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(20));
            send(stream, OUR_CHANNEL, KEEPALIVE, &[2])?;
        }
        match finger {
            Finger::Wrong => return Ok(Some(vec![0x3f])),
            Finger::Dead => {
                stream.shutdown(std::net::Shutdown::Both)?;
                return Ok(None);
            }
            Finger::None => {
                return self.wait_for_cancel(stream);
            }
            Finger::Right | Finger::NotEnrolled | Finger::Skipped | Finger::Noisy => {}
        }
        self.authenticator.knobs.without_user_verification =
            !is_uv_asked || finger == Finger::Skipped;
        let allowed: Vec<&[u8]> = allowed.iter().map(Vec::as_slice).collect();
        let Ok(signed) = self.authenticator.get_assertion(&rp_id, &allowed, &hash) else {
            return Ok(Some(vec![0x2e]));
        };
        if let Some(state) = &self.state {
            self.authenticator.save(state).expect("the state");
        }
        self.happened.lock().unwrap().push(Happened::Signed);
        let text = |text: &str| Value::Text(text.into());
        Ok(Some(encode(Value::Map(vec![
            (
                1.into(),
                Value::Map(vec![
                    (text("id"), Value::Bytes(signed.credential)),
                    (text("type"), text("public-key")),
                ]),
            ),
            (2.into(), Value::Bytes(signed.auth_data)),
            (3.into(), Value::Bytes(signed.signature)),
            (
                4.into(),
                Value::Map(vec![(text("id"), Value::Bytes(signed.user_handle))]),
            ),
        ]))))
    }

    fn wait_for_cancel(&mut self, stream: &mut UnixStream) -> std::io::Result<Option<Vec<u8>>> {
        let mut writer = stream.try_clone()?;
        let is_over = Arc::new(Mutex::new(false));
        let over = is_over.clone();
        let alive = std::thread::spawn(move || {
            while !*over.lock().unwrap() {
                if send(&mut writer, OUR_CHANNEL, KEEPALIVE, &[2]).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let heard = receive(stream);
        *is_over.lock().unwrap() = true;
        alive.join().expect("the thread");
        let (channel, command, _) = heard?;
        assert_eq!((channel, command), (OUR_CHANNEL, CANCEL));
        self.happened.lock().unwrap().push(Happened::Cancelled);
        Ok(Some(vec![0x2d]))
    }
}

fn encode(value: Value) -> Vec<u8> {
    let mut bytes = vec![0];
    ciborium::into_writer(&value, &mut bytes).expect("a vector");
    bytes
}

fn receive(stream: &mut UnixStream) -> std::io::Result<([u8; 4], u8, Vec<u8>)> {
    let first = report(stream)?;
    let channel = [first[0], first[1], first[2], first[3]];
    assert!(first[4] & 0x80 != 0, "an initial report");
    let length = usize::from(first[5]) << 8 | usize::from(first[6]);
    let mut message = first[7..].to_vec();
    let mut sequence = 0;
    while message.len() < length {
        let next = report(stream)?;
        assert_eq!(
            (&next[..4], next[4]),
            (&channel[..], sequence),
            "a continuation"
        );
        message.extend_from_slice(&next[5..]);
        sequence += 1;
    }
    message.truncate(length);
    Ok((channel, first[4], message))
}

/// As hidraw takes it: the report's number, then the report.
fn report(stream: &mut UnixStream) -> std::io::Result<[u8; REPORT]> {
    let mut numbered = [0; REPORT + 1];
    stream.read_exact(&mut numbered)?;
    assert_eq!(numbered[0], 0, "the report's number");
    Ok(numbered[1..].try_into().expect("64 bytes"))
}

fn send(
    stream: &mut UnixStream,
    channel: [u8; 4],
    command: u8,
    message: &[u8],
) -> std::io::Result<()> {
    let mut rest = message;
    let mut header = channel.to_vec();
    header.push(command);
    let length = u16::try_from(message.len()).expect("a short message");
    header.extend(length.to_be_bytes());
    let mut sequence = 0;
    loop {
        let room = REPORT - header.len();
        let (part, after) = rest.split_at(room.min(rest.len()));
        let mut report = header;
        report.extend_from_slice(part);
        report.resize(REPORT, 0);
        stream.write_all(&report)?;
        if after.is_empty() {
            return Ok(());
        }
        rest = after;
        header = channel.to_vec();
        header.push(sequence);
        sequence += 1;
    }
}
