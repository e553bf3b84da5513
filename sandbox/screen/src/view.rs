//! One viewer: what it shows, and what to send it next.

use std::collections::VecDeque;
use std::sync::Arc;

use kekkai_frames::{self as frames, Codec, Cursor, Output, Rect, caret_none, encode_lossy};

use crate::flow::{AcknowledgeError, Flow};
use crate::picture::{Grid, Tile, cut};
use crate::step::{Ground, Step};
use crate::{Marker, Screen};

/// Of a JPEG: text stays readable.
const QUALITY: u8 = 70;
/// A tile that stays as it is for so long is sent again without loss, in milliseconds.
const REST_MS: u64 = 300;
/// Tiles of one message, in bytes of their data: short messages let a carrier send what it has.
const MESSAGE_BYTES: usize = 48 * 1024;
/// The longest frame that moves something, in bytes of its tiles' data.
const MOVE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// What deflate makes of data without loss, roughly: one byte of so many.
const DEFLATED: u64 = 3;

/// What is sent to one viewer, or to the recording.
pub struct View {
    grid: Option<Grid>,
    shown: Vec<Shown>,
    /// The picture that is shown exactly, if it is one.
    version: Option<u64>,
    cursor: Cursor,
    frame: u32,
    /// `None` for the recording: it takes everything, at once.
    flow: Option<Flow>,
}

/// What a viewer shows at one place.
enum Shown {
    /// Black, as after a new size.
    Nothing,
    /// This.
    Exact(Arc<Tile>),
    /// A JPEG of this.
    Lossy { of: Arc<Tile>, since_ms: u64 },
}

impl View {
    /// A viewer that shows nothing yet.
    pub fn new() -> Self {
        Self {
            grid: None,
            shown: Vec::new(),
            version: None,
            cursor: caret_none(),
            frame: 0,
            flow: Some(Flow::default()),
        }
    }

    /// The recording: never lossy, never late.
    pub fn recorder() -> Self {
        Self {
            flow: None,
            ..Self::new()
        }
    }

    /// The next frame, or `None`: what is shown is what is, or the viewer has enough to draw for now. Ask
    /// when the screen changed, when the viewer acknowledged, and at [`wake_at`](Self::wake_at).
    ///
    /// Each frame waits for its acknowledgement. Send all of it, in order, or drop the view.
    pub fn next<M: Marker>(&mut self, screen: &mut Screen<M>, now_ms: u64) -> Option<Vec<Output>> {
        if self.is_up_to_date(screen) {
            return None;
        }
        if let Some(flow) = self.flow.as_mut().filter(|flow| !flow.is_open()) {
            flow.note_waiting();
            return None;
        }
        let mut outputs = VecDeque::new();
        self.fit(screen.grid(), &mut outputs);
        let step = self.step(screen, now_ms);
        let drawing = self.drawing(screen, &step);
        if drawing.is_nothing() && self.cursor == screen.cursor() && outputs.is_empty() {
            self.settle(screen);
            return None;
        }
        Some(self.write(screen, outputs, drawing, now_ms))
    }

    /// Everything, as to a viewer that shows nothing: a recording can be looked at from here on.
    pub fn keyframe<M: Marker>(&mut self, screen: &mut Screen<M>, now_ms: u64) -> Vec<Output> {
        self.grid = None;
        let mut outputs = VecDeque::new();
        self.fit(screen.grid(), &mut outputs);
        let step = self.step(screen, now_ms);
        let drawing = Drawing {
            moved: None,
            wire_bytes: wire_bytes(&step.tiles),
            tiles: step.tiles.clone(),
            is_whole: true,
        };
        self.write(screen, outputs, drawing, now_ms)
    }

    /// The viewer says that it drew a frame, or that a ping came. Frames in the order in which they were
    /// sent, each of them.
    ///
    /// # Errors
    /// A number that doesn't wait: the client broke the protocol. Close its connection.
    pub fn acknowledge(
        &mut self,
        number: u32,
        is_ping: bool,
        now_ms: u64,
    ) -> Result<(), AcknowledgeError> {
        match &mut self.flow {
            None => Err(AcknowledgeError { number }),
            Some(flow) if is_ping => flow.ping_arrived(number, now_ms),
            Some(flow) => flow.frame_arrived(number, now_ms),
        }
    }

    /// When to ask again although nothing happened: something is to be shown without loss then. `None`: not
    /// before something happens.
    pub fn wake_at(&self) -> Option<u64> {
        if self.flow.as_ref().is_none_or(|flow| !flow.is_open()) {
            return None;
        }
        let rests = self.shown.iter().filter_map(|shown| match shown {
            Shown::Lossy { since_ms, .. } => Some(since_ms.saturating_add(REST_MS)),
            Shown::Nothing | Shown::Exact(_) => None,
        });
        rests.min()
    }

    /// Since when the viewer has not acknowledged what it was sent. One that is silent for long is gone.
    pub fn waits_since_ms(&self) -> Option<u64> {
        self.flow.as_ref().and_then(Flow::waits_since_ms)
    }

    fn is_up_to_date<M: Marker>(&self, screen: &Screen<M>) -> bool {
        self.version == Some(screen.version())
            && self.grid == Some(screen.grid())
            && self.cursor == screen.cursor()
    }

    /// Begins with black where the screen has another size than is shown.
    fn fit(&mut self, grid: Grid, outputs: &mut VecDeque<Output>) {
        if self.grid == Some(grid) {
            return;
        }
        self.grid = Some(grid);
        self.version = None;
        self.shown = (0..grid.tiles()).map(|_| Shown::Nothing).collect();
        outputs.push_back(Output::Size {
            width: grid.width,
            height: grid.height,
        });
    }

    /// What is to be drawn, without loss.
    fn step<M: Marker>(&self, screen: &mut Screen<M>, now_ms: u64) -> Arc<Step> {
        let ground: Vec<Ground<'_>> = self
            .shown
            .iter()
            .zip(screen.tiles())
            .map(|(shown, target)| shown.ground(target, now_ms))
            .collect();
        let step = match self.version {
            Some(version) => screen.step_from(version, &ground),
            None => Arc::new(screen.step(None, &ground)),
        };
        // A frame with a move can't be cut: where that would let a viewer's bound go, nothing moves.
        let is_bounded = self.flow.is_none() || step.bytes <= MOVE_BYTES_MAX;
        match step.moved {
            Some(_) if !is_bounded => Arc::new(screen.step_without_moves(&ground)),
            _ => step,
        }
    }

    /// What of a step goes into one frame: all of it, or what the way takes.
    fn drawing<M: Marker>(&self, screen: &Screen<M>, step: &Step) -> Drawing {
        let mut drawing = Drawing {
            moved: step.moved.map(|moved| (moved.from, moved.dx, moved.dy)),
            wire_bytes: wire_bytes(&step.tiles),
            tiles: step.tiles.clone(),
            is_whole: true,
        };
        let Some(flow) = &self.flow else {
            return drawing;
        };
        if flow.is_too_much(drawing.wire_bytes) {
            for (index, tile) in &mut drawing.tiles {
                if let Some(lossy) = lossy(screen, *index, tile) {
                    *tile = lossy;
                }
            }
            drawing.wire_bytes = wire_bytes(&drawing.tiles);
        }
        // A move changes places that a cut frame would leave half done.
        if drawing.moved.is_none() {
            drawing.cut(flow.frame_bytes_max());
        }
        drawing
    }

    /// Writes a frame, and notes what is shown then.
    fn write<M: Marker>(
        &mut self,
        screen: &Screen<M>,
        mut outputs: VecDeque<Output>,
        drawing: Drawing,
        now_ms: u64,
    ) -> Vec<Output> {
        self.frame = self.frame.wrapping_add(1);
        let frame = self.frame;
        if let Some((from, dx, dy)) = drawing.moved {
            outputs.push_back(Output::Scroll {
                frame,
                from,
                dx,
                dy,
            });
        }
        if self.cursor != screen.cursor() {
            self.cursor = screen.cursor();
            outputs.push_back(Output::Cursor(self.cursor));
        }
        self.note_shown(screen, &drawing, now_ms);
        if let Some(flow) = &mut self.flow
            && let Some(number) = flow.sent(frame, drawing.wire_bytes, now_ms)
        {
            outputs.push_back(Output::Ping { number });
        }
        let mut messages = split(drawing.tiles);
        let last = messages.pop().unwrap_or_default();
        let message = |tiles, ends_frame| Output::Tiles {
            frame,
            ends_frame,
            tiles,
        };
        outputs.extend(messages.into_iter().map(|tiles| message(tiles, false)));
        outputs.push_back(message(last, true));
        outputs.into()
    }

    fn note_shown<M: Marker>(&mut self, screen: &Screen<M>, drawing: &Drawing, now_ms: u64) {
        for (index, tile) in &drawing.tiles {
            let (Some(shown), Some(target)) = (self.shown.get_mut(*index), screen.tile(*index))
            else {
                continue;
            };
            *shown = match tile.codec {
                Codec::Lossy => Shown::Lossy {
                    of: Arc::clone(target),
                    since_ms: now_ms,
                },
                Codec::Lossless | Codec::Difference => Shown::Exact(Arc::clone(target)),
            };
        }
        if drawing.is_whole {
            self.settle(screen);
        } else {
            self.version = None;
        }
    }

    /// Everything that was to be sent was sent: what is not lossy is what is.
    fn settle<M: Marker>(&mut self, screen: &Screen<M>) {
        let mut is_exact = true;
        for (shown, target) in self.shown.iter_mut().zip(screen.tiles()) {
            match shown {
                Shown::Exact(tile) => *tile = Arc::clone(target),
                Shown::Nothing | Shown::Lossy { .. } => is_exact = false,
            }
        }
        self.version = is_exact.then_some(screen.version());
    }
}

impl Default for View {
    fn default() -> Self {
        Self::new()
    }
}

impl Shown {
    fn ground(&self, target: &Arc<Tile>, now_ms: u64) -> Ground<'_> {
        match self {
            Self::Nothing => Ground::Unknown,
            Self::Exact(tile) => Ground::Exact(tile),
            Self::Lossy { of, since_ms } => {
                let rests = now_ms.saturating_sub(*since_ms) < REST_MS;
                match Arc::ptr_eq(of, target) && rests {
                    true => Ground::Enough,
                    false => Ground::Unknown,
                }
            }
        }
    }
}

/// One frame's pixels.
struct Drawing {
    moved: Option<(Rect, i16, i16)>,
    tiles: Vec<(usize, frames::Tile)>,
    wire_bytes: u64,
    /// Nothing is left for the next.
    is_whole: bool,
}

impl Drawing {
    fn is_nothing(&self) -> bool {
        self.moved.is_none() && self.tiles.is_empty()
    }

    /// Leaves for later what goes beyond so many bytes; never everything.
    fn cut(&mut self, bytes_max: u64) {
        let mut bytes = 0;
        let fits = self.tiles.iter().take_while(|tile| {
            let is_in = bytes < bytes_max;
            bytes += wire_bytes(std::slice::from_ref(*tile));
            is_in
        });
        let kept = fits.count();
        self.is_whole = kept == self.tiles.len();
        self.tiles.truncate(kept);
        self.wire_bytes = wire_bytes(&self.tiles);
    }
}

/// A tile as JPEG, where it changes fast and that is shorter.
fn lossy<M: Marker>(
    screen: &Screen<M>,
    index: usize,
    exact: &frames::Tile,
) -> Option<frames::Tile> {
    let target = screen.tile(index).filter(|_| screen.is_fast(index))?;
    let column = u16::try_from(index % usize::from(screen.grid().columns())).ok()?;
    let row = u16::try_from(index / usize::from(screen.grid().columns())).ok()?;
    let at = screen.grid().rect(column, row);
    let pixels = cut(target.marked(), Rect::of_size(at.width, at.height));
    let data = encode_lossy(&pixels, at.width, at.height, QUALITY).ok()?;
    let lossy = frames::Tile {
        at,
        codec: Codec::Lossy,
        data,
    };
    (wire_bytes_of(&lossy) < wire_bytes_of(exact)).then_some(lossy)
}

/// What tiles take on the wire, roughly.
fn wire_bytes(tiles: &[(usize, frames::Tile)]) -> u64 {
    tiles.iter().map(|(_, tile)| wire_bytes_of(tile)).sum()
}

fn wire_bytes_of(tile: &frames::Tile) -> u64 {
    let bytes = tile.data.len() as u64;
    let pixels = u64::from(tile.at.width) * u64::from(tile.at.height);
    match tile.codec {
        Codec::Lossy => bytes,
        // More than a byte a pixel: a photograph, which deflate hardly shrinks.
        Codec::Lossless | Codec::Difference if bytes > pixels + pixels / 4 => bytes,
        Codec::Lossless | Codec::Difference => bytes / DEFLATED + 8,
    }
}

/// Tiles in messages.
fn split(tiles: Vec<(usize, frames::Tile)>) -> Vec<Vec<frames::Tile>> {
    let mut messages: Vec<Vec<frames::Tile>> = Vec::new();
    let mut bytes = MESSAGE_BYTES;
    for (_, tile) in tiles {
        if bytes >= MESSAGE_BYTES {
            messages.push(Vec::new());
            bytes = 0;
        }
        bytes += tile.data.len();
        if let Some(message) = messages.last_mut() {
            message.push(tile);
        }
    }
    messages
}
