//! The conversation with the broker: a thread that receives, one for each stream of rows, and the first,
//! which draws. It sleeps until something comes in, or until a moment that a pass asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use kekkai_frames::{Cursor, HEIGHT_MAX, Input, SIDE_MIN, WIDTH_MAX};
use kekkai_types::{JobId, Timestamp};
use kekkai_worker_api::{
    Answer, Begin, Frame, FrameError, FromDesktop, Sender, TILE_BYTES, ToDesktop, worker_channel,
};

use crate::asks::NotAsked;
use crate::rows::{self, Piece};
use crate::{Raster, Workspace};

/// The largest font, in bytes.
const FONT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What is read of a font at once, in bytes.
const FONT_PIECE: usize = 256 * 1024;
/// Messages and pieces of rows that wait to be looked at.
const NEWS_MAX: usize = 64;
/// Streams of rows that are read at once.
const STREAMS_MAX: usize = 2;
/// How often rows that arrive are shown.
const ROWS_EVERY: Duration = Duration::from_millis(100);

/// Why the workspace ends.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The channel broke.
    #[error("the channel to the broker broke")]
    Channel(#[from] FrameError),
    /// The broker speaks out of turn.
    #[error("the broker's message comes out of turn")]
    OutOfTurn,
    /// The broker answers what was not asked.
    #[error("the broker's answer has no question")]
    NotAsked(#[from] NotAsked),
    /// Other descriptors came than the message says.
    #[error("the broker's descriptors are not those of its message")]
    Descriptors,
    /// A font can't be read, or is too large.
    #[error("a font can't be read")]
    Font(#[source] io::Error),
    /// The pixels can't be written.
    #[error("the pixels can't be written")]
    Pixels(#[source] io::Error),
    /// A size that no screen of the protocol has.
    #[error("no screen is {0} x {1}")]
    Size(u16, u16),
    /// No thread to receive on.
    #[error("a thread can't be started")]
    Thread(#[source] io::Error),
}

/// What wakes the thread that draws.
enum News {
    Broker(Box<ToDesktop>, Vec<OwnedFd>),
    Rows(JobId, Piece),
    /// A stream was read to where it ends.
    RowsRead,
    /// The broker is gone, or its channel broke.
    Gone(Result<(), FrameError>),
}

/// Speaks with the broker until it closes the channel. `layers` is what holds this process.
pub fn serve(socket: OwnedFd, layers: BTreeMap<String, String>) -> Result<(), ServeError> {
    let (sender, mut receiver) = worker_channel::<FromDesktop, ToDesktop>(socket);
    sender.send(&FromDesktop::Jailed { layers })?;
    let Some((message, descriptors)) = receiver.receive()? else {
        return Ok(());
    };
    let ToDesktop::Begin(begin) = message else {
        return Err(ServeError::OutOfTurn);
    };
    let mut process = Process::begin(*begin, descriptors, sender)?;
    let (tell, news) = sync_channel(NEWS_MAX);
    process.tell = Some(tell.clone());
    std::thread::Builder::new()
        .name("broker".to_owned())
        .spawn(move || {
            loop {
                let next = match receiver.receive() {
                    Ok(Some((message, descriptors))) => {
                        News::Broker(Box::new(message), descriptors)
                    }
                    Ok(None) => News::Gone(Ok(())),
                    Err(error) => News::Gone(Err(error)),
                };
                let is_last = matches!(next, News::Gone(_));
                // The drawing thread is gone only when the process ends.
                if tell.send(next).is_err() || is_last {
                    return;
                }
            }
        })
        .map_err(ServeError::Thread)?;
    process.run(&news)
}

/// The thread that draws.
struct Process {
    workspace: Workspace,
    raster: Raster,
    pixels: File,
    sender: Sender<FromDesktop>,
    tell: Option<SyncSender<News>>,
    began: Instant,
    /// The last frame's number.
    frame: u32,
    /// It was not taken yet.
    is_under_way: bool,
    cursor: Cursor,
    /// Streams that are read: `false` tells their thread to stop.
    streams: BTreeMap<JobId, Arc<AtomicBool>>,
    reading: usize,
}

/// When to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Never,
    Now,
    At(Instant),
}

impl Due {
    /// The earlier of both.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now, _) | (_, Self::Now) => Self::Now,
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
            (Self::Never, due) | (due, Self::Never) => due,
        }
    }
}

impl Process {
    fn begin(
        begin: Begin,
        descriptors: Vec<OwnedFd>,
        sender: Sender<FromDesktop>,
    ) -> Result<Self, ServeError> {
        let mut descriptors = descriptors.into_iter();
        let pixels = descriptors
            .next()
            .map(File::from)
            .ok_or(ServeError::Descriptors)?;
        let fonts: Vec<OwnedFd> = descriptors.collect();
        if fonts.len() != begin.fonts.len() {
            return Err(ServeError::Descriptors);
        }
        let fonts: Vec<&'static [u8]> = fonts
            .into_iter()
            .map(|font| read_font(&File::from(font)))
            .collect::<Result<_, _>>()
            .map_err(ServeError::Font)?;
        let (width, height, _) = begin.size;
        check_size(width, height)?;
        let mut raster = Raster::default();
        raster.resize(width, height);
        let workspace = Workspace::new(begin, &fonts);
        sender.send(&FromDesktop::Ready)?;
        Ok(Self {
            workspace,
            raster,
            pixels,
            sender,
            tell: None,
            began: Instant::now(),
            frame: 0,
            is_under_way: false,
            cursor: kekkai_frames::caret_none(),
            streams: BTreeMap::new(),
            reading: 0,
        })
    }

    fn run(mut self, news: &Receiver<News>) -> Result<(), ServeError> {
        let mut due = Due::Now;
        loop {
            // What is due waits for the frame under way: it is drawn as it is then.
            if due == Due::Now && !self.is_under_way {
                due = self.draw()?;
                continue;
            }
            let next = match due {
                Due::At(at) => {
                    match news.recv_timeout(at.saturating_duration_since(Instant::now())) {
                        Err(RecvTimeoutError::Timeout) => {
                            due = Due::Now;
                            continue;
                        }
                        other => other.ok(),
                    }
                }
                Due::Now | Due::Never => news.recv().ok(),
            };
            let mut next = next;
            // Everything that has come is looked at before anything is drawn.
            while let Some(one) = next {
                match self.take(one)? {
                    Some(after) => due = due.or(after),
                    None => return Ok(()),
                }
                next = news.try_recv().ok();
            }
        }
    }

    /// `None`: the broker is gone.
    fn take(&mut self, news: News) -> Result<Option<Due>, ServeError> {
        Ok(Some(match news {
            News::Broker(message, descriptors) => self.take_message(*message, descriptors)?,
            News::Rows(job, piece) => {
                if !self.workspace.take_rows(&job, piece)
                    && let Some(wants_more) = self.streams.get(&job)
                {
                    wants_more.store(false, Ordering::Relaxed);
                }
                let soon = Instant::now().checked_add(ROWS_EVERY);
                soon.map_or(Due::Now, Due::At)
            }
            News::RowsRead => {
                self.reading = self.reading.saturating_sub(1);
                Due::Now
            }
            News::Gone(result) => {
                result?;
                return Ok(None);
            }
        }))
    }

    fn take_message(
        &mut self,
        message: ToDesktop,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Due, ServeError> {
        if let ToDesktop::Answer {
            answer: Answer::Rows(job),
            ..
        } = &message
        {
            let Ok([pipe]) = <[OwnedFd; 1]>::try_from(descriptors) else {
                return Err(ServeError::Descriptors);
            };
            let job = job.clone();
            self.workspace.take(message)?;
            self.read_rows(job, pipe)?;
            return Ok(Due::Now);
        }
        if !descriptors.is_empty() {
            return Err(ServeError::Descriptors);
        }
        match message {
            ToDesktop::Begin(_) => Err(ServeError::OutOfTurn),
            ToDesktop::Taken { frame } => {
                if !self.is_under_way || frame != self.frame {
                    return Err(ServeError::OutOfTurn);
                }
                self.is_under_way = false;
                Ok(Due::Never)
            }
            ToDesktop::Input(inputs) => {
                for input in &inputs {
                    if let Input::Resize { width, height, .. } = input {
                        check_size(*width, *height)?;
                    }
                }
                if self.workspace.input(&inputs) {
                    let (width, height) = self.workspace.size();
                    self.raster.resize(width, height);
                }
                Ok(Due::Now)
            }
            other => {
                self.workspace.take(other)?;
                Ok(Due::Now)
            }
        }
    }

    fn read_rows(&mut self, job: JobId, pipe: OwnedFd) -> Result<(), ServeError> {
        let Some(tell) = self.tell.clone() else {
            return Ok(());
        };
        // A pipe that is let go of ends the stream; the broker tells how it ended.
        if self.reading >= STREAMS_MAX {
            return Ok(());
        }
        self.reading = self.reading.saturating_add(1);
        let wants_more = Arc::new(AtomicBool::new(true));
        self.streams.insert(job.clone(), Arc::clone(&wants_more));
        std::thread::Builder::new()
            .name("rows".to_owned())
            .spawn(move || {
                rows::read(pipe, |piece| {
                    let is_told = tell.send(News::Rows(job.clone(), piece)).is_ok();
                    is_told && wants_more.load(Ordering::Relaxed)
                });
                // As above: without a drawing thread there is no process.
                let _ = tell.send(News::RowsRead);
            })
            .map_err(ServeError::Thread)?;
        Ok(())
    }

    /// Draws, and says what changed.
    fn draw(&mut self) -> Result<Due, ServeError> {
        let mut drawn = self
            .workspace
            .pass(self.began.elapsed().as_secs_f64(), Timestamp::now());
        for (request, ask) in self.workspace.asks().drain() {
            self.sender.send(&FromDesktop::Ask { request, ask })?;
        }
        let primitives = self.workspace.tessellate(&mut drawn.output);
        let Self { raster, pixels, .. } = self;
        let columns = raster.columns();
        let tiles = raster
            .draw(
                &primitives,
                &drawn.output.textures_delta,
                drawn.output.pixels_per_point,
                |column, row, bytes| pixels.write_all_at(bytes, place(column, row, columns)),
            )
            .map_err(ServeError::Pixels)?;
        let cursor = self.workspace.cursor();
        if !tiles.is_empty() || cursor != self.cursor {
            self.cursor = cursor;
            self.frame = self.frame.wrapping_add(1);
            self.is_under_way = true;
            let (width, height) = self.workspace.size();
            self.sender.send(&FromDesktop::Frame(Frame {
                number: self.frame,
                width,
                height,
                scrolls: Vec::new(),
                tiles,
                cursor,
            }))?;
        }
        let at = drawn
            .next
            .and_then(|after| Instant::now().checked_add(after));
        Ok(at.map_or(Due::Never, Due::At))
    }
}

/// Where a tile lies in the memory file, in bytes.
fn place(column: u16, row: u16, columns: usize) -> u64 {
    let at = usize::from(row)
        .saturating_mul(columns)
        .saturating_add(usize::from(column));
    u64::try_from(at.saturating_mul(TILE_BYTES)).unwrap_or(u64::MAX)
}

fn check_size(width: u16, height: u16) -> Result<(), ServeError> {
    let is_known =
        (SIDE_MIN..=WIDTH_MAX).contains(&width) && (SIDE_MIN..=HEIGHT_MAX).contains(&height);
    if is_known {
        Ok(())
    } else {
        Err(ServeError::Size(width, height))
    }
}

/// Reads a font whole. It is used until the process ends.
fn read_font(file: &File) -> io::Result<&'static [u8]> {
    let mut bytes = Vec::new();
    loop {
        let had = bytes.len();
        if had > FONT_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        bytes.resize(had.saturating_add(FONT_PIECE), 0);
        let room = bytes.get_mut(had..).unwrap_or_default();
        // Not `read_to_end`: it asks for the file's length by calls that the jail's list has no need of.
        let read = file.read_at(room, u64::try_from(had).unwrap_or(u64::MAX))?;
        bytes.truncate(had.saturating_add(read));
        if read == 0 {
            return Ok(Box::leak(bytes.into_boxed_slice()));
        }
    }
}

#[cfg(test)]
mod tests;
