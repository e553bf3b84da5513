//! The picture of a session: read from the workspace, marked, recorded, and only then given to those who look.
//! All of it computes or waits for the disk: it is moved to a thread that may, and back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use kekkai_frames::Wiped;
use kekkai_recording::{Reached, Recorder, RecordingError};
use kekkai_screen::{Screen, View};
use kekkai_types::Timestamp;
use kekkai_watermark::Watermark;
use kekkai_worker_api::{Frame, TILE_BYTES};

use super::frozen;
use super::turn::{Judged, Size, place_of, tiles_of};
use super::viewers::{Batch, ViewerId, batch};

/// Between two tries to write what could not be written, in milliseconds.
pub(super) const RETRY_MS: u64 = 1_000;

/// Somebody came, went, or drew what was sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Arrived(ViewerId),
    Left(ViewerId),
    Acknowledged {
        viewer: ViewerId,
        number: u32,
        is_ping: bool,
    },
}

/// What is to be done at once.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) changes: Vec<Change>,
    /// A frame that was judged, and where its pixels lie.
    pub(super) frame: Option<(Frame, Judged, Arc<File>)>,
    /// Those who take another batch now.
    pub(super) ready: Vec<ViewerId>,
    pub(super) now: Timestamp,
    /// By a clock that never goes back.
    pub(super) now_ms: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Stepped {
    pub(super) batches: Vec<(ViewerId, Batch)>,
    /// Those who acknowledged what was never sent.
    pub(super) offenders: Vec<ViewerId>,
    /// When there is something to do again, whether or not anything changes.
    pub(super) wake_at_ms: Option<u64>,
    /// The picture froze, and why; or goes on.
    pub(super) turned: Option<Result<(), String>>,
    /// Something was written.
    pub(super) has_written: bool,
}

/// Nothing new is shown until it can be recorded.
struct Frozen {
    notice: Screen<Watermark>,
    retry_at_ms: u64,
}

/// A session's picture, its recorder, and what each viewer shows of it.
pub(super) struct Picture {
    screen: Screen<Watermark>,
    recorder: Recorder,
    /// What the recording shows.
    recorded: View,
    views: BTreeMap<ViewerId, View>,
    /// Those who are to be shown another screen than the one that their views know: all of it.
    anew: BTreeSet<ViewerId>,
    frozen: Option<Frozen>,
    /// One tile, as it is read.
    tile: Wiped,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Picture")
    }
}

impl Picture {
    /// A black screen. `None` for a size that no screen has.
    pub(super) fn new(watermark: Watermark, recorder: Recorder, size: Size) -> Option<Self> {
        Some(Self {
            screen: Screen::new(watermark, size.0, size.1).ok()?,
            recorder,
            recorded: View::recorder(),
            views: BTreeMap::new(),
            anew: BTreeSet::new(),
            frozen: None,
            tile: Wiped::new(vec![0; TILE_BYTES]),
        })
    }

    /// Does what is to be done: first what is new is recorded, then it is shown.
    pub(super) fn step(&mut self, step: Step) -> std::io::Result<Stepped> {
        let mut stepped = Stepped::default();
        for change in step.changes {
            self.change(change, step.now_ms, &mut stepped);
        }
        if let Some((frame, judged, pixels)) = &step.frame {
            self.take(frame, *judged, pixels)?;
            self.screen.present(step.now);
        }
        self.record(step.now, step.now_ms, &mut stepped);
        for viewer in step.ready {
            let Some(view) = self.views.get_mut(&viewer) else {
                continue;
            };
            let shown = match &mut self.frozen {
                Some(frozen) => &mut frozen.notice,
                None => &mut self.screen,
            };
            let outputs = match self.anew.remove(&viewer) {
                true => Some(view.keyframe(shown, step.now_ms)),
                false => view.next(shown, step.now_ms),
            };
            if let Some(outputs) = outputs {
                stepped.batches.push((viewer, batch(&outputs)));
            }
        }
        let wakes = self.views.values().filter_map(View::wake_at);
        let retry = self.frozen.iter().map(|frozen| frozen.retry_at_ms);
        stepped.wake_at_ms = wakes.chain(retry).min();
        Ok(stepped)
    }

    fn change(&mut self, change: Change, now_ms: u64, stepped: &mut Stepped) {
        match change {
            Change::Arrived(viewer) => {
                self.views.insert(viewer, View::new());
            }
            Change::Left(viewer) => {
                self.views.remove(&viewer);
                self.anew.remove(&viewer);
            }
            Change::Acknowledged {
                viewer,
                number,
                is_ping,
            } => {
                let view = self.views.get_mut(&viewer);
                let known = view.map(|view| view.acknowledge(number, is_ping, now_ms));
                if let Some(Err(_)) = known {
                    self.views.remove(&viewer);
                    stepped.offenders.push(viewer);
                }
            }
        }
    }

    /// Reads a frame's tiles. What was judged names only tiles that are there.
    fn take(&mut self, frame: &Frame, judged: Judged, pixels: &File) -> std::io::Result<()> {
        match judged {
            Judged::Stale => return Ok(()),
            Judged::Shown { resized: true } => self
                .screen
                .resize(frame.width, frame.height)
                .map_err(std::io::Error::other)?,
            Judged::Shown { resized: false } => {}
        }
        let (columns, _) = tiles_of(frame.width, frame.height);
        for (from, dx, dy) in &frame.scrolls {
            self.screen.hint_scroll(*from, *dx, *dy);
        }
        for (column, row) in &frame.tiles {
            let place = place_of(*column, *row, columns);
            pixels.read_exact_at(&mut self.tile, place)?;
            self.screen
                .put_tile(*column, *row, &self.tile)
                .map_err(std::io::Error::other)?;
        }
        self.screen.set_cursor(frame.cursor);
        Ok(())
    }

    /// Writes what is new. Where that fails the picture freezes, and thaws when it can be written again.
    fn record(&mut self, now: Timestamp, now_ms: u64, stepped: &mut Stepped) {
        if let Some(frozen) = &mut self.frozen {
            if now_ms < frozen.retry_at_ms {
                return;
            }
            frozen.retry_at_ms = now_ms.saturating_add(RETRY_MS);
            // Beginning with all that the screen shows: nothing before it is needed.
            let outputs = self.recorded.keyframe(&mut self.screen, now_ms);
            let again = self
                .recorder
                .retry()
                .and_then(|()| self.recorder.append(now, &outputs));
            if again.is_ok() {
                self.frozen = None;
                self.anew = self.views.keys().copied().collect();
                stepped.has_written = true;
                stepped.turned = Some(Ok(()));
            }
            return;
        }
        let outputs = match self.recorder.keyframe_due(now) {
            true if self.views.is_empty() => None,
            true => Some(self.recorded.keyframe(&mut self.screen, now_ms)),
            false => self.recorded.next(&mut self.screen, now_ms),
        };
        let Some(outputs) = outputs else {
            return;
        };
        match self.recorder.append(now, &outputs) {
            Ok(()) => stepped.has_written = true,
            Err(error) => self.freeze(&error, now, now_ms, stepped),
        }
    }

    fn freeze(
        &mut self,
        error: &RecordingError,
        now: Timestamp,
        now_ms: u64,
        stepped: &mut Stepped,
    ) {
        let marker = self.screen.marker().clone();
        match frozen::screen(marker, self.screen.size(), now) {
            Ok(notice) => {
                self.frozen = Some(Frozen {
                    notice,
                    retry_at_ms: now_ms.saturating_add(RETRY_MS),
                });
                self.anew = self.views.keys().copied().collect();
            }
            // The screen's own size is one that screens have. If not, nobody looks any more.
            Err(_) => self.views.clear(),
        }
        stepped.turned = Some(Err(error.code().to_owned()));
    }

    /// How far the recording is whole.
    pub(super) fn reached(&self) -> Reached {
        self.recorder.reached()
    }

    /// Writes the recording's end. What can't be written is what there was.
    pub(super) fn finish(self) -> (Reached, Result<(), RecordingError>) {
        let reached = self.recorder.reached();
        match self.recorder.finish() {
            Ok(reached) => (reached, Ok(())),
            Err(error) => (reached, Err(error)),
        }
    }
}
