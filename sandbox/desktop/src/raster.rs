//! From egui's triangles to tiles of pixels, and only those that changed.
//!
//! Triangles are sorted into the tiles that they touch. A tile whose triangles are the same as in the last
//! frame is not drawn again; one that is drawn and looks the same is not sent again. Both are known by
//! 64-bit hashes, so that no picture of the screen is kept: the one tile being drawn is all there is, and it
//! is wiped at the end.

use std::hash::{BuildHasher, Hasher};
use std::io;

use egui::ahash;
use egui::epaint::{ClippedPrimitive, Mesh, Primitive, Vertex};
use egui::{Pos2, Rect, TextureId, TexturesDelta, pos2, vec2};
use egui_software_backend::{BufferMutRef, ColorFieldOrder, EguiSoftwareRender};
use zeroize::Zeroize;

/// A tile's side, in pixels.
const TILE: usize = kekkai_frames::TILE as usize;
/// As a float.
const TILE_F: f32 = kekkai_frames::TILE as f32;
/// How far beyond a tile a corner may lie, in pixels, before its triangle is cut: the rasterizer leaves out
/// what is wider than 8,192.
const REACH: f32 = 2_048.0;

/// A tile's pixels: red, green, blue and one that is not looked at, row by row.
type TilePixels = [[u8; 4]; TILE * TILE];

/// Draws tiles.
pub struct Raster {
    renderer: EguiSoftwareRender,
    hash: ahash::RandomState,
    columns: usize,
    rows: usize,
    tiles: Vec<Tile>,
    /// Counts the times that a texture was replaced whole: glyphs have moved.
    textures: u64,
    pixels: Box<TilePixels>,
}

/// What is known of a tile.
#[derive(Debug, Clone, Default)]
struct Tile {
    /// Of its triangles, in the last frame; `None` before the first.
    drawn: Option<u64>,
    /// Of its pixels, as they were sent.
    sent: Option<u64>,
    /// Of its triangles, in this frame.
    now: u64,
    /// Primitive and first index of each triangle that touches it, in order.
    triangles: Vec<(u32, u32)>,
}

impl std::fmt::Debug for Raster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Raster({} x {} tiles)", self.columns, self.rows)
    }
}

impl Drop for Raster {
    fn drop(&mut self) {
        self.pixels.as_flattened_mut().zeroize();
    }
}

impl Default for Raster {
    fn default() -> Self {
        Self {
            renderer: EguiSoftwareRender::new(ColorFieldOrder::Rgba).with_caching(false),
            // Fixed seeds: nobody chooses pixels in order to collide with themselves.
            hash: ahash::RandomState::with_seeds(1, 2, 3, 4),
            columns: 0,
            rows: 0,
            tiles: Vec::new(),
            textures: 0,
            pixels: Box::new([[0; 4]; TILE * TILE]),
        }
    }
}

impl Raster {
    /// A screen of this size in pixels, of which nothing was sent yet.
    pub fn resize(&mut self, width: u16, height: u16) {
        self.columns = usize::from(width).div_ceil(TILE);
        self.rows = usize::from(height).div_ceil(TILE);
        self.tiles = vec![Tile::default(); self.columns.saturating_mul(self.rows)];
    }

    /// Tiles in a row of the screen.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Draws what changed. `put` gets column, row and pixels of each tile that looks another than it was
    /// sent; the same places are returned.
    pub fn draw(
        &mut self,
        primitives: &[ClippedPrimitive],
        textures: &TexturesDelta,
        pixels_per_point: f32,
        mut put: impl FnMut(u16, u16, &[u8]) -> io::Result<()>,
    ) -> io::Result<Vec<(u16, u16)>> {
        self.set_textures(textures);
        self.sort(primitives, pixels_per_point);
        let mut changed = Vec::new();
        for at in 0..self.tiles.len() {
            let Some(tile) = self.tiles.get_mut(at) else {
                break;
            };
            if tile.drawn == Some(tile.now) {
                continue;
            }
            tile.drawn = Some(tile.now);
            let triangles = std::mem::take(&mut tile.triangles);
            let (row, column) = (at / self.columns.max(1), at % self.columns.max(1));
            self.draw_tile(column, row, &triangles, primitives, pixels_per_point);
            let bytes = self.pixels.as_flattened();
            let sent = self.hash.hash_one(bytes);
            let Some(tile) = self.tiles.get_mut(at) else {
                break;
            };
            // Its memory is used again for the next frame's triangles.
            tile.triangles = triangles;
            if tile.sent == Some(sent) {
                continue;
            }
            tile.sent = Some(sent);
            let place = (narrow(column), narrow(row));
            put(place.0, place.1, bytes)?;
            changed.push(place);
        }
        self.free_textures(textures);
        Ok(changed)
    }

    fn set_textures(&mut self, textures: &TexturesDelta) {
        if textures.set.is_empty() {
            return;
        }
        // A texture that comes whole may be the old one with its glyphs elsewhere.
        if textures.set.iter().any(|(_, delta)| delta.is_whole()) {
            self.textures = self.textures.wrapping_add(1);
        }
        let set = TexturesDelta {
            set: textures.set.clone(),
            free: Vec::new(),
        };
        self.hand_over(&set);
    }

    /// What this frame still drew with is let go of after it.
    fn free_textures(&mut self, textures: &TexturesDelta) {
        if !textures.free.is_empty() {
            let free = TexturesDelta {
                set: Vec::new(),
                free: textures.free.clone(),
            };
            self.hand_over(&free);
        }
    }

    fn hand_over(&mut self, textures: &TexturesDelta) {
        let mut nothing = [[0; 4]];
        let mut buffer = BufferMutRef::new(&mut nothing, 1, 1);
        self.renderer.render(&mut buffer, &[], textures, 1.0);
    }

    /// Sorts triangles into tiles, and hashes what each tile gets.
    fn sort(&mut self, primitives: &[ClippedPrimitive], pixels_per_point: f32) {
        for tile in &mut self.tiles {
            tile.triangles.clear();
            tile.now = self.textures;
        }
        for (number, primitive) in (0_u32..).zip(primitives) {
            let Primitive::Mesh(mesh) = &primitive.primitive else {
                continue;
            };
            let clip = primitive.clip_rect * pixels_per_point;
            let clip = Rect::from_min_max(clip.min.floor(), clip.max.ceil());
            let seed = self.seed(&clip, mesh.texture_id);
            for (first, indices) in (0_u32..).step_by(3).zip(mesh.indices.chunks_exact(3)) {
                let Some(corners) = corners(mesh, indices) else {
                    continue;
                };
                let area = area(&corners, pixels_per_point).intersect(clip);
                // The least part of a pixel may colour it.
                if area.max.x <= area.min.x - 1.0 || area.max.y <= area.min.y - 1.0 {
                    continue;
                }
                let hash = self.of_triangle(seed, &corners);
                let (left, right) = span(area.min.x, area.max.x, self.columns);
                let (top, bottom) = span(area.min.y, area.max.y, self.rows);
                for row in top..bottom {
                    for column in left..right {
                        let at = row.saturating_mul(self.columns).saturating_add(column);
                        if let Some(tile) = self.tiles.get_mut(at) {
                            tile.triangles.push((number, first));
                            tile.now = mix(tile.now, hash);
                        }
                    }
                }
            }
        }
    }

    fn seed(&self, clip: &Rect, texture: TextureId) -> u64 {
        let mut hasher = self.hash.build_hasher();
        for side in [clip.min.x, clip.min.y, clip.max.x, clip.max.y] {
            hasher.write_u32(side.to_bits());
        }
        std::hash::Hash::hash(&texture, &mut hasher);
        hasher.finish()
    }

    fn of_triangle(&self, seed: u64, corners: &[Vertex; 3]) -> u64 {
        let mut hasher = self.hash.build_hasher();
        hasher.write_u64(seed);
        for corner in corners {
            let pair = |a: f32, b: f32| u64::from(a.to_bits()) << 32 | u64::from(b.to_bits());
            hasher.write_u64(pair(corner.pos.x, corner.pos.y));
            hasher.write_u64(pair(corner.uv.x, corner.uv.y));
            hasher.write_u32(u32::from_le_bytes(corner.color.to_array()));
        }
        hasher.finish()
    }

    fn draw_tile(
        &mut self,
        column: usize,
        row: usize,
        triangles: &[(u32, u32)],
        primitives: &[ClippedPrimitive],
        pixels_per_point: f32,
    ) {
        let corner = vec2(f32::from(narrow(column)), f32::from(narrow(row))) * TILE_F;
        let mut jobs: Vec<ClippedPrimitive> = Vec::new();
        let mut last = None;
        for (number, first) in triangles {
            let Some(primitive) = index(primitives, *number) else {
                continue;
            };
            let Primitive::Mesh(mesh) = &primitive.primitive else {
                continue;
            };
            if last != Some(*number) {
                last = Some(*number);
                let clip = primitive.clip_rect * pixels_per_point;
                jobs.push(ClippedPrimitive {
                    clip_rect: clip.translate(-corner),
                    primitive: Primitive::Mesh(Mesh::with_texture(mesh.texture_id)),
                });
            }
            let Some(job) = jobs.last_mut() else { continue };
            let Primitive::Mesh(to) = &mut job.primitive else {
                continue;
            };
            let first = usize::try_from(*first).unwrap_or(usize::MAX);
            let indices = mesh
                .indices
                .get(first..first.saturating_add(3))
                .unwrap_or_default();
            let Some(mut corners) = corners(mesh, indices) else {
                continue;
            };
            for vertex in &mut corners {
                vertex.pos = pos2(
                    vertex.pos.x * pixels_per_point,
                    vertex.pos.y * pixels_per_point,
                ) - corner;
            }
            push(to, corners);
        }
        for job in &mut jobs {
            if let Primitive::Mesh(mesh) = &mut job.primitive {
                end(mesh);
            }
        }
        self.pixels.fill([0, 0, 0, 255]);
        let mut buffer = BufferMutRef::new(self.pixels.as_mut_slice(), TILE, TILE);
        self.renderer
            .render(&mut buffer, &jobs, &TexturesDelta::default(), 1.0);
    }
}

/// Order matters: what is drawn later lies above.
fn mix(state: u64, hash: u64) -> u64 {
    (state.rotate_left(5) ^ hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn index(primitives: &[ClippedPrimitive], number: u32) -> Option<&ClippedPrimitive> {
    primitives.get(usize::try_from(number).ok()?)
}

fn corners(mesh: &Mesh, indices: &[u32]) -> Option<[Vertex; 3]> {
    let [a, b, c] = indices else { return None };
    let vertex = |at: &u32| mesh.vertices.get(usize::try_from(*at).ok()?).copied();
    Some([vertex(a)?, vertex(b)?, vertex(c)?])
}

fn area(corners: &[Vertex; 3], pixels_per_point: f32) -> Rect {
    let mut area = Rect::NOTHING;
    for corner in corners {
        area.extend_with(corner.pos);
    }
    area * pixels_per_point
}

/// Tiles from one place to another, in pixels: the first, and the one after the last.
fn span(from: f32, to: f32, tiles: usize) -> (usize, usize) {
    (
        tile_of(from).min(tiles),
        tile_of(to).saturating_add(1).min(tiles),
    )
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float becomes the nearest usize; what is negative or NaN becomes 0"
)]
fn tile_of(pixels: f32) -> usize {
    (pixels / TILE_F).floor() as usize
}

/// A screen has at most 2,560 pixels either way.
fn narrow(tiles: usize) -> u16 {
    u16::try_from(tiles).unwrap_or(u16::MAX)
}

/// Appends a triangle, in pixels of the tile; what reaches far beyond it is cut.
fn push(mesh: &mut Mesh, corners: [Vertex; 3]) {
    let far = Rect::from_min_max(Pos2::ZERO, pos2(TILE_F, TILE_F)).expand(REACH);
    if corners.iter().all(|corner| far.contains(corner.pos)) {
        push_fan(mesh, &corners);
    } else {
        push_fan(mesh, &cut(&corners, far));
    }
}

fn push_fan(mesh: &mut Mesh, corners: &[Vertex]) {
    let Some((first, rest)) = corners.split_first() else {
        return;
    };
    for pair in rest.windows(2) {
        let at = u32::try_from(mesh.vertices.len()).unwrap_or(u32::MAX);
        mesh.vertices.push(*first);
        mesh.vertices.extend_from_slice(pair);
        mesh.indices
            .extend([at, at.saturating_add(1), at.saturating_add(2)]);
    }
}

/// The rasterizer takes two triangles for a rectangle only where another follows: one without area does.
fn end(mesh: &mut Mesh) {
    if let Some(at) = mesh.indices.last().copied() {
        mesh.indices.extend([at; 3]);
    }
}

/// Cuts a triangle at the four sides of an area (Sutherland and Hodgman).
fn cut(corners: &[Vertex], area: Rect) -> Vec<Vertex> {
    let sides: [&dyn Fn(Pos2) -> f32; 4] = [
        &|at| at.x - area.min.x,
        &|at| area.max.x - at.x,
        &|at| at.y - area.min.y,
        &|at| area.max.y - at.y,
    ];
    let mut inside = corners.to_vec();
    for distance in sides {
        let around = inside.iter().zip(inside.iter().cycle().skip(1));
        let mut kept = Vec::with_capacity(inside.len().saturating_add(1));
        for (from, to) in around {
            let (a, b) = (distance(from.pos), distance(to.pos));
            if a >= 0.0 {
                kept.push(*from);
            }
            if (a >= 0.0) != (b >= 0.0) {
                kept.push(between(from, to, a / (a - b)));
            }
        }
        inside = kept;
    }
    inside
}

fn between(from: &Vertex, to: &Vertex, part: f32) -> Vertex {
    Vertex {
        pos: from.pos.lerp(to.pos, part),
        uv: from.uv.lerp(to.uv, part),
        color: from.color.lerp_to_gamma(to.color, part),
    }
}

#[cfg(test)]
mod tests;
