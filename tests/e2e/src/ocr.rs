//! Reads pictures as a person would, by tesseract: what is on a screen, and nowhere else, is on its pixels.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Text of a screen is about 10 pixels high; tesseract wants about 30.
const ENLARGED: u32 = 3;

/// The text of a PNG picture, in `eng`, `jpn` or `jpn+eng`.
pub fn read(png: &[u8], languages: &str) -> String {
    let picture = image::load_from_memory_with_format(png, image::ImageFormat::Png)
        .expect("a picture")
        .to_luma8();
    let (width, height) = (picture.width() * ENLARGED, picture.height() * ENLARGED);
    let large = image::imageops::resize(
        &picture,
        width,
        height,
        image::imageops::FilterType::CatmullRom,
    );
    let mut bytes = std::io::Cursor::new(Vec::new());
    large
        .write_to(&mut bytes, image::ImageFormat::Png)
        .expect("a larger picture");
    let mut tesseract = Command::new("tesseract")
        .args(["stdin", "stdout", "-l", languages, "--psm", "11"])
        .env("OMP_THREAD_LIMIT", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("tesseract");
    let mut stdin = tesseract.stdin.take().expect("a pipe");
    let writing = std::thread::spawn(move || stdin.write_all(bytes.get_ref()));
    let output = tesseract.wait_with_output().expect("tesseract's words");
    writing
        .join()
        .expect("a thread")
        .expect("tesseract reads it all");
    assert!(output.status.success(), "tesseract failed");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Without spaces and line breaks, which tesseract sees where there are none.
pub fn packed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}
