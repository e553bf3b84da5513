//! A session on the screen: its canvas, its pointer and caret, and what the person does to it.

use kekkai_frames::{
    Canvas, CanvasError, Cursor, CursorShape, Input, Key, Modifiers, Output, Rect, SIDE_MIN,
    WHEEL_MAX,
};
use winit::dpi::{PhysicalPosition, PhysicalSize};
use winit::event::{ElementState, Ime, MouseButton, MouseScrollDelta, WindowEvent};
use winit::keyboard::ModifiersState;
use winit::window::{CursorIcon, Window};

use super::glass::Glass;
use crate::keys;
use crate::link::Area;
use crate::paint::{Font, Pixels};
use crate::screens;

/// One notch of a wheel, in pixels.
const NOTCH: f64 = 50.0;

/// What of a session is here. Dropped, its pixels are wiped.
pub(super) struct Session {
    canvas: Canvas,
    cursor: Cursor,
    changed: Vec<Rect>,
    /// Frames that are complete and not yet on the screen.
    undrawn: Vec<u32>,
    /// What the input method composes, and where it was drawn.
    composed: String,
    composed_at: Option<Rect>,
    pointer: (u16, u16),
    buttons: u8,
    held: Modifiers,
    is_pointer_moved: bool,
    down: Vec<Key>,
    area: Option<Area>,
}

impl Session {
    /// A black screen, until its size is told.
    pub(super) fn new() -> Result<Self, CanvasError> {
        Ok(Self {
            canvas: Canvas::new(SIDE_MIN, SIDE_MIN)?,
            cursor: kekkai_frames::caret_none(),
            changed: Vec::new(),
            undrawn: Vec::new(),
            composed: String::new(),
            composed_at: None,
            pointer: (0, 0),
            buttons: 0,
            held: Modifiers::default(),
            is_pointer_moved: false,
            down: Vec::new(),
            area: None,
        })
    }

    /// Takes a message; gives what is answered at once.
    pub(super) fn apply(
        &mut self,
        output: &Output,
        window: &Window,
    ) -> Result<Vec<Input>, CanvasError> {
        let changed = self.canvas.apply(output)?;
        let mut answer = Vec::new();
        match output {
            Output::Tiles {
                frame,
                ends_frame: true,
                ..
            } => self.undrawn.push(*frame),
            Output::Cursor(cursor) => self.point(*cursor, window),
            Output::Ping { number } => answer.push(Input::Ack {
                number: *number,
                is_ping: true,
            }),
            Output::Tiles { .. } | Output::Scroll { .. } | Output::Size { .. } => {}
        }
        self.changed.extend(changed);
        if !self.changed.is_empty() || !self.undrawn.is_empty() {
            window.request_redraw();
        }
        Ok(answer)
    }

    fn point(&mut self, cursor: Cursor, window: &Window) {
        if cursor.shape != self.cursor.shape {
            window.set_cursor_visible(cursor.shape != CursorShape::Hidden);
            window.set_cursor(icon(cursor.shape));
        }
        if cursor.caret.is_some() != self.cursor.caret.is_some() {
            window.set_ime_allowed(cursor.caret.is_some());
        }
        if let Some(caret) = cursor.caret {
            let place = PhysicalPosition::new(u32::from(caret.x), u32::from(caret.y));
            let size = PhysicalSize::new(u32::from(caret.width), u32::from(caret.height));
            window.set_ime_cursor_area(place, size);
        }
        self.cursor = cursor;
    }

    /// Draws what changed; gives the acknowledgements of what is now on the screen.
    pub(super) fn draw(
        &mut self,
        glass: &mut Glass,
        font: &mut Font,
        scale: u16,
    ) -> Result<Vec<Input>, String> {
        let mut changed = std::mem::take(&mut self.changed);
        // The composition lies over the picture: where it was and where it is are drawn again.
        changed.extend(self.composed_at.take());
        if changed.is_empty() && self.composed.is_empty() {
            // The window system lost what it had.
            glass.forget();
        }
        let overlay = self
            .cursor
            .caret
            .filter(|_| !self.composed.is_empty())
            .map(|caret| (caret, self.composed.as_str()));
        if let Some((caret, composed)) = overlay {
            // Measured first, so that the window system is told of it.
            let (width, height) = (self.canvas.width(), self.canvas.height());
            let mut nothing = Vec::new();
            let (width, height) = (usize::from(width), usize::from(height));
            let mut measured = Pixels::new(&mut nothing, width, height);
            let at = screens::composition(&mut measured, font, scale, caret, composed);
            changed.push(at);
            self.composed_at = Some(at);
        }
        let canvas = &self.canvas;
        glass.draw(changed, |pixels, parts| {
            paint(pixels, canvas, parts);
            if let Some((caret, composed)) = overlay {
                screens::composition(pixels, font, scale, caret, composed);
            }
        })?;
        let acknowledged = std::mem::take(&mut self.undrawn);
        let ack = |number| Input::Ack {
            number,
            is_ping: false,
        };
        Ok(acknowledged.into_iter().map(ack).collect())
    }

    /// What an event of the window means to the session.
    pub(super) fn input(&mut self, event: &WindowEvent, held: ModifiersState) -> Vec<Input> {
        let held = keys::modifiers(held);
        self.held = held;
        match event {
            WindowEvent::KeyboardInput { event, .. } => {
                let is_text_entered = self.cursor.caret.is_some();
                let strokes = keys::inputs(event, held, is_text_entered, &mut self.down);
                self.after_pointer(strokes)
            }
            WindowEvent::Ime(Ime::Preedit(composed, _)) => {
                composed.clone_into(&mut self.composed);
                Vec::new()
            }
            WindowEvent::Ime(Ime::Commit(text)) => {
                self.composed.clear();
                keys::text(text)
            }
            WindowEvent::Ime(Ime::Disabled) => {
                self.composed.clear();
                Vec::new()
            }
            WindowEvent::CursorMoved { position, .. } => {
                let side = |at: f64, length: u16| whole(at).clamp(0, i32::from(length) - 1);
                let x = side(position.x, self.canvas.width());
                let y = side(position.y, self.canvas.height());
                let [x, y] = [x, y].map(|at| u16::try_from(at).unwrap_or(0));
                self.is_pointer_moved |= self.pointer != (x, y);
                self.pointer = (x, y);
                Vec::new()
            }
            WindowEvent::MouseInput { state, button, .. } => {
                let bit = match button {
                    MouseButton::Left => 1,
                    MouseButton::Right => 2,
                    MouseButton::Middle => 4,
                    _ => return Vec::new(),
                };
                let mut inputs = self.after_pointer(Vec::new());
                match state {
                    ElementState::Pressed => self.buttons |= bit,
                    ElementState::Released => self.buttons &= !bit,
                }
                inputs.push(self.pointer_input((0, 0)));
                inputs
            }
            WindowEvent::MouseWheel { delta, .. } => {
                // Positive turns up there, and down here.
                let (x, y) = match delta {
                    MouseScrollDelta::LineDelta(x, y) => {
                        (f64::from(*x) * NOTCH, f64::from(*y) * NOTCH)
                    }
                    MouseScrollDelta::PixelDelta(by) => (by.x, by.y),
                };
                let turned = |by: f64| {
                    let max = i32::from(WHEEL_MAX);
                    i16::try_from(whole(-by).clamp(-max, max)).unwrap_or(0)
                };
                let mut inputs = self.after_pointer(Vec::new());
                inputs.push(self.pointer_input((turned(x), turned(y))));
                inputs
            }
            WindowEvent::Focused(false) => {
                self.composed.clear();
                let mut inputs = keys::released(&mut self.down);
                if std::mem::take(&mut self.buttons) != 0 {
                    inputs.push(self.pointer_input((0, 0)));
                }
                inputs
            }
            _ => Vec::new(),
        }
    }

    /// What waited for the end of a burst of events: the pointer's last place, the window's last size.
    pub(super) fn pending(&mut self, area: Area) -> Vec<Input> {
        let mut inputs = self.after_pointer(Vec::new());
        // The first size went with the opening.
        if self.area.replace(area).is_some_and(|before| before != area) {
            inputs.push(area.into());
        }
        inputs
    }

    fn after_pointer(&mut self, inputs: Vec<Input>) -> Vec<Input> {
        let mut all = Vec::new();
        if std::mem::take(&mut self.is_pointer_moved) {
            all.push(self.pointer_input((0, 0)));
        }
        all.extend(inputs);
        all
    }

    fn pointer_input(&self, (wheel_x, wheel_y): (i16, i16)) -> Input {
        Input::Pointer {
            x: self.pointer.0,
            y: self.pointer.1,
            buttons: self.buttons,
            wheel_x,
            wheel_y,
            modifiers: self.held,
        }
    }
}

/// Copies the session's pixels; what lies beyond its screen is black.
fn paint(pixels: &mut Pixels<'_>, canvas: &Canvas, parts: Option<&[Rect]>) {
    let width = usize::from(canvas.width());
    match parts {
        Some(parts) => {
            for at in parts {
                pixels.picture(canvas.rgba(), width, *at);
            }
        }
        None => {
            pixels.clear(screens::BLACK);
            let whole = Rect {
                x: 0,
                y: 0,
                width: canvas.width(),
                height: canvas.height(),
            };
            pixels.picture(canvas.rgba(), width, whole);
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "clamped before")]
fn whole(length: f64) -> i32 {
    length.clamp(-1e6, 1e6) as i32
}

fn icon(shape: CursorShape) -> CursorIcon {
    match shape {
        CursorShape::Arrow | CursorShape::Hidden => CursorIcon::Default,
        CursorShape::Text => CursorIcon::Text,
        CursorShape::Hand => CursorIcon::Pointer,
        CursorShape::ResizeColumn => CursorIcon::ColResize,
        CursorShape::ResizeRow => CursorIcon::RowResize,
        CursorShape::Wait => CursorIcon::Wait,
        CursorShape::Forbidden => CursorIcon::NotAllowed,
    }
}
