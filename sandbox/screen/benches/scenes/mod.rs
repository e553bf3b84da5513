//! What researchers do, drawn by the same interface library and rasterizer as the workspace: typing a query,
//! scrolling a table, looking at one chart after the other. The numbers in it are made by a formula.

use egui::epaint::{Color32, Stroke, StrokeKind};
use egui::{Align2, FontId, Pos2, RawInput, Rect, pos2, vec2};
use egui_software_backend::{BufferMutRef, ColorFieldOrder, EguiSoftwareRender};

pub(crate) const WIDTH: u16 = 1280;
pub(crate) const HEIGHT: u16 = 800;
const ROW_HEIGHT: f32 = 22.0;
/// Pixels that a table moves in each picture while it is scrolled.
const SCROLL_STEP: f32 = 33.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    Typing,
    Scrolling,
    Charts,
}

impl Scene {
    pub(crate) const ALL: [Self; 3] = [Self::Typing, Self::Scrolling, Self::Charts];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Typing => "typing",
            Self::Scrolling => "scrolling",
            Self::Charts => "charts",
        }
    }

    pub(crate) fn frames(self) -> usize {
        match self {
            Self::Typing => 240,
            Self::Scrolling => 120,
            Self::Charts => 40,
        }
    }
}

const QUERY: &str = "SELECT d.sex, d.age_group, count(*) AS persons,\n       avg(m.value) AS hba1c\n\
FROM measurement AS m\nJOIN person AS d ON d.person_id = m.person_id\n\
WHERE m.code = '4548-4'\n  AND m.date >= DATE '2019-04-01'\n\
GROUP BY d.sex, d.age_group\nHAVING count(*) > 20\nORDER BY hba1c DESC;";

/// Draws pictures of a scene, one after the other.
pub(crate) struct Painter {
    context: egui::Context,
    renderer: EguiSoftwareRender,
    pixels: Vec<[u8; 4]>,
}

impl Painter {
    pub(crate) fn new() -> Self {
        Self {
            context: egui::Context::default(),
            renderer: EguiSoftwareRender::new(ColorFieldOrder::Rgba).with_caching(false),
            pixels: vec![[0; 4]; usize::from(WIDTH) * usize::from(HEIGHT)],
        }
    }

    /// A scene's picture: rows of RGBA.
    pub(crate) fn draw(&mut self, scene: Scene, frame: usize) -> &[u8] {
        let area = Rect::from_min_size(Pos2::ZERO, vec2(f32::from(WIDTH), f32::from(HEIGHT)));
        let input = RawInput {
            screen_rect: Some(area),
            ..RawInput::default()
        };
        self.context.set_visuals(egui::Visuals::light());
        let output = self.context.run_ui(input, |ui| {
            let painter = ui.ctx().layer_painter(egui::LayerId::background());
            draw(&painter, area, scene, frame);
        });
        let triangles = self
            .context
            .tessellate(output.shapes, output.pixels_per_point);
        self.pixels.fill([248, 248, 248, 255]);
        let mut buffer =
            BufferMutRef::new(&mut self.pixels, usize::from(WIDTH), usize::from(HEIGHT));
        self.renderer
            .render(&mut buffer, &triangles, &output.textures_delta, 1.0);
        self.pixels.as_flattened()
    }
}

fn draw(painter: &egui::Painter, area: Rect, scene: Scene, frame: usize) {
    painter.rect_filled(area, 0.0, Color32::from_gray(248));
    let side = Rect::from_min_max(area.min, pos2(230.0, area.max.y));
    painter.rect_filled(side, 0.0, Color32::from_gray(238));
    for (line, name) in [
        "person",
        "  person_id",
        "  sex",
        "  birth_year",
        "visit",
        "  date",
        "  kind",
        "measurement",
        "  code",
        "  value",
        "  unit",
        "  date",
        "drug",
        "  code",
        "  days",
    ]
    .iter()
    .enumerate()
    {
        let at = pos2(14.0, 60.0 + f32::from(u8::try_from(line).unwrap()) * 24.0);
        text(painter, at, name, 14.0, Color32::from_gray(60));
    }
    text(
        painter,
        pos2(14.0, 14.0),
        "糖尿病研究 / diabetes",
        16.0,
        Color32::from_gray(20),
    );
    text(
        painter,
        pos2(1000.0, 14.0),
        "session closes 18:00",
        14.0,
        Color32::from_gray(90),
    );
    let main = Rect::from_min_max(pos2(230.0, 46.0), area.max);
    match scene {
        Scene::Typing => {
            let editor = Rect::from_min_max(main.min, pos2(main.max.x, 340.0));
            let shown: String = QUERY.chars().cycle().take(40 + frame).collect();
            edit(painter, editor, &shown);
            let table = Rect::from_min_max(pos2(main.min.x, 360.0), main.max);
            rows(painter, table, 0.0);
        }
        Scene::Scrolling => {
            let offset = f32::from(u16::try_from(frame).unwrap()) * SCROLL_STEP;
            rows(painter, main, offset);
        }
        Scene::Charts => {
            let editor = Rect::from_min_max(main.min, pos2(main.max.x, 220.0));
            edit(painter, editor, QUERY);
            let plot = Rect::from_min_max(pos2(300.0, 250.0), pos2(1240.0, 740.0));
            chart(painter, plot, frame);
        }
    }
}

fn text(painter: &egui::Painter, at: Pos2, text: &str, size: f32, colour: Color32) -> Rect {
    painter.text(
        at,
        Align2::LEFT_TOP,
        text,
        FontId::proportional(size),
        colour,
    )
}

fn edit(painter: &egui::Painter, at: Rect, shown: &str) {
    painter.rect(
        at.shrink(6.0),
        3.0,
        Color32::WHITE,
        Stroke::new(1.0, Color32::from_gray(190)),
        StrokeKind::Inside,
    );
    let font = FontId::monospace(14.0);
    let mut end = at.min + vec2(16.0, 14.0);
    for (line, words) in shown.lines().enumerate() {
        let mut place = at.min + vec2(16.0, 14.0 + f32::from(u8::try_from(line).unwrap()) * 19.0);
        for word in words.split_inclusive(' ') {
            let is_keyword = word
                .trim()
                .chars()
                .all(|letter| letter.is_ascii_uppercase());
            let colour = match is_keyword {
                true => Color32::from_rgb(0, 72, 160),
                false => Color32::from_gray(40),
            };
            let drawn = painter.text(place, Align2::LEFT_TOP, word, font.clone(), colour);
            place.x = drawn.max.x;
        }
        end = place;
    }
    painter.rect_filled(
        Rect::from_min_size(end, vec2(1.5, 17.0)),
        0.0,
        Color32::BLACK,
    );
}

/// A table of 100,000 rows, from an offset in pixels on.
fn rows(painter: &egui::Painter, at: Rect, offset: f32) {
    let painter = painter.with_clip_rect(at);
    painter.rect_filled(at, 0.0, Color32::WHITE);
    let first = (offset / ROW_HEIGHT).floor();
    let mut y = at.min.y + 26.0 + first * ROW_HEIGHT - offset;
    let mut row = first as u32;
    while y < at.max.y {
        if row % 2 == 1 {
            let stripe = Rect::from_min_size(pos2(at.min.x, y), vec2(at.width(), ROW_HEIGHT));
            painter.rect_filled(stripe, 0.0, Color32::from_gray(244));
        }
        let mixed = row.wrapping_mul(0x9e37_79b1);
        let cells = [
            format!("{row}"),
            format!("{:08x}", mixed),
            ["female", "male"][(mixed >> 7 & 1) as usize].to_owned(),
            format!("{}", 1930 + (mixed >> 9) % 80),
            format!(
                "20{:02}-{:02}-{:02}",
                mixed % 24,
                1 + (mixed >> 5) % 12,
                1 + (mixed >> 11) % 28
            ),
            format!("{:.1}", f64::from(mixed >> 16) / 655.36),
            ["mmol/L", "%", "mg/dL"][(mixed >> 3) as usize % 3].to_owned(),
            ["outpatient", "inpatient", "emergency"][(mixed >> 13) as usize % 3].to_owned(),
        ];
        for (column, cell) in (0_u8..).zip(cells) {
            let x = at.min.x + 10.0 + f32::from(column) * 128.0;
            text(
                &painter,
                pos2(x, y + 3.0),
                &cell,
                13.5,
                Color32::from_gray(50),
            );
        }
        y += ROW_HEIGHT;
        row += 1;
    }
    let head = Rect::from_min_size(at.min, vec2(at.width(), 26.0));
    painter.rect_filled(head, 0.0, Color32::from_gray(226));
    for (column, name) in (0_u8..).zip([
        "row",
        "person_id",
        "sex",
        "born",
        "date",
        "value",
        "unit",
        "visit",
    ]) {
        let x = at.min.x + 10.0 + f32::from(column) * 128.0;
        text(
            &painter,
            pos2(x, at.min.y + 5.0),
            name,
            13.5,
            Color32::from_gray(20),
        );
    }
}

fn chart(painter: &egui::Painter, at: Rect, frame: usize) {
    let grey = Stroke::new(1.0, Color32::from_gray(210));
    painter.rect_filled(at.expand(40.0), 0.0, Color32::WHITE);
    for line in 0..=8_u8 {
        let y = at.max.y - at.height() * f32::from(line) / 8.0;
        painter.hline(at.x_range(), y, grey);
        text(
            painter,
            pos2(at.min.x - 34.0, y - 8.0),
            &format!("{}", u32::from(line) * 25),
            12.0,
            Color32::from_gray(90),
        );
    }
    let seed = u32::try_from(frame).unwrap() / 5;
    let value = |n: u32| {
        f32::from((n.wrapping_add(seed * 977).wrapping_mul(0x9e37_79b1) >> 24) as u8) / 255.0
    };
    let to = |x: f32, y: f32| pos2(at.min.x + at.width() * x, at.max.y - at.height() * y);
    let colours = [
        Color32::from_rgb(38, 102, 176),
        Color32::from_rgb(204, 96, 36),
        Color32::from_rgb(64, 140, 80),
    ];
    match frame % 5 {
        0 => {
            for bar in 0..14_u8 {
                let x = f32::from(bar) / 14.0;
                let bar =
                    Rect::from_two_pos(to(x + 0.01, 0.0), to(x + 0.06, value(u32::from(bar))));
                painter.rect_filled(bar, 0.0, colours[0]);
            }
        }
        1 => {
            for (series, colour) in (0_u32..).zip(colours) {
                let mut height = 0.3 + 0.2 * value(series);
                let points = (0..60_u8)
                    .map(|n| {
                        height += (value(series * 100 + u32::from(n)) - 0.47) * 0.08;
                        to(f32::from(n) / 59.0, height)
                    })
                    .collect();
                painter.line(points, Stroke::new(1.6, colour));
            }
        }
        2 => {
            for bar in 0..48_u8 {
                let x = f32::from(bar) / 48.0;
                let from_middle = (x - 0.5) * 4.0;
                let height =
                    (-from_middle * from_middle).exp() * (0.8 + 0.2 * value(u32::from(bar)));
                painter.rect(
                    Rect::from_two_pos(to(x, 0.0), to(x + 1.0 / 48.0, height)),
                    0.0,
                    colours[2],
                    Stroke::new(1.0, Color32::WHITE),
                    StrokeKind::Inside,
                );
            }
        }
        3 => {
            for point in 0..900_u32 {
                let (x, y) = (
                    value(point * 3),
                    (value(point * 3) + value(point * 7 + 1)) / 2.0,
                );
                painter.circle_filled(
                    to(x, y),
                    2.5,
                    colours[(point % 3) as usize].gamma_multiply(0.7),
                );
            }
        }
        _ => {
            for (series, colour) in (0_u8..).zip(colours) {
                let mut points = vec![to(0.0, 1.0)];
                let mut alive = 1.0;
                for n in 0..50_u8 {
                    let x = f32::from(n) / 50.0;
                    points.push(to(x, alive));
                    alive *= 1.0
                        - 0.02
                            * f32::from(series + 1)
                            * value(u32::from(n) * 5 + u32::from(series));
                    points.push(to(x, alive));
                }
                painter.line(points, Stroke::new(1.6, colour));
            }
        }
    }
}
