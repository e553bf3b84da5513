//! One pass: news and input in, shapes out.

use std::time::Duration;

use egui::{
    Context, CursorIcon, Event, FullOutput, OutputCommand, RawInput, Rect, ViewportId, pos2,
};
use kekkai_frames::{Cursor, CursorShape, Input};
use kekkai_types::Timestamp;
use kekkai_worker_api::{Answer, Begin, ToDesktop};

use crate::asks::{Asks, NotAsked};
use crate::input::Inputs;
use crate::model::Model;
use crate::rows::Piece;
use crate::shell::Shell;
use crate::theme::{self, Contrast};

/// Passes after one input before what they ask for is put off: a pane that always wants another would
/// otherwise never let a frame out.
const PASSES_MAX: usize = 4;
/// How long a pass that is put off waits.
const PUT_OFF: Duration = Duration::from_millis(30);

/// The application, without a screen, a clock or a channel of its own.
pub struct Workspace {
    ctx: Context,
    model: Model,
    asks: Asks,
    shell: Shell,
    inputs: Inputs,
    events: Vec<Event>,
    /// Width and height in pixels, pixels per point in percent.
    size: (u16, u16, u16),
    look: Option<Contrast>,
    cursor: Cursor,
}

impl std::fmt::Debug for Workspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workspace")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// What a pass drew.
pub struct Drawn {
    /// For [`Raster::draw`](crate::Raster::draw), after [`Workspace::tessellate`].
    pub output: FullOutput,
    /// When another pass is due though nothing came in; `None`: never.
    pub next: Option<Duration>,
}

impl Workspace {
    /// At a session's beginning. `fonts`: as in [`Begin::fonts`].
    pub fn new(begin: Begin, fonts: &[&'static [u8]]) -> Self {
        let ctx = Context::default();
        ctx.set_fonts(theme::fonts(fonts.first().copied(), fonts.get(1).copied()));
        ctx.options_mut(|options| {
            options.zoom_with_keyboard = false;
            options.reduce_texture_memory = true;
            // A wheel that glides on sends frames after the hand has stopped.
            options.tessellation_options.feathering = true;
        });
        let size = begin.size;
        let lang = begin.lang;
        Self {
            ctx,
            model: Model::new(begin),
            asks: Asks::default(),
            shell: Shell::new(lang),
            inputs: Inputs::default(),
            events: Vec::new(),
            size,
            look: None,
            cursor: kekkai_frames::caret_none(),
        }
    }

    /// What the broker told.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Questions to the broker.
    pub fn asks(&mut self) -> &mut Asks {
        &mut self.asks
    }

    /// The frame around the panes.
    pub fn shell(&mut self) -> &mut Shell {
        &mut self.shell
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u16, u16) {
        (self.size.0, self.size.1)
    }

    /// The pointer's shape and the caret's place, after the last pass.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Pixels per point.
    fn scale(&self) -> f32 {
        f32::from(self.size.2) / 100.0 * f32::from(self.shell.zoom()) / 100.0
    }

    /// Takes a message but for `Begin`, `Taken` and the pipe of rows. True when the screen has another size.
    pub fn take(&mut self, message: ToDesktop) -> Result<bool, NotAsked> {
        match self.model.take(message) {
            Some(ToDesktop::Input(inputs)) => Ok(self.input(&inputs)),
            Some(ToDesktop::Answer { request, answer }) => {
                self.answer(request, answer)?;
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    fn answer(&mut self, request: u32, answer: Answer) -> Result<(), NotAsked> {
        match &answer {
            Answer::Rows(job) => self.model.begin_rows(job),
            Answer::Outputs(outputs) => {
                self.model.take(ToDesktop::Outputs(outputs.clone()));
            }
            Answer::Programs(programs) => self.model.programs = programs.clone(),
            Answer::Names(names) => self.model.notebooks = Some(names.clone()),
            _ => {}
        }
        self.asks.answer(request, answer)
    }

    /// A piece of a job's rows. False when no more is wanted.
    pub fn take_rows(&mut self, job: &kekkai_types::JobId, piece: Piece) -> bool {
        self.model.take_rows(job, piece)
    }

    /// Input for the next pass. True when the screen has another size.
    pub fn input(&mut self, inputs: &[Input]) -> bool {
        let mut is_resized = false;
        let is_typing = self.ctx.text_edit_focused();
        for input in inputs {
            if let Input::Resize {
                width,
                height,
                scale,
            } = input
            {
                self.size = (*width, *height, *scale);
                is_resized = true;
            }
            let scale = self.scale();
            self.inputs.push(input, scale, is_typing, &mut self.events);
        }
        is_resized
    }

    /// Draws until nothing more follows from what came in. `seconds` since any beginning.
    pub fn pass(&mut self, seconds: f64, now: Timestamp) -> Drawn {
        let mut drawn = self.one_pass(seconds, now);
        for _ in 1..PASSES_MAX {
            if drawn.next != Some(Duration::ZERO) {
                return drawn;
            }
            let mut later = self.one_pass(seconds, now);
            // Glyphs of the pass before are drawn by this one, too.
            let mut output = drawn.output;
            output.append(later.output);
            later.output = output;
            drawn = later;
        }
        if drawn.next == Some(Duration::ZERO) {
            drawn.next = Some(PUT_OFF);
        }
        drawn
    }

    fn one_pass(&mut self, seconds: f64, now: Timestamp) -> Drawn {
        let look = self.shell.contrast;
        if self.look != Some(look) {
            self.look = Some(look);
            self.ctx.set_theme(match look {
                Contrast::Normal => egui::Theme::Light,
                Contrast::High => egui::Theme::Dark,
            });
            self.ctx.set_global_style(theme::style(look));
        }
        let scale = self.scale();
        let points = egui::vec2(f32::from(self.size.0), f32::from(self.size.1)) / scale;
        let mut input = RawInput {
            screen_rect: Some(Rect::from_min_size(pos2(0.0, 0.0), points)),
            time: Some(seconds),
            modifiers: self.inputs.modifiers(),
            events: std::mem::take(&mut self.events),
            focused: true,
            ..RawInput::default()
        };
        let root = input.viewports.entry(ViewportId::ROOT).or_default();
        root.native_pixels_per_point = Some(scale);
        let Self {
            ctx,
            model,
            asks,
            shell,
            ..
        } = self;
        let mut output = ctx.run_ui(input, |ui| shell.ui(ui, model, asks, now));
        for command in std::mem::take(&mut output.platform_output.commands) {
            // There is nothing to open and no clipboard but this process's own.
            if let OutputCommand::CopyText(text) = command {
                self.inputs.copy(text);
            }
        }
        self.cursor = self.cursor_of(&output, scale);
        let root = output.viewport_output.get(&ViewportId::ROOT);
        let delay = root.map_or(Duration::MAX, |root| root.repaint_delay);
        // Beyond a day there is no wish behind it.
        let next = (delay < Duration::from_secs(24 * 3600)).then_some(delay);
        Drawn { output, next }
    }

    fn cursor_of(&self, output: &FullOutput, scale: f32) -> Cursor {
        let caret = output.platform_output.ime.as_ref().and_then(|ime| {
            let caret = ime.cursor_rect * scale;
            let (width, height, _) = self.size;
            let x = pixel(caret.min.x).min(width.saturating_sub(1));
            let y = pixel(caret.min.y).min(height.saturating_sub(1));
            let rect = kekkai_frames::Rect {
                x,
                y,
                width: pixel(caret.width()).clamp(1, width.saturating_sub(x).max(1)),
                height: pixel(caret.height()).clamp(1, height.saturating_sub(y).max(1)),
            };
            caret.is_finite().then_some(rect)
        });
        Cursor {
            shape: shape(output.platform_output.cursor_icon),
            caret,
        }
    }

    /// Shapes as triangles.
    pub fn tessellate(&self, output: &mut FullOutput) -> Vec<egui::ClippedPrimitive> {
        let shapes = std::mem::take(&mut output.shapes);
        self.ctx.tessellate(shapes, output.pixels_per_point)
    }
}

/// Rounded, and within the protocol's numbers.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float becomes the nearest u16"
)]
fn pixel(value: f32) -> u16 {
    value.round() as u16
}

fn shape(icon: CursorIcon) -> CursorShape {
    match icon {
        CursorIcon::None => CursorShape::Hidden,
        CursorIcon::PointingHand | CursorIcon::Grab | CursorIcon::Grabbing => CursorShape::Hand,
        CursorIcon::Text | CursorIcon::VerticalText => CursorShape::Text,
        CursorIcon::Wait | CursorIcon::Progress => CursorShape::Wait,
        CursorIcon::NotAllowed | CursorIcon::NoDrop => CursorShape::Forbidden,
        CursorIcon::ResizeHorizontal
        | CursorIcon::ResizeColumn
        | CursorIcon::ResizeEast
        | CursorIcon::ResizeWest => CursorShape::ResizeColumn,
        CursorIcon::ResizeVertical
        | CursorIcon::ResizeRow
        | CursorIcon::ResizeNorth
        | CursorIcon::ResizeSouth => CursorShape::ResizeRow,
        _ => CursorShape::Arrow,
    }
}
