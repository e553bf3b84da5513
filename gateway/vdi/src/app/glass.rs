//! The window's surface: what is drawn, and which parts of it.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;

use kekkai_frames::Rect;
use softbuffer::{Context, Surface};
use winit::window::Window;

use crate::paint::Pixels;

/// Frames back that a buffer may show and be drawn on in parts. Wayland gives the one before the last.
const AGE_MAX: usize = 3;

/// A window that can be drawn on.
pub(super) struct Glass {
    window: Arc<Window>,
    surface: Surface<Arc<Window>, Arc<Window>>,
    size: (u32, u32),
    /// What the last frames changed, the newest first; `None`: everything.
    before: VecDeque<Option<Vec<Rect>>>,
    is_forgotten: bool,
}

impl Glass {
    pub(super) fn new(window: Window) -> Result<Self, String> {
        let window = Arc::new(window);
        let context = Context::new(window.clone()).map_err(|error| error.to_string())?;
        let surface = Surface::new(&context, window.clone()).map_err(|error| error.to_string())?;
        Ok(Self {
            window,
            surface,
            size: (0, 0),
            before: VecDeque::new(),
            is_forgotten: true,
        })
    }

    pub(super) fn window(&self) -> &Window {
        &self.window
    }

    /// The next frame is drawn whole.
    pub(super) fn forget(&mut self) {
        self.is_forgotten = true;
    }

    pub(super) fn draw_all(&mut self, paint: impl FnOnce(&mut Pixels<'_>)) -> Result<(), String> {
        self.forget();
        self.draw(Vec::new(), |pixels, _| paint(pixels))
    }

    /// Draws a frame. `paint` is told which rectangles it has to draw: those that changed, those that the
    /// buffer missed, or `None` for everything.
    pub(super) fn draw(
        &mut self,
        changed: Vec<Rect>,
        paint: impl FnOnce(&mut Pixels<'_>, Option<&[Rect]>),
    ) -> Result<(), String> {
        let size = self.window.inner_size();
        let (Some(width), Some(height)) =
            (NonZeroU32::new(size.width), NonZeroU32::new(size.height))
        else {
            // A minimised window.
            return Ok(());
        };
        if self.size != (size.width, size.height) {
            self.surface
                .resize(width, height)
                .map_err(|error| error.to_string())?;
            self.size = (size.width, size.height);
            self.is_forgotten = true;
        }
        let mut buffer = self
            .surface
            .buffer_mut()
            .map_err(|error| error.to_string())?;
        let changed = (!std::mem::take(&mut self.is_forgotten)).then_some(changed);
        let age = usize::from(buffer.age());
        let parts = match &changed {
            Some(changed) if age > 0 => missed(changed, age, &self.before),
            _ => None,
        };
        let side = |length: u32| usize::try_from(length).unwrap_or(0);
        let mut pixels = Pixels::new(&mut buffer, side(size.width), side(size.height));
        paint(&mut pixels, parts.as_deref());
        let presented = match &changed {
            Some(changed) => {
                let damage: Vec<_> = changed.iter().filter_map(|at| clipped(*at, size)).collect();
                buffer.present_with_damage(&damage)
            }
            None => buffer.present(),
        };
        self.before.push_front(changed);
        self.before.truncate(AGE_MAX);
        presented.map_err(|error| error.to_string())
    }
}

/// What a buffer that was last shown `age` frames ago lacks; `None`: everything.
fn missed(changed: &[Rect], age: usize, before: &VecDeque<Option<Vec<Rect>>>) -> Option<Vec<Rect>> {
    let mut parts = changed.to_vec();
    for back in 0..age - 1 {
        parts.extend_from_slice(before.get(back)?.as_deref()?);
    }
    Some(parts)
}

fn clipped(at: Rect, size: winit::dpi::PhysicalSize<u32>) -> Option<softbuffer::Rect> {
    let [x, y, width, height] = [at.x, at.y, at.width, at.height].map(u32::from);
    Some(softbuffer::Rect {
        x,
        y,
        width: NonZeroU32::new(width.min(size.width.saturating_sub(x)))?,
        height: NonZeroU32::new(height.min(size.height.saturating_sub(y)))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_buffers_get_what_they_missed() {
        let at = |x| Rect {
            x,
            y: 0,
            width: 1,
            height: 1,
        };
        let before = VecDeque::from([Some(vec![at(2)]), None]);
        assert_eq!(missed(&[at(1)], 1, &before), Some(vec![at(1)]));
        assert_eq!(missed(&[at(1)], 2, &before), Some(vec![at(1), at(2)]));
        // The frame before that was drawn whole; nothing is known of the one before it.
        assert_eq!(missed(&[at(1)], 3, &before), None);
        assert_eq!(missed(&[at(1)], 9, &before), None);
    }

    #[test]
    fn damage_stays_within_the_window() {
        let size = winit::dpi::PhysicalSize::new(100, 50);
        let at = |x, y, width, height| {
            clipped(
                Rect {
                    x,
                    y,
                    width,
                    height,
                },
                size,
            )
        };
        let inside = at(90, 40, 64, 64).unwrap();
        assert_eq!((inside.width.get(), inside.height.get()), (10, 10));
        assert!(at(100, 0, 5, 5).is_none() && at(0, 60, 5, 5).is_none());
    }
}
