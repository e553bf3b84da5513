//! Behind the door: the subsystem `kekkai-vdi`, frames in, inputs out.

use kekkai_frames::{
    CHUNK_BYTES_MAX, Decompressor, Deframer, Input, Output, decode_output, encode_input, prefix,
};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client};
use tokio::sync::mpsc;

use super::connect::Session;
use super::{Area, Command, End, Event, STDERR_BYTES_MAX, Told};

/// SSH's number of standard error.
const STDERR: u32 = 1;
const SUBSYSTEM: &str = "kekkai-vdi";

/// Exit statuses of the subsystem.
mod status {
    pub(super) const LEFT: u32 = 0;
    pub(super) const LOCKED: u32 = 3;
    pub(super) const ENDED: u32 = 4;
    pub(super) const REPLACED: u32 = 5;
}

pub(super) async fn run<W: Fn() + Send + Sync>(
    session: &mut Session,
    area: Area,
    told: &Told<W>,
    orders: &mut mpsc::Receiver<Command>,
) -> End {
    let channel = match session.channel_open_session().await {
        Ok(channel) => channel,
        Err(error) => return End::Fault(error.to_string()),
    };
    if let Err(error) = channel.request_subsystem(true, SUBSYSTEM).await {
        return End::Fault(error.to_string());
    }
    let (mut reading, writing) = channel.split();
    let mut heard = Heard::default();
    // The size is the first message, and follows the gateway's yes.
    loop {
        match reading.wait().await {
            Some(ChannelMsg::Success) => break,
            Some(ChannelMsg::Failure) => heard.is_refused = true,
            Some(message) => {
                if heard.take(message) {
                    return heard.end();
                }
            }
            None => return heard.end(),
        }
    }
    tokio::select! {
        end = read(&mut reading, told, heard) => end,
        end = write(&writing, area, orders) => end,
    }
}

/// What was heard besides frames.
#[derive(Default)]
struct Heard {
    stderr: Vec<u8>,
    status: Option<u32>,
    is_refused: bool,
    is_running: bool,
}

impl Heard {
    /// Takes anything but data; true when nothing more will come.
    fn take(&mut self, message: ChannelMsg) -> bool {
        match message {
            ChannelMsg::ExtendedData { data, ext: STDERR } => {
                let free = STDERR_BYTES_MAX.saturating_sub(self.stderr.len());
                self.stderr.extend(data.iter().take(free));
                false
            }
            ChannelMsg::ExitStatus { exit_status } => {
                self.status = Some(exit_status);
                false
            }
            ChannelMsg::Close => true,
            _ => false,
        }
    }

    fn end(self) -> End {
        let said = printable(&self.stderr);
        match self.status {
            Some(status::LEFT) => End::Left,
            Some(status::LOCKED) => End::Locked,
            Some(status::ENDED) => {
                let (reason, said) = said.split_once('\n').unwrap_or((&said, ""));
                End::Ended {
                    reason: reason.trim().to_owned(),
                    said: said.trim().to_owned(),
                }
            }
            Some(status::REPLACED) => End::Replaced,
            Some(_) => End::Fault(said),
            None if self.is_refused || !self.is_running => End::Fault(said),
            None => End::Cut,
        }
    }
}

/// Text without control characters but line ends.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| !c.is_control() || *c == '\n')
        .collect()
}

async fn read<W: Fn() + Send + Sync>(
    channel: &mut ChannelReadHalf,
    told: &Told<W>,
    mut heard: Heard,
) -> End {
    heard.is_running = true;
    let mut deframer = Deframer::new(CHUNK_BYTES_MAX);
    let mut decompressor = Decompressor::new();
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Data { data }) => {
                deframer.feed(&data);
                loop {
                    let output = match next(&mut deframer, &mut decompressor) {
                        Ok(Some(output)) => output,
                        Ok(None) => break,
                        Err(error) => return End::Violation(error.to_string()),
                    };
                    if told.tell(Event::Output(output)).await.is_err() {
                        return End::Left;
                    }
                }
            }
            Some(message) => {
                if heard.take(message) {
                    return heard.end();
                }
            }
            None => return heard.end(),
        }
    }
}

fn next(
    deframer: &mut Deframer,
    decompressor: &mut Decompressor,
) -> Result<Option<Output>, kekkai_frames::WireError> {
    let Some(chunk) = deframer.next()? else {
        return Ok(None);
    };
    decode_output(&decompressor.next(&chunk)?).map(Some)
}

async fn write(
    channel: &ChannelWriteHalf<client::Msg>,
    area: Area,
    orders: &mut mpsc::Receiver<Command>,
) -> End {
    let mut input = Input::from(area);
    loop {
        let message = prefix(&encode_input(&input));
        if channel.data_bytes(message).await.is_err() {
            // Reading knows why: the exit status may be on its way.
            return std::future::pending().await;
        }
        input = loop {
            match orders.recv().await {
                Some(Command::Input(input)) => break input,
                Some(Command::Code(_)) => {}
                None | Some(Command::Leave) => {
                    // The session waits either way.
                    let _ = channel.eof().await;
                    let _ = channel.close().await;
                    return End::Left;
                }
            }
        };
    }
}
