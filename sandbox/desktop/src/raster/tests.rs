use super::*;
use egui::{Color32, Context, RawInput, Shape};

/// A screen put together from tiles.
struct Screen {
    width: usize,
    pixels: Vec<[u8; 4]>,
}

impl Screen {
    fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            pixels: vec![[0; 4]; width * height],
        }
    }

    fn put(&mut self, column: u16, row: u16, bytes: &[u8]) {
        for (y, line) in bytes.chunks(TILE * 4).enumerate() {
            for (x, pixel) in line.chunks(4).enumerate() {
                let (x, y) = (usize::from(column) * TILE + x, usize::from(row) * TILE + y);
                if x < self.width && y * self.width + x < self.pixels.len() {
                    self.pixels[y * self.width + x] = pixel.try_into().unwrap();
                }
            }
        }
    }
}

fn scene(
    ctx: &Context,
    points: egui::Vec2,
    extra: &[Shape],
) -> (Vec<ClippedPrimitive>, TexturesDelta) {
    let input = RawInput {
        screen_rect: Some(Rect::from_min_size(Pos2::ZERO, points)),
        ..RawInput::default()
    };
    let output = ctx.run_ui(input, |ui| {
        ui.painter()
            .rect_filled(ui.max_rect(), 0.0, Color32::from_gray(240));
        ui.label("Mean blood pressure by region and sex: 128.25 (n = 143)");
        ui.painter()
            .circle_filled(pos2(130.0, 70.0), 40.0, Color32::from_rgb(20, 90, 200));
        ui.painter().extend(extra.to_vec());
    });
    let primitives = ctx.tessellate(output.shapes, output.pixels_per_point);
    (primitives, output.textures_delta)
}

#[test]
fn tiles_together_are_the_picture_drawn_whole() {
    let (width, height) = (300, 180);
    let ctx = Context::default();
    let (primitives, textures) = scene(&ctx, vec2(300.0, 180.0), &[]);
    let mut raster = Raster::default();
    raster.resize(width as u16, height as u16);
    let mut screen = Screen::new(width, height);
    raster
        .draw(&primitives, &textures, 1.0, |x, y, bytes| {
            screen.put(x, y, bytes);
            Ok(())
        })
        .unwrap();
    let mut whole = vec![[0, 0, 0, 255]; width * height];
    let mut renderer = EguiSoftwareRender::new(ColorFieldOrder::Rgba).with_caching(false);
    let mut buffer = BufferMutRef::new(&mut whole, width, height);
    renderer.render(&mut buffer, &primitives, &textures, 1.0);
    let differ = screen
        .pixels
        .iter()
        .zip(&whole)
        .filter(|(a, b)| a.iter().zip(b.iter()).any(|(a, b)| a.abs_diff(*b) > 2));
    assert_eq!(differ.count(), 0);
    // It is a picture at all.
    let dark = whole.iter().filter(|pixel| pixel[0] < 100).count();
    assert!(dark > 4_000, "{dark}");
}

#[test]
fn only_tiles_that_look_another_are_sent() {
    let ctx = Context::default();
    let mut raster = Raster::default();
    raster.resize(640, 480);
    let size = vec2(640.0, 480.0);
    let draw = |raster: &mut Raster, extra: &[Shape]| {
        let (primitives, textures) = scene(&ctx, size, extra);
        raster
            .draw(&primitives, &textures, 1.0, |_, _, _| Ok(()))
            .unwrap()
    };
    assert_eq!(draw(&mut raster, &[]).len(), 80);
    assert!(draw(&mut raster, &[]).is_empty());
    let dot = Shape::rect_filled(
        Rect::from_min_size(pos2(400.0, 300.0), vec2(4.0, 4.0)),
        0.0,
        Color32::RED,
    );
    assert_eq!(draw(&mut raster, std::slice::from_ref(&dot)), [(6, 4)]);
    // What is drawn in the colour that is there already changes nothing.
    let same = Rect::from_min_size(pos2(100.0, 400.0), vec2(4.0, 4.0));
    let same = Shape::rect_filled(same, 0.0, Color32::from_gray(240));
    assert!(draw(&mut raster, &[dot, same]).is_empty());
    raster.resize(640, 480);
    assert_eq!(draw(&mut raster, &[]).len(), 80);
}

#[test]
fn shape_far_larger_than_the_screen_is_drawn() {
    let ctx = Context::default();
    let mut raster = Raster::default();
    raster.resize(128, 128);
    let huge = Rect::from_min_max(pos2(-3.0e6, 70.0), pos2(3.0e6, 9.0e6));
    let huge = Shape::rect_filled(huge, 0.0, Color32::from_rgb(1, 200, 3));
    let (primitives, textures) = scene(&ctx, vec2(128.0, 128.0), &[huge]);
    let mut screen = Screen::new(128, 128);
    raster
        .draw(&primitives, &textures, 1.0, |x, y, bytes| {
            screen.put(x, y, bytes);
            Ok(())
        })
        .unwrap();
    for (x, y) in [(5, 80), (100, 120), (127, 127)] {
        assert_eq!(screen.pixels[y * 128 + x], [1, 200, 3, 255], "{x} {y}");
    }
    assert_ne!(screen.pixels[20 * 128 + 5], [1, 200, 3, 255]);
}

#[test]
fn error_of_the_pixel_file_stops_the_frame() {
    let ctx = Context::default();
    let (primitives, textures) = scene(&ctx, vec2(128.0, 128.0), &[]);
    let mut raster = Raster::default();
    raster.resize(128, 128);
    let full = |_, _, _: &[u8]| Err(io::Error::from(io::ErrorKind::StorageFull));
    assert!(raster.draw(&primitives, &textures, 1.0, full).is_err());
}
