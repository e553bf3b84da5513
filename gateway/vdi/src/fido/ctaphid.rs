//! CTAPHID (CTAP 2.1 §11.2): messages out of reports, on a channel that the device gives.

use std::time::Duration;

use tokio::time::timeout;

use super::hid::{REPORT_BYTES, Report, Reports};
use super::{FidoError, Progress};

/// The longest message that CTAPHID can carry, in bytes: one initial report and 128 that continue it.
pub const MESSAGE_BYTES_MAX: usize = INITIAL_BYTES + 128 * CONTINUATION_BYTES;
/// An authenticator that says nothing for so long is gone: it sends a keep-alive every 100 ms.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// From asking to answering, a person's search for the right finger included.
const ANSWER_MAX: Duration = Duration::from_secs(90);
/// From giving up to the device's agreement.
const CANCELLED_MAX: Duration = Duration::from_secs(1);
/// Reports of other channels and stale messages that are passed over before the device counts as broken.
const STRAY_REPORTS_MAX: usize = 1024;

const INITIAL_BYTES: usize = REPORT_BYTES - 7;
const CONTINUATION_BYTES: usize = REPORT_BYTES - 5;
const BROADCAST: u32 = 0xffff_ffff;

/// The commands in use, with the bit that marks an initial report.
pub mod command {
    /// Takes a channel.
    pub const INIT: u8 = 0x86;
    /// A CTAP2 request.
    pub const CBOR: u8 = 0x90;
    /// Gives the request up.
    pub const CANCEL: u8 = 0x91;
    /// Still there.
    pub const KEEPALIVE: u8 = 0xbb;
    /// The request can't be taken.
    pub const ERROR: u8 = 0xbf;
}

/// The capability of CTAP2.
pub const CAPABILITY_CBOR: u8 = 0x04;
const ERROR_CHANNEL_BUSY: u8 = 0x06;
const KEEPALIVE_FINGER_NEEDED: u8 = 2;

/// Cuts a message into reports.
///
/// # Errors
/// It is longer than [`MESSAGE_BYTES_MAX`].
pub fn reports(channel: u32, command: u8, message: &[u8]) -> Result<Vec<Report>, FidoError> {
    const TOO_LONG: FidoError = FidoError::Request("it is longer than a CTAPHID message");
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(TOO_LONG);
    }
    let length = u16::try_from(message.len()).map_err(|_| TOO_LONG)?;
    let mut header = channel.to_be_bytes().to_vec();
    header.push(command);
    header.extend(length.to_be_bytes());
    let (first, rest) = message
        .split_at_checked(INITIAL_BYTES)
        .unwrap_or((message, &[]));
    let mut all = vec![report(&header, first)];
    for (sequence, part) in (0_u8..).zip(rest.chunks(CONTINUATION_BYTES)) {
        let mut header = channel.to_be_bytes().to_vec();
        header.push(sequence);
        all.push(report(&header, part));
    }
    Ok(all)
}

fn report(header: &[u8], body: &[u8]) -> Report {
    let mut report = [0; REPORT_BYTES];
    for (to, from) in report.iter_mut().zip(header.iter().chain(body)) {
        *to = *from;
    }
    report
}

/// Puts the reports of one channel together again.
#[derive(Debug)]
pub struct Assembler {
    channel: u32,
    command: u8,
    length: usize,
    next: u8,
    message: Vec<u8>,
}

/// What a report was.
#[derive(Debug, PartialEq, Eq)]
pub enum Assembled {
    /// Not of this channel, or not expected.
    Stray,
    /// More has to come.
    Part,
    /// The last of a message.
    Whole(u8, Vec<u8>),
}

impl Assembler {
    /// For a channel.
    pub fn new(channel: u32) -> Self {
        Self {
            channel,
            command: 0,
            length: 0,
            next: 0,
            message: Vec::new(),
        }
    }

    /// Takes a report.
    ///
    /// # Errors
    /// It announces more than [`MESSAGE_BYTES_MAX`], or comes out of order.
    pub fn take(&mut self, report: &Report) -> Result<Assembled, FidoError> {
        let [a, b, c, d, kind, rest @ ..] = report;
        if u32::from_be_bytes([*a, *b, *c, *d]) != self.channel {
            return Ok(Assembled::Stray);
        }
        let is_initial = kind & 0x80 != 0;
        let body = if is_initial {
            let [high, low, body @ ..] = rest;
            self.length = usize::from(u16::from_be_bytes([*high, *low]));
            if self.length > MESSAGE_BYTES_MAX {
                return Err(FidoError::Protocol("a message is too long"));
            }
            self.command = *kind;
            self.next = 0;
            self.message.clear();
            &body[..]
        } else {
            if self.command == 0 {
                return Ok(Assembled::Stray);
            }
            if *kind != self.next {
                return Err(FidoError::Protocol("reports are out of order"));
            }
            self.next = self.next.wrapping_add(1);
            &rest[..]
        };
        let missing = self.length.saturating_sub(self.message.len());
        self.message.extend(body.iter().take(missing));
        if self.message.len() < self.length {
            return Ok(Assembled::Part);
        }
        let command = std::mem::take(&mut self.command);
        Ok(Assembled::Whole(command, std::mem::take(&mut self.message)))
    }
}

/// A channel of an open device.
#[derive(Debug)]
pub struct Channel {
    reports: Reports,
    number: u32,
}

impl Channel {
    /// Takes a channel of a device.
    ///
    /// # Errors
    /// The device is silent, breaks the protocol, or doesn't know CTAP2.
    pub async fn open(mut reports: Reports) -> Result<Self, FidoError> {
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce)?;
        for report in self::reports(BROADCAST, command::INIT, &nonce)? {
            reports.write(&report).await?;
        }
        let mut assembler = Assembler::new(BROADCAST);
        for _ in 0..STRAY_REPORTS_MAX {
            let report = timeout(SILENCE_MAX, reports.read())
                .await
                .map_err(|_| FidoError::Silent)??;
            // Others share the broadcast channel: only the answer with our nonce is ours.
            let Assembled::Whole(command::INIT, answer) = assembler.take(&report)? else {
                continue;
            };
            let [
                n0,
                n1,
                n2,
                n3,
                n4,
                n5,
                n6,
                n7,
                a,
                b,
                c,
                d,
                _,
                _,
                _,
                _,
                capabilities,
                ..,
            ] = answer.as_slice()
            else {
                continue;
            };
            if [*n0, *n1, *n2, *n3, *n4, *n5, *n6, *n7] != nonce {
                continue;
            }
            if capabilities & CAPABILITY_CBOR == 0 {
                return Err(FidoError::Protocol("it doesn't know CTAP2"));
            }
            let number = u32::from_be_bytes([*a, *b, *c, *d]);
            return Ok(Self { reports, number });
        }
        Err(FidoError::Protocol("it gives no channel"))
    }

    /// Sends a CTAP2 request and waits for its answer: the status and what follows it.
    ///
    /// # Errors
    /// The device is gone or breaks the protocol.
    pub async fn cbor(
        &mut self,
        request: &[u8],
        progress: impl Fn(Progress),
    ) -> Result<Vec<u8>, FidoError> {
        for report in reports(self.number, command::CBOR, request)? {
            self.reports.write(&report).await?;
        }
        timeout(ANSWER_MAX, self.answer(progress))
            .await
            .map_err(|_| FidoError::NotVerified)?
    }

    async fn answer(&mut self, progress: impl Fn(Progress)) -> Result<Vec<u8>, FidoError> {
        let mut assembler = Assembler::new(self.number);
        let mut stray = 0;
        while stray < STRAY_REPORTS_MAX {
            let report = timeout(SILENCE_MAX, self.reports.read())
                .await
                .map_err(|_| FidoError::Silent)??;
            match assembler.take(&report)? {
                Assembled::Part => {}
                Assembled::Stray => stray += 1,
                Assembled::Whole(command::CBOR, answer) => return Ok(answer),
                Assembled::Whole(command::KEEPALIVE, status) => {
                    progress(match status.first() {
                        Some(&KEEPALIVE_FINGER_NEEDED) => Progress::FingerNeeded,
                        _ => Progress::Working,
                    });
                }
                Assembled::Whole(command::ERROR, code) => {
                    return Err(match code.first() {
                        Some(&ERROR_CHANNEL_BUSY) => FidoError::Busy,
                        _ => FidoError::Protocol("it refused the message"),
                    });
                }
                Assembled::Whole(..) => {
                    return Err(FidoError::Protocol("it answered another question"));
                }
            }
        }
        Err(FidoError::Protocol("it answers on other channels"))
    }

    /// Tells the device that nobody waits for its answer any more, and takes the answer that it then gives,
    /// so that whoever opens the device next doesn't find it.
    pub async fn cancel(&mut self) {
        let cancelled = async {
            for report in reports(self.number, command::CANCEL, &[])? {
                self.reports.write(&report).await?;
            }
            self.answer(|_| {}).await
        };
        // A device that is gone waits for nobody.
        let _ = timeout(CANCELLED_MAX, cancelled).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_is_put_together() {
        for length in [0, 1, 57, 58, 116, 117, 1024, MESSAGE_BYTES_MAX] {
            let message: Vec<u8> = (0..=250).cycle().take(length).collect();
            let all = reports(7, command::CBOR, &message).unwrap();
            let mut assembler = Assembler::new(7);
            let (last, before) = all.split_last().unwrap();
            for report in before {
                assert_eq!(assembler.take(report).unwrap(), Assembled::Part);
                // Another program's channel in between disturbs nothing.
                let other = reports(8, command::CBOR, b"other").unwrap();
                assert_eq!(assembler.take(&other[0]).unwrap(), Assembled::Stray);
            }
            let whole = Assembled::Whole(command::CBOR, message);
            assert_eq!(assembler.take(last).unwrap(), whole, "{length}");
        }
        assert!(reports(7, command::CBOR, &vec![0; MESSAGE_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn reports_out_of_order_are_refused() {
        let all = reports(7, command::CBOR, &[1; 500]).unwrap();
        let mut assembler = Assembler::new(7);
        assembler.take(&all[0]).unwrap();
        assert!(assembler.take(&all[2]).is_err());
        let huge = report(&[0, 0, 0, 7, command::CBOR, 0xff, 0xff], &[]);
        assert!(Assembler::new(7).take(&huge).is_err());
        // A continuation of nothing is nobody's.
        assert_eq!(Assembler::new(7).take(&all[1]).unwrap(), Assembled::Stray);
    }
}
