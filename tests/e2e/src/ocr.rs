//! Reads pictures as a person would, by tesseract: what is on a screen, and where.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Text of a screen is about 10 pixels high; tesseract wants about 30. What it can't read at one size it often
/// can at another, or light on dark.
const READINGS: [Reading; 3] = [
    Reading {
        enlarged: 3,
        negative: false,
    },
    Reading {
        enlarged: 4,
        negative: true,
    },
    Reading {
        enlarged: 2,
        negative: false,
    },
];

#[derive(Clone, Copy)]
struct Reading {
    enlarged: u32,
    negative: bool,
}

/// Columns of tesseract's table: block, paragraph, line, left, top, width, height, confidence, text.
const COLUMNS: usize = 12;

/// A picture's text, line by line.
#[derive(Debug, Clone, Default)]
pub struct Page {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, Default)]
struct Line {
    key: (u32, u32, u32),
    /// Characters without spaces, each with the middle of its word.
    characters: Vec<(char, (u16, u16))>,
    text: String,
}

impl Page {
    /// Reads a PNG picture in `eng`, `jpn` or `jpn+eng`.
    pub fn read(png: &[u8], languages: &str) -> Self {
        Self::read_again(png, languages, 0)
    }

    /// The same for who did not find something at an earlier attempt: each attempt looks in another way.
    pub fn read_again(png: &[u8], languages: &str, attempt: usize) -> Self {
        let mut readings = READINGS.into_iter().cycle();
        let reading = readings.nth(attempt).expect("readings without end");
        let mut page = Self::default();
        for row in table(png, languages, reading).lines().skip(1) {
            let cells: Vec<&str> = row.splitn(COLUMNS, '\t').collect();
            let [
                _,
                _,
                block,
                paragraph,
                line,
                _,
                left,
                top,
                width,
                height,
                _,
                text,
            ] = cells.as_slice()
            else {
                continue;
            };
            let number = |text: &str| text.parse::<u32>().unwrap_or(0);
            let key = (number(block), number(paragraph), number(line));
            if text.trim().is_empty() {
                continue;
            }
            let middle = |from: &str, length: &str| {
                u16::try_from((number(from) + number(length) / 2) / reading.enlarged)
                    .unwrap_or(u16::MAX)
            };
            let at = (middle(left, width), middle(top, height));
            if page.lines.last().is_none_or(|last| last.key != key) {
                page.lines.push(Line {
                    key,
                    ..Line::default()
                });
            }
            if let Some(last) = page.lines.last_mut() {
                let characters = text.chars().filter(|c| !c.is_whitespace());
                last.characters.extend(characters.map(|c| (c, at)));
                last.text.push_str(text);
                last.text.push(' ');
            }
        }
        page
    }

    /// Where a text stands: the middle of its first word. Spaces are not looked at: tesseract sees some where
    /// there are none.
    pub fn find(&self, text: &str) -> Option<(u16, u16)> {
        self.find_all(text).first().copied()
    }

    /// Everywhere that a text stands, line by line from the top.
    pub fn find_all(&self, text: &str) -> Vec<(u16, u16)> {
        let wanted: Vec<char> = packed(text).chars().collect();
        let in_line = |line: &Line| {
            line.characters
                .windows(wanted.len().max(1))
                .filter(|window| window.iter().map(|(c, _)| c).eq(wanted.iter()))
                .filter_map(|window| window.first().map(|(_, at)| *at))
                .collect::<Vec<_>>()
        };
        let mut all: Vec<_> = self.lines.iter().flat_map(in_line).collect();
        all.sort_by_key(|(x, y)| (*y, *x));
        all
    }

    /// Whether the text is there.
    pub fn shows(&self, text: &str) -> bool {
        self.find(text).is_some()
    }

    /// Everything, for a failure's message.
    pub fn text(&self) -> String {
        self.lines
            .iter()
            .map(|line| format!("{}\n", line.text.trim()))
            .collect()
    }
}

fn table(png: &[u8], languages: &str, reading: Reading) -> String {
    let mut picture = image::load_from_memory_with_format(png, image::ImageFormat::Png)
        .expect("a picture")
        .to_luma8();
    if reading.negative {
        image::imageops::invert(&mut picture);
    }
    let (width, height) = (
        picture.width() * reading.enlarged,
        picture.height() * reading.enlarged,
    );
    let filter = image::imageops::FilterType::CatmullRom;
    let large = image::imageops::resize(&picture, width, height, filter);
    let mut bytes = std::io::Cursor::new(Vec::new());
    large
        .write_to(&mut bytes, image::ImageFormat::Png)
        .expect("a larger picture");
    let mut tesseract = Command::new("tesseract")
        .args(["stdin", "stdout", "-l", languages, "--psm", "11", "tsv"])
        .env("OMP_THREAD_LIMIT", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("tesseract");
    let mut stdin = tesseract.stdin.take().expect("a pipe");
    let writing = std::thread::spawn(move || stdin.write_all(bytes.get_ref()));
    let output = tesseract.wait_with_output().expect("tesseract's words");
    let written = writing.join().expect("a thread");
    written.expect("tesseract reads it all");
    assert!(output.status.success(), "tesseract failed");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Without spaces and line breaks.
fn packed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}
