//! A font file, and the glyphs that were drawn from it.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use skrifa::instance::{LocationRef, Size};
use skrifa::outline::DrawSettings;
use skrifa::{FontRef, GlyphId, MetadataProvider as _};

use super::raster::Raster;

/// The largest font file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Glyphs kept; then all are forgotten.
const GLYPHS_MAX: usize = 2048;

/// Why a font can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FontError {
    /// Not there, or too long.
    #[error("the font \"{path}\" can't be read")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not TrueType or OpenType.
    #[error("the font \"{0}\" is no TrueType or OpenType font")]
    Malformed(String),
}

/// One glyph at one size.
pub(super) struct Glyph {
    /// From the pen, in pixels.
    pub(super) left: isize,
    /// From the baseline, downwards.
    pub(super) top: isize,
    pub(super) width: usize,
    pub(super) advance: usize,
    /// 0 to 255, row by row.
    pub(super) coverage: Vec<u8>,
}

/// A font.
pub struct Font {
    data: Vec<u8>,
    glyphs: HashMap<(char, u16), Rc<Glyph>>,
}

impl std::fmt::Debug for Font {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Font")
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped before"
)]
fn pixels(length: f32) -> usize {
    length.round().clamp(0.0, 4096.0) as usize
}

#[allow(clippy::cast_possible_truncation, reason = "clamped before")]
fn offset(length: f32) -> isize {
    length.clamp(-4096.0, 4096.0) as isize
}

impl Font {
    /// Reads a font; of a collection, the first.
    ///
    /// # Errors
    /// It can't be read or is none.
    pub fn load(path: &Path) -> Result<Self, FontError> {
        let name = path.display().to_string();
        let read = || {
            if std::fs::metadata(path)?.len() > FILE_BYTES_MAX {
                return Err(std::io::ErrorKind::FileTooLarge.into());
            }
            std::fs::read(path)
        };
        let data = read().map_err(|source| FontError::File {
            path: name.clone(),
            source,
        })?;
        FontRef::from_index(&data, 0).map_err(|_| FontError::Malformed(name))?;
        Ok(Self {
            data,
            glyphs: HashMap::new(),
        })
    }

    /// The width of a text, in pixels.
    pub fn width(&mut self, size: u16, text: &str) -> usize {
        text.chars().map(|c| self.glyph(c, size).advance).sum()
    }

    /// Lines of at most `width` pixels. Breaks at spaces, and beside characters that are written without.
    pub fn wrap(&mut self, size: u16, width: usize, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for paragraph in text.lines() {
            let mut line = String::new();
            let mut length = 0;
            for word in words(paragraph) {
                let word_length = self.width(size, word.trim_end());
                if length + word_length > width && !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                    length = 0;
                }
                line.push_str(word);
                length += self.width(size, word);
            }
            lines.push(line);
        }
        lines
    }

    pub(super) fn glyph(&mut self, character: char, size: u16) -> Rc<Glyph> {
        let key = (character, size);
        if let Some(glyph) = self.glyphs.get(&key) {
            return glyph.clone();
        }
        if self.glyphs.len() >= GLYPHS_MAX {
            self.glyphs.clear();
        }
        let glyph = Rc::new(self.draw(character, size));
        self.glyphs.insert(key, glyph.clone());
        glyph
    }

    fn draw(&self, character: char, size: u16) -> Glyph {
        let nothing = Glyph {
            left: 0,
            top: 0,
            width: 0,
            advance: usize::from(size) / 2,
            coverage: Vec::new(),
        };
        let Ok(font) = FontRef::from_index(&self.data, 0) else {
            return nothing;
        };
        let id = font.charmap().map(character).unwrap_or(GlyphId::NOTDEF);
        let size = Size::new(f32::from(size));
        let metrics = font.glyph_metrics(size, LocationRef::default());
        let advance = metrics.advance_width(id).map_or(nothing.advance, pixels);
        let Some(outline) = font.outline_glyphs().get(id) else {
            return Glyph { advance, ..nothing };
        };
        // The outline's own box: a font may claim another.
        let mut extent = Extent::default();
        let settings = || DrawSettings::unhinted(size, LocationRef::default());
        if outline.draw(settings(), &mut extent).is_err() || extent.is_empty() {
            return Glyph { advance, ..nothing };
        }
        let Extent {
            left,
            bottom,
            right,
            top,
        } = extent;
        let mut raster = Raster::new(left, bottom, right, top);
        if outline.draw(settings(), &mut raster).is_err() {
            return Glyph { advance, ..nothing };
        }
        Glyph {
            left: offset(left.floor()),
            top: offset(-top.ceil()),
            width: raster.width(),
            advance,
            coverage: raster.coverage(),
        }
    }
}

/// Words with the spaces behind them; characters of Japanese are words of their own.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut before: Option<char> = None;
    for (at, character) in text.char_indices() {
        let breaks = before.is_some_and(|before| {
            (before == ' ' && character != ' ')
                || (is_wide(before) && !is_closing(character))
                || (is_wide(character) && !is_closing(character))
        });
        if breaks {
            words.extend(text.get(start..at));
            start = at;
        }
        before = Some(character);
    }
    words.extend(text.get(start..));
    words
}

fn is_wide(character: char) -> bool {
    matches!(character, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}')
}

/// May not begin a line.
fn is_closing(character: char) -> bool {
    "、。，．）」』】ー・…っゃゅょッャュョ".contains(character)
}

struct Extent {
    left: f32,
    bottom: f32,
    right: f32,
    top: f32,
}

impl Default for Extent {
    fn default() -> Self {
        Self {
            left: f32::MAX,
            bottom: f32::MAX,
            right: f32::MIN,
            top: f32::MIN,
        }
    }
}

impl Extent {
    fn is_empty(&self) -> bool {
        self.left >= self.right || self.bottom >= self.top
    }

    fn add(&mut self, x: f32, y: f32) {
        self.left = self.left.min(x);
        self.right = self.right.max(x);
        self.bottom = self.bottom.min(y);
        self.top = self.top.max(y);
    }
}

/// Control points bound the curve.
impl skrifa::outline::OutlinePen for Extent {
    fn move_to(&mut self, x: f32, y: f32) {
        self.add(x, y);
    }
    fn line_to(&mut self, x: f32, y: f32) {
        self.add(x, y);
    }
    fn quad_to(&mut self, cx0: f32, cy0: f32, x: f32, y: f32) {
        self.add(cx0, cy0);
        self.add(x, y);
    }
    fn curve_to(&mut self, cx0: f32, cy0: f32, cx1: f32, cy1: f32, x: f32, y: f32) {
        self.add(cx0, cy0);
        self.add(cx1, cy1);
        self.add(x, y);
    }
    fn close(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn japanese_breaks_anywhere_but_before_its_marks() {
        assert_eq!(
            words("もう一度。a b"),
            ["も", "う", "一", "度。", "a ", "b"]
        );
    }
}
